package ext4

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mtkport"
)

// pair is one attribute with its name split as on disk.
type pair struct {
	index uint8
	name  string
	value []byte
}

// sharedXattr is an attribute block that several inodes use.
type sharedXattr struct {
	at   int64
	data []byte
	refs uint32
}

// maxRefs is how many inodes the kernel lets share one block.
const maxRefs = 1024

// splitName finds the index of a name's prefix. Whole names (POSIX ACLs) win
// over prefixes.
func splitName(name string) (uint8, string) {
	best, length := uint8(0), -1
	for index, prefix := range xattrPrefix {
		if strings.HasPrefix(name, prefix) && len(prefix) > length && (strings.HasSuffix(prefix, ".") || name == prefix) {
			best, length = index, len(prefix)
		}
	}
	return best, name[max(0, length):]
}

// sorted is the order in which the kernel wants them in a block.
func sortedPairs(x map[string][]byte) []pair {
	var out []pair
	for _, name := range slices.Sorted(maps.Keys(x)) {
		index, short := splitName(name)
		out = append(out, pair{index, short, x[name]})
	}
	slices.SortStableFunc(out, func(a, b pair) int {
		if a.index != b.index {
			return int(a.index) - int(b.index)
		}
		if len(a.name) != len(b.name) {
			return len(a.name) - len(b.name)
		}
		return strings.Compare(a.name, b.name)
	})
	return out
}

func (p pair) entry() int { return (16 + len(p.name) + 3) &^ 3 }
func (p pair) space() int { return p.entry() + (len(p.value)+3)&^3 }

// attributes puts them into the inode's spare bytes, what does not fit there
// into a block.
func (b *builder) attributes(in *rawInode, raw []byte, m *member) error {
	all := sortedPairs(m.n.Xattrs)
	for _, p := range all {
		if len(p.name) > 255 || p.index == 0 && p.name == "" {
			return &mtkport.Error{File: m.path, Off: mtkport.NoOffset, Field: "attribute name", Found: fmt.Sprintf("%d bytes", len(p.name)), Want: "1 to 255", Err: mtkport.ErrUnsupported}
		}
	}
	room := int(b.InodeSize-oldInode-b.ExtraIsize) - 4 - 4 // magic, and the end of the list
	var inside, outside []pair
	for _, p := range all {
		if p.space() <= room {
			inside, room = append(inside, p), room-p.space()
		} else {
			outside = append(outside, p)
		}
	}
	if len(inside) > 0 {
		body := raw[oldInode+b.ExtraIsize:]
		binary.LittleEndian.PutUint32(body, xattrMagic)
		packXattrs(body[4:], body[4:], inside, false)
	}
	if len(outside) == 0 {
		return nil
	}
	return b.xattrBlock(in, outside, m)
}

// xattrBlock finds or makes the block that holds exactly these.
func (b *builder) xattrBlock(in *rawInode, list []pair, m *member) error {
	need := 32 + 4
	for _, p := range list {
		need += p.space()
	}
	if int64(need) > b.BlockSize {
		return &mtkport.Error{File: m.path, Off: mtkport.NoOffset, Field: "attributes", Found: fmt.Sprintf("%d bytes", need), Want: fmt.Sprintf("at most %d", b.BlockSize), Err: mtkport.ErrTooBig}
	}
	data := make([]byte, b.BlockSize)
	packXattrs(data[32:], data, list, true)
	s := b.shared[string(data)]
	if s == nil || s.refs >= maxRefs {
		runs, err := b.take(1)
		if err != nil {
			return err
		}
		if s != nil {
			b.put(s.at, sealXattr(s))
		}
		s = &sharedXattr{at: runs[0].disk, data: data}
		b.shared[string(data)] = s
	}
	s.refs++
	in.FileACLLo, in.FileACLHi = uint32(s.at), uint16(s.at>>32)
	b.charge(in, 1)
	return nil
}

// sharedBlocks writes the attribute blocks, now that their users are counted.
func (b *builder) sharedBlocks() {
	for _, s := range b.shared {
		b.put(s.at, sealXattr(s))
	}
}

// sealXattr gives a block its header.
func sealXattr(s *sharedXattr) []byte {
	data := slices.Clone(s.data)
	binary.LittleEndian.PutUint32(data, xattrMagic)
	binary.LittleEndian.PutUint32(data[4:], s.refs)
	binary.LittleEndian.PutUint32(data[8:], 1)
	hash := uint32(0)
	for e := data[32:]; binary.LittleEndian.Uint32(e) != 0; e = e[(16+int(e[0])+3)&^3:] {
		one := binary.LittleEndian.Uint32(e[12:])
		if one == 0 {
			hash = 0
			break
		}
		hash = hash<<16 ^ hash>>16 ^ one
	}
	binary.LittleEndian.PutUint32(data[12:], hash)
	return data
}

// packXattrs writes entries from the start of list and values from its end;
// offsets count from the start of base (of which list is the tail).
func packXattrs(list, base []byte, pairs []pair, hashed bool) {
	end := len(base)
	for _, p := range pairs {
		list[0], list[1] = byte(len(p.name)), p.index
		if len(p.value) > 0 {
			end -= (len(p.value) + 3) &^ 3
			copy(base[end:], p.value)
			binary.LittleEndian.PutUint16(list[2:], uint16(end))
		}
		binary.LittleEndian.PutUint32(list[8:], uint32(len(p.value)))
		if hashed {
			binary.LittleEndian.PutUint32(list[12:], p.hash())
		}
		copy(list[16:], p.name)
		list = list[p.entry():]
	}
}

// hash is the kernel's hash of one entry.
func (p pair) hash() uint32 {
	h := uint32(0)
	for i := range len(p.name) {
		h = h<<5 ^ h>>27 ^ uint32(p.name[i])
	}
	v := append(slices.Clone(p.value), make([]byte, (4-len(p.value)%4)%4)...)
	for ; len(v) > 0; v = v[4:] {
		h = h<<16 ^ h>>16 ^ binary.LittleEndian.Uint32(v)
	}
	return h
}
