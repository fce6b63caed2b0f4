// Package yaffs2 reads and writes YAFFS2 images: page after page with its spare
// bytes, as mkyaffs2image makes them and as they are read from NAND.
//
//	fs, err := yaffs2.Open(r, size)
//	t := fs.Tree()                        // lazily read contents
//	err = yaffs2.Write(ctx, out, t, fs.Layout())
//
// Nothing in an image says how long its pages are or where in the spare bytes
// the tags lie: [Open] tries the layouts that are in use and takes the one under
// which most pages make sense. It then reads the log as the driver does, newest
// page first: of several copies of a page the one with the highest sequence
// number counts, then the one further back; shrink headers, replaced and deleted
// objects are honoured; objects whose directory is lost come under lost+found.
//
// [Write] makes what mkyaffs2 makes: each object's header, then its data, in the
// order of paths, sequence number 0x1000. The same tree and layout give the same
// bytes. Extended attributes go behind the header, where drivers built with them
// look and others do not.
//
// Limits: little-endian images with tags in the spare bytes (not in-band);
// symlink targets up to 159 bytes; written files below 4 GiB; error-correcting
// codes of tags are written, and used to tell layouts apart, not to mend.
//
// Sources of the format: "How YAFFS Works" (Charles Manning) and the on-flash
// structures of the driver's headers.
package yaffs2

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"mtkport"
	"mtkport/sysimg/tree"
)

// FS is an opened file system.
type FS struct {
	r        io.ReaderAt
	size     int64
	layout   Layout
	objects  map[uint32]*object
	tree     *tree.Tree
	problems []mtkport.Finding
}

// Open reads the image r of size bytes. The error has class ErrFormat when it
// makes sense under no layout.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	l, err := Detect(r, size)
	if err != nil {
		return nil, err
	}
	return OpenLayout(r, size, l)
}

// OpenLayout is Open for a known layout.
func OpenLayout(r io.ReaderAt, size int64, l Layout) (*FS, error) {
	if what := l.valid(); what != "" {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "layout", Found: what, Err: mtkport.ErrRefused}
	}
	f := &FS{r: r, size: size, layout: l, objects: map[uint32]*object{}}
	log, err := f.scan()
	if err != nil {
		return nil, err
	}
	f.replay(log)
	f.build()
	f.objects = nil
	return f, nil
}

// Tree returns the files. Contents are read from the image when they are asked
// for.
func (f *FS) Tree() *tree.Tree { return f.tree }

// Layout returns the shape of the image, for writing another like it.
func (f *FS) Layout() Layout { return f.layout }

// Problems lists what is broken or lost.
func (f *FS) Problems() []mtkport.Finding { return f.problems }

const maxProblems = 10000

func (f *FS) problem(code string, off int64, path, format string, args ...any) {
	if len(f.problems) >= maxProblems {
		return
	}
	f.problems = append(f.problems, mtkport.Finding{
		Code: code, Severity: mtkport.Risk, Subject: path, Text: fmt.Sprintf(format, args...),
		Evidence: []mtkport.Evidence{{Off: mtkport.At(off), Value: code}},
	})
}

// entry is one page of the log.
type entry struct {
	tags
	page uint32
}

func (e entry) before(o entry) int {
	if c := cmp.Compare(e.seq, o.seq); c != 0 {
		return c
	}
	return cmp.Compare(e.page, o.page)
}

// object is what the log says of one object.
type object struct {
	header
	known  bool  // a header was seen; it was the newest
	dead   bool  // deleted, or replaced by another
	limit  int64 // data at and beyond it were cut off later than they were written
	length int64
	at     uint32 // page of the header
	pieces []piece
}

// piece is one page of a file's data.
type piece struct {
	chunk  uint32 // from 0
	page   uint32
	nbytes uint32
}

