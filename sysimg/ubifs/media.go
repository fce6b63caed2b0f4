package ubifs

import (
	"encoding/binary"
	"math/bits"

	"mtkport/sysimg/ubifs/ubi"
)

const (
	nodeMagic   = 0x06101831
	blockSize   = 4096
	rootIno     = 1
	firstIno    = 64 // inode numbers below are the file system's own
	keyBits     = 29
	keyMask     = 1<<keyBits - 1
	maxInline   = blockSize // data in an inode
	padByte     = 0xce
	chSize      = 24
	minLEBSize  = 15 << 10
	maxLEBSize  = 16 << 20
	maxLevels   = 512
	sbLNum      = 0
	masterLNum  = 1
	masterLEBs  = 2
	logLNum     = 3
	maxFileSize = 1 << (keyBits + 12)
)

// Node types.
const (
	inoNode = iota
	dataNode
	dentNode
	xentNode
	truncNode
	padNode
	sbNode
	masterNode
	refNode
	idxNode
	csNode
	orphNode
	nodeTypes
)

// Sizes of the nodes without what varies. A key lies at 24 and takes 16 bytes,
// of which 8 are used.
const (
	inoSize    = 160
	dataSize   = 48
	dentSize   = 56
	truncSize  = 56
	padSize    = 28
	sbSize     = 4096
	masterSize = 512
	refSize    = 64
	idxSize    = 28
	csSize     = 32
	branchSize = 20
)

// minNodeSize and maxNodeSize bound what a header may claim. An index node of
// the largest size has some 800 children; kernels make 8.
var (
	minNodeSize = [nodeTypes]int{inoSize, dataSize, dentSize, dentSize, truncSize, padSize, sbSize, masterSize, refSize, idxSize, csSize, csSize}
	maxNodeSize = [nodeTypes]int{
		inoSize + maxInline, dataSize + blockSize, dentSize + 256, dentSize + 256, truncSize, padSize,
		sbSize, masterSize, refSize, 16 << 10, csSize, maxLEBSize,
	}
)

// Inode flags, superblock flags, master flags, node groups.
const (
	flagCompress = 0x01
	flagXattr    = 0x20
	flagCrypt    = 0x40

	sbBigLPT     = 0x02
	sbSpaceFixup = 0x04
	sbDoubleHash = 0x08
	sbEncrypted  = 0x10

	masterNoOrphans = 0x02

	groupIn   = 1
	groupLast = 2
)

var le = binary.LittleEndian

func align8(n int) int     { return (n + 7) &^ 7 }
func alignTo(n, a int) int { return (n + a - 1) / a * a }
func fls(n int) int        { return bits.Len(uint(n)) }

// node is one node with its bytes, header first.
type node struct {
	b     []byte
	sqnum uint64
	typ   byte
	group byte
}

// parseNode checks header and checksum of the node at the start of b, which may
// be longer.
func parseNode(b []byte) (node, bool) {
	n, length, ok := parseHeader(b)
	if !ok || length > len(b) {
		return node{}, false
	}
	n.b = b[:length]
	return n, ubi.CRC(n.b[8:]) == le.Uint32(b[4:])
}

// parseHeader reads the common header: magic 0, crc 4, sqnum 8, len 16, type 20,
// group 21.
func parseHeader(b []byte) (n node, length int, ok bool) {
	if len(b) < chSize || le.Uint32(b) != nodeMagic {
		return node{}, 0, false
	}
	n = node{sqnum: le.Uint64(b[8:]), typ: b[20], group: b[21]}
	length = int(le.Uint32(b[16:]))
	if n.typ >= nodeTypes || length < minNodeSize[n.typ] || length > maxNodeSize[n.typ] {
		return node{}, 0, false
	}
	return n, length, true
}

// putHeader completes the node b, whose body stands, with header and checksum.
func putHeader(b []byte, typ byte, sqnum uint64) {
	le.PutUint32(b, nodeMagic)
	le.PutUint64(b[8:], sqnum)
	le.PutUint32(b[16:], uint32(len(b)))
	b[20], b[21], b[22], b[23] = typ, 0, 0, 0
	putCRC(b)
}

func putCRC(b []byte) { le.PutUint32(b[4:], ubi.CRC(b[8:])) }

// key orders the index: inode number, then type, then block number or hash.
type key struct{ ino, rest uint32 }

