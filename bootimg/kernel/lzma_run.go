package kernel

import "encoding/binary"

// The hot part of the LZMA decoder. Decisions that are mostly foreseen branch;
// the bits of literals, lengths and distances, which nobody foresees, are
// decoded by conditional moves, with both possible next probabilities at hand.

// coder is the range coder; it is passed and returned by value, so that it
// stays in registers.
type coder struct {
	rng, code uint32
	pos       int
}

// next takes a byte of input when the range has become small. It comes before
// each decision.
func (c coder) next(in []byte) coder {
	if c.rng < 1<<24 {
		c.rng <<= 8
		c.code = c.code<<8 | uint32(in[c.pos])
		c.pos++
	}
	return c
}

// decide decodes a decision that is mostly foreseen, by a branch.
func (c coder) decide(p *uint16) (coder, bool) {
	q := uint32(*p)
	bound := c.rng >> 11 * q
	if c.code < bound {
		c.rng = bound
		*p = uint16(q + (1<<11-q)>>5)
		return c, false
	}
	c.rng -= bound
	c.code -= bound
	*p = uint16(q - q>>5)
	return c, true
}

// split decides one bit without a branch: bit is the bit, q the choice of q0 and
// q1 by it, and np what p becomes.
func (c coder) split(p, q0, q1 uint32) (n coder, q, np uint32, bit uint32) {
	bound := c.rng >> 11 * p
	n, q = coder{c.rng - bound, c.code - bound, c.pos}, q1
	k := p
	if c.code < bound {
		n.rng, n.code, q, k = bound, c.code, q0, p-2017
	}
	if c.code >= bound {
		bit = 1
	}
	return n, q, p - uint32(int32(k)>>5), bit
}

// norm takes the next byte, which is the first of w.
func (c coder) norm(w uint64) (coder, uint64) {
	if c.rng < 1<<24 {
		return coder{c.rng << 8, c.code<<8 | uint32(w>>56), c.pos + 1}, w << 8
	}
	return c, w
}

// ahead is the input that one tree may take: eight bits need at most eight bytes.
func ahead(in []byte, pos int) uint64 { return binary.BigEndian.Uint64(in[pos:]) }

// tree8 decodes eight bits, highest first.
func (c coder) tree8(p *[0x100]uint16, w uint64) (uint32, coder) {
	m := uint32(1)
	q := uint32(p[1])
	var t, bit uint32
	for range 7 {
		c, w = c.norm(w)
		q0, q1 := uint32(p[(2*m)&0xff]), uint32(p[(2*m+1)&0xff])
		c, q, t, bit = c.split(q, q0, q1)
		p[m&0xff] = uint16(t)
		m = m<<1 + bit
	}
	c, _ = c.norm(w)
	c, _, t, bit = c.split(q, 0, 0)
	p[m&0xff] = uint16(t)
	return m<<1 + bit - 0x100, c
}

// tree6 decodes six bits, highest first.
func (c coder) tree6(p *[64]uint16, w uint64) (uint32, coder) {
	m := uint32(1)
	q := uint32(p[1])
	var t, bit uint32
	for range 5 {
		c, w = c.norm(w)
		q0, q1 := uint32(p[(2*m)&63]), uint32(p[(2*m+1)&63])
		c, q, t, bit = c.split(q, q0, q1)
		p[m&63] = uint16(t)
		m = m<<1 + bit
	}
	c, _ = c.norm(w)
	c, _, t, bit = c.split(q, 0, 0)
	p[m&63] = uint16(t)
	return m<<1 + bit - 64, c
}

// tree3 decodes three bits, highest first.
func (c coder) tree3(p *[8]uint16, w uint64) (uint32, coder) {
	c, w = c.norm(w)
	c, q, t, m := c.split(uint32(p[1]), uint32(p[2]), uint32(p[3]))
	p[1] = uint16(t)
	m += 2
	c, w = c.norm(w)
	c, q, t, bit := c.split(q, uint32(p[(2*m)&7]), uint32(p[(2*m+1)&7]))
	p[m&7] = uint16(t)
	m = 2*m + bit
	c, _ = c.norm(w)
	c, _, t, bit = c.split(q, 0, 0)
	p[m&7] = uint16(t)
	return m<<1 + bit - 8, c
}

