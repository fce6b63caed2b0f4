package yaffs2

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"

	"mtkport"
	"mtkport/sysimg/tree"
)

// file is the content of a regular file. It may be read from several goroutines.
type file struct {
	fs     *FS
	size   int64
	pieces []piece
}

// Size implements tree.Content.
func (f *file) Size() int64 { return f.size }

// Data implements tree.Sparse: pages that were never written are holes.
func (f *file) Data() []tree.Range {
	page := int64(f.fs.layout.Page)
	var out []tree.Range
	for _, p := range f.pieces {
		off := int64(p.chunk) * page
		n := min(int64(p.n)*page, f.size-off)
		if n <= 0 {
			break
		}
		if k := len(out) - 1; k >= 0 && out[k].Off+out[k].Len == off {
			out[k].Len += n
			continue
		}
		out = append(out, tree.Range{Off: off, Len: n})
	}
	return out
}

// Pieces implements tree.Placed: the data without the holes. They lie nowhere as
// they are, so the file itself is their source.
func (f *file) Pieces(off, n int64) ([]tree.Piece, error) {
	var out []tree.Piece
	for _, r := range f.Data() {
		from, to := max(off, r.Off), min(off+n, r.Off+r.Len)
		if from < to {
			out = append(out, tree.Piece{Off: from, Len: to - from, Src: unplaced{f}, At: from})
		}
	}
	return out, nil
}

// unplaced is a file that is read and not asked where it lies.
type unplaced struct{ io.ReaderAt }

// readSize bounds how many bytes of pages are fetched at a time; it holds at
// least one page of any layout.
const readSize = 128 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), f.size-off)
	short := want < int64(len(p))
	p = p[:want]
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	page := int64(f.fs.layout.Page)
	first, end := off/page, (off+want+page-1)/page // pages wanted
	i, _ := slices.BinarySearchFunc(f.pieces, first, func(p piece, c int64) int { return cmp.Compare(int64(p.end()), c+1) })
	next := off // first byte that is not settled
	for ; i < len(f.pieces) && int64(f.pieces[i].chunk) < end; i++ {
		pc := f.pieces[i]
		from, to := max(first, int64(pc.chunk)), min(end, int64(pc.end()))
		for per := int64(readSize / f.fs.layout.unit()); from < to; from += per {
			if err := f.read(*buf, pc, uint32(from)-pc.chunk, int(min(per, to-from)), p, off, &next); err != nil {
				return 0, err
			}
		}
	}
	clear(p[next-off:])
	if short {
		return int(want), io.EOF
	}
	return int(want), nil
}

// read copies n pages of pc, from number skip on, into p, which holds the bytes
// of the file from off; bytes from next to the first of them are a hole.
func (f *file) read(buf []byte, pc piece, skip uint32, n int, p []byte, off int64, next *int64) error {
	l := f.fs.layout
	unit, page := l.unit(), int64(l.Page)
	buf = buf[:n*unit]
	at := int64(pc.page+skip) * int64(unit)
	if got, err := f.fs.r.ReadAt(buf, at); got < len(buf) {
		return &mtkport.Error{Off: at, Field: "pages", Found: "no bytes", Err: orDamaged(err)}
	}
	start := int64(pc.chunk+skip) * page
	for i := skip; len(buf) > 0; i++ {
		has := page
		if i == pc.n-1 {
			has = int64(pc.nbytes)
		}
		from := max(start, off)
		if from > *next {
			clear(p[*next-off : from-off])
		}
		if end := min(start+has, off+int64(len(p))); from < end {
			l.gather(p[from-off:end-off], buf[:unit], int(from-start))
			*next = max(*next, end)
		}
		*next = max(*next, from)
		buf, start = buf[unit:], start+page
	}
	return nil
}
