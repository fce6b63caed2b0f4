// Package sysimg opens a system image, whatever holds it, as one tree, and
// writes a tree into any container that MT6572 phones take.
//
//	img, err := sysimg.Open(f, size)            // sparse, ext4, UBI, UBIFS, YAFFS2 …
//	n, err := img.Tree.Lookup("build.prop")
//	img.Tree.Put("build.prop", changed)
//	err = sysimg.Write(ctx, out, img.Tree, sysimg.Options{Like: img})
//
// [Extract] writes a tree to a folder: the files below DIR/files, and all that a
// disk cannot keep (owners, modes, times, labels and other attributes, hard
// links, links, devices, names that Windows refuses) in DIR/sysimg.json.
// [ReadFolder] makes the tree again. Both work without root on any system, and
// nothing is written outside DIR, whatever names and links an image holds.
//
// The containers are packages of their own (sparse, ext4, ubifs, yaffs2); each
// states its sources and limits.
package sysimg
