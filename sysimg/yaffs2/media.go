package yaffs2

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

var le = binary.LittleEndian

const (
	headerSize = 512
	tagSize    = 16
	eccSize    = 12
	maxNameLen = 255
	maxAlias   = 159

	minSeq = 0x1000
	maxSeq = 0xEFFFFF00
	maxObj = 0x3FFFF

	rootObj     = 1
	lostObj     = 2
	unlinkedObj = 3
	deletedObj  = 4
	firstObj    = 0x101

	extraFlag   = 1 << 31 // in the chunk id of a header: parent and type are in the tags
	extraShrink = 1 << 30
	extraMask   = 0xF0000000
)

// Object types.
const (
	typeFile = iota + 1
	typeSymlink
	typeDir
	typeHardlink
	typeSpecial
)

// tags is what the spare bytes say of a page.
type tags struct {
	seq    uint32 // of the eraseblock: grows with time
	obj    uint32
	chunk  uint32 // 0 is the header, 1 the first page of data
	nbytes uint32
	shrink bool
}

func (t tags) isHeader() bool { return t.chunk == 0 }

// parseTags reads packed tags; ok is false when no writer could have made them.
func parseTags(b []byte) (t tags, ok bool) {
	t = tags{seq: le.Uint32(b), obj: le.Uint32(b[4:]), chunk: le.Uint32(b[8:]), nbytes: le.Uint32(b[12:])}
	if t.chunk&extraFlag != 0 {
		t.shrink = t.chunk&extraShrink != 0
		typ := t.obj >> 28
		if typ < typeFile || typ > typeSpecial {
			return t, false
		}
		t.obj &^= extraMask
		t.chunk, t.nbytes = 0, 0
	}
	return t, t.seq >= minSeq && t.seq <= maxSeq && t.obj > 0 && t.obj <= maxObj && t.chunk < 1<<28
}

func (t tags) put(b []byte) {
	le.PutUint32(b, t.seq)
	le.PutUint32(b[4:], t.obj)
	le.PutUint32(b[8:], t.chunk)
	le.PutUint32(b[12:], t.nbytes)
}

// ecc is the Hamming code over tags: a column parity, and the parity of the
// numbers, and of their complements, of the bytes with an odd number of ones.
// Three bytes behind the first are padding.
func ecc(b []byte) (out [eccSize]byte) {
	var col byte
	var line, prime uint32
	for i, c := range b {
		for v := c; v != 0; v &= v - 1 {
			col ^= column(bits.TrailingZeros8(v))
		}
		if bits.OnesCount8(c)&1 != 0 {
			line ^= uint32(i)
			prime ^= ^uint32(i)
		}
	}
	for i := range 4 {
		out[i] = 0xff
	}
	out[0] = col >> 2 & 0x3f
	le.PutUint32(out[4:], line)
	le.PutUint32(out[8:], prime)
	return out
}

// eccGood compares all but the padding.
func eccGood(tags, code []byte) bool {
	want := ecc(tags)
	return code[0] == want[0] && bytes.Equal(code[4:eccSize], want[4:])
}

// column is the parity pattern of bit n of a byte: for each of the three bits of
// n the pair 10 where it is set, 01 where not.
func column(n int) byte {
	p := byte(1)
	for i := range 3 {
		if n>>i&1 != 0 {
			p |= 2 << (2 + 2*i)
		} else {
			p |= 1 << (2 + 2*i)
		}
	}
	return p
}

// header is the object header at the start of a page; offsets from its start.
type header struct {
	typ      uint32 // 0
	parent   uint32 // 4
	name     string // 10, 256 bytes with a NUL
	mode     uint32 // 0x10c
	uid, gid uint32 // 0x110, 0x114
	mtime    uint32 // 0x11c, between atime and ctime
	size     uint64 // 0x124, high half at 0x1f0
	equiv    uint32 // 0x128: the object a hard link stands for
	alias    string // 0x12c, 160 bytes with a NUL: target of a symlink
	rdev     uint32 // 0x1cc
	shadows  uint32 // 0x1f8: an object that this one replaced
	shrink   bool   // 0x1fc: data beyond the size became a hole
	xattrs   map[string][]byte
}

const none = 0xffffffff // what fills fields that are not used

