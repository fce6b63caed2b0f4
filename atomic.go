package mtkport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// File is output that appears under its name only when it is whole: it is
// written beside its name, and Commit syncs and renames it. A kill before
// Commit leaves a file named .NAME.*.part beside, never half a NAME. What is no
// regular file (/dev/null, a terminal, a pipe) is written as it is.
type File struct {
	*os.File
	name    string
	through bool // written in place: there is nothing to rename or remove
	done    bool
}

// CreateFile begins the file name with mode perm. The folder must exist. A link
// goes on leading to the file that it leads to. A folder or a disk is refused.
func CreateFile(name string, perm fs.FileMode) (*File, error) {
	switch st, err := os.Stat(name); {
	case err != nil || st.Mode().IsRegular():
	case st.IsDir():
		return nil, fmt.Errorf("%s: is a folder, want a file name", name)
	case st.Mode()&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice:
		return nil, fmt.Errorf("%s: is a disk, want a file name: an image is never written onto a disk", name)
	default: // renaming onto it would take the device away
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &File{File: f, name: name, through: true}, err
	}
	if st, err := os.Lstat(name); err == nil && st.Mode()&fs.ModeSymlink != 0 {
		if to, err := filepath.EvalSymlinks(name); err == nil {
			name = to
		}
	}
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+".*.part")
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(perm); err != nil && runtime.GOOS != "windows" {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return &File{File: f, name: name}, nil
}

// Commit syncs the file, gives it its name and syncs the folder.
func (f *File) Commit() error {
	if f.done {
		return errors.New("commit after commit or abort")
	}
	f.done = true
	if f.through {
		return f.Close()
	}
	err := f.Sync()
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.File.Name(), f.name)
	}
	if err != nil {
		_ = os.Remove(f.File.Name())
		return err
	}
	return SyncDir(filepath.Dir(f.name))
}

// Place gives the file its name without waiting for the disk, for large output
// that can be made again from its source. A kill leaves it whole or not at all,
// as with Commit; a power cut may not. A file that is there already is replaced
// only after a sync.
func (f *File) Place() error {
	if _, err := os.Lstat(f.name); err == nil || f.through {
		return f.Commit()
	}
	if f.done {
		return errors.New("commit after commit or abort")
	}
	f.done = true
	err := f.Close()
	if err == nil {
		err = os.Rename(f.File.Name(), f.name)
	}
	if err != nil {
		_ = os.Remove(f.File.Name())
	}
	return err
}

// Abort drops the file. After Commit it does nothing, so it can be deferred.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	_ = f.Close()
	if !f.through {
		_ = os.Remove(f.File.Name())
	}
}

// WriteFile writes the file name whole through fn, or leaves nothing.
func WriteFile(name string, perm fs.FileMode, fn func(w io.Writer) error) error {
	f, err := CreateFile(name, perm)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := fn(f); err != nil {
		return err
	}
	return f.Commit()
}

// SyncDir makes renames in dir durable. Windows has no such call.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Dir is an output folder that appears under its name only when it is whole.
type Dir struct {
	Root *os.Root // everything is written through it: no name can leave the folder
	tmp  string
	name string
	done bool
}

// CreateDir begins the folder name. It refuses a name that exists, unless that
// is an empty folder.
func CreateDir(name string) (*Dir, error) {
	if err := vacant(name); err != nil {
		return nil, err
	}
	parent, base := filepath.Split(filepath.Clean(name))
	if parent == "" {
		parent = "."
	}
	tmp, err := os.MkdirTemp(parent, "."+base+".*.part")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	return &Dir{Root: root, tmp: tmp, name: name}, nil
}

func vacant(name string) error {
	ents, err := os.ReadDir(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &Error{File: name, Off: NoOffset, Found: "a file", Want: "a new folder", Err: fs.ErrExist,
			Hint: "name a folder that does not exist"}
	case len(ents) > 0:
		return &Error{File: name, Off: NoOffset, Found: "a folder that is not empty", Want: "a new or empty folder", Err: fs.ErrExist,
			Hint: "name another folder, or remove this one first"}
	}
	return nil
}

// TempName is where the folder lies until Commit.
func (d *Dir) TempName() string { return d.tmp }

// Commit gives the folder its name.
func (d *Dir) Commit() error {
	if d.done {
		return errors.New("commit after commit or abort")
	}
	d.done = true
	err := d.Root.Close()
	if err == nil {
		err = os.Remove(d.name) // an empty folder under the name gives way
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(d.tmp, d.name)
	}
	if err != nil {
		_ = os.RemoveAll(d.tmp)
		return err
	}
	return SyncDir(filepath.Dir(filepath.Clean(d.name)))
}

// Abort drops the folder with all in it. After Commit it does nothing.
func (d *Dir) Abort() {
	if d.done {
		return
	}
	d.done = true
	_ = d.Root.Close()
	_ = os.RemoveAll(d.tmp)
}
