package prop

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"mtkport/testdata/realfile"
)

const sample = "# begin\nro.a=1\r\nro.a=2\nb=1\nb=2\n\nempty=\nodd=x=y=z\n  spaced = v \nnot an assignment\nlast=1"

func TestGetSet(t *testing.T) {
	f := Parse([]byte(sample))
	if got := string(f.Bytes()); got != sample {
		t.Fatalf("not kept:\n%q\n%q", got, sample)
	}
	for key, want := range map[string]string{"ro.a": "1", "b": "2", "empty": "", "odd": "x=y=z", "spaced": "v", "last": "1"} {
		if got, ok := f.Get(key); !ok || got != want {
			t.Errorf("%s: got %q, %v, want %q", key, got, ok, want)
		}
	}
	if _, ok := f.Get("not an assignment"); ok {
		t.Error("a line without = became a key")
	}
	f.Set("ro.a", "9")
	f.Set("b", "9")
	f.Set("odd", "x=y=z")
	f.Set("new", "1")
	want := "# begin\nro.a=9\r\nro.a=2\nb=1\nb=9\n\nempty=\nodd=x=y=z\n  spaced = v \nnot an assignment\nlast=1\nnew=1\n"
	if got := string(f.Bytes()); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !f.Remove("b") || f.Remove("b") {
		t.Error("remove: want true, then false")
	}
}

func TestRealBuildProp(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "a516-allegro", "donor-build.prop"))
	if err != nil {
		t.Fatal(err)
	}
	f := Parse(b)
	if !bytes.Equal(f.Bytes(), b) {
		t.Error("not kept byte for byte")
	}
	if v, _ := f.Get("mediatek.wlan.chip"); v != "mediatek.wlan.module.postfix=_" {
		t.Errorf("the glued line reads %q", v)
	}
	if v, _ := f.Get("ro.mediatek.platform"); v != "MT6572" {
		t.Errorf("platform %q", v)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample), "k", "v")
	f.Fuzz(func(t *testing.T, b []byte, _, _ string) {
		p := Parse(b)
		if !bytes.Equal(p.Bytes(), b) {
			t.Fatalf("not kept: %q", b)
		}
		for _, k := range p.Keys() {
			v, ok := p.Get(k)
			if !ok {
				t.Fatalf("key %q has no value", k)
			}
			p.Set(k, v)
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Fatalf("setting what is set changed %q", b)
		}
	})
}
