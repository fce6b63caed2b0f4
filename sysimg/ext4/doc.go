// Package ext4 reads and writes the ext4 images of eMMC phones.
//
// [Open] reads an image into one [tree.Tree]; contents stay in the image until
// they are read:
//
//	fs, err := ext4.Open(f, size)
//	n, err := fs.Tree().Lookup("build.prop")
//	io.Copy(w, io.NewSectionReader(n.Data, 0, n.Size()))
//
// The reader knows extents of any depth and block pointers, holes and
// uninitialised extents, linear and hashed directories, attributes in the inode
// and in a block, inline data, and a journal that waits for replay (replayed in
// memory; the image is never written). Damage is a list ([FS.Problems]): what
// can be read is read. Checksum faults are notes, not refusals.
//
// [Write] makes an image in the layout of Android's own builder make_ext4fs:
// 4 KiB blocks, 256-byte inodes, no flex groups, CRC-16 group descriptors,
// reserved blocks for resizing, contents in path order. [FS.Layout] copies the
// parameters of an existing image, [Android] gives those of make_ext4fs. The
// same tree and layout give the same bytes. An image that does not fit is
// refused with what it needs and what there is.
//
// Not written: hashed directories, flex groups, 64-bit group numbers and
// metadata checksums; an image that had them is written without. Not read:
// encrypted contents, compressed files (a feature that no kernel has).
//
// Limits: blocks 1 to 64 KiB, extent trees of depth 5, 1,048,576 names,
// 64 KiB of attributes a file, 4,194,304 extents a file.
//
// Sources: the kernel's Documentation/filesystems/ext4, the public sources of
// make_ext4fs and e2fsprogs (layout facts, no code), and measurement.
package ext4
