package sysimg

import (
	"cmp"
	"context"
	"io"

	"mtkport"
	"mtkport/sysimg/fat"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/ubifs"
	"mtkport/sysimg/ubifs/ubi"
	"mtkport/sysimg/yaffs2"
)

// More holds the layouts of the NAND containers.
type More struct {
	UBIFS  *ubifs.Layout  `json:"ubifs,omitempty"`
	YAFFS2 *yaffs2.Layout `json:"yaffs2,omitempty"`
}

// NAND says what of a flash shall be otherwise than in the layout. Sizes in
// bytes; what is zero or nil stays.
type NAND struct {
	Page        int                // 2048, 4096
	PEB         int                // eraseblock
	Compression *ubifs.Compression // of UBIFS
	Tags        *yaffs2.Tags       // placement, of YAFFS2
}

// ubifs changes a layout. Another geometry makes another file system: sizes that
// were counted in the old one are chosen anew.
func (n NAND) ubifs(l *ubifs.Layout) {
	if n.Compression != nil {
		l.Compression = *n.Compression
	}
	if n.Page == 0 && n.PEB == 0 {
		return
	}
	page := cmp.Or(n.Page, l.MinIO, 2048)
	peb := cmp.Or(n.PEB, 64*page)
	fresh := ubifs.Layout{MinIO: page, LEBSize: peb - 2*page, Compression: l.Compression, SpaceFixup: l.SpaceFixup}
	if v := l.UBI; v != nil {
		g := ubi.Geometry{PEBSize: peb, VIDOffset: page, DataOffset: 2 * page, ImageSeq: v.ImageSeq}
		fresh.UBI = &ubifs.Volume{Geometry: g, ID: v.ID, Name: v.Name, Autoresize: v.Autoresize}
	}
	*l = fresh
}

func (n NAND) yaffs2(l *yaffs2.Layout) {
	if n.Page != 0 && n.Page != l.Page {
		l.Page, l.Spare = n.Page, n.Page/32
	}
	if n.Tags != nil {
		l.Tags = *n.Tags
		l.ECC = l.ECC && l.Tags != yaffs2.TagsInFDM // which have no room for it
	}
}

// moreContainers lists the containers besides sparse and ext4.
func moreContainers() []container {
	return []container{
		{"fat", func(b []byte, _ io.ReaderAt, _ int64) bool { return fat.Is(b) }, openFAT, nil},
		{"ubi", isUBI, openUBIFS, writeUBIFS},
		{"ubifs", isUBIFS, openUBIFS, writeUBIFS},
		{"yaffs2", isYAFFS2, openYAFFS2, writeYAFFS2}, // last: nothing but its pages tells it
	}
}

func isUBI(b []byte, r io.ReaderAt, size int64) bool   { return ubifs.Kind(r, size) == "ubi" }
func isUBIFS(b []byte, r io.ReaderAt, size int64) bool { return ubifs.Kind(r, size) == "ubifs" }

func isYAFFS2(_ []byte, r io.ReaderAt, size int64) bool {
	_, err := yaffs2.Detect(r, size)
	return err == nil
}

func openUBIFS(r io.ReaderAt, size int64) (*Image, error) {
	f, err := ubifs.Open(r, size)
	if err != nil {
		return nil, err
	}
	l := f.Layout()
	m := &Image{Format: "ubifs", Tree: f.Tree(), Layout: Layout{More: More{UBIFS: &l}}, Size: size, problems: f.Problems, raw: r}
	if l.UBI != nil {
		m.Format = "ubi"
	}
	return m, nil
}

func openFAT(r io.ReaderAt, size int64) (*Image, error) {
	v, err := fat.Open(r, size)
	if err != nil {
		return nil, err
	}
	return &Image{Format: "fat", Tree: v.Tree(), Size: size, problems: v.Problems, raw: r}, nil
}

func openYAFFS2(r io.ReaderAt, size int64) (*Image, error) {
	f, err := yaffs2.Open(r, size)
	if err != nil {
		return nil, err
	}
	l := f.Layout()
	return &Image{Format: "yaffs2", Tree: f.Tree(), Layout: Layout{More: More{YAFFS2: &l}}, Size: size, problems: f.Problems, raw: r}, nil
}

// ubifsLayout is the layout that the options ask for.
func (o Options) ubifsLayout() ubifs.Layout {
	l := ubifs.Layout{MinIO: 2048, Compression: ubifs.LZO, SpaceFixup: true}
	switch {
	case o.Layout.UBIFS != nil:
		l = *o.Layout.UBIFS
	case o.Like != nil && o.Like.Layout.UBIFS != nil:
		l = *o.Like.Layout.UBIFS
	}
	o.NAND.ubifs(&l)
	switch {
	case o.To == "ubifs":
		l.UBI = nil
	case l.UBI == nil:
		l.UBI = &ubifs.Volume{Autoresize: true}
		if l.LEBSize > 0 {
			l.UBI.PEBSize, l.UBI.VIDOffset, l.UBI.DataOffset = l.LEBSize+2*l.MinIO, l.MinIO, 2*l.MinIO
		}
	}
	if o.Label != "" && l.UBI != nil {
		v := *l.UBI
		v.Name, l.UBI = o.Label, &v
	}
	if o.Smallest {
		l.LEBs = 0
	}
	if o.Size > 0 {
		l.MaxLEBs = max(1, l.LEBsIn(o.Size))
	}
	return l
}

func writeUBIFS(ctx context.Context, w Output, t *tree.Tree, opt Options) error {
	task := mtkport.Begin(opt.Progress, "write "+opt.To+" image", t.Bytes())
	err := ubifs.WriteProgress(ctx, w, t, opt.ubifsLayout(), task)
	task.Done(err)
	return err
}

func writeYAFFS2(ctx context.Context, w Output, t *tree.Tree, opt Options) error {
	l := yaffs2.Default
	switch {
	case opt.Layout.YAFFS2 != nil:
		l = *opt.Layout.YAFFS2
	case opt.Like != nil && opt.Like.Layout.YAFFS2 != nil:
		l = *opt.Like.Layout.YAFFS2
	}
	if opt.Label != "" {
		l.Partition = opt.Label
	}
	opt.NAND.yaffs2(&l)
	task := mtkport.Begin(opt.Progress, "write yaffs2 image", t.Bytes())
	err := yaffs2.Write(ctx, mtkport.CountWriter(w, task), t, l)
	task.Done(err)
	return err
}
