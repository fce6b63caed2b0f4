package kernel

import (
	"errors"
)

// The LZMA decoder writes straight into one flat buffer: a kernel is unpacked
// whole, so the output is its own dictionary and nothing is copied twice. It
// knows raw LZMA (the .lzma file) and LZMA2 (what .xz holds). The format is
// that of the LZMA specification in the LZMA SDK (public domain).

var (
	errLZMA = errors.New("lzma stream is damaged")
	errBig  = errors.New("unpacks to more than the limit")
	errEnd  = errors.New("stream ends early")
)

// Sizes that the LZMA format fixes.
const (
	lzmaProbInit   = 1 << 10 // one half in eleven bits
	lzmaMoveBits   = 5
	lzmaStates     = 16 // 12, rounded up: an index of four bits needs no check
	lzmaPosStates  = 16
	lzmaMinMatch   = 2
	lzmaEndMarker  = 0xffffffff
	lzmaMaxPerStep = 32 // no symbol takes more input bytes than this
	lzmaMaxMatch   = 273
	lzmaSlack      = lzmaMaxMatch + 16 // room behind the output for the last match, copied by eights
)

// lenProbs are the probabilities of one match length coder.
type lenProbs struct {
	choice, choice2 uint16
	low, mid        [lzmaPosStates][8]uint16
	high            [256]uint16
}

// lzma is one decoder with its state between LZMA2 chunks.
type lzma struct {
	in        []byte // input, padded with lzmaMaxPerStep zero bytes
	end       int    // where the real input ends
	pos       int
	rng, code uint32

	out   []byte
	limit int // the most bytes out may hold
	base  int // where the dictionary begins: distances reach no lower

	lc, lp, pb int
	state      int
	rep        [4]uint32

	literal    []uint16
	isMatch    [lzmaStates][lzmaPosStates]uint16
	isRep      [lzmaStates]uint16
	isRepG     [3][lzmaStates]uint16
	isRep0Long [lzmaStates][lzmaPosStates]uint16
	slot       [4][64]uint16
	special    [160]uint16
	align      [16]uint16
	matchLen   lenProbs
	repLen     lenProbs
}

// newLZMA prepares a decoder of in, which may make at most limit bytes.
func newLZMA(in []byte, limit int) *lzma {
	padded := make([]byte, len(in)+lzmaMaxPerStep)
	copy(padded, in)
	return &lzma{in: padded, end: len(in), limit: limit, out: make([]byte, 0, min(limit, 4*len(in)+1<<16)+lzmaSlack)}
}

// setProps takes the byte that holds lc, lp and pb, and resets the state.
func (d *lzma) setProps(b byte) bool {
	if b >= 9*5*5 {
		return false
	}
	d.lc, d.lp, d.pb = int(b%9), int(b/9%5), int(b/45)
	if d.lc+d.lp > 12 {
		return false
	}
	n := 0x300 << (d.lc + d.lp)
	if cap(d.literal) < n {
		d.literal = make([]uint16, n)
	}
	d.literal = d.literal[:n]
	d.resetState()
	return true
}

func fill(p []uint16) {
	for i := range p {
		p[i] = lzmaProbInit
	}
}

func (l *lenProbs) reset() {
	l.choice, l.choice2 = lzmaProbInit, lzmaProbInit
	for i := range l.low {
		fill(l.low[i][:])
		fill(l.mid[i][:])
	}
	fill(l.high[:])
}

func (d *lzma) resetState() {
	d.state, d.rep = 0, [4]uint32{}
	fill(d.literal)
	for i := range d.isMatch {
		fill(d.isMatch[i][:])
		fill(d.isRep0Long[i][:])
	}
	fill(d.isRep[:])
	for i := range d.isRepG {
		fill(d.isRepG[i][:])
	}
	for i := range d.slot {
		fill(d.slot[i][:])
	}
	fill(d.special[:])
	fill(d.align[:])
	d.matchLen.reset()
	d.repLen.reset()
}

// startRange reads the five bytes that open a range coded stream.
func (d *lzma) startRange() error {
	if d.end-d.pos < 5 {
		return errEnd
	}
	b := d.in[d.pos:]
	if b[0] != 0 {
		return errLZMA
	}
	d.rng, d.code = 0xffffffff, uint32(b[1])<<24|uint32(b[2])<<16|uint32(b[3])<<8|uint32(b[4])
	d.pos += 5
	return nil
}

// lzmaAfterLiteral is the state that follows a literal.
var lzmaAfterLiteral = [lzmaStates]int{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5, 0, 0, 0, 0}

