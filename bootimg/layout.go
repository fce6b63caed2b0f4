package bootimg

import (
	"bytes"
	"io"

	"mtkport"
)

// placed is a section of the result.
type placed struct {
	kind Kind
	size int64    // what the header will claim
	body segments // without padding
	old  *Section // the untouched original, or nil
}

// placed lists the sections of the result in the order of the disk.
func (e *Editor) placed() []placed {
	var ps []placed
	for k := Kernel; k < numKinds; k++ {
		s, rp := e.img.sections[k], e.repl[k]
		switch {
		case rp != nil && rp.sectionSize() > 0:
			ps = append(ps, placed{kind: k, size: rp.sectionSize(), body: rp.body()})
		case rp == nil && s != nil:
			ps = append(ps, placed{kind: k, size: s.Size, body: segments{fromSource(s.src, s.Off, s.Have)}, old: s})
		}
	}
	return ps
}

// segments is the whole result. The id costs a pass over all sections, so it
// is left out when only the size is wanted.
func (e *Editor) segments(withID bool) (segments, error) {
	ps := e.placed()
	raw, err := e.header(ps)
	if err != nil {
		return nil, err
	}
	if withID {
		if err := e.writeID(raw, ps); err != nil {
			return nil, err
		}
	}
	out := segments{fromBytes(raw)}
	for i, p := range ps {
		body, err := e.padded(p, i == len(ps)-1)
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
	}
	rest, err := e.tail().fit(e.img.end, out.size(), e.resize)
	return append(out, rest...), err
}

func (e *Editor) tail() tail {
	return tail{src: e.img.src, off: e.img.end, n: e.img.size - e.img.end}
}

// padded is the section with what follows it up to the next page. An early end
// stays one while the same section is last.
func (e *Editor) padded(p placed, last bool) (segments, error) {
	page := int64(e.want.PageSize)
	need := alignUp(p.size, page) - p.size
	short := last && e.img.short && p.kind == e.img.last
	switch {
	case p.old == nil && short:
		return p.body, nil
	case p.old == nil:
		return append(p.body, filled(0, need)), nil
	}
	pad := fromSource(p.old.src, p.old.Off+p.old.Size, p.old.pad)
	if short && e.want.PageSize == e.img.hdr.PageSize {
		return append(p.body, pad), nil
	}
	out := append(p.body, filled(0, p.old.Size-p.old.Have)) // zero unless the section was short
	if pad.n > need {
		if err := demandZero(p.old.src, pad.off+need, pad.n-need); err != nil {
			return nil, err
		}
		pad.n = need
	}
	return append(out, pad, filled(0, need-pad.n)), nil
}

// demandZero refuses to drop bytes that say something.
func demandZero(src io.ReaderAt, off, n int64) error {
	b := make([]byte, n) // at most a page
	if err := readAt(src, b, off); err != nil {
		return err
	}
	if i := bytes.IndexFunc(b, func(r rune) bool { return r != 0 }); i >= 0 {
		return &mtkport.Error{Off: off + int64(i), Field: "padding", Found: "data", Want: "zero bytes, which a smaller page can drop", Err: mtkport.ErrRefused}
	}
	return nil
}

// header is page 0 of the result, but for a computed id.
func (e *Editor) header(ps []placed) (rawHeader, error) {
	raw := make(rawHeader, e.want.PageSize)
	if n := copy(raw, e.img.raw); n < len(e.img.raw) {
		if err := demandZero(bytes.NewReader(e.img.raw), int64(n), int64(len(e.img.raw)-n)); err != nil {
			return nil, err
		}
	}
	if err := raw.patch(e.img.hdr, e.want); err != nil {
		return nil, err
	}
	for k, rp := range e.repl {
		if rp != nil {
			raw.setU32(Kind(k).sizeOff(), uint32(rp.sectionSize()))
		}
	}
	e.moveDTBO(raw, ps)
	return raw, nil
}

// moveDTBO keeps recovery_dtbo_offset right where it was right, and leaves a
// value that means something else alone.
func (e *Editor) moveDTBO(raw rawHeader, ps []placed) {
	old := e.img.sections[RecoveryDTBO]
	if old != nil && e.img.hdr.RecoveryDTBOOff != uint64(old.Off) {
		return
	}
	off := int64(e.want.PageSize)
	for _, p := range ps {
		if p.kind == RecoveryDTBO {
			raw.setU64(offDTBOOffset, uint64(off))
			return
		}
		off += alignUp(p.size, int64(e.want.PageSize))
	}
	if old != nil { // it was removed
		raw.setU64(offDTBOOffset, 0)
	}
}
