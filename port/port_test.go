package port

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/port/splice"
	"mtkport/port/synth"
	"mtkport/profiles/scatter"
	"mtkport/sysimg"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// phones writes the donor as a package and the target as a firmware folder.
func phones(t *testing.T) (donor, target string) {
	t.Helper()
	dir := t.TempDir()
	donor, target = filepath.Join(dir, "lynx.zip"), filepath.Join(dir, "panther")
	f, err := os.Create(donor)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(synth.Lynx().Package(f), f.Close(), os.Mkdir(target, 0o755)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := synth.Panther().Firmware(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	return donor, target
}

func TestPort(t *testing.T) {
	donor, target := phones(t)
	out := filepath.Join(t.TempDir(), "bundle")
	r, err := Run(context.Background(), Job{Donor: donor, Target: target}, out)
	if err != nil {
		t.Fatal(err)
	}
	e2fsck(t, filepath.Join(out, splice.SystemName))
	from := map[string]splice.FileEntry{}
	for _, f := range r.Manifest.Files {
		from[f.Path] = f
	}
	for path, want := range map[string]string{
		"system/lib/libcameracustom.so": "target", "system/lib/libMali.so": "target", "system/lib/modules/wlan.ko": "target",
		"system/lib/libcam.client.so": "target", "system/bin/hallkey_server": "target", "system/lib/libc.so": "donor",
		"system/framework/lynx-framework.jar": "donor", "system/app/LynxHome.apk": "donor", "system/build.prop": "merge",
		"system/app/PantherHelp.apk": "", "system/recovery-from-boot.p": "", "system/etc/permissions/platform.xml": "merge",
	} {
		if from[path].From != want {
			t.Errorf("%s from %q, want %q", path, from[path].From, want)
		}
	}
	// the bundle is a ROM itself
	b, err := rom.Open(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for key, want := range map[string]string{"ro.product.model": "Panther P1", "ro.mediatek.gemini_support": "false", "ro.build.version.sdk": "17"} {
		if got, _ := b.Props().Get(key); got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
	a, err := b.Ramdisk()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := a.ReadFile("init.rc")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(rc), "lynx-framework.jar"); n != 3 || !strings.Contains(string(rc), "/emmc@android") {
		t.Errorf("BOOTCLASSPATH names the donor's jar %d times, want 3", n)
	}
	k, err := b.Kernel()
	if err != nil || !strings.Contains(k.Banner(), "build@panther") {
		t.Errorf("kernel: %v", err)
	}
	for _, p := range b.Scatter.Partitions {
		want := p.Name == "BOOTIMG" || p.Name == "ANDROID"
		if p.Download != want {
			t.Errorf("%s: download %v", p.Name, p.Download)
		}
	}
	for _, f := range []string{splice.ReportName, splice.PlanName} {
		golden(t, filepath.Join(out, f))
	}
}

// packed is what depends on how Go's own gzip packs the synthetic kernel: sums, and
// the size of boot.img.
var packed = regexp.MustCompile(`()[0-9a-f]{64}|(BOOTIMG \| )[0-9]+|(boot.img: [a-z]+ +# differs: )[0-9]+`)

// golden compares a file with the one of its name in testdata.
func golden(t *testing.T, name string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got = packed.ReplaceAll(got, []byte("${1}${2}${3}…"))
	file := filepath.Join("testdata", filepath.Base(name))
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s: %s", filepath.Base(name), d)
	}
}

// TestPortIsDeterministic: two runs make the same bundle.
func TestPortIsDeterministic(t *testing.T) {
	donor, target := phones(t)
	var sums [2]string
	for i := range sums {
		r, err := Run(context.Background(), Job{Donor: donor, Target: target}, filepath.Join(t.TempDir(), "b"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(r.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(b)
	}
	if sums[0] != sums[1] {
		t.Error("two runs differ")
	}
}

// TestUntouchedBootIsIdentical: in the look style nothing in the ramdisk changes.
func TestUntouchedBootIsIdentical(t *testing.T) {
	donor, target := phones(t)
	out := filepath.Join(t.TempDir(), "b")
	r, err := Run(context.Background(), Job{Donor: donor, Target: target, Style: plan.Look}, out)
	if err != nil {
		t.Fatal(err)
	}
	want, err1 := os.ReadFile(filepath.Join(target, "boot.img"))
	got, err2 := os.ReadFile(filepath.Join(out, "boot.img"))
	if err := errors.Join(err1, err2); err != nil || string(got) != string(want) {
		t.Errorf("boot.img changed (%v)", err)
	}
	byHand := false
	for _, f := range r.Findings {
		byHand = byHand || f.Code == "merge-by-hand"
	}
	if !byHand {
		t.Error("no finding says that Java must be merged by hand")
	}
}

func TestEditedPlan(t *testing.T) {
	donor, target := phones(t)
	p, err := Prepare(context.Background(), Job{Donor: donor, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	_, err = p.Plan.WriteTo(&text)
	if err := errors.Join(err, p.Close()); err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(text.String(), "system/app/LynxWeather.apk: donor", "system/app/LynxWeather.apk: drop", 1)
	edited = strings.Replace(edited, "system/app/PantherHelp.apk: drop", "system/app/PantherHelp.apk: target", 1)
	if edited == text.String() {
		t.Fatal("the plan has no such line")
	}
	e, err := plan.Parse(strings.NewReader(edited), "plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "b")
	if _, err := Run(context.Background(), Job{Donor: donor, Target: target, Edits: e, EditsName: "plan.yaml"}, out); err != nil {
		t.Fatal(err)
	}
	img, err := sysimg.OpenPath(filepath.Join(out, splice.SystemName), sysimg.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := img.Tree.Lookup("app/LynxWeather.apk"); err == nil {
		t.Error("the dropped app is there")
	}
	if _, err := img.Tree.Lookup("app/PantherHelp.apk"); err != nil {
		t.Error(err)
	}
}

// refused runs a port that must fail, and leave nothing.
func refused(t *testing.T, donor, target string, class error, words ...string) {
	t.Helper()
	dir := t.TempDir()
	_, err := Run(context.Background(), Job{Donor: donor, Target: target}, filepath.Join(dir, "b"))
	if !errors.Is(err, class) {
		t.Fatalf("error %v, want class %v", err, class)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not name %s", err, w)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRefusals(t *testing.T) {
	donor, target := phones(t)
	name := filepath.Join(target, synth.ScatterName)
	stock, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	set := func(change func(l *scatter.Layout) error) {
		t.Helper()
		l, err := scatter.Parse(stock, synth.ScatterName)
		if err == nil {
			err = change(l)
		}
		if err = errors.Join(err, os.WriteFile(name, l.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	set(func(l *scatter.Layout) error { return l.SetSize("ANDROID", 2<<20) })
	refused(t, donor, target, mtkport.ErrTooBig, "33554432", "2097152")
	set(func(l *scatter.Layout) error { return l.SetSize("BOOTIMG", 4096) })
	refused(t, donor, target, mtkport.ErrTooBig, "boot.img", "4096")
	nand := strings.NewReplacer("storage: EMMC", "storage: NAND", "HW_STORAGE_EMMC", "HW_STORAGE_NAND").Replace(string(stock))
	if err := os.WriteFile(name, []byte(nand), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, target, donor, mtkport.ErrRefused, "NAND", "EMMC")
}

func TestNothingOfARom(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "readme.txt"), []byte("no ROM"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, target := phones(t)
	refused(t, dir, target, mtkport.ErrFormat, "no boot image")
}

func TestDonorStaysCold(t *testing.T) {
	// the donor's boot image is only read, whatever it holds
	donor, target := phones(t)
	p, err := Prepare(context.Background(), Job{Donor: donor, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Donor.Boot == nil || p.Donor.Boot.Section(bootimg.Kernel) == nil {
		t.Error("the donor's boot image was not found by its script")
	}
	if p.Donor.SystemKind != "package" || p.Target.SystemKind != "ext4" || p.Target.Form != "folder" {
		t.Errorf("%s, %s, %s", p.Donor.SystemKind, p.Target.SystemKind, p.Target.Form)
	}
}

// TestBlockers: what cannot work is refused, and done when a person insists.
func TestBlockers(t *testing.T) {
	donor, target := phones(t)
	kk := filepath.Join(t.TempDir(), "kk.zip")
	rezip(t, donor, kk, func(name string, b []byte) []byte {
		if name == "system/build.prop" {
			return []byte(strings.ReplaceAll(string(b), "ro.build.version.sdk=17", "ro.build.version.sdk=19"))
		}
		return b
	})
	refused(t, kk, target, mtkport.ErrRefused, "android-mismatch")
	for _, job := range []Job{{Donor: kk, Target: target, Anyway: true}, {Donor: kk, Target: target, Style: plan.Look}} {
		r, err := Run(context.Background(), job, filepath.Join(t.TempDir(), "b"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range r.Findings {
			found = found || f.Code == "android-mismatch"
		}
		if !found {
			t.Error("no finding about the version")
		}
	}
	if err := os.Remove(filepath.Join(target, "system.img")); err != nil {
		t.Fatal(err)
	}
	refused(t, donor, target, mtkport.ErrRefused, "target-no-system")
}

// rezip copies a zip with some entries changed.
func rezip(t *testing.T, from, to string, change func(name string, b []byte) []byte) {
	t.Helper()
	z, err := zip.OpenReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err1 := io.ReadAll(r)
		dst, err2 := w.CreateHeader(&zip.FileHeader{Name: e.Name, Method: e.Method})
		if err := errors.Join(err1, err2, r.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := dst.Write(change(e.Name, b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// convert writes a system image in another container.
func convert(t *testing.T, from, to string, opt sysimg.Options) {
	t.Helper()
	m, err := sysimg.OpenPath(from, sysimg.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sysimg.Convert(context.Background(), f, m, opt), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestContainers: the result is in the target's container, whatever the donor's.
func TestContainers(t *testing.T) {
	donor, target := phones(t)
	img := filepath.Join(target, "system.img")
	stock := img + ".stock"
	if err := os.Rename(img, stock); err != nil {
		t.Fatal(err)
	}
	convert(t, stock, img, sysimg.Options{To: "sparse"})
	// the donor as a zip with a whole, deflated system.img and no script
	imgZip := filepath.Join(t.TempDir(), "images.zip")
	f, err := os.Create(imgZip)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, name := range []string{"system.img.stock", "boot.img"} {
		w, err := z.Create("firmware/" + strings.TrimSuffix(name, ".stock"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(target, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{donor, imgZip} {
		out := filepath.Join(t.TempDir(), "b")
		r, err := Run(context.Background(), Job{Donor: d, Target: target}, out)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(d), err)
		}
		if got := r.Manifest.Outputs[1]; got.Name != splice.SystemName || got.Format != "sparse" {
			t.Errorf("%s: %+v", filepath.Base(d), got)
		}
	}
}

// TestNANDTarget: a system folder goes into a NAND phone's UBI image.
func TestNANDTarget(t *testing.T) {
	_, target := phones(t)
	img := filepath.Join(target, "system.img")
	stock := img + ".stock"
	if err := os.Rename(img, stock); err != nil {
		t.Fatal(err)
	}
	convert(t, stock, img, sysimg.Options{To: "ubi"})
	name := filepath.Join(target, synth.ScatterName)
	sc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	nand := strings.NewReplacer("storage: EMMC", "storage: NAND", "HW_STORAGE_EMMC", "HW_STORAGE_NAND").Replace(string(sc))
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(name, []byte(nand), 0o644), os.MkdirAll(filepath.Join(dir, "system", "app"), 0o755), os.MkdirAll(filepath.Join(dir, "system", "framework"), 0o755),
		os.WriteFile(filepath.Join(dir, "system", "app", "New.apk"), []byte("new"), 0o644), os.WriteFile(filepath.Join(dir, "system", "framework", "framework.jar"), []byte("jar"), 0o644)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "b")
	r, err := Run(context.Background(), Job{Donor: dir, Target: target}, out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Manifest.Storage != scatter.NAND || r.Manifest.Outputs[1].Format != "ubi" {
		t.Errorf("%s, %+v", r.Manifest.Storage, r.Manifest.Outputs[1])
	}
}