func makeKey(ino uint32, typ byte, v uint32) key { return key{ino, uint32(typ)<<keyBits | v&keyMask} }

func (k key) typ() byte     { return byte(k.rest >> keyBits) }
func (k key) value() uint32 { return k.rest & keyMask }

func (k key) less(o key) bool {
	if k.ino != o.ino {
		return k.ino < o.ino
	}
	return k.rest < o.rest
}

func parseKey(b []byte) key { return key{le.Uint32(b), le.Uint32(b[4:])} }

func (k key) put(b []byte) {
	le.PutUint32(b, k.ino)
	le.PutUint32(b[4:], k.rest)
}

// hashName is the r5 hash of a directory entry, over signed bytes; 0 to 2 are
// reserved.
func hashName(name string) uint32 {
	var a uint32
	for i := range len(name) {
		c := int32(int8(name[i]))
		a += uint32(c << 4)
		a += uint32(c >> 4)
		a *= 11
	}
	if a &= keyMask; a <= 2 {
		a += 3
	}
	return a
}

// superblock is the node in LEB 0; offsets from the node's start.
type superblock struct {
	keyHash, keyFormat byte   // 26, 27
	flags              uint32 // 28
	minIO              uint32 // 32
	lebSize            uint32 // 36
	lebCnt             uint32 // 40
	maxLEBCnt          uint32 // 44
	maxBudBytes        uint64 // 48
	logLEBs            uint32 // 56
	lptLEBs            uint32 // 60
	orphLEBs           uint32 // 64
	journalHeads       uint32 // 68
	fanout             uint32 // 72
	lsaveCnt           uint32 // 76
	format             uint32 // 80
	compression        uint16 // 84
	rpUID, rpGID       uint32 // 88, 92
	rpSize             uint64 // 96
	timeGran           uint32 // 104
	uuid               [16]byte
	roCompat           uint32 // 124
}

func parseSuperblock(b []byte) superblock {
	u := func(o int) uint32 { return le.Uint32(b[o:]) }
	s := superblock{
		keyHash: b[26], keyFormat: b[27], flags: u(28), minIO: u(32), lebSize: u(36), lebCnt: u(40), maxLEBCnt: u(44),
		maxBudBytes: le.Uint64(b[48:]), logLEBs: u(56), lptLEBs: u(60), orphLEBs: u(64), journalHeads: u(68),
		fanout: u(72), lsaveCnt: u(76), format: u(80), compression: le.Uint16(b[84:]),
		rpUID: u(88), rpGID: u(92), rpSize: le.Uint64(b[96:]), timeGran: u(104), roCompat: u(124),
	}
	copy(s.uuid[:], b[108:124])
	return s
}

func (s superblock) bytes() []byte {
	b := make([]byte, sbSize)
	b[26], b[27] = s.keyHash, s.keyFormat
	for o, v := range map[int]uint32{
		28: s.flags, 32: s.minIO, 36: s.lebSize, 40: s.lebCnt, 44: s.maxLEBCnt, 56: s.logLEBs, 60: s.lptLEBs,
		64: s.orphLEBs, 68: s.journalHeads, 72: s.fanout, 76: s.lsaveCnt, 80: s.format, 88: s.rpUID, 92: s.rpGID,
		104: s.timeGran, 124: s.roCompat,
	} {
		le.PutUint32(b[o:], v)
	}
	le.PutUint64(b[48:], s.maxBudBytes)
	le.PutUint16(b[84:], s.compression)
	le.PutUint64(b[96:], s.rpSize)
	copy(b[108:], s.uuid[:])
	return b
}

// master is the node that says where index, log and LEB properties start.
type master struct {
	highestIno, cmtNo                                              uint64 // 24, 32
	flags, logLNum, rootLNum, rootOffs, rootLen                    uint32 // 40
	gcLNum, iheadLNum, iheadOffs                                   uint32 // 60
	indexSize, totalFree, totalDirty, totalUsed                    uint64 // 72
	totalDead, totalDark                                           uint64 // 104
	lptLNum, lptOffs, nheadLNum, nheadOffs                         uint32 // 120
	ltabLNum, ltabOffs, lsaveLNum, lsaveOffs, lscanLNum, emptyLEBs uint32 // 136
	idxLEBs, lebCnt                                                uint32 // 160
}

