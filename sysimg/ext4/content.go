package ext4

import (
	"fmt"
	"io"
	"io/fs"
	"sort"
	"sync/atomic"

	"mtkport"
	"mtkport/sysimg/tree"
)

// content is the data of a file, read from the image when asked for. It is
// tree.Sparse and tree.Placed.
type content struct {
	fs    *FS
	ino   uint32
	size  int64
	flags uint32
	block [60]byte
	runs  atomic.Pointer[mapped]
}

// mapped is where a content lies, and what is wrong with that.
type mapped struct {
	ext []extent
	err error
}

// maxCached bounds the extents that the contents of one image keep (24 bytes
// each); past it they are read again each time.
const maxCached = 1 << 19

// extents maps the content, once.
func (c *content) extents() *mapped {
	if m := c.runs.Load(); m != nil {
		return m
	}
	m := &mapped{}
	m.ext, m.err = c.fs.extents(c.flags, c.block[:], c.size)
	if m.err != nil {
		c.fs.problem("ext4-extents", mtkport.Risk, fmt.Sprintf("inode %d", c.ino), mtkport.NoOffset, "parts of the contents are lost: %v", m.err)
	}
	c.fs.mu.Lock()
	defer c.fs.mu.Unlock()
	if c.fs.cached+len(m.ext) <= maxCached && c.runs.CompareAndSwap(nil, m) {
		c.fs.cached += len(m.ext)
	}
	return m
}

// Size implements tree.Content.
func (c *content) Size() int64 { return c.size }

// ReadAt implements tree.Content. A damaged map is an error, not zeros.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, fs.ErrInvalid
	case off >= c.size:
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.size-off))
	ps, err := c.Pieces(off, int64(n))
	if err != nil {
		return 0, err
	}
	if err := tree.ReadPieces(ps, p[:n], off); err != nil {
		return 0, damaged(mtkport.NoOffset, fmt.Sprintf("inode %d", c.ino), "the end of the image", "its blocks")
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Pieces implements tree.Placed.
func (c *content) Pieces(off, n int64) ([]tree.Piece, error) {
	m, bs := c.extents(), c.fs.sb.blockSize
	if m.err != nil {
		return nil, m.err
	}
	end := min(off+n, c.size)
	i := sort.Search(len(m.ext), func(i int) bool { return (m.ext[i].file+m.ext[i].n)*bs > off })
	var out []tree.Piece
	for ; i < len(m.ext) && m.ext[i].file*bs < end; i++ {
		e := m.ext[i]
		from, to := max(off, e.file*bs), min(end, (e.file+e.n)*bs)
		out = append(out, tree.Piece{Off: from, Len: to - from, Src: c.fs.r, At: e.disk*bs + from - e.file*bs})
	}
	return out, nil
}

// Data implements tree.Sparse. Of a content whose map is damaged the first block
// counts as data, so that whoever reads it meets the error.
func (c *content) Data() []tree.Range {
	m, bs := c.extents(), c.fs.sb.blockSize
	if m.err != nil {
		return []tree.Range{{Off: 0, Len: min(bs, c.size)}}
	}
	out := make([]tree.Range, 0, len(m.ext))
	for _, e := range m.ext {
		r := tree.Range{Off: e.file * bs, Len: e.n * bs}
		r.Len = min(r.Len, c.size-r.Off)
		if k := len(out) - 1; k >= 0 && out[k].Off+out[k].Len == r.Off {
			out[k].Len += r.Len
			continue
		}
		out = append(out, r)
	}
	return out
}
