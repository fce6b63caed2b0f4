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
	"strings"
	"sync"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Report counts what an extraction wrote.
type Report struct {
	Dirs, Files, Links, HardLinks, Specials int
	Bytes                                   int64             // of contents, holes left out; each byte was read back
	Lost                                    []mtkport.Finding // files that could not be read whole
}

// extraction is one run of [Extract].
type extraction struct {
	ctx   context.Context
	root  *os.Root // DIR/files
	side  sideFile
	jobs  []job
	links []link
	first map[*tree.Node]int
	rep   Report
	task  mtkport.Task
	mu    sync.Mutex
}

// job is one file to write.
type job struct {
	dir, name string // on disk
	n         *tree.Node
	entry     int
}

// link is a symlink or, with a first name, a hard link: indices of entries.
type link struct{ entry, first int }

// Extract writes the tree of m below dir: the files to "files", the rest to
// "sysimg.json". Every byte written is read back and compared.
// A file that the image has lost in part is left out, named in Report.Lost and
// marked in the side file. The caller commits or aborts dir.
func Extract(ctx context.Context, m *Image, dir *mtkport.Dir, p mtkport.Progress) (*Report, error) {
	if sum := m.Tree.Bytes(); m.fs != nil && sum > 2*m.Size {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "contents", Found: fmt.Sprintf("%d bytes", sum), Want: fmt.Sprintf("at most the image's %d", m.Size), Err: mtkport.ErrDamaged,
			Hint: "many files claim the same blocks; look at single files with system ls and system cat"}
	}
	if err := dir.Root.Mkdir(FilesName, 0o755); err != nil {
		return nil, err
	}
	root, err := dir.Root.OpenRoot(FilesName)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	x := &extraction{ctx: ctx, root: root, first: map[*tree.Node]int{}, task: mtkport.Begin(p, "extract", m.Tree.Bytes())}
	x.side = sideFile{Version: sideVersion, Format: m.Format, Layout: m.Layout, Links: "made"}
	err = x.run(m.Tree)
	x.task.Done(err)
	if err != nil {
		return nil, err
	}
	f, err := dir.Root.OpenFile(SideName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &x.rep, errors.Join(x.side.write(f), f.Close())
}

func (x *extraction) run(t *tree.Tree) error {
	if err := x.plan(t); err != nil {
		return err
	}
	if err := x.files(); err != nil {
		return err
	}
	return x.makeLinks()
}

// plan makes the directories and lists everything else.
func (x *extraction) plan(t *tree.Tree) error {
	names := map[string]string{".": "."} // path in the image → on disk
	return t.Walk(func(p string, n *tree.Node) error {
		on := names[p]
		e := entryOf(p, n)
		if on != p {
			e.Disk = on
		}
		at := len(x.side.Entries)
		if old, ok := x.first[n]; ok && !n.IsDir() {
			e.Same = x.side.Entries[old].Path
			x.links, x.rep.HardLinks = append(x.links, link{at, old}), x.rep.HardLinks+1
		} else {
			x.first[n] = at
			if err := x.place(p, on, n, at); err != nil {
				return err
			}
		}
		delete(names, p)
		if n.IsDir() {
			children := n.Names()
			for name, d := range diskNames(children) {
				names[path.Join(p, name)] = path.Join(on, d)
			}
		}
		x.side.Entries = append(x.side.Entries, e)
		return x.ctx.Err()
	})
}

// place makes a directory, or notes what is to be done.
func (x *extraction) place(p, on string, n *tree.Node, at int) error {
	switch n.Type() {
	case tree.Dir:
		x.rep.Dirs++
		if p == "." {
			return nil
		}
		return x.root.Mkdir(on, 0o755)
	case tree.Regular:
		x.jobs = append(x.jobs, job{path.Dir(on), path.Base(on), n, at})
	case tree.Symlink:
		x.links, x.rep.Links = append(x.links, link{at, at}), x.rep.Links+1
	default:
		x.rep.Specials++
	}
	return nil
}

// workers is how many goroutines write files.
const workers = 2

// files writes the contents.
func (x *extraction) files() error {
	next := make(chan job)
	errs := make([]error, workers)
	ctx, stop := context.WithCancel(x.ctx)
	defer stop()
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			w := fileWriter{x: x, buf: make([]byte, 1<<18)}
			defer w.close()
			for j := range next {
				if errs[i] = w.write(j); errs[i] != nil {
					stop()
					return
				}
			}
		})
	}
