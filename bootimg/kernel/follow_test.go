package kernel

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever fronts it is shown, the search finds what it finds in the whole.
func TestSearchInFronts(t *testing.T) {
	m := board()
	m.kallsyms(16)
	whole := &search{}
	whole.see(m.data)
	if !whole.found || len(whole.list) == 0 {
		t.Fatal("no symbols in the whole")
	}
	rapid.Check(t, func(t *rapid.T) {
		s, f := &search{}, &follower{}
		f.do = s.see
		ends := rapid.SliceOf(rapid.IntRange(0, len(m.data))).Draw(t, "ends")
		slices.Sort(ends)
		for _, end := range ends {
			s.see(m.data[:end:end])
		}
		f.grow(m.data)
		f.wait()
		s.see(m.data)
		if s.banner != whole.banner || s.bannerSeen != whole.bannerSeen || s.table != whole.table || !slices.Equal(s.list, whole.list) {
			t.Fatalf("banner at %d, table %+v: want %d, %+v", s.banner, s.table, whole.banner, whole.table)
		}
	})
}

// A follower is shown rising fronts, one at a time, and wait waits for the last.
func TestFollower(t *testing.T) {
	data := make([]byte, 10*followStep+5)
	var lens []int
	f := follower{do: func(front []byte) { lens = append(lens, len(front)) }}
	for n := 0; n < len(data); n += followStep / 3 {
		f.grow(data[:n])
	}
	f.wait()
	if len(lens) < 7 || !slices.IsSorted(lens) || lens[0] < followStep {
		t.Errorf("fronts of %v bytes", lens)
	}
}

// Parts of a pass begin at words, and together they are the whole, in order.
func TestInParts(t *testing.T) {
	for _, n := range []int{0, 3, 4096, partSize, 2*partSize + 1, 7*partSize + 3} {
		type part struct{ from, to int }
		at := 0
		for _, p := range inParts(n, func(from, to int) []part { return []part{{from, to}} }) {
			if p.from != at || p.from%4 != 0 {
				t.Errorf("%d bytes: a part at %d, want %d", n, p.from, at)
			}
			at = p.to
		}
		if at != n {
			t.Errorf("%d bytes: the parts end at %d", n, at)
		}
	}
}
