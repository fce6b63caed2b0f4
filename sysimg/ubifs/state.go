package ubifs

import (
	"cmp"
	"math"
	"slices"
)

// place is where a node lies.
type place struct{ lnum, offs, length uint32 }

// piece is a data node: which block of its file it holds and where it lies.
// order is its rank in time among the nodes that were replayed.
type piece struct {
	block uint32
	order uint32
	place
}

func (p piece) before(o piece) int {
	if c := cmp.Compare(p.block, o.block); c != 0 {
		return c
	}
	return cmp.Compare(p.order, o.order)
}

// cut is a truncation: blocks from block on that are older than order are gone.
type cut struct{ block, order uint32 }

// object is all that is known of one inode number.
type object struct {
	inode  *inode
	pieces []piece
	cuts   []cut
	names  map[string]dent // of a directory
	xattrs map[string]dent
}

// state is the file system as the nodes seen so far describe it.
type state struct {
	objects map[uint32]*object
	last    *object // the one that was asked for last,
	lastIno uint32  // nil for none
	order   uint32
	inline  int // bytes kept of inodes' data
}

// maxInlineTotal bounds what symlinks and extended attributes take in memory.
const maxInlineTotal = 64 << 20

func newState() *state { return &state{objects: map[uint32]*object{}} }

func (s *state) object(ino uint32) *object {
	if s.last != nil && s.lastIno == ino {
		return s.last
	}
	o := s.objects[ino]
	if o == nil {
		o = &object{}
		s.objects[ino] = o
	}
	s.last, s.lastIno = o, ino
	return o
}

// apply takes one node into account; later calls win over earlier ones. It
// reports false for a node that makes no sense.
func (s *state) apply(n node, at place) bool {
	s.order++
	switch n.typ {
	case inoNode:
		return s.applyInode(n)
	case dataNode:
		k := parseKey(n.b[chSize:])
		if k.typ() != dataNode {
			return false
		}
		s.addPiece(k, at)
		return true
	case dentNode, xentNode:
		return s.applyDent(n)
	case truncNode:
		ino, size := le.Uint32(n.b[24:]), le.Uint64(n.b[48:])
		if size > maxFileSize {
			return false
		}
		o := s.object(ino)
		o.cuts = append(o.cuts, cut{uint32((size + blockSize - 1) / blockSize), s.order})
		if o.inode != nil {
			o.inode.size = size
		}
	}
	return true
}

func (s *state) addPiece(k key, at place) {
	o := s.object(k.ino)
	o.pieces = append(o.pieces, piece{k.value(), s.order, at})
}

func (s *state) applyInode(n node) bool {
	k := parseKey(n.b[chSize:])
	in, ok := parseInode(n.b)
	if !ok || k.typ() != inoNode {
		return false
	}
	if in.nlink == 0 {
		delete(s.objects, k.ino)
		s.last = nil
		return true
	}
	if s.inline += len(in.data); s.inline > maxInlineTotal {
		return false
	}
	in.data = slices.Clone(in.data)
	s.object(k.ino).inode = &in
	return true
}

func (s *state) applyDent(n node) bool {
	k := parseKey(n.b[chSize:])
	d, ok := parseDent(n.b)
	if !ok || k.typ() != n.typ || d.ino > math.MaxUint32 {
		return false
	}
	o := s.object(k.ino)
	set := &o.names
	if n.typ == xentNode {
		set = &o.xattrs
	}
	if d.ino == 0 {
		delete(*set, d.name)
		return true
	}
	if *set == nil {
		*set = map[string]dent{}
	}
	(*set)[d.name] = d
	return true
}

// settle leaves in o.pieces one piece for each block, in order, without those
// that were cut off or written over.
func (o *object) settle() {
	if !slices.IsSortedFunc(o.pieces, piece.before) {
		slices.SortStableFunc(o.pieces, piece.before)
	}
	// lowest[i] is the lowest block that cuts[i:] cut at.
	lowest := make([]uint32, len(o.cuts)+1)
	lowest[len(o.cuts)] = math.MaxUint32
	for i := len(o.cuts) - 1; i >= 0; i-- {
		lowest[i] = min(lowest[i+1], o.cuts[i].block)
	}
	kept := o.pieces[:0]
	for i, p := range o.pieces {
		if i+1 < len(o.pieces) && o.pieces[i+1].block == p.block {
			continue
		}
		later, _ := slices.BinarySearchFunc(o.cuts, p.order, func(c cut, order uint32) int { return cmp.Compare(c.order, order) })
		if p.block < lowest[later] {
			kept = append(kept, p)
		}
	}
	o.pieces, o.cuts = kept, nil
}
