package deflate

import (
	"encoding/binary"
	"io"
	"slices"
)

// Block types (RFC 1951, 3.2.3).
const (
	storedBlock  = 0
	staticBlock  = 1
	dynamicBlock = 2
)

// block collects symbols until they are written as a block.
type block struct {
	w     io.Writer
	syms  []uint32 // distance<<16 | length-3, or the literal
	limit int      // symbols of a block
	dists int      // matches among them
	lit   [litCodes]uint32
	dist  [distCodes]uint32

	tree     builder
	litCode  [litCodes]code
	distCode [distCodes]code

	out  []byte
	acc  uint64 // bits not yet in out, the first lowest
	bits uint   // how many, less than 8 between symbols
}

func (b *block) begin(w io.Writer, limit int) {
	if cap(b.syms) < limit {
		b.syms = make([]uint32, 0, limit)
	}
	b.w, b.limit, b.out, b.acc, b.bits = w, limit, b.out[:0], 0, 0
	b.clear()
}

func (b *block) clear() {
	b.syms, b.dists = b.syms[:0], 0
	clear(b.lit[:])
	clear(b.dist[:])
	b.lit[endBlock] = 1
}

// literal takes a byte, and reports whether the block must end.
//
//go:norace
func (z *Writer) literal(c byte) (full bool) {
	b := &z.block
	b.syms = append(b.syms, uint32(c))
	b.lit[c]++
	return len(b.syms) == b.limit || len(b.syms)&0xfff == 0 && z.pays()
}

// match takes a match, and reports whether the block must end.
//
//go:norace
func (z *Writer) match(dist, length int) (full bool) {
	b := &z.block
	b.syms = append(b.syms, uint32(dist)<<16|uint32(length-minMatch))
	b.lit[firstLen+int(lenCode[uint8(length-minMatch)])]++
	b.dist[codeOf(uint32(dist-1))]++
	b.dists++
	return len(b.syms) == b.limit || len(b.syms)&0xfff == 0 && z.pays()
}

// pays is GNU gzip's guess, each 4096 symbols above level 2, whether the block
// is better ended here: when matches are few and the block shrinks to less than
// half. At that moment strStart is where the last symbol was weighed.
func (z *Writer) pays() bool {
	if !z.flavour.gnu() || z.level <= 2 {
		return false
	}
	size := 8 * len(z.syms)
	for c, f := range z.dist {
		size += int(f) * (5 + int(distExtra[c]))
	}
	return z.dists < len(z.syms)/2 && size>>3 < (z.strStart-z.blockStart)/2
}

// flush writes the symbols as the block that comes out shortest. plain is what
// they stand for, size bytes, nil when it is no longer at hand.
func (b *block) flush(plain []byte, size int, last bool) error {
	lastLit, best, static := b.tree.build(&literals, b.lit[:], b.litCode[:])
	lastDist, n, m := b.tree.build(&distances, b.dist[:], b.distCode[:])
	best, static = best+n, static+m
	var t codeLengths
	best += t.plan(&b.tree, b.litCode[:lastLit+1], b.distCode[:lastDist+1])
	bestBytes, staticBytes := (best+3+7)>>3, (static+3+7)>>3
	if staticBytes <= bestBytes {
		bestBytes = staticBytes
	}
	final := uint32(0)
	if last {
		final = 1
	}
	b.out = slices.Grow(b.out, bestBytes+16)
	switch {
	case size+4 <= bestBytes && plain != nil:
		b.store(plain, final)
	case staticBytes == bestBytes:
		b.put(staticBlock<<1|final, 3)
		b.write(staticLit, staticDist)
	default:
		b.put(dynamicBlock<<1|final, 3)
		t.write(b)
		b.write(b.litCode[:], b.distCode[:])
	}
	b.clear()
	if last {
		b.align()
	}
	return b.drain()
}

// sync writes an empty stored block.
func (z *Writer) sync() {
	z.store(nil, 0)
	if err := z.drain(); err != nil && z.err == nil {
		z.err = err
	}
}

func (b *block) store(plain []byte, final uint32) {
	b.put(storedBlock<<1|final, 3)
	b.align()
	n := uint16(len(plain))
	b.out = binary.LittleEndian.AppendUint16(b.out, n)
	b.out = binary.LittleEndian.AppendUint16(b.out, ^n)
	b.out = append(b.out, plain...)
}

// put appends up to 16 bits.
func (b *block) put(v uint32, n uint) {
	b.acc |= uint64(v) << b.bits
	b.bits += n
	for b.bits >= 8 {
		b.out = append(b.out, byte(b.acc))
		b.acc >>= 8
		b.bits -= 8
	}
}

