package yaffs2

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Write writes t as an image of layout l. The errors have class ErrRefused for a
// layout that cannot be and for an entry that YAFFS2 cannot hold, and name its
// path. ctx ends the work between pages.
func Write(ctx context.Context, w io.Writer, t *tree.Tree, l Layout) error {
	if what := l.valid(); what != "" {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "layout", Found: what, Want: "room for tags and whole sectors", Err: mtkport.ErrRefused}
	}
	n := tagSize
	if l.ECC {
		n += eccSize
	}
	out := &writer{
		ctx: ctx, w: bufio.NewWriterSize(w, 1<<20), l: l, places: l.places(n), raw: make([]byte, n),
		unit: make([]byte, l.unit()), page: make([]byte, l.Page), data: make([]byte, readSize/l.Page*l.Page),
		blank: l.blank(), ids: map[*tree.Node]uint32{}, next: firstObj,
	}
	parents := map[string]uint32{}
	err := t.Walk(func(path string, n *tree.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir, name := splitPath(path)
		id, err := out.object(path, name, parents[dir], n)
		if n.IsDir() {
			parents[path] = id
		}
		return err
	})
	if err != nil {
		return err
	}
	return out.w.Flush()
}

// splitPath returns the directory and the name of a path of tree.Walk.
func splitPath(path string) (dir, name string) {
	if path == "." {
		return "", ""
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
	}
	return ".", path
}

type writer struct {
	ctx    context.Context
	w      *bufio.Writer
	l      Layout
	places []int
	raw    []byte // tags, with their code
	unit   []byte
	blank  []byte // spare bytes without tags
	page   []byte
	data   []byte // a run of a file's pages
	ids    map[*tree.Node]uint32
	next   uint32
}

// object writes the header and the data of the node at path.
func (w *writer) object(path, name string, parent uint32, n *tree.Node) (uint32, error) {
	h := header{parent: parent, name: name, mode: n.Mode, uid: n.UID, gid: n.GID, mtime: uint32(n.MTime.Unix()), xattrs: n.Xattrs}
	if n.MTime.IsZero() || n.MTime.Unix() < 0 {
		h.mtime = 0
	}
	id := w.next
	if path == "." {
		id, h.parent = rootObj, rootObj
	} else {
		w.next++
	}
	if id > maxObj {
		return 0, refuse(path, "the 261,887th object", "fewer files")
	}
	if first, ok := w.ids[n]; ok && !n.IsDir() {
		return id, w.header(path, id, &header{
			typ: typeHardlink, parent: parent, name: name, equiv: first, mode: none, uid: none, gid: none, mtime: none,
		})
	}
	w.ids[n] = id
	if err := h.describe(path, n); err != nil {
		return 0, err
	}
	if err := w.header(path, id, &h); err != nil || n.Type() != tree.Regular {
		return id, err
	}
	return id, mtkport.InFile(w.contents(id, n), path)
}

// describe sets what depends on the type of n.
func (h *header) describe(path string, n *tree.Node) error {
	switch n.Type() {
	case tree.Regular:
		h.typ, h.size = typeFile, uint64(n.Size())
		if h.size >= none {
			return refuse(path, fmt.Sprintf("%d bytes", n.Size()), "a file below 4 GiB")
		}
	case tree.Dir:
		h.typ = typeDir
	case tree.Symlink:
		h.typ, h.alias = typeSymlink, n.Target
		if len(n.Target) > maxAlias {
			return refuse(path, fmt.Sprintf("a target of %d bytes", len(n.Target)), "at most 159")
		}
	case tree.CharDev, tree.BlockDev:
		h.typ, h.rdev = typeSpecial, device(n.Major, n.Minor)
	case tree.FIFO, tree.Socket:
		h.typ = typeSpecial
	default:
		return refuse(path, fmt.Sprintf("mode 0%o", n.Mode), "a type that Linux knows")
	}
	return nil
}

func refuse(path, found, want string) error {
	return &mtkport.Error{File: path, Off: mtkport.NoOffset, Field: "YAFFS2 object", Found: found, Want: want, Err: mtkport.ErrRefused}
}

func (w *writer) header(path string, id uint32, h *header) error {
	for i := range w.page {
		w.page[i] = 0xff
	}
	if !h.put(w.page) {
		return refuse(path, "extended attributes that do not fit", fmt.Sprintf("at most %d bytes of them", w.l.Page-headerSize))
	}
	return w.emit(w.page, tags{seq: minSeq, obj: id, nbytes: 0xffff})
}

// contents writes the pages of a file; the last one is filled with 0xff.
func (w *writer) contents(id uint32, n *tree.Node) error {
	size := n.Size()
	chunk := uint32(1)
	for off := int64(0); off < size; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		part := w.data[:min(int64(len(w.data)), size-off)]
		if got, err := n.Data.ReadAt(part, off); got < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		off += int64(len(part))
		for len(part) > 0 {
			k := min(w.l.Page, len(part))
			page := part[:k]
			if k < w.l.Page {
				for i := copy(w.page, page); i < len(w.page); i++ {
					w.page[i] = 0xff
				}
				page = w.page
			}
			if err := w.emit(page, tags{seq: minSeq, obj: id, chunk: chunk, nbytes: uint32(k)}); err != nil {
				return err
			}
			part = part[k:]
			chunk++
		}
	}
	return nil
}

// emit writes one page with its spare bytes.
func (w *writer) emit(page []byte, t tags) error {
	spare := w.unit
	if w.l.Sector == 0 {
		if _, err := w.w.Write(page); err != nil {
			return err
		}
		spare = w.unit[w.l.Page:]
	}
	if w.l.Sector == 0 {
		copy(spare, w.blank)
	} else {
		for i := range spare {
			spare[i] = 0xff
		}
		w.l.scatter(w.unit, page)
	}
	t.put(w.raw)
	if w.l.ECC {
		code := ecc(w.raw[:tagSize])
		copy(w.raw[tagSize:], code[:])
	}
	for i, at := range w.places {
		w.unit[at] = w.raw[i]
	}
	_, err := w.w.Write(spare)
	return err
}
