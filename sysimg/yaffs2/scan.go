package yaffs2

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"

	"mtkport"
)

// entry is a part of the log: one header, or n pages of a file's data that lie
// one behind the other under rising numbers. All but the last are full. Images
// that were just built have one entry for the data of each file.
type entry struct {
	tags // of the first page; nbytes is that of the last
	page uint32
	n    uint32
}

func (e entry) before(o entry) int {
	if c := cmp.Compare(e.seq, o.seq); c != 0 {
		return c
	}
	return cmp.Compare(e.page, o.page)
}

// takes adds the page behind e to it, when it goes on with the same data.
func (e *entry) takes(t tags, page uint32, full uint32) bool {
	if e.chunk == 0 || e.nbytes != full || t.seq != e.seq || t.obj != e.obj || t.chunk != e.chunk+e.n || page != e.page+e.n {
		return false
	}
	e.n++
	e.nbytes = t.nbytes
	return true
}

// scanned is what one goroutine made of its share of the pages.
type scanned struct {
	log []entry
	bad int   // pages whose tags make no sense
	at  int64 // offset of the first of them
	err error
}

// scanSize is how much is read at a time: it stays in a processor's cache.
// share is the least that is worth a goroutine.
const (
	scanSize = 256 << 10
	share    = 4 << 20
)

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
	parts := make([]scanned, min(int64(runtime.GOMAXPROCS(0)), 1+f.size/share))
	var wg sync.WaitGroup
	for i := range parts {
		n := int64(len(parts))
		wg.Go(func() { parts[i].read(f, pages*int64(i)/n, pages*int64(i+1)/n) })
	}
	wg.Wait()
	return f.join(parts)
}

// join makes one log of the parts.
func (f *FS) join(parts []scanned) ([]entry, error) {
	log := parts[0].log
	bad, first := 0, int64(0)
	for i, p := range parts {
		if p.err != nil {
			return nil, p.err
		}
		if bad == 0 {
			first = p.at
		}
		bad += p.bad
		if i > 0 {
			log = append(log, p.log...)
		}
	}
	if bad > 0 {
		f.problem("yaffs2-bad-tags", first, "", "%d pages have tags that make no sense, the first at 0x%x", bad, first)
	}
	if !slices.IsSortedFunc(log, entry.before) {
		slices.SortFunc(log, entry.before)
	}
	return log, nil
}

// read takes in the pages from from to to.
func (s *scanned) read(f *FS, from, to int64) {
	unit := f.layout.unit()
	buf := make([]byte, max(1, scanSize/unit)*unit)
	g := f.layout.gatherer(tagSize)
	for p := from; p < to; {
		part := buf[:min(int64(len(buf)), (to-p)*int64(unit))]
		at := p * int64(unit)
		if n, err := f.r.ReadAt(part, at); n < len(part) {
			s.err = &mtkport.Error{Off: at, Field: "pages", Found: "no bytes", Err: orDamaged(err)}
			return
		}
		for ; len(part) > 0; part = part[unit:] {
			s.page(g.tags(part[:unit]), p, f.layout)
			p++
		}
	}
}

func (s *scanned) page(raw []byte, p int64, l Layout) {
	t, ok := parseTags(raw)
	if !ok {
		if !erased(raw) {
			if s.bad++; s.bad == 1 {
				s.at = p * int64(l.unit())
			}
		}
		return
	}
	t.nbytes = min(t.nbytes, uint32(l.Page))
	if k := len(s.log) - 1; k < 0 || !s.log[k].takes(t, uint32(p), uint32(l.Page)) {
		s.log = append(s.log, entry{t, uint32(p), 1})
	}
}

func orDamaged(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return mtkport.ErrDamaged
	}
	return err
}

// gatherer takes the tags out of pages with their spare bytes.
type gatherer struct {
	places   []int
	together bool // they lie side by side
	raw      []byte
}

func (l Layout) gatherer(n int) *gatherer {
	g := &gatherer{places: l.places(n), raw: make([]byte, n)}
	g.together = g.places[n-1] == g.places[0]+n-1
	return g
}

// tags returns the tags of the page in unit, good until the next call.
func (g *gatherer) tags(unit []byte) []byte {
	if g.together {
		return unit[g.places[0]:][:len(g.places)]
	}
	for i, at := range g.places {
		g.raw[i] = unit[at]
	}
	return g.raw
}
