package yaffs2

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
)

// tool finds a program by name or by what the environment says.
func tool(t *testing.T, name, env string) string {
	t.Helper()
	if p := os.Getenv(env); p != "" {
		return p
	}
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s in the path or named by %s", name, env)
	}
	return p
}

func TestReadMkyaffs2(t *testing.T) {
	mk := tool(t, "mkyaffs2", "MTKPORT_MKYAFFS2")
	tr := treetest.Plain(sample(t, 100))
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	treetest.Plant(t, tr, src)
	for _, page := range []string{"2048", "4096"} {
		img := filepath.Join(dir, "img"+page)
		if out, err := exec.Command(mk, "-p", page, src, img).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(img)
		if err != nil {
			t.Fatal(err)
		}
		fs := openBytes(t, b)
		fs.Tree().Root.MTime = tr.Root.MTime // mkyaffs2 leaves the root out
		treetest.Same(t, fs.Tree(), tr)
		if len(fs.Problems()) != 0 || !fs.Layout().ECC {
			t.Errorf("layout %+v, problems %v", fs.Layout(), fs.Problems())
		}
	}
}

// TestUnyaffs has unyaffs extract what we write, and compares the files.
func TestUnyaffs(t *testing.T) {
	un := tool(t, "unyaffs", "MTKPORT_UNYAFFS")
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make devices and owners")
	}
	tr := treetest.Plain(sample(t, 100))
	for _, l := range []Layout{Default, {Page: 4096, Spare: 128, Tags: TagsAt0, ECC: true}} {
		dir := t.TempDir()
		img, out := filepath.Join(dir, "img"), filepath.Join(dir, "out")
		if err := os.WriteFile(img, write(t, tr, l), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
		if msg, err := exec.Command(un, img, out).CombinedOutput(); err != nil {
			t.Fatalf("%v: %.300s", err, msg)
		}
		for p, n := range treetest.Flatten(tr) {
			st, err := os.Lstat(filepath.Join(out, p))
			if err != nil {
				t.Error(err)
				continue
			}
			if p != "." && st.Mode() != tree.FileMode(n.Mode) {
				t.Errorf("%s: mode %v, want %v", p, st.Mode(), tree.FileMode(n.Mode))
			}
			if n.Type() != tree.Regular {
				continue
			}
			got, err := os.ReadFile(filepath.Join(out, p))
			if err != nil || string(got) != string(treetest.Contents(t, p, n)) {
				t.Errorf("%s: %v, or other contents", p, err)
			}
		}
	}
}
