package ext4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"
)

// fsck runs e2fsck -fn and wants nothing to complain of.
func fsck(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath("e2fsck"); err != nil {
		t.Log("needs e2fsck")
		return
	}
	if out, err := exec.Command("e2fsck", "-fn", name).CombinedOutput(); err != nil || bytes.Contains(out, []byte("IGNORED")) {
		t.Errorf("e2fsck -fn: %v\n%.3000s", err, out)
	}
}

// write makes an image file of a tree.
func write(t *testing.T, name string, tr *tree.Tree, l Layout) *Plan {
	t.Helper()
	p, err := Lay(tr, l)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(p.Size()); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(context.Background(), f, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// diff lists how two trees differ, lost+found apart when only one has it.
func diff(a, b *tree.Tree) []string {
	list := func(t *tree.Tree) map[string]*tree.Node {
		m := map[string]*tree.Node{}
		_ = t.Walk(func(p string, n *tree.Node) error { m[p] = n; return nil })
		return m
	}
	ma, mb := list(a), list(b)
	var out []string
	for p, x := range ma {
		y := mb[p]
		if y == nil {
			if p != "lost+found" {
				out = append(out, p+": only in the first")
			}
			continue
		}
		if s := nodeDiff(x, y); s != "" {
			out = append(out, p+": "+s)
		}
	}
	for p := range mb {
		if ma[p] == nil && p != "lost+found" {
			out = append(out, p+": only in the second")
		}
	}
	if la, lb := fmt.Sprint(linkPaths(a)), fmt.Sprint(linkPaths(b)); la != lb {
		out = append(out, "links "+la+" and "+lb)
	}
	slices.Sort(out)
	return out
}

func linkPaths(t *tree.Tree) []string {
	var out []string
	for _, p := range t.Links() {
		out = append(out, strings.Join(p, "="))
	}
	slices.Sort(out)
	return out
}

func nodeDiff(x, y *tree.Node) string {
	switch {
	case x.Mode != y.Mode || x.UID != y.UID || x.GID != y.GID:
		return fmt.Sprintf("mode %o %d:%d and %o %d:%d", x.Mode, x.UID, x.GID, y.Mode, y.UID, y.GID)
	case !x.MTime.IsZero() && !x.MTime.Equal(y.MTime):
		return fmt.Sprintf("time %v and %v", x.MTime, y.MTime)
	case x.Target != y.Target || x.Major != y.Major || x.Minor != y.Minor || x.Size() != y.Size():
		return "target, device or size"
	case len(x.Xattrs) != len(y.Xattrs):
		return fmt.Sprintf("%d and %d attributes", len(x.Xattrs), len(y.Xattrs))
	}
	for k, v := range x.Xattrs {
		if !bytes.Equal(v, y.Xattrs[k]) {
			return fmt.Sprintf("%s %q and %q", k, v, y.Xattrs[k])
		}
	}
	return dataDiff(x.Data, y.Data)
}

func dataDiff(x, y tree.Content) string {
	if x == nil || y == nil {
		return ""
	}
	bx, by := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); off < x.Size(); off += int64(len(bx)) {
		n := min(int64(len(bx)), x.Size()-off)
		if err := tree.ReadFull(x, bx[:n], off); err != nil {
			return err.Error()
		}
		if err := tree.ReadFull(y, by[:n], off); err != nil {
			return err.Error()
		}
		if !bytes.Equal(bx[:n], by[:n]) {
			return fmt.Sprintf("contents after 0x%x", off)
		}
	}
	return ""
}

// TestBigRewrite writes the tree of each image of MTKPORT_EXT4_IMAGES again.
func TestBigRewrite(t *testing.T) {
	dir := os.Getenv("MTKPORT_EXT4_IMAGES")
	if dir == "" {
		t.Skip("needs MTKPORT_EXT4_IMAGES, a folder of images made from its folder tree")
	}
	images, _ := filepath.Glob(filepath.Join(dir, "*.img"))
	for _, name := range images {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".img"), func(t *testing.T) {
			src := openImage(t, name)
			l := src.Layout()
			t.Logf("%v, not written: %v", l.Features(), l.Unwritten())
			out := filepath.Join(t.TempDir(), "out.img")
			for _, size := range []int64{l.Size, 0} {
				l.Size = size
				p := write(t, out, src.Tree(), l)
				fsck(t, out)
				back := openImage(t, out)
				for _, d := range diff(src.Tree(), back.Tree()) {
					t.Error(d)
				}
				for _, p := range back.Problems() {
					t.Error(p.Code, p.Subject, p.Text)
				}
				t.Logf("size %d: %d bytes copied", p.Size(), p.Bytes())
			}
			l.Size = 300 << 20
			if _, err := Lay(src.Tree(), l); !errors.Is(err, mtkport.ErrTooBig) {
				t.Errorf("in 300 MiB: %v", err)
			} else {
				t.Log(err)
			}
		})
	}
}

// TestLabelUUID: this UUID is on every device whose image make_ext4fs built
// without a label.
func TestLabelUUID(t *testing.T) {
	if got := Android(0, "").UUID.String(); got != "57f8f4bc-abf4-655f-bf67-946fc0f9f25b" {
		t.Error(got)
	}
}