func parseHeader(b []byte) (header, bool) {
	u := func(o int) uint32 { return le.Uint32(b[o:]) }
	h := header{
		typ: u(0), parent: u(4), mode: u(0x10c), uid: u(0x110), gid: u(0x114), mtime: u(0x11c),
		size: uint64(u(0x124)), equiv: u(0x128), rdev: u(0x1cc), shadows: u(0x1f8), shrink: u(0x1fc) == 1,
	}
	if high := u(0x1f0); high != none && high < 1<<8 && h.size != none {
		h.size |= uint64(high) << 32
	}
	if h.size == none {
		h.size = 0
	}
	name, ok := cstring(b[10 : 10+maxNameLen+1])
	if !ok || h.typ < typeFile || h.typ > typeSpecial || h.parent == 0 || h.parent > maxObj && h.parent != none {
		return header{}, false
	}
	h.name = name
	if h.typ == typeSymlink {
		if h.alias, ok = cstring(b[0x12c : 0x12c+maxAlias+1]); !ok {
			return header{}, false
		}
	}
	if len(b) > headerSize {
		h.xattrs = parseXattrs(b[headerSize:])
	}
	return h, true
}

// cstring reads a string that ends with a NUL, or fills all but the last byte:
// mkyaffs2 leaves that one erased.
func cstring(b []byte) (string, bool) {
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		n = len(b) - 1
		if b[n] != 0xff {
			return "", false
		}
	}
	return string(b[:n]), true
}

// parseXattrs reads the attributes that newer drivers keep behind the header:
// records of a length (with itself), a name with a NUL, a value.
func parseXattrs(b []byte) map[string][]byte {
	var out map[string][]byte
	for len(b) > 6 {
		n := int(int32(le.Uint32(b)))
		if n <= 5 || n > len(b) {
			break
		}
		name, ok := cstring(b[4:n])
		if !ok || name == "" || len(name) > 255 {
			break
		}
		if out == nil {
			out = map[string][]byte{}
		}
		out[name] = bytes.Clone(b[4+len(name)+1 : n])
		b = b[n:]
	}
	return out
}

// put writes h over the page b, which is erased. It reports false when the
// attributes do not fit behind it.
func (h *header) put(b []byte) bool {
	for o, v := range map[int]uint32{
		0: h.typ, 4: h.parent, 0x10c: h.mode, 0x110: h.uid, 0x114: h.gid, 0x118: h.mtime, 0x11c: h.mtime, 0x120: h.mtime,
	} {
		le.PutUint32(b[o:], v)
	}
	b[8], b[9] = 0xff, 0xff
	clear(b[10 : 10+maxNameLen+1])
	copy(b[10:], h.name)
	le.PutUint32(b[0x124:], none)
	switch h.typ {
	case typeFile:
		le.PutUint32(b[0x124:], uint32(h.size))
	case typeHardlink:
		le.PutUint32(b[0x128:], h.equiv)
	case typeSymlink:
		clear(b[0x12c : 0x12c+maxAlias+1])
		copy(b[0x12c:], h.alias)
	case typeSpecial:
		le.PutUint32(b[0x1cc:], h.rdev)
	}
	le.PutUint32(b[0x1f8:], 0)
	le.PutUint32(b[0x1fc:], 0)
	return putXattrs(b[headerSize:], h.xattrs)
}

func putXattrs(b []byte, set map[string][]byte) bool {
	for _, name := range sortedKeys(set) {
		n := 4 + len(name) + 1 + len(set[name])
		if n > len(b) {
			return false
		}
		le.PutUint32(b, uint32(n))
		copy(b[4:], name)
		b[4+len(name)] = 0
		copy(b[4+len(name)+1:], set[name])
		b = b[n:]
	}
	if len(set) > 0 {
		clear(b[:min(4, len(b))]) // a length of zero ends the list
	}
	return true
}

// device codes a device number as Linux does in 32 bits: 12 bits of major in the
// middle of 20 of minor. YAFFS2 drivers read only 8 and 8, which are the same.
func device(major, minor uint32) uint32 { return minor&0xff | major&0xfff<<8 | minor&0xfff00<<12 }

func deviceParts(d uint32) (major, minor uint32) { return d >> 8 & 0xfff, d&0xff | d>>12&0xfff00 }

func erased(b []byte) bool {
	for _, c := range b {
		if c != 0xff {
			return false
		}
	}
	return true
}
