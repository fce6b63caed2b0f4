package ramdisk

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"mtkport"
)

// DefaultPerm is the permission bits that Android's makers give a name of that
// type (android_filesystem_config.h, 4.x, and the stock ramdisks of this family).
func DefaultPerm(name string, typ uint32) uint32 {
	name = clean(name)
	switch typ {
	case TypeDir:
		return match(dirPerms, name)
	case TypeSymlink:
		return 0o777
	case TypeChar, TypeBlock, TypeFIFO, TypeSocket:
		return 0o600
	}
	return match(filePerms, name)
}

type perm struct {
	glob string // of the whole name; the first that matches counts
	perm uint32
}

var dirPerms = []perm{
	{"sbin", 0o750}, {"data", 0o771}, {"cache", 0o770}, {"*", 0o755},
}

var filePerms = []perm{
	{"init", 0o750}, {"init.*", 0o750}, {"charger", 0o750}, {"sbin/*", 0o750}, {"*.rc", 0o644}, {"fstab.*", 0o640},
	{"system/bin/*", 0o755}, {"system/xbin/*", 0o755}, {"bin/*", 0o755}, {"*.sh", 0o750}, {"*", 0o644},
}

func match(table []perm, name string) uint32 {
	for _, p := range table {
		if ok, _ := path.Match(p.glob, name); ok || p.glob == "*" {
			return p.perm
		}
	}
	return 0o644
}

// CheckName reports whether a new entry may have the name: relative, without
// "..", empty parts or NUL, shorter than a kernel's PATH_MAX, and not that of a
// trailer. The error is of class [mtkport.ErrRefused].
func CheckName(name string) error {
	want := ""
	parts := strings.Split(name, "/")
	switch {
	case name == "" || path.IsAbs(name):
		want = "a name relative to the root, without leading slash"
	case len(name) >= maxName:
		want = "at most 4095 bytes"
	case name == trailerName:
		want = "another name: this one ends an archive"
	case strings.Contains(name, "\x00") || slices.Contains(parts, "") || slices.Contains(parts, ".") || slices.Contains(parts, ".."):
		want = "a name without NUL, \".\", \"..\" or empty parts"
	default:
		return nil
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "name", Found: strconv.Quote(name), Want: want, Err: mtkport.ErrRefused}
}

// Put gives a file its content. A file that is there keeps owner, mode and time,
// and a hard link its other names; a symlink or node of that name becomes a
// file. A new file gets root as owner and [DefaultPerm]. Folders that lack above
// it are made, for a kernel loses files without their folder.
func (a *Archive) Put(name string, data []byte) error {
	if int64(len(data)) > math.MaxUint32 {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: name, Found: strconv.Itoa(len(data)) + " bytes", Want: "less than 4 GiB", Err: mtkport.ErrTooBig}
	}
	e, err := a.make(name, TypeFile)
	if err != nil {
		return err
	}
	a.carrier(e).setData(data)
	return nil
}

// Symlink makes name a link to target, replacing a file, link or node.
func (a *Archive) Symlink(target, name string) error {
	if target == "" || len(target) >= maxName || strings.Contains(target, "\x00") {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "target of " + name, Found: strconv.Quote(target), Want: "1 to 4095 bytes without NUL", Err: mtkport.ErrRefused}
	}
	e, err := a.make(name, TypeSymlink)
	if err != nil {
		return err
	}
	e.setData([]byte(target))
	return nil
}

// Mkdir makes a folder, and those above it. One that is there is left alone.
func (a *Archive) Mkdir(name string) error {
	_, err := a.make(name, TypeDir)
	return err
}

// Mknod makes a device node, FIFO or socket: typ is [TypeChar], [TypeBlock],
// [TypeFIFO] or [TypeSocket]; the numbers count for the first two.
func (a *Archive) Mknod(name string, typ, major, minor uint32) error {
	switch typ {
	case TypeChar, TypeBlock, TypeFIFO, TypeSocket:
	default:
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "type of " + name, Found: "0" + strconv.FormatUint(uint64(typ), 8), Want: "char, block, fifo or socket", Err: fs.ErrInvalid}
	}
	e, err := a.make(name, typ)
	if err != nil {
		return err
	}
	e.setData(nil)
	e.RdevMajor, e.RdevMinor = major, minor
	return nil
}

// Chmod sets the permission bits, at most 07777.
func (a *Archive) Chmod(name string, perm uint32) error {
	e := a.Lookup(name)
	if e == nil {
		return missing(name)
	}
	if perm&^0o7777 != 0 {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "mode of " + name, Found: "0" + strconv.FormatUint(uint64(perm), 8), Want: "at most 07777", Err: fs.ErrInvalid}
	}
	return a.setAll(e, func(e *Entry) { e.Mode = e.Type() | perm })
}

// Chown sets owner and group.
func (a *Archive) Chown(name string, uid, gid uint32) error {
	e := a.Lookup(name)
	if e == nil {
		return missing(name)
	}
	return a.setAll(e, func(e *Entry) { e.UID, e.GID = uid, gid })
}

// setAll changes an inode under all its names.
func (a *Archive) setAll(e *Entry, fn func(*Entry)) error {
	for _, o := range a.entries {
		if o == e || !o.isTrailer() && sameInode(o, e) {
			fn(o)
		}
	}
	return nil
}

