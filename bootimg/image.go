package bootimg

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"mtkport"
)

// Kind names a section of a boot image, in the order of the disk.
type Kind int

// The sections. DT belongs to the dt flavour of version 0, RecoveryDTBO to
// version 1 and later, DTB to version 2.
const (
	Kernel Kind = iota
	Ramdisk
	Second
	DT
	RecoveryDTBO
	DTB
	numKinds
)

var kindNames = [numKinds]string{"kernel", "ramdisk", "second", "dt", "recovery_dtbo", "dtb"}

// String is the kind's name in file names, reports and flags.
func (k Kind) String() string {
	if k < 0 || k >= numKinds {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kindNames[k]
}

// ParseKind is the reverse of String.
func ParseKind(s string) (Kind, bool) {
	for k, n := range kindNames {
		if n == s {
			return Kind(k), true
		}
	}
	return 0, false
}

// sizeOff is where the header keeps the kind's size.
func (k Kind) sizeOff() int {
	return [numKinds]int{offKernelSize, offRamdiskSize, offSecondSize, offVersion, offDTBOSize, offDTBSize}[k]
}

// fits reports whether a header of this version has a place for the kind.
func (k Kind) fits(h Header) bool {
	switch k {
	case DT:
		return h.Version == 0
	case RecoveryDTBO:
		return h.Version >= 1
	case DTB:
		return h.Version >= 2
	}
	return true
}

// Image is an opened boot image. It reads its source lazily, so the source must
// stay open. Its methods may be used from several goroutines.
type Image struct {
	src      io.ReaderAt
	size     int64
	raw      rawHeader // page 0
	hdr      Header
	sections [numKinds]*Section
	end      int64 // behind the last section and what is there of its padding
	last     Kind  // the section that lies last; -1 when there is none
	short    bool  // the file ends before the last section's padding does
	notes    []mtkport.Finding
}

// Section is one part of a boot image as it lies there.
type Section struct {
	Kind Kind
	Off  int64       // where it begins in the image
	Size int64       // what the boot header claims, part header and surplus included
	Have int64       // how much of Size the file holds; less than Size only at an early end
	Part *PartHeader // nil when the section has no MediaTek header

	pad int64 // bytes up to the next page that are in the file
	src io.ReaderAt
}

// PayloadOff is where the payload begins in the image.
func (s *Section) PayloadOff() int64 {
	if s.Part != nil {
		return s.Off + PartHeaderSize
	}
	return s.Off
}

// PayloadSize is the payload's length: what the part header counts, or the
// whole section when there is none, never more than is there.
func (s *Section) PayloadSize() int64 {
	if s.Part == nil {
		return s.Have
	}
	return min(int64(s.Part.Size), s.Have-PartHeaderSize)
}

// Payload is the section without part header and without surplus.
func (s *Section) Payload() *io.SectionReader {
	return io.NewSectionReader(s.src, s.PayloadOff(), s.PayloadSize())
}

// Slack is the surplus between the payload and the section's claimed size, as
// far as the file holds it.
func (s *Section) Slack() *io.SectionReader {
	off := s.PayloadOff() + s.PayloadSize()
	return io.NewSectionReader(s.src, off, s.Off+s.Have-off)
}

// Whole is the section as the boot header counts it, as far as it is there.
func (s *Section) Whole() *io.SectionReader { return io.NewSectionReader(s.src, s.Off, s.Have) }

// Open reads the header of a boot image of size bytes and finds its sections.
// The error is of class ErrFormat when r holds none, ErrUnsupported for header
// versions 3 and 4, ErrDamaged when the header cannot be or the file is cut
// short.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	raw, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	m := &Image{src: r, size: size, raw: raw, hdr: headerOf(raw), last: -1}
	if err := m.layOut(); err != nil {
		return nil, err
	}
	m.remark()
	return m, nil
}

func readHeader(r io.ReaderAt, size int64) (rawHeader, error) {
	b := peek(r, sizeV0, size)
	if len(b) < len(Magic) || string(b[:len(Magic)]) != Magic {
		return nil, notBoot(b)
	}
	if len(b) < offExtra {
		return nil, cut(0, "header", sizeV0, size)
	}
	// The versions that moved the fields keep their number at the same place.
	switch v := rawHeader(b).u32(offVersion); {
	case v > maxSupportedVer && v <= lastVersion:
		return nil, &mtkport.Error{Off: offVersion, Field: "header_version", Found: strconv.Itoa(int(v)), Want: "0, 1 or 2",
			Hint: "versions 3 and 4 belong to Android 11 and later; no phone of this chip has them", Err: mtkport.ErrUnsupported}
	case v > lastVersion && v < minDT:
		return nil, &mtkport.Error{Off: offVersion, Field: "header_version", Found: strconv.Itoa(int(v)),
			Want: fmt.Sprintf("0, 1, 2, or a device tree's size of at least %d", minDT), Err: mtkport.ErrDamaged}
	}
	low := int64(minReadPage)
	if v := rawHeader(b).u32(offVersion); v > 0 && v < minDT {
		low = MinPageSize
	}
	page := int64(rawHeader(b).u32(offPageSize))
	if err := checkPageSize(page, low, maxReadPage, mtkport.ErrDamaged); err != nil {
		return nil, err
	}
	if size < page {
		return nil, cut(0, "header", page, size)
	}
	raw := make(rawHeader, page)
	return raw, readAt(r, raw, 0)
}

