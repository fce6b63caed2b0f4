package rom

import (
	"io/fs"

	"mtkport"
)

// Names lists the files of the ROM as they lie in its folder or package, sorted:
// lk.bin, preloader, images. A single image is its own only name.
func (r *ROM) Names() []string { return r.src.list() }

// File opens a file that Names lists. The error wraps fs.ErrNotExist for others.
func (r *ROM) File(name string) (*File, error) {
	f, err := r.file(name)
	if err == nil && f == nil {
		err = &mtkport.Error{File: r.Path, Off: mtkport.NoOffset, Field: name, Found: "no such file", Want: "a file of the ROM", Err: fs.ErrNotExist}
	}
	return f, err
}
