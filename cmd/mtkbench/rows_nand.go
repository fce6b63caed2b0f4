package main

import (
	"os"
	"os/exec"
	"path/filepath"
)

// nandTree is the size of the folder that NAND images are made of, MiB.
const nandTree = 150

func nandRows() []row {
	tree := func(b *bed) (map[string]string, error) {
		t, err := b.input("nandtree", func(p string) error { return systemTree(p, nandTree) })
		return vars("TREE", t), err
	}
	ubi := func(b *bed) (map[string]string, error) {
		v, err := tree(b)
		if err != nil {
			return nil, err
		}
		v["UBI"], err = b.input("system.ubi", func(p string) error {
			return exec.Command(b.mtkport, "-q", "system", "build", v["TREE"], "--to", "ubi", "--size", "400M", "-o", p).Run()
		})
		return v, err
	}
	yaffs := func(b *bed) (map[string]string, error) {
		v, err := tree(b)
		if err != nil {
			return nil, err
		}
		v["YAFFS"], err = b.input("system.yaffs2", func(p string) error {
			return exec.Command(b.mtkport, "-q", "system", "build", v["TREE"], "--to", "yaffs2", "-o", p).Run()
		})
		return v, err
	}
	return []row{
		{
			group: "ubifs", name: "list 150 MiB", aim: "< 50 ms, < 128 MiB", setUp: ubi, ours: `"$MTKPORT" system ls "$UBI" >/dev/null`,
		},
		{
			group: "ubifs", name: "extract 150 MiB", peer: "ubi_reader", aim: "≥ 20", needs: []string{"ubireader_extract_files"}, setUp: ubi,
			ours: `"$MTKPORT" -q system extract "$UBI" -o out`, theirs: `ubireader_extract_files -k -o out "$UBI" >/dev/null 2>&1`,
		},
		{
			group: "ubifs", name: "build 150 MiB, LZO", peer: "mkfs.ubifs + ubinize", aim: "≥ 3", needs: []string{"mkfs.ubifs", "ubinize"}, setUp: tree,
			ours: `"$MTKPORT" -q system build "$TREE" --to ubi --size 400M -o new.ubi`,
			theirs: `mkfs.ubifs -m 2048 -e 126976 -c 3200 -x lzo -r "$TREE" new.ubifs
printf '[v]\nmode=ubi\nimage=new.ubifs\nvol_id=0\nvol_type=dynamic\nvol_name=system\nvol_flags=autoresize\n' >u.ini
ubinize -m 2048 -p 128KiB -s 2048 -o new.ubi u.ini`,
		},
		{
			group: "yaffs2", name: "list 150 MiB", aim: "< 50 ms, < 64 MiB", setUp: yaffs, ours: `"$MTKPORT" system ls "$YAFFS" >/dev/null`,
		},
		{
			group: "yaffs2", name: "extract 150 MiB", peer: "unyaffs", aim: "≥ 1.0", needs: []string{"unyaffs"}, setUp: yaffs,
			ours: `"$MTKPORT" -q system extract "$YAFFS" -o out`, theirs: `mkdir out; unyaffs "$YAFFS" out >/dev/null`,
		},
		{
			group: "yaffs2", name: "build 150 MiB", peer: "mkyaffs2", aim: "≥ 1.0", needs: []string{"mkyaffs2"}, setUp: tree,
			ours: `"$MTKPORT" -q system build "$TREE" --to yaffs2 -o new.yaffs2`, theirs: `mkyaffs2 "$TREE" new.yaffs2 >/dev/null`,
		},
	}
}

func editRows() []row {
	return []row{{
		group: "ext4", name: "replace one file in a 1 GiB image", aim: "< 1 s, < 64 MiB", needs: []string{"mke2fs"},
		setUp: func(b *bed) (map[string]string, error) {
			tree, _, err := b.system()
			if err != nil {
				return nil, err
			}
			img, err := b.input("gib.img", func(p string) error { return makeExt4(p, tree, 1024) })
			if err != nil {
				return nil, err
			}
			file, err := b.input("new.so", func(p string) error { return os.WriteFile(p, make([]byte, 3<<20), 0o644) })
			return vars("IMG", img, "FILE", file, "NAME", filepath.ToSlash(filepath.Join("lib", "file0000.so"))), err
		},
		ours: `"$MTKPORT" -q system put "$IMG" "$NAME" "$FILE" -o new.img`,
	}}
}
