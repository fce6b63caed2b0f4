package main

import "os/exec"

func systemRows() []row {
	img := func(b *bed) (map[string]string, error) {
		tree, img, err := b.system()
		return vars("IMG", img, "TREE", tree), err
	}
	sparse := func(b *bed) (map[string]string, error) {
		v, err := img(b)
		if err != nil {
			return nil, err
		}
		if err := need("img2simg"); err != nil {
			return nil, err
		}
		v["SIMG"], err = b.input("system.simg", func(p string) error { return exec.Command("img2simg", v["IMG"], p).Run() })
		return v, err
	}
	return []row{
		{
			group: "sparse", name: "decode 700 MiB", peer: "simg2img", aim: "≥ 1.5", needs: []string{"simg2img"}, setUp: sparse,
			ours: `"$MTKPORT" -q system convert "$SIMG" --to ext4 -o raw.img`, theirs: `simg2img "$SIMG" raw.img`,
		},
		{
			group: "sparse", name: "encode 700 MiB", peer: "img2simg", aim: "≥ 1.5", needs: []string{"img2simg"}, setUp: img,
			ours: `"$MTKPORT" -q system convert "$IMG" --to sparse -o s.img`, theirs: `img2simg "$IMG" s.img`,
		},
		{
			group: "ext4", name: "list", peer: "7z l", aim: "< 50 ms", needs: []string{"7zz"}, setUp: img,
			ours: `"$MTKPORT" system ls "$IMG" >/dev/null`, theirs: `7zz l "$IMG" >/dev/null`,
		},
		{
			group: "ext4", name: "extract 545 MiB", peer: "7z x", aim: "≥ 1.2", needs: []string{"7zz"}, setUp: img,
			ours: `"$MTKPORT" -q system extract "$IMG" -o out`, theirs: `7zz x -y -oout "$IMG" >/dev/null || [ $? -le 2 ]`,
		},
		{
			group: "ext4", name: "extract 545 MiB", peer: "debugfs rdump", aim: "≥ 1.5", needs: []string{"debugfs"}, setUp: img,
			ours: `"$MTKPORT" -q system extract "$IMG" -o out`, theirs: `mkdir out; debugfs -R "rdump / out" "$IMG" >/dev/null 2>&1`,
		},
		{
			group: "ext4", name: "build 700 MiB from a folder", peer: "mke2fs -d", aim: "≥ 2", needs: []string{"mke2fs"}, setUp: img,
			ours:   `"$MTKPORT" -q system build "$TREE" --to ext4 --size 700M -o new.img`,
			theirs: `mke2fs -q -F -t ext4 -O ` + features44 + ` -b 4096 -I 256 -m 0 -L system -d "$TREE" new.img 700M`,
		},
		{
			group: "ext4", name: "build 700 MiB from a folder", peer: "make_ext4fs", aim: "≥ 1.0", needs: []string{"make_ext4fs"}, setUp: img,
			ours:   `"$MTKPORT" -q system build "$TREE" --to ext4 --size 700M -o new.img`,
			theirs: `make_ext4fs -l 700M new.img "$TREE" >/dev/null`,
		},
	}
}
