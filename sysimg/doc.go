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
// [OpenPath] opens by name: also a folder, the files of a split sparse image
// (system.img_sparsechunk.0 …), system.new.dat with its transfer list, tar and
// zip archives. [Edit] writes an edited tree back: ext4 in place on a copy, where
// only what must change does. [Convert] changes the container and keeps the
// bytes where it can, [Diff] compares two trees, [Image.Verify] reads all.
//
// Limits: tar archives without sparse members; zip archives are read only; a
// file whose map is broken is lost as a whole, and named.
//
// The containers are packages of their own (sparse, ext4, ubifs, yaffs2); each
// states its sources and limits.
package sysimg
