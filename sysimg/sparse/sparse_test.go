package sparse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"

	"pgregory.net/rapid"
)

// picture draws an image of runs of zeros, patterns and noise.
func picture(t *rapid.T) []byte {
	var b []byte
	for range rapid.IntRange(0, 8).Draw(t, "runs") {
		n := rapid.IntRange(1, 5).Draw(t, "blocks") * 4096
		part := make([]byte, n)
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 1:
			pattern(rapid.Uint32().Draw(t, "word")).fill(part, 0)
		case 2:
			rand.NewChaCha8([32]byte{byte(n)}).Read(part)
		}
		b = append(b, part...)
	}
	return append(b, make([]byte, rapid.IntRange(0, 4095).Draw(t, "tail"))...)
}

func padded(b []byte) []byte { return append(bytes.Clone(b), make([]byte, (4096-len(b)%4096)%4096)...) }

func expand(t interface{ Fatal(...any) }, m *Image) []byte {
	b := make([]byte, m.Size())
	if err := tree.ReadFull(m, b, 0); err != nil && len(b) > 0 {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := picture(t)
		var out bytes.Buffer
		if err := Write(context.Background(), &out, bytes.NewReader(src), int64(len(src)), Options{CRC: rapid.Bool().Draw(t, "crc")}); err != nil {
			t.Fatal(err)
		}
		m, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(context.Background()); err != nil {
			t.Fatal(err)
		}
		want := padded(src)
		if got := expand(t, m); !bytes.Equal(got, want) {
			t.Fatal("expanded image differs")
		}
		off := rapid.IntRange(0, len(want)).Draw(t, "off")
		n := rapid.IntRange(0, len(want)-off).Draw(t, "n")
		part := make([]byte, n)
		if err := tree.ReadFull(m, part, int64(off)); n > 0 && (err != nil || !bytes.Equal(part, want[off:off+n])) {
			t.Fatalf("read of %d at %d differs: %v", n, off, err)
		}
	})
}

func TestSplitJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := picture(t)
		limit := int64(rapid.IntRange(4160, 30000).Draw(t, "limit"))
		files, err := Split(context.Background(), bytes.NewReader(src), int64(len(src)), limit, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var parts []*Image
		for _, e := range files {
			var out bytes.Buffer
			if err := e.Write(context.Background(), &out, nil); err != nil {
				t.Fatal(err)
			}
			if int64(out.Len()) != e.Size() || e.Size() > limit {
				t.Fatalf("a part of %d bytes, said %d, limit %d", out.Len(), e.Size(), limit)
			}
			m, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, m)
		}
		m, err := Join(parts)
		if err != nil {
			t.Fatal(err)
		}
		if got := expand(t, m); !bytes.Equal(got, padded(src)) {
			t.Fatal("joined image differs")
		}
	})
}

func TestData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := picture(t)
		version := rapid.IntRange(1, 4).Draw(t, "version")
		e, list, err := EncodeData(context.Background(), bytes.NewReader(src), int64(len(src)), version, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := e.Write(context.Background(), &out, nil); err != nil {
			t.Fatal(err)
		}
		m, err := OpenData(bytes.NewReader(out.Bytes()), int64(out.Len()), list)
		if err != nil {
			t.Fatalf("%v in\n%s", err, list)
		}
		if !bytes.Equal(expand(t, m), padded(src)) {
			t.Fatal("the data reads otherwise")
		}
	})
}

func TestDataRefused(t *testing.T) {
	data := bytes.NewReader(make([]byte, 8192))
	for list, want := range map[string]error{
		"":                                 mtkport.ErrFormat,
		"5\n1\n":                           mtkport.ErrFormat,
		"1\n2\nnew 2,0,3\n":                mtkport.ErrDamaged,
		"1\n2\nnew 2,5,4\n":                mtkport.ErrDamaged,
		"1\n2\nnew 4,0,1\n":                mtkport.ErrDamaged,
		"1\n2\nnew 4,0,1,0,1\n":            mtkport.ErrDamaged,
		"1\n2\nfrob 2,0,1\n":               mtkport.ErrDamaged,
		"2\n2\n0\n0\nmove 2,0,1 1 2,1,2\n": mtkport.ErrUnsupported,
	} {
		if _, err := OpenData(data, 8192, []byte(list)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", list, err, want)
		}
	}
}

