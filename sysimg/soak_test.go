package sysimg

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"mtkport"
	"mtkport/sysimg/sparse"
	"mtkport/sysimg/tree"
)

// damage breaks an image in one of the ways in which images break: flipped
// bits, wild numbers, blocks of zeros or of other blocks, an early end.
func damage(b []byte, r *rand.Rand) []byte {
	b = bytes.Clone(b)
	area := len(b)
	if r.IntN(2) == 0 {
		area = min(area, 64<<10) // the head, where the structure is
	}
	for range 1 + r.IntN(8) {
		at := r.IntN(area)
		switch r.IntN(6) {
		case 0, 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] = byte(r.Uint32())
		case 3:
			for i := range min(4, len(b)-at) {
				b[at+i] = []byte{0, 0xFF, 0x7F, 0x80}[r.IntN(4)]
			}
		case 4:
			clear(b[at:min(len(b), at+512<<r.IntN(4))])
		case 5:
			from := r.IntN(len(b))
			copy(b[at:min(len(b), at+4096)], b[from:])
		}
	}
	if r.IntN(10) == 0 {
		b = b[:r.IntN(len(b))]
	}
	return b
}

// soaked is one undamaged image and how to open it.
type soaked struct {
	name string
	data []byte
	list int // where the transfer list begins: what is before it is the data; 0 when there is none
}

// open opens a damaged copy.
func (s soaked) open(b []byte) (*Image, error) {
	if s.list == 0 {
		return Open(bytes.NewReader(b), int64(len(b)))
	}
	at := min(s.list, len(b))
	d, err := sparse.OpenData(bytes.NewReader(b[:at]), int64(at), b[at:])
	if err != nil {
		return nil, err
	}
	return sparseImage(d)
}

// read opens and reads all that can be read.
func (s soaked) read(b []byte) {
	m, err := s.open(b)
	if err != nil {
		return
	}
	_, _ = m.Verify(context.Background(), nil)
	_ = m.Problems()
}

