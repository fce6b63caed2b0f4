package yaffs2

import (
	"cmp"
	"io"
	"slices"

	"mtkport"
)

// A layout is judged by the pages in a few windows spread over the image, each
// of which holds at least three pages of the largest kind.
const (
	windows    = 16
	windowSize = 64 << 10
)

// window is a part of the image, read once for all layouts.
type window struct {
	off int64
	b   []byte
}

// Detect finds the layout under which the pages of r make most sense. The error
// has class ErrFormat when there is none.
func Detect(r io.ReaderAt, size int64) (Layout, error) {
	ws := readWindows(r, size)
	var found []verdict
	for _, l := range candidates() {
		if v := judge(ws, size, l); v.score > 0 {
			found = append(found, v)
		}
	}
	slices.SortStableFunc(found, func(a, b verdict) int { return cmp.Compare(b.score, a.score) })
	for _, v := range found {
		if v.headers > 0 || anyHeader(r, size, v.Layout) {
			return v.Layout, nil
		}
	}
	return Layout{}, &mtkport.Error{Off: 0, Field: "tags", Found: "none that make sense in any layout",
		Want: "pages of 512 to 16384 bytes with YAFFS2 tags in their spare bytes", Err: mtkport.ErrFormat}
}

// readWindows reads the windows; what cannot be read is left out.
func readWindows(r io.ReaderAt, size int64) []window {
	n := min(windows, max(1, size/windowSize))
	room := min(windowSize, max(0, size))
	if size < windows*windowSize {
		n, room = 1, max(0, size)
	}
	var out []window
	for i := range n {
		w := window{off: i * (size - room) / max(1, n-1), b: make([]byte, room)}
		got, _ := r.ReadAt(w.b, w.off)
		w.b = w.b[:got]
		out = append(out, w)
	}
	return out
}

// verdict is what the windows say of a layout.
type verdict struct {
	Layout
	score, headers int
}

// judge adds up the pages in the windows: a page whose tags call it a header and
// that is one counts most, a page whose tags cannot be is held against the
// layout. It sets ECC and partition of the layout.
func judge(ws []window, size int64, l Layout) verdict {
	v := verdict{Layout: l}
	unit := int64(l.unit())
	g := l.gatherer(l.room())
	page := make([]byte, headerSize)
	coded := 0
	for _, w := range ws {
		for off := (w.off + unit - 1) / unit * unit; off+unit <= w.off+int64(len(w.b)); off += unit {
			u := w.b[off-w.off:][:unit]
			raw := g.tags(u)
			n := v.page(u, raw, page)
			v.score += n
			if n > 1 {
				if v.headers++; v.headers == 1 && l.Sector == 0 {
					v.Partition = partition(u[l.Page:])
				}
			}
			if n > 0 && len(raw) > tagSize && eccGood(raw[:tagSize], raw[tagSize:]) {
				coded++
			}
		}
	}
	if v.score <= 0 {
		return v
	}
	v.ECC = coded > 0
	if size%unit == 0 {
		v.score++
	}
	v.score += coded
	return v
}

// room is how many bytes of tags the placement has room for: with their code or
// without.
func (l Layout) room() int {
	const both = tagSize + eccSize
	if l.Tags.positions(both)[both-1] < l.Spare {
		return both
	}
	return tagSize
}

// page says how much the page unit, with the tags raw, speaks for the layout: 4
// for a header, 1 for data, 0 for an erased page, -1 for tags that cannot be, -2
// for a header that is none.
func (l Layout) page(unit, raw, page []byte) int {
	if erased(raw[:tagSize]) {
		return 0
	}
	t, ok := parseTags(raw)
	switch {
	case !ok:
		return -1
	case !t.isHeader():
		if int64(t.nbytes) > int64(l.Page) {
			return -1
		}
		return 1
	}
	l.gather(page, unit, 0)
	if _, ok := parseHeader(page); !ok {
		return -2
	}
	return 4
}

// maxLook is how many pages at the start are looked through for a header.
const maxLook = 8192

// anyHeader looks among the first pages for a header, for an image of few big
// files whose headers the windows missed.
func anyHeader(r io.ReaderAt, size int64, l Layout) bool {
	unit := int64(l.unit())
	g := l.gatherer(tagSize)
	page := make([]byte, headerSize)
	buf := make([]byte, readSize/unit*unit)
	for off := int64(0); off < min(size, maxLook*unit); off += int64(len(buf)) {
		n, _ := r.ReadAt(buf, off)
		for part := buf[:n]; len(part) >= int(unit); part = part[unit:] {
			if l.page(part[:unit], g.tags(part[:unit]), page) > 1 {
				return true
			}
		}
	}
	return false
}
