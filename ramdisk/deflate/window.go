package deflate

// Lengths and distances (RFC 1951) and what follows from them.
const (
	minMatch = 3
	maxMatch = 258

	wsize        = 1 << 15
	wmask        = wsize - 1
	windowSize   = 2 * wsize
	minLookahead = maxMatch + minMatch + 1
	maxDist      = wsize - minLookahead
	tooFar       = 4096 // farther matches of three bytes cost more than literals
)

// windowSlack lets eight bytes be read from anywhere in the window.
const windowSlack = 16

// matcher finds earlier copies of the bytes that come next, within 32 KiB.
type matcher struct {
	window [windowSize + windowSlack]byte
	chains [1 << 16]chain // by hash of three bytes
	prev   [wsize]uint16  // by position modulo wsize, the one before with that hash
	rank   [wsize]uint16  // by position, the number of it in its chain
	head4  [1 << 15]uint16
	prev4  [wsize]uint16 // the same chained by hash of four bytes

	hashShift, hashMask uint32

	strStart   int  // what comes next
	lookahead  int  // bytes there
	blockStart int  // negative when it has left the window
	insert     int  // positions before strStart that a flush kept from the chains
	relink     bool // so it did with the one before, in the chain of four bytes
	prevLength int  // the match to be beaten
}

// chain is that of the positions with one hash.
type chain struct {
	head  uint16 // the latest; 0 is none
	count uint16 // of all so far, modulo 1<<16
}

// hash is that of the three bytes at pos.
func (m *matcher) hash(pos int) uint16 {
	w := m.window[pos : pos+3 : pos+3]
	s := m.hashShift & 15
	return uint16((uint32(w[0])<<(2*s) ^ uint32(w[1])<<s ^ uint32(w[2])) & m.hashMask)
}

// enter makes pos known and returns the position before with the same hash.
//
//go:norace
func (m *matcher) enter(pos int) int {
	c := &m.chains[m.hash(pos)]
	before := c.head
	c.head = uint16(pos)
	c.count++
	m.prev[pos&wmask] = before
	m.rank[pos&wmask] = c.count
	m.link4(pos)
	return int(before)
}

// link4 chains pos by its four bytes.
func (m *matcher) link4(pos int) {
	slot := m.slot4(pos)
	m.prev4[pos&wmask] = *slot
	*slot = uint16(pos)
}

func (m *matcher) slot4(pos int) *uint16 {
	return &m.head4[load32(&m.window, pos)*0x9e3779b1>>17]
}

// fill makes room for a read into the window. zlib moves the upper half down
// whenever it looks for more; so the moment is that of every call.
func (z *Writer) fill() {
	z.want = windowSize - z.lookahead - z.strStart
	if z.strStart >= wsize+maxDist {
		z.slide()
		z.matchStart -= wsize
		z.want += wsize
	}
}

//
//go:norace
func (m *matcher) slide() {
	copy(m.window[:wsize], m.window[wsize:windowSize])
	m.strStart -= wsize
	m.blockStart -= wsize
	m.insert = min(m.insert, m.strStart)
	for i := range m.chains[:m.hashMask+1] {
		c := &m.chains[i]
		c.head = half(c.head)
	}
	for _, list := range [][]uint16{m.prev[:], m.head4[:], m.prev4[:]} {
		for i, v := range list {
			list[i] = half(v)
		}
	}
}

// half moves a position down by half a window; one that leaves it becomes 0.
func half(pos uint16) uint16 { return pos & wmask & -(pos >> 15) }

// keep remembers what a flush kept from the chains: positions whose third byte
// was not there, and before them one whose fourth was not.
func (m *matcher) keep() {
	m.insert = min(m.strStart, minMatch-1)
	pos := m.strStart - minMatch
	if m.relink = pos > 0 && int(*m.slot4(pos)) == pos; m.relink {
		*m.slot4(pos) = m.prev4[pos&wmask]
	}
}

// enterKept enters them, now that more is there.
func (m *matcher) enterKept() {
	if m.relink && m.lookahead > 0 {
		m.link4(m.strStart - minMatch)
		m.relink = false
	}
	for m.insert > 0 && m.lookahead+m.insert >= minMatch {
		m.enter(m.strStart - m.insert)
		m.insert--
	}
}

// more reports whether the match at strStart can be looked for. When it is
// false, either a read is under way, or all is packed.
func (z *Writer) more(end bool) bool {
	if z.flavour.gnu() {
		return z.moreGNU(end)
	}
	z.fill()
	if !end {
		return false
	}
	return z.lookahead > 0
}

// moreGNU is [Writer.more] by GNU gzip: the window is not moved any more once a
// read has found the end, and then two bytes of zeros stand behind it (old
// versions left there what was).
func (z *Writer) moreGNU(end bool) bool {
	for z.lookahead < minLookahead && !z.eof {
		z.fill()
		if !end {
			return false
		}
		z.eof = true
		if z.flavour == GNU {
			at := z.strStart + z.lookahead
			clear(z.window[at : at+minMatch-1])
		}
	}
	return z.lookahead > 0
}
