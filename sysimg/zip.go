package sysimg

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"mtkport"
	"mtkport/sysimg/tree"
)

func isZip(b []byte, _ io.ReaderAt, _ int64) bool {
	return len(b) >= 4 && string(b[:4]) == "PK\x03\x04"
}

// openZip reads a zip archive as it is: a flashable one has its tree under
// "system". Modes and links are those of archives made on Unix; what has none
// gets Android's owner and mode for its path.
func openZip(r io.ReaderAt, size int64) (*Image, error) {
	in, err := zip.NewReader(r, size)
	if err != nil {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "zip directory", Found: err.Error(), Err: mtkport.ErrDamaged}
	}
	a := archive{tree: tree.New()}
	for _, f := range in.File {
		n, err := zipNode(f)
		if err != nil {
			a.skip(f.Name, err.Error())
			continue
		}
		a.put(strings.ReplaceAll(f.Name, `\`, "/"), n)
	}
	return &Image{Format: "zip", Tree: a.tree, Size: size, problems: func() []mtkport.Finding { return a.findings }}, nil
}

func zipNode(f *zip.File) (*tree.Node, error) {
	n := &tree.Node{MTime: f.Modified.UTC()}
	mode := f.Mode()
	switch {
	case mode.IsDir() || strings.HasSuffix(f.Name, "/"):
		n.Mode = tree.Dir
	case mode&fs.ModeSymlink != 0:
		return zipLink(f, n)
	case mode.IsRegular():
		n.Mode = tree.Regular
	default:
		return nil, fmt.Errorf("a member of mode %v", mode)
	}
	const unix = 3
	if f.CreatorVersion>>8 == unix && mode.Perm() != 0 {
		n.Mode |= uint32(mode.Perm())
	} else {
		Defaults{SDK: 19}.give(n, strings.TrimSuffix(f.Name, "/"), nil)
	}
	if n.Type() != tree.Regular || f.UncompressedSize64 == 0 {
		return n, nil
	}
	if f.UncompressedSize64 > maxMember {
		return nil, fmt.Errorf("%d bytes, want at most %d", f.UncompressedSize64, int64(maxMember))
	}
	n.Data = &zipContent{f: f}
	return n, nil
}

// maxMember bounds one member of a zip archive, bytes: a system image fits.
const maxMember = 16 << 30

func zipLink(f *zip.File, n *tree.Node) (*tree.Node, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 4097))
	if err != nil || len(b) == 0 || len(b) > 4096 {
		return nil, fmt.Errorf("a link of %d bytes: %v", len(b), err)
	}
	n.Mode, n.Target = tree.Symlink|0o777, string(b)
	return n, nil
}

// zipContent unpacks a member as it is read: forward at no cost, backward from
// its start again.
type zipContent struct {
	f   *zip.File
	mu  sync.Mutex
	r   io.ReadCloser
	pos int64
}

// Size implements tree.Content.
func (z *zipContent) Size() int64 { return int64(z.f.UncompressedSize64) }

// ReadAt implements tree.Content.
func (z *zipContent) ReadAt(p []byte, off int64) (int, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= z.Size() {
		return 0, io.EOF
	}
	if err := z.seek(off); err != nil {
		return 0, err
	}
	want := min(int64(len(p)), z.Size()-off)
	n, err := io.ReadFull(z.r, p[:want])
	z.pos += int64(n)
	if err == nil && z.pos == z.Size() {
		err = z.close() // checks nothing more, lets go of the buffers
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (z *zipContent) close() error {
	if z.r == nil {
		return nil
	}
	err := z.r.Close()
	z.r = nil
	return err
}

func (z *zipContent) seek(off int64) error {
	if z.r == nil || off < z.pos {
		_ = z.close()
		r, err := z.f.Open()
		if err != nil {
			return err
		}
		z.r, z.pos = r, 0
	}
	n, err := io.CopyN(io.Discard, z.r, off-z.pos)
	z.pos += n
	return err
}
