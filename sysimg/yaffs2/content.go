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
		n := min(page, f.size-off)
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
	i, _ := slices.BinarySearchFunc(f.pieces, off/page, func(p piece, c int64) int { return cmp.Compare(int64(p.chunk), c) })
	next := off // first byte that is not settled
	for i < len(f.pieces) && int64(f.pieces[i].chunk)*page < off+want {
		run := f.run(i, off+want)
		if err := f.readRun(*buf, f.pieces[i:run], p, off, &next); err != nil {
			return 0, err
		}
		i = run
	}
	clear(p[next-off:])
	if short {
		return int(want), io.EOF
	}
	return int(want), nil
}

// run extends from piece i over those in the pages right behind it.
func (f *file) run(i int, end int64) int {
	page, unit := int64(f.fs.layout.Page), f.fs.layout.unit()
	first := i
	for i++; i < len(f.pieces); i++ {
		p, q := f.pieces[i-1], f.pieces[i]
		if q.page != p.page+1 || q.chunk != p.chunk+1 || int64(q.chunk)*page >= end || (i-first+1)*unit > readSize {
			break
		}
	}
	return i
}

// readRun copies pieces that lie one behind the other into p, which holds the
// bytes of the file from off; bytes from next to the first of them are a hole.
func (f *file) readRun(buf []byte, pieces []piece, p []byte, off int64, next *int64) error {
	l := f.fs.layout
	unit, page := l.unit(), int64(l.Page)
	buf = buf[:len(pieces)*unit]
	at := int64(pieces[0].page) * int64(unit)
	if n, err := f.fs.r.ReadAt(buf, at); n < len(buf) {
		return &mtkport.Error{Off: at, Field: "pages", Found: "no bytes", Err: orDamaged(err)}
	}
	for i, pc := range pieces {
		start := int64(pc.chunk) * page
		from := max(start, off)
		if from > *next {
			clear(p[*next-off : from-off])
		}
		end := min(start+int64(pc.nbytes), off+int64(len(p)))
		if from < end {
			l.gather(p[from-off:end-off], buf[i*unit:(i+1)*unit], int(from-start))
		}
		*next = max(*next, from, end)
	}
	return nil
}
