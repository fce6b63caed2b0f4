// Package bootimg reads, edits and writes Android boot images (boot.img,
// recovery.img) as MediaTek phones have them, and standalone files that carry
// MediaTek's 512-byte part header (lk.bin, logo.bin, loose kernels).
//
//	f, _ := os.Open("boot.img")
//	st, _ := f.Stat()
//	img, err := bootimg.Open(f, st.Size())
//	// img.Header(), img.Section(bootimg.Kernel).Payload(), img.Notes() …
//	e := img.Edit()
//	err = e.SetPayload(bootimg.Ramdisk, newRamdisk, size)
//	_, err = e.WriteTo(out)
//
// An edit is the original plus replacements: what is not replaced is copied
// from the source byte for byte, padding, surplus bytes and a partition dump's
// tail included, so an image that is opened and written is the same image.
// Oddities that real phones boot with (an id that no rule gives, an empty
// ramdisk, a file that ends short of its padding) are [Image.Notes], never
// refusals.
//
// # Limits
//
// Header versions 0, 1 and 2 and the old dt flavour are handled; versions 3 and
// 4 are refused by name. Page sizes are powers of two from 2048 to 16384, read
// from 1024 to 131072.
// Nothing inside a section is decoded: kernels are bootimg/kernel's work,
// ramdisks the ramdisk package's.
//
// # Sources
//
// AOSP system/tools/mkbootimg include/bootimg/bootimg.h for the header; the part
// header was measured on 42 MediaTek kernels and images (magic 0x58881688), its
// extended form on MT6580 and MT6735 files (magic 0x58891689 at byte 48).
package bootimg
