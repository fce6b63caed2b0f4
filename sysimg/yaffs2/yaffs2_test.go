package yaffs2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
)

// sample is a tree that YAFFS2 can hold: no long symlink targets, attributes
// that fit behind a header.
func sample(t testing.TB, files int) *tree.Tree {
	tr := treetest.Sample(t, files)
	tr.Root.Child("etc").Child("far").Target = "/" + strings.Repeat("x", 158)
	delete(tr.Root.Child("bin").Child("sh").Xattrs, "user.long")
	return tr
}

func write(t testing.TB, tr *tree.Tree, l Layout) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(context.Background(), &b, tr, l); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openBytes(t testing.TB, b []byte) *FS {
	t.Helper()
	fs, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestRoundTrip(t *testing.T) {
	tr := sample(t, 60)
	for _, l := range []Layout{
		Default, {Page: 2048, Spare: 64, Tags: TagsAt0, ECC: true}, {Page: 2048, Spare: 64, Tags: TagsAt1},
		{Page: 2048, Spare: 64, Tags: TagsInFDM}, {Page: 4096, Spare: 128, ECC: true}, {Page: 4096, Spare: 128, Tags: TagsInFDM},
		{Page: 4096, Spare: 224, Tags: TagsAt0, ECC: true}, {Page: 2048, Spare: 128, ECC: true},
		{Page: 1024, Spare: 32, ECC: true}, {Page: 8192, Spare: 256, ECC: true},
		MediaTek("system"), {Page: 4096, Spare: 128, Tags: TagsAt0, ECC: true, Partition: "data"},
		{Page: 2048, Spare: 64, Sector: 512, Tags: TagsInFDM}, {Page: 4096, Spare: 128, Sector: 512, Tags: TagsAt2, ECC: true},
	} {
		t.Run(fmt.Sprintf("%d+%d_%d_%s", l.Page, l.Spare, l.Sector, l.Tags), func(t *testing.T) {
			img := write(t, tr, l)
			if !bytes.Equal(img, write(t, tr, l)) {
				t.Error("two runs, two images")
			}
			fs := openBytes(t, img)
			if fs.Layout() != l {
				t.Errorf("layout %+v, want %+v", fs.Layout(), l)
			}
			if len(fs.Problems()) != 0 {
				t.Errorf("problems: %v", fs.Problems())
			}
			treetest.Same(t, fs.Tree(), tr)
			if !bytes.Equal(write(t, fs.Tree(), fs.Layout()), img) {
				t.Error("read and written again: other bytes")
			}
		})
	}
}

func TestPageBehindSectors(t *testing.T) {
	l := Layout{Page: 2048, Spare: 64, Sector: 512}
	seen := make([]bool, l.unit())
	for j := range l.Spare {
		if seen[l.spareAt(j)] {
			t.Fatalf("spare byte %d lies on another", j)
		}
		seen[l.spareAt(j)] = true
	}
	page := treetest.Noise(2048, 1)
	unit, back := make([]byte, l.unit()), make([]byte, 2048)
	l.scatter(unit, page)
	l.gather(back, unit, 0)
	if !bytes.Equal(back, page) {
		t.Error("a page does not come back")
	}
	l.gather(back[:700], unit, 300)
	if !bytes.Equal(back[:700], page[300:1000]) {
		t.Error("a part of a page does not come back")
	}
}

// history builds an image page by page.
type history struct {
	t   *testing.T
	b   []byte
	seq uint32
}

func (h *history) page(tg tags, fill func(p []byte)) {
	unit := bytes.Repeat([]byte{0xff}, Default.unit())
	fill(unit[:Default.Page])
	raw := make([]byte, tagSize)
	if tg.seq == 0 {
		tg.seq = h.seq
	}
	tg.put(raw)
	for i, at := range Default.places(tagSize) {
		unit[at] = raw[i]
	}
	h.b = append(h.b, unit...)
}

func (h *history) head(obj uint32, hd header) { h.headAt(tags{obj: obj, nbytes: 0xffff}, hd) }

func (h *history) headAt(tg tags, hd header) {
	h.page(tg, func(p []byte) {
		hd.put(p)
		le.PutUint32(p[0x1f8:], hd.shadows)
		if hd.shrink {
			p[0x1fc] = 1
		}
	})
}

func (h *history) data(obj, chunk uint32, text string) {
	h.page(tags{obj: obj, chunk: chunk, nbytes: uint32(len(text))}, func(p []byte) { copy(p, text) })
}

func file644(parent uint32, name string, size int) header {
	return header{typ: typeFile, parent: parent, name: name, mode: tree.Regular | 0o644, size: uint64(size)}
}

func dir755(parent uint32, name string) header {
	return header{typ: typeDir, parent: parent, name: name, mode: tree.Dir | 0o755}
}

// TestHistory goes through what a used NAND holds.
func TestHistory(t *testing.T) {
	full := strings.Repeat("a", 2048)
	for _, tc := range []struct {
		name string
		log  func(h *history)
		want map[string]string // path: contents
	}{
		{"rewritten page, later in the block", func(h *history) {
			h.head(257, file644(1, "f", 3))
			h.data(257, 1, "old")
			h.data(257, 1, "new")
		}, map[string]string{"f": "new"}},
		{"rewritten page, newer block lies before", func(h *history) {
			h.seq = 0x1005
			h.data(257, 1, "new")
			h.seq = 0x1001
			h.head(257, file644(1, "f", 3))
			h.data(257, 1, "old")
		}, map[string]string{"f": "new"}},
		{"data before the header", func(h *history) {
			h.data(257, 1, "abc")
			h.head(257, file644(1, "f", 3))
		}, map[string]string{"f": "abc"}},
		{"deleted", func(h *history) {
			h.head(257, file644(1, "f", 3))
			h.data(257, 1, "abc")
			h.head(258, file644(1, "g", 0))
			h.head(257, file644(unlinkedObj, "unlinked", 0))
		}, map[string]string{"g": ""}},
		{"renamed", func(h *history) {
			h.head(257, file644(1, "f", 3))
			h.data(257, 1, "abc")
			h.head(257, file644(1, "g", 3))
		}, map[string]string{"g": "abc"}},
		{"renamed over another", func(h *history) {
			h.head(257, file644(1, "f", 1))
			h.data(257, 1, "x")
			h.head(258, file644(1, "tmp", 1))
			h.data(258, 1, "y")
			hd := file644(1, "f", 1)
			hd.shadows = 257
			h.head(258, hd)
		}, map[string]string{"f": "y"}},
		{"shrunk and grown again: a hole between", func(h *history) {
			h.head(257, file644(1, "f", 4096))
			h.data(257, 1, full)
			h.data(257, 2, full)
			hd := file644(1, "f", 2048)
			hd.shrink = true
			h.head(257, hd)
			h.head(257, file644(1, "f", 4096))
		}, map[string]string{"f": full + strings.Repeat("\x00", 2048)}},
		{"grown after the last header", func(h *history) {
			h.head(257, file644(1, "f", 0))
			h.data(257, 1, "abc")
		}, map[string]string{"f": "abc"}},
		{"extra header tags", func(h *history) {
			h.headAt(tags{obj: 257 | typeDir<<28, chunk: extraFlag | 1}, dir755(1, "d"))
			h.headAt(tags{obj: 258 | typeFile<<28, chunk: extraFlag | 257, nbytes: 2}, file644(257, "f", 2))
			h.data(258, 1, "ok")
		}, map[string]string{"d": "", "d/f": "ok"}},
		{"first page under a wrong number", func(h *history) {
			h.head(257, file644(1, "f", 2050))
			h.data(257, 0x0fffff, full)
			h.data(257, 2, "zz")
		}, map[string]string{"f": full + "zz"}},
		{"a directory lost, and a header", func(h *history) {
			h.head(257, file644(300, "f", 1))
			h.data(257, 1, "x")
			h.data(258, 1, "y")
		}, map[string]string{"lost+found": "", "lost+found/f": "x", "lost+found/obj258": "y"}},
		{"directories inside each other", func(h *history) {
			h.head(257, dir755(258, "a"))
			h.head(258, dir755(257, "b"))
			h.head(259, file644(1, "f", 0))
		}, map[string]string{"f": ""}},
	} {
		h := &history{t: t, seq: minSeq}
		tc.log(h)
		fs := openBytes(t, h.b)
		got := map[string]string{}
		for p, n := range treetest.Flatten(fs.Tree()) {
			if p != "." {
				got[p] = string(treetest.Contents(t, p, n))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %d entries %.200v, want %.200v", tc.name, len(got), got, tc.want)
		}
	}
}

func TestDamage(t *testing.T) {
	tr := sample(t, 5)
	img := write(t, tr, Default)
	clear(img[3*Default.unit() : 5*Default.unit()])
	copy(img[7*Default.unit():], "zzzzzzzz")
	fs := openBytes(t, img[:len(img)-100])
	var codes []string
	for _, p := range fs.Problems() {
		codes = append(codes, p.Code)
	}
	for _, want := range []string{"yaffs2-cut", "yaffs2-bad-tags"} {
		if !slices.Contains(codes, want) {
			t.Errorf("problems %v, want %s", codes, want)
		}
	}
	if _, err := fs.Tree().Lookup("lib/lib0001.so"); err != nil {
		t.Error(err)
	}
	for name, b := range map[string][]byte{"empty": nil, "zeros": make([]byte, 1<<20), "erased": bytes.Repeat([]byte{0xff}, 1<<20), "noise": treetest.Noise(1<<20, 1)} {
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, mtkport.ErrFormat) {
			t.Errorf("%s: %v, want not of this format", name, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	long := tree.New()
	_ = long.Put("l", &tree.Node{Mode: tree.Symlink | 0o777, Target: strings.Repeat("t", 160)})
	fat := tree.New()
	_ = fat.Put("x", &tree.Node{Mode: tree.Regular, Xattrs: map[string][]byte{"user.a": make([]byte, 2000)}})
	big := tree.New()
	_ = big.Put("b", &tree.Node{Mode: tree.Regular, Data: tree.Section(nil, 0, 1<<33)})
	for name, tr := range map[string]*tree.Tree{"l: ": long, "x: ": fat, "b: ": big} {
		err := Write(context.Background(), &bytes.Buffer{}, tr, Default)
		if !errors.Is(err, mtkport.ErrRefused) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v, want refused", name, err)
		}
	}
	for _, l := range []Layout{{}, {Page: 2048, Spare: 16, ECC: true}, {Page: 2048, Spare: 64, Tags: 9}, {Page: 2048, Spare: 64, Sector: 500}, {Page: 2048, Spare: 64, Tags: TagsInFDM, ECC: true, Sector: -1}, {Page: 2048, Spare: 64, Tags: TagsAt0, Partition: "longer than it can be"}, {Page: 512, Spare: 16, Partition: "data"}} {
		if err := Write(context.Background(), &bytes.Buffer{}, tree.New(), l); !errors.Is(err, mtkport.ErrRefused) {
			t.Errorf("%+v: %v, want refused", l, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(ctx, &bytes.Buffer{}, tree.New(), Default); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	img := write(f, sample(f, 1), Default)
	f.Add(uint32(0), []byte{1}, uint32(2050), []byte{0xff})
	f.Add(uint32(2112+4), []byte{1, 1, 0, 0}, uint32(2112*3+2060), []byte{7})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, at2 uint32, patch2 []byte) {
		b := bytes.Clone(img)
		copy(b[int(at)%len(b):], patch)
		copy(b[int(at2)%len(b):], patch2)
		fs, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		start := time.Now()
		buf := make([]byte, 64<<10)
		_ = fs.Tree().Walk(func(_ string, n *tree.Node) error {
			if n.Data == nil {
				return nil
			}
			for _, r := range n.Data.(tree.Sparse).Data() {
				_, _ = n.Data.ReadAt(buf, r.Off)
			}
			return nil
		})
		if d := time.Since(start); d > 5*time.Second {
			t.Fatalf("reading took %v", d)
		}
	})
}
