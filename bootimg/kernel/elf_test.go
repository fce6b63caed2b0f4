package kernel

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Our own reader takes the ELF back: same bytes, same symbols.
func TestELFRoundTrip(t *testing.T) {
	k := openReal(t, "a516-boot.img")
	var b bytes.Buffer
	n, err := k.WriteELF(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d bytes: %v", n, b.Len(), err)
	}
	back, err := Open(bytes.NewReader(b.Bytes()), n)
	if err != nil {
		t.Fatal(err)
	}
	if back.Form() != VMLinux || !bytes.Equal(back.Image(), k.Image()) || back.Base() != k.Base() || back.Banner() != k.Banner() {
		t.Errorf("form %s, base 0x%x, %d bytes", back.Form(), back.Base(), len(back.Image()))
	}
	f, err := elf.NewFile(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil || len(syms) != len(k.Symbols().List) {
		t.Errorf("%d symbols, want %d: %v", len(syms), len(k.Symbols().List), err)
	}
}

// The foreign witnesses: readelf and nm.
func TestELFForeign(t *testing.T) {
	for _, tool := range []string{"readelf", "nm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	k := openReal(t, "pixi3-boot.img")
	name := filepath.Join(t.TempDir(), "vmlinux")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.WriteELF(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("readelf", "-a", "-W", name).CombinedOutput()
	if err != nil || strings.Contains(string(out), "readelf:") {
		t.Errorf("readelf: %v", err)
	}
	out, err = exec.Command("nm", "-n", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for _, line := range strings.Split(string(out), "\n") {
		if f := strings.Fields(line); len(f) == 3 {
			have[f[0]+" "+f[2]]++
		}
	}
	for _, s := range k.Symbols().List {
		if have[fmt.Sprintf("%08x %s", s.Addr, s.Name)]--; have[fmt.Sprintf("%08x %s", s.Addr, s.Name)] < 0 {
			t.Fatalf("nm does not show %08x %s", s.Addr, s.Name)
		}
	}
}
