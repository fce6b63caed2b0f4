package ext4

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"mtkport/sysimg/tree"
)

// builder lays out one image. Blocks are taken in order, so all below next are
// in use: the bitmaps follow from that.
type builder struct {
	*geometry
	c      *census
	next   int64 // block
	group  int64 // of next
	inodes map[uint32][]byte
	last   int64                           // highest inode number
	alloc  func(n int64) ([]extent, error) // instead of next, when an image is patched
	dirs   []uint16                        // directories by group
	pieces []tree.Piece
	shared map[string]*sharedXattr
	super  rawSuper
}

// lay makes the plan for a layout with a size.
func (c *census) lay(l Layout) (*Plan, error) {
	g, err := geometryOf(l, c.inodes())
	if err != nil {
		return nil, err
	}
	b := &builder{geometry: g, c: c, shared: map[string]*sharedXattr{}}
	b.next = b.start(0) + b.overhead(0)
	b.inodes, b.last, b.dirs = map[uint32][]byte{}, c.inodes(), make([]uint16, g.groups)
	if err := b.special(); err != nil {
		return nil, err
	}
	for _, m := range c.list {
		if err := b.member(m); err != nil {
			return nil, err
		}
	}
	b.sharedBlocks()
	b.tables()
	slices.SortFunc(b.pieces, func(x, y tree.Piece) int { return int(min(max(x.Off-y.Off, -1), 1)) })
	return &Plan{g: g, pieces: b.pieces, free: b.freeRanges()}, nil
}

// take reserves n blocks and returns the runs: one, or more where a group's
// tables lie between.
func (b *builder) take(n int64) ([]extent, error) {
	if b.alloc != nil {
		return b.alloc(n)
	}
	var out []extent
	var file int64
	for n > 0 {
		for b.next >= b.end(b.group) {
			if b.group++; b.group >= b.groups {
				return nil, errFull
			}
			b.next = b.start(b.group) + b.overhead(b.group)
		}
		k := min(n, b.end(b.group)-b.next)
		if k <= 0 {
			b.next = b.end(b.group)
			continue
		}
		out = append(out, extent{file, b.next, k})
		b.next, n, file = b.next+k, n-k, file+k
	}
	return out, nil
}

// takeOne reserves one block and fills it.
func (b *builder) takeOne(data []byte) (int64, error) {
	run, err := b.take(1)
	if err != nil {
		return 0, err
	}
	b.put(run[0].disk, data)
	return run[0].disk, nil
}

// put places bytes at a block.
func (b *builder) put(block int64, data []byte) {
	b.pieces = append(b.pieces, tree.Piece{Off: block * b.BlockSize, Len: int64(len(data)), Src: bytes.NewReader(data)})
}

// member lays out one inode with what it holds.
func (b *builder) member(m *member) error {
	in := rawInode{Mode: uint16(m.n.Mode), Links: uint16(m.links), UIDLo: uint16(m.n.UID), UIDHi: uint16(m.n.UID >> 16), GIDLo: uint16(m.n.GID), GIDHi: uint16(m.n.GID >> 16)}
	b.times(&in, m.n.MTime)
	var err error
	switch m.n.Type() {
	case tree.Regular:
		err = b.regular(&in, m.n)
	case tree.Dir:
		err = b.directory(&in, m)
		b.dirs[int64(m.ino-1)/b.InodesPerGroup]++
	case tree.Symlink:
		err = b.symlink(&in, m.n.Target)
	case tree.CharDev, tree.BlockDev:
		encodeDevice(in.Block[:], m.n.Major, m.n.Minor)
	}
	if err != nil {
		return err
	}
	return b.finish(m.ino, &in, m)
}

// times sets the four times to the one that a tree keeps.
func (b *builder) times(in *rawInode, t time.Time) {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	sec := t.Unix()
	in.Mtime, in.Atime, in.Ctime, in.Crtime = uint32(sec), uint32(sec), uint32(sec), uint32(sec)
	extra := uint32(t.Nanosecond())<<2 | uint32((sec-int64(int32(sec)))>>32)&3
	in.MtimeExtra, in.AtimeExtra, in.CtimeExtra, in.CrtimeExt = extra, extra, extra, extra
}

