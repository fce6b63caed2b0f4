package main

import (
	"fmt"
	"slices"
)

// rows lists every comparison, group by group.
func rows() []row {
	return slices.Concat(bootRows(), kernelRows(), systemRows(), editRows(), nandRows(), flashRows())
}

func bootRows() []row {
	img := func(b *bed) (map[string]string, error) {
		img, err := b.real("boot/pixi3-boot.img")
		return vars("IMG", img), err
	}
	// The part header stays glued to what abootimg unpacks: 512 bytes are cut
	// from the ramdisk and put back.
	const apart = `abootimg -x "$IMG" >/dev/null
head -c 512 initrd.img >hdr
mkdir rd
tail -c +513 initrd.img | gzip -dc 2>/dev/null | (cd rd && cpio -idm --quiet)
`
	const together = `(cd rd && find . | sort | cpio -o -H newc --quiet) | gzip -6 >rd.gz
cat hdr rd.gz >initrd.new
abootimg --create new.img -c bootsize=0x600000 -f bootimg.cfg -k zImage -r initrd.new >/dev/null`
	const edit = "echo ro.adb.secure=0 >>rd/%s\n"
	theirs := apart + together
	needs := []string{"abootimg", "gzip", "cpio"}
	const ourApart = `"$MTKPORT" boot unpack "$IMG" -o out >/dev/null
"$MTKPORT" ramdisk unpack "$IMG" -o rd >/dev/null
`
	const ourTogether = `"$MTKPORT" ramdisk pack rd -o new.gz >/dev/null
cp new.gz out/ramdisk.cpio.gz
"$MTKPORT" boot repack out -o new.img >/dev/null
`
	return []row{{
		group: "boot", name: "unpack + repack, KitKat boot image", peer: "abootimg + gzip + cpio", aim: "> 1, < 64 MiB",
		needs: needs, setUp: img, theirs: theirs,
		ours: `"$MTKPORT" boot unpack "$IMG" -o out >/dev/null
"$MTKPORT" boot repack out -o new.img >/dev/null
cmp new.img "$IMG"`,
	}, {
		group: "boot", name: "the same with the ramdisk's files, stock bytes again", peer: "abootimg + gzip + cpio", aim: ">= 1",
		needs: needs, setUp: img, theirs: theirs, ours: ourApart + ourTogether + `cmp new.img "$IMG"`,
	}, {
		group: "boot", name: "the same with a file of the ramdisk edited", peer: "abootimg + gzip + cpio",
		needs: needs, setUp: img, theirs: apart + fmt.Sprintf(edit, "default.prop") + together,
		ours: ourApart + fmt.Sprintf(edit, "root/default.prop") + ourTogether,
	}, {
		group: "boot", name: "edit a file of the ramdisk in place", peer: "abootimg + gzip + cpio",
		needs: needs, setUp: img, theirs: apart + fmt.Sprintf(edit, "default.prop") + together,
		ours: `"$MTKPORT" ramdisk cat "$IMG" default.prop >prop
echo ro.adb.secure=0 >>prop
"$MTKPORT" ramdisk put "$IMG" default.prop prop -o new.img >/dev/null`,
	}}
}
