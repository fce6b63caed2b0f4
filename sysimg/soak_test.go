package sysimg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"mtkport"
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

// readDamaged opens and reads all that can be read.
func readDamaged(b []byte) {
	m, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	_, _ = m.Verify(context.Background(), nil)
	_ = m.Problems()
}

// soakImages are one small image of each container.
func soakImages(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	tr := sample(t)
	r := rand.New(rand.NewPCG(9, 9))
	for i := range 20 {
		b := make([]byte, r.IntN(30000))
		for k := range b {
			b[k] = byte(r.Uint32N(7))
		}
		if err := tr.Put("lib/more"+strconv.Itoa(i), &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes(b)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = tr.Remove("sock") // tar holds no sockets
	for _, to := range Formats() {
		name := filepath.Join(os.TempDir(), "mtkport-soak-"+to+strconv.Itoa(os.Getpid()))
		err := mtkport.WriteFile(name, 0o644, func(w io.Writer) error {
			return Write(context.Background(), w.(Output), tr, Options{To: to, Smallest: true})
		})
		if err == nil {
			out[to], err = os.ReadFile(name)
		}
		if err = errors.Join(err, os.Remove(name)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestSoak opens and reads damaged images of every container, MTKPORT_SOAK of
// each (200 without): no panic, none longer than five seconds, none that needs
// more than 256 MiB. Every hundredth is extracted, and nothing appears beside
// the folder.
func TestSoak(t *testing.T) {
	n := 200
	if s := os.Getenv("MTKPORT_SOAK"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	for name, b := range soakImages(t) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(n), uint64(len(name))))
			var worst time.Duration
			var most uint64
			for i := range n {
				bad := damage(b, r)
				took := timed(bad)
				if took > 5*time.Second { // a busy machine is no hang
					took = min(took, timed(bad))
				}
				worst = max(worst, took)
				if i%50 == 0 {
					var s runtime.MemStats
					runtime.ReadMemStats(&s)
					most = max(most, s.HeapSys-s.HeapReleased)
				}
				if took > 5*time.Second || most > 256<<20 {
					name := filepath.Join(os.TempDir(), "mtkport-soak-"+name+".img")
					_ = os.WriteFile(name, bad, 0o644)
					t.Fatalf("image %d took %v and %d bytes; it is kept as %s", i, took, most, name)
				}
				if i%100 == 0 {
					extractDamaged(t, bad)
				}
			}
			t.Logf("%d images of %d bytes: the slowest took %v, the heap grew to %d bytes", n, len(b), worst, most)
		})
	}
}

func timed(b []byte) time.Duration {
	start := time.Now()
	readDamaged(b)
	return time.Since(start)
}

// extractDamaged extracts what it can and looks beside the folder.
func extractDamaged(t *testing.T, b []byte) {
	t.Helper()
	m, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	parent := t.TempDir()
	dir, err := mtkport.CreateDir(filepath.Join(parent, "out"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = Extract(context.Background(), m, dir, nil)
	dir.Abort()
	left, err := os.ReadDir(parent)
	if err != nil || len(left) > 0 {
		t.Errorf("beside the folder: %v %v", left, err)
	}
}

// FuzzOpen opens a damaged image of any container; the first byte chooses it,
// the rest are edits of five bytes, offset and value.
func FuzzOpen(f *testing.F) {
	images := soakImages(f)
	var list [][]byte
	for _, name := range Formats() {
		list = append(list, images[name])
	}
	for i := range list {
		f.Add([]byte{byte(i), 1, 4, 0, 0, 9})
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		b := bytes.Clone(list[int(in[0])%len(list)])
		for in = in[1:]; len(in) >= 5; in = in[5:] {
			at := int(in[0]) | int(in[1])<<8 | int(in[2])<<16 | int(in[3])<<24
			b[at%len(b)] = in[4]
		}
		readDamaged(b)
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
