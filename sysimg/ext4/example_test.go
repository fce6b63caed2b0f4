package ext4_test

import (
	"fmt"

	"mtkport/sysimg/ext4"
	"mtkport/sysimg/tree"
)

func ExampleLay() {
	t := tree.New()
	if err := t.Put("hosts", &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte("127.0.0.1 localhost\n"))}); err != nil {
		panic(err)
	}
	p, err := ext4.Lay(t, ext4.Android(8<<20, "system"))
	if err != nil {
		panic(err)
	}
	f, err := ext4.Open(p, p.Size()) // a plan reads as the image that it is
	if err != nil {
		panic(err)
	}
	n, err := f.Tree().Lookup("hosts")
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Size(), n.Size(), p.Layout().Features(), p.Layout().UUID)
	// Output: 8388608 20 [ext_attr resize_inode filetype extent sparse_super large_file uninit_bg] da594c53-9beb-f85c-85c5-cedf76546f7a
}
