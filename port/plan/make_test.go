package plan

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mtkport/sysimg/tree"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// treeOf makes a tree of path → contents; "-> x" is a link.
func treeOf(t *testing.T, files map[string]string) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for p, text := range files {
		n := &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte(text))}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			n = &tree.Node{Mode: tree.Symlink | 0o777, Target: target}
		}
		if dir := filepath.ToSlash(filepath.Dir(p)); dir != "." {
			if err := tr.MkdirAll(dir, tree.NewDir(0o755)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tr.Put(p, n); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func sides(t *testing.T) (donor, target Side) {
	donor = Side{Name: "donor.zip", System: treeOf(t, map[string]string{
		"lib/libc.so": "same", "lib/libm.so": "donor m", "lib/libnvram.so": "d", "lib/libcustom_nvram.so": "d", "lib/libaed.so": "d", "bin/nvram_daemon": "d",
		"lib/libMali.so": "d", "lib/libion.so": "d", "lib/egl/egl.cfg": "same", "lib/modules/mali.ko": "d", "lib/modules/wlan.ko": "-> wlan_mt.ko",
		"app/Nice.apk": "d", "build.prop": "ro.build.type=user\nro.product.model=Donor\n", "recovery-from-boot.p": "p", "bin/led_server": "d", "lib/libcameracustom.so": "d",
		"framework/framework.jar": "d", "etc/permissions/extra.xml": "d", "etc/permissions/platform.xml": "<permissions>\n</permissions>\n",
	}), Ramdisk: treeOf(t, map[string]string{"init.rc": "on init\n    export BOOTCLASSPATH /d.jar\n", "init": "donor"})}
	target = Side{Name: "target", System: treeOf(t, map[string]string{
		"lib/libc.so": "same", "lib/libm.so": "target m", "lib/libnvram.so": "t", "lib/libMali.so": "t", "lib/libion.so": "t", "lib/egl/egl.cfg": "same",
		"lib/modules/wlan.ko": "-> wlan_mt6582.ko", "lib/modules/wlan_mt6582.ko": "t", "app/Stock.apk": "t", "build.prop": "ro.product.model=Target\n",
		"bin/custom_sn": "t", "xbin/started": "t", "xbin/idle": "t", "lib/libcameracustom.so": "t", "framework/framework.jar": "t",
		"etc/permissions/platform.xml": "<permissions>\n<library name=\"x\" file=\"/y\" />\n</permissions>\n",
	}), Ramdisk: treeOf(t, map[string]string{"init.rc": "on init\n    export BOOTCLASSPATH /t.jar\nservice s /system/xbin/started\n", "init": "target", "fstab": "x"})}
	return donor, target
}

func takesOf(p *Plan) map[string]Take {
	out := map[string]Take{}
	for _, d := range p.Decisions {
		out[d.Path] = d.Take
	}
	return out
}

func TestMakeDrivers(t *testing.T) {
	donor, target := sides(t)
	p, err := Make(context.Background(), donor, target, defaults(t), Drivers, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Take{
		"ramdisk/fstab": Target, "ramdisk/init": Target, "ramdisk/init.rc": Merge,
		"system/app/Nice.apk": Donor, "system/app/Stock.apk": Drop, "system/bin/custom_sn": Target, "system/bin/led_server": Donor,
		"system/bin/nvram_daemon": Donor, // the target has one of the four nvram files
		"system/build.prop":       Merge, "system/etc/permissions/extra.xml": Donor, "system/etc/permissions/platform.xml": Merge,
		"system/framework/framework.jar": Donor, "system/lib/egl/egl.cfg": Target, "system/lib/libMali.so": Target,
		"system/lib/libaed.so": Donor, "system/lib/libc.so": Donor, "system/lib/libcameracustom.so": Target, "system/lib/libcustom_nvram.so": Donor,
		"system/lib/libion.so": Target, "system/lib/libm.so": Donor, "system/lib/libnvram.so": Donor, "system/lib/modules/mali.ko": Drop,
		"system/lib/modules/wlan.ko": Target, "system/lib/modules/wlan_mt6582.ko": Target, "system/recovery-from-boot.p": Drop,
		"system/xbin/idle": Drop, "system/xbin/started": Target,
	}
	if d := cmp.Diff(want, takesOf(p)); d != "" {
		t.Error(d)
	}
	if p.Equal() != 2 {
		t.Errorf("%d equal paths, want 2", p.Equal())
	}
	i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == "nvram" })
	if i < 0 || p.Groups[i].Take != Donor || p.Groups[i].Donor != 4 || p.Groups[i].Target != 1 {
		t.Errorf("groups %+v", p.Groups)
	}
	golden(t, "drivers.yaml", p)
}

func TestMakeLook(t *testing.T) {
	donor, target := sides(t)
	p, err := Make(context.Background(), donor, target, defaults(t), Look, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := takesOf(p)
	for path, want := range map[string]Take{
		"ramdisk/init.rc": Target, "system/app/Nice.apk": Donor, "system/app/Stock.apk": Drop, "system/lib/libm.so": Target,
		"system/lib/modules/mali.ko": Drop, "system/framework/framework.jar": Merge, "system/xbin/idle": Target,
		"system/lib/libcustom_nvram.so": Drop, "system/etc/permissions/extra.xml": Donor,
	} {
		if got[path] != want {
			t.Errorf("%s: %s, want %s", path, got[path], want)
		}
	}
	golden(t, "look.yaml", p)
}

func golden(t *testing.T, name string, p *Plan) {
	t.Helper()
	var b bytes.Buffer
	if _, err := p.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s: %s", name, d)
	}
	// what is written reads back as the same decisions
	e, err := Parse(bytes.NewReader(b.Bytes()), name)
	if err != nil {
		t.Fatal(err)
	}
	takes := takesOf(p)
	for path, take := range e.Takes {
		if takes[path] != take {
			t.Errorf("%s reads back as %s, was %s", path, take, takes[path])
		}
	}
	before := takesOf(p)
	if err := p.Apply(e, name); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, takesOf(p)); d != "" {
		t.Errorf("applying the plan's own words changed it: %s", d)
	}
}

