package main

import (
	"github.com/urfave/cli/v2"

	"mtkport/sysimg"
	"mtkport/sysimg/ubifs"
	"mtkport/sysimg/yaffs2"
)

// nandFlags shape images for raw NAND.
func nandFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "page", Usage: "ubi, ubifs, yaffs2: page size of the flash, 2048 or 4096; by default as before, else 2048"},
		&cli.StringFlag{Name: "peb", Usage: "ubi, ubifs: size of an eraseblock (k, M); by default as before, else 64 pages"},
		&cli.StringFlag{Name: "compress", Usage: "ubi, ubifs: lzo, zlib, zstd or none; by default as before, else lzo"},
		&cli.StringFlag{Name: "tags", Usage: "yaffs2: where the tags lie in the spare bytes, at-2, at-0, at-1 or fdm; by default as before, else at-2"},
	}
}

// nandOptions reads nandFlags.
func nandOptions(c *cli.Context) (n sysimg.NAND, err error) {
	size := func(name string, p *int) {
		if s := c.String(name); s != "" && err == nil {
			v, bad := parseSize(s)
			if bad != nil || v > 16<<20 {
				err = usageError{"--" + name + ": " + s + ", want a number of bytes like 2048 or 128k"}
			}
			*p = int(v)
		}
	}
	size("page", &n.Page)
	size("peb", &n.PEB)
	if s := c.String("compress"); s != "" && err == nil {
		n.Compression = new(ubifs.Compression)
		if bad := n.Compression.UnmarshalText([]byte(s)); bad != nil {
			err = usageError{"--compress: " + bad.Error()}
		}
	}
	if s := c.String("tags"); s != "" && err == nil {
		n.Tags = new(yaffs2.Tags)
		if bad := n.Tags.UnmarshalText([]byte(s)); bad != nil {
			err = usageError{"--tags: " + bad.Error()}
		}
	}
	return n, err
}
