package sysimg

import (
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// newFiles makes files in one directory: one call each, where os.Root takes
// seven. A name is one component and must not exist, so there is nothing to
// follow out of the directory.
type newFiles struct {
	root *os.Root
	dir  *os.File // the same, once it was asked for
}

func (d *newFiles) close() {
	if d.dir != nil {
		_ = d.dir.Close()
	}
}

func (d *newFiles) create(name string, perm uint32) (newFile, error) {
	if d.dir == nil {
		var err error
		if d.dir, err = d.root.Open("."); err != nil {
			return newFile{}, err
		}
	}
	f := newFile{name: name, fd: -1}
	if !fs.ValidPath(name) || path.Base(name) != name || name == "." {
		return f, f.fault("create", unix.EINVAL)
	}
	err := f.retry("create", func() (err error) {
		f.fd, err = unix.Openat(int(d.dir.Fd()), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		return err
	})
	return f, err
}

// newFile is an open file that is new.
type newFile struct {
	name string
	fd   int
}

func (f newFile) fault(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// retry calls again what a signal has interrupted.
func (f newFile) retry(op string, call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return f.fault(op, err)
		}
	}
}

// Name is the file's name in its directory.
func (f newFile) Name() string { return f.name }

// WriteAt implements io.WriterAt.
func (f newFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, f.fault("write", err)
		case n == 0:
			return done, f.fault("write", io.ErrShortWrite)
		}
		done += n
	}
	return done, nil
}

// ReadAt implements io.ReaderAt.
func (f newFile) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, f.fault("read", err)
		case n == 0:
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

// Truncate sets the size, bytes.
func (f newFile) Truncate(size int64) error {
	return f.retry("truncate", func() error { return unix.Ftruncate(f.fd, size) })
}

// Close closes the file. An interrupted close has closed it.
func (f newFile) Close() error {
	if err := unix.Close(f.fd); err != unix.EINTR {
		return f.fault("close", err)
	}
	return nil
}

// setTime sets the modification time, where it can.
func (f newFile) setTime(t time.Time) {
	ts := unix.NsecToTimespec(t.UnixNano())
	_ = unix.UtimesNanoAt(f.fd, "", []unix.Timespec{ts, ts}, unix.AT_EMPTY_PATH)
}