func TestApply(t *testing.T) {
	donor, target := sides(t)
	make := func() *Plan {
		p, err := Make(context.Background(), donor, target, defaults(t), Drivers, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	edits := func(lines ...string) *Edits {
		e, err := Parse(strings.NewReader("format: "+Format+"\nstyle: drivers\ndecisions:\n  - rule: x\n    paths:\n      "+strings.Join(lines, "\n      ")+"\n"), "p.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	p := make()
	if err := p.Apply(edits("system/app/Stock.apk: target", "/lib/libc.so: target", "system/build.prop: donor"), "p.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, d := range p.Decisions {
		if d.Path == "system/app/Stock.apk" && (d.Take != Target || d.Rule != "edited") {
			t.Errorf("%+v", d)
		}
	}
	for line, want := range map[string]string{
		"system/app/Ghost.apk: drop":  "neither ROM has",
		"system/app/Stock.apk: donor": "the donor has no such file",
		"system/app/Nice.apk: target": "the target has no such file",
		"system/lib/libm.so: merge":   "cannot be merged",
	} {
		if err := make().Apply(edits(line), "p.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	e := edits("system/lib/libm.so: target")
	e.Style = Look
	if err := make().Apply(e, "p.yaml"); err == nil {
		t.Error("a plan of the other style was taken")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":       "",
		"other":       "format: something\n",
		"style":       "format: " + Format + "\nstyle: both\n",
		"unknown key": "format: " + Format + "\nstyle: look\nnonsense: 1\n",
		"twice":       "format: " + Format + "\nstyle: look\ndecisions:\n  - paths: {a: drop}\n  - paths: {/a: drop}\n",
		"word":        "format: " + Format + "\nstyle: look\ndecisions:\n  - paths: {a: target-only}\n",
		"not yaml":    "format: [",
		"bare tag":    "format: " + Format + "\nstyle: look\ndecisions: !!seq\n",
	} {
		if _, err := Parse(strings.NewReader(text), "p.yaml"); err == nil || !strings.HasPrefix(err.Error(), "p.yaml: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestScalar: names of any letters come back from the YAML.
func TestScalar(t *testing.T) {
	for _, name := range []string{"a b", "a: b", "- x", "#x", "x #y", `q"u`, `b\s`, "ü", "true", "1.5", "~", "[", "x\ty", "-", "null", "a'b", "x ", "文件"} {
		text := "format: " + Format + "\nstyle: drivers\ndecisions:\n  - rule: r\n    paths:\n      " + scalar("system/app/"+name) + ": drop\n"
		e, err := Parse(strings.NewReader(text), "p")
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if want := Canonical("system/app/" + name); e.Takes[want] != Drop {
			t.Errorf("%q came back as %v", name, e.Takes)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"drivers.yaml", "look.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("format: " + Format + "\nstyle: drivers\ndecisions:\n  - paths: {a: drop}\n")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Parse(strings.NewReader(s), "f")
		if err != nil {
			return
		}
		p := &Plan{Style: e.Style}
		for path, take := range e.Takes {
			p.Decisions = append(p.Decisions, Decision{Path: path, Take: take, Rule: "r", Why: "w"})
		}
		var b bytes.Buffer
		if _, err := p.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(&b, "again")
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		if d := cmp.Diff(e.Takes, again.Takes); d != "" && len(e.Takes)+len(again.Takes) > 0 {
			t.Error(d)
		}
	})
}