// scan reads the tags of all pages.
func (f *FS) scan() ([]entry, error) {
	unit := int64(f.layout.unit())
	pages := f.size / unit
	if pages > math.MaxUint32 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "image size", Found: fmt.Sprint(f.size), Want: "fewer pages", Err: mtkport.ErrUnsupported}
	}
	if rest := f.size % unit; rest != 0 {
		f.problem("yaffs2-cut", f.size-rest, "", "the image ends %d bytes into a page", rest)
	}
	per := max(1, (1<<20)/unit)
	buf := make([]byte, per*unit)
	places := f.layout.places(tagSize)
	raw := make([]byte, tagSize)
	var log []entry
	bad, firstBad := 0, int64(0)
	for p := int64(0); p < pages; p += per {
		part := buf[:min(per, pages-p)*unit]
		if n, err := f.r.ReadAt(part, p*unit); n < len(part) {
			return nil, &mtkport.Error{Off: p * unit, Field: "pages", Found: "no bytes", Err: orDamaged(err)}
		}
		for i := int64(0); i*unit < int64(len(part)); i++ {
			for k, at := range places {
				raw[k] = part[i*unit+int64(at)]
			}
			t, ok := parseTags(raw)
			if ok {
				log = append(log, entry{t, uint32(p + i)})
			} else if !erased(raw) {
				if bad++; bad == 1 {
					firstBad = (p + i) * unit
				}
			}
		}
	}
	if bad > 0 {
		f.problem("yaffs2-bad-tags", firstBad, "", "%d pages have tags that make no sense, the first at 0x%x", bad, firstBad)
	}
	if !slices.IsSortedFunc(log, entry.before) {
		slices.SortFunc(log, entry.before)
	}
	return log, nil
}

func orDamaged(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return mtkport.ErrDamaged
	}
	return err
}

// replay goes through the log from its newest page to its oldest, as the driver
// does at mount, so that what was seen first counts.
func (f *FS) replay(log []entry) {
	buf := make([]byte, f.layout.unit())
	page := make([]byte, f.layout.Page)
	for i := len(log) - 1; i >= 0; i-- {
		e := log[i]
		o := f.object(e.obj)
		if e.isHeader() {
			f.header(o, e, buf, page)
			continue
		}
		base := int64(e.chunk-1) * int64(f.layout.Page)
		n := min(int64(e.nbytes), int64(f.layout.Page))
		if base >= o.limit || o.dead {
			continue
		}
		o.pieces = append(o.pieces, piece{e.chunk - 1, e.page, uint32(n)})
		if !o.known {
			o.length = max(o.length, base+n)
		}
	}
	for _, o := range f.objects {
		o.settle()
	}
}

func (f *FS) object(id uint32) *object {
	o := f.objects[id]
	if o == nil {
		o = &object{limit: math.MaxInt64}
		f.objects[id] = o
	}
	return o
}

// header takes the header page e of o into account: the newest for all it says,
// older ones only for what they cut off.
func (f *FS) header(o *object, e entry, buf, page []byte) {
	off := int64(e.page) * int64(len(buf))
	if _, err := f.r.ReadAt(buf, off); err != nil && err != io.EOF {
		f.problem("yaffs2-bad-header", off, "", "object %d: %v", e.obj, err)
		return
	}
	f.layout.gather(page, buf, 0)
	h, ok := parseHeader(page)
	if !ok {
		f.problem("yaffs2-bad-header", off, "", "the header of object %d is broken", e.obj)
		return
	}
	gone := h.parent == unlinkedObj || h.parent == deletedObj
	if h.shrink || e.shrink || gone {
		cut := int64(h.size)
		if gone {
			cut = 0
		}
		o.limit = min(o.limit, cut)
	}
	if o.known {
		return
	}
	o.header, o.known, o.at = h, true, e.page
	o.dead = o.dead || gone
	o.length = max(o.length, int64(h.size))
	if h.shadows > 0 && h.shadows <= maxObj && h.shadows != e.obj {
		if old := f.object(h.shadows); !old.known {
			old.known, old.dead, old.limit = true, true, 0
		}
	}
}

// settle leaves one piece for each page of data, in order: the one that was met
// first, which is the newest.
func (o *object) settle() {
	slices.SortStableFunc(o.pieces, func(a, b piece) int { return cmp.Compare(a.chunk, b.chunk) })
	o.pieces = slices.Clip(slices.CompactFunc(o.pieces, func(a, b piece) bool { return a.chunk == b.chunk }))
	o.mendFirst()
}

// mendFirst puts right what some vendors' builders write: the first page of data,
// right behind the header, under a number far beyond the file.
func (o *object) mendFirst() {
	n := len(o.pieces) - 1
	if n < 0 || o.size == 0 || o.pieces[0].chunk == 0 && n > 0 {
		return
	}
	odd := o.pieces[n]
	if odd.page != o.at+1 || int64(odd.chunk) < int64(o.size) {
		return
	}
	odd.chunk = 0
	o.pieces = slices.Insert(o.pieces[:n], 0, odd)
	o.length = int64(o.size)
}
