package sysimg

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"mtkport"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/sparse"
	"mtkport/sysimg/tree"
)

// Output is where an image goes: a new, empty file (*os.File and *mtkport.File
// are such).
type Output interface {
	io.Writer
	io.WriterAt
	Truncate(size int64) error
}

// Options say what to write.
type Options struct {
	To       string // the container, one of [Formats]; empty: that of Like, else "ext4"
	Like     *Image // take the layout from this image; nil: Android's usual one
	Layout   Layout // what is set here wins over Like
	Size     int64  // bytes of the file system; 0: that of Like, else as small as possible
	Smallest bool   // as small as possible, whatever Like's size
	Label    string // volume label; empty: that of Like
	DontCare bool   // sparse: leave free blocks out instead of writing zeros
	NAND     NAND   // ubi, ubifs, yaffs2: what shall be otherwise than in the layout
	Progress mtkport.Progress
}

// Write writes t to w. Errors: ErrTooBig when it does not fit (with both
// sizes), ErrUnsupported for a container that is not written.
func Write(ctx context.Context, w Output, t *tree.Tree, opt Options) error {
	if opt.To == "" {
		opt.To = "ext4"
		if opt.Like != nil {
			for _, f := range []string{opt.Like.From, opt.Like.Format} {
				if slices.Contains(Formats(), f) {
					opt.To = f
				}
			}
		}
	}
	for _, c := range containers() {
		if c.name == opt.To && c.write != nil {
			return c.write(ctx, w, t, opt)
		}
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "container", Found: fmt.Sprintf("%q", opt.To), Want: strings.Join(Formats(), ", "), Err: mtkport.ErrUnsupported}
}

// ext4Layout is the layout that the options ask for.
func (o Options) ext4Layout() ext4.Layout {
	l := ext4.Android(0, o.Label)
	switch {
	case o.Layout.Ext4 != nil:
		l = *o.Layout.Ext4
	case o.Like != nil && o.Like.Layout.Ext4 != nil:
		l = *o.Like.Layout.Ext4
	}
	if o.Label != "" {
		l.Label = o.Label
	}
	switch {
	case o.Smallest:
		l.Size = 0
	case o.Size > 0:
		l.Size = o.Size
	}
	return l
}

func writeExt4(ctx context.Context, w Output, t *tree.Tree, opt Options) error {
	p, err := ext4.Lay(t, opt.ext4Layout())
	if err != nil {
		return err
	}
	if err := w.Truncate(p.Size()); err != nil {
		return err
	}
	task := mtkport.Begin(opt.Progress, "write ext4 image", p.Bytes())
	err = p.Write(ctx, w, task)
	task.Done(err)
	return err
}

func writeSparse(ctx context.Context, w Output, t *tree.Tree, opt Options) error {
	p, err := ext4.Lay(t, opt.ext4Layout())
	if err != nil {
		return err
	}
	so := opt.sparse()
	if opt.DontCare {
		so.Free = p.Free()
	}
	return sparse.Write(ctx, w, p, p.Size(), so)
}

func (o Options) sparse() sparse.Options {
	so := sparse.Options{Progress: o.Progress}
	s := o.Layout.Sparse
	if s == nil && o.Like != nil {
		s = o.Like.Layout.Sparse
	}
	if s != nil {
		so.CRC = s.CRC
		if s.BlockSize >= 512 && s.BlockSize <= 16384 {
			so.BlockSize = s.BlockSize
		}
	}
	return so
}
