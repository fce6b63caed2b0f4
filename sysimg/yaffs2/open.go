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
// MediaTek phones see three forms of one file system. The build makes pages with
// the tags at the start of the spare bytes and marks behind them ([MediaTek]); SP
// Flash Tool and its agent take that apart. On the flash, and in what the tool
// reads back, 16 spare bytes follow each sector of 512: a bad-block mark, seven
// bytes of tags, the sector's code. There the tags' own code is cut short, as it
// has no room, and the last three of its bytes are something else; it is not read.
//
// Sources of the format: "How YAFFS Works" (Charles Manning), the on-flash
// structures of the driver's headers; for MediaTek's forms the mkyaffs2image and
// the NAND driver of public MT6572 and MT6589 trees, and a public hex dump of
// what SP Flash Tool read from a phone (the PYaffs project), pages of which the
// tests hold.
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

// piece is a run of n pages of a file's data, one behind the other in file and
// image. All but the last are full.
type piece struct {
	chunk  uint32 // of the first, from 0
	page   uint32
	n      uint32
	nbytes uint32 // of the last
}

// end is the number of the page of data behind p.
func (p piece) end() uint32 { return p.chunk + p.n }

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
		o.data(e, int64(f.layout.Page))
	}
	for _, o := range f.objects {
		o.settle(uint32(f.layout.Page))
	}
}

// data takes pages of data into account; what lies beyond the limit is gone.
func (o *object) data(e entry, page int64) {
	p := piece{e.chunk - 1, e.page, e.n, e.nbytes}
	room := o.limit / page // in pages
	if o.limit%page != 0 {
		room++
	}
	if int64(p.end()) > room {
		if int64(p.chunk) >= room {
			return
		}
		p.n, p.nbytes = uint32(room)-p.chunk, uint32(page)
	}
	if o.dead {
		return
	}
	o.pieces = append(o.pieces, p)
	if !o.known {
		o.length = max(o.length, int64(p.end()-1)*page+int64(p.nbytes))
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

// settle leaves each page of data once, in order: the one that was met first,
// which is the newest.
func (o *object) settle(full uint32) {
	sorted := slices.Clone(o.pieces)
	slices.SortStableFunc(sorted, byChunk)
	for i := 1; i < len(sorted); i++ {
		if sorted[i].chunk < sorted[i-1].end() {
			sorted = singles(o.pieces, full)
			break
		}
	}
	o.pieces = merged(sorted, full)
	o.mendFirst()
}

func byChunk(a, b piece) int { return cmp.Compare(a.chunk, b.chunk) }

// singles chooses page by page between pieces that overlap; a full page has full
// bytes.
func singles(ps []piece, full uint32) []piece {
	var out []piece
	for _, p := range ps {
		for i := range p.n {
			q := piece{p.chunk + i, p.page + i, 1, p.nbytes}
			if i < p.n-1 {
				q.nbytes = full
			}
			out = append(out, q)
		}
	}
	slices.SortStableFunc(out, byChunk)
	return slices.CompactFunc(out, func(a, b piece) bool { return a.chunk == b.chunk })
}

// merged joins pieces that lie one behind the other.
func merged(ps []piece, full uint32) []piece {
	out := ps[:0]
	for _, p := range ps {
		if k := len(out) - 1; k >= 0 && out[k].nbytes == full && out[k].end() == p.chunk && out[k].page+out[k].n == p.page {
			out[k].n += p.n
			out[k].nbytes = p.nbytes
			continue
		}
		out = append(out, p)
	}
	return slices.Clip(out)
}

// mendFirst puts right what some vendors' builders write: the first page of data,
// right behind the header, under a number far beyond the file.
func (o *object) mendFirst() {
	n := len(o.pieces) - 1
	if n < 0 || o.size == 0 || o.pieces[0].chunk == 0 && n > 0 {
		return
	}
	odd := o.pieces[n]
	if odd.page != o.at+1 || odd.n != 1 || int64(odd.chunk) < int64(o.size) {
		return
	}
	odd.chunk = 0
	o.pieces = slices.Insert(o.pieces[:n], 0, odd)
	o.length = int64(o.size)
}
