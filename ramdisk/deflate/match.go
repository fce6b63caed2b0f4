package deflate

import (
	"encoding/binary"
	"math/bits"
)

// longestMatch looks, in the order of zlib, at the positions whose three bytes
// have the hash of those at strStart, head being the latest of them, for a match
// longer than prevLength. It returns the length and where it starts, or
// prevLength and start.
//
// zlib follows the chain of that hash for as many positions as the level
// allows. Here those with four bytes in common have a chain of their own, and
// each knows how many positions of its hash came before: so only those are
// visited that may win, and the count of the passed ones still ends the search
// where zlib's ends. Only when four bytes are not found is the long chain
// followed, to the first three.
//
// The length may run past the lookahead into what is no input; zlib ends the
// search there, GNU gzip goes on and may so prefer a farther match.
func (z *Writer) longestMatch(head, start int) (length, at int) {
	chain := z.chain
	if z.prevLength >= z.good {
		chain >>= 2
	}
	best, nice := z.prevLength, z.nice
	if !z.flavour.gnu() {
		nice = min(nice, z.lookahead)
	}
	if nice > minMatch {
		if n, at := z.longer(head, best, nice, chain); n > best {
			return n, at
		}
	}
	if best < minMatch {
		if at := z.nearest(head, chain); at > 0 {
			return minMatch, at
		}
	}
	return best, start
}

// longer looks for the longest match of four bytes and more that is longer than
// best, and of the longest for the latest; one of nice bytes ends the search.
//
//go:norace
func (z *Writer) longer(head, best, nice, chain int) (length, at int) {
	w, scan := &z.window, z.strStart
	limit := max(scan-maxDist, 0)
	rank := z.rank[scan&wmask]
	from := max(best-3, 0)
	want := load32(w, scan+from)
	cur := int(z.prev4[scan&wmask])
	for steps := 0; cur > limit || cur == limit && cur == head && cur > 0; steps++ {
		if load32(w, cur+from) == want {
			if n := common(w, scan, cur); n > best && n > minMatch {
				if int(rank-z.rank[cur&wmask]) > chain {
					break
				}
				best, at = n, cur
				if n >= nice {
					break
				}
				from = n - 3
				want = load32(w, scan+from)
			}
		}
		if steps >= chain && int(rank-z.rank[cur&wmask]) > chain && load32(w, cur) == load32(w, scan) {
			break
		}
		cur = int(z.prev4[cur&wmask])
	}
	return best, at
}

// nearest looks for the latest position with the three bytes that come next; it
// returns 0 when there is none. When matches are weighed, those that are too
// far are not asked for.
//
//go:norace
func (z *Writer) nearest(head, chain int) int {
	w, scan := &z.window, z.strStart
	limit := max(scan-maxDist, 0)
	if z.slow {
		limit = max(limit, scan-tooFar-1)
	}
	want := load32(w, scan) << 8
	for cur := head; ; {
		if load32(w, cur)<<8 == want {
			return cur
		}
		cur = int(z.prev[cur&wmask])
		if chain--; cur <= limit || chain == 0 {
			return 0
		}
	}
}

func load32(w *[windowSize + windowSlack]byte, i int) uint32 {
	return binary.LittleEndian.Uint32(w[i:])
}

func load64(w *[windowSize + windowSlack]byte, i int) uint64 {
	return binary.LittleEndian.Uint64(w[i:])
}

// common counts the bytes that a and b share, 258 at most.
func common(w *[windowSize + windowSlack]byte, a, b int) int {
	for n := 0; n < maxMatch; n += 8 {
		if x := load64(w, a+n) ^ load64(w, b+n); x != 0 {
			return min(n+bits.TrailingZeros64(x)>>3, maxMatch)
		}
	}
	return maxMatch
}

// greedy takes each match as it comes (levels 1 to 3).
//
//go:norace
func (z *Writer) greedy(end bool) {
	z.enterKept()
	gnu := z.flavour.gnu()
	for z.err == nil {
		if z.lookahead < minLookahead && !z.more(end) {
			return
		}
		head := 0
		if gnu || z.lookahead >= minMatch {
			head = z.enter(z.strStart)
		}
		if head != 0 && z.strStart-head <= maxDist && (!gnu || z.strStart <= windowSize-minLookahead) {
			z.matchLength, z.matchStart = z.longestMatch(head, z.matchStart)
			z.matchLength = min(z.matchLength, z.lookahead)
		}
		var full bool
		if z.matchLength >= minMatch {
			full = z.match(z.strStart-z.matchStart, z.matchLength)
			z.skip(gnu)
		} else {
			full = z.literal(z.window[z.strStart])
			z.strStart++
			z.lookahead--
		}
		if full {
			z.endBlock(false)
		}
	}
}

// skip goes behind the match at strStart. The strings in it are entered when it
// is short; zlib enters none whose three bytes may not be there.
//
//go:norace
func (z *Writer) skip(gnu bool) {
	n := z.matchLength
	z.lookahead -= n
	if n <= z.lazy && (gnu || z.lookahead >= minMatch) {
		for i := 1; i < n; i++ {
			z.enter(z.strStart + i)
		}
	}
	z.strStart += n
	z.matchLength = 0
}

// lazyMatches takes a match only if there is no longer one a byte later (levels
// 4 to 9).
//
//go:norace
func (z *Writer) lazyMatches(end bool) {
	z.enterKept()
	gnu := z.flavour.gnu()
	for z.err == nil {
		if z.lookahead < minLookahead && !z.more(end) {
			return
		}
		head := 0
		if gnu || z.lookahead >= minMatch {
			head = z.enter(z.strStart)
		}
		before := z.matchStart
		z.prevLength, z.matchLength = z.matchLength, minMatch-1
		if head != 0 && z.prevLength < z.lazy && z.strStart-head <= maxDist && (!gnu || z.strStart <= windowSize-minLookahead) {
			z.weigh(head)
		}
		switch {
		case z.prevLength >= minMatch && z.matchLength <= z.prevLength:
			full := z.match(z.strStart-1-before, z.prevLength)
			z.leave(gnu)
			if full {
				z.endBlock(false)
			}
			continue
		case z.available:
			if z.literal(z.window[z.strStart-1]) {
				z.endBlock(false)
			}
		}
		z.available = true
		z.strStart++
		z.lookahead--
	}
}

// weigh looks for a match longer than the one a byte before.
func (z *Writer) weigh(head int) {
	n, start := z.longestMatch(head, z.matchStart)
	n = min(n, z.lookahead)
	if n == minMatch && z.strStart-start > tooFar {
		n = minMatch - 1
	}
	z.matchLength, z.matchStart = n, start
}

// leave goes behind the match of prevLength bytes that began a byte before
// strStart, and enters all strings in it; zlib none whose three bytes may not
// be there.
//
//go:norace
func (z *Writer) leave(gnu bool) {
	last := z.strStart + z.prevLength - 2
	stop := last
	if !gnu {
		stop = min(stop, z.strStart+z.lookahead-minMatch)
	}
	for pos := z.strStart + 1; pos <= stop; pos++ {
		z.enter(pos)
	}
	z.lookahead -= z.prevLength - 1
	z.strStart = last + 1
	z.available, z.matchLength = false, minMatch-1
}