func TestFreeBecomesDontCare(t *testing.T) {
	src := bytes.Repeat([]byte("noise..."), 4*512)
	opt := Options{Free: []tree.Range{{Off: 4096, Len: 8192}}, CRC: true}
	var out bytes.Buffer
	if err := Write(context.Background(), &out, bytes.NewReader(src), int64(len(src)), opt); err != nil {
		t.Fatal(err)
	}
	m, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if f := m.Free(); len(f) != 1 || f[0] != opt.Free[0] {
		t.Errorf("free %v, want %v", f, opt.Free)
	}
	if err := m.Verify(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestDamage(t *testing.T) {
	src := append(make([]byte, 8192), bytes.Repeat([]byte("0123456789abcde\n"), 512)...)
	var out bytes.Buffer
	if err := Write(context.Background(), &out, bytes.NewReader(src), int64(len(src)), Options{CRC: true}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		want error
	}{
		"magic":     {func(b []byte) []byte { b[0] = 0; return b }, mtkport.ErrFormat},
		"short":     {func(b []byte) []byte { return b[:20] }, mtkport.ErrFormat},
		"version":   {func(b []byte) []byte { b[4] = 2; return b }, mtkport.ErrUnsupported},
		"truncated": {func(b []byte) []byte { return b[:len(b)-1] }, mtkport.ErrDamaged},
		"blocks":    {func(b []byte) []byte { b[16]++; return b }, mtkport.ErrDamaged},
		"huge":      {func(b []byte) []byte { copy(b[16:], "\xff\xff\xff\xff"); return b }, mtkport.ErrDamaged},
		"chunks":    {func(b []byte) []byte { b[20]++; return b }, mtkport.ErrDamaged},
		"type":      {func(b []byte) []byte { b[28] = 9; return b }, mtkport.ErrDamaged},
		"total":     {func(b []byte) []byte { b[36]++; return b }, mtkport.ErrDamaged},
		"data":      {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, mtkport.ErrDamaged},
	} {
		b := c.edit(bytes.Clone(out.Bytes()))
		m, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			err = m.Verify(context.Background())
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestLargerHeadersAndCRCChunk(t *testing.T) {
	h := rawHeader{Magic, 1, 0, 32, 16, 4096, 2, 2, 0}
	b := append(h.bytes(), 0, 0, 0, 0)
	b = append(append(b, rawChunk{fill, 0, 2, 20}.bytes()...), 0, 0, 0, 0, 'a', 'b', 'c', 'd')
	crc, _ := sum(context.Background(), nil, 8192, []chunkRun{{fill, 0, 2, 0x64636261}}, 4096)
	b = append(append(b, rawChunk{crc32Type, 0, 0, 20}.bytes()...), 0, 0, 0, 0, byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24))
	m, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(context.Background()); err != nil {
		t.Error(err)
	}
	if got := expand(t, m); !bytes.Equal(got, bytes.Repeat([]byte("abcd"), 2048)) {
		t.Error("fill reads wrong")
	}
}

// The second witness: simg2img reads what we write, we read what img2simg writes.
func TestPeers(t *testing.T) {
	for _, tool := range []string{"simg2img", "img2simg"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	dir := t.TempDir()
	src := make([]byte, 64*4096)
	rand.NewChaCha8([32]byte{1}).Read(src[:20*4096])
	pattern(0xdeadbeef).fill(src[30*4096:33*4096], 0)
	rand.NewChaCha8([32]byte{2}).Read(src[40*4096 : 50*4096])
	name := func(s string) string { return filepath.Join(dir, s) }
	if err := os.WriteFile(name("raw"), src, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name("ours"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(context.Background(), f, bytes.NewReader(src), int64(len(src)), Options{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"simg2img", name("ours"), name("back")}, {"img2simg", name("raw"), name("theirs")}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if back, _ := os.ReadFile(name("back")); !bytes.Equal(back, src) {
		t.Error("simg2img reads another image")
	}
	theirs, _ := os.ReadFile(name("theirs"))
	m, err := Open(bytes.NewReader(theirs), int64(len(theirs)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(expand(t, m), src) {
		t.Error("img2simg's file reads wrong")
	}
}

func FuzzOpen(f *testing.F) {
	src := append(make([]byte, 8192), bytes.Repeat([]byte("0123456789abcde\n"), 512)...)
	var out bytes.Buffer
	if err := Write(context.Background(), &out, bytes.NewReader(src), int64(len(src)), Options{}); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if m.Size() > 1<<22 || m.BlockSize()&(m.BlockSize()-1) != 0 || m.BlockSize() < 512 || m.BlockSize() > 16384 {
			_, _ = m.ReadAt(make([]byte, 4096), m.Size()/2)
			return
		}
		want := expand(t, m)
		var again bytes.Buffer
		if err := Write(context.Background(), &again, m, m.Size(), Options{BlockSize: m.BlockSize()}); err != nil {
			t.Fatal(err)
		}
		m2, err := Open(bytes.NewReader(again.Bytes()), int64(again.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(expand(t, m2), want) {
			t.Error("written again, it reads otherwise")
		}
	})
}

var _ io.ReaderAt = (*Image)(nil)
