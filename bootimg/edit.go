package bootimg

import (
	"fmt"
	"io"
	"math"
	"strings"

	"mtkport"
)

// Editor collects the changes to an image. Nothing is written before
// [Editor.WriteTo].
type Editor struct {
	img     *Image
	want    Header
	repl    [numKinds]*replacement
	id      IDMode
	resize  Resizing
	idRule  IDRule // what the original's id obeyed, when ruleSet
	ruleSet bool
}

// replacement is what a section becomes. A nil src with size 0 removes it.
type replacement struct {
	src  io.ReaderAt
	off  int64
	size int64
	part *PartHeader // nil: none

	slack    int64 // surplus behind the payload, kept while only the header changes
	keepSize bool  // the part header counts what it counted
}

func (r *replacement) sectionSize() int64 {
	if r.part != nil {
		return PartHeaderSize + r.size + r.slack
	}
	return r.size
}

// body is the section as it will be, without padding.
func (r *replacement) body() segments {
	if r.part == nil {
		return segments{fromSource(r.src, r.off, r.size)}
	}
	part := r.part
	if !r.keepSize {
		part = part.sized(uint32(r.size))
	}
	return segments{fromBytes(part.Bytes()), fromSource(r.src, r.off, r.size+r.slack)}
}

// Edit begins changing the image. Without changes, the writer gives back the
// same bytes.
func (m *Image) Edit() *Editor { return &Editor{img: m, want: m.hdr} }

// SetHeader changes header fields: those in which h differs from the image's
// header. Sizes are ignored. An id that differs is written as it is.
func (e *Editor) SetHeader(h Header) error {
	if err := checkHeader(e.img.hdr, h); err != nil {
		return err
	}
	raw := append(rawHeader(nil), e.img.raw...)
	if err := raw.patch(e.img.hdr, h); err != nil {
		return err
	}
	e.want = h
	return nil
}

// Header is the header as it will be, but for sizes and a computed id.
func (e *Editor) Header() Header { return e.want }

// SetID says what happens to the id; see [IDMode].
func (e *Editor) SetID(mode IDMode) { e.id = mode }

// SetResize says what happens to the file's size; see [Resizing].
func (e *Editor) SetResize(r Resizing) { e.resize = r }

// SetPayload replaces the payload of section k, or adds the section. The
// section keeps its MediaTek header, with the new size in it, or its lack of
// one. A payload that comes with a part header of its own is recognised: the
// header is taken off, and used only where the section is new. A new section
// gets a header when the image's other sections have one.
//
// The error is of class ErrRefused when the part is plainly another one (a
// ramdisk for the kernel, a whole boot image), ErrUnsupported when the header
// version has no place for k.
func (e *Editor) SetPayload(k Kind, r io.ReaderAt, size int64) error {
	if k < 0 || k >= numKinds || !k.fits(e.img.hdr) {
		return &mtkport.Error{Off: offVersion, Field: "header_version", Found: fmt.Sprint(e.img.hdr.Version),
			Want: "a version that has a place for " + k.String(), Err: mtkport.ErrUnsupported}
	}
	own, err := readPart(r, 0, size)
	if err != nil {
		return err
	}
	rp := &replacement{src: r, size: size}
	if own != nil {
		if rp.off, rp.size, err = stripPart(k, own, size); err != nil {
			return err
		}
	}
	if string(peek(r, int64(len(Magic)), size)) == Magic {
		return &mtkport.Error{Off: 0, Field: k.String(), Found: "a whole boot image", Want: "a " + k.String(),
			Hint: "unpack it first and use the " + k.String() + " in it", Err: mtkport.ErrRefused}
	}
	if err := fits32(k, rp.size); err != nil {
		return err
	}
	rp.part = e.partFor(k, own)
	e.repl[k] = rp
	return nil
}

func fits32(k Kind, size int64) error {
	if size > math.MaxUint32-PartHeaderSize {
		return &mtkport.Error{Off: int64(k.sizeOff()), Field: k.String() + "_size", Found: fmt.Sprint(size),
			Want: "a size that 32 bits hold", Err: mtkport.ErrTooBig}
	}
	if k == DT && size < minDT {
		return &mtkport.Error{Off: offVersion, Field: "dt_size", Found: fmt.Sprint(size),
			Want: fmt.Sprintf("at least %d: less would read as a header version", minDT), Err: mtkport.ErrRefused}
	}
	return nil
}

