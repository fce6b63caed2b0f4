package ramdisk

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mtkport"
)

// packer builds an archive from a folder.
type packer struct {
	ctx      context.Context
	a        *Archive
	tree     *os.Root
	left     int64 // bytes that may still be read
	ch       *Changes
	found    map[string]fs.FileMode // types of what is in the folder, by slash path
	order    []string               // the same, in the order of the walk
	used     map[string]bool        // paths that the side file accounts for
	names    map[string]string      // folder on disk → its name in the archive
	sides    map[*Entry]*sideEntry  // where an entry came from
	hardlink map[*Entry][]byte      // what lay on disk under further names
}

// walk lists the folder. It follows no links.
func (k *packer) walk(p mtkport.Progress) (err error) {
	task := mtkport.Begin(p, "pack", -1)
	defer func() { task.Done(err) }()
	k.found, k.used, k.names = map[string]fs.FileMode{}, map[string]bool{}, map[string]string{}
	k.sides, k.hardlink = map[*Entry]*sideEntry{}, map[*Entry][]byte{}
	return fs.WalkDir(k.tree.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = k.ctx.Err()
		}
		if err != nil {
			return err
		}
		k.found[name] = d.Type()
		k.order = append(k.order, name)
		task.Add(1)
		return nil
	})
}

func (k *packer) read(at string) ([]byte, error) {
	b, err := readBounded(k.tree, at, k.left)
	k.left -= int64(len(b))
	return b, err
}

// build makes the entries that s lists, and adds to the last archive what is
// only in the folder.
func (k *packer) build(s *side) error {
	for i := range s.Archives {
		for j := range s.Archives[i].Entries {
			k.claim(&s.Archives[i].Entries[j])
		}
	}
	for i := range s.Archives {
		if err := k.archive(&s.Archives[i], i == len(s.Archives)-1); err != nil {
			return err
		}
	}
	return k.checkLinks()
}

// at is where the entry lies on disk.
func (d *sideEntry) at() string {
	if d.Disk != "" {
		return d.Disk
	}
	return path.Clean(d.Path)
}

// archived is the entry's name in the archive.
func (d *sideEntry) archived() string {
	if b, err := hex.DecodeString(d.NameHex); err == nil && len(b) > 0 {
		name, _, _ := strings.Cut(string(b), "\x00")
		return name
	}
	return d.Path
}

// claim marks the path of d, and the folders above it with their names.
func (k *packer) claim(d *sideEntry) {
	at, name := d.at(), clean(d.archived())
	for at != "." && at != "/" && at != "" {
		k.used[at] = true
		if name != "" && name != "." {
			k.names[at] = name
		}
		at, name = path.Dir(at), path.Dir(name)
	}
	k.used["."] = true
}

func (k *packer) archive(s *sideArchive, last bool) error {
	start := len(k.a.entries)
	for i := range s.Entries {
		d := &s.Entries[i]
		e, err := k.entry(d)
		if err != nil {
			return err
		}
		if e == nil {
			k.ch.Dropped = append(k.ch.Dropped, d.Path)
			continue
		}
		k.sides[e] = d
		k.a.entries = append(k.a.entries, e)
	}
	if last {
		if err := k.addRest(); err != nil {
			return err
		}
	}
	t, err := k.trailer(s)
	if err != nil {
		return err
	}
	if t != nil {
		k.a.entries = append(k.a.entries, t)
	}
	return k.finish(s, k.a.entries[start:])
}

// finish counts the inodes that are not given, and lays the remembered digits
// over the headers.
func (k *packer) finish(s *sideArchive, entries []*Entry) error {
	next := uint32(firstInode)
	if s.FirstIno != nil {
		next = *s.FirstIno
	}
	for _, e := range entries {
		d := k.sides[e]
		if d == nil || d.Ino == nil {
			e.Ino = next
		}
		next = e.Ino + 1
		if err := k.digits(e, d); err != nil {
			return err
		}
	}
	return nil
}

// digits makes the header of e, each field as it was written if it still means
// the same.
func (k *packer) digits(e *Entry, d *sideEntry) error {
	n := len(e.rawName)
	if n == 0 {
		n = len(e.name) + 1
	}
	v := e.values(len(e.data), n)
	h := encode(e.magic, v, nil, k.a.upper)
	if d != nil {
		old := h
		for key, text := range d.Raw {
			i := slices.Index(fieldNames[:], key)
			if i < 0 || len(text) != 8 {
				return sideError("raw of "+strconv.Quote(d.Path), key+": "+strconv.Quote(text), "a header field and its eight digits")
			}
			copy(old.field(i), text)
		}
		h = encode(e.magic, v, &old, k.a.upper)
	}
	e.raw = &h
	return nil
}

