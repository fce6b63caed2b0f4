package ext4

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mtkport"
	"mtkport/sysimg/tree"
)

// smallTree is a tree of a few hundred entries of every kind.
func smallTree(seed uint64) *tree.Tree {
	r := rand.New(rand.NewPCG(seed, 1))
	t := tree.New()
	when := time.Unix(1400000000, 0).UTC()
	t.Root.MTime = when
	put := func(p string, n *tree.Node) {
		n.MTime = when
		if err := t.Put(p, n); err != nil {
			panic(err)
		}
	}
	label := func() map[string][]byte {
		return map[string][]byte{"security.selinux": []byte(fmt.Sprintf("u:object_r:file%d:s0\x00", r.IntN(4)))}
	}
	for _, d := range []string{"bin", "etc", "lib", "lib/hw", "app", "many"} {
		n := tree.NewDir(0o755)
		n.Xattrs = label()
		put(d, n)
	}
	for i := range 60 {
		put(fmt.Sprintf("lib/f%03d", i), randomFile(r, label()))
	}
	for i := range 300 {
		put(fmt.Sprintf("many/a-rather-long-name-to-fill-directory-blocks-%03d", i), &tree.Node{Mode: tree.Regular | 0o644})
	}
	a := randomFile(r, label())
	a.Xattrs["user.large"] = make([]byte, 600)
	put("etc/xattr", a)
	put("etc/xattr2", a)
	b := randomFile(r, label())
	b.Xattrs = a.Xattrs
	put("etc/xattr3", b)
	put("etc/short", &tree.Node{Mode: tree.Symlink | 0o777, Target: strings.Repeat("a", 59), Xattrs: label()})
	put("etc/exact", &tree.Node{Mode: tree.Symlink | 0o777, Target: strings.Repeat("b", 60), Xattrs: label()})
	put("etc/long", &tree.Node{Mode: tree.Symlink | 0o777, Target: strings.Repeat("c", 900), Xattrs: label()})
	put("etc/chr", &tree.Node{Mode: tree.CharDev | 0o600, Major: 10, Minor: 300})
	put("etc/blk", &tree.Node{Mode: tree.BlockDev | 0o600, Major: 7, Minor: 1})
	put("etc/fifo", &tree.Node{Mode: tree.FIFO | 0o600})
	put("etc/sock", &tree.Node{Mode: tree.Socket | 0o600})
	put("etc/"+strings.Repeat("n", 255), &tree.Node{Mode: tree.Regular | 0o4755})
	put("etc/holes", &tree.Node{Mode: tree.Regular | 0o600, Data: holes(r, 700)})
	return t
}

func randomFile(r *rand.Rand, x map[string][]byte) *tree.Node {
	b := make([]byte, r.IntN(40000))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return &tree.Node{Mode: tree.Regular | 0o644, GID: 2000, Data: tree.Bytes(b), Xattrs: x, MTime: time.Unix(1400000001, 0).UTC()}
}

// holey is a content with a hole after each block.
type holey struct {
	tree.Content
	data []tree.Range
}

func (h holey) Data() []tree.Range { return h.data }

func holes(r *rand.Rand, n int) tree.Content {
	b := make([]byte, 2*n*4096+100)
	h := holey{}
	for i := range n {
		off := 2 * i * 4096
		for k := range 4096 {
			b[off+k] = byte(r.Uint32()) | 1
		}
		h.data = append(h.data, tree.Range{Off: int64(off), Len: 4096})
	}
	h.Content = tree.Bytes(b)
	return h
}

// editAtRandom changes a tree in a few ways.
func editAtRandom(t *tree.Tree, r *rand.Rand) {
	var files, dirs []string
	_ = t.Walk(func(p string, n *tree.Node) error {
		switch {
		case n.IsDir() && p != "." && p != "lost+found":
			dirs = append(dirs, p)
		case p != "." && p != "lost+found":
			files = append(files, p)
		}
		return nil
	})
	pick := func(l []string) string { return l[r.IntN(len(l))] }
	for range r.IntN(12) + 1 {
		p := pick(files)
		n, err := t.Lookup(p)
		if err != nil {
			continue
		}
		switch r.IntN(12) {
		case 0:
			_ = t.Remove(p)
		case 1:
			n.Mode = n.Mode&^0o7777 | 0o4711
		case 2:
			n.UID, n.GID = 70000, 1000
		case 3:
			n.Xattrs = map[string][]byte{"security.selinux": []byte("u:object_r:other:s0\x00")}
		case 4:
			n.Xattrs = map[string][]byte{"user.big": make([]byte, r.IntN(900))}
		case 5:
			if n.Type() == tree.Regular {
				n.Data = randomFile(r, nil).Data
			}
		case 6:
			_ = t.Put(fmt.Sprintf("%s/new%d", pick(dirs), r.IntN(1000)), randomFile(r, nil))
		case 7:
			_ = t.Put(fmt.Sprintf("%s/link%d", pick(dirs), r.IntN(1000)), n)
		case 8:
			if n.Type() == tree.Symlink {
				n.Target = strings.Repeat("z", 1+r.IntN(300))
			}
		case 9:
			d := tree.NewDir(0o750)
			_ = t.Put(fmt.Sprintf("%s/dir%d", pick(dirs), r.IntN(1000)), d)
			d.SetChild("in it", randomFile(r, nil))
		case 10:
			for i := range r.IntN(200) {
				_ = t.Put(fmt.Sprintf("many/one-more-of-them-%d-%d", r.IntN(100), i), &tree.Node{Mode: tree.Regular})
			}
		case 11:
			if d := pick(dirs); r.IntN(4) == 0 && !strings.Contains(d, "/") {
				if x, err := t.Lookup(d); err == nil { // move it
					_ = t.Remove(d)
					_ = t.Put("moved-"+path.Base(d), x)
					return
				}
			}
		}
	}
}

