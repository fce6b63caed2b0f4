package ubifs

import "fmt"

// walkIndex reads the committed index from its root. It returns an error when a
// part of the tree cannot be read; the state is then not whole.
func (f *FS) walkIndex() error {
	w := &walker{f: f, seen: map[[2]uint32]bool{}, cache: newLEBCache(f, 8)}
	root := place{f.mst.rootLNum, f.mst.rootOffs, f.mst.rootLen}
	stack := []branch{{place: root, level: -1}}
	for len(stack) > 0 {
		b := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		kids, err := w.children(b)
		if err != nil {
			return err
		}
		if len(kids) > 0 && kids[0].level < 0 {
			if err := w.leaves(kids); err != nil {
				return err
			}
			continue
		}
		for i := len(kids) - 1; i >= 0; i-- {
			stack = append(stack, kids[i])
		}
	}
	return nil
}

// branch is a pointer in an index node; level is that of the node it points to,
// -1 for a leaf (and for the root, whose level nothing tells).
type branch struct {
	place
	key   key
	level int
}

type walker struct {
	f     *FS
	seen  map[[2]uint32]bool
	cache *lebCache
}

// children reads the index node at b.
func (w *walker) children(b branch) ([]branch, error) {
	bad := func(what string) error {
		return damage(int64(b.offs), fmt.Sprintf("index node in block %d", b.lnum), what, "")
	}
	at := [2]uint32{b.lnum, b.offs}
	if w.seen[at] || int64(b.length) > int64(maxNodeSize[idxNode]) {
		return nil, bad(fmt.Sprintf("a node of %d bytes, met before: %t", b.length, w.seen[at]))
	}
	w.seen[at] = true
	raw, err := w.cache.get(b.place)
	if err != nil {
		return nil, err
	}
	n, ok := parseNode(raw)
	if !ok || n.typ != idxNode {
		return nil, bad("a broken node")
	}
	count, level := int(le.Uint16(n.b[24:])), int(le.Uint16(n.b[26:]))
	if count == 0 || level >= maxLevels || idxSize+count*branchSize > len(n.b) || b.level >= 0 && level != b.level {
		return nil, bad(fmt.Sprintf("%d children, level %d", count, level))
	}
	out := make([]branch, count)
	for i := range out {
		e := n.b[idxSize+i*branchSize:]
		out[i] = branch{place{le.Uint32(e), le.Uint32(e[4:]), le.Uint32(e[8:])}, parseKey(e[12:]), level - 1}
	}
	return out, nil
}

// leaves takes the nodes that the lowest index node points to.
func (w *walker) leaves(kids []branch) error {
	st := w.f.st
	for _, b := range kids {
		if b.key.typ() == dataNode {
			st.addPiece(b.key, b.place)
			continue
		}
		if int64(b.length) > int64(maxNodeSize[inoNode]) {
			return damage(int64(b.offs), fmt.Sprintf("index branch in block %d", b.lnum), fmt.Sprintf("a node of %d bytes", b.length), "")
		}
		raw, err := w.cache.get(b.place)
		if err != nil {
			return err
		}
		n, ok := parseNode(raw)
		if !ok || parseKey(n.b[chSize:]) != b.key || !st.apply(n, b.place) {
			w.f.problem("ubifs-bad-node", int64(b.lnum), "", "block %d: the node at 0x%x is broken or missing", b.lnum, b.offs)
		}
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
