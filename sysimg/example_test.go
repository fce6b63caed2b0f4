package sysimg_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

func Example() {
	dir, err := os.MkdirTemp("", "sysimg")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	// A tree, written as a sparse image.
	t := tree.New()
	if err := t.Put("build.prop", &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte("ro.product.model=test\n"))}); err != nil {
		panic(err)
	}
	name := filepath.Join(dir, "system.img")
	f, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	if err := sysimg.Write(context.Background(), f, t, sysimg.Options{To: "sparse", Size: 4 << 20, Label: "system"}); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}

	// And read again, whatever it is.
	m, err := sysimg.OpenPath(name, sysimg.Defaults{Mount: "system"})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	n, err := m.Tree.Lookup("build.prop")
	if err != nil {
		panic(err)
	}
	b := make([]byte, n.Size())
	if _, err := n.Data.ReadAt(b, 0); err != nil {
		panic(err)
	}
	fmt.Print(m.Format, " ", m.Size, " ", m.Layout.Ext4.Label, ": ", string(b))
	// Output: sparse 4194304 system: ro.product.model=test
}
