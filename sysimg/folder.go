package sysimg

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mtkport"
	"mtkport/sysimg/labels"
	"mtkport/sysimg/tree"
)

// Defaults say what a file gets that the side file does not know.
type Defaults struct {
	Mount    string           // where the phone mounts the tree, without slashes: "system"
	SDK      int              // Android's API level, for the table of owners; 0: 19
	Contexts *labels.Contexts // nil: a new file gets the label of its directory
}

// folder is the reading of one extracted folder.
type folder struct {
	root     *os.Root
	side     sideFile
	def      Defaults
	byDisk   map[string]*entry
	byPath   map[string]*tree.Node
	from     map[*tree.Node]string // path on disk of a file's contents
	tree     *tree.Tree
	twins    []twin
	findings []mtkport.Finding
	volumes  *os.File // the volumes beside the file system, nil for none
}

// OpenFolder reads a folder as an image: one that [Extract] wrote, with its side
// file, or any other, whose files then all count as new. Contents are read from
// the folder when asked for; call [Image.Close] when done. Format and Layout are
// those of the image that it was extracted from. What was added or taken out
// since comes as findings (folder-new, folder-gone).
func OpenFolder(dir string, def Defaults) (*Image, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, def: def, byDisk: map[string]*entry{}, byPath: map[string]*tree.Node{}, from: map[*tree.Node]string{}}
	if f.def.SDK == 0 {
		f.def.SDK = 19
	}
	if err := f.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m := &Image{Format: "folder", Tree: f.tree, Layout: f.side.Layout, From: f.side.Format, problems: func() []mtkport.Finding { return f.findings }, closer: f}
	return m, nil
}

// load reads the side file, then the folder.
func (f *folder) load() error {
	in, err := f.root.Open(SideName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.walk()
	case err != nil:
		return err
	}
	side, err := readSide(in)
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	f.side = *side
	if err := f.loadVolumes(f.root); err != nil {
		return err
	}
	files, err := f.root.OpenRoot(FilesName)
	if err != nil {
		return err
	}
	_ = f.root.Close()
	f.root = files
	for i := range f.side.Entries {
		e := &f.side.Entries[i]
		f.byDisk[path.Clean(e.onDisk())] = e
	}
	return f.walk()
}

// walk reads the folder, then adds what only the side file has.
func (f *folder) walk() error {
	f.tree = tree.New()
	if e := f.byDisk["."]; e != nil {
		n, err := e.node()
		if err != nil || !n.IsDir() {
			return errors.Join(err, &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Field: "root", Found: e.Type, Want: "dir", Err: mtkport.ErrDamaged})
		}
		f.tree.Root = n
	}
	f.byPath["."] = f.tree.Root
	real := map[string]string{".": "."} // directories: on disk → in the tree
	err := fs.WalkDir(f.root.FS(), ".", func(on string, d fs.DirEntry, err error) error {
		if err != nil || on == "." {
			return err
		}
		parent, ok := real[path.Dir(on)]
		if !ok {
			return nil
		}
		return f.visit(parent, on, d, real)
	})
	if err != nil {
		return err
	}
	if err := f.join(); err != nil {
		return err
	}
	return f.rest()
}

// visit takes one name on disk into the tree.
func (f *folder) visit(parent, on string, d fs.DirEntry, real map[string]string) error {
	e := f.byDisk[on]
	if e != nil && !sameType(e, d.Type()) {
		e = nil
	}
	name := unescape(d.Name())
	if e != nil {
		name = path.Base(unescape(e.Path))
	}
	p := path.Join(parent, name)
	n, err := f.node(e, p, on, d)
	if err != nil || n == nil {
		return err
	}
	if err := f.tree.Put(p, n); err != nil {
		return err
	}
	f.byPath[p] = n
	if n.IsDir() {
		real[on] = p
	}
	return nil
}

// sameType reports whether what is on disk can be the entry. A symlink that is
// another name of one is one on disk.
func sameType(e *entry, t fs.FileMode) bool {
	switch e.Type {
	case "dir":
		return t.IsDir()
	case "symlink":
		return t&fs.ModeSymlink != 0
	case "file":
		return t.IsRegular()
	}
	return false
}

