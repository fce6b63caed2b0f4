package ramdisk

import "encoding/binary"

// Distances that the kinds of LZO1X matches reach, and the lengths that fit
// their first byte (Documentation/staging/lzo.rst).
const (
	m2Dist, m2Len = 0x800, 8
	m3Dist, m3Len = 0x4000, 33
	m4Dist, m4Len = 0xbfff, 9
)

const lzoHashBits = 14

// lzo1x packs src, greedily, into a stream of LZO1X instructions.
func lzo1x(src []byte) []byte {
	e := &lzoEncoder{src: src, out: make([]byte, 0, len(src)+len(src)/16+64)}
	var table [1 << lzoHashBits]int32 // position + 1
	miss := 0
	for i := 0; i+4 <= len(src); {
		v := binary.LittleEndian.Uint32(src[i:])
		h := v * 2654435761 >> (32 - lzoHashBits)
		at := int(table[h]) - 1
		table[h] = int32(i + 1)
		if at < 0 || i == 0 || i-at > m4Dist || binary.LittleEndian.Uint32(src[at:]) != v {
			miss++
			i += 1 + miss>>5 // long runs without a match are crossed faster
			continue
		}
		miss = 0
		n := 4
		for i+n < len(src) && src[at+n] == src[i+n] {
			n++
		}
		e.literals(i)
		e.match(i-at, n)
		i += n
		e.done = i
	}
	e.literals(len(src))
	return append(e.out, 0x11, 0, 0)
}

// lzoEncoder has written the instructions of src up to done.
type lzoEncoder struct {
	src, out []byte
	done     int
}

// run writes the rest of a length that did not fit its first byte.
func (e *lzoEncoder) run(n int) {
	for ; n > 255; n -= 255 {
		e.out = append(e.out, 0)
	}
	e.out = append(e.out, byte(n))
}

// literals writes the bytes up to end that no match covers. One to three of
// them hide in the low bits of the match before.
func (e *lzoEncoder) literals(end int) {
	n := end - e.done
	switch {
	case n == 0:
		return
	case len(e.out) == 0 && n <= 238:
		e.out = append(e.out, byte(17+n))
	case n <= 3:
		e.out[len(e.out)-2] |= byte(n)
	case n <= 18:
		e.out = append(e.out, byte(n-3))
	default:
		e.out = append(e.out, 0)
		e.run(n - 18)
	}
	e.out = append(e.out, e.src[e.done:end]...)
}

func (e *lzoEncoder) match(dist, n int) {
	switch {
	case n <= m2Len && dist <= m2Dist:
		d := dist - 1
		e.out = append(e.out, byte((n-1)<<5|d&7<<2), byte(d>>3))
	case dist <= m3Dist:
		e.long(0x20, m3Len, n, dist-1)
	default:
		d := dist - m3Dist
		e.long(0x10|byte(d&0x4000>>11), m4Len, n, d&0x3fff)
	}
}

func (e *lzoEncoder) long(op byte, fits, n, dist int) {
	if n <= fits {
		e.out = append(e.out, op|byte(n-2))
	} else {
		e.out = append(e.out, op)
		e.run(n - fits)
	}
	e.out = append(e.out, byte(dist<<2), byte(dist>>6))
}