// stripPart takes the part header off a file that was handed in with one.
func stripPart(k Kind, own *PartHeader, size int64) (off, n int64, err error) {
	if n = int64(own.Size); PartHeaderSize+n > size {
		return 0, 0, &mtkport.Error{Off: offPartSize, Field: "part size", Found: fmt.Sprint(n),
			Want: fmt.Sprintf("at most %d, what the file holds behind the header", size-PartHeaderSize), Err: mtkport.ErrDamaged}
	}
	if !partSuits(k, own.Name) {
		return 0, 0, &mtkport.Error{Off: offPartName, Field: "part name", Found: own.Name, Want: "a " + k.String(),
			Hint: "this file is another part; take the right one", Err: mtkport.ErrRefused}
	}
	return PartHeaderSize, n, nil
}

// partSuits refuses only names that are known to be something else.
func partSuits(k Kind, name string) bool {
	switch strings.ToUpper(name) {
	case "KERNEL":
		return k == Kernel
	case "ROOTFS", "RECOVERY":
		return k == Ramdisk
	case "LK", "LOGO":
		return false
	}
	return true
}

// partFor is the part header that section k will have.
func (e *Editor) partFor(k Kind, own *PartHeader) *PartHeader {
	if rp := e.repl[k]; rp != nil && rp.src != nil { // set before, perhaps by SetPart
		return rp.part
	}
	if s := e.img.sections[k]; s != nil {
		return s.Part
	}
	if k > Ramdisk || !e.img.anyPart() && len(e.img.Sections()) > 0 {
		return nil
	}
	if own != nil {
		return own
	}
	if !e.img.anyPart() {
		return nil
	}
	p, _ := NewPartHeader(map[Kind]string{Kernel: "KERNEL", Ramdisk: "ROOTFS"}[k])
	return p
}

// SetPart gives section k a part header called name, or renames the one it
// has; an empty name takes the header off. The payload stays, and with a
// renamed header the surplus behind it.
func (e *Editor) SetPart(k Kind, name string) error {
	rp, err := e.replacing(k)
	if err != nil {
		return err
	}
	switch {
	case name == "":
		rp.part, rp.slack = nil, 0
	case rp.part != nil:
		rp.part, err = rp.part.renamed(name)
	default:
		rp.part, err = NewPartHeader(name)
	}
	return err
}

// replacing makes section k a replacement by its own payload.
func (e *Editor) replacing(k Kind) (*replacement, error) {
	if rp := e.repl[k]; rp != nil && rp.src != nil {
		return rp, nil
	}
	s := e.img.Section(k)
	if s == nil || e.repl[k] != nil {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: k.String(), Found: "no such section", Want: "one", Err: mtkport.ErrRefused}
	}
	e.repl[k] = &replacement{src: s.src, off: s.PayloadOff(), size: s.PayloadSize(), part: s.Part}
	if s.Part != nil {
		e.repl[k].slack, e.repl[k].keepSize = s.Slack().Size(), true
	}
	return e.repl[k], nil
}

// Remove takes section k out of the image.
func (e *Editor) Remove(k Kind) {
	if e.img.Section(k) != nil || k >= 0 && k < numKinds && e.repl[k] != nil {
		e.repl[k] = &replacement{}
	}
}

// Size is the size of the result in bytes.
func (e *Editor) Size() (int64, error) {
	ss, err := e.segments(false)
	return ss.size(), err
}

// WriteTo writes the result. The error is of class ErrTooBig, before a byte is
// written, when a partition dump's contents outgrow the partition.
func (e *Editor) WriteTo(w io.Writer) (int64, error) {
	ss, err := e.segments(true)
	if err != nil {
		return 0, err
	}
	return ss.WriteTo(w)
}

// Identical writes the result against the original and reports whether every
// byte is the same.
func (e *Editor) Identical() (bool, error) {
	ss, err := e.segments(true)
	if err != nil {
		return false, err
	}
	return identical(ss, e.img.src, e.img.size)
}
