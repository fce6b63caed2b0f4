package sysimg

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"mtkport"
	"mtkport/sysimg/tree"
)

// paxXattr is the prefix of the records in which tar, star and Go keep
// extended attributes.
const paxXattr = "SCHILY.xattr."

// maxMembers bounds the entries of an archive.
const maxMembers = 1 << 20

func isTar(b []byte, _ io.ReaderAt, _ int64) bool {
	return len(b) >= 262 && string(b[257:262]) == "ustar"
}

// archive collects a tree from an archive's members, in any order.
type archive struct {
	tree     *tree.Tree
	findings []mtkport.Finding
	members  int
}

func (a *archive) skip(name, why string) {
	if len(a.findings) < 1000 {
		a.findings = append(a.findings, mtkport.Finding{Code: "archive-skipped", Severity: mtkport.Risk, Subject: name, Text: why})
	}
}

// put places a member. Names that would leave the tree are skipped.
func (a *archive) put(name string, n *tree.Node) {
	if a.members++; a.members > maxMembers {
		if a.members == maxMembers+1 {
			a.skip(name, fmt.Sprintf("more than %d members: the rest is left out", maxMembers))
		}
		return
	}
	p := path.Clean(strings.TrimLeft(name, "/"))
	if slices.Contains(strings.Split(name, "/"), "..") {
		a.skip(name, "the name leads out of the archive")
		return
	}
	if p == "." {
		if n.IsDir() {
			a.tree.Root = withChildren(n, a.tree.Root)
		}
		return
	}
	if dir := path.Dir(p); dir != "." {
		if err := a.tree.MkdirAll(dir, tree.NewDir(0o755)); err != nil {
			a.skip(name, err.Error())
			return
		}
	}
	if old, err := a.tree.Lookup(p); err == nil && old.IsDir() && n.IsDir() {
		n = withChildren(n, old)
	}
	if err := a.tree.Put(p, n); err != nil {
		a.skip(name, err.Error())
	}
}

// withChildren gives n what old holds: a directory's own entry may come after
// its contents.
func withChildren(n, old *tree.Node) *tree.Node {
	for _, name := range old.Names() {
		n.SetChild(name, old.Child(name))
	}
	return n
}

func openTar(r io.ReaderAt, size int64) (*Image, error) {
	src := io.NewSectionReader(r, 0, size)
	in := tar.NewReader(src)
	a := archive{tree: tree.New()}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		pos, _ := src.Seek(0, io.SeekCurrent)
		if err != nil {
			if a.members == 0 {
				return nil, &mtkport.Error{Off: pos, Field: "tar header", Found: err.Error(), Err: mtkport.ErrDamaged}
			}
			a.skip("the rest of the archive", err.Error())
			break
		}
		if err := a.member(h, r, pos, size); err != nil {
			a.skip(h.Name, err.Error())
		}
	}
	return &Image{Format: "tar", Tree: a.tree, Size: size, problems: func() []mtkport.Finding { return a.findings }}, nil
}

// member places one entry of a tar archive; its data lies at pos.
func (a *archive) member(h *tar.Header, r io.ReaderAt, pos, size int64) error {
	n := &tree.Node{Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), MTime: h.ModTime.UTC(), Major: uint32(h.Devmajor), Minor: uint32(h.Devminor)}
	for k, v := range h.PAXRecords {
		if name, ok := strings.CutPrefix(k, paxXattr); ok {
			if n.Xattrs == nil {
				n.Xattrs = map[string][]byte{}
			}
			n.Xattrs[name] = []byte(v)
		}
		if strings.HasPrefix(k, "GNU.sparse.") {
			return errors.New("a sparse member, which is not read; write the archive without --sparse")
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		n.Mode |= tree.Regular
		if h.Size > size-pos {
			return fmt.Errorf("its %d bytes lie past the end of the archive", h.Size)
		}
		if h.Size > 0 {
			n.Data = tree.Section(r, pos, h.Size)
		}
	case tar.TypeDir:
		n.Mode |= tree.Dir
	case tar.TypeSymlink:
		n.Mode, n.Target = n.Mode|tree.Symlink, h.Linkname
	case tar.TypeChar:
		n.Mode |= tree.CharDev
	case tar.TypeBlock:
		n.Mode |= tree.BlockDev
	case tar.TypeFifo:
		n.Mode |= tree.FIFO
	case tar.TypeLink:
		first, err := a.tree.Lookup(path.Clean(h.Linkname))
		if err != nil || first.IsDir() {
			return fmt.Errorf("a hard link to %q, which is not there", h.Linkname)
		}
		n = first
	default:
		return fmt.Errorf("a member of type %q", h.Typeflag)
	}
	a.put(h.Name, n)
	return nil
}

// writeTar writes a POSIX archive as `tar --xattrs -cf - .` would: the root as
// "./", parents before children, names sorted, extended attributes as PAX records.
func writeTar(ctx context.Context, w Output, t *tree.Tree, opt Options) error {
	task := mtkport.Begin(opt.Progress, "write tar archive", t.Bytes())
	buf := bufio.NewWriterSize(w, 1<<20)
	out := tar.NewWriter(buf)
	first := map[*tree.Node]string{}
	err := t.Walk(func(p string, n *tree.Node) error {
		h, err := tarHeader(p, n)
		if err != nil {
			return err
		}
		if old, ok := first[n]; ok && !n.IsDir() {
			h.Typeflag, h.Linkname, h.Size, h.PAXRecords = tar.TypeLink, old, 0, nil
		}
		if err := out.WriteHeader(h); err != nil {
			return mtkport.InFile(err, p)
		}
		if h.Typeflag == tar.TypeReg && h.Size > 0 {
			if _, err := io.Copy(out, mtkport.CountReader(io.NewSectionReader(n.Data, 0, h.Size), task)); err != nil {
				return mtkport.InFile(err, p)
			}
		}
		first[n] = h.Name
		return ctx.Err()
	})
	err = errors.Join(err, out.Close(), buf.Flush())
	task.Done(err)
	return err
}

func tarHeader(p string, n *tree.Node) (*tar.Header, error) {
	when := n.MTime
	if when.IsZero() {
		when = time.Unix(0, 0)
	}
	h := &tar.Header{Format: tar.FormatPAX, Name: "./" + p, Mode: int64(n.Mode & 0o7777), Uid: int(n.UID), Gid: int(n.GID), ModTime: when, Linkname: n.Target, PAXRecords: map[string]string{}}
	if p == "." {
		h.Name = "./"
	}
	for k, v := range n.Xattrs {
		h.PAXRecords[paxXattr+k] = string(v)
	}
	switch n.Type() {
	case tree.Regular:
		h.Typeflag, h.Size = tar.TypeReg, n.Size()
	case tree.Dir:
		h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(h.Name, "/")+"/"
	case tree.Symlink:
		h.Typeflag = tar.TypeSymlink
	case tree.CharDev:
		h.Typeflag = tar.TypeChar
	case tree.BlockDev:
		h.Typeflag = tar.TypeBlock
	case tree.FIFO:
		h.Typeflag = tar.TypeFifo
	default:
		return nil, &mtkport.Error{File: p, Off: mtkport.NoOffset, Field: "type", Found: TypeName(n), Want: "what tar can hold", Err: mtkport.ErrUnsupported, Hint: "take it out first: mtkport system rm"}
	}
	if n.Type() == tree.CharDev || n.Type() == tree.BlockDev {
		h.Devmajor, h.Devminor = int64(n.Major), int64(n.Minor)
	}
	return h, nil
}
