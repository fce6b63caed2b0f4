package ext4

import (
	"encoding/binary"

	"mtkport/sysimg/tree"
)

// special lays out what no name leads to: the resize inode and the journal.
func (b *builder) special() error {
	if b.ReservedGDT > 0 {
		if err := b.resizeInode(); err != nil {
			return err
		}
	}
	if b.Compat&compatJournal == 0 {
		b.JournalBlocks = 0
		return nil
	}
	if b.JournalBlocks < 1024 {
		b.JournalBlocks = 1024 // the least that the kernel takes
	}
	return b.journal()
}

// resizeInode owns the reserved descriptor blocks: a double-indirect block names
// those of the first group, each of which names its copies in the others.
func (b *builder) resizeInode() error {
	per := b.BlockSize / 4
	in := rawInode{Mode: tree.Regular | 0o600, Links: 1}
	b.times(&in, b.Time)
	size := (per*per + per + 12) * b.BlockSize
	in.SizeLo, in.SizeHi = uint32(size), uint32(size>>32)
	dind := make([]byte, b.BlockSize)
	for i := range b.ReservedGDT {
		at := b.first + 1 + b.gdt + i
		binary.LittleEndian.PutUint32(dind[(b.gdt+i)%per*4:], uint32(at))
		copies := make([]byte, b.BlockSize)
		n := int64(0)
		for g := int64(1); g < b.groups; g++ {
			if b.copies(g) > 0 && n < per {
				binary.LittleEndian.PutUint32(copies[4*n:], uint32(at+g*b.BlocksPerGroup))
				n++
			}
		}
		b.put(at, copies)
		b.charge(&in, 1+n)
	}
	at, err := b.takeOne(dind)
	if err != nil {
		return err
	}
	b.charge(&in, 1)
	binary.LittleEndian.PutUint32(in.Block[4*13:], uint32(at))
	return b.finish(inoResize, &in, nil)
}

// journal is an empty log with its superblock.
func (b *builder) journal() error {
	in := rawInode{Mode: tree.Regular | 0o600, Links: 1}
	b.times(&in, b.Time)
	size := b.JournalBlocks * b.BlockSize
	in.SizeLo, in.SizeHi = uint32(size), uint32(size>>32)
	runs, err := b.take(b.JournalBlocks)
	if err != nil {
		return err
	}
	head := make([]byte, 1024)
	for off, v := range map[int]uint32{0: jbdMagic, 4: jbdSuperV2, 0xC: uint32(b.BlockSize), 0x10: uint32(b.JournalBlocks), 0x14: 1, 0x18: 1, 0x40: 1} {
		binary.BigEndian.PutUint32(head[off:], v)
	}
	b.put(runs[0].disk, head)
	if err := b.mapBlocks(&in, runs); err != nil {
		return err
	}
	b.super.JournalInum, b.super.JnlBackupType = inoJournal, 1
	for i := range 15 {
		b.super.JnlBlocks[i] = binary.LittleEndian.Uint32(in.Block[4*i:])
	}
	b.super.JnlBlocks[15], b.super.JnlBlocks[16] = in.SizeHi, in.SizeLo
	return b.finish(inoJournal, &in, nil)
}

// tables writes bitmaps, inode tables, descriptors and superblocks, last of all.
func (b *builder) tables() {
	var gdt []byte
	var freeBlocks, freeInodes int64
	s := super{rawSuper: rawSuper{FeatureROCompat: b.ROCompat, UUID: b.UUID}}
	for g := range b.groups {
		d := b.groupTables(g)
		freeBlocks, freeInodes = freeBlocks+int64(d.FreeBlocks), freeInodes+int64(d.FreeInodes)
		raw, _ := binary.Append(nil, binary.LittleEndian, d)
		binary.LittleEndian.PutUint16(raw[0x1E:], s.groupSum(uint32(g), raw))
		gdt = append(gdt, raw...)
	}
	gdt = append(gdt, make([]byte, b.gdt*b.BlockSize-int64(len(gdt)))...)
	b.fillSuper(freeBlocks, freeInodes)
	for g := range b.groups {
		if b.copies(g) == 0 {
			continue
		}
		b.super.BlockGroupNr = uint16(g)
		raw, _ := binary.Append(nil, binary.LittleEndian, b.super)
		at := b.start(g) * b.BlockSize
		if g == 0 {
			at = superOffset
		}
		b.put(0, raw)
		b.pieces[len(b.pieces)-1].Off = at
		b.put(b.start(g)+1, gdt)
	}
}

