package ext4

import (
	"encoding/binary"
	"fmt"

	"mtkport"
	"mtkport/sysimg/tree"
)

// walker turns inodes into nodes, directory by directory.
type walker struct {
	f      *FS
	nodes  map[uint32]*tree.Node // by inode
	dirs   map[uint32]bool       // directories already in the tree
	blocks map[int64]bool        // directory blocks already read: each serves one directory
	todo   []dirAt
	names  int
}

type dirAt struct {
	path string
	in   *inode
	node *tree.Node
}

// walk reads the tree from the root directory down, without recursion.
func (f *FS) walk() error {
	w := walker{f: f, nodes: map[uint32]*tree.Node{}, dirs: map[uint32]bool{inoRoot: true}, blocks: map[int64]bool{}}
	in, err := f.inode(inoRoot)
	if err != nil {
		return err
	}
	root, err := f.node(in)
	if err != nil {
		return err
	}
	if !root.IsDir() {
		return damaged(mtkport.NoOffset, "root inode's i_mode", fmt.Sprintf("0%o", in.Mode), "a directory")
	}
	f.tree, f.inos = &tree.Tree{Root: root}, map[*tree.Node]uint32{root: inoRoot}
	w.todo = []dirAt{{"", in, root}}
	for len(w.todo) > 0 {
		d := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.dir(d)
	}
	return nil
}

// dir reads one directory.
func (w *walker) dir(d dirAt) {
	if d.in.Flags&flagInlineData != 0 {
		_, rest, _ := w.f.xattrs(d.in)
		w.entries(d, d.in.Block[4:], mtkport.NoOffset)
		w.entries(d, rest, mtkport.NoOffset)
		return
	}
	ext, err := w.f.extents(d.in.Flags, d.in.Block[:], d.in.size())
	if err != nil {
		w.f.problem("ext4-directory", mtkport.Risk, d.path, mtkport.NoOffset, "names are lost: %v", err)
	}
	for _, e := range ext {
		for i := range e.n {
			if w.blocks[e.disk+i] {
				w.f.problem("ext4-directory", mtkport.Risk, d.path, (e.disk+i)*w.f.sb.blockSize, "block %d belongs to two directories", e.disk+i)
				continue
			}
			w.blocks[e.disk+i] = true
			b, err := w.f.readBlock(e.disk + i)
			if err != nil {
				w.f.problem("ext4-directory", mtkport.Risk, d.path, mtkport.NoOffset, "names are lost: %v", err)
				break
			}
			w.entries(d, b, (e.disk+i)*w.f.sb.blockSize)
		}
	}
}

// entries reads the records of one block. Index blocks of a hashed directory
// look like one empty record, so a linear scan reads those directories too.
func (w *walker) entries(d dirAt, b []byte, off int64) {
	for pos := 0; pos+8 <= len(b); {
		ino, n, nameLen := binary.LittleEndian.Uint32(b[pos:]), int(binary.LittleEndian.Uint16(b[pos+4:])), int(b[pos+6])
		if n == 0xFFFF || n == 0 {
			n = len(b) - pos // how a 64 KiB record is written
		}
		if w.f.sb.FeatureIncompat&incompatFiletype == 0 {
			nameLen |= int(b[pos+7]) << 8
		}
		if n < 8 || n%4 != 0 || n > len(b)-pos || ino != 0 && nameLen > n-8 {
			at := int64(mtkport.NoOffset)
			if off >= 0 {
				at = off + int64(pos)
			}
			w.f.problem("ext4-directory", mtkport.Risk, d.path, at, "names are lost: a record of %d bytes with a name of %d", n, nameLen)
			return
		}
		if ino != 0 {
			w.entry(d, string(b[pos+8:pos+8+nameLen]), ino)
		}
		pos += n
	}
}

// entry puts one name into the tree.
func (w *walker) entry(d dirAt, name string, ino uint32) {
	if name == "." || name == ".." {
		return
	}
	path := name
	if d.path != "" {
		path = d.path + "/" + name
	}
	lost := func(format string, args ...any) {
		w.f.problem("ext4-lost", mtkport.Risk, path, mtkport.NoOffset, format, args...)
	}
	if err := tree.CheckName(name); err != nil {
		lost("%v", err)
		return
	}
	if w.names++; w.names > maxNames {
		if w.names == maxNames+1 {
			lost("more than %d names: the rest is left out", maxNames)
		}
		return
	}
	if d.node.Child(name) != nil {
		lost("the name stands twice in its directory; the first counts")
		return
	}
	n := w.nodes[ino]
	if n == nil {
		if n = w.load(path, ino); n == nil {
			return
		}
	} else if n.IsDir() {
		lost("directory inode %d has a second name; this one is left out", ino)
		return
	}
	d.node.SetChild(name, n)
}

// load reads an inode that has not been met before.
func (w *walker) load(path string, ino uint32) *tree.Node {
	if ino == inoRoot || w.dirs[ino] {
		w.f.problem("ext4-lost", mtkport.Risk, path, mtkport.NoOffset, "it leads back to a directory above")
		return nil
	}
	in, err := w.f.inode(ino)
	if err != nil {
		w.f.problem("ext4-lost", mtkport.Risk, path, mtkport.NoOffset, "its inode cannot be read: %v", err)
		return nil
	}
	n, err := w.f.node(in)
	if n == nil {
		w.f.problem("ext4-lost", mtkport.Risk, path, mtkport.NoOffset, "inode %d: %v", ino, err)
		return nil
	}
	if err != nil {
		w.f.problem("ext4-contents", mtkport.Risk, path, mtkport.NoOffset, "its contents are lost: %v", err)
		n.Data = lostContent{err, max(0, min(in.size(), maxFile))}
		if n.Type() != tree.Regular {
			return nil
		}
	}
	w.nodes[ino], w.f.inos[n] = n, ino
	if n.IsDir() {
		w.dirs[ino] = true
		w.todo = append(w.todo, dirAt{path, in, n})
	}
	return n
}

// lostContent is the content of a file that could not be mapped.
type lostContent struct {
	err  error
	size int64
}

// Size implements tree.Content.
func (l lostContent) Size() int64 { return l.size }

// ReadAt implements tree.Content.
func (l lostContent) ReadAt([]byte, int64) (int, error) { return 0, l.err }