// reverse decodes n bits, at most five, lowest first.
func (c coder) reverse(p *[64]uint16, w uint64, n uint32) (uint32, coder) {
	m := uint32(1)
	var sym, t, bit uint32
	q := uint32(p[1])
	for i := range n {
		c, w = c.norm(w)
		c, q, t, bit = c.split(q, uint32(p[2*m&63]), uint32(p[(2*m+1)&63]))
		p[m&63] = uint16(t)
		m = m<<1 + bit
		sym += bit << (i & 31)
	}
	return sym, c
}

// reverse4 decodes four bits, lowest first.
func (c coder) reverse4(p *[16]uint16, w uint64) (uint32, coder) {
	m := uint32(1)
	q := uint32(p[1])
	var bit, t, sym uint32
	for i := range 3 {
		c, w = c.norm(w)
		q0, q1 := uint32(p[(2*m)&15]), uint32(p[(2*m+1)&15])
		c, q, t, bit = c.split(q, q0, q1)
		p[m&15] = uint16(t)
		m = m<<1 + bit
		sym += bit << (i & 31)
	}
	c, _ = c.norm(w)
	c, _, t, bit = c.split(q, 0, 0)
	p[m&15] = uint16(t)
	return sym + bit<<3, c
}

// matched decodes a byte with the byte under the last distance as hint: while
// all bits agree with the hint, the probabilities are those of its bits.
func (c coder) matched(p *[0x300]uint16, hint uint32, w uint64) (uint32, coder) {
	m, offs, h := uint32(1), uint32(0x100), hint<<1
	var t, bit uint32
	at := offs + h&offs + 1
	q := uint32(p[at])
	for range 7 {
		c, w = c.norm(w)
		hb := h & offs
		h <<= 1
		f0, f1 := offs&^hb, hb
		a0, a1 := f0+h&f0+2*m, f1+h&f1+2*m+1
		q0, q1 := uint32(p[a0]), uint32(p[a1])
		c, q, t, bit = c.split(q, q0, q1)
		p[at] = uint16(t)
		m = m<<1 + bit
		offs = hb ^ offs&(bit-1)
		at = a0 ^ (a0^a1)&-bit
	}
	c, _ = c.norm(w)
	c, _, t, bit = c.split(q, 0, 0)
	p[at] = uint16(t)
	return m<<1 + bit, c
}

// direct decodes n bits of even odds.
func (c coder) direct(n uint32, in []byte) (uint32, coder) {
	var v uint32
	for range n {
		c = c.next(in)
		c.rng >>= 1
		less, bit := c.code-c.rng, uint32(0)
		if c.code >= c.rng {
			bit = 1
		}
		if c.code >= c.rng {
			c.code = less
		}
		v = v<<1 + bit
	}
	return v, c
}

// distance decodes how far back a match lies, less one.
func (d *lzma) distance(length uint32, c coder) (uint32, coder) {
	slot, c := c.tree6(&d.slot[min(length, 3)], ahead(d.in, c.pos))
	if slot < 4 {
		return slot, c
	}
	n := slot>>1 - 1
	dist := (2 | slot&1) << (n & 31)
	if slot < 14 {
		v, c := c.reverse((*[64]uint16)(d.special[dist-slot:]), ahead(d.in, c.pos), n)
		return dist + v, c
	}
	hi, c := c.direct(n-4, d.in)
	lo, c := c.reverse4(&d.align, ahead(d.in, c.pos))
	return dist + hi<<4 + lo, c
}

