// Package inspect answers "what is this?" for any file or folder of a phone's
// firmware, and for a whole ROM shows what it claims beside what it is.
//
//	r, err := inspect.Path(ctx, "boot.img")
//	fmt.Println(r.Is, r.What)       // android-boot  Android boot image …
//	for _, f := range r.Facts { … } // page size, kernel, panels, …
//
// A file is told by its bytes, never by its name. What is known: boot images,
// MediaTek parts (lk, logo, kernel, ramdisk), preloaders in both forms, secro,
// seccfg, scatter files, dumchar_info, MBR/EBR, PMT, full dumps, sparse, ext4,
// UBI, UBIFS, YAFFS2 and FAT images, ELF libraries and modules, kernels,
// ramdisks, device trees, Download Agents, packages, dex and odex, build.prop,
// fstab, init scripts, kernel configurations; and folders: bundles, backups,
// unpacked images, ROMs.
//
// # Claimed and real
//
// Clones lie: build.prop is a text file. Each question (Android version, chip,
// memory, storage, panel, board, width of the processor) becomes one [Claim]
// with what the ROM says of itself, what parts that are harder to forge show,
// and where each was read. Where the two disagree there is a finding (see
// [Codes]). A clone is no error, but the claimed model must never select a
// driver or a scatter.
//
// # Limits
//
// Nothing is unpacked to disk. Of texts the first MiB is read, of other files
// their headers; kernels and ramdisks are unpacked in memory within their rooms'
// bounds. What no reader knows is reported with its first bytes, never guessed.
//
// Sources: Android's release notes for version and sdk; marks of odex and oat
// files from AOSP dalvik/libdex and art; kernel releases by BSP branch, memory
// lists and header marks measured on MT6572 firmware.
package inspect
