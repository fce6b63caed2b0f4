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

// What an instruction of the fast loop reads and writes at most, with the words
// that it copies too far. The loop stays away so far from the ends of both
// buffers.
const (
	srcSlack = 24
	dstSlack = 56
)

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
	for ip < len(src)-srcSlack && op < len(dst)-dstSlack {
		var length, dist, tail int
		switch in := int(src[ip]); {
		case in >= 64:
			length, dist, tail = in>>5+1, int(src[ip+1])<<3+in>>2&7+1, in&3
			ip += 2
		case in > 32:
			w := int(le.Uint16(src[ip+1:]))
			length, dist, tail = in&31+2, w>>2+1, w&3
			ip += 3
		case in < 16 && in > 0 && state == 0:
			le.PutUint64(dst[op:], le.Uint64(src[ip+1:]))
			le.PutUint64(dst[op+8:], le.Uint64(src[ip+9:]))
			le.PutUint16(dst[op+16:], le.Uint16(src[ip+17:]))
			ip += 1 + in + 3
			op += in + 3
			state = 4
			continue
		default:
			d.ip, d.op = ip, op
			next, err := d.step(state)
			if err != nil || next == ended {
				return err
			}
			state, ip, op = next, d.ip, d.op
			continue
		}
		if dist > op {
			return damaged(ip, "a match before the start of the output")
		}
		repeat(dst[op-dist:op+length+8], dist, length)
		op += length
		le.PutUint32(dst[op:], le.Uint32(src[ip:])) // tail of them count
		ip += tail
		op += tail
		state = tail
	}
	d.ip, d.op = ip, op
	return d.rest(state)
}

var le = binary.LittleEndian

// repeat copies length bytes from the start of b to dist, up to seven more being
// spoilt.
func repeat(b []byte, dist, length int) {
	to := b[dist:]
	if dist >= 8 {
		le.PutUint64(to, le.Uint64(b))
		for i := 8; i < length; i += 8 {
			le.PutUint64(to[i:], le.Uint64(b[i:]))
		}
		return
	}
	// The bytes are a pattern that repeats itself inside the word.
	v := le.Uint64(b) & (1<<(8*dist) - 1) * spread[dist]
	for i := 0; i < length; i += int(stride[dist]) {
		le.PutUint64(to[i:], v)
	}
}

// spread multiplies a pattern of some bytes until it fills a word; stride is how
// much of the word then is whole patterns.
var (
	spread = [8]uint64{0, 0x0101010101010101, 0x0001000100010001, 0x0001000001000001, 0x0000000100000001, 0x0000010000000001, 0x0001000000000001, 0x0100000000000001}
	stride = [8]uint8{8, 8, 8, 6, 8, 5, 6, 7}
)

// rest does what the fast loop left.
func (d *decoder) rest(state int) error {
	for d.ip < len(d.src) {
		next, err := d.step(state)
		if err != nil || next == ended {
			return err
		}
		state = next
	}
	return damaged(d.ip, "the end of the input before the end mark")
}

// ended is the state after the end mark.
const ended = -1

// step does one instruction of any kind and returns the state after it.
func (d *decoder) step(state int) (int, error) {
	op := int(d.src[d.ip])
	d.ip++
	if op < 16 && state == 0 {
		n, err := d.length(op, 15)
		if err != nil {
			return 0, err
		}
		return 4, d.literals(n + 3)
	}
	length, dist, tail, err := d.match(op, state)
	if err != nil {
		return 0, err
	}
	if length == 0 {
		return ended, d.end()
	}
	if err := d.copyBack(dist, length); err != nil {
		return 0, err
	}
	return tail, d.literals(tail)
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
