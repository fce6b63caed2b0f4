// Package kernel looks inside an ARM Linux kernel of a MediaTek phone: which
// version and build it is, how it is packed, its symbols, exports and options,
// the drivers compiled into it and those the board declares, and which modules
// it would load.
//
//	k, err := kernel.Open(f, size)
//	fmt.Println(k.Version(), k.SoC().Name)
//	for _, d := range k.Drivers(kernel.Builtin()).List {
//		fmt.Println(d.Kind, d.Name, d.ID, d.State)
//	}
//
// # What it opens
//
// A zImage, with or without the 512-byte MediaTek part header in front and
// device trees behind; a bare packed kernel; a bare Image; a vmlinux. The
// payload (gzip, xz with the ARM filter, lzma, lzo, lz4, bzip2) is found by
// really unpacking every place that carries a magic; the first that gives more
// than 1 MiB with a Linux banner in it is the kernel. Boot images belong to
// package bootimg; hand in their kernel section.
//
// # Limits
//
// 32-bit little endian ARM. A file and an unpacked kernel hold at most 64 MiB.
// kallsyms is read in the form of kernels 2.6.10 to 4.5 (absolute addresses).
// Everything is read from the bytes: no kernel code runs, no file is written.
//
// # Sources
//
// Linux: scripts/kallsyms.c, kernel/kallsyms.c, kernel/module.c,
// include/linux/export.h, arch/arm/boot/compressed; the driver tables were
// measured on public kernels of MT6571 to MT6592 phones.
package kernel
