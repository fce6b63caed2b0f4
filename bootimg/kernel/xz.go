package kernel

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/crc64"
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
func unxz(b []byte, limit int) ([]byte, int, error) {
	if len(b) < xzHeaderSize || string(b[:6]) != xzMagic || b[6] != 0 || crc32.ChecksumIEEE(b[6:8]) != le32(b[8:]) {
		return nil, 0, errXZ
	}
	check := b[7] & 15
	d := newLZMA(b, limit)
	d.pos = xzHeaderSize
	for {
		if d.pos >= d.end {
			return d.out, d.pos, errEnd
		}
		if d.in[d.pos] == 0 { // the index: no more blocks
			return d.out, d.pos, nil
		}
		if err := d.xzBlock(check); err != nil {
			return d.out, d.pos, err
		}
	}
}

func (d *lzma) xzBlock(check byte) error {
	h, err := parseXZBlock(d.in[d.pos:d.end])
	if err != nil {
		return err
	}
	if h.unpacked > uint64(d.limit-len(d.out)) {
		return errBig
	}
	d.pos += h.size
	begin, from := d.pos, len(d.out)
	if err := d.unlzma2(); err != nil {
		return err
	}
	for (d.pos-begin)%4 != 0 && d.pos < d.end {
		d.pos++
	}
	if h.branch != 0 && h.branch != filterARM {
		return errXZFilter
	}
	if h.branch == filterARM {
		unfilterARM(d.out[from:], h.start)
	}
	return d.xzCheck(check, d.out[from:])
}

// xzCheck compares and skips the check behind a block. Kernels carry CRC32.
func (d *lzma) xzCheck(check byte, data []byte) error {
	size := int(check+2) / 3
	if size > 0 {
		size = 4 << (size - 1)
	}
	if d.end-d.pos < size {
		return errEnd
	}
	got := d.in[d.pos:]
	d.pos += size
	if check == xzCheckCRC32 && crc32.ChecksumIEEE(data) != le32(got) ||
		check == xzCheckCRC64 && crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)) != le64(got) {
		return errXZCheck
	}
	return nil
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
