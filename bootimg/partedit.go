package bootimg

import (
	"fmt"
	"io"
	"math"

	"mtkport"
)

// PartEditor collects the changes to a standalone part.
type PartEditor struct {
	file   *PartFile
	part   *PartHeader
	src    io.ReaderAt
	off, n int64
	resize Resizing
}

// Edit begins changing the part. Without changes, the writer gives back the
// same bytes.
func (p *PartFile) Edit() *PartEditor {
	return &PartEditor{file: p, part: p.Part, src: p.src, off: PartHeaderSize, n: p.have}
}

// SetPayload replaces what the header counts. A payload with a part header of
// its own and the same name is recognised, and the header taken off.
func (e *PartEditor) SetPayload(r io.ReaderAt, size int64) error {
	own, err := readPart(r, 0, size)
	if err != nil {
		return err
	}
	off, n := int64(0), size
	if own != nil {
		if !own.Is(e.part.Name) {
			return &mtkport.Error{Off: offPartName, Field: "part name", Found: own.Name, Want: e.part.Name,
				Hint: "this file is another part; take the right one", Err: mtkport.ErrRefused}
		}
		if off, n = PartHeaderSize, int64(own.Size); off+n > size {
			return &mtkport.Error{Off: offPartSize, Field: "part size", Found: fmt.Sprint(n), Want: fmt.Sprintf("at most %d", size-off), Err: mtkport.ErrDamaged}
		}
	}
	if n > math.MaxUint32 {
		return &mtkport.Error{Off: offPartSize, Field: "part size", Found: fmt.Sprint(n), Want: "a size that 32 bits hold", Err: mtkport.ErrTooBig}
	}
	e.src, e.off, e.n = r, off, n
	return nil
}

// SetName renames the part, at most 31 bytes.
func (e *PartEditor) SetName(name string) error {
	p, err := e.part.renamed(name)
	if err == nil {
		e.part = p
	}
	return err
}

// SetResize says what happens to the file's size; see [Resizing].
func (e *PartEditor) SetResize(r Resizing) { e.resize = r }

func (e *PartEditor) segments() (segments, error) {
	out := segments{fromBytes(e.part.sized(uint32(e.n)).Bytes()), fromSource(e.src, e.off, e.n)}
	was := PartHeaderSize + e.file.have
	rest, err := tail{src: e.file.src, off: was, n: e.file.Size - was}.fit(was, out.size(), e.resize)
	return append(out, rest...), err
}

// Size is the size of the result in bytes.
func (e *PartEditor) Size() (int64, error) {
	ss, err := e.segments()
	return ss.size(), err
}

// WriteTo writes the result; the error is of class ErrTooBig, before a byte is
// written, when a partition dump's contents outgrow the partition.
func (e *PartEditor) WriteTo(w io.Writer) (int64, error) {
	ss, err := e.segments()
	if err != nil {
		return 0, err
	}
	return ss.WriteTo(w)
}

// Identical writes the result against the original and reports whether every
// byte is the same.
func (e *PartEditor) Identical() (bool, error) {
	ss, err := e.segments()
	if err != nil {
		return false, err
	}
	return identical(ss, e.file.src, e.file.Size)
}