// node makes the node of a name on disk.
func (f *folder) node(e *entry, p, on string, d fs.DirEntry) (*tree.Node, error) {
	var n *tree.Node
	var err error
	if e != nil {
		n, err = e.node()
	} else {
		n, err = f.fresh(p, d)
	}
	if err != nil || n == nil {
		return nil, err
	}
	switch n.Type() {
	case tree.Symlink:
		if n.Target, err = f.root.Readlink(on); err != nil {
			return nil, err
		}
		n.Target = filepath.ToSlash(n.Target)
	case tree.Regular:
		if n.Data, err = f.content(e, on, d); err != nil {
			return nil, err
		}
		f.from[n] = on
	}
	if e != nil && e.Same != "" {
		f.twins = append(f.twins, twin{p, on, e.Same, n})
	}
	return n, nil
}

// twin is a further name of a file, as it was when extracted.
type twin struct {
	path, on, same string
	n              *tree.Node
}

// join makes further names of a file its hard links again, where they still are
// the same.
func (f *folder) join() error {
	for _, t := range f.twins {
		first := f.byPath[path.Clean(unescape(t.same))]
		if first == nil || first.Type() != t.n.Type() {
			continue
		}
		same := first.Target == t.n.Target
		if first.Type() == tree.Regular {
			var err error
			if same, err = f.sameFile(f.from[first], t.on, first.Data, t.n.Data); err != nil {
				return err
			}
		}
		if !same {
			continue
		}
		if err := f.tree.Put(t.path, first); err != nil {
			return err
		}
		f.byPath[t.path] = first
	}
	return nil
}

func (f *folder) sameFile(a, b string, x, y tree.Content) (bool, error) {
	sa, err := f.root.Lstat(a)
	if err != nil {
		return false, err
	}
	sb, err := f.root.Lstat(b)
	if err != nil || os.SameFile(sa, sb) {
		return true, err
	}
	return SameContent(x, y)
}

