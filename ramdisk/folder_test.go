package ramdisk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// unpackPack unpacks a to a new folder, lets edit change it, and packs it.
func unpackPack(t testing.TB, a *Archive, edit func(dir string)) (*Archive, Changes) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := a.Unpack(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(dir)
	}
	b, ch, err := Pack(t.Context(), root, Options{}, nil)
	if err != nil {
		side, _ := os.ReadFile(filepath.Join(dir, SideFile))
		t.Fatalf("%v\n%s", err, side)
	}
	return b, ch
}

// TestReal: every real ramdisk comes back byte for byte, untouched and from a
// folder; those by minigzip also without their stream.
func TestReal(t *testing.T) {
	for name, b := range realRamdisks(t) {
		a := open(t, b)
		if a.Changed() || !bytes.Equal(packed(t, a), b) {
			t.Errorf("%s: untouched, but not the same bytes", name)
		}
		got, ch := unpackPack(t, a, nil)
		if len(ch.Added)+len(ch.Dropped) > 0 {
			t.Errorf("%s: untouched folder, but %v", name, ch)
		}
		if !bytes.Equal(packed(t, got), b) {
			t.Errorf("%s: from a folder: not the same bytes", name)
		}
		if m := a.Maker(); !m.Exact {
			t.Errorf("%s: made by %s, nobody known", name, m)
		}
		if m := a.Maker(); m.Name != "zlib" || m.Level != 6 {
			t.Logf("%s: by %s", name, m)
			continue
		}
		got, _ = unpackPack(t, a, func(dir string) {
			if err := os.Remove(filepath.Join(dir, streamFile)); err != nil {
				t.Error(err)
			}
		})
		if !bytes.Equal(packed(t, got), b) {
			t.Errorf("%s: from a folder without stream.bin: not the same bytes", name)
		}
		t.Logf("%s: %d entries, %s, %v", name, len(a.Entries()), a.Maker(), a.Notes())
	}
}