// length decodes the length of a match.
func (l *lenProbs) length(posState int, c coder, in []byte) (int, coder) {
	c, one := c.next(in).decide(&l.choice)
	if !one {
		v, c := c.tree3(&l.low[posState&15], ahead(in, c.pos))
		return int(v) + 2, c
	}
	c, one = c.next(in).decide(&l.choice2)
	if !one {
		v, c := c.tree3(&l.mid[posState&15], ahead(in, c.pos))
		return int(v) + 10, c
	}
	v, c := c.tree8(&l.high, ahead(in, c.pos))
	return int(v) + 18, c
}

// run decodes until out holds end bytes or more, or the end marker comes. This
// loop is most of the time it takes to open a kernel.
func (d *lzma) run(end int) (done bool, err error) {
	d.room(end)
	out, n := d.out[:cap(d.out)], len(d.out)
	in, state := d.in, d.state
	c := coder{d.rng, d.code, d.pos}
	rep0 := d.rep[0]
	posMask, lpMask, lc := 1<<d.pb-1, 1<<d.lp-1, d.lc
	defer func() { d.out = d.out[:n] }()
	for n < end {
		if c.pos > d.end {
			return false, errEnd
		}
		posState := (n - d.base) & posMask
		var one bool
		c, one = c.next(in).decide(&d.isMatch[state&15][posState&15])
		if !one {
			prev := 0
			if n > d.base {
				prev = int(out[n-1])
			}
			i := (n-d.base)&lpMask<<lc | prev>>(8-lc)
			probs := (*[0x300]uint16)(d.literal[0x300*i:])
			var m uint32
			if state >= 7 {
				back := int(rep0) + 1
				if back > n-d.base {
					return false, errLZMA
				}
				m, c = c.matched(probs, uint32(out[n-back]), ahead(in, c.pos))
			} else {
				m, c = c.tree8((*[0x100]uint16)(probs[:]), ahead(in, c.pos))
			}
			out[n] = byte(m)
			n++
			state = lzmaAfterLiteral[state&15]
			continue
		}
		var length int
		c, one = c.next(in).decide(&d.isRep[state&15])
		if !one {
			d.rep[3], d.rep[2], d.rep[1] = d.rep[2], d.rep[1], rep0
			length, c = d.matchLen.length(posState, c, in)
			rep0, c = d.distance(uint32(length)-2, c)
			if rep0 == lzmaEndMarker {
				c = c.next(in)
				d.rng, d.code, d.pos, d.state, d.rep[0] = c.rng, c.code, c.pos, state, rep0
				return true, nil
			}
			if state < 7 {
				state = 7
			} else {
				state = 10
			}
		} else {
			c, one = c.next(in).decide(&d.isRepG[0][state&15])
			if !one {
				c, one = c.next(in).decide(&d.isRep0Long[state&15][posState&15])
				if !one {
					length = 1
				}
			} else {
				c, one = c.next(in).decide(&d.isRepG[1][state&15])
				if !one {
					rep0, d.rep[1] = d.rep[1], rep0
				} else {
					c, one = c.next(in).decide(&d.isRepG[2][state&15])
					r := d.rep[2]
					if one {
						r = d.rep[3]
						d.rep[3] = d.rep[2]
					}
					d.rep[2], d.rep[1], rep0 = d.rep[1], rep0, r
				}
			}
			after := 9
			if length == 0 {
				length, c = d.repLen.length(posState, c, in)
				after = 8
			}
			if state >= 7 {
				after = 11
			}
			state = after
		}
		back := int(rep0) + 1
		if back > n-d.base {
			return false, errLZMA
		}
		lzmaCopy(out, n, back, length)
		n += length
	}
	c = c.next(in)
	d.rng, d.code, d.pos, d.state, d.rep[0] = c.rng, c.code, c.pos, state, rep0
	return false, nil
}

// lzmaCopy repeats length bytes from back bytes before n. It may write up to
// 15 bytes too many, which the slack has room for.
func lzmaCopy(out []byte, n, back, length int) {
	if back >= 16 {
		for i := 0; i < length; i += 16 {
			*(*[16]byte)(out[n+i:]) = *(*[16]byte)(out[n+i-back:])
		}
		return
	}
	for i := range length {
		out[n+i] = out[n+i-back]
	}
}
