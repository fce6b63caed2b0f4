// Package splice carries a plan out: it makes the bundle of a port.
//
//	m, err := splice.Write(ctx, in, dir) // dir is a *mtkport.Dir; the caller commits it
//
// A bundle is a folder:
//
//	boot.img        the target's, its ramdisk changed where the plan says so
//	system.img      the result's system in the target's container and layout
//	NAME_scatter.txt the target's scatter: identity and boot loaders not for download
//	manifest.json   every output with size, SHA-256 and sources; every file of system.img
//	SHA256SUMS      the sums of the images, for sha256sum -c
//	plan.yaml       the plan that was carried out
//	report.md       the repair log
//
// What a plan takes is taken whole: contents stream from their source, owners,
// modes, times and labels come from the side the file comes from, folders from
// the side the port starts from. A file without label in a labelled system gets
// that of its folder. boot.img that needs no change is copied byte for byte.
//
// After writing, system.img is opened again and every file compared with its
// source; a difference is an error and no bundle appears.
//
// # Refusals
//
// ErrTooBig names both sizes when boot or system outgrow their partition;
// ErrRefused when donor and target live on different storage (eMMC, NAND).
package splice