func encodeDevice(b []byte, major, minor uint32) {
	if major < 256 && minor < 256 {
		binary.LittleEndian.PutUint32(b, major<<8|minor)
		return
	}
	binary.LittleEndian.PutUint32(b[4:], minor&0xFF|major<<8|minor&0xFFF00<<12)
}

// regular places the contents: only what is data, in blocks.
func (b *builder) regular(in *rawInode, n *tree.Node) error {
	size := n.Size()
	in.SizeLo, in.SizeHi = uint32(size), uint32(size>>32)
	if size >= 1<<31 {
		b.ROCompat |= roLargeFile
	}
	var ext []extent
	for _, r := range b.blockRuns(tree.DataRanges(n.Data), size) {
		runs, err := b.take(r.n)
		if err != nil {
			return err
		}
		for _, e := range runs {
			e.file += r.file
			at := e.file * b.BlockSize
			b.pieces = append(b.pieces, tree.Piece{Off: e.disk * b.BlockSize, Len: min(e.n*b.BlockSize, size-at), Src: n.Data, At: at})
			ext = append(ext, e)
		}
	}
	return b.mapBlocks(in, ext)
}

// blockRuns rounds data ranges to blocks and joins what touches.
func (b *builder) blockRuns(ranges []tree.Range, size int64) []extent {
	var out []extent
	for _, r := range ranges {
		from, to := r.Off/b.BlockSize, ceil(min(r.Off+r.Len, size), b.BlockSize)
		if k := len(out) - 1; k >= 0 && from <= out[k].file+out[k].n {
			out[k].n = max(out[k].n, to-out[k].file)
			continue
		}
		if to > from {
			out = append(out, extent{file: from, n: to - from})
		}
	}
	return out
}

func (b *builder) symlink(in *rawInode, target string) error {
	in.SizeLo = uint32(len(target))
	if len(target) < 60 {
		copy(in.Block[:], target)
		return nil
	}
	block := make([]byte, len(target))
	copy(block, target)
	if int64(len(target)) > b.BlockSize {
		return badLayout("link target", len(target), "at most a block")
	}
	at, err := b.takeOne(block)
	if err != nil {
		return err
	}
	return b.mapBlocks(in, []extent{{0, at, 1}})
}

// finish adds the attributes and encodes the inode.
func (b *builder) finish(ino uint32, in *rawInode, m *member) error {
	if b.InodeSize > oldInode {
		in.ExtraIsize = uint16(b.ExtraIsize)
	}
	raw := make([]byte, b.InodeSize)
	if m != nil && len(m.n.Xattrs) > 0 {
		if err := b.attributes(in, raw, m); err != nil {
			return err
		}
	}
	in.encode(raw)
	b.inodes[ino] = raw
	return nil
}

// encode writes the fields into raw, as many of the extra ones as the inode has.
func (in *rawInode) encode(raw []byte) {
	full, _ := binary.Append(nil, binary.LittleEndian, in)
	if len(raw) == oldInode {
		copy(raw, full)
		return
	}
	copy(raw[:oldInode+max(2, int(in.ExtraIsize))], full)
}

// charge counts n blocks to an inode, in its units of 512 bytes.
func (b *builder) charge(in *rawInode, n int64) {
	n *= b.BlockSize / 512
	n += int64(in.BlocksLo) | int64(in.BlocksHi)<<32
	in.BlocksLo, in.BlocksHi = uint32(n), uint16(n>>32)
}

func (b *builder) freeRanges() []tree.Range {
	var out []tree.Range
	for g := b.group; g < b.groups; g++ {
		from := max(b.next, b.start(g)+b.overhead(g))
		if to := b.end(g); to > from {
			out = append(out, tree.Range{Off: from * b.BlockSize, Len: (to - from) * b.BlockSize})
		}
	}
	return out
}
