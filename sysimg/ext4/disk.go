package ext4

import "encoding/binary"

// Feature words (names as in the kernel and mke2fs).
const (
	compatJournal     = 0x0004
	compatXattr       = 0x0008
	compatResizeInode = 0x0010
	compatDirIndex    = 0x0020
	compatSparse2     = 0x0200

	incompatCompression = 0x0001
	incompatFiletype    = 0x0002
	incompatRecover     = 0x0004
	incompatJournalDev  = 0x0008
	incompatMetaBG      = 0x0010
	incompatExtents     = 0x0040
	incompat64Bit       = 0x0080
	incompatFlexBG      = 0x0200
	incompatCsumSeed    = 0x2000
	incompatInlineData  = 0x8000
	incompatEncrypt     = 0x10000

	roSparseSuper  = 0x0001
	roLargeFile    = 0x0002
	roHugeFile     = 0x0008
	roGDTCsum      = 0x0010
	roDirNlink     = 0x0020
	roExtraIsize   = 0x0040
	roMetadataCsum = 0x0400
)

// featureNames gives the words that mke2fs and dumpe2fs print, by word and bit.
var featureNames = [3]map[uint32]string{
	{0x1: "dir_prealloc", 0x2: "imagic_inodes", 0x4: "has_journal", 0x8: "ext_attr", 0x10: "resize_inode", 0x20: "dir_index",
		0x40: "lazy_bg", 0x200: "sparse_super2", 0x400: "fast_commit", 0x800: "stable_inodes", 0x1000: "orphan_file"},
	{0x1: "compression", 0x2: "filetype", 0x4: "needs_recovery", 0x8: "journal_dev", 0x10: "meta_bg", 0x40: "extent", 0x80: "64bit",
		0x100: "mmp", 0x200: "flex_bg", 0x400: "ea_inode", 0x1000: "dirdata", 0x2000: "metadata_csum_seed", 0x4000: "large_dir",
		0x8000: "inline_data", 0x10000: "encrypt", 0x20000: "casefold"},
	{0x1: "sparse_super", 0x2: "large_file", 0x8: "huge_file", 0x10: "uninit_bg", 0x20: "dir_nlink", 0x40: "extra_isize", 0x100: "quota",
		0x200: "bigalloc", 0x400: "metadata_csum", 0x1000: "read-only", 0x2000: "project", 0x4000: "shared_blocks", 0x8000: "verity",
		0x10000: "orphan_present"},
}

// Special inodes.
const (
	inoRoot    = 2
	inoResize  = 7
	inoJournal = 8
	inoFirst   = 11 // lost+found in practice
)

// Inode flags.
const (
	flagIndex      = 0x1000
	flagHugeFile   = 0x40000
	flagExtents    = 0x80000
	flagEAInode    = 0x200000
	flagInlineData = 0x10000000
	flagEncrypt    = 0x800
	flagCompressed = 0x4
)

const (
	superOffset = 1024
	superSize   = 1024
	superMagic  = 0xEF53
	extentMagic = 0xF30A
	xattrMagic  = 0xEA020000
	oldInode    = 128 // bytes of an inode without extra fields

	maxDepth    = 5       // of an extent tree: what the kernel allows
	maxNames    = 1 << 20 // in one image; a stock system has some thousand
	maxExtents  = 1 << 22 // of one file
	maxGDT      = 16 << 20
	maxXattr    = 64 << 10 // bytes of one value: the kernel's XATTR_SIZE_MAX
	maxProblems = 1000
)

// rawSuper is the superblock as it lies on disk, offset 0x400, little-endian
// (Documentation/filesystems/ext4/super.rst). Offsets are hexadecimal.
type rawSuper struct {
	InodesCount       uint32 // 00
	BlocksCountLo     uint32
	RBlocksCountLo    uint32
	FreeBlocksCountLo uint32
	FreeInodesCount   uint32 // 10
	FirstDataBlock    uint32
	LogBlockSize      uint32
	LogClusterSize    uint32
	BlocksPerGroup    uint32 // 20
	ClustersPerGroup  uint32
	InodesPerGroup    uint32
	Mtime             uint32
	Wtime             uint32 // 30
	MntCount          uint16
	MaxMntCount       uint16
	Magic             uint16 // 38
	State             uint16
	Errors            uint16
	MinorRevLevel     uint16
	Lastcheck         uint32 // 40
	Checkinterval     uint32
	CreatorOS         uint32
	RevLevel          uint32
	DefResuid         uint16 // 50
	DefResgid         uint16
	FirstIno          uint32
	InodeSize         uint16 // 58
	BlockGroupNr      uint16
	FeatureCompat     uint32
	FeatureIncompat   uint32 // 60
	FeatureROCompat   uint32
	UUID              [16]byte
	VolumeName        [16]byte // 78
	LastMounted       [64]byte // 88
	AlgorithmUsage    uint32   // C8
	PreallocBlocks    uint8
	PreallocDirBlocks uint8
	ReservedGDT       uint16
	JournalUUID       [16]byte // D0
	JournalInum       uint32   // E0
	JournalDev        uint32
	LastOrphan        uint32
	HashSeed          [4]uint32 // EC
	DefHashVersion    uint8     // FC
	JnlBackupType     uint8
	DescSize          uint16
	DefaultMountOpts  uint32 // 100
	FirstMetaBG       uint32
	MkfsTime          uint32
	JnlBlocks         [17]uint32
	BlocksCountHi     uint32 // 150
	RBlocksCountHi    uint32
	FreeBlocksCountHi uint32
	MinExtraIsize     uint16
	WantExtraIsize    uint16
	Flags             uint32 // 160
	RaidStride        uint16
	MMPInterval       uint16
	MMPBlock          uint64
	RaidStripeWidth   uint32 // 170
	LogGroupsPerFlex  uint8
	ChecksumType      uint8
	_                 uint16
	KbytesWritten     uint64 // 178
	_                 [240]byte
	ChecksumSeed      uint32 // 270
	_                 [392]byte
	Checksum          uint32 // 3FC
}

