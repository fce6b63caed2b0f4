package ramdisk

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"mtkport"
)

// Unpack writes the archive into an empty folder: the files below root/, and
// ramdisk.yaml beside, with owner, mode, device numbers, order and all that
// deviates from the maker's form. Names that a disk may refuse (reserved on
// Windows, differing only in case, leading out of the folder) are written
// otherwise there; symlinks are made where they stay inside and the system can,
// and nothing is ever written through one. The compressed stream is kept beside
// as stream.bin: [Pack] writes it as long as nothing changed, and else packs as
// its maker did, when that is one of those known.
func (a *Archive) Unpack(ctx context.Context, dst *os.Root, p mtkport.Progress) (err error) {
	task := mtkport.Begin(p, "unpack", int64(len(a.entries)))
	defer func() { task.Done(err) }()
	if err := dst.Mkdir(TreeFolder, 0o755); err != nil {
		return err
	}
	tree, err := dst.OpenRoot(TreeFolder)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	u := &unpacker{a: a, tree: tree, names: newNamer(), disk: map[*Entry]string{}}
	for _, e := range a.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.entry(e); err != nil {
			return err
		}
		task.Add(1)
	}
	u.symlinks()
	return u.finish(dst)
}

type unpacker struct {
	a     *Archive
	tree  *os.Root
	names *namer
	disk  map[*Entry]string
	links []*Entry
}

// entry gives e its place on disk, and writes it unless it is a link or node.
func (u *unpacker) entry(e *Entry) error {
	if e.isTrailer() {
		return nil
	}
	at := u.names.place(e.name, e.Type() == TypeDir)
	u.disk[e] = at
	switch e.Type() {
	case TypeDir:
		return u.tree.MkdirAll(at, 0o755)
	case TypeSymlink:
		u.links = append(u.links, e)
		return nil
	case TypeFile:
		return u.file(at, e)
	}
	return nil
}

func (u *unpacker) file(at string, e *Entry) error {
	if err := u.tree.MkdirAll(path.Dir(at), 0o755); err != nil {
		return err
	}
	f, err := u.tree.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(e.Perm()&0o777|0o600))
	if err != nil {
		return err
	}
	_, err = f.Write(u.a.Content(e))
	return errors.Join(err, f.Close())
}

