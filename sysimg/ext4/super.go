package ext4

import (
	"encoding/binary"
	"fmt"
	"io"

	"mtkport"
	"mtkport/sysimg/tree"
)

// super is the superblock with what follows from it.
type super struct {
	rawSuper
	raw       []byte
	blockSize int64
	blocks    int64
	groups    int64
	inodeSize int64
	descSize  int64
	seed      uint32 // of metadata checksums
}

// Is reports whether b, the first 2048 bytes of an image, can begin an ext
// file system (the magic of a superblock at 0x438).
func Is(b []byte) bool {
	return len(b) >= 0x43A && binary.LittleEndian.Uint16(b[0x438:]) == superMagic
}

func damaged(off int64, field string, found, want any) error {
	return &mtkport.Error{Off: off, Field: field, Found: fmt.Sprint(found), Want: fmt.Sprint(want), Err: mtkport.ErrDamaged}
}

func readSuper(r io.ReaderAt, off int64) (*super, error) {
	s := &super{raw: make([]byte, superSize)}
	if err := tree.ReadFull(r, s.raw, off); err != nil {
		return nil, &mtkport.Error{Off: off, Field: "superblock", Found: "a shorter image", Want: "1024 bytes", Err: mtkport.ErrFormat}
	}
	if _, err := binary.Decode(s.raw, binary.LittleEndian, &s.rawSuper); err != nil {
		return nil, err
	}
	if s.Magic != superMagic {
		return nil, &mtkport.Error{Off: off + 0x38, Field: "s_magic", Found: fmt.Sprintf("0x%04x", s.Magic), Want: "0xef53", Err: mtkport.ErrFormat}
	}
	return s, s.derive(off)
}

func (s *super) derive(off int64) error {
	if s.LogBlockSize > 6 {
		return damaged(off+0x18, "s_log_block_size", s.LogBlockSize, "at most 6")
	}
	s.blockSize = 1024 << s.LogBlockSize
	s.inodeSize, s.descSize, s.blocks = oldInode, 32, int64(s.BlocksCountLo)
	if s.RevLevel > 0 {
		s.inodeSize = int64(s.InodeSize)
	}
	if s.FeatureIncompat&incompat64Bit != 0 {
		s.blocks |= int64(s.BlocksCountHi) << 32
		s.descSize = int64(s.DescSize)
	}
	bits := uint32(s.blockSize * 8)
	switch {
	case s.inodeSize < oldInode || s.inodeSize > s.blockSize || s.inodeSize&(s.inodeSize-1) != 0:
		return damaged(off+0x58, "s_inode_size", s.inodeSize, fmt.Sprintf("a power of two, 128 to %d", s.blockSize))
	case s.descSize < 32 || s.descSize > 1024 || s.descSize&(s.descSize-1) != 0:
		return damaged(off+0xFE, "s_desc_size", s.descSize, "32 or 64")
	case s.BlocksPerGroup == 0 || s.FeatureROCompat&0x200 == 0 && s.BlocksPerGroup > bits:
		return damaged(off+0x20, "s_blocks_per_group", s.BlocksPerGroup, fmt.Sprintf("1 to %d", bits))
	case s.InodesPerGroup == 0 || s.InodesPerGroup > bits:
		return damaged(off+0x28, "s_inodes_per_group", s.InodesPerGroup, fmt.Sprintf("1 to %d", bits))
	case s.blocks <= int64(s.FirstDataBlock) || s.blocks > 1<<48:
		return damaged(off+4, "s_blocks_count", s.blocks, "more than the first data block")
	}
	s.groups = (s.blocks - int64(s.FirstDataBlock) + int64(s.BlocksPerGroup) - 1) / int64(s.BlocksPerGroup)
	if s.groups*s.descSize > maxGDT {
		return damaged(off+4, "s_blocks_count", s.blocks, fmt.Sprintf("at most %d groups", maxGDT/s.descSize))
	}
	s.seed = crc32c(^uint32(0), s.UUID[:])
	if s.FeatureIncompat&incompatCsumSeed != 0 {
		s.seed = s.ChecksumSeed
	}
	return s.supported(off)
}

func (s *super) supported(off int64) error {
	if bad := s.FeatureIncompat & (incompatCompression | incompatJournalDev); bad != 0 {
		return &mtkport.Error{Off: off + 0x60, Field: "s_feature_incompat", Found: fmt.Sprint(names(1, bad)), Want: "a file system that a phone can mount", Err: mtkport.ErrUnsupported}
	}
	return nil
}

// names lists the feature names in a word, unknown bits in hex.
func names(word int, bits uint32) []string {
	var out []string
	for i := range 32 {
		if b := bits & (1 << i); b != 0 {
			name, ok := featureNames[word][b]
			if !ok {
				name = fmt.Sprintf("0x%x", b)
			}
			out = append(out, name)
		}
	}
	return out
}

// hasSuper reports whether group g holds a copy of superblock and descriptors.
func hasSuper(g int64, sparse bool) bool {
	if !sparse || g <= 1 {
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		p := base
		for p < g {
			p *= base
		}
		if p == g {
			return true
		}
	}
	return false
}

// readGDT reads all descriptors, as far as the image goes. The second result is
// how many groups could be read.
func (s *super) readGDT(r io.ReaderAt) ([]byte, int64) {
	per := s.blockSize / s.descSize
	out := make([]byte, 0, s.groups*s.descSize)
	buf := make([]byte, s.blockSize)
	for b := int64(0); b*per < s.groups; b++ {
		if err := tree.ReadFull(r, buf, s.gdtBlock(b, per)*s.blockSize); err != nil {
			break
		}
		out = append(out, buf...)
	}
	out = out[:min(int64(len(out)), s.groups*s.descSize)]
	return out, int64(len(out)) / s.descSize
}

// gdtBlock is where block b of the descriptor table lies.
func (s *super) gdtBlock(b, per int64) int64 {
	if s.FeatureIncompat&incompatMetaBG == 0 || b < int64(s.FirstMetaBG) {
		return int64(s.FirstDataBlock) + 1 + b
	}
	g := b * per
	at := int64(s.FirstDataBlock) + g*int64(s.BlocksPerGroup)
	if hasSuper(g, s.FeatureROCompat&roSparseSuper != 0) {
		at++
	}
	return at
}
