package yaffs2

import (
	"io"

	"mtkport"
)

// samples is how many pages a layout is judged by.
const samples = 128

// Detect finds the layout under which the pages of r make most sense. The error
// has class ErrFormat when there is none.
func Detect(r io.ReaderAt, size int64) (Layout, error) {
	var best Layout
	bestScore := 0
	for _, l := range candidates() {
		if s := score(r, size, &l); s > bestScore {
			best, bestScore = l, s
		}
	}
	if bestScore <= 0 {
		return Layout{}, &mtkport.Error{Off: 0, Field: "tags", Found: "none that make sense in any layout",
			Want: "pages of 512 to 16384 bytes with YAFFS2 tags in their spare bytes", Err: mtkport.ErrFormat}
	}
	return best, nil
}

// score judges a layout: a page whose tags call it a header and that is one
// counts most, a page whose tags cannot be is held against it. It sets l.ECC.
func score(r io.ReaderAt, size int64, l *Layout) int {
	unit := int64(l.unit())
	pages := size / unit
	if pages == 0 {
		return 0
	}
	step := max(1, pages/samples)
	buf := make([]byte, unit)
	page := make([]byte, headerSize)
	total, headers, coded := 0, 0, 0
	places := l.places(l.room())
	raw := make([]byte, len(places))
	for i := int64(0); i < pages; i += step {
		n := judge(r, i*unit, l, buf, page, places, raw)
		total += n
		if n > 1 {
			headers++
		}
		if n > 0 && len(raw) > tagSize && eccGood(raw[:tagSize], raw[tagSize:]) {
			coded++
		}
	}
	if total <= 0 || headers == 0 && !anyHeader(r, pages, l, buf, page, places, raw) {
		return 0
	}
	l.ECC = coded > 0
	if size%unit == 0 {
		total++
	}
	return total + coded
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

// judge says how much the page at off speaks for the layout: 4 for a header, 1
// for data, 0 for an erased page, -1 for tags that cannot be, -2 for a header
// that is none.
func judge(r io.ReaderAt, off int64, l *Layout, buf, page []byte, places []int, raw []byte) int {
	if _, err := r.ReadAt(buf, off); err != nil && err != io.EOF {
		return 0
	}
	for i, at := range places {
		raw[i] = buf[at]
	}
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
	l.gather(page, buf, 0)
	if _, ok := parseHeader(page); !ok {
		return -2
	}
	return 4
}

// anyHeader looks among the first pages for a header, for an image of few big
// files whose headers the samples missed.
func anyHeader(r io.ReaderAt, pages int64, l *Layout, buf, page []byte, places []int, raw []byte) bool {
	for i := range min(pages, 64*samples) {
		if judge(r, i*int64(l.unit()), l, buf, page, places, raw) > 1 {
			return true
		}
	}
	return false
}