// rawGroup is the 32-byte group descriptor; the 64-byte form has the high
// halves in the same order behind it.
type rawGroup struct {
	BlockBitmap uint32
	InodeBitmap uint32
	InodeTable  uint32
	FreeBlocks  uint16
	FreeInodes  uint16
	UsedDirs    uint16 // 10
	Flags       uint16
	_           [8]byte
	ItableUnuse uint16 // 1C
	Checksum    uint16
}

// Group descriptor flags.
const (
	groupInodeUninit = 1
	groupBlockUninit = 2
	groupZeroed      = 4
)

// rawInode is the classic 128 bytes of an inode and the extra fields behind it.
type rawInode struct {
	Mode       uint16 // 00
	UIDLo      uint16
	SizeLo     uint32
	Atime      uint32
	Ctime      uint32
	Mtime      uint32 // 10
	Dtime      uint32
	GIDLo      uint16
	Links      uint16
	BlocksLo   uint32
	Flags      uint32 // 20
	Version    uint32
	Block      [60]byte // 28
	Generation uint32   // 64
	FileACLLo  uint32
	SizeHi     uint32
	ObsoFaddr  uint32
	BlocksHi   uint16 // 74
	FileACLHi  uint16
	UIDHi      uint16
	GIDHi      uint16
	ChecksumLo uint16 // 7C
	_          uint16
	ExtraIsize uint16 // 80
	ChecksumHi uint16
	CtimeExtra uint32
	MtimeExtra uint32
	AtimeExtra uint32
	Crtime     uint32 // 90
	CrtimeExt  uint32
	VersionHi  uint32
	ProjID     uint32
}

// inodeFields is the length of rawInode on disk, bytes.
const inodeFields = 0xA0

// decode reads the fields from inodeFields bytes. A listing does it for every
// name, so it is spelled out.
func (in *rawInode) decode(b []byte) {
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	_ = b[inodeFields-1]
	in.Mode, in.UIDLo, in.SizeLo, in.Atime, in.Ctime = u16(b), u16(b[0x02:]), u32(b[0x04:]), u32(b[0x08:]), u32(b[0x0C:])
	in.Mtime, in.Dtime, in.GIDLo, in.Links, in.BlocksLo = u32(b[0x10:]), u32(b[0x14:]), u16(b[0x18:]), u16(b[0x1A:]), u32(b[0x1C:])
	in.Flags, in.Version = u32(b[0x20:]), u32(b[0x24:])
	copy(in.Block[:], b[0x28:])
	in.Generation, in.FileACLLo, in.SizeHi, in.ObsoFaddr = u32(b[0x64:]), u32(b[0x68:]), u32(b[0x6C:]), u32(b[0x70:])
	in.BlocksHi, in.FileACLHi, in.UIDHi, in.GIDHi, in.ChecksumLo = u16(b[0x74:]), u16(b[0x76:]), u16(b[0x78:]), u16(b[0x7A:]), u16(b[0x7C:])
	in.ExtraIsize, in.ChecksumHi, in.CtimeExtra, in.MtimeExtra, in.AtimeExtra = u16(b[0x80:]), u16(b[0x82:]), u32(b[0x84:]), u32(b[0x88:]), u32(b[0x8C:])
	in.Crtime, in.CrtimeExt, in.VersionHi, in.ProjID = u32(b[0x90:]), u32(b[0x94:]), u32(b[0x98:]), u32(b[0x9C:])
}

// xattrPrefix gives the prefix of an attribute name by its index on disk.
var xattrPrefix = map[uint8]string{
	1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.", 7: "system.", 8: "system.richacl",
}
