package ramdisk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"mtkport"
)

// Changes says how a folder differed from its side file.
type Changes struct {
	Added   []string // names that were only in the folder
	Dropped []string // names of files and folders that were only in the side file
}

// Pack makes a ramdisk from a folder: one that [Archive.Unpack] wrote, changed or
// not, or any other, whose files then become a new archive in mkbootfs's form.
// Links are never followed. Files that the side file does not list are added
// with root as owner and [DefaultPerm]; listed ones that are gone are dropped.
func Pack(ctx context.Context, src *os.Root, opt Options, p mtkport.Progress) (a *Archive, ch Changes, err error) {
	b, err := readBounded(src, SideFile, maxSide)
	if errors.Is(err, fs.ErrNotExist) {
		return packPlain(ctx, src, opt, p)
	}
	if err != nil {
		return nil, ch, err
	}
	s, err := parseSide(b)
	if err != nil {
		return nil, ch, err
	}
	a, err = s.open(src, opt)
	if err != nil {
		return nil, ch, err
	}
	tree, err := src.OpenRoot(TreeFolder)
	if err != nil {
		return nil, ch, err
	}
	defer func() { _ = tree.Close() }()
	k := &packer{ctx: ctx, a: a, tree: tree, left: opt.max(), ch: &ch}
	if err := k.walk(p); err != nil {
		return nil, ch, err
	}
	if err := k.build(s); err != nil {
		return nil, ch, err
	}
	return a, ch, nil
}

// packPlain makes a new archive of the whole folder.
func packPlain(ctx context.Context, src *os.Root, opt Options, p mtkport.Progress) (*Archive, Changes, error) {
	var ch Changes
	a := New(Gzip)
	k := &packer{ctx: ctx, a: a, tree: src, left: opt.max(), ch: &ch}
	if err := k.walk(p); err != nil {
		return nil, ch, err
	}
	err := k.addRest()
	return a, ch, err
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(root *os.Root, name string, limit int64) ([]byte, error) {
	st, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: st.Mode().Type().String(), Want: "a plain file", Err: mtkport.ErrRefused}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := bytes.NewBuffer(make([]byte, 0, min(st.Size(), limit)+512))
	n, err := io.Copy(b, io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprintf("more than %d bytes", limit),
			Want: "no more", Err: mtkport.ErrTooBig}
	}
	return b.Bytes(), err
}

// open prepares the archive that s describes, without entries.
func (s *side) open(src *os.Root, opt Options) (*Archive, error) {
	c, err := ParseCompression(string(s.Compression))
	if err != nil {
		return nil, mtkport.InFile(err, SideFile)
	}
	a := &Archive{comp: c, srcComp: c, upper: s.Hex == "upper"}
	if a.rest, err = hexField("rest", s.Rest); err != nil {
		return nil, err
	}
	if s.Tail != "" {
		if a.tail, err = readBounded(src, s.Tail, opt.max()); err != nil {
			return nil, err
		}
	}
	if ok, err := s.stream(a, src, opt); ok || err != nil {
		return a, err
	}
	a.maker = &Maker{Name: makerNames[c], Level: s.Level, Exact: true}
	if s.GzipHeader != "" {
		if a.gzHead, err = hexField("gzip_header", s.GzipHeader); err != nil {
			return nil, err
		}
		if h, err := gzipHead(bytes.NewReader(a.gzHead)); err != nil || len(h) != len(a.gzHead) || string(h[:2]) != "\x1f\x8b" {
			return nil, sideError("gzip_header", s.GzipHeader, "a gzip header")
		}
	}
	return a, nil
}

// stream opens the original stream, so that it is written again if nothing
// changed. Without the file, a user's choice, all is packed anew.
func (s *side) stream(a *Archive, src *os.Root, opt Options) (ok bool, err error) {
	if s.Stream == "" {
		return false, nil
	}
	b, err := readBounded(src, s.Stream, opt.max())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	all := append(b, a.tail...)
	o, err := OpenWith(bytes.NewReader(all), int64(len(all)), opt)
	if err != nil {
		return false, mtkport.InFile(err, s.Stream)
	}
	a.src, a.size, a.used, a.srcComp, a.gzHead, a.cpio = o.src, o.size, o.used, o.srcComp, o.gzHead, o.cpio
	return true, nil
}
