package ubifs

import (
	"cmp"
	"fmt"
	"slices"
)

// walkIndex reads the committed index from its root, level by level, and what
// its lowest level points to but for data nodes, whose places are enough. It
// returns an error when a part of the tree cannot be read; the state is then not
// whole.
func (f *FS) walkIndex() error {
	root := place{f.mst.rootLNum, f.mst.rootOffs, f.mst.rootLen}
	w := &walker{f: f}
	for level := []branch{{place: root, level: -1}}; len(level) > 0; {
		w.below = nil
		if err := w.each(level, w.children); err != nil {
			return err
		}
		if level = w.below; twice(level) {
			return damage(0, "index", "two branches that point to one node", "")
		}
	}
	byPlace(w.leaves)
	return w.each(w.leaves, w.leaf)
}

func byPlace(bs []branch) {
	slices.SortFunc(bs, func(a, b branch) int { return cmp.Or(cmp.Compare(a.lnum, b.lnum), cmp.Compare(a.offs, b.offs)) })
}

// twice puts bs in order and reports whether two of them point to one node, as
// in an index that would not end.
func twice(bs []branch) bool {
	byPlace(bs)
	for i := 1; i < len(bs); i++ {
		if bs[i].lnum == bs[i-1].lnum && bs[i].offs == bs[i-1].offs {
			return true
		}
	}
	return false
}

// branch is a pointer in an index node; level is that of the node it points to,
// -1 for the root, whose level nothing tells.
type branch struct {
	place
	key   key
	level int32
}

// walker goes through the index.
type walker struct {
	f      *FS
	below  []branch // the next level
	leaves []branch // entries and inodes
	buf    []byte
}

// Nodes that lie no more than maxGap bytes apart are read at once, up to
// maxGroup bytes.
const (
	maxGap   = 4 << 10
	maxGroup = 64 << 10
)

// each calls fn for the nodes that bs, in the order in which they lie, point to.
// raw is nil when the node cannot be read, for the reason err.
func (w *walker) each(bs []branch, fn func(b branch, raw []byte, err error) error) error {
	for len(bs) > 0 {
		n, end := 1, bs[0].end()
		for n < len(bs) && bs[n].lnum == bs[0].lnum && int64(bs[n].offs) <= end+maxGap && bs[n].end() <= int64(bs[0].offs)+maxGroup {
			end = max(end, bs[n].end())
			n++
		}
		if err := w.group(bs[:n], end, fn); err != nil {
			return err
		}
		bs = bs[n:]
	}
	return nil
}

func (p place) end() int64 { return int64(p.offs) + int64(p.length) }

// group reads the nodes of bs, all in one block before end.
func (w *walker) group(bs []branch, end int64, fn func(b branch, raw []byte, err error) error) error {
	first := bs[0]
	size := end - int64(first.offs)
	if end > int64(w.f.lebSize) || size > maxGroup {
		if len(bs) > 1 {
			return w.apart(bs, fn)
		}
		return fn(first, nil, damage(int64(first.offs), fmt.Sprintf("node in block %d", first.lnum), fmt.Sprintf("%d bytes", first.length), "a node inside the block"))
	}
	if w.buf == nil {
		w.buf = make([]byte, maxGroup)
	}
	raw := w.buf[:size]
	if err := w.f.src.ReadLEB(raw, int(first.lnum), int(first.offs)); err != nil {
		if len(bs) > 1 { // the image may end behind the first
			return w.apart(bs, fn)
		}
		return fn(first, nil, err)
	}
	for _, b := range bs {
		if err := fn(b, raw[b.offs-first.offs:][:b.length], nil); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) apart(bs []branch, fn func(b branch, raw []byte, err error) error) error {
	for i := range bs {
		if err := w.group(bs[i:i+1], bs[i].end(), fn); err != nil {
			return err
		}
	}
	return nil
}

// children takes the index node at b: what it points to is the next level, or the
// leaves.
func (w *walker) children(b branch, raw []byte, err error) error {
	if err != nil {
		return err
	}
	bad := func(what string) error {
		return damage(int64(b.offs), fmt.Sprintf("index node in block %d", b.lnum), what, "")
	}
	n, ok := parseNode(raw)
	if !ok || n.typ != idxNode {
		return bad("a broken node")
	}
	count, level := int(le.Uint16(n.b[24:])), int32(le.Uint16(n.b[26:]))
	if count == 0 || level >= maxLevels || idxSize+count*branchSize > len(n.b) || b.level >= 0 && level != b.level {
		return bad(fmt.Sprintf("%d children, level %d", count, level))
	}
	for i := range count {
		e := n.b[idxSize+i*branchSize:]
		kid := branch{place{le.Uint32(e), le.Uint32(e[4:]), le.Uint32(e[8:])}, parseKey(e[12:]), level - 1}
		switch {
		case level > 0:
			w.below = append(w.below, kid)
		case kid.key.typ() == dataNode:
			w.f.st.addPiece(kid.key, kid.place)
		default:
			w.leaves = append(w.leaves, kid)
		}
	}
	return nil
}

// leaf takes the entry or inode that b points to.
func (w *walker) leaf(b branch, raw []byte, err error) error {
	if err != nil {
		return err
	}
	n, ok := parseNode(raw)
	if !ok || parseKey(n.b[chSize:]) != b.key || !w.f.st.apply(n, b.place) {
		w.f.problem("ubifs-bad-node", int64(b.lnum), "", "block %d: the node at 0x%x is broken or missing", b.lnum, b.offs)
	}
	return nil
}

// lebCache keeps windows of the LEBs read last, since nodes that are asked for
// together lie together.
type lebCache struct {
	f    *FS
	wins []window
	next int
}

const windowSize = 32 << 10

type window struct {
	lnum, offs uint32
	b          []byte
}

func newLEBCache(f *FS, n int) *lebCache { return &lebCache{f: f, wins: make([]window, n)} }

// get returns the bytes at p, valid until the next call.
func (c *lebCache) get(p place) ([]byte, error) {
	if int64(p.offs)+int64(p.length) > int64(c.f.lebSize) {
		return nil, damage(int64(p.offs), fmt.Sprintf("node in block %d", p.lnum), fmt.Sprintf("%d bytes", p.length), "a node inside the block")
	}
	for i := range c.wins {
		w := &c.wins[i]
		if w.b != nil && w.lnum == p.lnum && w.offs <= p.offs && int64(p.offs)+int64(p.length) <= int64(w.offs)+int64(len(w.b)) {
			return w.b[p.offs-w.offs:][:p.length], nil
		}
	}
	w := &c.wins[c.next]
	c.next = (c.next + 1) % len(c.wins)
	n := min(max(windowSize, int(p.length)), c.f.lebSize-int(p.offs))
	if cap(w.b) < n {
		w.b = make([]byte, n)
	}
	w.b, w.lnum, w.offs = w.b[:n], p.lnum, p.offs
	if err := c.f.src.ReadLEB(w.b, int(p.lnum), int(p.offs)); err != nil {
		w.b = w.b[:p.length] // the image may end behind the node
		if err := c.f.src.ReadLEB(w.b, int(p.lnum), int(p.offs)); err != nil {
			w.b = nil
			return nil, err
		}
	}
	return w.b[:p.length], nil
}
