// Package ubi reads and writes UBI images: the volumes that Linux keeps on raw
// NAND flash, each a row of logical eraseblocks (LEB) scattered over physical
// ones (PEB).
//
//	img, err := ubi.Open(r, size)
//	for _, v := range img.Volumes() {
//		fmt.Println(v.Name, v.LEBs, v.LEBSize)
//	}
//
// [Open] attaches as the kernel does: each PEB says in its headers which LEB it
// holds; of two copies the higher sequence number wins, unless it is a copy
// whose checksum is wrong. A dump with the spare bytes of each page in it is
// seen and looked through ([Spare]). What is broken or missing is told in
// [Image.Problems]; it is no error while one header is good.
//
// [Write] makes what ubinize makes: the volume table twice, then the volumes in
// order. The same input gives the same bytes. LEBs that hold nothing are left
// as erased blocks.
//
// Limits: UBI version 1; fastmap volumes are ignored (they only speed up the
// attach); PEBs of 16 KiB to 16 MiB.
//
// Source of the format: drivers/mtd/ubi/ubi-media.h of the Linux kernel, the
// on-flash structures and the rules in its comments. All fields big-endian.
package ubi