// SameContent compares two contents byte for byte; nil is empty.
func SameContent(x, y tree.Content) (bool, error) {
	if x == nil || y == nil {
		return (x == nil || x.Size() == 0) && (y == nil || y.Size() == 0), nil
	}
	if x.Size() != y.Size() {
		return false, nil
	}
	bx, by := make([]byte, 1<<18), make([]byte, 1<<18)
	for _, r := range either(tree.DataRanges(x), tree.DataRanges(y)) {
		for off := r.Off; off < r.Off+r.Len; off += int64(len(bx)) {
			n := min(int64(len(bx)), r.Off+r.Len-off)
			if err := tree.ReadFull(x, bx[:n], off); err != nil {
				return false, err
			}
			if err := tree.ReadFull(y, by[:n], off); err != nil {
				return false, err
			}
			if !bytes.Equal(bx[:n], by[:n]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// either joins two lists of ranges: what is in neither is a hole of both.
func either(a, b []tree.Range) []tree.Range {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y tree.Range) int { return cmp.Compare(x.Off, y.Off) })
	var out []tree.Range
	for _, r := range all {
		if k := len(out) - 1; k >= 0 && r.Off <= out[k].Off+out[k].Len {
			out[k].Len = max(out[k].Len, r.Off+r.Len-out[k].Off)
			continue
		}
		out = append(out, r)
	}
	return out
}

// fresh is the node of a name that the side file does not know.
func (f *folder) fresh(p string, d fs.DirEntry) (*tree.Node, error) {
	info, err := d.Info()
	if err != nil {
		return nil, err
	}
	n := &tree.Node{MTime: info.ModTime().UTC()}
	switch t := d.Type(); {
	case t.IsDir():
		n.Mode = tree.Dir
	case t.IsRegular():
		n.Mode = tree.Regular
	case t&fs.ModeSymlink != 0:
		n.Mode = tree.Symlink | 0o777
	default:
		f.find("folder-skipped", mtkport.Risk, p, "it is neither file, directory nor link, and is left out")
		return nil, nil
	}
	f.def.give(n, p, f.byPath[path.Dir(p)])
	if len(f.side.Entries) > 0 {
		f.find("folder-new", mtkport.Note, p, fmt.Sprintf("new: mode %04o, owner %d:%d, label %q", n.Mode&0o7777, n.UID, n.GID, strings.TrimSuffix(string(n.Xattrs["security.selinux"]), "\x00")))
	}
	return n, nil
}

// give sets owner, mode and label as Android's own build would. parent may be nil.
func (d Defaults) give(n *tree.Node, p string, parent *tree.Node) {
	full := path.Join(d.Mount, p)
	own := labels.FSConfig(full, n.IsDir(), d.SDK)
	n.UID, n.GID = own.UID, own.GID
	if n.Type() != tree.Symlink {
		n.Mode = n.Type() | own.Perm
	}
	if x := own.Xattr(); x != nil && n.Type() == tree.Regular {
		n.Xattrs = map[string][]byte{"security.capability": x}
	}
	label := []byte(nil)
	if d.Contexts != nil {
		if l, ok := d.Contexts.Label("/"+full, n.Type()); ok {
			label = labels.Xattr(l)
		}
	} else if parent != nil {
		label = slices.Clone(parent.Xattrs["security.selinux"])
	}
	if label != nil {
		if n.Xattrs == nil {
			n.Xattrs = map[string][]byte{}
		}
		n.Xattrs["security.selinux"] = label
	}
}

// rest adds the entries that a disk does not hold: devices, and links where
// they are only listed.
func (f *folder) rest() error {
	for i := range f.side.Entries {
		e := &f.side.Entries[i]
		p := path.Clean(unescape(e.Path))
		if p == "." || f.byPath[p] != nil {
			continue
		}
		parent := f.byPath[path.Dir(p)]
		listed := f.side.Links == "listed" && (e.Type == "symlink" || e.Same != "") || e.Same != "" && e.Type != "file" && e.Type != "symlink"
		special := e.Type != "dir" && e.Type != "file" && e.Type != "symlink"
		if parent == nil || !parent.IsDir() || !listed && !special {
			f.find("folder-gone", mtkport.Note, p, "it is in the side file and no longer in the folder")
			continue
		}
		n, err := e.node()
		if err != nil {
			return err
		}
		if e.Same != "" {
			if n = f.byPath[path.Clean(unescape(e.Same))]; n == nil {
				continue
			}
		}
		if err := f.tree.Put(p, n); err != nil {
			return err
		}
		f.byPath[p] = n
	}
	return nil
}

func (f *folder) find(code string, sev mtkport.Severity, subject, text string) {
	f.findings = append(f.findings, mtkport.Finding{Code: code, Severity: sev, Subject: subject, Text: text})
}

// content is a file on disk. Its holes are those of the side file as long as
// its length is.
func (f *folder) content(e *entry, on string, d fs.DirEntry) (tree.Content, error) {
	info, err := d.Info()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	h := hostFile{root: f.root, name: on, size: info.Size()}
	if e == nil || !e.Holes || e.Size != h.size {
		return &h, nil
	}
	s := &hostSparse{hostFile: h}
	for _, r := range e.Data {
		s.data = append(s.data, tree.Range{Off: r[0], Len: r[1]})
	}
	if !validRanges(s.data, h.size) {
		return &h, nil
	}
	zero, err := s.holesAreZero()
	if err != nil || !zero {
		return &h, err
	}
	return s, nil
}

func validRanges(rs []tree.Range, size int64) bool {
	var end int64
	for _, r := range rs {
		if r.Off < end || r.Len <= 0 || r.Len > size-r.Off {
			return false
		}
		end = r.Off + r.Len
	}
	return true
}

// hostFile is the content of a file in the folder. It is opened for each read:
// a tree may have more files than a process may hold open.
type hostFile struct {
	root *os.Root
	name string
	size int64
}

// Size implements tree.Content.
func (h *hostFile) Size() int64 { return h.size }

// ReadAt implements tree.Content.
func (h *hostFile) ReadAt(p []byte, off int64) (int, error) {
	f, err := h.root.Open(h.name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(p, off)
}

// hostSparse is a hostFile with holes.
type hostSparse struct {
	hostFile
	data []tree.Range
}

// Data implements tree.Sparse.
func (h *hostSparse) Data() []tree.Range { return h.data }

// holesAreZero looks whether someone has written into the holes since.
func (h *hostSparse) holesAreZero() (bool, error) {
	f, err := h.root.Open(h.name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var pos int64
	buf := make([]byte, 1<<16)
	for _, r := range append(slices.Clone(h.data), tree.Range{Off: h.size}) {
		for ; pos < r.Off; pos += int64(len(buf)) {
			b := buf[:min(int64(len(buf)), r.Off-pos)]
			if _, err := f.ReadAt(b, pos); err != nil && err != io.EOF {
				return false, err
			}
			if len(bytes.TrimLeft(b, "\x00")) > 0 {
				return false, nil
			}
		}
		pos = r.Off + r.Len
	}
	return true, nil
}
