package ramdisk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// trickyNames are names that some disk cannot keep, or that lead elsewhere.
var trickyNames = []string{"init", "init.rc", "INIT", "Init.rc", "sbin", "sbin/adbd", "SBIN/adbd", "sbin/ueventd", "a/b/c", "a", "a/b", "A",
	"../evil", "/abs", "./dot", "..", ".", "", "con", "NUL.txt", "com1", "lpt9.rc", "trail.", "trail ", "co:lon", "st*r", "q?", "back\\slash", "pipe|", "\"", "<>",
	"tab\there", "nl\nx", "\xff\xfe", "ü", "ÜBER", "über", "%41", "%43ON", "x~2", "x", "X", "sbin/../etc/passwd", "link/passwd", "link", "yes", "null", "- dash", "#hash", "{a: b}", "'q'", strings.Repeat("n", 300)}

// anyArchive is an archive with all that may be odd about it.
func anyArchive(t *rapid.T) []byte {
	var out []byte
	pad := func() {
		p := make([]byte, pad4(int64(len(out))))
		if rapid.IntRange(0, 9).Draw(t, "odd pad") == 0 && len(p) > 0 {
			p[len(p)-1] = 0x55
		}
		out = append(out, p...)
	}
	upper := rapid.Bool().Draw(t, "upper")
	add := func(name string, mode uint32, data []byte) {
		h := Header{Mode: mode, Ino: uint32(300000 + len(out)/500), NLink: 1}
		if rapid.IntRange(0, 3).Draw(t, "odd header") == 0 {
			u := rapid.SampledFrom([]uint32{0, 1, 2, 10, 1000, 0xabcdef, 0xffffffff})
			h.Ino, h.NLink, h.UID, h.GID, h.MTime = u.Draw(t, "ino"), u.Draw(t, "nlink"), u.Draw(t, "uid"), u.Draw(t, "gid"), u.Draw(t, "mtime")
			h.DevMajor, h.DevMinor, h.RdevMajor, h.RdevMinor, h.Check = u.Draw(t, "d"), u.Draw(t, "d"), u.Draw(t, "r"), u.Draw(t, "r"), u.Draw(t, "check")
		}
		magic := rapid.SampledFrom([]string{magicNewc, magicNewc, magicNewc, magicCRC}).Draw(t, "magic")
		raw := name + "\x00"
		if rapid.IntRange(0, 9).Draw(t, "odd name") == 0 {
			raw = name + rapid.SampledFrom([]string{"\x00\x00", "\x00more", "."}).Draw(t, "end")
		}
		c := encode(magic, h.values(len(data), len(raw)), nil, upper != (rapid.IntRange(0, 9).Draw(t, "odd case") == 0))
		out = append(append(out, c[:]...), raw...)
		pad()
		out = append(out, data...)
		pad()
	}
	archives := rapid.IntRange(1, 2).Draw(t, "archives")
	for i := range archives {
		for range rapid.IntRange(0, 7).Draw(t, "entries") {
			name := rapid.SampledFrom(trickyNames).Draw(t, "name")
			typ := rapid.SampledFrom([]uint32{TypeFile, TypeFile, TypeDir, TypeSymlink, TypeChar, TypeBlock, TypeFIFO, TypeSocket, 0, 0o150000}).Draw(t, "type")
			perm := rapid.SampledFrom([]uint32{0o644, 0o755, 0o4750, 0, 0o7777}).Draw(t, "perm")
			data := rapid.SampledFrom([]string{"", "x", "text", "../init", "/etc/passwd", "../../../out", "link", "\x00\xff", "a: b # c"}).Draw(t, "data")
			add(name, typ|perm, []byte(data))
		}
		if i < archives-1 || rapid.IntRange(0, 9).Draw(t, "trailer") > 0 {
			add(trailerName, rapid.SampledFrom([]uint32{0, 0o644, 0o755, TypeFile | 0o644}).Draw(t, "trailer mode"), nil)
			block := rapid.SampledFrom([]int{1, 4, 256, 512, 1000}).Draw(t, "block")
			out = append(out, make([]byte, (block-len(out)%block)%block)...)
		} else if len(out) == 0 {
			add("only", TypeFile, nil)
		}
	}
	return append(out, rapid.SampledFrom([]string{"", "", "junk", "\x1f\x8b"}).Draw(t, "rest")...)
}

// TestAnyArchive: any archive is written back byte for byte, from memory and
// from a folder; nothing lands outside that folder.
func TestAnyArchive(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		b := anyArchive(t)
		a, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return // junk that begins an archive, or a trailer cut off
		}
		var out bytes.Buffer
		if err := a.writeCpio(&out); err != nil || !bytes.Equal(out.Bytes(), b) {
			t.Fatalf("from memory: another archive, %v\n%q\n%q", err, b, out.Bytes())
		}
		n++
		top := filepath.Join(base, fmt.Sprint(n))
		dir := filepath.Join(top, "in")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(top)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := a.Unpack(t.Context(), root, nil); err != nil {
			t.Fatal(err)
		}
		got, ch, err := Pack(t.Context(), root, Options{}, nil)
		side, _ := os.ReadFile(filepath.Join(dir, SideFile))
		if err != nil {
			t.Fatalf("packing what was unpacked: %v\n%s", err, side)
		}
		if again, err := got.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("from a folder: another archive, %v %v\n%s\n%q\n%q", ch, err, side, b, again)
		}
		if list, _ := os.ReadDir(top); len(list) != 1 {
			t.Fatalf("beside the folder: %v", list)
		}
	})
	if n < 50 {
		t.Errorf("only %d archives could be read: the property is hollow", n)
	}
}

