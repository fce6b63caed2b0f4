//go:build !linux

package sysimg

import (
	"io/fs"
	"os"
	"time"
)

// newFiles makes files in one directory.
type newFiles struct{ root *os.Root }

func (d *newFiles) close() {}

func (d *newFiles) create(name string, perm uint32) (newFile, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fs.FileMode(perm))
	return newFile{f}, err
}

// newFile is an open file that is new.
type newFile struct{ *os.File }

// setTime sets the modification time, where it can.
func (f newFile) setTime(t time.Time) { _ = os.Chtimes(f.Name(), t, t) }
