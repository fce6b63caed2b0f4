package sysimg

import (
	"context"
	"io"

	"mtkport"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/sparse"
	"mtkport/sysimg/tree"
)

// Convert writes m, unchanged, in another container. Between raw and sparse
// ext4 the file system's bytes stay as they are; else its tree is written anew.
func Convert(ctx context.Context, w Output, m *Image, opt Options) error {
	opt.Like = m
	if m.raw == nil || m.Layout.Ext4 == nil || opt.Size != 0 || opt.Smallest || opt.Label != "" || opt.To != "ext4" && opt.To != "sparse" {
		return Write(ctx, w, m.Tree, opt)
	}
	return WriteRaw(ctx, w, m.raw, m.Size, opt)
}

// WriteRaw writes size bytes of an ext4 image as they are, raw ("ext4") or
// "sparse".
func WriteRaw(ctx context.Context, w Output, r io.ReaderAt, size int64, opt Options) error {
	if opt.To == "sparse" {
		so := opt.sparse()
		if opt.DontCare {
			free, err := freeBlocks(r, size)
			if err != nil {
				return err
			}
			so.Free = free
		}
		return sparse.Write(ctx, w, r, size, so)
	}
	if err := w.Truncate(size); err != nil {
		return err
	}
	ps, err := tree.Pieces(r, 0, size)
	if err != nil {
		return err
	}
	var sum int64
	for _, p := range ps {
		sum += p.Len
	}
	task := mtkport.Begin(opt.Progress, "write image", sum)
	err = tree.CopyPieces(ctx, w, ps, 2, task)
	task.Done(err)
	return err
}

// freeBlocks lists what the file system calls free.
func freeBlocks(r io.ReaderAt, size int64) ([]tree.Range, error) {
	f, err := ext4.Open(r, size)
	if err != nil {
		return nil, err
	}
	return f.Free()
}
