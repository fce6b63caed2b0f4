package ext4

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"

	"mtkport/sysimg/tree"
)

// memory is an image in memory.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

// image writes a tree in memory.
func image(t testing.TB, tr *tree.Tree, l Layout) []byte {
	t.Helper()
	p, err := Lay(tr, l)
	if err != nil {
		t.Fatal(err)
	}
	m := make(memory, p.Size())
	if err := p.Write(context.Background(), m, nil); err != nil {
		t.Fatal(err)
	}
	return m
}

// tiny is a small image with a file of several extents, a deep one, links,
// attributes in the inode and in a block.
func tiny(t testing.TB) []byte {
	tr := tree.New()
	put := func(p string, n *tree.Node) {
		if err := tr.Put(p, n); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(5, 5))
	put("d", tree.NewDir(0o755))
	put("d/holes", &tree.Node{Mode: tree.Regular | 0o644, Data: holes(r, 9)})
	put("d/f", &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte("hello")), Xattrs: map[string][]byte{"security.selinux": []byte("u:object_r:x:s0\x00"), "user.big": make([]byte, 300)}})
	f, _ := tr.Lookup("d/f")
	put("hard", f)
	put("short", &tree.Node{Mode: tree.Symlink | 0o777, Target: "d/f"})
	put("long", &tree.Node{Mode: tree.Symlink | 0o777, Target: string(bytes.Repeat([]byte("x"), 100))})
	put("dev", &tree.Node{Mode: tree.BlockDev | 0o600, Major: 8, Minor: 1})
	l := Android(384<<10, "t")
	l.BlockSize, l.InodesPerGroup, l.ReservedGDT = 1024, 32, 4
	return image(t, tr, l)
}

// read reads everything that a tree has, and returns how much.
func read(tr *tree.Tree) (sum int64, lost int) {
	buf := make([]byte, 1<<16)
	_ = tr.Walk(func(_ string, n *tree.Node) error {
		if n.Data == nil {
			return nil
		}
		for _, r := range tree.DataRanges(n.Data) {
			for off := r.Off; off < r.Off+r.Len; off += int64(len(buf)) {
				if err := tree.ReadFull(n.Data, buf[:min(int64(len(buf)), r.Off+r.Len-off)], off); err != nil {
					lost++
					return nil
				}
			}
			sum += r.Len
		}
		return nil
	})
	return sum, lost
}

// FuzzOpen opens a small image with changed bytes: each five bytes of the input
// are an offset and a value. What reads is written again and must read the same.
func FuzzOpen(f *testing.F) {
	base := tiny(f)
	f.Add([]byte{})
	f.Add([]byte{0x20, 4, 0, 0, 1, 0x58, 4, 0, 0, 0xFF})
	f.Add([]byte{0x60, 4, 0, 0, 0x46}) // needs_recovery
	f.Fuzz(func(t *testing.T, edits []byte) {
		b := bytes.Clone(base)
		for ; len(edits) >= 5; edits = edits[5:] {
			b[int(binary.LittleEndian.Uint32(edits))%len(b)] = edits[4]
		}
		img, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		_, lost := read(img.Tree())
		_, _ = img.Check()
		_, _ = img.Free()
		long := false
		_ = img.Tree().Walk(func(_ string, n *tree.Node) error { long = long || n.Size() > 4<<20; return nil })
		if lost > 0 || long {
			return
		}
		p, err := Lay(img.Tree(), Android(0, ""))
		if err != nil {
			return // a link without target, a name twice: not to be written
		}
		back, err := Open(p, p.Size())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diff(img.Tree(), back.Tree()) {
			t.Error(d)
		}
	})
}

// FuzzJournal replays logs made of random blocks.
func FuzzJournal(f *testing.F) {
	base := image(f, tree.New(), func() Layout {
		l := AndroidJournal(8<<20, "j")
		l.BlockSize, l.InodesPerGroup, l.ReservedGDT = 1024, 32, 4
		return l
	}())
	at := bytes.Index(base, []byte{0xC0, 0x3B, 0x39, 0x98})
	if at < 0 {
		f.Fatal("no journal in the image")
	}
	f.Add(uint32(1), []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 8})
	f.Fuzz(func(t *testing.T, start uint32, log []byte) {
		b := bytes.Clone(base)
		b[superOffset+0x60] |= incompatRecover
		binary.BigEndian.PutUint32(b[at+0x1C:], start)
		for i := 0; i < len(log) && i < 64<<10; i++ {
			b[at+1024+i] = log[i]
		}
		for i := 0; i < 64; i += 2 { // every other block begins as a log block does
			copy(b[at+1024*(i+1):], []byte{0xC0, 0x3B, 0x39, 0x98})
		}
		if img, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
			read(img.Tree())
		}
	})
}

// TestTinyIsSound keeps the seed of the fuzzers honest.
func TestTinyIsSound(t *testing.T) {
	name := t.TempDir() + "/tiny.img"
	b := tiny(t)
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	fsck(t, name)
	img := openImage(t, name)
	sound(t, img)
	again := image(t, img.Tree(), img.Layout())
	for i := range b {
		if b[i] != again[i] {
			t.Fatalf("written again from what was read, it is another image from 0x%x on", i)
		}
	}
}