func notBoot(b []byte) error {
	e := &mtkport.Error{Off: 0, Field: "magic", Found: fmt.Sprintf("%q", b[:min(len(Magic), len(b))]),
		Want: fmt.Sprintf("%q", Magic), Err: mtkport.ErrFormat}
	if p := parsePart(b); p != nil {
		e.Hint = "this is a MediaTek part called " + p.Name + ", not a boot image"
	}
	return e
}

func cut(off int64, field string, want, have int64) error {
	return &mtkport.Error{Off: off, Field: field, Found: fmt.Sprintf("a file of %d bytes", have), Want: fmt.Sprintf("%d bytes", want),
		Hint: "the file is cut short: read it again from its source", Err: mtkport.ErrDamaged}
}

// layOut walks the sections as lk does: each begins on the next page. Sizes are
// 32 bits and sums 64, so nothing overflows.
func (m *Image) layOut() error {
	page := int64(m.hdr.PageSize)
	off := page
	for k := Kernel; k < numKinds; k++ {
		n := m.hdr.size(k)
		if n == 0 {
			continue
		}
		s := &Section{Kind: k, Off: off, Size: n, Have: min(n, max(0, m.size-off)), src: m.src}
		var err error
		if s.Part, err = readPart(m.src, off, s.Have); err != nil {
			return err
		}
		if m.short || n-s.Have > 0 && !s.whole(page) {
			return m.truncated(s)
		}
		next := alignUp(off+n, page)
		s.pad = max(0, min(m.size, next)-off-n)
		m.short = m.size < next
		m.sections[k], m.last, m.end = s, k, min(next, m.size)
		off = next
	}
	if m.last < 0 {
		m.end = page
	}
	return nil
}

// whole reports whether the file holds all that the part header counts: images
// whose boot header claims a little more than that do boot. More than a page is
// no rounding but a broken size.
func (s *Section) whole(page int64) bool {
	return s.Part != nil && PartHeaderSize+int64(s.Part.Size) <= s.Have && s.Size-s.Have < page
}

// truncated is the error for a file that ends inside s, or before it: then the
// section that it did end in is to blame.
func (m *Image) truncated(s *Section) error {
	if m.short && m.sections[m.last].Have < m.sections[m.last].Size {
		s = m.sections[m.last]
	}
	return &mtkport.Error{Off: int64(s.Kind.sizeOff()), Field: s.Kind.String() + "_size", Found: strconv.FormatInt(s.Size, 10),
		Want: fmt.Sprintf("at most %d: the section begins at 0x%x and the file has %d bytes", s.Have, s.Off, m.size),
		Hint: "the file is cut short: read it again from its source", Err: mtkport.ErrDamaged}
}

// size is the header's claim for kind k.
func (h Header) size(k Kind) int64 {
	return int64([numKinds]uint32{h.KernelSize, h.RamdiskSize, h.SecondSize, h.DTSize, h.RecoveryDTBOSize, h.DTBSize}[k])
}

// Header returns the meaning of the header.
func (m *Image) Header() Header { return m.hdr }

// Section returns the section of kind k, or nil when the image has none.
func (m *Image) Section(k Kind) *Section {
	if k < 0 || k >= numKinds {
		return nil
	}
	return m.sections[k]
}

// Sections returns the sections that are there, in the order of the disk.
func (m *Image) Sections() []*Section {
	var ss []*Section
	for _, s := range m.sections {
		if s != nil {
			ss = append(ss, s)
		}
	}
	return ss
}

// Size is the size of the source in bytes, what follows the image included.
func (m *Image) Size() int64 { return m.size }

// End is where the image proper ends: behind the last section and its padding,
// or at the end of a file that stops before that.
func (m *Image) End() int64 { return m.end }

// Tail is what follows the image: a partition's padding, a signature.
func (m *Image) Tail() *io.SectionReader { return io.NewSectionReader(m.src, m.end, m.size-m.end) }

// Notes lists what is odd about the image. None of it stops a phone from
// booting it.
func (m *Image) Notes() []mtkport.Finding { return m.notes }

func alignUp(n, to int64) int64 { return (n + to - 1) / to * to }

// readAt fills b from off; a source that is shorter than it said is damaged.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &mtkport.Error{Off: off + int64(n), Field: "read", Err: err}
}

// peek returns up to n bytes from the start.
func peek(r io.ReaderAt, n, size int64) []byte {
	b := make([]byte, max(0, min(n, size)))
	got, _ := r.ReadAt(b, 0)
	return b[:got]
}
