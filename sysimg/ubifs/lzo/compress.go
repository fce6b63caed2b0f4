package lzo

import "encoding/binary"

const (
	hashBits = 12
	maxChain = 24 // candidates looked at for one position
	goodLen  = 48 // a match this long is taken without looking further
	minMatch = 3
)

// Compressor packs blocks; it keeps its tables from one block to the next, not
// their contents. It must not be used from two goroutines at once.
type Compressor struct {
	head [1 << hashBits]int32 // last position + 1 of each hash
	prev []int32              // position -> earlier position + 1 of the same hash
	src  []byte
	out  []byte
	base int // len(out) at the start of the block
	done int // positions below it are in the tables
}

// NewCompressor returns a compressor.
func NewCompressor() *Compressor { return &Compressor{} }

type match struct{ length, dist, gain int }

// Append packs src as one block and appends it to dst, which it returns. A
// block may grow by one byte in 255 and some 20 bytes when src cannot be packed.
func (c *Compressor) Append(dst, src []byte) []byte {
	clear(c.head[:])
	if cap(c.prev) < len(src) {
		c.prev = make([]int32, len(src))
	}
	c.prev = c.prev[:len(src)]
	c.src, c.out, c.base, c.done = src, dst, len(dst), 0
	c.parse()
	out := append(c.out, 0x11, 0, 0)
	c.src, c.out = nil, nil
	return out
}

// parse walks the block with one position of look-ahead: a match gives way when
// the one at the next byte saves more.
func (c *Compressor) parse() {
	lit, pos := 0, 0 // start of pending literals, current position
	last := len(c.src) - minMatch
	for pos <= last {
		m := c.best(pos, pos-lit)
		if m.gain <= 0 {
			pos++
			continue
		}
		for pos < last && m.length < goodLen {
			next := c.best(pos+1, pos+1-lit)
			if next.gain <= m.gain+litCost(pos-lit) {
				break
			}
			m = next
			pos++
		}
		c.literals(lit, pos)
		c.match(m, pos-lit)
		pos += m.length
		lit = pos
	}
	c.literals(lit, len(c.src))
}

// litCost is what one more literal behind n pending ones costs besides itself:
// the fourth one needs an instruction of its own.
func litCost(n int) int {
	if n == 3 {
		return 1
	}
	return 0
}

// insert puts all positions up to and including pos into the tables.
func (c *Compressor) insert(pos int) {
	for ; c.done <= pos; c.done++ {
		h := c.hash(c.done)
		c.prev[c.done] = c.head[h]
		c.head[h] = int32(c.done + 1)
	}
}

func (c *Compressor) hash(pos int) uint32 {
	s := c.src[pos : pos+3 : pos+3]
	v := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16
	return v * 0x9E3779B1 >> (32 - hashBits)
}

// best finds the match at pos that saves most, given lit pending literals.
func (c *Compressor) best(pos, lit int) match {
	c.insert(pos)
	var m match
	src := c.src
	limit := len(src) - pos
	for cand, n := int(c.prev[pos]), 0; cand > 0 && n < maxChain; n++ {
		p := cand - 1
		cand = int(c.prev[p])
		dist := pos - p
		if dist > m4Reach {
			break
		}
		if m.length > 0 && (m.length >= limit || src[p+m.length] != src[pos+m.length]) {
			continue // cannot be longer, and nearer ones came first
		}
		length := matchLen(src[p:], src[pos:])
		if length < minMatch {
			continue
		}
		if g := length - cost(length, dist, lit); g > m.gain {
			m = match{length, dist, g}
		}
		if length >= goodLen || length == limit {
			break
		}
	}
	return m
}

// matchLen counts equal bytes at the start of a and b, where len(a) >= len(b).
func matchLen(a, b []byte) int {
	n := 0
	for len(b)-n >= 8 {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			for x&0xff == 0 {
				x >>= 8
				n++
			}
			return n
		}
		n += 8
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// cost is the size in bytes of the instruction for a match.
func cost(length, dist, lit int) int {
	switch {
	case length <= 8 && dist <= m2Reach:
		return 2
	case length == 3 && lit >= 4 && dist <= m2Reach+m1Reach:
		return 2
	case dist <= m3Reach:
		return 3 + extra(length-2, 31)
	}
	return 3 + extra(length-2, 7)
}

// extra is how many bytes a length needs beyond its field.
func extra(n, field int) int {
	if n <= field {
		return 0
	}
	return (n - field + 254) / 255
}

// literals writes src[from:to] as pending literals.
func (c *Compressor) literals(from, to int) {
	n := to - from
	first := len(c.out) == c.base
	switch {
	case n == 0:
		return
	case first && n <= 238:
		c.out = append(c.out, byte(17+n))
	case n <= 3:
		c.out[len(c.out)-2] |= byte(n)
	case n <= 18:
		c.out = append(c.out, byte(n-3))
	default:
		c.out = append(c.out, 0)
		c.long(n - 18)
	}
	c.out = append(c.out, c.src[from:to]...)
}

// long writes the part of a length that did not fit its field.
func (c *Compressor) long(n int) {
	for ; n > 255; n -= 255 {
		c.out = append(c.out, 0)
	}
	c.out = append(c.out, byte(n))
}

// match writes the instruction for m, which follows lit literals.
func (c *Compressor) match(m match, lit int) {
	d := m.dist - 1
	switch {
	case m.length <= 8 && m.dist <= m2Reach:
		c.out = append(c.out, byte((m.length-1)<<5|d&7<<2), byte(d>>3))
	case m.length == 3 && lit >= 4 && m.dist <= m2Reach+m1Reach:
		d -= m2Reach
		c.out = append(c.out, byte(d&3<<2), byte(d>>2))
	case m.dist <= m3Reach:
		c.field(0x20, m.length-2, 31)
		c.out = append(c.out, byte(d<<2), byte(d>>6))
	default:
		d = m.dist - m3Reach
		c.field(byte(0x10|d>>14<<3), m.length-2, 7)
		c.out = append(c.out, byte(d<<2), byte(d>>6))
	}
}

func (c *Compressor) field(op byte, n, field int) {
	if n <= field {
		c.out = append(c.out, op|byte(n))
		return
	}
	c.out = append(c.out, op)
	c.long(n - field)
}
