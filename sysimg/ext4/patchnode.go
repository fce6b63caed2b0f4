package ext4

import (
	"bytes"
	"encoding/binary"
	"maps"

	"mtkport/sysimg/tree"
)

// drop frees an inode that no name leads to any more.
func (p *patcher) drop(ino uint32) error {
	in, err := p.old.inode(ino)
	if err != nil {
		return err
	}
	if err := p.dropBlocks(in); err != nil {
		return err
	}
	if err := p.dropXattrs(&in.rawInode); err != nil {
		return err
	}
	g, i := int64(ino-1)/int64(p.old.sb.InodesPerGroup), int64(ino-1)%int64(p.old.sb.InodesPerGroup)
	bits, err := p.maps.inode(g)
	if err != nil {
		return err
	}
	bits[i/8] &^= 1 << (i % 8)
	d := p.desc(g)
	p.addTo(d, 0xE, 0x2E, 1)
	if uint32(in.Mode)&tree.TypeMask == tree.Dir {
		p.addTo(d, 0x10, 0x30, -1)
	}
	p.inodes++
	p.b.inodes[ino] = make([]byte, p.old.sb.inodeSize)
	return nil
}

// dropBlocks frees the contents and their map.
func (p *patcher) dropBlocks(in *inode) error {
	if !in.hasBlocks() {
		return nil
	}
	data, nodes, err := p.old.owned(in.Flags, in.Block[:])
	if err != nil {
		return err
	}
	for _, e := range data {
		if err := p.release(e.disk, e.n); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := p.release(n, 1); err != nil {
			return err
		}
	}
	return nil
}

// dropXattrs takes one user off an attribute block, and frees it after the last.
func (p *patcher) dropXattrs(in *rawInode) error {
	at := int64(in.FileACLLo)
	if p.old.sb.FeatureIncompat&incompat64Bit != 0 {
		at |= int64(in.FileACLHi) << 32
	}
	if at == 0 {
		return nil
	}
	in.FileACLLo, in.FileACLHi = 0, 0
	p.b.charge(in, -1)
	b, err := p.block(at)
	if err != nil {
		return err
	}
	refs := binary.LittleEndian.Uint32(b[4:])
	if refs > 1 {
		binary.LittleEndian.PutUint32(b[4:], refs-1)
		return nil
	}
	delete(p.meta, at)
	return p.release(at, 1)
}

// rework changes an inode that stays, as far as it must.
func (p *patcher) rework(m *member) error {
	in, err := p.old.inode(m.ino)
	if err != nil {
		return err
	}
	was, raw := p.before[m.ino], bytes.Clone(in.raw)
	out := in.rawInode
	out.Mode, out.Links = uint16(m.n.Mode), p.links(m, in)
	out.UIDLo, out.UIDHi, out.GIDLo, out.GIDHi = uint16(m.n.UID), uint16(m.n.UID>>16), uint16(m.n.GID), uint16(m.n.GID>>16)
	if !was.MTime.Equal(m.n.MTime) {
		var t rawInode
		p.b.times(&t, m.n.MTime)
		out.Mtime, out.MtimeExtra = t.Mtime, t.MtimeExtra
	}
	if err := p.contents(m, was, in, &out); err != nil {
		return err
	}
	if !maps.EqualFunc(was.Xattrs, m.n.Xattrs, bytes.Equal) {
		if err := p.xattrs(m, &out, raw); err != nil {
			return err
		}
	}
	out.encode(raw)
	if !bytes.Equal(raw, in.raw) {
		p.b.inodes[m.ino] = raw
	}
	return nil
}

// links is the link count of a kept inode. A directory with so many that it
// says 1 stays so.
func (p *patcher) links(m *member, in *inode) uint16 {
	if m.n.IsDir() && in.Links == 1 {
		return 1
	}
	return uint16(m.links)
}

// contents writes what i_block is about, when it changed.
func (p *patcher) contents(m *member, was *tree.Node, in *inode, out *rawInode) error {
	switch m.n.Type() {
	case tree.Dir:
		return p.directory(m, was, in, out)
	case tree.Regular:
		if p.sameData(m.n.Data, in) {
			return nil
		}
		if err := p.clear(in, out); err != nil {
			return err
		}
		return p.b.regular(out, m.n)
	case tree.Symlink:
		if was.Target == m.n.Target {
			return nil
		}
		if err := p.clear(in, out); err != nil {
			return err
		}
		return p.b.symlink(out, m.n.Target)
	case tree.CharDev, tree.BlockDev:
		if was.Major != m.n.Major || was.Minor != m.n.Minor {
			out.Block = [60]byte{}
			encodeDevice(out.Block[:], m.n.Major, m.n.Minor)
		}
	}
	return nil
}

// sameData reports whether a content is still the inode's own.
func (p *patcher) sameData(c tree.Content, in *inode) bool {
	if c == nil {
		return in.size() == 0
	}
	own, ok := c.(*content)
	return ok && own.fs == p.f && own.ino == in.ino
}

// clear frees the blocks of an inode and empties its map.
func (p *patcher) clear(in *inode, out *rawInode) error {
	if err := p.dropBlocks(in); err != nil {
		return err
	}
	out.Block, out.SizeLo, out.SizeHi = [60]byte{}, 0, 0
	out.Flags &^= flagExtents | flagIndex | flagHugeFile
	out.BlocksLo, out.BlocksHi = 0, 0
	if out.FileACLLo != 0 {
		p.b.charge(out, 1)
	}
	return nil
}

// xattrs writes the attributes of a kept inode anew.
func (p *patcher) xattrs(m *member, out *rawInode, raw []byte) error {
	if err := p.dropXattrs(out); err != nil {
		return err
	}
	if len(raw) > oldInode {
		clear(raw[oldInode+int(out.ExtraIsize):])
	}
	saved := p.b.ExtraIsize
	p.b.ExtraIsize = int64(out.ExtraIsize)
	defer func() { p.b.ExtraIsize = saved }()
	return p.b.attributes(out, raw, m)
}
