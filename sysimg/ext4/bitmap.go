package ext4

import (
	"encoding/binary"
	"fmt"

	"mtkport"
)

// bitmaps holds the block and inode bitmaps of an image that is being changed
// or checked, by group, read when first needed.
type bitmaps struct {
	f      *FS
	blocks map[int64][]byte
	inodes map[int64][]byte
}

func isSet(b []byte, i int64) bool { return b[i/8]&(1<<(i%8)) != 0 }

// groupBlocks is how many blocks group g has.
func (f *FS) groupBlocks(g int64) int64 {
	return min(int64(f.sb.BlocksPerGroup), f.sb.blocks-f.groupStart(g))
}

func (f *FS) groupStart(g int64) int64 {
	return int64(f.sb.FirstDataBlock) + g*int64(f.sb.BlocksPerGroup)
}

// block is group g's block bitmap. One that was never written is made.
func (m *bitmaps) block(g int64) ([]byte, error) {
	if b := m.blocks[g]; b != nil {
		return b, nil
	}
	d := m.f.desc(g)
	var b []byte
	if binary.LittleEndian.Uint16(d[0x12:])&groupBlockUninit != 0 {
		b = m.f.tableBits(g)
	} else {
		var err error
		if b, err = m.f.readBlock(m.f.wide(d, 0)); err != nil {
			return nil, err
		}
	}
	m.blocks[g] = b
	return b, nil
}

// inode is group g's inode bitmap.
func (m *bitmaps) inode(g int64) ([]byte, error) {
	if b := m.inodes[g]; b != nil {
		return b, nil
	}
	d := m.f.desc(g)
	var b []byte
	if binary.LittleEndian.Uint16(d[0x12:])&groupInodeUninit != 0 {
		b = bitmap(m.f.sb.blockSize, 0, int64(m.f.sb.InodesPerGroup))
	} else {
		var err error
		if b, err = m.f.readBlock(m.f.wide(d, 4)); err != nil {
			return nil, err
		}
	}
	m.inodes[g] = b
	return b, nil
}

// tableBits is the bitmap of a group that holds nothing but tables: its copies
// of superblock and descriptors, and the bitmaps and inode tables of any group
// that lie in it.
func (f *FS) tableBits(g int64) []byte {
	s, start, n := f.sb, f.groupStart(g), f.groupBlocks(g)
	b := bitmap(s.blockSize, f.copies(g), n)
	mark := func(from, count int64) {
		for i := max(from, start); i < min(from+count, start+n); i++ {
			b[(i-start)/8] |= 1 << ((i - start) % 8)
		}
	}
	itable := ceil(int64(s.InodesPerGroup)*s.inodeSize, s.blockSize)
	for o := range f.have {
		d := f.desc(o)
		mark(f.wide(d, 0), 1)
		mark(f.wide(d, 4), 1)
		mark(f.wide(d, 8), itable)
	}
	return b
}

// copies is how many blocks superblock, descriptors and reserved descriptors
// take at the start of group g.
func (f *FS) copies(g int64) int64 {
	if !hasSuper(g, f.sb.FeatureROCompat&roSparseSuper != 0) {
		return 0
	}
	return 1 + ceil(f.sb.groups*f.sb.descSize, f.sb.blockSize) + int64(f.sb.ReservedGDT)
}

// group finds the group of a block and its bit there.
func (f *FS) group(block int64) (g, bit int64) {
	block -= int64(f.sb.FirstDataBlock)
	return block / int64(f.sb.BlocksPerGroup), block % int64(f.sb.BlocksPerGroup)
}

// maxChecked is how many groups [FS.Check] and [FS.Patch] take: 512 GiB in blocks
// of 4 KiB. Each is compared with each.
const maxChecked = 4096

