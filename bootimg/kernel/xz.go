package kernel

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/crc64"
	"sync"
)

// The .xz container as kernels use it: one or more blocks of LZMA2, behind
// which the ARM branch filter may stand. Source: "The .xz File Format" 1.0.4
// (tukaani.org, public domain).

var (
	errXZ       = errors.New("xz stream is damaged")
	errXZFilter = errors.New("xz stream uses a filter that kernels do not")
	errXZCheck  = errors.New("xz check does not match")
)

const (
	xzMagic       = "\xfd7zXZ\x00"
	xzHeaderSize  = 12
	filterARM     = 7
	filterARMT    = 8
	filterLZMA2   = 0x21
	xzCheckCRC32  = 1
	xzCheckCRC64  = 4
	xzMaxVLIBytes = 9
)

// xzBlock is what a block header tells.
type xzBlock struct {
	size     int  // of the header
	branch   byte // filterARM, filterARMT or 0
	start    uint32
	unpacked uint64
}

// unxz unpacks the first stream of b and returns how many bytes it took, index
// and footer not counted.
func unxz(b []byte, limit int, grown growth) ([]byte, int, error) {
	if len(b) < xzHeaderSize || string(b[:6]) != xzMagic || b[6] != 0 || crc32.ChecksumIEEE(b[6:8]) != le32(b[8:]) {
		return nil, 0, errXZ
	}
	d := newLZMA(b, limit)
	d.pos = xzHeaderSize
	x := &xzPlain{check: b[7] & 15, grown: grown}
	for {
		if d.pos >= d.end {
			return x.text, d.pos, errEnd
		}
		if d.in[d.pos] == 0 { // the index: no more blocks
			return x.text, d.pos, nil
		}
		if err := d.xzBlock(x); err != nil {
			return x.text, d.pos, err
		}
	}
}

func (d *lzma) xzBlock(x *xzPlain) error {
	h, err := parseXZBlock(d.in[d.pos:d.end])
	if err != nil {
		return err
	}
	if h.unpacked > uint64(d.limit-len(d.out)) {
		return errBig
	}
	d.pos += h.size
	begin := d.pos
	x.begin(h, len(d.out), cap(d.out))
	f := follower{do: x.words}
	err = d.unlzma2(f.grow)
	f.wait()
	x.end(d.out)
	if err != nil {
		return err
	}
	for (d.pos-begin)%4 != 0 && d.pos < d.end {
		d.pos++
	}
	if h.branch != 0 && h.branch != filterARM {
		return errXZFilter
	}
	return d.xzCheck(x)
}

// xzCheck compares and skips the check behind a block. Kernels carry CRC32.
func (d *lzma) xzCheck(x *xzPlain) error {
	size := int(x.check+2) / 3
	if size > 0 {
		size = 4 << (size - 1)
	}
	if d.end-d.pos < size {
		return errEnd
	}
	got := d.in[d.pos:]
	d.pos += size
	if x.check == xzCheckCRC32 && x.crc32 != le32(got) || x.check == xzCheckCRC64 && x.crc64 != le64(got) {
		return errXZCheck
	}
	return nil
}

// xzPlain makes the plain text of what LZMA2 unpacks, and its check. It follows
// the decoder. The decoder's own output is its dictionary, so what a filter
// changes is a copy.
type xzPlain struct {
	text  []byte // the stream so far: the decoder's output, or the copy
	check byte
	grown growth

	filter bool // the text is a copy
	block  xzBlock
	from   int // where the block begins
	crc32  uint32
	crc64  uint64
}

var crc64ECMA = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(crc64.ECMA) })

// begin opens a block at from; the decoder expects size bytes in all.
func (x *xzPlain) begin(h xzBlock, from, size int) {
	x.block, x.from, x.crc32, x.crc64 = h, from, 0, 0
	if h.branch == filterARM && !x.filter {
		x.filter = true
		x.text = append(make([]byte, 0, size), x.text...)
	}
}

// words takes all whole words of raw, the decoder's output from the first block
// on: the filter works on words.
func (x *xzPlain) words(raw []byte) {
	x.take(raw[:x.from+(len(raw)-x.from)&^3])
	x.grown(x.text)
}

// end takes the whole of raw, which the block ends.
func (x *xzPlain) end(raw []byte) {
	x.words(raw)
	x.take(raw)
}

func (x *xzPlain) take(raw []byte) {
	done := len(x.text)
	if x.filter {
		x.text = append(x.text, raw[done:]...)
	} else {
		x.text = raw
	}
	more := x.text[done:]
	if x.block.branch == filterARM {
		unfilterARM(more, x.block.start+uint32(done-x.from))
	}
	switch x.check {
	case xzCheckCRC32:
		x.crc32 = crc32.Update(x.crc32, crc32.IEEETable, more)
	case xzCheckCRC64:
		x.crc64 = crc64.Update(x.crc64, crc64ECMA(), more)
	}
}

func parseXZBlock(b []byte) (h xzBlock, err error) {
	h.size = (int(b[0]) + 1) * 4
	if len(b) < h.size || crc32.ChecksumIEEE(b[:h.size-4]) != le32(b[h.size-4:]) {
		return h, errXZ
	}
	flags, p := b[1], b[2:h.size-4]
	if flags&0x3c != 0 {
		return h, errXZFilter
	}
	if flags&0x40 != 0 {
		if _, p, err = xzVLI(p); err != nil {
			return h, err
		}
	}
	if flags&0x80 != 0 {
		if h.unpacked, p, err = xzVLI(p); err != nil {
			return h, err
		}
	}
	return h, h.filters(p, int(flags&3)+1)
}

// filters reads the filter list: at most one branch filter before LZMA2.
func (h *xzBlock) filters(p []byte, n int) error {
	for i := range n {
		id, q, err := xzVLI(p)
		if err != nil {
			return err
		}
		size, q, err := xzVLI(q)
		if err != nil || size > uint64(len(q)) {
			return errXZ
		}
		props := q[:size]
		p = q[size:]
		switch last := i == n-1; {
		case last && id == filterLZMA2 && size == 1:
			return nil
		case !last && i == 0 && n == 2 && (id == filterARM || id == filterARMT):
			h.branch = byte(id)
			if size == 4 {
				h.start = le32(props)
			}
		default:
			return errXZFilter
		}
	}
	return errXZFilter
}

// xzVLI reads a number of seven bits a byte, lowest first.
func xzVLI(p []byte) (uint64, []byte, error) {
	for i := range p {
		if i == xzMaxVLIBytes {
			break
		}
		if p[i]&0x80 == 0 {
			v, _ := binary.Uvarint(p[:i+1])
			return v, p[i+1:], nil
		}
	}
	return 0, nil, errXZ
}

// unfilterARM turns the absolute targets of BL instructions back to relative.
func unfilterARM(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		if b[i+3] != 0xeb {
			continue
		}
		t := uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16
		t = (t<<2 - (start + uint32(i) + 8)) >> 2
		b[i], b[i+1], b[i+2] = byte(t), byte(t>>8), byte(t>>16)
	}
}
