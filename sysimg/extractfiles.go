package sysimg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"mtkport/sysimg/tree"
)

// writers make and fill files: one from the first to the last, one from the last
// back until they meet. A directory takes one new name at a time, and so they
// seldom want the same.
const writers = 2

// files makes the files with their contents, directory by directory, then the
// symlinks: last, so that no file was made through one.
func (x *extraction) files() error {
	slices.SortStableFunc(x.jobs, func(a, b job) int { return strings.Compare(a.dir, b.dir) })
	ctx, stop := context.WithCancel(x.ctx)
	defer stop()
	errs := make([]error, writers)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			w := fileWriter{x: x, ctx: ctx, dir: openDir{top: x.root}, buf: make([]byte, backUnit), back: make([]byte, backUnit)}
			if errs[i] = w.run(i == 1, &taken); errs[i] != nil {
				stop()
			}
		})
	}
	wg.Wait()
	if x.ctx.Err() == nil { // who was only stopped has nothing to say
		errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) })
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	x.reportLost()
	return x.makeLinks(x.soft)
}

// openDir keeps the last directory open.
type openDir struct {
	top, dir *os.Root
	in       newFiles
	at       string
}

func (o *openDir) close() {
	if o.dir != nil {
		o.in.close()
		_ = o.dir.Close()
		o.dir = nil
	}
}

func (o *openDir) open(dir string) (*os.Root, error) {
	if o.dir != nil && o.at == dir {
		return o.dir, nil
	}
	o.close()
	var err error
	if o.dir, err = o.top.OpenRoot(dir); err != nil {
		o.dir = nil
		return nil, err
	}
	o.in, o.at = newFiles{root: o.dir}, dir
	return o.dir, nil
}

// fileWriter makes and fills files one after the other.
type fileWriter struct {
	x         *extraction
	ctx       context.Context
	dir       openDir
	buf, back []byte // what is written, and what is read back
}

// run takes jobs from one end of the list until all are taken.
func (w *fileWriter) run(fromEnd bool, taken *atomic.Int64) error {
	defer w.dir.close()
	jobs := w.x.jobs
	for i := 0; taken.Add(1) <= int64(len(jobs)); i++ {
		j := jobs[i]
		if fromEnd {
			j = jobs[len(jobs)-1-i]
		}
		if err := w.file(j); err != nil {
			return err
		}
	}
	return w.ctx.Err()
}

// file makes a file. An error is one of the disk; one of the image makes the file
// a lost one.
func (w *fileWriter) file(j job) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if _, err := w.dir.open(j.dir); err != nil {
		return err
	}
	f, err := w.dir.in.create(j.name, j.n.Mode&0o777|0o600)
	if err != nil {
		return err
	}
	n, lost, err := w.fill(f, j.n.Data)
	switch {
	case err != nil:
	case lost != nil:
		w.x.lose(j, lost)
	default:
		w.x.done(j, n)
		f.setTime(j.n.MTime) // for people; the side file has the truth
	}
	return errors.Join(err, f.Close())
}

// fill writes the contents and reads them back. lost is a fault of the image,
// err one of the disk.
func (w *fileWriter) fill(f newFile, c tree.Content) (n int64, lost, err error) {
	if c == nil {
		return 0, nil, nil
	}
	ps, lost := tree.Pieces(c, 0, c.Size())
	if lost != nil {
		return 0, lost, nil
	}
	end := int64(0)
	for _, p := range ps {
		for done := int64(0); done < p.Len; done += backUnit {
			if err := w.ctx.Err(); err != nil {
				return n, nil, err
			}
			b := w.buf[:min(backUnit, p.Len-done)]
			if lost := tree.ReadFull(p.Src, b, p.At+done); lost != nil {
				return n, lost, nil
			}
			if err := w.put(f, b, p.Off+done); err != nil {
				return n, nil, err
			}
			n += int64(len(b))
			w.x.task.Add(int64(len(b)))
		}
		end = p.Off + p.Len
	}
	if end < c.Size() { // it ends in a hole
		return n, nil, f.Truncate(c.Size())
	}
	return n, nil, nil
}

// backUnit is how much is written and then read back, bytes: little enough that
// it still lies in the processor's cache.
const backUnit = 128 << 10

// put writes p at off, and reads it back.
func (w *fileWriter) put(f newFile, p []byte, off int64) error {
	if _, err := f.WriteAt(p, off); err != nil {
		return err
	}
	back := w.back[:len(p)]
	if err := tree.ReadFull(f, back, off); err != nil {
		return err
	}
	if !bytes.Equal(p, back) {
		return fmt.Errorf("%s: read back at 0x%x, it is not what was written: the disk is not to be trusted", f.Name(), off)
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