// room makes the output able to hold end bytes and the slack behind them.
func (d *lzma) room(end int) {
	if cap(d.out) < end+lzmaSlack {
		bigger := make([]byte, len(d.out), max(end, min(d.limit, 2*len(d.out)))+lzmaSlack)
		copy(bigger, d.out)
		d.out = bigger
	}
}

// unlzma unpacks a .lzma file: one byte of properties, four of dictionary size,
// eight of size (all ones: until the end marker).
func unlzma(b []byte, limit int, grown growth) ([]byte, int, error) {
	if !looksLZMA(b) {
		return nil, 0, errLZMA
	}
	d := newLZMA(b, limit)
	if !d.setProps(b[0]) {
		return nil, 0, errLZMA
	}
	size, end := le64(b[5:]), limit+1
	if size != 1<<64-1 {
		if size > uint64(limit) {
			return nil, 0, errBig
		}
		end = int(size)
	}
	d.pos = lzmaHeader
	if err := d.startRange(); err != nil {
		return nil, 0, err
	}
	done, err := false, error(nil)
	for !done && err == nil && len(d.out) < end {
		done, err = d.run(min(end, len(d.out)+lzmaStride))
		grown(d.out)
	}
	switch {
	case err != nil:
	case len(d.out) > limit:
		err = errBig
	case d.pos > d.end:
		err = errEnd
	case size != 1<<64-1 && len(d.out) != end:
		err = errLZMA
	}
	return d.out, d.pos, err
}

const (
	lzmaStride = 1 << 20 // bytes decoded between two looks at the room left
	lzmaHeader = 13      // bytes before the range coded data of a .lzma file
)

// looksLZMA tells whether b may begin a .lzma file: sane properties, a
// dictionary size of 2^n or 2^n+2^(n-1), and the zero byte that opens the data.
func looksLZMA(b []byte) bool {
	if len(b) < lzmaHeader+5 || b[0] >= 9*5*5 || b[lzmaHeader] != 0 {
		return false
	}
	dict := le32(b[1:])
	top := dict & (dict - 1)
	if dict < 1<<12 || top != 0 && top&(top-1) != 0 {
		return false
	}
	size := le64(b[5:])
	return size == 1<<64-1 || size < 1<<32
}

// unlzma2 decodes LZMA2 chunks to the end chunk.
func (d *lzma) unlzma2(grown growth) error {
	needDict, needProps := true, true
	for {
		if d.pos >= d.end {
			return errEnd
		}
		c := d.in[d.pos]
		d.pos++
		if c == 0 {
			return nil
		}
		if c >= 0xe0 || c == 1 {
			d.base, needDict = len(d.out), false
		} else if needDict {
			return errLZMA
		}
		var err error
		if c >= 0x80 {
			err = d.packedChunk(c, &needProps)
		} else if c > 2 {
			err = errLZMA
		} else {
			err = d.plainChunk()
		}
		if err != nil {
			return err
		}
		grown(d.out)
	}
}

func (d *lzma) plainChunk() error {
	if d.end-d.pos < 2 {
		return errEnd
	}
	n := int(d.in[d.pos])<<8 + int(d.in[d.pos+1]) + 1
	d.pos += 2
	if d.end-d.pos < n {
		return errEnd
	}
	if len(d.out)+n > d.limit {
		return errBig
	}
	d.out = append(d.out, d.in[d.pos:d.pos+n]...)
	d.pos += n
	return nil
}

func (d *lzma) packedChunk(c byte, needProps *bool) error {
	if d.end-d.pos < 5 {
		return errEnd
	}
	b := d.in[d.pos:]
	n := int(c&0x1f)<<16 + int(b[0])<<8 + int(b[1]) + 1
	packed := int(b[2])<<8 + int(b[3]) + 1
	d.pos += 4
	switch {
	case c >= 0xc0:
		d.pos++
		if !d.setProps(b[4]) || d.lc+d.lp > 4 {
			return errLZMA
		}
		*needProps = false
	case *needProps:
		return errLZMA
	case c >= 0xa0:
		d.resetState()
	}
	if len(d.out)+n > d.limit {
		return errBig
	}
	stop := d.pos + packed
	if stop > d.end {
		return errEnd
	}
	if err := d.startRange(); err != nil {
		return err
	}
	end := len(d.out) + n
	done, err := d.run(end)
	if err == nil && (done || len(d.out) != end || d.pos != stop) {
		err = errLZMA
	}
	if err != nil {
		return err
	}
	return nil
}
