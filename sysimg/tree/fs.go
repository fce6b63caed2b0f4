package tree

import (
	"io"
	"io/fs"
	"path"
	"time"
)

// FS returns t as a read-only fs.FS with ReadDir, Stat, Lstat and ReadLink.
// Symlinks inside the tree are followed by Open and Stat; absolute ones are
// taken from the root of the tree after stripping mount ("/system" or "").
func (t *Tree) FS(mount string) fs.FS { return treeFS{t, mount} }

type treeFS struct {
	t     *Tree
	mount string
}

func (f treeFS) find(op, name string, follow bool) (*Node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	var n *Node
	var err error
	if follow {
		n, err = f.t.Resolve(name, f.mount)
	} else if n, err = f.t.Lookup(path.Dir(name)); err == nil {
		n, err = f.t.Lookup(name)
	}
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open implements fs.FS.
func (f treeFS) Open(name string) (fs.File, error) {
	n, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	file := &openFile{info: info{path.Base(name), n}}
	if n.Data != nil {
		file.SectionReader = io.NewSectionReader(n.Data, 0, n.Data.Size())
	} else {
		file.SectionReader = io.NewSectionReader(Bytes(nil), 0, 0)
	}
	if n.IsDir() {
		return &openDir{openFile: file}, nil
	}
	return file, nil
}

// ReadDir implements fs.ReadDirFS.
func (f treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return entries(n), nil
}

// Stat implements fs.StatFS.
func (f treeFS) Stat(name string) (fs.FileInfo, error) {
	n, err := f.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return info{path.Base(name), n}, nil
}

// Lstat implements fs.ReadLinkFS.
func (f treeFS) Lstat(name string) (fs.FileInfo, error) {
	n, err := f.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return info{path.Base(name), n}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f treeFS) ReadLink(name string) (string, error) {
	n, err := f.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.Type() != Symlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.Target, nil
}

func entries(n *Node) []fs.DirEntry {
	names := n.Names()
	out := make([]fs.DirEntry, len(names))
	for i, name := range names {
		out[i] = fs.FileInfoToDirEntry(info{name, n.Child(name)})
	}
	return out
}

type info struct {
	name string
	n    *Node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.n.Size() }
func (i info) Mode() fs.FileMode  { return FileMode(i.n.Mode) }
func (i info) ModTime() time.Time { return i.n.MTime }
func (i info) IsDir() bool        { return i.n.IsDir() }
func (i info) Sys() any           { return i.n }

// FileMode turns a Linux st_mode into Go's.
func FileMode(m uint32) fs.FileMode {
	out := fs.FileMode(m & 0o777)
	switch m & TypeMask {
	case Dir:
		out |= fs.ModeDir
	case Symlink:
		out |= fs.ModeSymlink
	case CharDev:
		out |= fs.ModeDevice | fs.ModeCharDevice
	case BlockDev:
		out |= fs.ModeDevice
	case FIFO:
		out |= fs.ModeNamedPipe
	case Socket:
		out |= fs.ModeSocket
	}
	if m&0o4000 != 0 {
		out |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		out |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		out |= fs.ModeSticky
	}
	return out
}

type openFile struct {
	*io.SectionReader
	info info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	*openFile
	pos int
}

// Read implements fs.File; a directory has no bytes.
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := entries(d.info.n)[d.pos:]
	if n <= 0 {
		d.pos += len(rest)
		return rest, nil
	}
	if len(rest) == 0 {
		return nil, io.EOF
	}
	rest = rest[:min(n, len(rest))]
	d.pos += len(rest)
	return rest, nil
}
