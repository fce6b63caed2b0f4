package ramdisk

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"mtkport"
)

func names(a *Archive) string {
	var out []string
	for _, e := range a.Entries() {
		out = append(out, fmt.Sprintf("%s %s %04o", e.Name(), e.TypeName(), e.Perm()))
	}
	return strings.Join(out, "\n")
}

// TestDefaults: names get the modes that stock ramdisks give them, folders above
// are made, and the order is mkbootfs's.
func TestDefaults(t *testing.T) {
	a := New(None)
	for _, n := range []string{"sbin/adbd", "init.rc", "init", "ueventd.rc", "fstab.nand", "default.prop", "data/local/tmp/x.sh", "sbin.x", "charger"} {
		if err := a.Put(n, []byte(n)); err != nil {
			t.Fatal(err)
		}
	}
	want := `charger file 0750
data dir 0771
data/local dir 0755
data/local/tmp dir 0755
data/local/tmp/x.sh file 0644
default.prop file 0644
fstab.nand file 0640
init file 0750
init.rc file 0750
sbin dir 0750
sbin/adbd file 0750
sbin.x file 0644
ueventd.rc file 0644`
	if got := names(a); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for i, e := range a.entries {
		if e.Ino != firstInode+uint32(i) {
			t.Errorf("%s: inode %d, want %d", e.name, e.Ino, firstInode+i)
		}
	}
}

// TestStockModes: the table agrees with the real ramdisks on the names that all
// makers treat alike.
func TestStockModes(t *testing.T) {
	for file, b := range realRamdisks(t) {
		a := open(t, b)
		if a.upper {
			continue // by hand, all owned and moded alike
		}
		for _, name := range []string{"init", "init.rc", "default.prop", "sbin", "sbin/adbd", "data", "dev", "proc", "sys", "system", "ueventd.rc"} {
			if e := a.Lookup(name); e != nil && e.Type() != TypeSymlink && e.Perm() != DefaultPerm(name, e.Type()) {
				t.Errorf("%s: %s has mode %04o, the table %04o", file, name, e.Perm(), DefaultPerm(name, e.Type()))
			}
		}
	}
}

// TestEdits: each kind of edit, and what it must refuse.
func TestEdits(t *testing.T) {
	a := sample(t, None)
	refused := func(what string, err, class error) {
		t.Helper()
		if !errors.Is(err, class) {
			t.Errorf("%s: %v, want class %v", what, err, class)
		}
	}
	for _, n := range []string{"", "/abs", "../up", "a/../b", "a//b", "a/", "./a", "a\x00b", trailerName, strings.Repeat("n", 4096)} {
		refused(fmt.Sprintf("%.20q", n), a.Put(n, nil), mtkport.ErrRefused)
	}
	refused("file over folder", a.Put("sbin", nil), mtkport.ErrRefused)
	refused("folder over file", a.Mkdir("init"), mtkport.ErrRefused)
	refused("below a file", a.Put("init/x", nil), mtkport.ErrRefused)
	refused("below a link", a.Put("sbin/ueventd/x", nil), mtkport.ErrRefused)
	refused("chmod of nothing", a.Chmod("none", 0), fs.ErrNotExist)
	refused("chown of nothing", a.Chown("none", 0, 0), fs.ErrNotExist)
	refused("rm of nothing", a.Remove("none"), fs.ErrNotExist)
	refused("chmod beyond", a.Chmod("init", 0o10000), fs.ErrInvalid)
	refused("node of type file", a.Mknod("n", TypeFile, 0, 0), fs.ErrInvalid)
	refused("empty target", a.Symlink("", "l"), mtkport.ErrRefused)
	_, err := a.ReadFile("sbin")
	refused("read of a folder", err, fs.ErrInvalid)
	before := names(a)
	if err := a.Put("sbin/ueventd", []byte("now a file")); err != nil {
		t.Fatal(err)
	}
	if e := a.Lookup("sbin/ueventd"); e.Type() != TypeFile || e.Perm() != 0o750 {
		t.Errorf("a link that became a file: %s %04o", e.TypeName(), e.Perm())
	}
	if err := a.Symlink("../init", "sbin/ueventd"); err != nil {
		t.Fatal(err)
	}
	if got := names(a); got != before {
		t.Errorf("after both ways: %s, want %s", got, before)
	}
	if err := a.Remove("sbin"); err != nil {
		t.Fatal(err)
	}
	if got := names(a); strings.Contains(got, "sbin") {
		t.Errorf("after rm of a folder: %s", got)
	}
}

// TestHardLinks: a content survives the removal of the name that carries it, and
// owner and mode belong to all names.
func TestHardLinks(t *testing.T) {
	link := map[int]string{fieldNLink: "00000002", fieldIno: "00000007"}
	a := open(t, []byte(member("one", "", link)+member("two", "content", link)+trailer()))
	if b, err := a.ReadFile("one"); err != nil || string(b) != "content" {
		t.Fatalf("the first name: %q, %v", b, err)
	}
	if err := a.Chmod("one", 0o700); err != nil || a.Lookup("two").Perm() != 0o700 {
		t.Errorf("the mode of the other name: %04o, %v", a.Lookup("two").Perm(), err)
	}
	got, _ := unpackPack(t, a, nil)
	if b, err := got.ReadFile("one"); err != nil || string(b) != "content" {
		t.Errorf("from a folder: %q, %v", b, err)
	}
	if err := a.Remove("two"); err != nil {
		t.Fatal(err)
	}
	if b, err := open(t, packed(t, a)).ReadFile("one"); err != nil || string(b) != "content" {
		t.Errorf("after the carrier went: %q, %v", b, err)
	}
}

// TestSetCompression: an archive goes from any packing to any other.
func TestSetCompression(t *testing.T) {
	a := sample(t, Gzip)
	want, err := a.Cpio()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Compressions() {
		if err := a.SetCompression(c); err != nil {
			t.Fatal(err)
		}
		b := open(t, packed(t, a))
		if got, err := b.Cpio(); err != nil || string(got) != string(want) || b.Compression() != c {
			t.Errorf("%s: %d bytes, want %d, %v", c, len(got), len(want), err)
		}
		if m := b.Maker(); !m.Exact {
			t.Errorf("%s: own stream is not recognised: %s", c, m)
		}
		a = b
	}
	if err := a.SetCompression("rar"); !errors.Is(err, mtkport.ErrUnsupported) {
		t.Errorf("rar: %v", err)
	}
}
