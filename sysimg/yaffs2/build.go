package yaffs2

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"mtkport/sysimg/tree"
)

// build makes the tree of the objects that the log left.
func (f *FS) build() {
	f.tree = tree.New()
	nodes := map[uint32]*tree.Node{rootObj: f.tree.Root}
	if o := f.objects[rootObj]; o != nil && o.known && o.typ == typeDir {
		if n := f.node(o); n != nil { // a broken mode: the plain root serves
			nodes[rootObj], f.tree.Root = n, n
		}
	}
	kids := f.children()
	type dir struct {
		id   uint32
		path string
	}
	var links []link
	for todo := []dir{{rootObj, ""}}; len(todo) > 0; {
		d := todo[0]
		todo = todo[1:]
		for _, id := range kids[d.id] {
			o := f.objects[id]
			path := join(d.path, o.name)
			if nodes[id] != nil {
				f.problem("yaffs2-cycle", f.offset(o), path, "object %d leads back to a directory above", id)
				continue
			}
			if o.typ == typeHardlink {
				links = append(links, link{d.id, o, path})
				continue
			}
			n := f.node(o)
			if n == nil {
				f.problem("yaffs2-bad-mode", f.offset(o), path, "object %d has mode 0%o and type %d", id, o.mode, o.typ)
				continue
			}
			nodes[id] = n
			f.place(nodes[d.id], o, path, n)
			if o.typ == typeDir {
				todo = append(todo, dir{id, path})
			}
		}
	}
	f.link(nodes, links)
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func (f *FS) offset(o *object) int64 { return int64(o.at) * int64(f.layout.unit()) }

// link is a hard link to make once all objects stand.
type link struct {
	dir  uint32
	o    *object
	path string
}

func (f *FS) link(nodes map[uint32]*tree.Node, links []link) {
	for _, l := range links {
		n := nodes[l.o.equiv]
		if n == nil || n.IsDir() {
			f.problem("yaffs2-lost-link", f.offset(l.o), l.path, "a hard link to object %d, which is lost", l.o.equiv)
			continue
		}
		f.place(nodes[l.dir], l.o, l.path, n)
	}
}

func (f *FS) place(dir *tree.Node, o *object, path string, n *tree.Node) {
	if tree.CheckName(o.name) != nil {
		f.problem("yaffs2-bad-name", f.offset(o), path, "a name that no directory can hold: %q", o.name)
		return
	}
	if dir.Child(o.name) != nil {
		f.problem("yaffs2-two-names", f.offset(o), path, "the name stands twice; the newer object is kept")
	}
	dir.SetChild(o.name, n)
}

// children sorts the objects under their directories, oldest header first.
// Objects whose directory is lost go to lost+found, as they would at mount.
func (f *FS) children() map[uint32][]uint32 {
	kids := map[uint32][]uint32{}
	for _, id := range slices.Sorted(maps.Keys(f.objects)) {
		o := f.objects[id]
		switch {
		case id == rootObj || id == unlinkedObj || id == deletedObj || o.dead:
		case !o.known:
			f.orphan(kids, id, o, "the header of object %d is lost: its data are under lost+found", id)
		case o.parent != rootObj && o.parent != lostObj && !f.isDir(o.parent):
			f.orphan(kids, id, o, "the directory %d of %q is lost: it is under lost+found", o.parent, o.name)
		default:
			kids[o.parent] = append(kids[o.parent], id)
		}
	}
	f.lostFound(kids)
	for _, ids := range kids {
		slices.SortStableFunc(ids, func(a, b uint32) int { return int(int64(f.objects[a].at) - int64(f.objects[b].at)) })
	}
	return kids
}

func (f *FS) isDir(id uint32) bool {
	o := f.objects[id]
	return o != nil && o.known && !o.dead && o.typ == typeDir
}

func (f *FS) orphan(kids map[uint32][]uint32, id uint32, o *object, format string, args ...any) {
	f.problem("yaffs2-orphan", f.offset(o), o.name, format, args...)
	if !o.known {
		o.typ, o.mode = typeFile, tree.Regular|0o600
	}
	if !o.known || tree.CheckName(o.name) != nil {
		o.name = fmt.Sprintf("obj%d", id)
	}
	o.known, o.parent = true, lostObj
	kids[lostObj] = append(kids[lostObj], id)
}

// lostFound makes the directory lost+found when something lies in it and the
// log has no header of it.
func (f *FS) lostFound(kids map[uint32][]uint32) {
	if len(kids[lostObj]) == 0 || f.isDir(lostObj) {
		return
	}
	f.objects[lostObj] = &object{known: true, header: header{typ: typeDir, parent: rootObj, name: "lost+found", mode: tree.Dir | 0o700}}
	kids[rootObj] = append(kids[rootObj], lostObj)
}

// node makes the tree node of an object, nil when mode and type do not agree.
func (f *FS) node(o *object) *tree.Node {
	n := &tree.Node{Mode: o.mode & 0xffff, UID: o.uid, GID: o.gid, MTime: time.Unix(int64(o.mtime), 0).UTC(), Xattrs: o.xattrs}
	ok := false
	switch o.typ {
	case typeFile:
		ok = n.Type() == tree.Regular
		n.Data = &file{f, o.length, o.pieces}
	case typeSymlink:
		ok = n.Type() == tree.Symlink
		n.Target = o.alias
	case typeDir:
		ok = n.IsDir()
	case typeSpecial:
		switch n.Type() {
		case tree.CharDev, tree.BlockDev:
			n.Major, n.Minor = deviceParts(o.rdev)
			ok = true
		case tree.FIFO, tree.Socket:
			ok = true
		}
	}
	if !ok {
		return nil
	}
	return n
}
