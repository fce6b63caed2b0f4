package tree

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"mtkport"
)

// Piece is a run of a content that lies as it is somewhere else: the Len bytes
// at Off are the Len bytes of Src at At.
type Piece struct {
	Off, Len int64 // in the content, bytes
	Src      io.ReaderAt
	At       int64 // in Src, bytes
}

// Placed is a reader that can say where its bytes lie. Copying goes straight to
// the source then, and skips the gaps.
type Placed interface {
	// Pieces lists, in order and without overlap, what lies in the n bytes at
	// off. The gaps between the pieces read as zeros.
	Pieces(off, n int64) ([]Piece, error)
}

// maxNesting bounds how many views may lie on top of each other (file in ext4
// in sparse in a part of a dump is four).
const maxNesting = 16

// Pieces resolves n bytes of r at off to where they lie, through every view
// that is [Placed] or an io.SectionReader. A reader that is neither is one piece,
// or, when it is [Sparse], one for each range of data.
func Pieces(r io.ReaderAt, off, n int64) ([]Piece, error) {
	return pieces(r, off, n, maxNesting)
}

func pieces(r io.ReaderAt, off, n int64, depth int) ([]Piece, error) {
	if n <= 0 {
		return nil, nil
	}
	whole := []Piece{{off, n, r, off}}
	if depth == 0 {
		return whole, nil
	}
	if f, ok := r.(*os.File); ok {
		return filePieces(f, off, n), nil
	}
	if s, ok := r.(*io.SectionReader); ok {
		outer, base, _ := s.Outer()
		return shifted(outer, off, n, base+off, depth)
	}
	p, ok := r.(Placed)
	if !ok {
		return dataPieces(r, off, n), nil
	}
	own, err := p.Pieces(off, n)
	if err != nil {
		return nil, err
	}
	if !nests(own) {
		return own, nil
	}
	var out []Piece
	for _, q := range own {
		sub, err := shifted(q.Src, q.Off, q.Len, q.At, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, sub...)
	}
	return out, nil
}

// dataPieces is n bytes of r at off, without the holes that it knows of.
func dataPieces(r io.ReaderAt, off, n int64) []Piece {
	c, ok := r.(Sparse)
	if !ok {
		return []Piece{{off, n, r, off}}
	}
	var out []Piece
	for _, d := range c.Data() {
		from, to := max(off, d.Off), min(off+n, d.Off+d.Len)
		if from < to {
			out = append(out, Piece{from, to - from, r, from})
		}
	}
	return out
}

// shifted is the pieces of n bytes of src at at, as seen from off.
func shifted(src io.ReaderAt, off, n, at int64, depth int) ([]Piece, error) {
	sub, err := pieces(src, at, n, depth-1)
	for i := range sub {
		sub[i].Off += off - at
	}
	return sub, err
}

func nests(ps []Piece) bool {
	for _, p := range ps {
		switch p.Src.(type) {
		case Placed, *io.SectionReader: // a file of ours is asked where the whole image is, not for each piece
			return true
		}
	}
	return false
}

// copyUnit is how much one read and write moves, bytes: large enough that the
// calls do not count, small enough that a few of them fit a cache.
const copyUnit = 1 << 20

var buffers = sync.Pool{New: func() any { b := make([]byte, copyUnit); return &b }}

// CopyPieces writes the pieces to w, each at its Off, by workers goroutines
// (2 for large work on a disk, 1 for small files). What lies between the pieces
// is not written: w must be new there. task may be nil.
func CopyPieces(ctx context.Context, w io.WriterAt, ps []Piece, workers int, task mtkport.Task) error {
	var next atomic.Int64
	units := unitEnds(ps)
	if len(units) == 0 {
		return ctx.Err()
	}
	work := func() error {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		for {
			u := next.Add(1) - 1
			if u >= units[len(units)-1] {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := copyOne(w, ps, units, u, *buf, task); err != nil {
				next.Store(units[len(units)-1])
				return err
			}
		}
	}
	if workers <= 1 || units[len(units)-1] == 1 {
		return work()
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = work() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// unitEnds counts the units up to and with each piece.
func unitEnds(ps []Piece) []int64 {
	ends, n := make([]int64, len(ps)), int64(0)
	for i, p := range ps {
		n += (p.Len + copyUnit - 1) / copyUnit
		ends[i] = n
	}
	return ends
}

func copyOne(w io.WriterAt, ps []Piece, ends []int64, u int64, buf []byte, task mtkport.Task) error {
	lo, hi := 0, len(ends) // the first piece whose end is past u
	for lo < hi {
		if mid := (lo + hi) / 2; ends[mid] <= u {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	p, first := ps[lo], int64(0)
	if lo > 0 {
		first = ends[lo-1]
	}
	skip := (u - first) * copyUnit
	b := buf[:min(copyUnit, p.Len-skip)]
	if err := ReadFull(p.Src, b, p.At+skip); err != nil {
		return err
	}
	if _, err := w.WriteAt(b, p.Off+skip); err != nil {
		return err
	}
	if task != nil {
		task.Add(int64(len(b)))
	}
	return nil
}

// ReadFull reads len(p) bytes of r at off; too few is io.ErrUnexpectedEOF.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadPieces fills p with the bytes at off of a content that consists of ps
// (sorted, covering what [Placed] would list for this range): gaps are zeros.
func ReadPieces(ps []Piece, p []byte, off int64) error {
	clear(p)
	end := off + int64(len(p))
	for _, q := range ps {
		from, to := max(off, q.Off), min(end, q.Off+q.Len)
		if from >= to {
			continue
		}
		if err := ReadFull(q.Src, p[from-off:to-off], q.At+from-q.Off); err != nil {
			return err
		}
	}
	return nil
}

// DataRanges lists what of c is not a hole: c's own word when it is [Sparse],
// else the whole.
func DataRanges(c Content) []Range {
	if c == nil || c.Size() == 0 {
		return nil
	}
	if s, ok := c.(Sparse); ok {
		return s.Data()
	}
	return []Range{{0, c.Size()}}
}