func (m *master) words() (w64 []*uint64, at64 []int, w32 []*uint32, at32 []int) {
	w64 = []*uint64{&m.highestIno, &m.cmtNo, &m.indexSize, &m.totalFree, &m.totalDirty, &m.totalUsed, &m.totalDead, &m.totalDark}
	at64 = []int{24, 32, 72, 80, 88, 96, 104, 112}
	w32 = []*uint32{
		&m.flags, &m.logLNum, &m.rootLNum, &m.rootOffs, &m.rootLen, &m.gcLNum, &m.iheadLNum, &m.iheadOffs,
		&m.lptLNum, &m.lptOffs, &m.nheadLNum, &m.nheadOffs, &m.ltabLNum, &m.ltabOffs,
		&m.lsaveLNum, &m.lsaveOffs, &m.lscanLNum, &m.emptyLEBs, &m.idxLEBs, &m.lebCnt,
	}
	at32 = []int{40, 44, 48, 52, 56, 60, 64, 68, 120, 124, 128, 132, 136, 140, 144, 148, 152, 156, 160, 164}
	return w64, at64, w32, at32
}

func parseMaster(b []byte) *master {
	m := &master{}
	w64, at64, w32, at32 := m.words()
	for i, p := range w64 {
		*p = le.Uint64(b[at64[i]:])
	}
	for i, p := range w32 {
		*p = le.Uint32(b[at32[i]:])
	}
	return m
}

func (m *master) bytes() []byte {
	b := make([]byte, masterSize)
	w64, at64, w32, at32 := m.words()
	for i, p := range w64 {
		le.PutUint64(b[at64[i]:], *p)
	}
	for i, p := range w32 {
		le.PutUint32(b[at32[i]:], *p)
	}
	return b
}

// inode is an inode node's meaning; offsets from the node's start.
type inode struct {
	size                            uint64 // 48
	mtime                           int64  // 72; nanoseconds at 88
	mtimeNsec                       uint32
	nlink, uid, gid, mode, flags    uint32 // 92
	xattrCnt, xattrSize, xattrNames uint32 // 116, 120, 128
	compression                     uint16 // 132
	data                            []byte // length at 112, bytes at 160
}

func parseInode(b []byte) (inode, bool) {
	u := func(o int) uint32 { return le.Uint32(b[o:]) }
	n := inode{
		size: le.Uint64(b[48:]), mtime: int64(le.Uint64(b[72:])), mtimeNsec: u(88),
		nlink: u(92), uid: u(96), gid: u(100), mode: u(104), flags: u(108),
		xattrCnt: u(116), xattrSize: u(120), xattrNames: u(128), compression: le.Uint16(b[132:]),
	}
	length := int64(u(112))
	if length > maxInline || length > int64(len(b)-inoSize) {
		return n, false
	}
	n.data = b[inoSize : inoSize+length]
	return n, true
}

func (n *inode) bytes(k key, created uint64) []byte {
	b := make([]byte, inoSize+len(n.data))
	k.put(b[chSize:])
	le.PutUint64(b[40:], created)
	le.PutUint64(b[48:], n.size)
	for i := range 3 {
		le.PutUint64(b[56+8*i:], uint64(n.mtime))
		le.PutUint32(b[80+4*i:], n.mtimeNsec)
	}
	for i, v := range []uint32{n.nlink, n.uid, n.gid, n.mode, n.flags, uint32(len(n.data)), n.xattrCnt, n.xattrSize} {
		le.PutUint32(b[92+4*i:], v)
	}
	le.PutUint32(b[128:], n.xattrNames)
	le.PutUint16(b[132:], n.compression)
	copy(b[inoSize:], n.data)
	return b
}

// dent is a directory entry, or an extended attribute's.
type dent struct {
	ino  uint64 // 40
	typ  byte   // 49
	name string // length at 50, bytes at 56, a NUL behind
}

func parseDent(b []byte) (dent, bool) {
	n := int(le.Uint16(b[50:]))
	if n == 0 || n > 255 || dentSize+n > len(b) {
		return dent{}, false
	}
	return dent{le.Uint64(b[40:]), b[49], string(b[dentSize : dentSize+n])}, true
}

func (d dent) bytes(k key) []byte {
	b := make([]byte, dentSize+len(d.name)+1)
	k.put(b[chSize:])
	le.PutUint64(b[40:], d.ino)
	b[49] = d.typ
	le.PutUint16(b[50:], uint16(len(d.name)))
	copy(b[dentSize:], d.name)
	return b
}