// Check compares the block bitmaps with what tables and files use: the own
// counterpart of a file system check's first pass. It lists blocks that two
// owners claim, that are in use and called free, or the other way round. Images
// with clusters (bigalloc) or scattered descriptors (meta_bg) are not checked.
func (f *FS) Check() ([]mtkport.Finding, error) {
	if f.sb.FeatureROCompat&0x200 != 0 || f.sb.FeatureIncompat&incompatMetaBG != 0 || f.have < f.sb.groups || f.have > maxChecked {
		return nil, nil
	}
	c := checker{f: f, used: map[int64][]byte{}, xattrs: map[int64]bool{}}
	for g := range f.have {
		c.used[g] = f.tableBits(g)
	}
	for _, ino := range []uint32{inoResize, inoJournal} {
		c.special(ino)
	}
	for _, ino := range f.inos {
		c.inode(ino)
	}
	return c.out, c.compare()
}

type checker struct {
	f      *FS
	used   map[int64][]byte
	xattrs map[int64]bool // attribute blocks met, which may have several owners
	out    []mtkport.Finding
}

func (c *checker) find(sev mtkport.Severity, subject, format string, args ...any) {
	if len(c.out) < maxProblems {
		c.out = append(c.out, mtkport.Finding{Code: "ext4-blocks", Severity: sev, Subject: subject, Text: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) claim(ino uint32, from, n int64) {
	for i := from; i < from+n; i++ {
		g, bit := c.f.group(i)
		if b := c.used[g]; b == nil || i < int64(c.f.sb.FirstDataBlock) {
			c.find(mtkport.Risk, fmt.Sprintf("inode %d", ino), "block %d lies outside of the file system", i)
		} else if isSet(b, bit) {
			c.find(mtkport.Risk, fmt.Sprintf("inode %d", ino), "block %d belongs to something else too", i)
		} else {
			b[bit/8] |= 1 << (bit % 8)
		}
	}
}

// special claims what the resize inode and the journal own. The resize inode's
// pointers name reserved descriptor blocks, which the tables have already.
func (c *checker) special(ino uint32) {
	in, err := c.f.inode(ino)
	if err != nil || in.Links == 0 {
		return
	}
	if ino == inoResize {
		if at := int64(binary.LittleEndian.Uint32(in.Block[4*13:])); at > 0 {
			c.claim(ino, at, 1)
		}
		return
	}
	c.blocks(in)
}

func (c *checker) inode(ino uint32) {
	in, err := c.f.inode(ino)
	if err != nil {
		return
	}
	c.blocks(in)
	if at := in.acl(c.f.sb); at > 0 && !c.xattrs[at] {
		c.xattrs[at] = true
		c.claim(ino, at, 1)
	}
}

func (c *checker) blocks(in *inode) {
	if !in.hasBlocks() {
		return
	}
	data, nodes, err := c.f.owned(in.Flags, in.Block[:])
	if err != nil {
		c.find(mtkport.Risk, fmt.Sprintf("inode %d", in.ino), "its map is broken: %v", err)
	}
	for _, e := range data {
		c.claim(in.ino, e.disk, e.n)
	}
	for _, n := range nodes {
		c.claim(in.ino, n, 1)
	}
}

// compare lists where the bitmaps on disk say otherwise.
func (c *checker) compare() error {
	m := bitmaps{f: c.f, blocks: map[int64][]byte{}, inodes: map[int64][]byte{}}
	for g := range c.f.have {
		disk, err := m.block(g)
		if err != nil {
			return err
		}
		var free, lost int64
		for i := range c.f.groupBlocks(g) {
			switch used, marked := isSet(c.used[g], i), isSet(disk, i); {
			case used && !marked:
				free++
			case marked && !used:
				lost++
			}
		}
		subject := fmt.Sprintf("group %d", g)
		if free > 0 {
			c.find(mtkport.Risk, subject, "%d blocks are in use and called free", free)
		}
		if lost > 0 {
			c.find(mtkport.Note, subject, "%d blocks are called used, and nothing uses them", lost)
		}
	}
	return nil
}
