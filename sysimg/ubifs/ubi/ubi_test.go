package ubi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"mtkport"
)

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(m.b) {
		m.b = append(m.b, make([]byte, end-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

var geo2k = Geometry{PEBSize: 128 << 10, VIDOffset: 2048, DataOffset: 4096, ImageSeq: 1234}

func noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func build(t testing.TB, g Geometry, vols []VolumeSpec, data ...[]byte) []byte {
	t.Helper()
	var m memory
	u, err := NewWriter(&m, g, vols)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range data {
		if err := u.Copy(i, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if int64(len(m.b)) != u.Size() {
		t.Fatalf("%d bytes written, want %d", len(m.b), u.Size())
	}
	return m.b
}

func twoVolumes(t testing.TB) (img, a, b []byte) {
	a, b = noise(5*126976, 1), noise(2*126976+777, 2)
	img = build(t, geo2k, []VolumeSpec{
		{ID: 0, Name: "system", LEBs: 9, DataLEBs: 5, Autoresize: true},
		{ID: 2, Name: "kernel", LEBs: 4, DataLEBs: 3, Static: true},
	}, a, b)
	return img, a, b
}

func check(t *testing.T, m *Image, a, b []byte) {
	t.Helper()
	vols := m.Volumes()
	if len(vols) != 2 || vols[0].Name != "system" || vols[1].Name != "kernel" || !vols[0].Autoresize || !vols[1].Static {
		t.Fatalf("volumes %+v", vols)
	}
	got := make([]byte, len(a))
	if _, err := vols[0].ReadAt(got, 0); err != nil || !bytes.Equal(got, a) {
		t.Errorf("system: %v, or other bytes", err)
	}
	if vols[0].LEBs != 9 || vols[0].Has(7) || vols[0].Size() != 9*126976 {
		t.Errorf("system has %d blocks, %d bytes", vols[0].LEBs, vols[0].Size())
	}
	all, err := io.ReadAll(io.NewSectionReader(vols[1], 0, vols[1].Size()))
	if err != nil || !bytes.Equal(all, b) {
		t.Errorf("kernel: %d bytes, %v, want %d", len(all), err, len(b))
	}
}

func TestRoundTrip(t *testing.T) {
	img, a, b := twoVolumes(t)
	m, err := Open(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	if m.Geometry() != geo2k || len(m.Problems()) != 0 {
		t.Errorf("geometry %+v, problems %v", m.Geometry(), m.Problems())
	}
	check(t, m, a, b)
}

func TestSpareBytes(t *testing.T) {
	img, a, b := twoVolumes(t)
	for _, s := range Spares()[:5] {
		var dump []byte
		for p := 0; p < len(img); p += s.Data {
			dump = append(dump, img[p:min(p+s.Data, len(img))]...)
			dump = append(dump, noise(s.Bytes, uint64(p))...)
		}
		m, err := Open(bytes.NewReader(dump), int64(len(dump)))
		if err != nil {
			t.Errorf("%+v: %v", s, err)
			continue
		}
		if m.Geometry().Spare != s {
			t.Errorf("spare %+v, want %+v", m.Geometry().Spare, s)
		}
		check(t, m, a, b)
	}
}

// TestNewerWins puts a second copy of a LEB into the image in each of the ways
// that a power cut leaves.
func TestNewerWins(t *testing.T) {
	img, a, b := twoVolumes(t)
	fresh := noise(126976, 9)
	for _, tc := range []struct {
		name string
		vid  vidHeader
		want []byte
	}{
		{"newer", vidHeader{volType: typeDynamic, lnum: 3, sqnum: 5}, fresh},
		{"good copy", vidHeader{volType: typeDynamic, lnum: 3, sqnum: 5, copied: true, dataSize: uint32(len(fresh)), dataCRC: CRC(fresh)}, fresh},
		{"bad copy", vidHeader{volType: typeDynamic, lnum: 3, sqnum: 5, copied: true, dataSize: uint32(len(fresh)), dataCRC: 1}, a[3*126976 : 4*126976]},
		{"impossible copy", vidHeader{volType: typeDynamic, lnum: 3, sqnum: 5, copied: true, dataSize: 1 << 31}, a[3*126976 : 4*126976]},
	} {
		peb := bytes.Clone(img[:geo2k.PEBSize])
		tc.vid.put(peb[geo2k.VIDOffset:])
		copy(peb[geo2k.DataOffset:], fresh)
		both := slices.Concat(img, peb)
		m, err := Open(bytes.NewReader(both), int64(len(both)))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 126976)
		if err := m.Volumes()[0].ReadLEB(got, 3, 0); err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: %v, or the wrong copy", tc.name, err)
		}
	}
	_ = b
}

func TestDamage(t *testing.T) {
	img, a, _ := twoVolumes(t)
	img = bytes.Clone(img)
	clear(img[:4096+30000])                            // first table
	copy(img[4*geo2k.PEBSize+2048:], "no header here") // LEB 2 of system
	m, err := Open(bytes.NewReader(img), int64(len(img)-1000))
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, p := range m.Problems() {
		codes = append(codes, p.Code)
	}
	if want := []string{"ubi-bad-ec", "ubi-bad-vid", "ubi-bad-vid"}; !slices.Equal(codes, want) {
		t.Errorf("problems %v, want %v", codes, want)
	}
	v := m.Volumes()[0]
	got := make([]byte, 126976)
	if err := v.ReadLEB(got, 2, 0); err != nil || !erased(got) {
		t.Errorf("a lost block: %v, or not erased", err)
	}
	if err := v.ReadLEB(got, 1, 0); err != nil || !bytes.Equal(got, a[126976:2*126976]) {
		t.Errorf("a good block: %v", err)
	}
	if err := v.ReadLEB(got, 1, 5); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("beyond the block: %v", err)
	}
	last := m.Volumes()[1]
	if err := last.ReadLEB(got, last.Mapped()[len(last.Mapped())-1], 0); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("beyond the image: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, b := range map[string][]byte{"empty": nil, "zeros": make([]byte, 1<<20), "noise": noise(1<<20, 4)} {
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, mtkport.ErrFormat) {
			t.Errorf("%s: %v, want not of this format", name, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	ok := VolumeSpec{Name: "a", LEBs: 1}
	for name, vols := range map[string][]VolumeSpec{
		"same id": {ok, ok}, "no name": {{LEBs: 1}}, "no room": {{Name: "a", LEBs: 1, DataLEBs: 2}}, "id": {{ID: 128, Name: "a", LEBs: 1}},
	} {
		if _, err := NewWriter(&memory{}, geo2k, vols); !errors.Is(err, mtkport.ErrRefused) {
			t.Errorf("%s: %v, want refused", name, err)
		}
	}
	if _, err := NewWriter(&memory{}, Geometry{PEBSize: 100}, nil); !errors.Is(err, mtkport.ErrRefused) {
		t.Errorf("geometry: %v", err)
	}
}

// TestUbinize builds the same volumes with ubinize and wants the same bytes.
func TestUbinize(t *testing.T) {
	if _, err := exec.LookPath("ubinize"); err != nil {
		t.Skip("needs ubinize")
	}
	dir := t.TempDir()
	img, a, b := twoVolumes(t)
	for name, data := range map[string][]byte{"a": a, "b": b} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ini := fmt.Sprintf(`[one]
mode=ubi
image=%s/a
vol_id=0
vol_size=%d
vol_type=dynamic
vol_name=system
vol_flags=autoresize
[two]
mode=ubi
image=%s/b
vol_id=2
vol_size=%d
vol_type=static
vol_name=kernel
`, dir, 9*126976, dir, 4*126976)
	if err := os.WriteFile(filepath.Join(dir, "ini"), []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ubinize", "-o", filepath.Join(dir, "img"), "-p", "128KiB", "-m", "2048", "-s", "2048", "-Q", "1234", filepath.Join(dir, "ini")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(dir, "img"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(img, want) {
		i := 0
		for i < min(len(img), len(want)) && img[i] == want[i] {
			i++
		}
		t.Errorf("%d bytes, ubinize made %d; first difference at 0x%x", len(img), len(want), i)
	}
}

func FuzzOpen(f *testing.F) {
	small := Geometry{PEBSize: 16 << 10, VIDOffset: 512, DataOffset: 1024, ImageSeq: 7}
	img := build(f, small, []VolumeSpec{{Name: "a", LEBs: 3, DataLEBs: 2}}, noise(20000, 3))
	f.Add(img)
	f.Add(img[:40000])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		buf := make([]byte, 4096)
		for _, v := range m.Volumes() {
			for _, l := range v.Mapped() {
				_ = v.ReadLEB(buf[:min(len(buf), v.LEBSize)], l, 0)
			}
			_, _ = v.ReadAt(buf, v.Size()-100)
		}
	})
}
