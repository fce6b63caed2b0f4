package tree

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
	"time"
)

func sample(t *testing.T) *Tree {
	t.Helper()
	tr := New()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(tr.MkdirAll("lib/hw", NewDir(0o755)))
	must(tr.Put("lib/a.so", &Node{Mode: Regular | 0o644, Data: Bytes([]byte("aaa")), MTime: time.Unix(1, 0)}))
	must(tr.Put("lib/b.so", &Node{Mode: Symlink | 0o777, Target: "a.so"}))
	must(tr.Put("lib/abs.so", &Node{Mode: Symlink | 0o777, Target: "/system/lib/hw/../a.so"}))
	must(tr.Put("lib/loop", &Node{Mode: Symlink | 0o777, Target: "loop"}))
	must(tr.Put("lib/out", &Node{Mode: Symlink | 0o777, Target: "../../etc"}))
	a, err := tr.Lookup("lib/a.so")
	must(err)
	must(tr.Put("lib/hw/c.so", a))
	return tr
}

func TestWalkLinksResolve(t *testing.T) {
	tr := sample(t)
	var got []string
	if err := tr.Walk(func(p string, n *Node) error { got = append(got, p); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []string{".", "lib", "lib/a.so", "lib/abs.so", "lib/b.so", "lib/hw", "lib/hw/c.so", "lib/loop", "lib/out"}
	if !slices.Equal(got, want) {
		t.Errorf("walk %q, want %q", got, want)
	}
	a, _ := tr.Lookup("/lib/a.so")
	if links := tr.Links(); len(links) != 1 || !slices.Equal(links[a], []string{"lib/a.so", "lib/hw/c.so"}) {
		t.Errorf("links %v", links)
	}
	for _, p := range []string{"lib/b.so", "lib/abs.so"} {
		if n, err := tr.Resolve(p, "/system"); err != nil || n != a {
			t.Errorf("resolve %s: %v, %v", p, n, err)
		}
	}
	for _, p := range []string{"lib/loop", "lib/out", "lib/none"} {
		if _, err := tr.Resolve(p, "/system"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("resolve %s: %v, want not exist", p, err)
		}
	}
}

func TestPutRefusesBadNames(t *testing.T) {
	tr := sample(t)
	for _, p := range []string{"", "lib/..", "lib/a\x00b", "lib/a.so/x", "none/x", string(make([]byte, 300))} {
		if err := tr.Put(p, NewDir(0o755)); err == nil {
			t.Errorf("put %q: no error", p)
		}
	}
	if err := tr.MkdirAll("lib/a.so/x", NewDir(0o755)); err == nil {
		t.Error("a file became a directory")
	}
	if err := tr.Remove("lib/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove of nothing: %v", err)
	}
}

func TestFS(t *testing.T) {
	tr := sample(t)
	for _, p := range []string{"lib/loop", "lib/out", "lib/abs.so"} {
		if err := tr.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := fstest.TestFS(tr.FS("/system"), "lib/a.so", "lib/b.so", "lib/hw/c.so"); err != nil {
		t.Error(err)
	}
}
