package deflate

import (
	"errors"
	"fmt"
	"io"

	"mtkport"
)

// Flavour names the encoder whose bytes are written.
type Flavour int

// The encoders.
const (
	Zlib     Flavour = iota // zlib, memory level 8
	ZlibMem9                // zlib, memory level 9
	GNU                     // GNU gzip from 1.5 on
	GNUOld                  // GNU gzip 1.2.4 to 1.4
)

// String returns the encoder's name.
func (f Flavour) String() string {
	switch f {
	case Zlib:
		return "zlib"
	case ZlibMem9:
		return "zlib with memory level 9"
	case GNU:
		return "GNU gzip"
	case GNUOld:
		return "GNU gzip before 1.5"
	}
	return fmt.Sprintf("flavour %d", int(f))
}

func (f Flavour) gnu() bool { return f == GNU || f == GNUOld }

// config is what a level means.
type config struct {
	good  int  // a match of this length halves the search for a better one, twice
	lazy  int  // no search for a better one beyond; greedy: no strings inserted beyond
	nice  int  // a match of this length ends the search
	chain int  // candidates tried
	slow  bool // matches are weighed against the one a byte later
}

// levels is the table of zlib and of GNU gzip, by level.
var levels = [10]config{
	1: {4, 4, 8, 4, false},
	2: {4, 5, 16, 8, false},
	3: {4, 6, 32, 32, false},
	4: {4, 4, 16, 16, true},
	5: {8, 16, 32, 32, true},
	6: {8, 16, 128, 128, true},
	7: {8, 32, 128, 256, true},
	8: {32, 128, 258, 1024, true},
	9: {32, 258, 258, 4096, true},
}

// DefaultLevel is the level of zlib and gzip when none is asked for.
const DefaultLevel = 6

// Writer packs what is written to it. It is not safe for use by several
// goroutines.
type Writer struct {
	config
	flavour Flavour
	level   int
	err     error

	matcher
	want int  // bytes of the read under way that are still to come
	eof  bool // GNU gzip: a read found the end

	// Of the position before strStart, while matches are weighed.
	matchLength, matchStart int
	available               bool

	flushed bool // nothing came since the last flush

	block
}

// errClosed is told to those who write to a closed writer.
var errClosed = errors.New("deflate: the stream is closed")

// NewWriter returns a writer of what the encoder f writes at that level, 1 to
// 9. The error is of class [mtkport.ErrUnsupported] for other levels and
// flavours.
func NewWriter(w io.Writer, f Flavour, level int) (*Writer, error) {
	if level < 1 || level > 9 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "deflate level", Found: fmt.Sprint(level), Want: "1 to 9", Err: mtkport.ErrUnsupported}
	}
	if f < Zlib || f > GNUOld {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "deflate flavour", Found: f.String(), Want: "one of the four", Err: mtkport.ErrUnsupported}
	}
	z := &Writer{config: levels[level], flavour: f, level: level}
	z.reset(w)
	return z, nil
}

// Reset begins a new stream into w, with the same flavour and level, and spares
// the memory of a new writer.
func (z *Writer) Reset(w io.Writer) {
	z.matcher, z.err, z.eof, z.matchLength, z.matchStart, z.available, z.flushed = matcher{}, nil, false, 0, 0, false, false
	z.reset(w)
}

func (z *Writer) reset(w io.Writer) {
	z.hashShift, z.hashMask = 5, 1<<15-1
	limit := 1<<14 - 1
	switch {
	case z.flavour == ZlibMem9:
		z.hashShift, z.hashMask = 6, 1<<16-1
		limit = 1<<15 - 1
	case z.flavour.gnu():
		limit = 1<<15 - 1
	}
	z.block.begin(w, limit)
	z.prevLength = minMatch - 1
	if z.slow {
		z.matchLength = minMatch - 1
	}
	z.want = windowSize
}

// Write packs p. The window is filled as by a program that reads a file: how p
// is cut up does not change the result.
func (z *Writer) Write(p []byte) (n int, err error) {
	z.flushed = z.flushed && len(p) == 0
	for len(p) > 0 && z.err == nil {
		at := z.strStart + z.lookahead
		m := copy(z.window[at:at+z.want], p)
		p, n = p[m:], n+m
		z.lookahead, z.want = z.lookahead+m, z.want-m
		if z.want == 0 {
			z.run(false)
		}
	}
	return n, z.err
}

// Flush writes all that was handed over, followed by an empty stored block, so
// that a decoder can read it all: zlib's Z_SYNC_FLUSH. Without anything new it
// does nothing. GNU gzip knows no flushing: the error is of class
// [mtkport.ErrUnsupported] there.
func (z *Writer) Flush() error {
	if z.err == nil && z.flavour.gnu() {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "flush", Found: z.flavour.String(), Want: "zlib", Err: mtkport.ErrUnsupported}
	}
	if z.err != nil || z.flushed {
		return z.err
	}
	z.run(true)
	z.tallyRest()
	if len(z.syms) > 0 {
		z.endBlock(false)
	}
	z.sync()
	z.keep()
	z.fill()
	z.flushed = true
	return z.err
}

// Close ends the stream. It does not close what it writes to.
func (z *Writer) Close() error {
	if errors.Is(z.err, errClosed) {
		return nil
	}
	if z.err != nil {
		return z.err
	}
	z.run(true)
	z.tallyRest()
	z.endBlock(true)
	if z.err == nil {
		z.err = errClosed
		return nil
	}
	return z.err
}

// run packs what is in the window until more is needed; all of it when the
// input ends here.
func (z *Writer) run(end bool) {
	switch {
	case z.err != nil:
	case z.slow:
		z.lazyMatches(end)
	default:
		z.greedy(end)
	}
}

// tallyRest takes the literal that still waits for a better match behind it.
func (z *Writer) tallyRest() {
	if z.available {
		z.literal(z.window[z.strStart-1])
		z.available = false
	}
}

// endBlock writes the block that ends at strStart.
func (z *Writer) endBlock(last bool) {
	var plain []byte
	if z.blockStart >= 0 {
		plain = z.window[z.blockStart:z.strStart]
	}
	if err := z.flush(plain, z.strStart-z.blockStart, last); err != nil && z.err == nil {
		z.err = err
	}
	z.blockStart = z.strStart
}
