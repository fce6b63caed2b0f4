package sysimg

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mtkport"
	"mtkport/sysimg/tree"
)

// sample is a tree with every kind of entry, and names that disks refuse.
func sample(t testing.TB) *tree.Tree {
	t.Helper()
	when := time.Unix(1400000000, 0).UTC()
	tr := tree.New()
	tr.Root.MTime = when
	label := func(s string) map[string][]byte {
		return map[string][]byte{"security.selinux": []byte(s + "\x00")}
	}
	put := func(p string, n *tree.Node) {
		t.Helper()
		n.MTime = when
		if err := tr.Put(p, n); err != nil {
			t.Fatal(err)
		}
	}
	file := func(mode uint32, s string) *tree.Node {
		return &tree.Node{Mode: tree.Regular | mode, GID: 2000, Data: tree.Bytes([]byte(s)), Xattrs: label("u:object_r:system_file:s0")}
	}
	for _, d := range []string{"bin", "lib", "lib/Hw", "lib/hw", "empty", "nul", "lost+found"} {
		put(d, tree.NewDir(0o755))
	}
	put("bin/su", file(0o6755, "su"))
	su, _ := tr.Lookup("bin/su")
	su.Xattrs["security.capability"] = []byte{1, 0, 0, 2, 0, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	put("bin/sh", su)
	put("lib/A.so", file(0o644, "upper"))
	put("lib/a.so", file(0o644, "lower"))
	put("lib/con.so", file(0o600, "a device on Windows"))
	put("lib/what?.so", file(0o600, "a question"))
	put("lib/bad\xff\xfe.", file(0o600, "not text"))
	put("lib/100%", file(0o600, "percent"))
	put("lib/none", &tree.Node{Mode: tree.Regular | 0o644})
	put("etc", &tree.Node{Mode: tree.Symlink | 0o777, Target: "/system/../../etc", Xattrs: label("u:object_r:etc:s0")})
	put("long", &tree.Node{Mode: tree.Symlink | 0o777, Target: string(make([]byte, 0)) + "a/" + string(filler(150))})
	put("chr", &tree.Node{Mode: tree.CharDev | 0o600, Major: 10, Minor: 300})
	put("blk", &tree.Node{Mode: tree.BlockDev | 0o600, Major: 7, Minor: 1})
	put("fifo", &tree.Node{Mode: tree.FIFO | 0o600})
	put("sock", &tree.Node{Mode: tree.Socket | 0o600})
	return tr
}

func filler(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

func extractTo(t *testing.T, m *Image, name string) *Report {
	t.Helper()
	dir, err := mtkport.CreateDir(name)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Abort()
	rep, err := Extract(context.Background(), m, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Commit(); err != nil {
		t.Fatal(err)
	}
	return rep
}

// writeImage writes a tree to a new file and opens it.
func writeImage(t *testing.T, tr *tree.Tree, opt Options) *Image {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := Write(context.Background(), f, tr, opt); err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestExtractCounts(t *testing.T) {
	m := writeImage(t, sample(t), Options{})
	out := filepath.Join(t.TempDir(), "out")
	rep := extractTo(t, m, out)
	if rep.Files != 8 || rep.Dirs != 8 || rep.Links != 2 || rep.HardLinks != 1 || rep.Specials != 4 || len(rep.Lost) != 0 {
		t.Errorf("%+v", rep)
	}
	if b, err := os.ReadFile(filepath.Join(out, FilesName, "lib", "A.so")); err != nil || string(b) != "upper" {
		t.Errorf("%q %v", b, err)
	}
}

// same wants no difference between two trees, times included.
func same(t *testing.T, a, b *tree.Tree) {
	t.Helper()
	changes, err := Diff(context.Background(), a, b, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Errorf("%+v", c)
	}
}

func TestExtractBuild(t *testing.T) {
	for _, to := range Formats() {
		t.Run(to, func(t *testing.T) {
			tr := sample(t)
			if to == "tar" { // holds no sockets
				_ = tr.Remove("sock")
			}
			m := writeImage(t, tr, Options{To: to, Size: 16 << 20})
			same(t, tr, m.Tree)
			out := filepath.Join(t.TempDir(), "out")
			extractTo(t, m, out)
			f, err := OpenFolder(out, Defaults{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, p := range f.Problems() {
				t.Errorf("%+v", p)
			}
			same(t, m.Tree, f.Tree)
			again := writeImage(t, f.Tree, Options{Like: f})
			if again.Format != to || again.Size != m.Size {
				t.Errorf("built %s of %d bytes, want %s of %d", again.Format, again.Size, to, m.Size)
			}
			same(t, m.Tree, again.Tree)
		})
	}
}

func TestFolderEdited(t *testing.T) {
	m := writeImage(t, sample(t), Options{})
	out := filepath.Join(t.TempDir(), "out")
	extractTo(t, m, out)
	at := func(s string) string { return filepath.Join(out, FilesName, filepath.FromSlash(s)) }
	for p, text := range map[string]string{"bin/new": "new", "lib/A.so": "UPPER!"} {
		if err := os.WriteFile(at(p), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"lib/a.so", "lib/a.so%~1"} {
		_ = os.Remove(at(p))
	}
	f, err := OpenFolder(out, Defaults{Mount: "system"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	changes, err := Diff(context.Background(), m.Tree, f.Tree, false)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range changes {
		got[c.Path] = c.Kind
	}
	want := map[string]string{"bin/new": "added", "lib/A.so": "content", "lib/a.so": "removed"}
	if len(got) != len(want) || got["bin/new"] != "added" || got["lib/A.so"] != "content" || got["lib/a.so"] != "removed" {
		t.Errorf("%v, want %v", got, want)
	}
	n, err := f.Tree.Lookup("bin/new")
	if err != nil || n.Mode&0o7777 != 0o755 || n.GID != 2000 {
		t.Errorf("bin/new: %+v %v", n, err)
	}
}
