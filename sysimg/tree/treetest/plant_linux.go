package treetest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mtkport/sysimg/tree"
)

// Plant writes tr into a folder with owners, attributes and devices, for the
// tools that build images from folders. It needs to be root.
func Plant(t testing.TB, tr *tree.Tree, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make devices and owners")
	}
	first := map[*tree.Node]string{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(tr.Walk(func(path string, n *tree.Node) error {
		full := filepath.Join(dir, path)
		if old, ok := first[n]; ok && !n.IsDir() {
			return os.Link(old, full)
		}
		first[n] = full
		return plantNode(full, n)
	}))
	for n, full := range first { // times last: making children changes them
		if n.Type() == tree.Symlink {
			must(unix.Lutimes(full, []unix.Timeval{unix.NsecToTimeval(n.MTime.UnixNano()), unix.NsecToTimeval(n.MTime.UnixNano())}))
			continue
		}
		must(os.Chtimes(full, n.MTime, n.MTime))
	}
}

func plantNode(full string, n *tree.Node) error {
	var err error
	switch n.Type() {
	case tree.Dir:
		err = os.MkdirAll(full, 0o755)
	case tree.Symlink:
		return errors.Join(os.Symlink(n.Target, full), os.Lchown(full, int(n.UID), int(n.GID)))
	case tree.Regular:
		err = plantFile(full, n)
	default:
		err = syscall.Mknod(full, n.Mode, int(unix.Mkdev(n.Major, n.Minor)))
	}
	err = errors.Join(err, os.Lchown(full, int(n.UID), int(n.GID)), syscall.Chmod(full, n.Mode&0o7777))
	for name, v := range n.Xattrs {
		err = errors.Join(err, unix.Lsetxattr(full, name, v, 0))
	}
	return err
}

func plantFile(full string, n *tree.Node) error {
	f, err := os.Create(full)
	if err != nil {
		return err
	}
	defer f.Close()
	if n.Data == nil {
		return nil
	}
	ranges := []tree.Range{{Off: 0, Len: n.Data.Size()}}
	if s, ok := n.Data.(tree.Sparse); ok {
		ranges = s.Data()
	}
	for _, r := range ranges {
		b := make([]byte, r.Len)
		if _, err := n.Data.ReadAt(b, r.Off); err != nil && n.Data.Size() != r.Off+r.Len {
			return err
		}
		if _, err := f.WriteAt(b, r.Off); err != nil {
			return err
		}
	}
	return f.Truncate(n.Data.Size())
}
