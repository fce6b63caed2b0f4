package ext4

import (
	"encoding/binary"
	"fmt"

	"mtkport"
)

// xattrs reads an inode's attributes: those in the inode's spare bytes, then
// those in its attribute block. The second result is the rest of inline data,
// which is kept as an attribute and is none.
func (f *FS) xattrs(in *inode) (map[string][]byte, []byte, error) {
	x := attrs{f: f, out: map[string][]byte{}}
	start := oldInode + int(in.ExtraIsize)
	if start+8 <= len(in.raw) && binary.LittleEndian.Uint32(in.raw[start:]) == xattrMagic {
		body := in.raw[start+4:]
		x.read(body, body)
	}
	if n := in.acl(f.sb); n != 0 && x.err == nil {
		b, err := f.block(n)
		switch {
		case err != nil:
			x.err = err
		case binary.LittleEndian.Uint32(b) != xattrMagic:
			x.err = damaged(n*f.sb.blockSize, "h_magic", fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(b)), "0xea020000")
		default:
			x.read(b[32:], b)
		}
	}
	inline := x.out["system.data"]
	if in.Flags&flagInlineData != 0 {
		delete(x.out, "system.data")
	}
	if len(x.out) == 0 {
		x.out = nil
	}
	return x.out, inline, x.err
}

// attrs collects attributes.
type attrs struct {
	f   *FS
	out map[string][]byte
	err error
}

// read reads a list of entries; value offsets count from the start of values.
func (x *attrs) read(list, values []byte) {
	for len(list) >= 16 && binary.LittleEndian.Uint32(list) != 0 {
		nameLen, index := int(list[0]), list[1]
		off, inum, size := int(binary.LittleEndian.Uint16(list[2:])), binary.LittleEndian.Uint32(list[4:]), binary.LittleEndian.Uint32(list[8:])
		if nameLen > len(list)-16 {
			x.err = damaged(mtkport.NoOffset, "e_name_len", nameLen, fmt.Sprintf("at most %d", len(list)-16))
			return
		}
		name := xattrPrefix[index] + string(list[16:16+nameLen])
		if name == "" {
			x.err = damaged(mtkport.NoOffset, "e_name", "an empty one", "a name")
			return
		}
		value, err := x.value(values, off, inum, size)
		if err != nil {
			x.err = err
			return
		}
		x.out[name] = value
		list = list[min(len(list), (16+nameLen+3)&^3):]
	}
}

func (x *attrs) value(values []byte, off int, inum, size uint32) ([]byte, error) {
	switch {
	case size > maxXattr:
		return nil, damaged(mtkport.NoOffset, "e_value_size", size, fmt.Sprintf("at most %d", maxXattr))
	case inum != 0:
		return x.far(inum, size)
	case off > len(values) || int(size) > len(values)-off:
		return nil, damaged(mtkport.NoOffset, "e_value_offs", off, fmt.Sprintf("%d bytes inside %d", size, len(values)))
	}
	return append([]byte{}, values[off:off+int(size)]...), nil
}

// far reads a value that has an inode of its own (ea_inode).
func (x *attrs) far(inum, size uint32) ([]byte, error) {
	in, err := x.f.inode(inum)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	c := content{fs: x.f, ino: inum, size: min(max(0, in.size()), maxXattr), flags: in.Flags, block: in.Block}
	if _, err := c.ReadAt(b, 0); size > 0 && err != nil {
		return nil, damaged(mtkport.NoOffset, "attribute inode", inum, fmt.Sprintf("%d bytes", size))
	}
	return b, nil
}
