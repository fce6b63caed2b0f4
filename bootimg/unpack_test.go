package bootimg_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/bootimg"
)

// roundTrip demands the same bytes back, by the editor and through a folder.
func roundTrip(t *testing.T, b []byte) {
	t.Helper()
	f, err := bootimg.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	var same bool
	if f.Part != nil {
		got = write(t, f.Part.Edit())
		same, err = f.Part.Edit().Identical()
	} else {
		got = write(t, f.Image.Edit())
		same, err = f.Image.Edit().Identical()
	}
	if !bytes.Equal(got, b) {
		t.Error("open, write: not the same bytes")
	}
	if !same || err != nil {
		t.Errorf("Identical: %v, %v", same, err)
	}
	dir := unpack(t, b)
	out, r := repack(t, dir)
	if !bytes.Equal(out, b) || !r.Identical() || len(r.Changed) != 0 {
		t.Errorf("unpack, repack: equal %v, Identical %v, Changed %v", bytes.Equal(out, b), r.Identical(), r.Changed)
	}
}

func unpack(t *testing.T, b []byte) string {
	t.Helper()
	f, err := bootimg.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := f.Unpack(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return dir
}

func repack(t *testing.T, dir string) ([]byte, *bootimg.Repacked) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := bootimg.Repack(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return write(t, r), r
}

// editSide replaces text in a folder's boot.yaml, which must be there once.
func editSide(t *testing.T, dir, old, new string) {
	t.Helper()
	name := filepath.Join(dir, bootimg.SideName)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), old); n != 1 {
		t.Fatalf("%q is %d times in boot.yaml:\n%s", old, n, b)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(b), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
