package kernel

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtkport"
	"mtkport/testdata/realfile"
)

func realModules(t *testing.T) []ModuleFile {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(realfile.Dir(t), "boot", "a516-modules", "*.ko"))
	if err != nil || len(files) == 0 {
		t.Skip("needs the real modules")
	}
	var out []ModuleFile
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := OpenModule(bytes.NewReader(b), int64(len(b)))
		out = append(out, ModuleFile{File: filepath.Base(f), Module: m, Err: err})
	}
	return out
}

func TestModulesOnOwnKernel(t *testing.T) {
	k := openReal(t, "a516-boot.img")
	for _, v := range CheckModules(k, realModules(t)) {
		if v.Verdict != Loads || len(v.Missing) != 0 {
			t.Errorf("%+v", v)
		}
		if v.Name == "wlan_mt6582" && strings.Join(v.Needs, " ") != "mtk_stp_wmt" {
			t.Errorf("wlan needs %v", v.Needs)
		}
	}
}

func TestModulesOnOtherKernel(t *testing.T) {
	k := openReal(t, "pixi3-boot.img")
	for _, v := range CheckModules(k, realModules(t)) {
		if v.Verdict != Refuses || !strings.Contains(v.Why[0], "version magic") {
			t.Errorf("%+v", v)
		}
	}
}

func TestModuleAlone(t *testing.T) {
	k := openReal(t, "a516-boot.img")
	var wlan []ModuleFile
	for _, m := range realModules(t) {
		if m.Module.Name == "wlan_mt6582" {
			wlan = append(wlan, m)
		}
	}
	v := CheckModules(k, wlan)[0]
	if v.Verdict != Refuses || len(v.Missing) == 0 || len(v.Notes) == 0 {
		t.Errorf("%+v", v)
	}
}

func TestGPLOnly(t *testing.T) {
	k := openReal(t, "a516-boot.img")
	var gpl string
	for _, e := range k.Exports().List {
		if e.Licence == ForGPL {
			gpl = e.Name
			break
		}
	}
	for licence, want := range map[string]Verdict{"GPL": Loads, "Proprietary": Refuses, "": Refuses} {
		m := &Module{Name: "x", Vermagic: k.Vermagic(), Licence: licence, Needs: []string{gpl}}
		if v := CheckModules(k, []ModuleFile{{File: "x.ko", Module: m}})[0]; v.Verdict != want {
			t.Errorf("licence %q: %+v", licence, v)
		}
	}
}

func TestModuleRing(t *testing.T) {
	k := openReal(t, "a516-boot.img")
	mk := func(name, dep string) ModuleFile {
		return ModuleFile{File: name + ".ko", Module: &Module{Name: name, Vermagic: k.Vermagic(), Licence: "GPL", Depends: []string{dep}}}
	}
	for _, v := range CheckModules(k, []ModuleFile{mk("a", "b"), mk("b", "a")}) {
		if v.Verdict != Loads {
			t.Errorf("%+v", v)
		}
	}
}

func TestOpenModuleBad(t *testing.T) {
	if _, err := OpenModule(strings.NewReader("not a module"), 12); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("text: %v", err)
	}
	if _, err := OpenModule(strings.NewReader("\x7fELF\x01\x01"), 6); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("cut: %v", err)
	}
}

func TestInsmodLines(t *testing.T) {
	const script = "on boot\n    insmod /system/lib/modules/ccci.ko\n#   insmod /no.ko\n    exec /sbin/insmod -f /lib/wlan.ko a=1\n    insmod $X\n"
	lines, err := InsmodLines("init.rc", strings.NewReader(script))
	if err != nil || len(lines) != 3 || lines[0].Line != 2 || lines[1].Path != "/lib/wlan.ko" || lines[1].Args[0] != "a=1" {
		t.Fatalf("%v %+v", err, lines)
	}
	miss := MissingInsmods(lines, func(p string) bool { return p == "/lib/wlan.ko" })
	if len(miss) != 1 || miss[0].Path != "/system/lib/modules/ccci.ko" {
		t.Errorf("%+v", miss)
	}
}

func FuzzOpenModule(f *testing.F) {
	f.Add([]byte("\x7fELF\x01\x01\x01"))
	if b, err := os.ReadFile("testdata/tiny.ko"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := OpenModule(bytes.NewReader(b), int64(len(b)))
		if err == nil && m == nil {
			t.Error("no module and no error")
		}
	})
}