// groupTables writes one group's bitmaps and inode table.
func (b *builder) groupTables(g int64) rawGroup {
	at := b.start(g) + b.copies(g)
	d := rawGroup{BlockBitmap: uint32(at), InodeBitmap: uint32(at + 1), InodeTable: uint32(at + 2), UsedDirs: b.dirs[g]}
	n, used := b.end(g)-b.start(g), b.overhead(g)
	if b.next > b.start(g)+used {
		used = min(n, b.next-b.start(g))
	}
	d.FreeBlocks = uint16(n - used)
	b.put(at, bitmap(b.BlockSize, used, n))

	first := g * b.InodesPerGroup
	count := min(max(0, b.last-first), b.InodesPerGroup)
	d.FreeInodes = uint16(b.InodesPerGroup - count)
	b.put(at+1, bitmap(b.BlockSize, count, b.InodesPerGroup))
	if b.ROCompat&roGDTCsum != 0 {
		d.ItableUnuse = uint16(b.InodesPerGroup - count)
		if count == 0 {
			d.Flags |= groupInodeUninit
		}
	}
	if count > 0 {
		table := make([]byte, count*b.InodeSize)
		for i := range count {
			copy(table[i*b.InodeSize:], b.inodes[uint32(first+i+1)])
		}
		b.put(at+2, table)
	}
	return d
}

// bitmap has the first used bits set, and those past n.
func bitmap(size, used, n int64) []byte {
	b := make([]byte, size)
	for i := range min(used, 8*size) {
		b[i/8] |= 1 << (i % 8)
	}
	for i := n; i < 8*size; i++ {
		b[i/8] |= 1 << (i % 8)
	}
	return b
}

func (b *builder) fillSuper(freeBlocks, freeInodes int64) {
	s := &b.super
	when := uint32(0)
	if !b.Time.IsZero() {
		when = uint32(b.Time.Unix())
	}
	s.InodesCount, s.BlocksCountLo = uint32(b.InodesPerGroup*b.groups), uint32(b.blocks)
	s.RBlocksCountLo = uint32(min(b.ReservedBlocks, b.blocks/2))
	s.FreeBlocksCountLo, s.FreeInodesCount, s.FirstDataBlock = uint32(freeBlocks), uint32(freeInodes), uint32(b.first)
	for 1024<<s.LogBlockSize < b.BlockSize {
		s.LogBlockSize++
	}
	s.LogClusterSize, s.BlocksPerGroup, s.ClustersPerGroup, s.InodesPerGroup = s.LogBlockSize, uint32(b.BlocksPerGroup), uint32(b.BlocksPerGroup), uint32(b.InodesPerGroup)
	s.Wtime, s.Lastcheck, s.MkfsTime = when, when, when
	s.MaxMntCount, s.Magic, s.State, s.Errors, s.RevLevel = 0xFFFF, superMagic, 1, max(1, b.Errors), 1
	s.FirstIno, s.InodeSize = inoFirst, uint16(b.InodeSize)
	s.FeatureCompat, s.FeatureIncompat, s.FeatureROCompat = b.Compat, b.Incompat, b.ROCompat
	s.UUID = b.UUID
	copy(s.VolumeName[:], b.Label)
	copy(s.LastMounted[:], b.LastMounted)
	s.ReservedGDT = uint16(b.ReservedGDT)
	for i := range s.HashSeed {
		s.HashSeed[i] = binary.LittleEndian.Uint32(b.HashSeed[4*i:])
	}
	s.DefHashVersion, s.DefaultMountOpts, s.Flags = b.HashVersion, b.MountOpts, b.Flags
	if b.InodeSize > oldInode {
		s.MinExtraIsize, s.WantExtraIsize = uint16(b.ExtraIsize), uint16(b.ExtraIsize)
	}
}