// align fills up the last byte with zeros.
func (b *block) align() {
	if b.bits > 0 {
		b.out = append(b.out, byte(b.acc))
	}
	b.acc, b.bits = 0, 0
}

func (b *block) drain() error {
	_, err := b.w.Write(b.out)
	b.out = b.out[:0]
	return err
}

// write writes the symbols and the end of the block. Room for them is there.
//
//go:norace
func (b *block) write(lit, dist []code) {
	out, acc, n := b.out[:cap(b.out)], b.acc, b.bits
	at := len(b.out)
	lits, dists := (*[litCodes]code)(lit), (*[distCodes]code)(dist)
	for _, s := range b.syms {
		if n >= 16 { // a match takes 48 bits at most
			binary.LittleEndian.PutUint64(out[at:], acc)
			at += int(n >> 3)
			acc >>= n &^ 7
			n &= 7
		}
		c := s & 0xffff
		if s < 1<<16 {
			k := lits[uint8(c)]
			acc |= uint64(k.bits) << n
			n += uint(k.n)
			continue
		}
		i := lenCode[uint8(c)]
		k := lits[firstLen+int(i)]
		acc |= uint64(k.bits) << n
		n += uint(k.n)
		acc |= uint64(uint8(c)-lenBase[i]) << n
		n += uint(lenExtra[i])
		d := s>>16 - 1
		j := codeOf(d)
		k = dists[j]
		acc |= uint64(k.bits) << n
		n += uint(k.n)
		acc |= uint64(d-uint32(distBase[j])) << n
		n += uint(distExtra[j])
	}
	for ; n >= 8; n -= 8 {
		out[at] = byte(acc)
		at++
		acc >>= 8
	}
	b.out, b.acc, b.bits = out[:at], acc, n
	b.put(uint32(lits[endBlock].bits), uint(lits[endBlock].n))
}

// codeLengths are the lengths of a dynamic block's codes, packed.
type codeLengths struct {
	lits, dists int
	syms        []lenSym
	codes       [lenCodes]code
	sent        int // lengths of codes that are sent
}

// lenSym is a code length or a repetition, with its extra bits.
type lenSym struct{ sym, extra uint8 }

// plan packs the lengths and returns the bits they take.
func (t *codeLengths) plan(b *builder, lit, dist []code) int {
	t.lits, t.dists = len(lit), len(dist)
	t.syms = make([]lenSym, 0, litCodes+distCodes)
	t.scan(lit)
	t.scan(dist)
	var freq [lenCodes]uint32
	for _, s := range t.syms {
		freq[s.sym]++
	}
	_, n, _ := b.build(&lengths, freq[:], t.codes[:])
	for t.sent = lenCodes; t.sent > 4 && t.codes[lenOrder[t.sent-1]].n == 0; t.sent-- {
	}
	return n + 3*t.sent + 5 + 5 + 4
}

// scan packs the lengths of one code: a run is cut where zlib cuts it.
func (t *codeLengths) scan(codes []code) {
	prev := -1
	for i := 0; i < len(codes); {
		cur := int(codes[i].n)
		most, least := 7, 4
		switch cur {
		case 0:
			most, least = 138, 3
		case prev:
			most, least = 6, 3
		}
		n := 1
		for n < most && i+n < len(codes) && int(codes[i+n].n) == cur {
			n++
		}
		i += n
		t.run(cur, prev, n, least)
		prev = cur
	}
}

// run packs n codes of length cur that follow one of length prev.
func (t *codeLengths) run(cur, prev, n, least int) {
	switch {
	case n < least:
		for range n {
			t.syms = append(t.syms, lenSym{sym: uint8(cur)})
		}
	case cur != 0:
		if cur != prev {
			t.syms = append(t.syms, lenSym{sym: uint8(cur)})
			n--
		}
		t.syms = append(t.syms, lenSym{repLast, uint8(n - 3)})
	case n <= 10:
		t.syms = append(t.syms, lenSym{repZeros, uint8(n - 3)})
	default:
		t.syms = append(t.syms, lenSym{repMore, uint8(n - 11)})
	}
}

// write writes the counts, the third code, and the lengths of both others in it.
func (t *codeLengths) write(b *block) {
	b.put(uint32(t.lits-firstLen), 5)
	b.put(uint32(t.dists-1), 5)
	b.put(uint32(t.sent-4), 4)
	for _, s := range lenOrder[:t.sent] {
		b.put(uint32(t.codes[s].n), 3)
	}
	for _, s := range t.syms {
		c := t.codes[s.sym]
		b.put(uint32(c.bits), uint(c.n))
		b.put(uint32(s.extra), uint(repExtra[s.sym]))
	}
}
