package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
)

func kernelRows() []row {
	image := func(b *bed) (map[string]string, error) {
		boot, err := b.real("boot/a516-boot.img")
		if err != nil {
			return nil, err
		}
		raw, err := b.input("a516.Image", func(p string) error { return gunzip(boot, p) })
		return vars("IMG", boot, "RAW", raw), err
	}
	xz := func(b *bed) (map[string]string, error) {
		boot, err := b.real("boot/opi3g-boot_emmc.img")
		return vars("IMG", boot), err
	}
	return []row{
		{
			// theirs gets the kernel unpacked: it does not look into a boot image
			group: "kernel", name: "ELF with symbols, gzip kernel", peer: "vmlinux-to-elf", aim: "≥ 10", needs: []string{"vmlinux-to-elf"}, setUp: image,
			ours: `"$MTKPORT" -q kernel elf "$IMG" -o k.elf`, theirs: `vmlinux-to-elf "$RAW" k.elf >/dev/null 2>&1`,
		},
		{
			group: "kernel", name: "open, symbols, drivers: gzip", aim: "< 150 ms, < 96 MiB", setUp: image,
			ours: `"$MTKPORT" kernel drivers "$IMG" >/dev/null`,
		},
		{
			group: "kernel", name: "open, symbols, drivers: xz", aim: "< 400 ms, < 96 MiB", setUp: xz,
			ours: `"$MTKPORT" kernel drivers "$IMG" >/dev/null`,
		},
	}
}

// gunzip writes the first gzip stream of a file to another.
func gunzip(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	i := bytes.Index(b, []byte("\x1f\x8b\x08\x00"))
	if i < 0 {
		return errors.New(from + ": no gzip stream")
	}
	z, err := gzip.NewReader(bytes.NewReader(b[i:]))
	if err != nil {
		return err
	}
	z.Multistream(false) // padding follows
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, z)
	return errors.Join(err, out.Close())
}
