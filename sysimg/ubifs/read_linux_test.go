package ubifs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
	"mtkport/sysimg/ubifs/ubi"
)

// foreign builds an image of tr with mkfs.ubifs.
func foreign(t testing.TB, tr *tree.Tree, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ubifs"); err != nil {
		t.Skip("needs mkfs.ubifs")
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	treetest.Plant(t, tr, src)
	out := filepath.Join(dir, "img")
	args = append([]string{"-r", src, "-o", out}, args...)
	if msg, err := exec.Command("mkfs.ubifs", args...).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ubifs: %v: %s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openBytes(t testing.TB, b []byte) *FS {
	t.Helper()
	fs, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestReadMkfs(t *testing.T) {
	tr := treetest.Plain(treetest.Sample(t, 200))
	for _, tc := range []struct {
		page, leb int
		compr     string
	}{{2048, 126976, "lzo"}, {2048, 126976, "zlib"}, {4096, 253952, "none"}, {4096, 253952, "zstd"}, {2048, 126976, "favor_lzo"}, {512, 15872, "lzo"}} {
		t.Run(fmt.Sprintf("%d_%s", tc.page, tc.compr), func(t *testing.T) {
			img := foreign(t, tr, "-m", fmt.Sprint(tc.page), "-e", fmt.Sprint(tc.leb), "-c", "2000", "-x", tc.compr)
			fs := openBytes(t, img)
			if p := fs.Problems(); len(p) != 0 {
				t.Errorf("problems: %v", p)
			}
			if l := fs.Layout(); l.MinIO != tc.page || l.LEBSize != tc.leb || l.MaxLEBs != 2000 || l.UBI != nil {
				t.Errorf("layout %+v", l)
			}
			treetest.Same(t, fs.Tree(), tr)
		})
	}
}

// TestRescueEqualsIndex reads a sound image without its index and wants the same
// files.
func TestRescueEqualsIndex(t *testing.T) {
	tr := treetest.Plain(treetest.Sample(t, 50))
	img := foreign(t, tr, "-m", "2048", "-e", "126976", "-c", "500")
	for name, hurt := range map[string]func(b []byte){
		"masters": func(b []byte) { clear(b[126976 : 3*126976]) },
		"index root": func(b []byte) {
			m := openBytes(t, b).mst
			clear(b[int(m.rootLNum)*126976+int(m.rootOffs):][:m.rootLen])
		},
	} {
		b := bytes.Clone(img)
		hurt(b)
		fs := openBytes(t, b)
		if len(fs.Problems()) == 0 {
			t.Errorf("%s: no problem told", name)
		}
		treetest.Same(t, fs.Tree(), tr)
	}
}

// TestInsideUBI reads through ubi, with the superblock there and lost, and with
// spare bytes in the dump.
func TestInsideUBI(t *testing.T) {
	tr := treetest.Plain(treetest.Sample(t, 20))
	img := foreign(t, tr, "-m", "2048", "-e", "126976", "-c", "500")
	var m treetest.Memory
	u, err := ubi.NewWriter(&m, ubi.Geometry{PEBSize: 131072, VIDOffset: 2048, DataOffset: 4096}, []ubi.VolumeSpec{
		{ID: 3, Name: "system", LEBs: 600, DataLEBs: len(img) / 126976},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Copy(0, bytes.NewReader(img), int64(len(img))); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	fs := openBytes(t, m.B)
	if p := fs.Problems(); len(p) != 0 {
		t.Errorf("problems: %v", p)
	}
	if v := fs.Layout().UBI; v == nil || v.Name != "system" || v.ID != 3 || v.LEBs != 600 {
		t.Errorf("volume %+v", v)
	}
	treetest.Same(t, fs.Tree(), tr)

	var dump []byte
	for p := 0; p < len(m.B); p += 2048 {
		dump = append(append(dump, m.B[p:p+2048]...), treetest.Noise(64, uint64(p))...)
	}
	treetest.Same(t, openBytes(t, dump).Tree(), tr)

	clear(m.B[2*131072+4096 : 3*131072]) // LEB 0
	fs = openBytes(t, m.B)
	if len(fs.Problems()) == 0 {
		t.Error("a lost superblock: no problem told")
	}
	treetest.Same(t, fs.Tree(), tr)
}
