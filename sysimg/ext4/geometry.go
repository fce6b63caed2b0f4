package ext4

import (
	"fmt"

	"mtkport"
)

// geometry is a layout with all that follows from its size.
type geometry struct {
	Layout
	first  int64 // first data block
	blocks int64
	groups int64
	gdt    int64 // blocks of the descriptor table
	itable int64 // blocks of one inode table
}

func badLayout(field string, found, want any) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: field, Found: fmt.Sprint(found), Want: fmt.Sprint(want), Err: mtkport.ErrUnsupported}
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// geometryOf completes and checks a layout whose size is known. inodes is how
// many the tree needs.
func geometryOf(l Layout, inodes int64) (*geometry, error) {
	g := &geometry{Layout: l}
	if l.ROCompat&roMetadataCsum != 0 {
		g.ROCompat |= roGDTCsum
	}
	g.Compat, g.Incompat, g.ROCompat = g.Compat&writeCompat, g.Incompat&writeIncompat|incompatFiletype, g.ROCompat&writeRO
	bs := g.BlockSize
	switch {
	case bs != 1024 && bs != 2048 && bs != 4096:
		return nil, badLayout("block size", bs, "1024, 2048 or 4096")
	case g.InodeSize < oldInode || g.InodeSize > bs || g.InodeSize&(g.InodeSize-1) != 0:
		return nil, badLayout("inode size", g.InodeSize, fmt.Sprintf("a power of two, 128 to %d", bs))
	case g.ExtraIsize < 0 || g.ExtraIsize > 32 || g.ExtraIsize%4 != 0:
		return nil, badLayout("extra inode size", g.ExtraIsize, "0 to 32")
	case len(g.Label) > 16:
		return nil, badLayout("label", g.Label, "at most 16 bytes")
	case len(g.LastMounted) > 64:
		return nil, badLayout("last mount point", g.LastMounted, "at most 64 bytes")
	case g.Size < 0 || g.Size/bs > 1<<32-1:
		return nil, badLayout("size", g.Size, fmt.Sprintf("at most %d", (1<<32-1)*bs))
	}
	if g.InodeSize == oldInode {
		g.ExtraIsize = 0
	}
	return g, g.divide(inodes)
}

// divide cuts the size into groups.
func (g *geometry) divide(inodes int64) error {
	bs := g.BlockSize
	if bs == 1024 {
		g.first = 1
	}
	if g.BlocksPerGroup == 0 {
		g.BlocksPerGroup = 8 * bs
	}
	if g.BlocksPerGroup > 8*bs || g.BlocksPerGroup%8 != 0 || g.BlocksPerGroup < 256 {
		return badLayout("blocks per group", g.BlocksPerGroup, fmt.Sprintf("a multiple of 8, 256 to %d", 8*bs))
	}
	g.blocks = g.Size / bs
	g.count()
	if rest := (g.blocks - g.first) % g.BlocksPerGroup; g.groups > 1 && rest > 0 && rest < g.overhead(g.groups-1)+50 {
		g.blocks -= rest // too little for a group's own tables: left unused, as mke2fs does
		g.count()
	}
	if g.groups < 1 {
		return g.tooSmall()
	}
	perBlock := max(8, bs/g.InodeSize)
	if least := ceil(ceil(inodes, g.groups), perBlock) * perBlock; g.InodesPerGroup < least {
		g.InodesPerGroup = least
		g.count()
	}
	if g.InodesPerGroup > 8*bs {
		return badLayout("inodes per group", g.InodesPerGroup, fmt.Sprintf("at most %d", 8*bs))
	}
	if g.blocks-g.first <= g.overhead(0) {
		return g.tooSmall()
	}
	return nil
}

// count derives groups and tables from blocks.
func (g *geometry) count() {
	bs := g.BlockSize
	g.groups = ceil(max(0, g.blocks-g.first), g.BlocksPerGroup)
	g.gdt = ceil(g.groups*32, bs)
	if g.Layout.InodesPerGroup == 0 && g.groups > 0 {
		perBlock := max(8, bs/g.InodeSize)
		g.InodesPerGroup = max(perBlock, ceil(ceil(g.blocks/4, g.groups), perBlock)*perBlock)
	}
	if g.Compat&compatResizeInode == 0 {
		g.ReservedGDT = 0
	} else if g.ReservedGDT < 0 {
		g.ReservedGDT = min(ceil(g.groups*1024*32, bs)-g.gdt, bs/4)
	}
	if g.ReservedGDT = min(g.ReservedGDT, bs/4); g.ReservedGDT <= 0 {
		g.ReservedGDT, g.Compat = 0, g.Compat&^compatResizeInode
	}
	g.itable = ceil(g.InodesPerGroup*g.InodeSize, bs)
}

func (g *geometry) tooSmall() error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "image", Found: fmt.Sprintf("%d bytes", g.Size), Want: "room for one block group", Err: mtkport.ErrTooBig}
}

// start is the first block of a group, end the block past it.
func (g *geometry) start(n int64) int64 { return g.first + n*g.BlocksPerGroup }
func (g *geometry) end(n int64) int64   { return min(g.start(n+1), g.blocks) }

// copies is how many blocks superblock and descriptors take in a group.
func (g *geometry) copies(n int64) int64 {
	if !hasSuper(n, g.ROCompat&roSparseSuper != 0) {
		return 0
	}
	return 1 + g.gdt + g.ReservedGDT
}

// overhead is how many blocks a group's own tables take, at its start.
func (g *geometry) overhead(n int64) int64 { return g.copies(n) + 2 + g.itable }