feed:
	for _, j := range x.jobs {
		select {
		case next <- j:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return errors.Join(append(errs, x.ctx.Err())...)
}

// fileWriter writes files one after the other; it keeps the last directory open.
type fileWriter struct {
	x   *extraction
	dir *os.Root
	at  string
	buf []byte
}

func (w *fileWriter) close() {
	if w.dir != nil {
		w.dir.Close()
	}
}

func (w *fileWriter) open(dir string) error {
	if w.dir != nil && w.at == dir {
		return nil
	}
	w.close()
	var err error
	w.dir, err = w.x.root.OpenRoot(dir)
	w.at = dir
	return err
}

func (w *fileWriter) write(j job) error {
	if err := w.open(j.dir); err != nil {
		return err
	}
	perm := fs.FileMode(j.n.Mode&0o777 | 0o600)
	f, err := w.dir.OpenFile(j.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	n, lost, err := w.fill(f, j.n.Data)
	err = errors.Join(err, f.Close())
	switch {
	case err != nil:
		return err
	case lost != nil:
		w.x.lose(j, lost)
		return w.dir.Remove(j.name)
	}
	w.x.done(j, n)
	_ = w.dir.Chtimes(j.name, j.n.MTime, j.n.MTime) // for people; the side file has the truth
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
	out := &diskWriter{f: f, buf: w.buf}
	if err := tree.CopyPieces(w.x.ctx, out, ps, 1, w.x.task); err != nil {
		if out.err != nil || w.x.ctx.Err() != nil {
			return 0, nil, err
		}
		return 0, err, nil
	}
	if out.end < c.Size() { // it ends in a hole
		return out.n, nil, f.Truncate(c.Size())
	}
	return out.n, nil, nil
}

// diskWriter reads back what it has written while the processor still has it at
// hand, and tells faults of the disk from those of the image.
type diskWriter struct {
	f   *os.File
	buf []byte
	n   int64 // bytes written
	end int64 // of the file
	err error
}

// WriteAt implements io.WriterAt.
func (d *diskWriter) WriteAt(p []byte, off int64) (int, error) {
	for done := 0; done < len(p); {
		part := p[done:min(len(p), done+len(d.buf))]
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
	back := d.buf[:len(p)]
	if _, err := d.f.ReadAt(back, off); err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(p, back) {
		return fmt.Errorf("%s: read back at 0x%x, it is not what was written: the disk is not to be trusted", d.f.Name(), off)
	}
	return nil
}

// done counts a file.
func (x *extraction) done(j job, n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rep.Files++
	x.rep.Bytes += n
	if data := tree.DataRanges(j.n.Data); j.n.Size() > 0 && (len(data) != 1 || data[0].Len != j.n.Size()) {
		x.side.Entries[j.entry].Holes = true
		for _, r := range data {
			x.side.Entries[j.entry].Data = append(x.side.Entries[j.entry].Data, [2]int64{r.Off, r.Len})
		}
	}
}

// lose notes a file that the image has lost.
func (x *extraction) lose(j job, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := &x.side.Entries[j.entry]
	e.Lost = err.Error()
	x.rep.Lost = append(x.rep.Lost, mtkport.Finding{Code: "file-lost", Severity: mtkport.Risk, Subject: unescape(e.Path), Text: fmt.Sprintf("the contents do not read: %v", err)})
}

// makeLinks makes symlinks and hard links, last of all, so that no file was
// written through one. Where the disk has none, the side file alone has them.
func (x *extraction) makeLinks() error {
	for _, l := range x.links {
		if err := x.link(x.side.Entries[l.entry], x.side.Entries[l.first]); err != nil {
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
func (x *extraction) link(e, first entry) error {
	switch {
	case e.Same == "":
		return x.root.Symlink(unescape(e.Target), e.onDisk())
	case first.Type == "symlink":
		return x.root.Symlink(unescape(first.Target), e.onDisk())
	case first.Type != "file" || first.Lost != "":
		return nil
	}
	return x.root.Link(first.onDisk(), e.onDisk())
}

// onDisk is where the entry lies below "files".
func (e entry) onDisk() string {
	if e.Disk != "" {
		return e.Disk
	}
	return strings.TrimPrefix(e.Path, "/")
}
