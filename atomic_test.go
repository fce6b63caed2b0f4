package mtkport

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	ents, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range ents {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFileWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := WriteFile(name, 0o644, func(w io.Writer) error {
		_, _ = w.Write([]byte("half"))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("error %v, want %v", err, boom)
	}
	if b, _ := os.ReadFile(name); string(b) != "old" {
		t.Errorf("a failed write left %q", b)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("a failed write left files: %q", n)
	}
	if err := WriteFile(name, 0o600, func(w io.Writer) error { _, err := w.Write([]byte("new")); return err }); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(name); string(b) != "new" {
		t.Errorf("got %q, want new", b)
	}
}

func TestCreateDirWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	d, err := CreateDir(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Root.WriteFile("../x", nil, 0o644); err == nil {
		t.Error("a name left the folder")
	}
	if err := d.Root.WriteFile("x", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name exists before Commit: %v", err)
	}
	if err := d.Commit(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(name, "x")); err != nil || string(b) != "x" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := CreateDir(name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a full folder was taken: %v", err)
	}
	d, err = CreateDir(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	d.Abort()
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("abort left %q", n)
	}
}

func TestErrorNamesEverything(t *testing.T) {
	e := &Error{Off: 0x24, Field: "page_size", Found: "0", Want: "a power of two 2048…16384", Hint: "is this a boot image?", Err: ErrDamaged}
	err := InFile(e, "boot.img")
	if got, want := err.Error(), "boot.img: 0x24 page_size: found 0, want a power of two 2048…16384 (damaged)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !errors.Is(err, ErrDamaged) || HintOf(err) != e.Hint {
		t.Errorf("class or hint lost: %v", err)
	}
	if e.File != "" {
		t.Error("InFile changed the original")
	}
	if err := InFile(context.Canceled, "x"); !errors.Is(err, context.Canceled) || err.Error() != "x: context canceled" {
		t.Errorf("got %v", err)
	}
	if InFile(nil, "x") != nil {
		t.Error("nil became an error")
	}
}
