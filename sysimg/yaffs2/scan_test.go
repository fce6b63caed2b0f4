package yaffs2

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
)

// used makes the log of a flash on which a few files were written, written over,
// cut and deleted at random.
func used(t *testing.T, r *rand.Rand) []byte {
	h := &history{t: t, seq: minSeq}
	for range 60 {
		obj := 257 + r.Uint32N(3)
		switch r.IntN(8) {
		case 0:
			hd := file644(1, string(rune('a'+obj%7)), r.IntN(20000))
			if r.IntN(3) == 0 {
				hd.shrink = true
			}
			h.head(obj, hd)
		case 1:
			h.seq = minSeq + r.Uint32N(5)
		default: // a run of pages, the last of which may be short
			chunk := 1 + r.Uint32N(8)
			for n := r.Uint32N(6); n > 0; n-- {
				size := 2048
				if n == 1 && r.IntN(2) == 0 {
					size = r.IntN(2049)
				}
				h.data(obj, chunk, string(treetest.Noise(size, r.Uint64())))
				chunk++
			}
		}
	}
	return h.b
}

// TestRunsAreAsPages replays logs as they are scanned, in runs of pages, and page
// by page: both must come to the same files.
func TestRunsAreAsPages(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 300 {
		img := used(t, r)
		runs, err := OpenLayout(bytes.NewReader(img), int64(len(img)), Default)
		if err != nil {
			t.Fatal(err)
		}
		pages := &FS{r: runs.r, size: runs.size, layout: Default, objects: map[uint32]*object{}}
		log, err := pages.scan()
		if err != nil {
			t.Fatal(err)
		}
		var single []entry
		for _, e := range log {
			for k := range e.n {
				one := entry{e.tags, e.page + k, 1}
				if one.chunk += k; k < e.n-1 {
					one.nbytes = 2048
				}
				single = append(single, one)
			}
		}
		if len(single) != len(img)/Default.unit() {
			t.Fatalf("log %d: %d pages, want %d", i, len(single), len(img)/Default.unit())
		}
		pages.replay(single)
		pages.build()
		treetest.Same(t, runs.Tree(), pages.Tree())
		parts(t, runs.Tree())
	}
}

// parts reads files in odd parts, and wants what reading them whole gives.
func parts(t *testing.T, tr *tree.Tree) {
	t.Helper()
	for p, n := range treetest.Flatten(tr) {
		whole := treetest.Contents(t, p, n)
		part := make([]byte, 777)
		for off := 0; off < len(whole); off += len(part) {
			k := min(len(part), len(whole)-off)
			if err := tree.ReadFull(n.Data, part[:k], int64(off)); err != nil || !bytes.Equal(part[:k], whole[off:off+k]) {
				t.Fatalf("%s at %d: %v, or other bytes than in the whole", p, off, err)
			}
		}
	}
}
