// Package ramdisk reads, edits and writes Android ramdisks: cpio archives in
// the "newc" form, bare or packed by gzip, lz4, lzma, xz, lzop, bzip2 or zstd.
//
//	a, err := ramdisk.Open(f, size)         // found by magic, whatever packs it
//	b, err := a.ReadFile("default.prop")
//	err = a.Put("default.prop", append(b, "ro.adb.secure=0\n"...))
//	_, err = a.WriteTo(out)                 // untouched: the very bytes of f
//
// Nothing touches the disk, and no rights are needed: owners, modes, links and
// device nodes are fields of an archive. [Archive.Unpack] and [Pack] are for
// those who want a folder; a side file keeps there what a disk cannot.
//
// # What is kept
//
// Each of the thirteen header fields is kept as the eight bytes it was written
// with, beside the decoded value; names, padding, trailers, archives that
// follow one another and whatever follows the compressed stream are kept too.
// An archive that was not changed is written from the original bytes; in a
// changed one only the fields, names and contents that were changed differ
// before compression.
//
// github.com/cavaliergopher/cpio is not the codec here, because it cannot do
// that: it writes hex digits in upper case (Android's mkbootfs writes lower),
// has no fields for device numbers, so that a console node comes back as 0:0,
// swallows the trailer and what follows it, and slices out of bounds on a size
// of "-0000001". It is the independent reader in the tests of this package.
//
// # The maker's form
//
// Android's mkbootfs writes magic 070701, lower case hex, names sorted folder
// by folder, inodes counted from 300000, one link, no times, no device numbers,
// a trailer with the next inode and mode 0644, zeros up to a multiple of 256;
// minigzip then packs it as zlib does at level 6. [New] writes this form, and
// the side file of Unpack lists only what deviates from it, so that unpacking
// to a folder and packing that gives the stock bytes, even if only names, modes
// and contents are left of the folder.
//
// # Limits
//
// An archive is held unpacked in memory, [MaxUnpacked] bytes at most unless
// [Options] say otherwise; decoders get a dictionary of at most 64 MiB. The old
// binary and "odc" cpio forms are not read (no kernel does). lz4 is the legacy
// frame, the only one kernels unpack. The xz writer uses no ARM filter and
// CRC32, as kernels want. Of compressors, zlib and GNU gzip are reproduced byte
// for byte (see package deflate below this one); of all, the original stream is
// written again where nothing changed.
//
// # Sources
//
// Linux Documentation/driver-api/early-userspace/buffer-format.rst and
// init/initramfs.c (cpio), RFC 1952 (gzip), lib/decompress_unlz4.c,
// lib/decompress_unlzo.c, Documentation/staging/lzo.rst, RFC 8878 (zstd), the
// .lzma and .xz format descriptions of XZ Utils, and Android's
// core/cpio/mkbootfs.c and android_filesystem_config.h.
package ramdisk
