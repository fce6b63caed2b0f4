package ubifs

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"mtkport"
	"mtkport/sysimg/tree"
)

// item is one name in the tree, and the inode behind it when the name is the
// first.
type item struct {
	path, name string
	node       *tree.Node
	parent     uint32 // inode of the directory
	ino        uint32
	first      bool // the inode is written with this name
	nlink      uint32
	attrs      []attr
}

// attr is an extended attribute: an entry and an inode of its own.
type attr struct {
	name string
	ino  uint32
	data []byte
}

func (it *item) hasData() bool {
	return it.first && it.node.Type() == tree.Regular && it.node.Data != nil && it.node.Data.Size() > 0
}

// inventory numbers the inodes and lists the names, directories before what is
// in them. It refuses what UBIFS cannot hold.
func inventory(t *tree.Tree) (items []*item, highest uint32, err error) {
	inos := map[*tree.Node]*item{}
	next := uint32(firstIno)
	dirs := map[string]uint32{}
	err = t.Walk(func(path string, n *tree.Node) error {
		dir, name := split(path)
		it := &item{path: path, name: name, node: n, parent: dirs[dir]}
		items = append(items, it)
		if old := inos[n]; old != nil && !n.IsDir() {
			old.nlink++
			it.ino = old.ino
			return nil
		}
		if next > math.MaxUint32-1024 {
			return refused("inodes", "too many", "fewer than four thousand million")
		}
		it.first, it.nlink = true, 1
		if path == "." {
			it.ino = rootIno
		} else {
			next++
			it.ino = next
		}
		inos[n] = it
		if n.IsDir() {
			dirs[path], it.nlink = it.ino, 2+subdirs(n)
		}
		for _, name := range slices.Sorted(maps.Keys(n.Xattrs)) {
			next++
			it.attrs = append(it.attrs, attr{name, next, n.Xattrs[name]})
		}
		return mtkport.InFile(it.check(), path)
	})
	return items, next, err
}

// split returns directory and name of a path as tree.Walk gives it.
func split(path string) (dir, name string) {
	if path == "." {
		return "", ""
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
	}
	return ".", path
}

func subdirs(n *tree.Node) (count uint32) {
	for _, name := range n.Names() {
		if n.Child(name).IsDir() {
			count++
		}
	}
	return count
}

func (it *item) check() error {
	n := it.node
	switch {
	case !knownType(n.Mode):
		return refused("mode", fmt.Sprintf("0%o", n.Mode), "a type that Linux knows")
	case n.Type() == tree.Symlink && (len(n.Target) > maxInline || n.Target == ""):
		return refused("symlink", fmt.Sprintf("a target of %d bytes", len(n.Target)), "1 to 4096")
	case n.Size() > maxFileSize:
		return refused("file", fmt.Sprintf("%d bytes", n.Size()), "at most 2 TiB")
	}
	for _, a := range it.attrs {
		if len(a.data) > maxInline || a.name == "" || len(a.name) > 255 {
			return refused("attribute "+a.name, fmt.Sprintf("%d bytes", len(a.data)), "at most 4096 under a name of 1 to 255")
		}
	}
	return nil
}

// inode describes the inode behind it.
func (it *item) inode(c Compression) inode {
	n := it.node
	in := inode{nlink: it.nlink, uid: n.UID, gid: n.GID, mode: n.Mode, size: uint64(n.Size())}
	if !n.MTime.IsZero() {
		in.mtime, in.mtimeNsec = n.MTime.Unix(), uint32(n.MTime.Nanosecond())
	}
	if c != None && (n.Type() == tree.Regular || n.IsDir()) {
		in.flags, in.compression = flagCompress, uint16(c)
	}
	switch n.Type() {
	case tree.Dir:
		in.size = inoSize
		for _, name := range n.Names() {
			in.size += uint64(align8(dentSize + len(name) + 1))
		}
	case tree.Symlink:
		in.data = []byte(n.Target)
	case tree.CharDev, tree.BlockDev:
		in.size = 0
		// Linux's "huge" form: the "new" one of 4 bytes in 8, as mkfs.ubifs has it.
		in.data = le.AppendUint64(nil, uint64(n.Minor&0xff|n.Major&0xfff<<8|n.Minor&0xfff00<<12))
	}
	for _, a := range it.attrs {
		in.xattrCnt++
		in.xattrSize += uint32(align8(dentSize+len(a.name)+1) + align8(inoSize+len(a.data)+1))
		in.xattrNames += uint32(len(a.name))
	}
	return in
}

// Types of directory entries.
func dentType(n *tree.Node) byte {
	switch n.Type() {
	case tree.Dir:
		return 1
	case tree.Symlink:
		return 2
	case tree.BlockDev:
		return 3
	case tree.CharDev:
		return 4
	case tree.FIFO:
		return 5
	case tree.Socket:
		return 6
	}
	return 0
}

// bound is how many bytes the nodes of items can take at most, for sizing a file
// system before anything is packed.
func bound(items []*item) int64 {
	var n int64
	for _, it := range items {
		n += 2*inoSize + dentSize + 256 + 3*branchSize
		for _, a := range it.attrs {
			n += int64(inoSize + 2*dentSize + 512 + len(a.data))
		}
		if it.node.Type() == tree.Symlink {
			n += int64(len(it.node.Target))
		}
		if !it.hasData() {
			continue
		}
		for _, r := range tree.DataRanges(it.node.Data) {
			n += (r.Len/blockSize + 2) * (blockSize + dataSize + 2*branchSize)
		}
	}
	return n
}
