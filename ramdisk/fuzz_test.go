package ramdisk

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// FuzzArchive: whatever can be read is written back byte for byte, from memory
// and from a folder, and survives an edit.
func FuzzArchive(f *testing.F) {
	f.Add([]byte(member("init", "#!/sbin/sh", nil) + member("sbin", "", map[int]string{fieldMode: "000041ed"}) + trailer()))
	f.Add([]byte(member("../a", "x", nil) + member("CON", "y", nil) + member("con", "z", nil)))
	f.Add([]byte(member("l", "/etc", map[int]string{fieldMode: "0000A1FF"}) + member("l/passwd", "x", map[int]string{fieldNLink: "00000002"}) + trailer() + "\x00\x00\x00\x00" + trailer() + "junk"))
	f.Add([]byte(member("a", "", map[int]string{fieldFileSize: "-0000001"})))
	f.Add([]byte("070702" + member("a", "abc", map[int]string{fieldCheck: "00000126"})[6:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := OpenWith(bytes.NewReader(b), int64(len(b)), Options{MaxUnpacked: 1 << 20})
		if err != nil || a.Compression() != None {
			return
		}
		var out bytes.Buffer
		if err := a.writeCpio(&out); err != nil || !bytes.Equal(out.Bytes(), b) {
			t.Fatalf("written from entries: another archive, %v", err)
		}
		if len(a.entries) < 20 {
			fuzzFolder(t, a, b)
		}
		if a.Put("a new/file", []byte("x")) != nil {
			return
		}
		again, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(t, again).ReadFile("a new/file"); err != nil || string(got) != "x" {
			t.Fatalf("after an edit: %q, %v", got, err)
		}
	})
}

func fuzzFolder(t *testing.T, a *Archive, want []byte) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := a.Unpack(t.Context(), root, nil); err != nil {
		return
	}
	got, ch, err := Pack(t.Context(), root, Options{}, nil)
	if err != nil {
		side, _ := os.ReadFile(dir + "/" + SideFile)
		t.Fatalf("packing what was unpacked: %v\n%s", err, side)
	}
	out, err := got.Bytes()
	if err != nil || !bytes.Equal(out, want) {
		side, _ := os.ReadFile(dir + "/" + SideFile)
		t.Fatalf("from a folder: another archive, %v %v\n%s\n%q", ch, err, side, out)
	}
}

// FuzzStreams: no container makes a decoder panic, read beyond its input or
// grow beyond the bound.
func FuzzStreams(f *testing.F) {
	for _, c := range Compressions() {
		var b bytes.Buffer
		if err := codecs[c].encode(&b, []byte(member("init", "#!/sbin/sh", nil)+trailer()), settings{}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(append(b.Bytes()[:b.Len():b.Len()], "\x00\x00junk"...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Detect(b)
		if err != nil {
			return
		}
		s := &sink{max: 1 << 20}
		used, err := codecs[c].decode(io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), s)
		if used < 0 || err == nil && used > int64(len(b)) {
			t.Fatalf("%s: %d bytes used of %d, %v", c, used, len(b), err)
		}
		a, err := OpenWith(bytes.NewReader(b), int64(len(b)), Options{MaxUnpacked: 1 << 20})
		if err != nil {
			return
		}
		if out := packed(t, a); !bytes.Equal(out, b) {
			t.Fatalf("%s: untouched, but not the same bytes", c)
		}
	})
}
