package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"
)

func tool(t *testing.T, name string) string {
	t.Helper()
	for _, p := range []string{name, "/sbin/" + name, "/usr/sbin/" + name} {
		if f, err := exec.LookPath(p); err == nil {
			return f
		}
	}
	t.Skip("needs " + name)
	return ""
}

// image makes a volume with mkfs.vfat and fills it with mcopy: another
// program's writer.
func image(t *testing.T, bits string, kib int) []byte {
	t.Helper()
	mkfs, mcopy, mmd := tool(t, "mkfs.vfat"), tool(t, "mcopy"), tool(t, "mmd")
	dir := t.TempDir()
	img := filepath.Join(dir, "vol")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	run(mkfs, "-F", bits, "-n", "INTSD", "-C", img, strconv.Itoa(kib))
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("0123456789abcdef"), 20000), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run(mmd, "-i", img, "::DCIM")
	run(mcopy, "-i", img, big, "::DCIM/a long name with blanks.jpg")
	run(mcopy, "-i", img, filepath.Join(dir, "empty"), "::EMPTY")
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadsWhatOthersWrote(t *testing.T) {
	for _, tt := range []struct {
		bits string
		kib  int
	}{{"12", 2000}, {"16", 20000}, {"32", 70000}} {
		b := image(t, tt.bits, tt.kib)
		v, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("FAT%s: %v", tt.bits, err)
			continue
		}
		if v.Kind() != "FAT"+tt.bits || strings.TrimSpace(v.Label()) != "INTSD" || len(v.Problems()) > 0 {
			t.Errorf("FAT%s: kind %s, label %q, problems %v", tt.bits, v.Kind(), v.Label(), v.Problems())
		}
		n, err := v.Tree().Lookup("DCIM/a long name with blanks.jpg")
		if err != nil {
			t.Errorf("FAT%s: %v", tt.bits, err)
			continue
		}
		got, err := io.ReadAll(io.NewSectionReader(n.Data, 0, n.Size()))
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("0123456789abcdef"), 20000)) {
			t.Errorf("FAT%s: %d bytes, %v", tt.bits, len(got), err)
		}
		if e, err := v.Tree().Lookup("EMPTY"); err != nil || e.Size() != 0 || e.Type() != tree.Regular {
			t.Errorf("FAT%s: empty file: %+v, %v", tt.bits, e, err)
		}
	}
}

// small is a FAT12 volume of 64 sectors made here: one folder, one file.
func small() []byte {
	b := make([]byte, 64*512)
	copy(b, "\xeb\x3c\x90MTKPORT ")
	le := binary.LittleEndian
	le.PutUint16(b[11:], 512)
	b[13] = 1 // sectors per cluster
	le.PutUint16(b[14:], 1)
	b[16] = 2
	le.PutUint16(b[17:], 16)
	le.PutUint16(b[19:], 64)
	b[21] = 0xf8
	le.PutUint16(b[22:], 1)
	b[38] = 0x29
	copy(b[43:], "INTSD      FAT12   ")
	b[510], b[511] = 0x55, 0xaa
	for _, at := range []int{512, 1024} { // clusters 2 (file) and 3 (folder) end
		copy(b[at:], "\xf8\xff\xff\xff\xff\xff")
	}
	entry := func(at int, name string, attr byte, cluster uint16, size uint32) {
		copy(b[at:], name)
		b[at+11] = attr
		le.PutUint16(b[at+26:], cluster)
		le.PutUint32(b[at+28:], size)
	}
	entry(1536, "A       TXT", 0x20, 2, 5)
	entry(1568, "D          ", 0x10, 3, 0)
	copy(b[2048:], "hello")
	entry(2560, ".          ", 0x10, 3, 0)
	entry(2592, "..         ", 0x10, 0, 0)
	return b
}

func TestHostile(t *testing.T) {
	open := func(b []byte) error { _, err := Open(bytes.NewReader(b), int64(len(b))); return err }
	if err := open(small()); err != nil {
		t.Fatal(err)
	}
	if err := open(make([]byte, 4096)); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("zeros: %v", err)
	}
	for name, spoil := range map[string]func(b []byte){
		"sector of 0":       func(b []byte) { b[11], b[12] = 0, 0 },
		"cluster of 3":      func(b []byte) { b[13] = 3 },
		"huge tables":       func(b []byte) { b[22], b[23] = 0xff, 0xff },
		"larger than image": func(b []byte) { b[19], b[20] = 0xff, 0xff },
		"circle":            func(b []byte) { copy(b[515:], "\x02\x20\x00"); copy(b[1027:], "\x02\x20\x00") },
		"circle apart": func(b []byte) {
			b[518], b[1030] = 0x05, 0x05
			b[519], b[520] = 0x40, 0x00
			b[1031], b[1032] = 0x40, 0x00
		},
	} {
		b := small()
		spoil(b)
		if err := open(b); !errors.Is(err, mtkport.ErrDamaged) {
			t.Errorf("%s: %v, want damaged", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(small())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		buf := make([]byte, 64)
		_ = v.Tree().Walk(func(_ string, n *tree.Node) error {
			if n.Data != nil {
				_, _ = n.Data.ReadAt(buf, 0)
			}
			return nil
		})
	})
}
