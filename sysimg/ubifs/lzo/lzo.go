// Package lzo compresses and decompresses LZO1X blocks, the form in which UBIFS
// keeps most of its data.
//
//	z := lzo.NewCompressor()
//	packed := z.Append(nil, block)
//	n, err := lzo.Decompress(out, packed)
//
// A block is bare: no header, no length, no checksum; it ends with the marker
// 11 00 00. The length of the unpacked block must be known from outside. The
// compressor writes what every LZO1X decoder accepts (the Linux kernel's too),
// searches further than LZO1X-1 and chooses each match by what it saves, so its
// blocks lie between those of lzop -1 and lzop -9. The same input always gives
// the same bytes.
//
// Limits: LZO1X only, bitstream version 0 (not lzo-rle); matches reach back at
// most 49151 bytes, as the format has it.
//
// Source of the format: Documentation/staging/lzo.rst of the Linux kernel, a
// description of the instruction set from its decoder's point of view.
package lzo

import (
	"encoding/binary"
	"fmt"

	"mtkport"
)

// Distances that the four kinds of match reach (bytes back).
const (
	m1Reach = 1 << 10 // two bytes after one to three literals
	m2Reach = 1 << 11
	m3Reach = 1 << 14
	m4Reach = 49151
)

func damaged(off int, what string) error {
	return &mtkport.Error{Off: int64(off), Field: "lzo block", Found: what, Err: mtkport.ErrDamaged}
}

// Decompress unpacks the block src into dst and returns how many bytes it made.
// It fails with an error of class ErrDamaged, never a panic, when src is broken
// or makes more than len(dst) bytes; dst may then be partly written.
func Decompress(dst, src []byte) (int, error) {
	d := decoder{dst: dst, src: src}
	if err := d.run(); err != nil {
		return d.op, err
	}
	return d.op, nil
}

type decoder struct {
	dst, src []byte
	ip, op   int
}

// run is the instruction loop. state is how many literals the last instruction
// ended with: 0, 1 to 3, or 4 for a long run. What stands out here instead of in
// match, literals and copyBack is what most instructions are: it is where the
// time goes when a file system is read.
func (d *decoder) run() error {
	state := 0
	if len(d.src) > 0 && d.src[0] > 17 {
		n := int(d.src[0]) - 17
		d.ip = 1
		if err := d.literals(n); err != nil {
			return err
		}
		state = min(n, 4)
	}
	dst, src, ip, op := d.dst, d.src, d.ip, d.op
	for ip < len(src)-slack && op < len(dst)-slack {
		var length, dist, tail int
		switch in := int(src[ip]); {
		case in >= 64:
			length, dist, tail = in>>5+1, int(src[ip+1])<<3+in>>2&7+1, in&3
			ip += 2
		case in > 32:
			w := int(src[ip+1]) | int(src[ip+2])<<8
			length, dist, tail = in&31+2, w>>2+1, w&3
			ip += 3
		case in < 16 && in > 0 && state == 0:
			binary.LittleEndian.PutUint64(dst[op:], binary.LittleEndian.Uint64(src[ip+1:]))
			binary.LittleEndian.PutUint64(dst[op+8:], binary.LittleEndian.Uint64(src[ip+9:]))
			dst[op+16], dst[op+17] = src[ip+17], src[ip+18]
			ip += 1 + in + 3
			op += in + 3
			state = 4
			continue
		default:
			d.ip, d.op = ip, op
			more, err := d.step(&state)
			if err != nil || !more {
				return err
			}
			ip, op = d.ip, d.op
			continue
		}
		if dist > op || op+length > len(dst)-slack {
			d.ip, d.op = ip, op
			if err := d.copyBack(dist, length); err != nil {
				return err
			}
		} else {
			repeat(dst, op, dist, length)
		}
		op += length
		if tail > 0 {
			if op > len(dst)-slack || ip > len(src)-slack {
				d.ip, d.op = ip, op
				if err := d.literals(tail); err != nil {
					return err
				}
			} else {
				binary.LittleEndian.PutUint32(dst[op:], binary.LittleEndian.Uint32(src[ip:]))
			}
			ip += tail
			op += tail
		}
		state = tail
	}
	d.ip, d.op = ip, op
	return d.rest(state)
}

// slack is how far the fast loop stays away from the ends of both buffers, so
// that it can copy in words.
const slack = 24

