package ubifs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
)

// TestUBIReader has ubi_reader extract what we write. It is no witness for holes
// at the end of files, which it leaves out.
func TestUBIReader(t *testing.T) {
	prog := os.Getenv("MTKPORT_UBIREADER")
	if prog == "" {
		var err error
		if prog, err = exec.LookPath("ubireader_extract_files"); err != nil {
			t.Skip("needs ubireader_extract_files in the path or named by MTKPORT_UBIREADER")
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make devices and owners")
	}
	tr := treetest.Sample(t, 100)
	for _, c := range []Compression{LZO, Zlib} {
		dir := t.TempDir()
		img, out := filepath.Join(dir, "img"), filepath.Join(dir, "out")
		if err := os.WriteFile(img, write(t, tr, Layout{Compression: c, UBI: &Volume{}}), 0o600); err != nil {
			t.Fatal(err)
		}
		if msg, err := exec.Command(prog, "-k", "-o", out, img).CombinedOutput(); err != nil {
			t.Fatalf("%v: %.500s", err, msg)
		}
		roots, err := filepath.Glob(filepath.Join(out, "*", "system"))
		if err != nil || len(roots) != 1 {
			t.Fatalf("extracted to %v, %v", roots, err)
		}
		for p, n := range treetest.Flatten(tr) {
			st, err := os.Lstat(filepath.Join(roots[0], p))
			if err != nil {
				t.Error(err)
				continue
			}
			if n.Type() == tree.Symlink {
				continue
			}
			if want := tree.FileMode(n.Mode); p != "." && st.Mode() != want {
				t.Errorf("%s: mode %v, want %v", p, st.Mode(), want)
			}
			if n.Type() != tree.Regular || p == "etc/holes" || p == "etc/nothing" {
				continue
			}
			got, err := os.ReadFile(filepath.Join(roots[0], p))
			if err != nil || !bytes.Equal(got, treetest.Contents(t, p, n)) {
				t.Errorf("%s: %v, or other contents", p, err)
			}
		}
	}
}
