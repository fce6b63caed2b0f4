package port

import (
	"archive/zip"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mtkport"
)

// addTo copies a package without some entries and with others, as name → text.
func addTo(t *testing.T, from string, drop []string, add map[string]string, change func(string, []byte) []byte) string {
	t.Helper()
	z, err := zip.OpenReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	name := filepath.Join(t.TempDir(), "p.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	put := func(name string, b []byte) {
		e, err := w.Create(name)
		if err == nil {
			_, err = e.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range z.File {
		if slices.Contains(drop, e.Name) {
			continue
		}
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		put(e.Name, change(e.Name, b))
	}
	for n, text := range add {
		put(n, []byte(text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func codes(t *testing.T, donor, target string) map[string]mtkport.Severity {
	t.Helper()
	p, err := Prepare(context.Background(), Job{Donor: donor, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out := map[string]mtkport.Severity{}
	for _, f := range p.Findings {
		out[f.Code] = f.Severity
	}
	return out
}

// TestOtherEvidence: a side without a kernel or a build.prop is still asked for
// its chip and its Android version, by what else it has.
func TestOtherEvidence(t *testing.T) {
	donor, target := phones(t)
	sdk := func(from, to string) func(string, []byte) []byte {
		return func(name string, b []byte) []byte {
			if name == "system/build.prop" {
				return []byte(strings.NewReplacer("ro.mediatek.platform=MT6572", "x=y", "ro.build.version.sdk="+from, "ro.build.version.sdk="+to).Replace(string(b)))
			}
			return b
		}
	}
	list := map[string]string{"MT6582_Android_scatter_emmc.txt": "PRELOADER 0x0\n{\n}\nMBR 0x600000\n{\n}\nANDROID 0x1000000\n{\n}\n"}
	other := addTo(t, donor, []string{"boot.img"}, list, sdk("17", "17"))
	if got := codes(t, other, target); got["platform-mismatch"] != mtkport.Blocker {
		t.Errorf("chip by the scatter: %v", got)
	}
	wide := addTo(t, donor, nil, map[string]string{"system/lib64/libc.so": "x"}, sdk("17", "17"))
	if got, found := codes(t, wide, target)["abi-mismatch"]; !found || got != mtkport.Blocker {
		t.Error("64-bit libraries pass")
	}
	bare := t.TempDir() // boot.img and some drivers: no build.prop
	for _, n := range []string{"lib", "etc", "bin"} {
		if err := os.MkdirAll(filepath.Join(bare, "system", n), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bare, "system", n, "mine"), []byte(n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(target, "boot.img"))
	if err == nil {
		err = os.WriteFile(filepath.Join(bare, "boot.img"), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]bool{"17": false, "19": true} {
		if _, found := codes(t, addTo(t, donor, nil, nil, sdk("17", to)), bare)["android-unstated"]; found != want {
			t.Errorf("sdk %s on a kernel of 4.2: android-unstated %v", to, found)
		}
	}
	if got, found := codes(t, donor, target)["platform-mismatch"]; found {
		t.Errorf("the phones of one chip: %v", got)
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		version, release string
		want             bool
	}{{"3.4.5", "3.4.5", true}, {"3.4.5-kernel", "3.4.5", true}, {"3.4.55", "3.4.5", false}, {"3.10.54+", "3.10.", true}, {"3.1.0", "3.10.", false}} {
		if got := fits(c.version, c.release); got != c.want {
			t.Errorf("%s of %s: %v", c.version, c.release, got)
		}
	}
}