// soakImages are one small image of each container.
func soakImages(t testing.TB) []soaked {
	tr := sample(t)
	r := rand.New(rand.NewPCG(9, 9))
	for i := range 20 {
		b := make([]byte, r.IntN(9000))
		for k := range b {
			b[k] = byte(r.Uint32N(7))
		}
		if err := tr.Put("lib/more"+strconv.Itoa(i), &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes(b)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = tr.Remove("sock") // tar holds no sockets
	var out []soaked
	for _, to := range Formats() {
		name := filepath.Join(os.TempDir(), "mtkport-soak-"+to+strconv.Itoa(os.Getpid()))
		var b []byte
		err := mtkport.WriteFile(name, 0o644, func(w io.Writer) error {
			return Write(context.Background(), w.(Output), tr, Options{To: to, Smallest: true})
		})
		if err == nil {
			b, err = os.ReadFile(name)
		}
		if err = errors.Join(err, os.Remove(name)); err != nil {
			t.Fatal(err)
		}
		out = append(out, soaked{name: to, data: b})
		if to == "ext4" {
			out = append(out, soakData(t, b))
		}
	}
	out = append(out, soaked{name: "zip", data: soakZip(t, tr)})
	if b := soakFAT(t); b != nil {
		out = append(out, soaked{name: "fat", data: b})
	}
	return out
}

// soakData is an ext4 image as a system.new.dat with its transfer list behind it.
func soakData(t testing.TB, img []byte) soaked {
	t.Helper()
	e, list, err := sparse.EncodeData(context.Background(), bytes.NewReader(img), int64(len(img)), 4, sparse.Options{})
	var b bytes.Buffer
	if err == nil {
		err = e.Write(context.Background(), &b, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return soaked{"sdat", append(b.Bytes(), list...), b.Len()}
}

func soakZip(t testing.TB, tr *tree.Tree) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	err := tr.Walk(func(p string, n *tree.Node) error {
		if n.Type() != tree.Regular || n.Data == nil || n.Size() > 1<<20 || !utf8.ValidString(p) {
			return nil
		}
		w, err := z.Create("system/" + p)
		if err == nil {
			_, err = io.Copy(w, io.NewSectionReader(n.Data, 0, n.Size()))
		}
		return err
	})
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// soakFAT is a volume of mkfs.vfat and mcopy, nil without them.
func soakFAT(t testing.TB) []byte {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.vfat")
	if err != nil {
		mkfs = "/sbin/mkfs.vfat"
	}
	dir, err := os.MkdirTemp("", "mtkport-soak-fat-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	img, file := filepath.Join(dir, "vol"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789abcdef"), 2000), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{mkfs, "-F", "12", "-C", img, "256"}, {"mmd", "-i", img, "::DCIM", "::DCIM/100MEDIA"},
		{"mcopy", "-i", img, file, "::DCIM/a long name with blanks.jpg"}, {"mcopy", "-i", img, file, "::DCIM/100MEDIA/IMG.JPG"},
	} {
		if err := exec.Command(args[0], args[1:]...).Run(); err != nil {
			t.Logf("no FAT volume: %q: %v", args, err)
			return nil
		}
	}
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// soakNumber is a number from the environment, or def.
func soakNumber(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

// TestSoak opens and reads damaged images of every container, MTKPORT_SOAK of
// each (200 without), others with each MTKPORT_SOAK_SEED: no panic, none longer
// than five seconds, none that needs more than 256 MiB. Every hundredth is
// extracted, and nothing appears beside the folder. A long soak runs in pieces:
//
//	MTKPORT_SOAK=20000 MTKPORT_SOAK_SEED=3 go test -run 'Soak/^(ext4|sparse)$' ./sysimg
func TestSoak(t *testing.T) {
	n, seed := soakNumber("MTKPORT_SOAK", 200), soakNumber("MTKPORT_SOAK_SEED", 1)
	for _, s := range soakImages(t) {
		t.Run(s.name, func(t *testing.T) { s.soak(t, n, seed) })
	}
}

// soak reads n damaged copies on all processors.
func (s soaked) soak(t *testing.T, n, seed int) {
	var worst, most atomic.Int64
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && !t.Failed(); i = next.Add(1) {
				bad := damage(s.data, rand.New(rand.NewPCG(uint64(seed), uint64(i))))
				took := s.timed(bad)
				if took > 5*time.Second { // a busy machine is no hang
					took = min(took, s.timed(bad))
				}
				raise(&worst, int64(took))
				if i%50 == 1 {
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					raise(&most, int64(m.HeapSys-m.HeapReleased))
				}
				if took > 5*time.Second || most.Load() > 256<<20 {
					name := filepath.Join(os.TempDir(), "mtkport-soak-"+s.name+".img")
					_ = os.WriteFile(name, bad, 0o644)
					t.Errorf("image %d of seed %d took %v and %d bytes; it is kept as %s", i, seed, took, most.Load(), name)
				}
				if i%100 == 1 {
					s.extractDamaged(t, bad)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d images of %d bytes, seed %d: the slowest took %v, the heap grew to %d bytes", n, len(s.data), seed, time.Duration(worst.Load()), most.Load())
}

func raise(v *atomic.Int64, to int64) {
	for old := v.Load(); to > old && !v.CompareAndSwap(old, to); old = v.Load() {
	}
}

func (s soaked) timed(b []byte) time.Duration {
	start := time.Now()
	s.read(b)
	return time.Since(start)
}

// extractDamaged extracts what it can and looks beside the folder.
func (s soaked) extractDamaged(t *testing.T, b []byte) {
	t.Helper()
	m, err := s.open(b)
	if err != nil {
		return
	}
	parent := t.TempDir()
	dir, err := mtkport.CreateDir(filepath.Join(parent, "out"))
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = Extract(context.Background(), m, dir, nil)
	dir.Abort()
	left, err := os.ReadDir(parent)
	if err != nil || len(left) > 0 {
		t.Errorf("beside the folder: %v %v", left, err)
	}
	_ = os.Remove(parent)
}

// FuzzOpen opens a damaged image of any container; the first byte chooses it,
// the rest are edits of five bytes, offset and value.
func FuzzOpen(f *testing.F) {
	list := soakImages(f)
	for i := range list {
		f.Add([]byte{byte(i), 1, 4, 0, 0, 9})
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		s := list[int(in[0])%len(list)]
		b := bytes.Clone(s.data)
		for in = in[1:]; len(in) >= 5; in = in[5:] {
			at := int(in[0]) | int(in[1])<<8 | int(in[2])<<16 | int(in[3])<<24
			b[at%len(b)] = in[4]
		}
		s.read(b)
	})
}

// FuzzSideFile reads a folder's side file.
func FuzzSideFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"format":"ext4","layout":{},"links":"made","entries":[{"path":".","type":"dir","mode":"0755","mtime":"2014-05-13T16:53:20Z"},{"path":"a","type":"file","mode":"0644","mtime":"2014-05-13T16:53:20Z"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readSide(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := s.write(&out); err != nil {
			t.Fatal(err)
		}
		again, err := readSide(&out)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Entries) != len(s.Entries) {
			t.Errorf("%d entries, want %d", len(again.Entries), len(s.Entries))
		}
		for i := range s.Entries {
			_, e1 := s.Entries[i].node()
			_, e2 := again.Entries[i].node()
			if (e1 == nil) != (e2 == nil) {
				t.Errorf("entry %d: %v, then %v", i, e1, e2)
			}
		}
	})
}
