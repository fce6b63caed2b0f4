package sysimg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Report counts what an extraction wrote.
type Report struct {
	Dirs, Files, Links, HardLinks, Specials int
	Bytes                                   int64             // of contents, holes left out; each byte was read back, through the system's cache
	Lost                                    []mtkport.Finding // files that could not be read whole
}

// extraction is one run of [Extract].
type extraction struct {
	ctx   context.Context
	root  *os.Root // DIR/files
	side  sideFile
	jobs  []job
	soft  []link // symlinks, and further names of them
	hard  []link // further names of the rest
	gone  []gone // files that the image has lost in part
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

// gone is a file that the image has lost, and why.
type gone struct {
	job
	err error
}

// link is a symlink or, with a first name, a hard link: indices of entries.
type link struct{ entry, first int }

// Extract writes the tree of m below dir: the files to "files", the rest to
// "sysimg.json", other UBI volumes to "volumes.ubi". Every byte written is read back and compared; what comes back
// is what the system holds: whether the disk holds it too is for the system to
// see to (nothing here waits for the disk).
// A file that the image has lost in part is left out, named in Report.Lost and
// marked in the side file. The caller commits or aborts dir.
func Extract(ctx context.Context, m *Image, dir *mtkport.Dir, p mtkport.Progress) (*Report, error) {
	sum := m.Tree.Bytes()
	if m.fs != nil && sum > 2*m.Size {
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
	x := &extraction{ctx: ctx, root: root, first: map[*tree.Node]int{}, task: mtkport.Begin(p, "extract", sum)}
	x.side = sideFile{Version: sideVersion, Format: m.Format, Layout: m.Layout, Links: "made"}
	err = x.run(m.Tree)
	x.task.Done(err)
	if err != nil {
		return nil, err
	}
	lost, err := saveVolumes(dir.Root, m.Layout)
	if err != nil {
		return nil, err
	}
	x.rep.Lost = append(x.rep.Lost, lost...)
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
	for _, j := range x.gone {
		if err := x.root.Remove(path.Join(j.dir, j.name)); err != nil {
			return err
		}
	}
	return x.makeLinks(x.hard)
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
			x.twin(n, link{at, old})
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
		x.soft, x.rep.Links = append(x.soft, link{at, at}), x.rep.Links+1
	default:
		x.rep.Specials++
	}
	return nil
}

// twin notes a further name.
func (x *extraction) twin(n *tree.Node, l link) {
	x.rep.HardLinks++
	if n.Type() == tree.Symlink {
		x.soft = append(x.soft, l)
	} else {
		x.hard = append(x.hard, l)
	}
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
	x.side.Entries[j.entry].Lost = err.Error()
	x.gone = append(x.gone, gone{j, err})
}

// reportLost lists the lost files in the tree's order, whoever met them first.
func (x *extraction) reportLost() {
	slices.SortFunc(x.gone, func(a, b gone) int { return a.entry - b.entry })
	for _, g := range x.gone {
		x.rep.Lost = append(x.rep.Lost, mtkport.Finding{Code: "file-lost", Severity: mtkport.Risk, Subject: unescape(x.side.Entries[g.entry].Path), Text: fmt.Sprintf("the contents do not read: %v", g.err)})
	}
}

// onDisk is where the entry lies below "files".
func (e entry) onDisk() string {
	if e.Disk != "" {
		return e.Disk
	}
	return strings.TrimPrefix(e.Path, "/")
}
