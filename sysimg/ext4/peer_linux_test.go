package ext4

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"

	"github.com/pkg/xattr"
)

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

// features are mke2fs's options for each kind of image that a reader meets.
var features = map[string][]string{
	"android":       {"-O", "^64bit,^metadata_csum,^flex_bg,^dir_index,^huge_file,^dir_nlink,^extra_isize,uninit_bg,^has_journal"},
	"default":       nil,
	"metadata_csum": {"-O", "metadata_csum,^64bit"},
	"inline_data":   {"-O", "inline_data"},
	"pointers":      {"-O", "^extent,^64bit,^metadata_csum"},
	"1k":            {"-b", "1024", "-O", "^metadata_csum"},
	"ext2":          {"-I", "128", "-O", "none,ext_attr,filetype,sparse_super,large_file"},
	"csum_seed":     {"-O", "metadata_csum_seed"},
	"sparse_super2": {"-O", "sparse_super2"},
	"meta_bg":       {"-O", "meta_bg,^resize_inode"},
	"ea_inode":      {"-O", "ea_inode"},
}

// TestReadPeers reads what mke2fs -d makes of a folder.
func TestReadPeers(t *testing.T) {
	dir := t.TempDir()
	tr := smallTree(11)
	treetest.Plant(t, tr, dir)
	for name, args := range features {
		t.Run(name, func(t *testing.T) {
			img := filepath.Join(t.TempDir(), "a.img")
			src := dir
			if name == "ext2" || name == "1k" { // no room there for large attributes
				src = t.TempDir()
				small := smallTree(11)
				for _, p := range []string{"etc/xattr", "etc/xattr2", "etc/xattr3"} {
					n, _ := small.Lookup(p)
					n.Xattrs = nil
				}
				treetest.Plant(t, small, src)
			}
			mke2fs(t, img, append([]string{"-d", src}, args...)...)
			f := openImage(t, img)
			for _, p := range f.Problems() {
				t.Errorf("%+v", p)
			}
			if found, err := f.Check(); err != nil || len(found) > 0 {
				t.Errorf("%v %v", found, err)
			}
			if name != "inline_data" { // mke2fs rounds the length of files that end in a hole there
				sameAsFolder(t, f.Tree(), src)
			}
			_ = exec.Command("e2fsck", "-fyD", img).Run() // makes hashed directories; its exit code says that it did
			for _, d := range diff(f.Tree(), openImage(t, img).Tree()) {
				t.Error("after e2fsck -D:", d)
			}
		})
	}
}
