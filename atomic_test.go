package mtkport

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// TestWriteThrough: a device or a pipe stays what it is.
func TestWriteThrough(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such files on Windows")
	}
	dir := t.TempDir()
	pipe, link, null := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "null")
	if out, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.Symlink("file", link), os.WriteFile(filepath.Join(dir, "file"), []byte("old"), 0o600), os.Symlink("/dev/null", null)); err != nil {
		t.Fatal(err)
	}
	came := make(chan []byte)
	go func() {
		b, _ := os.ReadFile(pipe)
		came <- b
	}()
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	for _, name := range []string{pipe, link, null} {
		if err := WriteFile(name, 0o644, hello); err != nil {
			t.Error(err)
		}
	}
	if b := <-came; string(b) != "hello" {
		t.Errorf("through the pipe came %q", b)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "hello" {
		t.Errorf("behind the link: %q, %v", b, err)
	}
	want := map[string]fs.FileMode{"pipe": fs.ModeNamedPipe, "link": fs.ModeSymlink, "null": fs.ModeSymlink, "file": 0}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != len(want) {
		t.Errorf("the folder holds %v, %v", list, err)
	}
	for _, e := range list {
		if m, ok := want[e.Name()]; !ok || e.Type() != m {
			t.Errorf("%s is now %v", e.Name(), e.Type())
		}
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
