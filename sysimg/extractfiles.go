package sysimg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"mtkport/sysimg/tree"
)

// One goroutine makes the files and symlinks, writers fill them: a directory
// takes one new name at a time, and whoever waits for that could be copying.
const (
	writers = 2
	ahead   = 16 // files that are open and wait to be filled
)

// opened is a file that is made and not filled.
type opened struct {
	job
	f *os.File
}

// files makes the files with their contents, and the symlinks.
func (x *extraction) files() error {
	ctx, stop := context.WithCancel(x.ctx)
	defer stop()
	made := make(chan opened, ahead)
	errs := make([]error, writers+1)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			w := fileWriter{x: x, ctx: ctx, back: make([]byte, backUnit)}
			for o := range made {
				if errs[i] == nil {
					errs[i] = w.write(o)
				}
				if errs[i] = errors.Join(errs[i], o.f.Close()); errs[i] != nil {
					stop() // and go on closing
				}
			}
		})
	}
	errs[writers] = x.make(ctx, made)
	close(made)
	wg.Wait()
	if x.ctx.Err() == nil { // who was only stopped has nothing to say
		errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) })
	}
	return errors.Join(errs...)
}

// make makes the files, directory by directory, then the symlinks: last, so that
// no file was made through one.
func (x *extraction) make(ctx context.Context, made chan<- opened) error {
	slices.SortStableFunc(x.jobs, func(a, b job) int { return strings.Compare(a.dir, b.dir) })
	dir := openDir{top: x.root}
	defer dir.close()
	for _, j := range x.jobs {
		d, err := dir.open(j.dir)
		if err != nil {
			return err
		}
		f, err := d.OpenFile(j.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fs.FileMode(j.n.Mode&0o777|0o600))
		if err != nil {
			return err
		}
		select {
		case made <- opened{j, f}:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), f.Close())
		}
	}
	return x.makeLinks(x.soft)
}

// openDir keeps the last directory open.
type openDir struct {
	top, dir *os.Root
	at       string
}

func (o *openDir) close() {
	if o.dir != nil {
		_ = o.dir.Close()
	}
}

func (o *openDir) open(dir string) (*os.Root, error) {
	if o.dir != nil && o.at == dir {
		return o.dir, nil
	}
	o.close()
	var err error
	o.dir, err = o.top.OpenRoot(dir)
	o.at = dir
	return o.dir, err
}

// fileWriter fills files one after the other.
type fileWriter struct {
	x    *extraction
	ctx  context.Context
	back []byte // what is read back
}

// write fills a file. An error is one of the disk; one of the image makes the
// file a lost one.
func (w *fileWriter) write(o opened) error {
	n, lost, err := w.fill(o.f, o.n.Data)
	switch {
	case err != nil:
		return err
	case lost != nil:
		w.x.lose(o.job, lost)
		return nil
	}
	w.x.done(o.job, n)
	setTime(o.f, o.n.MTime) // for people; the side file has the truth
	return nil
}

// fill writes the contents and reads them back. lost is a fault of the image,
// err one of the disk.
func (w *fileWriter) fill(f *os.File, c tree.Content) (n int64, lost, err error) {
	if c == nil {
		return 0, nil, nil
	}
	ps, lost := tree.Pieces(c, 0, c.Size())
	if lost != nil {
		return 0, lost, nil
	}
	out := &diskWriter{f: f, back: w.back}
	if err := tree.CopyPieces(w.ctx, out, ps, 1, w.x.task); err != nil {
		if out.err != nil || w.ctx.Err() != nil {
			return 0, nil, err
		}
		return 0, err, nil
	}
	if out.end < c.Size() { // it ends in a hole
		return out.n, nil, f.Truncate(c.Size())
	}
	return out.n, nil, nil
}

// backUnit is how much is written and then read back, bytes: little enough that
// it still lies in the processor's cache.
const backUnit = 256 << 10

// diskWriter reads back what it has written, and tells faults of the disk from
// those of the image.
type diskWriter struct {
	f    *os.File
	back []byte
	n    int64 // bytes written
	end  int64 // of the file
	err  error
}

// WriteAt implements io.WriterAt.
func (d *diskWriter) WriteAt(p []byte, off int64) (int, error) {
	for done := 0; done < len(p); {
		part := p[done:min(len(p), done+len(d.back))]
		if d.err = d.write(part, off+int64(done)); d.err != nil {
			return done, d.err
		}
		done += len(part)
	}
	d.n, d.end = d.n+int64(len(p)), max(d.end, off+int64(len(p)))
	return len(p), nil
}

func (d *diskWriter) write(p []byte, off int64) error {
	if _, err := d.f.WriteAt(p, off); err != nil {
		return err
	}
	back := d.back[:len(p)]
	if _, err := d.f.ReadAt(back, off); err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(p, back) {
		return fmt.Errorf("%s: read back at 0x%x, it is not what was written: the disk is not to be trusted", d.f.Name(), off)
	}
	return nil
}

// makeLinks makes symlinks or hard links. Where the disk has none, the side file
// alone has them.
func (x *extraction) makeLinks(links []link) error {
	dir := openDir{top: x.root}
	defer dir.close()
	for _, l := range links {
		err := x.ctx.Err()
		if err == nil {
			err = x.link(&dir, x.side.Entries[l.entry], x.side.Entries[l.first])
		}
		if err != nil {
			if runtime.GOOS != "windows" && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
				return err
			}
			x.side.Links = "listed"
		}
	}
	return nil
}

// link makes one link. A hard link to what is not on disk (a device, a lost
// file) stays in the side file.
func (x *extraction) link(dir *openDir, e, first entry) error {
	switch {
	case e.Same == "" || first.Type == "symlink":
		d, err := dir.open(path.Dir(e.onDisk()))
		if err != nil {
			return err
		}
		return d.Symlink(unescape(first.Target), path.Base(e.onDisk()))
	case first.Type != "file" || first.Lost != "":
		return nil
	}
	return x.root.Link(first.onDisk(), e.onDisk())
}