// trailer makes the trailer of an archive, nil if it had none.
func (k *packer) trailer(s *sideArchive) (*Entry, error) {
	if s.None {
		return nil, nil
	}
	d := s.Trailer
	if d == nil {
		d = &sideEntry{Mode: "0644"}
	}
	e, err := d.header()
	if err != nil {
		return nil, err
	}
	if d.NameHex == "" {
		e.name = trailerName
	}
	k.sides[e] = d
	e.Check, e.block = d.check(e), mkbootfsBlock
	switch {
	case s.Gap != "":
		e.block = 0
		e.gap, err = parseGap(s.Gap)
	case s.Pad != nil:
		if e.block = *s.Pad; e.block < 1 || e.block > 1<<20 || e.block&(e.block-1) != 0 {
			return nil, sideError("pad", fmt.Sprint(e.block), "a power of two, at most 1 MiB")
		}
	}
	return e, err
}

func parseGap(s string) ([]byte, error) {
	text, ok := strings.CutSuffix(s, " zeros")
	if !ok {
		return hexField("gap", s)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > MaxUnpacked {
		return nil, sideError("gap", strconv.Quote(s), "a number of zeros")
	}
	return make([]byte, n), nil
}

// typeOf reads the type word of the side file.
func (d *sideEntry) typeOf() (uint32, error) {
	for v, n := range typeNames {
		if n == d.Type {
			return v, nil
		}
	}
	v, err := strconv.ParseUint(d.Type, 8, 32)
	if err != nil || uint32(v)&TypeMask != uint32(v) || !strings.HasPrefix(d.Type, "0") {
		return 0, sideError("type of "+strconv.Quote(d.Path), strconv.Quote(d.Type), "file, dir, symlink, char, block, fifo or socket")
	}
	return uint32(v), nil
}

// header makes an entry of what d says, without content from the disk.
func (d *sideEntry) header() (*Entry, error) {
	e := &Entry{Header: Header{UID: d.UID, GID: d.GID, MTime: d.MTime, NLink: 1}, name: d.Path, magic: magicNewc, off: -1}
	perm, err := strconv.ParseUint(d.Mode, 8, 32)
	if err != nil || perm > 0o7777 && uint32(perm)&TypeMask != 0 {
		return nil, sideError("mode of "+strconv.Quote(d.Path), strconv.Quote(d.Mode), "octal digits, as \"0750\"")
	}
	e.Mode = uint32(perm)
	if d.Type != "" {
		typ, err := d.typeOf()
		if err != nil {
			return nil, err
		}
		e.Mode |= typ
	}
	for _, p := range []struct {
		key      string
		v        []uint32
		maj, min *uint32
	}{{"rdev", d.Rdev, &e.RdevMajor, &e.RdevMinor}, {"dev", d.Dev, &e.DevMajor, &e.DevMinor}} {
		if len(p.v) != 0 && len(p.v) != 2 {
			return nil, sideError(p.key+" of "+strconv.Quote(d.Path), fmt.Sprint(p.v), "[major, minor]")
		}
		if len(p.v) == 2 {
			*p.maj, *p.min = p.v[0], p.v[1]
		}
	}
	for _, p := range []struct{ from, to *uint32 }{{d.Ino, &e.Ino}, {d.NLink, &e.NLink}} {
		if p.from != nil {
			*p.to = *p.from
		}
	}
	if d.Magic != "" {
		if e.magic = d.Magic; !hasMagic([]byte(d.Magic)) || len(d.Magic) != 6 {
			return nil, sideError("magic of "+strconv.Quote(d.Path), strconv.Quote(d.Magic), magicNewc+" or "+magicCRC)
		}
	}
	return e, d.bytes(e)
}

// bytes fills in what d gives in hex, and checks the name.
func (d *sideEntry) bytes(e *Entry) (err error) {
	if d.NameHex != "" {
		if e.rawName, err = hexField("name_hex", d.NameHex); err != nil {
			return err
		}
		name, _, _ := strings.Cut(string(e.rawName), "\x00")
		e.name = name
	}
	if len(e.name) >= maxName || len(e.rawName) > maxName || strings.Contains(e.name, "\x00") {
		return sideError("path", fmt.Sprintf("%d bytes", len(e.name)), "at most 4095 bytes without NUL")
	}
	for _, p := range []struct {
		key  string
		from *string
		to   *[]byte
	}{{"name_pad", d.NamePad, &e.namePad}, {"data_pad", d.DataPad, &e.dataPad}} {
		if p.from != nil {
			if *p.to, err = hexField(p.key, *p.from); err != nil {
				return err
			}
		}
	}
	if d.DataHex != "" {
		e.data, err = hexField("data_hex", d.DataHex)
	}
	return err
}

// entry makes an entry of d and of what lies in its place on disk; nil when that
// is gone.
func (k *packer) entry(d *sideEntry) (*Entry, error) {
	if d.Type == "" {
		d.Type = "file"
	}
	e, err := d.header()
	if err != nil {
		return nil, err
	}
	at := d.at()
	found, there := k.found[at]
	switch e.Type() {
	case TypeDir:
		if there && !found.IsDir() {
			return nil, sideError(strconv.Quote(d.Path), "another thing in "+at, "a folder")
		}
		if !there {
			return nil, nil
		}
	case TypeFile:
		if !there {
			return nil, nil
		}
		if err := k.content(e, d, at, found); err != nil {
			return nil, err
		}
	case TypeSymlink:
		if d.DataHex == "" {
			e.data = []byte(d.Target)
		}
		if there {
			if err := k.content(e, d, at, found); err != nil {
				return nil, err
			}
		}
	}
	e.Check = d.check(e)
	return e, nil
}

// check is the check that d gives, or that e's content asks for.
func (d *sideEntry) check(e *Entry) uint32 {
	if d.Check != nil {
		return *d.Check
	}
	return wantCheck(e)
}

// content takes the data of a file or link from the disk, whichever is there.
func (k *packer) content(e *Entry, d *sideEntry, at string, found fs.FileMode) error {
	typ := uint32(TypeFile)
	switch {
	case found&fs.ModeSymlink != 0:
		typ = TypeSymlink
		target, err := k.tree.Readlink(at)
		if err != nil {
			return err
		}
		if target = filepath.ToSlash(target); target != e.Target() || e.Type() != typ {
			e.data = []byte(target)
		}
	case found.IsRegular():
		b, err := k.read(at)
		if err != nil {
			return err
		}
		if d.HardLink != "" {
			k.hardlink[e] = b
		} else {
			e.data = b
		}
	default:
		return sideError(strconv.Quote(d.Path), "another thing in "+at, "a file or a link")
	}
	if e.Type() != typ {
		e.Mode = typ | DefaultPerm(e.name, typ)
	}
	return nil
}

// checkLinks compares what lies under the further names of a hard link with the
// content of the name that carries it.
func (k *packer) checkLinks() error {
	for _, e := range k.a.entries {
		b, ok := k.hardlink[e]
		if !ok {
			continue
		}
		c := k.a.carrier(e)
		if c == e && len(b) > 0 { // the carrier went
			e.setData(b)
			continue
		}
		if string(c.data) != string(b) {
			return &mtkport.Error{File: e.name, Off: mtkport.NoOffset, Found: "another content than that of " + c.name, Want: "the same: both are one file",
				Err: mtkport.ErrRefused, Hint: "edit both alike, or make one a file of its own: delete hardlink and nlink from its line in " + SideFile}
		}
	}
	return nil
}

// addRest adds what is only in the folder.
func (k *packer) addRest() error {
	for _, at := range k.order {
		if at == "." || k.used[at] {
			continue
		}
		name := at
		if up, ok := k.names[path.Dir(at)]; ok {
			name = up + "/" + path.Base(at)
		}
		k.names[at] = name
		if err := k.add(at, name); err != nil {
			return err
		}
		k.ch.Added = append(k.ch.Added, name)
	}
	return nil
}

func (k *packer) add(at, name string) error {
	switch found := k.found[at]; {
	case found.IsDir():
		return k.a.Mkdir(name)
	case found&fs.ModeSymlink != 0:
		target, err := k.tree.Readlink(at)
		if err != nil {
			return err
		}
		return k.a.Symlink(filepath.ToSlash(target), name)
	case found.IsRegular():
		b, err := k.read(at)
		if err != nil {
			return err
		}
		return k.a.Put(name, b)
	default:
		return &mtkport.Error{File: at, Off: mtkport.NoOffset, Found: found.String(), Want: "a file, folder or link",
			Err: mtkport.ErrRefused, Hint: "list device nodes in " + SideFile}
	}
}
