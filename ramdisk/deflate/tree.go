package deflate

import "math/bits"

// The alphabets of a deflate block (RFC 1951, 3.2.5 and 3.2.7).
const (
	litCodes  = 286 // bytes, end of block, lengths
	distCodes = 30
	lenCodes  = 19 // of the code lengths
	endBlock  = 256
	firstLen  = 257 // symbol of the first length code

	maxCode    = 15 // bits of a literal or distance code
	maxLenCode = 7
)

// The symbols that repeat code lengths.
const (
	repLast  = 16 // the length before, 3 to 6 times
	repZeros = 17 // 3 to 10
	repMore  = 18 // 11 to 138
)

var (
	lenExtra  = [29]uint8{8: 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distExtra = [distCodes]uint8{4: 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	repExtra  = [lenCodes]uint8{repLast: 2, repZeros: 3, repMore: 7}
	// lenOrder is the order in which the lengths of the third code are sent.
	lenOrder = [lenCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// Tables that follow from those above.
var (
	lenCode  [maxMatch - minMatch + 1]uint8 // by length-3
	lenBase  [29]uint8
	distCode [512]uint8 // by distance-1 below 256; else by 256 + (distance-1)/128
	distBase [distCodes]uint16

	staticLit, staticDist = staticCodes()
)

func init() {
	n := 0
	for c := range lenBase[:28] {
		lenBase[c] = uint8(n)
		for range 1 << lenExtra[c] {
			lenCode[n] = uint8(c)
			n++
		}
	}
	lenCode[255] = 28 // 258 has a code of its own, without extra bits
	lenBase[28] = 255
	n = 0
	for c := range distBase {
		distBase[c] = uint16(n)
		for range 1 << distExtra[c] {
			if n < 256 {
				distCode[n] = uint8(c)
			} else {
				distCode[256+n>>7] = uint8(c)
			}
			n++
		}
	}
}

// codeOf is the distance code of dist-1.
func codeOf(d uint32) uint8 {
	if d < 256 {
		return distCode[d]
	}
	return distCode[(256+d>>7)&511]
}

// code is a Huffman code: the bits, reversed, and how many.
type code struct {
	bits uint16
	n    uint8
}

// alphabet is what a tree is built for.
type alphabet struct {
	symbols int
	max     int     // bits of a code
	first   int     // symbol with the first of extra
	extra   []uint8 // extra bits
	static  []code  // nil when there is no static code
}

var (
	literals  = alphabet{litCodes, maxCode, firstLen, lenExtra[:], staticLit}
	distances = alphabet{distCodes, maxCode, 0, distExtra[:], staticDist}
	lengths   = alphabet{lenCodes, maxLenCode, 0, repExtra[:], nil}
)

func staticCodes() (lit, dist []code) {
	lit, dist = make([]code, 288), make([]code, distCodes)
	var counts [maxCode + 1]int
	for s := range lit {
		n := 8
		switch {
		case s >= 144 && s < 256:
			n = 9
		case s >= 256 && s < 280:
			n = 7
		}
		lit[s].n = uint8(n)
		counts[n]++
	}
	assign(lit, &counts)
	for s := range dist {
		dist[s] = code{reverse(s, 5), 5}
	}
	return lit, dist
}

func reverse(v, n int) uint16 { return bits.Reverse16(uint16(v)) >> (16 - n) }

// assign gives codes to symbols whose lengths are set (RFC 1951, 3.2.2).
func assign(codes []code, counts *[maxCode + 1]int) {
	var next [maxCode + 1]int
	c := 0
	for n := 1; n <= maxCode; n++ {
		c = (c + counts[n-1]) << 1
		next[n] = c
	}
	for s := range codes {
		if n := codes[s].n; n != 0 {
			codes[s].bits = reverse(next[n], int(n))
			next[n]++
		}
	}
}

// heapSize is the number of nodes of the largest tree, and one.
const heapSize = 2*litCodes + 1

// builder makes Huffman trees. Symbols of one frequency are told apart by the
// depth of their subtree, then by their place in the heap: so zlib does, and
// other lengths would be as good.
type builder struct {
	heap  [heapSize]uint16
	count int // in the heap
	top   int // sorted nodes stand in heap[top:]
	key   [heapSize]uint32
	dad   [heapSize]uint16
	len   [heapSize]uint8

	counts [maxCode + 1]int
}

// key of a node: a smaller one is joined first.
func key(freq uint32, depth uint8) uint32 { return freq<<8 | uint32(depth) }

// build makes codes for symbols of these frequencies; it returns the last
// symbol with a code, and the bits that all symbols take with these codes and
// with the static ones. Frequencies of symbols that must have a code are set.
func (b *builder) build(a *alphabet, freq []uint32, codes []code) (last, best, static int) {
	b.count, b.top = 0, heapSize
	last = -1
	for s, f := range freq[:a.symbols] {
		codes[s] = code{}
		if f != 0 {
			last = s
			b.add(s, f)
		}
	}
	// A tree has two codes at least.
	for b.count < 2 {
		s := 0
		if last < 2 {
			last++
			s = last
		}
		freq[s] = 1
		b.add(s, 1)
		best--
		if a.static != nil {
			static -= int(a.static[s].n)
		}
	}
	b.join(a.symbols)
	n, m := b.measure(a, freq, codes, last)
	assign(codes[:last+1], &b.counts)
	return last, best + n, static + m
}

func (b *builder) add(s int, freq uint32) {
	b.count++
	b.heap[b.count] = uint16(s)
	b.key[s] = key(freq, 0)
}

// join combines the two rarest nodes until one is left.
//
//go:norace
func (b *builder) join(node int) {
	for k := b.count / 2; k >= 1; k-- {
		b.sift(k)
	}
	for b.count >= 2 {
		n := b.heap[1]
		b.heap[1] = b.heap[b.count]
		b.count--
		b.sift(1)
		m := b.heap[1]
		b.top -= 2
		b.heap[b.top], b.heap[b.top+1] = m, n
		kn, km := b.key[n], b.key[m]
		b.key[node] = key(kn>>8+km>>8, max(uint8(kn), uint8(km))+1)
		b.dad[n], b.dad[m] = uint16(node), uint16(node)
		b.heap[1] = uint16(node)
		node++
		b.sift(1)
	}
	b.top--
	b.heap[b.top] = b.heap[1]
}

// sift moves a node down to its place.
//
//go:norace
func (b *builder) sift(k int) {
	v := b.heap[k]
	kv := b.key[v]
	for j := 2 * k; j <= b.count; j *= 2 {
		if j < b.count && b.key[b.heap[j+1]] <= b.key[b.heap[j]] {
			j++
		}
		if kv <= b.key[b.heap[j]] {
			break
		}
		b.heap[k] = b.heap[j]
		k = j
	}
	b.heap[k] = v
}

// measure sets the lengths of the codes and counts the bits they take.
//
//go:norace
func (b *builder) measure(a *alphabet, freq []uint32, codes []code, last int) (best, static int) {
	b.counts = [maxCode + 1]int{}
	b.len[b.heap[b.top]] = 0
	over := 0
	for _, n := range b.heap[b.top+1:] {
		size := int(b.len[b.dad[n]]) + 1
		if size > a.max {
			size = a.max
			over++
		}
		b.len[n] = uint8(size)
		if int(n) > last {
			continue
		}
		b.counts[size]++
		codes[n].n = uint8(size)
		extra := 0
		if int(n) >= a.first {
			extra = int(a.extra[int(n)-a.first])
		}
		best += int(freq[n]) * (size + extra)
		if a.static != nil {
			static += int(freq[n]) * (int(a.static[n].n) + extra)
		}
	}
	if over > 0 {
		best += b.shorten(a, freq, codes, last, over)
	}
	return best, static
}

// shorten brings codes that came out too long to a.max bits, at the cost of
// others, and returns how many bits that adds.
func (b *builder) shorten(a *alphabet, freq []uint32, codes []code, last, over int) (more int) {
	for ; over > 0; over -= 2 {
		n := a.max - 1
		for b.counts[n] == 0 {
			n--
		}
		b.counts[n]--
		b.counts[n+1] += 2
		b.counts[a.max]--
	}
	h := heapSize
	for size := a.max; size > 0; size-- {
		for left := b.counts[size]; left > 0; {
			h--
			n := int(b.heap[h])
			if n > last {
				continue
			}
			more += (size - int(codes[n].n)) * int(freq[n])
			codes[n].n = uint8(size)
			left--
		}
	}
	return more
}