// symlinks makes links last, so that nothing was written through one, and only
// those that stay in the folder. A system that has none goes without.
func (u *unpacker) symlinks() {
	for _, e := range u.links {
		at, target := u.disk[e], e.Target()
		if !plain(target) || path.IsAbs(target) || strings.Contains(target, `\`) {
			continue
		}
		if to := path.Join(path.Dir(at), target); to == ".." || strings.HasPrefix(to, "../") {
			continue
		}
		if u.tree.MkdirAll(path.Dir(at), 0o755) == nil {
			_ = u.tree.Symlink(target, at)
		}
	}
}

// finish writes what stands beside the tree.
func (u *unpacker) finish(dst *os.Root) error {
	a, s := u.a, u.side()
	if a.src != nil && a.comp == a.srcComp && a.comp != None {
		s.Stream = streamFile
		if err := copyTo(dst, streamFile, io.NewSectionReader(a.src, 0, a.used)); err != nil {
			return err
		}
	}
	if a.Tail().Size() > 0 {
		s.Tail = tailFile
		if err := copyTo(dst, tailFile, a.Tail()); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := s.writeTo(&b); err != nil {
		return err
	}
	return copyTo(dst, SideFile, &b)
}

func copyTo(dst *os.Root, name string, r io.Reader) error {
	f, err := dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// side describes the archive.
func (u *unpacker) side() *side {
	a := u.a
	s := &side{Version: 1, Compression: a.comp, Rest: hex.EncodeToString(a.rest)}
	if a.comp == Gzip && a.comp == a.srcComp && a.gzHead != nil && !bytes.Equal(a.gzHead, minigzipHead) {
		s.GzipHeader = hex.EncodeToString(a.gzHead)
	}
	if a.upper {
		s.Hex = "upper"
	}
	for list := a.entries; len(list) > 0; {
		n := 0
		for n < len(list) && !list[n].isTrailer() {
			n++
		}
		end := min(n+1, len(list))
		s.Archives = append(s.Archives, u.archive(list[:n], list[n:end], end == len(list)))
		list = list[end:]
	}
	return s
}

func (u *unpacker) archive(entries, trailer []*Entry, last bool) sideArchive {
	var s sideArchive
	next := uint32(firstInode)
	if all := append(entries[:len(entries):len(entries)], trailer...); all[0].Ino != next {
		next = all[0].Ino
		s.FirstIno = &next
	}
	first := next
	for _, e := range entries {
		s.Entries = append(s.Entries, u.describe(e, &next))
	}
	if s.FirstIno != nil {
		s.FirstIno = &first
	}
	if len(trailer) == 0 {
		s.None = true
		return s
	}
	t := trailer[0]
	d := u.describe(t, &next)
	if d.Path = ""; d.String() != `{mode: "0644"}` {
		s.Trailer = &d
	}
	switch block := u.a.gapRule(t, last); {
	case block == 0 && isZero(t.gap):
		s.Gap = fmt.Sprintf("%d zeros", len(t.gap))
	case block == 0:
		s.Gap = hex.EncodeToString(t.gap)
	case block != mkbootfsBlock:
		s.Pad = &block
	}
	return s
}

// describe lists what of e is not as mkbootfs has it; next is the inode due.
func (u *unpacker) describe(e *Entry, next *uint32) sideEntry {
	s := sideEntry{Path: e.name, Mode: fmt.Sprintf("%04o", e.Perm()), UID: e.UID, GID: e.GID, MTime: e.MTime}
	if name := append([]byte(e.name), 0); e.rawName != nil && !bytes.Equal(e.rawName, name) || !plain(e.name) {
		if e.rawName != nil {
			name = e.rawName
		}
		s.Path, s.NameHex = "", hex.EncodeToString(name)
	}
	if e.Type() != TypeFile && !e.isTrailer() || e.isTrailer() && e.Type() != 0 {
		s.Type = e.TypeName()
	}
	if at := u.disk[e]; (at != e.name || s.NameHex != "") && u.onDisk(e) {
		s.Disk = at
	}
	u.describeData(e, &s)
	if e.RdevMajor|e.RdevMinor != 0 || e.Type() == TypeChar || e.Type() == TypeBlock {
		s.Rdev = []uint32{e.RdevMajor, e.RdevMinor}
	}
	if e.DevMajor|e.DevMinor != 0 {
		s.Dev = []uint32{e.DevMajor, e.DevMinor}
	}
	if e.Ino != *next || e.NLink > 1 && e.Type() != TypeDir { // links must stay together when others are added
		s.Ino = &e.Ino
	}
	*next = e.Ino + 1
	if e.NLink != 1 {
		s.NLink = &e.NLink
	}
	if e.Check != wantCheck(e) {
		s.Check = &e.Check
	}
	if e.magic != magicNewc {
		s.Magic = e.magic
	}
	u.describeRaw(e, &s)
	return s
}

// onDisk reports whether the entry may have a place in the folder.
func (u *unpacker) onDisk(e *Entry) bool {
	switch e.Type() {
	case TypeFile, TypeDir, TypeSymlink:
		return !e.isTrailer()
	}
	return false
}

func (u *unpacker) describeData(e *Entry, s *sideEntry) {
	switch {
	case e.Type() == TypeFile && !e.isTrailer():
		if c := u.a.carrier(e); c != e {
			s.HardLink = c.name
		}
	case e.Type() == TypeSymlink && plain(string(e.data)):
		s.Target = string(e.data)
	default:
		s.DataHex = hex.EncodeToString(e.data)
	}
}

// wantCheck is the check that an entry should have.
func wantCheck(e *Entry) uint32 {
	if e.magic == magicCRC {
		return sum(e.data)
	}
	return 0
}

// describeRaw lists fields and padding whose bytes would come out otherwise.
func (u *unpacker) describeRaw(e *Entry, s *sideEntry) {
	if e.raw == nil {
		return
	}
	name := e.rawName
	if name == nil {
		name = append([]byte(e.name), 0)
	}
	h := encode(e.magic, e.values(len(e.data), len(name)), nil, u.a.upper)
	now := encode(e.magic, e.values(len(e.data), len(name)), e.raw, u.a.upper)
	for i, key := range fieldNames {
		if !bytes.Equal(h.field(i), now.field(i)) {
			if s.Raw == nil {
				s.Raw = map[string]string{}
			}
			s.Raw[key] = string(now.field(i))
		}
	}
	s.NamePad = oddPad(e.namePad, pad4(headerSize+int64(len(name))))
	s.DataPad = oddPad(e.dataPad, pad4(int64(len(e.data))))
}

// oddPad is padding that is not n zeros, in hex.
func oddPad(pad []byte, n int64) *string {
	if pad == nil || int64(len(pad)) == n && isZero(pad) {
		return nil
	}
	s := hex.EncodeToString(pad)
	return &s
}