// TestDiskNames: no two places on disk differ only in case, and every part is a
// name that Windows keeps.
func TestDiskNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, seen := newNamer(), map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			name, dir := rapid.SampledFrom(trickyNames).Draw(t, "name"), rapid.Bool().Draw(t, "dir")
			at := n.place(name, dir)
			if at == "." {
				continue
			}
			if !filepath.IsLocal(at) {
				t.Fatalf("%q lies at %q, outside", name, at)
			}
			for p := range strings.SplitSeq(at, "/") {
				if p == "" || len(p) > 255 || reserved(p) || strings.ContainsAny(p, "<>:\"|?*\\\n\t") || strings.HasSuffix(p, ".") || strings.HasSuffix(p, " ") {
					t.Fatalf("%q lies at %q", name, at)
				}
			}
			if key := strings.ToLower(at); !dir {
				if seen[key] {
					t.Fatalf("%q lies at %q, where another does", name, at)
				}
				seen[key] = true
			}
		}
	})
}

// TestEditsAreLocal: an edit of a real archive changes what it must, nothing else.
func TestEditsAreLocal(t *testing.T) {
	for name, b := range realRamdisks(t) {
		a := open(t, b)
		before := bytes.Clone(a.cpio)
		e := a.entries[len(a.entries)/2]
		off := e.off
		if err := a.Chmod(e.name, e.Perm()^0o7); err != nil {
			t.Fatal(err)
		}
		after, err := a.Cpio()
		if err != nil {
			t.Fatal(err)
		}
		for i := range before {
			if before[i] != after[i] && (int64(i) < off+14 || int64(i) >= off+22) {
				t.Fatalf("%s: chmod of %s at 0x%x changed byte 0x%x", name, e.name, off, i)
			}
		}
		if bytes.Equal(before, after) {
			t.Errorf("%s: chmod of %s changed nothing", name, e.name)
		}
		if err := a.Chmod(e.name, e.Perm()^0o7); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(a.entries, func(e *Entry) bool { return e.Type() == TypeFile && len(e.data) > 4 })
		e = a.entries[i]
		old := e.data
		if err := a.Put(e.name, append(old[:len(old):len(old)], "more"...)); err != nil {
			t.Fatal(err)
		}
		if after, err = a.Cpio(); err != nil {
			t.Fatal(err)
		}
		next := a.entries[i+1].off
		if !bytes.Equal(before[:e.off+54], after[:e.off+54]) || !bytes.Contains(after, before[next:len(before)-len(a.entries[len(a.entries)-1].gap)]) {
			t.Errorf("%s: put of %s changed more than that", name, e.name)
		}
		if err := a.Put(e.name, old); err != nil {
			t.Fatal(err)
		}
		if a.Changed() || !bytes.Equal(packed(t, a), b) {
			t.Errorf("%s: put back as it was, but not the same bytes", name)
		}
	}
}

// TestNewIsMkbootfs: a real ramdisk made anew from names, modes and contents
// alone is what Android's mkbootfs and minigzip made.
func TestNewIsMkbootfs(t *testing.T) {
	same := 0
	for name, b := range realRamdisks(t) {
		a, n := open(t, b), New(Gzip)
		if a.upper {
			continue // by cpio
		}
		for _, e := range a.Entries() {
			var err error
			switch e.Type() {
			case TypeDir:
				err = n.Mkdir(e.name)
			case TypeSymlink:
				err = n.Symlink(e.Target(), e.name)
			default:
				err = n.Put(e.name, e.data)
			}
			if err == nil {
				err = n.Chmod(e.name, e.Perm())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if bytes.Equal(packed(t, n), b) {
			same++
		} else {
			t.Logf("%s: made by other tools", name)
		}
	}
	if same < 7 {
		t.Errorf("only %d of the real ramdisks come out of New as their makers made them", same)
	}
}

// TestLinksStayInside: real links are made only where they cannot lead out, and
// files whose path runs over a link land beside it.
func TestLinksStayInside(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symlinks")
	}
	in := member("out", "../../outside", map[int]string{fieldMode: "0000a1ff"}) + member("abs", "/etc", map[int]string{fieldMode: "0000a1ff"}) +
		member("abs/passwd", "hacked", nil) + member("out/file", "hacked", nil) + member("in", "sub/file", map[int]string{fieldMode: "0000a1ff"}) +
		member("sub/file", "fine", nil) + trailer()
	a := open(t, []byte(in))
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := a.Unpack(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out", "abs"} {
		if st, err := os.Lstat(filepath.Join(dir, TreeFolder, name)); err == nil && st.Mode()&os.ModeSymlink != 0 {
			t.Errorf("%s is a real link", name)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, TreeFolder, "in")); err != nil || string(b) != "fine" {
		t.Errorf("the link that stays inside: %q, %v", b, err)
	}
	// A link that a user adds is packed as a link, never read through.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Symlink(secret, filepath.Join(dir, TreeFolder, "added")),
		os.Remove(filepath.Join(dir, TreeFolder, "sub/file")), os.Symlink(secret, filepath.Join(dir, TreeFolder, "sub/file"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b, ch, err := Pack(t.Context(), root, Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"added", "sub/file"} {
		if e := b.Lookup(name); e == nil || e.Target() != secret {
			t.Errorf("%s: %+v, want a link; %v", name, e, ch)
		}
	}
}
