package ext4

import (
	"encoding/binary"
	"fmt"
	"time"

	"mtkport"
	"mtkport/sysimg/tree"
)

// inode is an inode with what follows from its raw bytes.
type inode struct {
	rawInode
	raw []byte
	ino uint32
}

// inodeAt is the byte offset of an inode in the image.
func (f *FS) inodeAt(ino uint32) (int64, error) {
	g := int64(ino-1) / int64(f.sb.InodesPerGroup)
	if ino == 0 || ino > f.sb.InodesCount || g >= f.have {
		return 0, damaged(mtkport.NoOffset, "inode number", ino, fmt.Sprintf("1 to %d", min(int64(f.sb.InodesCount), f.have*int64(f.sb.InodesPerGroup))))
	}
	table := f.wide(f.desc(g), 8)
	if table <= 0 || table >= f.sb.blocks {
		return 0, damaged(mtkport.NoOffset, fmt.Sprintf("bg_inode_table of group %d", g), table, fmt.Sprintf("1 to %d", f.sb.blocks-1))
	}
	return table*f.sb.blockSize + int64(ino-1)%int64(f.sb.InodesPerGroup)*f.sb.inodeSize, nil
}

func (f *FS) inode(ino uint32) (*inode, error) {
	off, err := f.inodeAt(ino)
	if err != nil {
		return nil, err
	}
	b, err := f.block(off / f.sb.blockSize)
	if err != nil {
		return nil, err
	}
	in := &inode{ino: ino, raw: b[off%f.sb.blockSize:][:f.sb.inodeSize]}
	var full [inodeFields]byte
	used := oldInode
	if len(in.raw) > oldInode {
		used = min(len(in.raw), oldInode+max(4, int(binary.LittleEndian.Uint16(in.raw[0x80:]))), len(full))
	}
	copy(full[:], in.raw[:used])
	in.decode(full[:])
	if len(in.raw) == oldInode {
		in.ExtraIsize = 0
	}
	if !f.sb.inodeSumOK(ino, in.raw) {
		f.problem("ext4-checksum", mtkport.Note, fmt.Sprintf("inode %d", ino), off, "inode checksum is wrong")
	}
	return in, nil
}

func (in *inode) size() int64 { return int64(in.SizeLo) | int64(in.SizeHi)<<32 }

func (in *inode) acl(s *super) int64 {
	n := int64(in.FileACLLo)
	if s.FeatureIncompat&incompat64Bit != 0 {
		n |= int64(in.FileACLHi) << 32
	}
	return n
}

// mtime joins seconds, the two epoch bits and the nanoseconds.
func (in *inode) mtime() time.Time {
	sec := int64(int32(in.Mtime)) + int64(in.MtimeExtra&3)<<32
	nsec := int64(in.MtimeExtra >> 2)
	if nsec > 999999999 {
		nsec = 0
	}
	return time.Unix(sec, nsec).UTC()
}

// node makes the tree's node of an inode; the children of a directory come later.
func (f *FS) node(in *inode) (*tree.Node, error) {
	n := &tree.Node{
		Mode: uint32(in.Mode), MTime: in.mtime(),
		UID: uint32(in.UIDLo) | uint32(in.UIDHi)<<16, GID: uint32(in.GIDLo) | uint32(in.GIDHi)<<16,
	}
	name := fmt.Sprintf("inode %d", in.ino)
	xattrs, inline, err := f.xattrs(in)
	if err != nil {
		f.problem("ext4-xattr", mtkport.Risk, name, mtkport.NoOffset, "attributes are lost: %v", err)
	}
	n.Xattrs = xattrs
	switch n.Type() {
	case tree.Regular:
		n.Data, err = f.content(in, inline)
	case tree.Symlink:
		n.Target, err = f.target(in, inline)
	case tree.CharDev, tree.BlockDev:
		n.Major, n.Minor = device(in.Block[:])
	case tree.Dir, tree.FIFO, tree.Socket:
	default:
		return nil, damaged(mtkport.NoOffset, "i_mode", fmt.Sprintf("0%o", in.Mode), "a known type")
	}
	return n, err
}

// device reads the old 16-bit form, or the new one behind it.
func device(b []byte) (major, minor uint32) {
	if old := binary.LittleEndian.Uint32(b); old != 0 {
		return old >> 8 & 0xFF, old & 0xFF
	}
	v := binary.LittleEndian.Uint32(b[4:])
	return v >> 8 & 0xFFF, v&0xFF | v>>12&0xFFF00
}

// content is the data of a regular file.
func (f *FS) content(in *inode, inline []byte) (tree.Content, error) {
	size := in.size()
	switch {
	case size == 0:
		return nil, nil
	case size < 0 || size > maxFile:
		return nil, damaged(mtkport.NoOffset, "i_size", uint64(size), fmt.Sprintf("at most %d", int64(maxFile)))
	case in.Flags&flagEncrypt != 0:
		f.problem("ext4-encrypted", mtkport.Risk, fmt.Sprintf("inode %d", in.ino), mtkport.NoOffset, "the contents are encrypted")
	case in.Flags&flagInlineData != 0:
		b := append(append([]byte(nil), in.Block[:]...), inline...)
		if int64(len(b)) < size {
			return nil, damaged(mtkport.NoOffset, "inline data", len(b), size)
		}
		return tree.Bytes(b[:size]), nil
	}
	c := &content{fs: f, ino: in.ino, size: size, flags: in.Flags}
	c.block = in.Block
	return c, nil
}

// maxFile is 64 GiB: more than any MT6572 phone stores. A larger size is damage,
// and a file of holes that long would keep its reader busy for hours.
const maxFile = 1 << 36

// target is where a symlink points: in the inode when short, else in a block.
func (f *FS) target(in *inode, inline []byte) (string, error) {
	size := in.size()
	if size <= 0 || size > f.sb.blockSize || size > 4096 {
		return "", damaged(mtkport.NoOffset, "symlink length", size, "1 to 4096")
	}
	if in.Flags&flagInlineData != 0 {
		b := append(append([]byte(nil), in.Block[:]...), inline...)
		if int64(len(b)) < size {
			return "", damaged(mtkport.NoOffset, "inline data", len(b), size)
		}
		return string(b[:size]), nil
	}
	if size < 60 && (in.Flags&flagExtents == 0 || in.BlocksLo == 0) {
		return string(in.Block[:size]), nil
	}
	c := content{fs: f, ino: in.ino, size: size, flags: in.Flags, block: in.Block}
	b := make([]byte, size)
	if err := tree.ReadFull(&c, b, 0); err != nil {
		return "", err
	}
	return string(b), nil
}

// hasBlocks reports whether i_block is a map of blocks, and not the target of a
// short link, a device number or the data itself.
func (in *inode) hasBlocks() bool {
	switch uint32(in.Mode) & tree.TypeMask {
	case tree.Regular, tree.Dir:
		return in.Flags&flagInlineData == 0
	case tree.Symlink:
		return in.Flags&flagInlineData == 0 && (in.size() >= 60 || in.Flags&flagExtents != 0)
	}
	return false
}
