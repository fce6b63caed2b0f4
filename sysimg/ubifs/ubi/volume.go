package ubi

import (
	"io"
	"maps"
	"slices"

	"mtkport"
)

// Volume is one volume of an image. It is an io.ReaderAt over its LEBs laid end
// to end; what is not mapped reads as erased flash, 0xff.
type Volume struct {
	ID         int
	Name       string
	LEBs       int  // reserved in the volume table; may be more than the image holds
	LEBSize    int  // usable bytes of each
	Static     bool // data with a known length and checksums, as of a kernel
	Autoresize bool // grows at the first attach to all the room there is
	Alignment  int

	img    *Image
	mapped []int   // LEB numbers, rising
	blocks []block // where each of mapped lies
}

// block returns where LEB lnum lies.
func (v *Volume) block(lnum int) (block, bool) {
	i, ok := slices.BinarySearch(v.mapped, lnum)
	if !ok {
		return block{}, false
	}
	return v.blocks[i], true
}

// finish takes the blocks, by LEB number.
func (v *Volume) finish(blocks map[int]block) {
	v.mapped = slices.Sorted(maps.Keys(blocks))
	for _, lnum := range v.mapped {
		v.blocks = append(v.blocks, blocks[lnum])
	}
	if !v.Static || len(v.mapped) == 0 {
		return
	}
	used := int(v.blocks[0].vid.usedLEBs)
	if lost := used - len(v.mapped); lost > 0 {
		v.img.problem("ubi-missing-leb", 0, "volume %q lacks %d of its %d blocks", v.Name, lost, used)
	}
}

// Mapped lists in order the LEBs that the image holds.
func (v *Volume) Mapped() []int { return v.mapped }

// Has reports whether the image holds LEB lnum.
func (v *Volume) Has(lnum int) bool {
	_, ok := slices.BinarySearch(v.mapped, lnum)
	return ok
}

// Size is the length in bytes of the volume's contents: of a static volume what
// was written, else all LEBs.
func (v *Volume) Size() int64 {
	if !v.Static || len(v.mapped) == 0 {
		return int64(v.LEBs) * int64(v.LEBSize)
	}
	last := len(v.mapped) - 1
	return int64(v.mapped[last])*int64(v.LEBSize) + min(int64(v.blocks[last].vid.dataSize), int64(v.LEBSize))
}

// ReadLEB fills p from offset off of LEB lnum. A LEB that is not mapped reads as
// 0xff. The error has class ErrDamaged when the range is not inside the LEB or
// the image ends before it.
func (v *Volume) ReadLEB(p []byte, lnum, off int) error {
	if off < 0 || off > v.LEBSize || len(p) > v.LEBSize-off {
		return &mtkport.Error{Off: int64(off), Field: "LEB range", Found: "a range beyond the block", Err: mtkport.ErrDamaged}
	}
	b, ok := v.block(lnum)
	if !ok {
		for i := range p {
			p[i] = 0xff
		}
		return nil
	}
	if n, err := v.img.r.ReadAt(p, b.off+int64(off)); n < len(p) {
		return &mtkport.Error{Off: b.off + int64(off), Field: "LEB", Found: "the end of the image", Err: cause(err)}
	}
	return nil
}

func cause(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return mtkport.ErrDamaged
	}
	return err
}

// ReadAt implements io.ReaderAt.
func (v *Volume) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off < 0 || off >= v.Size() {
			return n, io.EOF
		}
		lnum, in := int(off/int64(v.LEBSize)), int(off%int64(v.LEBSize))
		part := p[n:min(len(p), n+v.LEBSize-in)]
		if rest := v.Size() - off; int64(len(part)) > rest {
			part = part[:rest]
		}
		if err := v.ReadLEB(part, lnum, in); err != nil {
			return n, err
		}
		n += len(part)
		off += int64(len(part))
	}
	return n, nil
}
