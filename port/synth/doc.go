// Package synth builds small synthetic MT6572 phones: everything a port, a
// comparison or a simulated phone needs, and not one byte of any vendor.
//
//	ph := synth.Panther() // or Lynx: another maker's phone with the same chip
//	err := ph.Firmware(ctx, root) // a firmware folder: scatter and images
//	err = ph.Package(w)           // a flashable zip with an updater-script
//	fl, err := ph.Flash()         // what its storage holds: BOOT1, USER
//
// A phone has a boot image with MediaTek's headers; a kernel (zImage, gzip
// payload) with banner, symbol table, exports, and the driver tables of panels,
// cameras, touch and motion sensor that package bootimg/kernel reads; modules
// with the kernel's vermagic; a ramdisk with init files, fstab and default.prop; a
// system of a few hundred files whose programs and libraries are real ELF files
// with needs and symbols; build.prop; a scatter; and on its storage the identity
// partitions with bytes that can be recognised.
//
// The code inside does nothing: every function returns. Nothing here boots.
// All is deterministic: the same version of this package makes the same bytes.
//
// Forms follow the measured facts that the format rooms cite.
package synth
