package ext4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Plan is an image laid out, ready to be copied: an io.ReaderAt of Size bytes
// whose contents are read from where the tree has them. It is tree.Placed.
type Plan struct {
	g      *geometry
	pieces []tree.Piece
	free   []tree.Range
}

// Write lays out t and writes the image to w, which must be new: what is zero is
// not written. The caller gives the file its length, [Layout].Size, or
// [Plan.Size] when that is 0.
func Write(ctx context.Context, w io.WriterAt, t *tree.Tree, l Layout) error {
	p, err := Lay(t, l)
	if err != nil {
		return err
	}
	return p.Write(ctx, w, nil)
}

// Lay places everything. Errors: ErrTooBig with what is needed and what there
// is, ErrUnsupported for a layout that cannot be written.
func Lay(t *tree.Tree, l Layout) (*Plan, error) {
	c, err := survey(t)
	if err != nil {
		return nil, err
	}
	if l.Size == 0 {
		return c.smallest(l)
	}
	p, err := c.lay(l)
	if err != nil && errors.Is(err, errFull) {
		return nil, c.tooBig(l)
	}
	return p, err
}

var errFull = errors.New("no block left")

// tooBig says what a full image would have needed.
func (c *census) tooBig(l Layout) error {
	e := &mtkport.Error{Off: mtkport.NoOffset, Field: "ext4 image", Found: fmt.Sprintf("room for %d bytes", l.Size), Err: mtkport.ErrTooBig,
		Hint: "choose a larger size, or take files out"}
	size := l.Size
	l.Size = 0
	if p, err := c.smallest(l); err == nil && p.Size() > size {
		e.Want = fmt.Sprintf("%d bytes", p.Size())
		e.Field = fmt.Sprintf("ext4 image needs %d, has %d bytes", p.Size(), size)
		e.Found, e.Want = "", ""
	}
	return e
}

// smallest finds the least size, in steps of 256 KiB, that holds the tree.
func (c *census) smallest(l Layout) (*Plan, error) {
	const step = 256 << 10
	l.InodesPerGroup = 0
	fits := func(size int64) (*Plan, error) {
		l.Size = size
		p, err := c.lay(l)
		if errors.Is(err, errFull) || errors.Is(err, mtkport.ErrTooBig) {
			return nil, nil
		}
		return p, err
	}
	lo, hi := int64(1), ceil(c.bytes+c.bytes/16, step)+8
	for {
		p, err := fits(hi * step)
		if err != nil {
			return nil, err
		}
		if p != nil {
			break
		}
		lo, hi = hi+1, hi*2
	}
	for lo < hi {
		mid := (lo + hi) / 2
		p, err := fits(mid * step)
		switch {
		case err != nil:
			return nil, err
		case p != nil:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return fits(hi * step)
}

// Size is the image's length, bytes.
func (p *Plan) Size() int64 { return p.g.Size }

// Layout is the layout as written: what was 0 or could not be kept is filled in.
func (p *Plan) Layout() Layout { return p.g.Layout }

// Free lists the ranges that no file and no table uses, bytes.
func (p *Plan) Free() []tree.Range { return p.free }

// Pieces implements tree.Placed.
func (p *Plan) Pieces(off, n int64) ([]tree.Piece, error) {
	i := sort.Search(len(p.pieces), func(i int) bool { return p.pieces[i].Off+p.pieces[i].Len > off })
	var out []tree.Piece
	for ; i < len(p.pieces) && p.pieces[i].Off < off+n; i++ {
		q := p.pieces[i]
		from, to := max(off, q.Off), min(off+n, q.Off+q.Len)
		out = append(out, tree.Piece{Off: from, Len: to - from, Src: q.Src, At: q.At + from - q.Off})
	}
	return out, nil
}

// ReadAt implements io.ReaderAt.
func (p *Plan) ReadAt(b []byte, off int64) (int, error) {
	if off >= p.Size() {
		return 0, io.EOF
	}
	n := min(int64(len(b)), p.Size()-off)
	ps, err := p.Pieces(off, n)
	if err != nil {
		return 0, err
	}
	if err := tree.ReadPieces(ps, b[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Write copies the image to w, which must be new. task may be nil.
func (p *Plan) Write(ctx context.Context, w io.WriterAt, task mtkport.Task) error {
	ps, err := tree.Pieces(p, 0, p.Size())
	if err != nil {
		return err
	}
	return tree.CopyPieces(ctx, w, ps, 2, task)
}

// Bytes is how many bytes [Plan.Write] copies.
func (p *Plan) Bytes() int64 {
	var n int64
	for _, q := range p.pieces {
		n += q.Len
	}
	return n
}
