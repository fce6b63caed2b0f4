package scatter

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mtkport/testdata/realfile"
)

// TestBuildIsTheGenerator rebuilds files of MediaTek's own generator from names,
// places, file names and ticks alone.
func TestBuildIsTheGenerator(t *testing.T) {
	for _, name := range []string{"a516-allegro", "layouts/fly-iq4407", "layouts/micromax-q340", "layouts/oppo-neo5"} {
		files, _ := filepath.Glob(filepath.Join(realfile.Dir(t), name, "*scatter*.txt"))
		if len(files) != 1 {
			t.Fatalf("%s: %d scatter files", name, len(files))
		}
		l, want := mustParse(t, files[0])
		s := l.Spec()
		for i := range s.Entries {
			s.Entries[i].Type, s.Entries[i].Region, s.Entries[i].Operation = "", "", ""
		}
		got, err := Build(s)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %s", name, cmp.Diff(string(want), string(got)))
		}
	}
}

func TestBuildEndToEnd(t *testing.T) {
	b, err := Build(Spec{Project: "demo", Entries: []Entry{
		{Name: "PRELOADER", Size: 0x600000}, {Name: "MBR", Size: 0x80000}, {Name: "NVRAM", Size: 0x500000},
		{Name: "ANDROID", Size: 0x1000000, File: "system.img", Download: true}, {Name: "USRDATA"}, {Name: "BMTPOOL", FromEnd: 0xa8, Size: 0x1500000}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Parse(b, "MT6572_Android_scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	if p := l.Find("system"); p.Linear != 0xb80000 || p.Type != "YAFFS_IMG" || !p.Download || p.File != "system.img" {
		t.Errorf("%+v", p)
	}
	if p := l.Find("BMTPOOL"); !p.FromEnd || p.EndBlocks != 0xa8 || p.Operation != "RESERVED" {
		t.Errorf("%+v", p)
	}
	if p := l.Find("userdata"); !p.ToEnd || p.Linear != 0x1b80000 {
		t.Errorf("%+v", p)
	}
	for _, f := range Check(l) {
		if f.Code != "size-rest" {
			t.Errorf("%+v", f)
		}
	}
	for _, bad := range []Spec{{Project: "a b"}, {Project: ""}, {Project: "a", Entries: []Entry{{Name: "X\nY"}}}, {Project: "a", Entries: []Entry{{Name: "X", Start: -1}}}} {
		if _, err := Build(bad); err == nil {
			t.Errorf("%+v: built", bad)
		}
	}
}
