package sysimg

import (
	"context"
	"fmt"
	"io"
	"strings"

	"mtkport"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/sparse"
	"mtkport/sysimg/tree"
)

// Image is an opened system image.
type Image struct {
	Format string     // the container: "ext4", "sparse", "ubi", "ubifs", "yaffs2", "folder" …
	Tree   *tree.Tree // contents are read from the image when asked for
	From   string     // of a folder: the container that it was extracted from, or ""
	Layout Layout     // what the image has besides its tree
	Size   int64      // bytes of the file system: of the expanded image when sparse

	problems func() []mtkport.Finding
	verify   func(context.Context) error
	raw      io.ReaderAt
	fs       *ext4.FS // of an ext4 image
	closer   io.Closer
}

// Close lets go of a folder; images opened from a reader have nothing to close.
func (m *Image) Close() error {
	if m.closer == nil {
		return nil
	}
	return m.closer.Close()
}

// Layout holds the parameters of each container that an image has; the others
// are nil. It is enough to write the image again.
type Layout struct {
	Ext4   *ext4.Layout `json:"ext4,omitempty"`
	Sparse *Sparse      `json:"sparse,omitempty"`
	More
}

// Sparse is what a sparse image has besides what it expands to.
type Sparse struct {
	BlockSize int64 `json:"block_size"`          // bytes
	CRC       bool  `json:"crc,omitempty"`       // it carries a checksum
	DontCare  bool  `json:"dont_care,omitempty"` // free blocks are left out
}

// Problems lists what is broken in the image; reading contents may add to it.
func (m *Image) Problems() []mtkport.Finding {
	if m.problems == nil {
		return nil
	}
	return m.problems()
}

// Raw is the file system's own bytes, expanded when the image is sparse; nil
// for a folder.
func (m *Image) Raw() io.ReaderAt { return m.raw }

// Verify reads everything through: the container's checksums, and every byte of
// every file. What is wrong comes as findings, the first of which says how much
// was read; the error is for what stops the reading.
func (m *Image) Verify(ctx context.Context, p mtkport.Progress) ([]mtkport.Finding, error) {
	var out []mtkport.Finding
	if m.verify != nil {
		if err := m.verify(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			out = append(out, mtkport.Finding{Code: "image-checksum", Severity: mtkport.Risk, Text: err.Error()})
		}
	}
	if m.fs != nil {
		found, err := m.fs.Check()
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	lost, err := readThrough(ctx, m.Tree, p)
	if err != nil {
		return nil, err
	}
	return append(append(out, m.Problems()...), lost...), nil
}

// readThrough reads all contents and reports the files that do not read.
func readThrough(ctx context.Context, t *tree.Tree, p mtkport.Progress) ([]mtkport.Finding, error) {
	var out []mtkport.Finding
	seen := map[*tree.Node]bool{}
	sum := t.Bytes()
	task := mtkport.Begin(p, "read files", sum)
	buf := make([]byte, min(1<<20, max(1, sum)))
	err := t.Walk(func(path string, n *tree.Node) error {
		if n.Data == nil || seen[n] {
			return ctx.Err()
		}
		seen[n] = true
		for _, r := range tree.DataRanges(n.Data) {
			for off := r.Off; off < r.Off+r.Len; off += int64(len(buf)) {
				b := buf[:min(int64(len(buf)), r.Off+r.Len-off)]
				if err := tree.ReadFull(n.Data, b, off); err != nil {
					out = append(out, mtkport.Finding{Code: "file-lost", Severity: mtkport.Risk, Subject: path, Text: fmt.Sprintf("the contents do not read: %v", err)})
					return ctx.Err()
				}
				task.Add(int64(len(b)))
			}
		}
		return ctx.Err()
	})
	task.Done(err)
	return out, err
}

// container is one form in which a tree is kept.
type container struct {
	name  string
	is    func(head []byte, r io.ReaderAt, size int64) bool
	open  func(r io.ReaderAt, size int64) (*Image, error)
	write func(ctx context.Context, w Output, t *tree.Tree, opt Options) error // nil: not written
}

// headSize is how much of the file a container is recognised by, bytes: past
// ext4's superblock.
const headSize = 4096

// containers lists them in the order in which they are tried.
func containers() []container {
	list := []container{
		{"sparse", func(b []byte, _ io.ReaderAt, _ int64) bool { return sparse.Is(b) }, openSparse, writeSparse},
		{"ext4", func(b []byte, _ io.ReaderAt, _ int64) bool { return ext4.Is(b) }, openExt4, writeExt4},
	}
	list = append(list, container{"tar", isTar, openTar, writeTar}, container{"zip", isZip, openZip, nil})
	return append(list, moreContainers()...)
}

// Formats names the containers that [Write] can write.
func Formats() []string {
	var out []string
	for _, c := range containers() {
		if c.write != nil {
			out = append(out, c.name)
		}
	}
	return out
}

// Open finds what the size bytes of r are and opens them. Errors: ErrFormat when
// no container is recognised, ErrDamaged when one is and cannot be read.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	head := make([]byte, min(headSize, max(0, size)))
	if n, err := r.ReadAt(head, 0); n < len(head) && err != nil && err != io.EOF {
		return nil, err
	}
	var known []string
	for _, c := range containers() {
		if c.is(head, r, size) {
			return c.open(r, size)
		}
		known = append(known, c.name)
	}
	return nil, &mtkport.Error{Off: 0, Field: "system image", Found: fmt.Sprintf("% x", head[:min(8, len(head))]), Want: strings.Join(known, ", "), Err: mtkport.ErrFormat}
}

func openExt4(r io.ReaderAt, size int64) (*Image, error) {
	f, err := ext4.Open(r, size)
	if err != nil {
		return nil, err
	}
	l := f.Layout()
	return &Image{Format: "ext4", Tree: f.Tree(), Layout: Layout{Ext4: &l}, Size: size, problems: f.Problems, raw: r, fs: f}, nil
}

func openSparse(r io.ReaderAt, size int64) (*Image, error) {
	s, err := sparse.Open(r, size)
	if err != nil {
		return nil, err
	}
	return sparseImage(s)
}

// sparseImage opens what a sparse image holds.
func sparseImage(s *sparse.Image) (*Image, error) {
	head := make([]byte, min(headSize, s.Size()))
	if err := tree.ReadFull(s, head, 0); err != nil && len(head) > 0 {
		return nil, err
	}
	if sparse.Is(head) {
		return nil, &mtkport.Error{Off: 0, Field: "sparse image", Found: "another sparse image inside", Want: "a file system", Err: mtkport.ErrUnsupported}
	}
	m, err := Open(s, s.Size())
	if err != nil {
		return nil, err
	}
	m.Format = "sparse"
	m.Layout.Sparse = &Sparse{BlockSize: s.BlockSize(), CRC: s.Checksummed(), DontCare: len(s.Free()) > 0}
	m.verify = s.Verify
	return m, nil
}