// Remove takes out every entry of that name, and all below a folder.
func (a *Archive) Remove(name string) error {
	if a.index(name) < 0 {
		return missing(name)
	}
	name = clean(name)
	gone := func(e *Entry) bool {
		n := clean(e.name)
		return !e.isTrailer() && (n == name || strings.HasPrefix(n, name+"/"))
	}
	for _, e := range a.entries {
		if gone(e) {
			a.saveLink(e, gone)
		}
	}
	a.entries = slices.DeleteFunc(a.entries, gone)
	if a.fresh {
		a.renumber()
	}
	return nil
}

// saveLink moves the content of a hard link that goes to a name that stays.
func (a *Archive) saveLink(e *Entry, gone func(*Entry) bool) {
	if e.NLink < 2 || e.Type() != TypeFile {
		return
	}
	for _, o := range slices.Backward(a.entries) {
		if o != e && !gone(o) && !o.isTrailer() && sameInode(o, e) {
			if len(o.data) == 0 {
				o.setData(e.data)
			}
			return
		}
	}
}

// setData replaces the content; padding and, for 070702, the check follow.
func (e *Entry) setData(b []byte) {
	if string(b) == string(e.data) && e.raw != nil {
		return
	}
	e.data, e.dataPad = b, nil
	if e.magic == magicCRC {
		e.Check = sum(b)
	}
}

// make returns the entry of that name, made or turned into the type wanted.
func (a *Archive) make(name string, typ uint32) (*Entry, error) {
	if e := a.Lookup(name); e != nil {
		return e, a.retype(e, typ)
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if dir := path.Dir(name); dir != "." {
		if up := a.Lookup(dir); up != nil && up.Type() != TypeDir {
			return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: dir, Found: "a " + up.TypeName(), Want: "a folder", Err: mtkport.ErrRefused,
				Hint: "remove it first, or put the file where it points"}
		} else if up == nil {
			if err := a.Mkdir(dir); err != nil {
				return nil, err
			}
		}
	}
	e := &Entry{Header: Header{Ino: a.freeInode(), Mode: typ | DefaultPerm(name, typ), NLink: 1}, name: name, magic: a.magic(), off: -1}
	a.entries = slices.Insert(a.entries, a.place(name), e)
	if a.fresh {
		a.renumber()
	}
	return e, nil
}

// renumber counts inodes as mkbootfs does, the trailer's last.
func (a *Archive) renumber() {
	for i, e := range a.entries {
		e.Ino = firstInode + uint32(i)
	}
}

// retype makes e an entry of type typ with the mode of a new one.
func (a *Archive) retype(e *Entry, typ uint32) error {
	if e.Type() == typ {
		return nil
	}
	if e.Type() == TypeDir || typ == TypeDir {
		want := "a folder"
		if e.Type() == TypeDir {
			want = "no folder"
		}
		return &mtkport.Error{Off: mtkport.NoOffset, Field: e.name, Found: "a " + e.TypeName(), Want: want, Err: mtkport.ErrRefused, Hint: "remove it first"}
	}
	a.saveLink(e, func(o *Entry) bool { return o == e })
	e.Mode, e.RdevMajor, e.RdevMinor = typ|DefaultPerm(e.name, typ), 0, 0
	if e.NLink > 1 {
		e.Ino, e.NLink = a.freeInode(), 1
	}
	e.setData(nil)
	return nil
}

func (a *Archive) magic() string {
	if len(a.entries) > 0 {
		return a.entries[0].magic
	}
	return magicNewc
}

// freeInode is a number that no entry has: mkbootfs's next one, so to speak.
func (a *Archive) freeInode() uint32 {
	next := uint32(0)
	used := map[uint32]bool{}
	for _, e := range a.entries {
		if used[e.Ino] = true; !e.isTrailer() && e.Ino >= next && e.Ino < math.MaxUint32 {
			next = e.Ino + 1
		}
	}
	if len(used) <= 1 {
		next = firstInode
	}
	for len(a.Entries()) > 0 && used[next] {
		next++
	}
	return next
}

// compareNames orders names as mkbootfs does: folder by folder, bytewise.
func compareNames(x, y string) int {
	return slices.Compare(strings.Split(clean(x), "/"), strings.Split(clean(y), "/"))
}

// place is where a new name goes: where the order wants it in a sorted archive,
// else behind its folder's last entry, in any case behind its folder.
func (a *Archive) place(name string) int {
	end := len(a.entries)
	for end > 0 && a.entries[end-1].isTrailer() {
		end--
	}
	start := end
	for start > 0 && !a.entries[start-1].isTrailer() {
		start--
	}
	list := a.entries[start:end]
	if slices.IsSortedFunc(list, func(x, y *Entry) int { return compareNames(x.name, y.name) }) {
		i, _ := slices.BinarySearchFunc(list, name, func(e *Entry, n string) int { return compareNames(e.name, n) })
		return start + i
	}
	if dir := path.Dir(name); dir != "." {
		for i := len(list) - 1; i >= 0; i-- {
			if n := clean(list[i].name); n == dir || strings.HasPrefix(n, dir+"/") {
				return start + i + 1
			}
		}
	}
	return end
}
