package rom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"

	"mtkport"
	"mtkport/sysimg/tree"
)

// source is what a ROM's files lie in: a folder, a package, or one file.
type source interface {
	list() []string                                             // files and links, sorted, slash-separated
	entry(name string) (tree.Content, bool)                     // a file
	link(name string) (string, bool)                            // the target of a link
	random(c tree.Content) (io.ReaderAt, error)                 // for readers that jump about
	walk(dir string, fn func(string, tree.Content) error) error // files below a folder, sorted
	close() error
}

// within is what lies below one folder of a source.
type within struct {
	source
	dir string
}

func (w within) entry(name string) (tree.Content, bool) {
	return w.source.entry(path.Join(w.dir, name))
}

func (w within) walk(dir string, fn func(string, tree.Content) error) error {
	return w.source.walk(path.Join(w.dir, dir), fn)
}

// folder is a source on the disk. Nothing outside the folder is read, whatever
// its links say.
type folder struct {
	root  *os.Root
	names []string
	files map[string]*diskContent
	links map[string]string
}

func openFolder(ctx context.Context, dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, files: map[string]*diskContent{}, links: map[string]string{}}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		case len(f.names) >= maxEntries:
			return &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "files", Found: fmt.Sprintf("more than %d", maxEntries), Want: "a ROM's folder", Err: mtkport.ErrFormat}
		}
		return f.add(p, d)
	})
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	sort.Strings(f.names)
	return f, nil
}

func (f *folder) add(p string, d fs.DirEntry) error {
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		t, err := f.root.Readlink(p)
		if err != nil {
			return err
		}
		f.links[p] = t
	case d.Type().IsRegular():
		st, err := d.Info()
		if err != nil {
			return err
		}
		f.files[p] = &diskContent{f.root, p, st.Size()}
	default: // a pipe, a device: nothing of a ROM
		return nil
	}
	f.names = append(f.names, p)
	return nil
}

func (f *folder) list() []string { return f.names }

func (f *folder) entry(name string) (tree.Content, bool) {
	c, ok := f.files[path.Clean(strings.TrimPrefix(name, "/"))]
	return c, ok
}

func (f *folder) link(name string) (string, bool) {
	t, ok := f.links[name]
	return t, ok
}

func (f *folder) random(c tree.Content) (io.ReaderAt, error) { return c, nil }

func (f *folder) walk(dir string, fn func(string, tree.Content) error) error {
	dir = path.Clean(strings.Trim(dir, "/")) + "/"
	if dir == "./" {
		dir = ""
	}
	for _, n := range f.names {
		c, ok := f.files[n]
		if rel, below := strings.CutPrefix(n, dir); ok && below {
			if err := fn(rel, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *folder) close() error { return f.root.Close() }

// diskContent is a file of a folder. It is opened for each read: a system has
// more files than a process may hold open.
type diskContent struct {
	root *os.Root
	name string
	size int64
}

// Size implements tree.Content.
func (c *diskContent) Size() int64 { return c.size }

// ReadAt implements io.ReaderAt.
func (c *diskContent) ReadAt(p []byte, off int64) (int, error) {
	f, err := c.root.Open(c.name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(p, off)
}

// single is one file as a source.
type single struct {
	name string
	c    tree.Content
}

func (s *single) list() []string { return []string{s.name} }
func (s *single) entry(name string) (tree.Content, bool) {
	return s.c, name == s.name
}
func (s *single) link(string) (string, bool)                 { return "", false }
func (s *single) random(c tree.Content) (io.ReaderAt, error) { return c, nil }
func (s *single) walk(string, func(string, tree.Content) error) error {
	return nil
}
func (s *single) close() error { return nil }
