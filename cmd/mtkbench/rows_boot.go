package main

import "slices"

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
	const theirs = `abootimg -x "$IMG" >/dev/null
head -c 512 initrd.img >hdr
mkdir rd
tail -c +513 initrd.img | gzip -dc 2>/dev/null | (cd rd && cpio -idm --quiet)
(cd rd && find . | sort | cpio -o -H newc --quiet) | gzip -6 >rd.gz
cat hdr rd.gz >initrd.new
abootimg --create new.img -c bootsize=0x600000 -f bootimg.cfg -k zImage -r initrd.new >/dev/null`
	needs := []string{"abootimg", "gzip", "cpio"}
	return []row{{
		group: "boot", name: "unpack + repack, KitKat boot image", peer: "abootimg + gzip + cpio", aim: "> 1, < 64 MiB",
		needs: needs, setUp: img, theirs: theirs,
		ours: `"$MTKPORT" boot unpack "$IMG" -o out >/dev/null
"$MTKPORT" boot repack out -o new.img >/dev/null
cmp new.img "$IMG"`,
	}, {
		group: "boot", name: "the same with the ramdisk's files, stock bytes again", peer: "abootimg + gzip + cpio",
		needs: needs, setUp: img, theirs: theirs,
		ours: `"$MTKPORT" boot unpack "$IMG" -o out >/dev/null
"$MTKPORT" ramdisk unpack "$IMG" -o rd >/dev/null
"$MTKPORT" ramdisk pack rd -o new.gz >/dev/null
"$MTKPORT" boot repack out -o new.img >/dev/null
cmp new.img "$IMG"`,
	}}
}