// kinds are mke2fs's options for the layouts that [FS.Patch] knows.
var kinds = map[string][]string{
	"android": {"-O", "^64bit,^metadata_csum,^flex_bg,^dir_index,^huge_file,^dir_nlink,^extra_isize,uninit_bg,^has_journal"},
	"journal": {"-O", "^64bit,^metadata_csum,^flex_bg,^dir_index,uninit_bg,has_journal"},
	"ind":     {"-O", "^64bit,^metadata_csum,^flex_bg,^extent,uninit_bg,^has_journal"},
	"1k":      {"-b", "1024", "-O", "^64bit,^metadata_csum,^flex_bg,uninit_bg,^has_journal"},
	"2k":      {"-b", "2048", "-I", "128", "-O", "^64bit,^metadata_csum,^flex_bg,^extra_isize,^has_journal"},
	"64bit":   {"-O", "64bit,flex_bg,^metadata_csum,uninit_bg,^has_journal"},
}

// mke2fs makes an empty image of 64 MiB.
func mke2fs(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("mke2fs"); err != nil {
		t.Skip("needs mke2fs")
	}
	args = append([]string{"-q", "-F", "-t", "ext4", "-m", "0", "-U", "57f8f4bc-abf4-655f-bf67-946fc0f9f25b"}, args...)
	cmd := exec.Command("mke2fs", append(args, name, "64M")...)
	cmd.Env = append(os.Environ(), "E2FSPROGS_FAKE_TIME=1400000000", "MKE2FS_DETERMINISTIC=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
}

// apply writes a patched image to a file.
func apply(t *testing.T, p *Patch, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ps, err := tree.Pieces(p, 0, p.Size())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(p.Size()); err != nil {
		t.Fatal(err)
	}
	if err := tree.CopyPieces(context.Background(), f, ps, 2, nil); err != nil {
		t.Fatal(err)
	}
}

func sound(t *testing.T, img *FS) {
	t.Helper()
	found, err := img.Check()
	if err != nil {
		t.Error(err)
	}
	for _, p := range append(found, img.Problems()...) {
		t.Errorf("%s %s: %s", p.Code, p.Subject, p.Text)
	}
}

// TestPatch fills an image that mke2fs made, then edits it over and over; each
// time e2fsck, our own check and a second reading agree.
func TestPatch(t *testing.T) {
	for kind, args := range kinds {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "0.img")
			mke2fs(t, name, args...)
			rounds := 3
			if s := os.Getenv("MTKPORT_PATCH_ROUNDS"); s != "" { // for a long run
				rounds, _ = strconv.Atoi(s)
			}
			r := rand.New(rand.NewPCG(uint64(rounds), uint64(len(kind))))
			for i := range rounds {
				img := openImage(t, name)
				tr := img.Tree()
				if i == 0 {
					lost := tr.Root.Child("lost+found")
					tr.Root = copyInto(tr.Root, smallTree(7).Root)
					tr.Root.SetChild("lost+found", lost)
				} else {
					editAtRandom(tr, r)
				}
				p, err := img.Patch(tr)
				if err != nil {
					t.Fatal(err)
				}
				name = filepath.Join(dir, fmt.Sprintf("%d.img", i+1))
				apply(t, p, name)
				fsck(t, name)
				back := openImage(t, name)
				sound(t, back)
				for _, d := range diff(tr, back.Tree()) {
					t.Error(d)
				}
				if t.Failed() {
					t.Fatalf("in round %d", i)
				}
			}
		})
	}
}

// copyInto keeps the node of a directory and gives it another's metadata and names.
func copyInto(n, like *tree.Node) *tree.Node {
	for _, name := range n.Names() {
		n.SetChild(name, nil)
	}
	for _, name := range like.Names() {
		n.SetChild(name, like.Child(name))
	}
	n.Mode, n.MTime = like.Mode, like.MTime
	return n
}

func TestPatchUnchanged(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.img")
	write(t, name, smallTree(3), Android(32<<20, "system"))
	img := openImage(t, name)
	p, err := img.Patch(img.Tree())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, p, filepath.Join(dir, "b.img"))
	a, _ := os.ReadFile(name)
	b, _ := os.ReadFile(filepath.Join(dir, "b.img"))
	if !slices.Equal(a, b) {
		t.Error("nothing was changed, and the image is another")
	}
}

// TestPatchPads edits an image whose inode bitmaps have no padding, as
// make_ext4fs leaves them.
func TestPatchPads(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.img")
	write(t, name, smallTree(3), Android(32<<20, "system"))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	img := openImage(t, name)
	at := img.wide(img.desc(0), 4) * img.sb.blockSize
	clear(b[at+int64(img.sb.InodesPerGroup)/8 : at+img.sb.blockSize])
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	img = openImage(t, name)
	n, _ := img.Tree().Lookup("lib/f003")
	n.Mode = tree.Regular | 0o600
	p, err := img.Patch(img.Tree())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, p, name+"2")
	fsck(t, name+"2")
}

func TestPatchFull(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.img")
	write(t, name, smallTree(3), Android(0, "system"))
	img := openImage(t, name)
	_ = img.Tree().Put("big", &tree.Node{Mode: tree.Regular, Data: tree.Bytes(make([]byte, 20<<20))})
	if _, err := img.Patch(img.Tree()); !errors.Is(err, mtkport.ErrTooBig) {
		t.Errorf("%v, want too big", err)
	}
}
