package ext4

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// UUID is a file system's 16 bytes, printed as usual.
type UUID [16]byte

// String is the usual form, 8-4-4-4-12.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// MarshalText makes String the form in JSON.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads it back.
func (u *UUID) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(strings.ReplaceAll(string(b), "-", ""))
	if err != nil || len(raw) != len(u) {
		return fmt.Errorf("uuid %q: want 32 hex digits", b)
	}
	copy(u[:], raw)
	return nil
}

// Layout is what of an image is not its tree.
type Layout struct {
	Size           int64     `json:"size"`                      // bytes; 0: as small as the tree allows
	BlockSize      int64     `json:"block_size"`                // bytes: 1024, 2048 or 4096
	InodeSize      int64     `json:"inode_size"`                // bytes: 128 or 256 …
	ExtraIsize     int64     `json:"extra_isize"`               // bytes of extra inode fields, 0 to 32
	BlocksPerGroup int64     `json:"blocks_per_group"`          // 0: 8 × BlockSize
	InodesPerGroup int64     `json:"inodes_per_group"`          // 0: one inode for four blocks
	ReservedGDT    int64     `json:"reserved_gdt"`              // blocks kept for a larger descriptor table
	ReservedBlocks int64     `json:"reserved_blocks,omitempty"` // for root
	Compat         uint32    `json:"feature_compat"`            // feature words as in the superblock
	Incompat       uint32    `json:"feature_incompat"`
	ROCompat       uint32    `json:"feature_ro_compat"`
	UUID           UUID      `json:"uuid"`
	Label          string    `json:"label,omitempty"`        // 16 bytes at most
	LastMounted    string    `json:"last_mounted,omitempty"` // 64 bytes at most
	HashSeed       UUID      `json:"hash_seed"`
	HashVersion    uint8     `json:"hash_version"`             // of hashed directories: 0 legacy, 1 half MD4, 2 tea
	Flags          uint32    `json:"flags"`                    // 1 signed, 2 unsigned directory hash
	JournalBlocks  int64     `json:"journal_blocks,omitempty"` // 0: no journal
	Time           time.Time `json:"time"`                     // last write, of the superblock
	MountOpts      uint32    `json:"mount_opts,omitempty"`
	Errors         uint16    `json:"errors"` // behaviour on errors: 1 go on, 2 read-only, 3 panic
}

// what the writer can write
const (
	writeCompat   = compatJournal | compatXattr | compatResizeInode
	writeIncompat = incompatFiletype | incompatExtents
	writeRO       = roSparseSuper | roLargeFile | roHugeFile | roGDTCsum | roDirNlink | roExtraIsize
)

// Android is the layout of make_ext4fs without a journal: what a stock system
// image has. size is in bytes, 0 for as small as the tree allows. The UUID
// follows from the label, as make_ext4fs derives it.
func Android(size int64, label string) Layout {
	l := Layout{
		Size: size, BlockSize: 4096, InodeSize: 256, ExtraIsize: 28, ReservedGDT: -1,
		Compat: compatXattr | compatResizeInode, Incompat: incompatFiletype | incompatExtents,
		ROCompat: roSparseSuper | roLargeFile | roGDTCsum,
		UUID:     labelUUID(label), Label: label, HashVersion: 2, Flags: 2, Errors: 2,
	}
	return l
}

// AndroidJournal is Android with a journal of make_ext4fs's size: a 64th of the
// blocks, 1024 to 32768. It needs a size.
func AndroidJournal(size int64, label string) Layout {
	l := Android(size, label)
	l.Compat |= compatJournal
	l.JournalBlocks = min(max(size/l.BlockSize/64, 1024), 32768)
	return l
}

// labelUUID is make_ext4fs's: SHA-1 of a name space and the label, its first
// three fields in the other byte order, version 5.
func labelUUID(label string) (u UUID) {
	sum := sha1.Sum([]byte("extandroid/make_ext4fs" + label))
	copy(u[:], sum[:])
	slices.Reverse(u[:4])
	slices.Reverse(u[4:6])
	slices.Reverse(u[6:8])
	u[7] = u[7]&0x0F | 0x50
	u[8] = u[8]&0x3F | 0x80
	return u
}

// Features names the layout's features as mke2fs and dumpe2fs do.
func (l Layout) Features() []string {
	return append(append(names(0, l.Compat), names(1, l.Incompat)...), names(2, l.ROCompat)...)
}

// Unwritten names the features of the layout that [Write] leaves out.
func (l Layout) Unwritten() []string {
	return append(append(names(0, l.Compat&^writeCompat), names(1, l.Incompat&^writeIncompat)...), names(2, l.ROCompat&^writeRO)...)
}

// Layout copies the parameters of the image.
func (f *FS) Layout() Layout {
	s := f.sb
	l := Layout{
		Size: s.blocks * s.blockSize, BlockSize: s.blockSize, InodeSize: s.inodeSize,
		BlocksPerGroup: int64(s.BlocksPerGroup), InodesPerGroup: int64(s.InodesPerGroup), ReservedGDT: int64(s.ReservedGDT),
		ReservedBlocks: int64(s.RBlocksCountLo), Compat: s.FeatureCompat, Incompat: s.FeatureIncompat &^ incompatRecover, ROCompat: s.FeatureROCompat,
		UUID: s.UUID, Label: cstring(s.VolumeName[:]), LastMounted: cstring(s.LastMounted[:]),
		HashVersion: s.DefHashVersion, Flags: s.Flags, Time: time.Unix(int64(s.Wtime), 0).UTC(), MountOpts: s.DefaultMountOpts, Errors: s.Errors,
	}
	for i, w := range s.HashSeed {
		binary.LittleEndian.PutUint32(l.HashSeed[4*i:], w)
	}
	if in, err := f.inode(inoRoot); err == nil {
		l.ExtraIsize = int64(in.ExtraIsize)
	}
	if in, err := f.inode(inoJournal); err == nil && l.Compat&compatJournal != 0 {
		l.JournalBlocks = max(0, in.size()) / s.blockSize
	}
	return l
}

func cstring(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
