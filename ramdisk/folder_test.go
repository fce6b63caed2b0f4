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

func TestRealUnpackPack(t *testing.T) {
	for name, b := range realRamdisks(t) {
		got, ch := unpackPack(t, open(t, b), nil)
		if len(ch.Added)+len(ch.Dropped) > 0 {
			t.Errorf("%s: untouched folder, but %v", name, ch)
		}
		if !bytes.Equal(packed(t, got), b) {
			t.Errorf("%s: not the same bytes", name)
		}
	}
}
