package ext4

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	"mtkport/sysimg/tree"

	"github.com/pkg/xattr"
)

func openImage(t *testing.T, name string) *FS {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func readAll(t *testing.T, n *tree.Node) []byte {
	t.Helper()
	if n.Data == nil {
		return nil
	}
	b := make([]byte, n.Data.Size())
	if err := tree.ReadFull(n.Data, b, 0); err != nil && len(b) > 0 {
		t.Error(err)
	}
	return b
}

// sameAsFolder compares a tree with the folder that it was made from.
func sameAsFolder(t *testing.T, tr *tree.Tree, dir string) {
	t.Helper()
	seen := map[string]bool{}
	inos := map[uint64]*tree.Node{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		seen[rel] = true
		n, err := tr.Lookup(rel)
		if err != nil {
			t.Errorf("%s: not in the image", rel)
			return nil
		}
		fi, _ := d.Info()
		st := fi.Sys().(*syscall.Stat_t)
		if rel == "." {
			return nil // mke2fs leaves the root's owner and mode
		}
		if n.Mode != st.Mode || n.UID != st.Uid || n.GID != st.Gid || n.MTime.Unix() != st.Mtim.Sec {
			t.Errorf("%s: mode %o owner %d:%d time %d, want %o %d:%d %d", rel, n.Mode, n.UID, n.GID, n.MTime.Unix(), st.Mode, st.Uid, st.Gid, st.Mtim.Sec)
		}
		sameNode(t, rel, p, n, st)
		if st.Nlink > 1 && !d.IsDir() {
			if first := inos[st.Ino]; first != nil && first != n {
				t.Errorf("%s: no hard link to its other name", rel)
			}
			inos[st.Ino] = n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = tr.Walk(func(p string, n *tree.Node) error {
		if !seen[p] && p != "lost+found" {
			t.Errorf("%s: not in the folder", p)
		}
		return nil
	})
}

func sameNode(t *testing.T, rel, p string, n *tree.Node, st *syscall.Stat_t) {
	t.Helper()
	switch n.Type() {
	case tree.Regular:
		want, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, n); !bytes.Equal(got, want) {
			t.Errorf("%s: contents differ (%d bytes, want %d)", rel, len(got), len(want))
		}
	case tree.Symlink:
		if want, _ := os.Readlink(p); n.Target != want {
			t.Errorf("%s: to %q, want %q", rel, n.Target, want)
		}
	case tree.CharDev, tree.BlockDev:
		r := st.Rdev
		if maj, min := uint32(r>>8&0xfff), uint32(r&0xff|r>>12&0xfff00); n.Major != maj || n.Minor != min {
			t.Errorf("%s: device %d:%d, want %d:%d", rel, n.Major, n.Minor, maj, min)
		}
	}
	names, err := xattr.LList(p)
	if err != nil {
		return
	}
	sort.Strings(names)
	for _, name := range names {
		want, err := xattr.LGet(p, name)
		if err != nil {
			continue
		}
		if !bytes.Equal(n.Xattrs[name], want) {
			t.Errorf("%s: %s %q, want %q", rel, name, n.Xattrs[name], want)
		}
	}
	if len(names) != len(n.Xattrs) {
		t.Errorf("%s: %d attributes, want %d", rel, len(n.Xattrs), len(names))
	}
}

// TestBigImages reads the images in the folder that MTKPORT_EXT4_IMAGES names,
// each made from its folder "tree" (see testdata/README.md for how).
func TestBigImages(t *testing.T) {
	dir := os.Getenv("MTKPORT_EXT4_IMAGES")
	if dir == "" {
		t.Skip("needs MTKPORT_EXT4_IMAGES, a folder of images made from its folder tree")
	}
	images, _ := filepath.Glob(filepath.Join(dir, "*.img"))
	for _, name := range images {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".img"), func(t *testing.T) {
			img := openImage(t, name)
			for _, p := range img.Problems() {
				t.Errorf("problem: %s %s: %s", p.Code, p.Subject, p.Text)
			}
			sameAsFolder(t, img.Tree(), filepath.Join(dir, "tree"))
		})
	}
}

var _ io.ReaderAt = (*content)(nil)
