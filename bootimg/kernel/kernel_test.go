package kernel

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/testdata/realfile"
)

// kernelBytes returns the kernel of a file: a boot image's kernel section
// (header version 0: sizes and page size at fixed places), or the file.
func kernelBytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(b, []byte(bootMagic)) {
		page, size := int(le32(b[36:])), int(le32(b[8:]))
		b = b[page : page+size]
	}
	return b
}

// opened keeps the real kernels: they are not changed, and opening takes time.
var opened = map[string]*Kernel{}

func openReal(t testing.TB, name string) *Kernel {
	t.Helper()
	if k := opened[name]; k != nil {
		return k
	}
	b := kernelBytes(t, filepath.Join(realfile.Dir(t), "boot", name))
	k, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	opened[name] = k
	return k
}

// The figures were measured by other means (testdata/kernels.md has all of them).
func TestOpenReal(t *testing.T) {
	for _, c := range []struct {
		file, version, soc, method string
		off, unpacked              int64
		symbols                    int
	}{
		{"a516-boot.img", "3.4.5", "MT6572", "gzip", 0x4828, 8458340, 43574},
		{"opi3g-boot_emmc.img", "3.4.67", "MT6572", "xz", 0x3b34, 12002120, 57915},
		{"pixi3-boot.img", "3.4.67", "MT6572", "xz", 0x3b34, 10971780, 53886},
		{"celkon-a98-boot.img", "3.0.13", "MT6575", "gzip", 0x46e0, 6684004, 36327},
		{"litemod-boot.img", "3.4.0", "MT6577", "gzip", 0x47e4, 6717348, 0},
		{"v970-boot.img", "3.0.13", "MT6577", "gzip", 0x469c, 6915844, 37683},
	} {
		k := openReal(t, c.file)
		p := k.Payload()
		if k.Version() != c.version || k.SoC().Name != c.soc || p.Method != c.method || p.Off != c.off || p.Unpacked != c.unpacked {
			t.Errorf("%s: %s %s %+v, want %+v", c.file, k.Version(), k.SoC().Name, p, c)
		}
		if n := len(k.Symbols().List); n != c.symbols {
			t.Errorf("%s: %d symbols, want %d", c.file, n, c.symbols)
		}
		if (k.SymbolsErr() == nil) != (c.symbols > 0) {
			t.Errorf("%s: symbols error %v", c.file, k.SymbolsErr())
		}
	}
}

func TestExportsWithoutSymbols(t *testing.T) {
	k := openReal(t, "a516-boot.img")
	bySymbol := k.Exports()
	byShape := k.exportsByShape()
	if bySymbol.Source != "kallsyms" || byShape.Source != "structure" {
		t.Fatalf("sources %q %q", bySymbol.Source, byShape.Source)
	}
	if len(bySymbol.List) != len(byShape.List) {
		t.Fatalf("%d exports by symbol, %d by shape", len(bySymbol.List), len(byShape.List))
	}
	for i, x := range bySymbol.List {
		if x != byShape.List[i] {
			t.Fatalf("export %d: %v by symbol, %v by shape", i, x, byShape.List[i])
		}
	}
}

func TestBanner(t *testing.T) {
	for _, c := range []struct{ text, release, user, host, compiler, when string }{
		{"Linux version 3.4.67 (user@user-desktop) (gcc version 4.7 (GCC) ) #1 SMP PREEMPT Tue Apr 7 17:00:26 CST 2015",
			"3.4.67", "user", "user-desktop", "gcc version 4.7 (GCC)", "2015-04-07T09:00:26Z"},
		{"Linux version 3.10.89Project kernel (Project kernel@4033) (gcc version 4.8 (GCC) ) #1 SMP PREEMPT Sat Jun 9 14:31:34 EDT 2018",
			"3.10.89Project kernel", "Project kernel", "4033", "gcc version 4.8 (GCC)", "2018-06-09T18:31:34Z"},
		{"Linux version 3.4.113-BR55@LineageOS-11.0 (blackrebel@archlinux) (gcc version 4.9.4 20150629 (prerelease) (crosstool-NG 1.20.0 - Linaro GCC 2015.06 - Cortex-A7) ) #1 SMP PREEMPT Fri Nov 24 15:57:09 CET 2017",
			"3.4.113-BR55@LineageOS-11.0", "blackrebel", "archlinux", "gcc version 4.9.4 20150629 (prerelease) (crosstool-NG 1.20.0 - Linaro GCC 2015.06 - Cortex-A7)", "2017-11-24T14:57:09Z"},
		{"Linux version 2.6.35.7 (android@android-desktop) (gcc version 4.4.3 (GCC) ) #1 PREEMPT Sun May 27 16:34:24 CST 2012",
			"2.6.35.7", "android", "android-desktop", "gcc version 4.4.3 (GCC)", "2012-05-27T08:34:24Z"},
	} {
		b, ok := parseBanner(c.text)
		if !ok || b.Release != c.release || b.User != c.user || b.Host != c.host || b.Compiler != c.compiler || b.When.Format("2006-01-02T15:04:05Z") != c.when {
			t.Errorf("%s:\n got %v %+v", c.text, ok, b)
		}
	}
	for _, bad := range []string{"Linux version ", "Linux version %s (%s@%s)", "Linux version 3.4", "Linux version 3.4 (a@b) #1"} {
		if b, ok := parseBanner(bad); ok {
			t.Errorf("%q accepted: %+v", bad, b)
		}
	}
}

// A cut or damaged kernel is a clear error of a class, never a panic.
func TestOpenDamaged(t *testing.T) {
	for _, file := range []string{"a516-boot.img", "pixi3-boot.img"} {
		b := kernelBytes(t, filepath.Join(realfile.Dir(t), "boot", file))
		for _, cut := range []int{0, 1, 100, 600, 0x5000, len(b) / 4, len(b) / 2, len(b) * 9 / 10} {
			_, err := Open(bytes.NewReader(b[:cut]), int64(cut))
			if !errors.Is(err, mtkport.ErrFormat) && !errors.Is(err, mtkport.ErrDamaged) {
				t.Errorf("%s cut at %d: %v", file, cut, err)
			}
		}
		bad := bytes.Clone(b)
		for i := len(bad) / 2; i < len(bad)/2+64; i++ {
			bad[i] ^= 0xff
		}
		if _, err := Open(bytes.NewReader(bad), int64(len(bad))); !errors.Is(err, mtkport.ErrDamaged) {
			t.Errorf("%s damaged: %v", file, err)
		}
	}
	if _, err := Open(bytes.NewReader([]byte("ANDROID!....")), 12); !errors.Is(err, mtkport.ErrFormat) || mtkport.HintOf(err) == "" {
		t.Errorf("boot image: %v", err)
	}
}