// repeat copies length bytes from dist back, up to seven more being spoilt.
func repeat(dst []byte, op, dist, length int) {
	from := op - dist
	if dist < 8 {
		for i := range length {
			dst[op+i] = dst[from+i]
		}
		return
	}
	for i := 0; i < length; i += 8 {
		binary.LittleEndian.PutUint64(dst[op+i:], binary.LittleEndian.Uint64(dst[from+i:]))
	}
}

// rest does what the fast loop left.
func (d *decoder) rest(state int) error {
	for d.ip < len(d.src) {
		more, err := d.step(&state)
		if err != nil || !more {
			return err
		}
	}
	return damaged(d.ip, "the end of the input before the end mark")
}

// step does one instruction of any kind; false after the end mark.
func (d *decoder) step(state *int) (bool, error) {
	op := int(d.src[d.ip])
	d.ip++
	if op < 16 && *state == 0 {
		n, err := d.length(op, 15)
		if err != nil {
			return false, err
		}
		*state = 4
		return true, d.literals(n + 3)
	}
	length, dist, tail, err := d.match(op, *state)
	if err != nil {
		return false, err
	}
	if length == 0 {
		return false, d.end()
	}
	if err := d.copyBack(dist, length); err != nil {
		return false, err
	}
	*state = tail
	return true, d.literals(tail)
}

// end checks that nothing follows the end mark.
func (d *decoder) end() error {
	if d.ip != len(d.src) {
		return damaged(d.ip, fmt.Sprintf("%d bytes after the end mark", len(d.src)-d.ip))
	}
	return nil
}

// match decodes the instruction op; length 0 is the end mark.
func (d *decoder) match(op, state int) (length, dist, tail int, err error) {
	switch {
	case op >= 64: // M2
		h, err := d.byte()
		return op>>5 + 1, h<<3 + op>>2&7 + 1, op & 3, err
	case op >= 32: // M3
		if length, err = d.length(op&31, 31); err != nil {
			return 0, 0, 0, err
		}
		w, err := d.word()
		return length + 2, w>>2 + 1, w & 3, err
	case op >= 16: // M4
		if length, err = d.length(op&7, 7); err != nil {
			return 0, 0, 0, err
		}
		w, err := d.word()
		dist = m3Reach + (op&8)<<11 + w>>2
		if dist == m3Reach {
			return 0, 0, 0, err
		}
		return length + 2, dist, w & 3, err
	}
	h, err := d.byte()
	if state == 4 {
		return 3, h<<2 + op>>2 + 1 + m2Reach, op & 3, err
	}
	return 2, h<<2 + op>>2 + 1, op & 3, err
}

// length extends a length field of zero by what follows it.
func (d *decoder) length(n, base int) (int, error) {
	if n != 0 {
		return n, nil
	}
	n = base
	for d.ip < len(d.src) {
		b := int(d.src[d.ip])
		d.ip++
		if b != 0 {
			return n + b, nil
		}
		if n += 255; n > len(d.dst) {
			return 0, damaged(d.ip, "a length beyond the output")
		}
	}
	return 0, damaged(d.ip, "the end of the input in a length")
}

func (d *decoder) byte() (int, error) {
	if d.ip >= len(d.src) {
		return 0, damaged(d.ip, "the end of the input in an instruction")
	}
	b := int(d.src[d.ip])
	d.ip++
	return b, nil
}

func (d *decoder) word() (int, error) {
	if d.ip+2 > len(d.src) {
		return 0, damaged(d.ip, "the end of the input in an instruction")
	}
	w := int(d.src[d.ip]) | int(d.src[d.ip+1])<<8
	d.ip += 2
	return w, nil
}

func (d *decoder) literals(n int) error {
	if n > len(d.src)-d.ip {
		return damaged(d.ip, "the end of the input in literals")
	}
	if n > len(d.dst)-d.op {
		return damaged(d.ip, "literals beyond the output")
	}
	copy(d.dst[d.op:], d.src[d.ip:d.ip+n])
	d.ip += n
	d.op += n
	return nil
}

func (d *decoder) copyBack(dist, n int) error {
	if dist > d.op {
		return damaged(d.ip, "a match before the start of the output")
	}
	if n > len(d.dst)-d.op {
		return damaged(d.ip, "a match beyond the output")
	}
	from := d.op - dist
	if dist >= n {
		copy(d.dst[d.op:d.op+n], d.dst[from:])
		d.op += n
		return nil
	}
	dst := d.dst[from : d.op+n]
	for i := dist; i < len(dst); i++ { // the match overlaps what it makes
		dst[i] = dst[i-dist]
	}
	d.op += n
	return nil
}
