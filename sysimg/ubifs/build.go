package ubifs

import (
	"maps"
	"slices"
	"time"

	"mtkport/sysimg/tree"
)

// builder turns the state into a tree.
type builder struct {
	f     *FS
	nodes map[uint32]*tree.Node
}

// build makes the tree from what the index, the journal or the rescue gave.
func (f *FS) build() {
	b := &builder{f, map[uint32]*tree.Node{}}
	f.tree = tree.New()
	root := b.node(rootIno, ".")
	if root == nil || !root.IsDir() {
		f.problem("ubifs-no-root", 0, ".", "the inode of the root directory is lost")
		root = f.tree.Root
		b.nodes[rootIno] = root
	}
	f.tree.Root = root
	type dir struct {
		ino  uint32
		path string
	}
	for todo := []dir{{rootIno, "."}}; len(todo) > 0; {
		d := todo[0]
		todo = todo[1:]
		for name, ino := range b.entries(d.ino, d.path) {
			path := join(d.path, name)
			n, seen := b.nodes[ino]
			if !seen {
				n = b.node(ino, path)
			}
			switch {
			case n == nil:
				f.problem("ubifs-no-inode", 0, path, "inode %d is lost", ino)
			case n.IsDir() && seen:
				f.problem("ubifs-two-parents", 0, path, "directory %d lies in two places", ino)
			default:
				b.nodes[d.ino].SetChild(name, n)
				if n.IsDir() {
					todo = append(todo, dir{ino, path})
				}
			}
		}
	}
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// entries yields the names in a directory with their inode numbers, sorted.
func (b *builder) entries(ino uint32, path string) func(func(string, uint32) bool) {
	return func(yield func(string, uint32) bool) {
		o := b.f.st.objects[ino]
		if o == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(o.names)) {
			if tree.CheckName(name) != nil {
				b.f.problem("ubifs-bad-name", 0, path, "a name that no directory can hold: %q", name)
				continue
			}
			if !yield(name, uint32(o.names[name].ino)) {
				return
			}
		}
	}
}

// node makes the tree node of an inode, nil when the inode is lost.
func (b *builder) node(ino uint32, path string) *tree.Node {
	o := b.f.st.objects[ino]
	if o == nil || o.inode == nil {
		return nil
	}
	in := o.inode
	if !knownType(in.mode) {
		b.f.problem("ubifs-bad-mode", 0, path, "inode %d has mode 0%o", ino, in.mode)
		return nil
	}
	n := &tree.Node{Mode: in.mode & 0xffff, UID: in.uid, GID: in.gid, MTime: time.Unix(in.mtime, int64(in.mtimeNsec)).UTC()}
	b.nodes[ino] = n
	switch n.Type() {
	case tree.Regular:
		n.Data = b.content(ino, o, path)
	case tree.Symlink:
		n.Target = string(in.data)
	case tree.CharDev, tree.BlockDev:
		n.Major, n.Minor = device(in.data)
	}
	if o.xattrs != nil {
		n.Xattrs = b.xattrs(o, path)
	}
	return n
}

func knownType(mode uint32) bool {
	switch mode & tree.TypeMask {
	case tree.Regular, tree.Dir, tree.Symlink, tree.CharDev, tree.BlockDev, tree.FIFO, tree.Socket:
		return mode <= 0xffff
	}
	return false
}

// device decodes Linux's "new" encoding of a device number: 12 bits of major in
// the middle of 20 of minor. The "huge" one of 8 bytes has the same low half.
func device(b []byte) (major, minor uint32) {
	if len(b) < 4 {
		return 0, 0
	}
	d := le.Uint32(b)
	return d >> 8 & 0xfff, d&0xff | d>>12&0xfff00
}

func (b *builder) xattrs(o *object, path string) map[string][]byte {
	out := map[string][]byte{}
	for name, d := range o.xattrs {
		v := b.f.st.objects[uint32(d.ino)]
		if v == nil || v.inode == nil {
			b.f.problem("ubifs-no-inode", 0, path, "the value of attribute %s is lost", name)
			continue
		}
		out[name] = v.inode.data
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (b *builder) content(ino uint32, o *object, path string) tree.Content {
	f := b.f
	o.settle()
	size := int64(o.inode.size)
	if size < 0 || size > maxFileSize {
		f.problem("ubifs-bad-size", 0, path, "a size of %d bytes", o.inode.size)
		size = 0
		if n := len(o.pieces); n > 0 {
			size = (int64(o.pieces[n-1].block) + 1) * blockSize
		}
	}
	if o.inode.flags&flagCrypt != 0 {
		f.problem("ubifs-encrypted", 0, path, "the file is encrypted")
	}
	lost := 0
	for i, has := 0, false; i < len(o.pieces); i++ {
		if i == 0 || o.pieces[i].lnum != o.pieces[i-1].lnum {
			has = f.src.Has(int(o.pieces[i].lnum))
		}
		if !has {
			lost++
		}
	}
	if lost > 0 {
		f.problem("ubifs-lost-data", 0, path, "%d of %d blocks of the file lie in missing eraseblocks", lost, len(o.pieces))
	}
	return &file{f, ino, size, slices.Clip(o.pieces)}
}
