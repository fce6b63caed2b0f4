package main

import "slices"

// rows lists every comparison, group by group.
func rows() []row {
	return slices.Concat(bootRows(), kernelRows(), systemRows(), editRows(), nandRows(), flashRows())
}

func bootRows() []row {
	return []row{{
		group: "boot", name: "unpack + repack, KitKat boot image", peer: "abootimg + gzip + cpio", aim: "> 1, < 64 MiB",
		needs: []string{"abootimg", "gzip", "cpio"},
		setUp: func(b *bed) (map[string]string, error) {
			img, err := b.real("boot/pixi3-boot.img")
			return vars("IMG", img), err
		},
		ours: `"$MTKPORT" boot unpack "$IMG" -o out
"$MTKPORT" ramdisk unpack "$IMG" -o rd
"$MTKPORT" ramdisk pack rd -o new.gz
"$MTKPORT" boot repack out -o new.img
cmp new.img "$IMG"`,
		// The part header stays glued to what abootimg unpacks: 512 bytes are cut
		// from the ramdisk and put back.
		theirs: `abootimg -x "$IMG" >/dev/null
head -c 512 initrd.img >hdr
mkdir rd
tail -c +513 initrd.img | gzip -dc 2>/dev/null | (cd rd && cpio -idm --quiet)
(cd rd && find . | sort | cpio -o -H newc --quiet) | gzip -6 >rd.gz
cat hdr rd.gz >initrd.new
abootimg --create new.img -f bootimg.cfg -k zImage -r initrd.new >/dev/null`,
	}}
}
