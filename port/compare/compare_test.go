package compare

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/port/synth"
	"mtkport/profiles/scatter"
	"mtkport/ramdisk/fstab"
	"mtkport/ramdisk/initrc"
	"mtkport/sysimg/tree"
	"mtkport/testdata/realfile"
)

var (
	quoted = regexp.MustCompile(`"([a-z]+(?:-[a-z]+)*)"`)
	added  = regexp.MustCompile(`(?:add|differProp)\("([a-z-]+)"`)
)

func TestCodes(t *testing.T) {
	docs, err := os.ReadFile("../../cmd/mtkport/docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range Codes() {
		if seen[k.Code] || k.Text == "" {
			t.Errorf("%s: twice, or without text", k.Code)
		}
		seen[k.Code] = true
		if !bytes.Contains(docs, []byte("| `"+k.Code+"` | "+k.Severity.String()+" |")) {
			t.Errorf("docs/json.md has no row `%s` | %s", k.Code, k.Severity)
		}
	}
	// Each code is given somewhere, and none is given that the table lacks.
	var given []string
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if n == "codes.go" || strings.HasSuffix(n, "_test.go") {
			continue
		}
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllSubmatch(b, -1) {
			given = append(given, string(m[1]))
		}
		for _, m := range added.FindAllSubmatch(b, -1) {
			if !seen[string(m[1])] {
				t.Errorf("%s gives %s, which the table lacks", n, m[1])
			}
		}
	}
	for code := range seen {
		if !slices.Contains(given, code) {
			t.Errorf("%s: nothing gives it", code)
		}
	}
	for _, code := range settledByLook {
		if !seen[code] {
			t.Errorf("%s is not in the table", code)
		}
	}
	for _, code := range kindCodes {
		if !seen[code] {
			t.Errorf("%s is not in the table", code)
		}
	}
}

func open(t *testing.T, name string) *rom.ROM {
	t.Helper()
	r, err := rom.Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func firmware(t *testing.T, p synth.Phone) *rom.ROM {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := p.Firmware(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func compared(t *testing.T, d, target *rom.ROM, opt Options) *Report {
	t.Helper()
	r, err := Compare(context.Background(), d, target, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if codeOf(f.Code).Text == "" {
			t.Errorf("%s is not in the table of codes", f.Code)
		}
		if f.Severity >= mtkport.Risk && (f.Symptom == "" || f.Fix == "" || len(f.Evidence) == 0) {
			t.Errorf("%s %s: no symptom, fix or evidence", f.Code, f.Subject)
		}
	}
	if !slices.IsSortedFunc(r.Findings, func(a, b mtkport.Finding) int { return int(b.Severity) - int(a.Severity) }) {
		t.Error("findings are not sorted by weight")
	}
	return r
}

// find returns the first finding of a code whose evidence or subject holds text.
func find(r *Report, code, text string) *mtkport.Finding {
	for i, f := range r.Findings {
		if f.Code != code {
			continue
		}
		if strings.Contains(f.Subject+f.Text, text) {
			return &r.Findings[i]
		}
		for _, e := range f.Evidence {
			if strings.Contains(e.File+" "+e.Value, text) {
				return &r.Findings[i]
			}
		}
	}
	return nil
}

func wantFinding(t *testing.T, r *Report, code, text, symptom string) {
	t.Helper()
	f := find(r, code, text)
	if f == nil {
		t.Errorf("no %s about %q", code, text)
		return
	}
	if !strings.Contains(f.Symptom, symptom) {
		t.Errorf("%s %s: symptom %q, want %q", code, text, f.Symptom, symptom)
	}
}

func TestSynth(t *testing.T) {
	lynx, panther := synth.Lynx(), synth.Panther()
	d, target := firmware(t, lynx), firmware(t, panther)
	r := compared(t, d, target, Options{})
	for _, p := range panther.Kernel.Panels {
		if !slices.Contains(lynx.Kernel.Panels, p) {
			wantFinding(t, r, "panel-missing", p, "white or black screen")
		}
	}
	wantFinding(t, r, "camera-files", "lib/libcameracustom.so", "camera")
	wantFinding(t, r, "camera-library-sensor", panther.Kernel.Cameras[0].Name, "camera")
	wantFinding(t, r, "sim-count", "", "SIM")
	wantFinding(t, r, "key-layout", "mtk-kpd.kl", "menu and back swapped")
	if r.Counts.Blockers != 0 {
		t.Errorf("blockers: %+v", r.Findings[:r.Counts.Blockers])
	}
	if r.Paths.Shared == 0 || r.Paths.Shared != r.Paths.Differ+r.Paths.Identical+r.Paths.Unread {
		t.Errorf("paths do not add up: %+v", r.Paths)
	}
	look := compared(t, d, target, Options{Style: plan.Look})
	if f := find(look, "camera-files", "lib/libcameracustom.so"); f == nil || f.Severity != mtkport.Note {
		t.Errorf("style look starts from the target's libraries: %+v", f)
	}
	again := compared(t, d, target, Options{})
	if len(again.Findings) != len(r.Findings) || again.Verdict != r.Verdict {
		t.Error("a second run says something else")
	}
}

func TestSelf(t *testing.T) {
	p := firmware(t, synth.Panther())
	r := compared(t, p, p, Options{})
	for _, f := range r.Findings {
		if f.Severity > mtkport.Note {
			t.Errorf("a ROM compared with itself: %s %s %s", f.Code, f.Subject, f.Text)
		}
	}
	if r.Paths.Differ != 0 || r.Paths.Shared != r.Paths.Target {
		t.Errorf("paths: %+v", r.Paths)
	}
}

// TestDifferences changes one fact of two equal sides at a time.
func TestDifferences(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := synth.Panther().Firmware(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	for _, c := range differences {
		ck := &checker{ctx: context.Background(), opt: Options{Style: c.style}}
		var err, err2, err3 error
		ck.donor, err = gather(ck.ctx, "donor", open(t, dir))
		ck.target, err2 = gather(ck.ctx, "target", open(t, dir))
		ck.opt.Rules, err3 = plan.Default()
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		c.edit(ck.donor, ck.target)
		for _, check := range checks {
			if err := check(ck); err != nil {
				t.Fatal(err)
			}
		}
		f := find(&Report{Findings: ck.out}, c.code, "")
		if f == nil || f.Severity != c.severity {
			t.Errorf("%s, style %s: %+v", c.code, c.style, f)
		}
	}
}

func prop1(key, value string) func(d, _ *side) { return func(d, _ *side) { d.props.Set(key, value) } }

func layout(s *side, edit func(l *scatter.Layout)) {
	r, l := *s.rom, *s.rom.Scatter
	edit(&l)
	r.Scatter, s.rom = &l, &r
}

func put(s *side, p string, b string) {
	s.files[p] = &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte(b))}
	s.paths = append(s.paths, p)
}

var differences = []struct {
	code     string
	style    plan.Style
	severity mtkport.Severity
	edit     func(d, t *side)
}{
	{"platform-mismatch", plan.Drivers, blocker, prop1("ro.mediatek.platform", "MT6589")},
	{"soc-claim", plan.Drivers, risk, prop1("ro.mediatek.platform", "MT6589")},
	{"android-mismatch", plan.Drivers, blocker, prop1("ro.build.version.sdk", "19")},
	{"android-mismatch", plan.Look, risk, prop1("ro.build.version.sdk", "19")},
	{"branch-mismatch", plan.Drivers, risk, prop1("ro.mediatek.version.branch", "ALPS.KK1.MP")},
	{"screen-density-panel", plan.Drivers, note, prop1("ro.sf.lcd_density", "480")},
	{"abi-mismatch", plan.Drivers, blocker, func(d, t *side) {
		d.props.Set("ro.product.cpu.abi", "x86")
		t.props.Set("ro.product.cpu.abi", "armeabi-v7a")
	}},
	{"abi-mismatch", plan.Drivers, blocker, func(d, _ *side) { put(d, "lib64/libc.so", "x") }},
	{"system-too-big", plan.Drivers, blocker, func(d, _ *side) { d.size = 1 << 40 }},
	{"mount-fs", plan.Drivers, risk, func(d, _ *side) { d.defaults.Set("ro.mount.fs", "UBIFS") }},
	{"mount-partition-missing", plan.Drivers, risk, func(d, _ *side) {
		d.tables = append(d.tables, table{"ramdisk/fstab", fstab.Parse([]byte("/emmc@custpack /custpack ext4 ro wait\n"))})
	}},
	{"mount-notation", plan.Drivers, risk, func(d, _ *side) {
		d.scripts, d.tables = nil, []table{{"ramdisk/fstab", fstab.Parse([]byte("/dev/block/platform/mtk-msdc.0/by-name/system /system ext4 ro wait\n"))}}
	}},
	{"storage-list", plan.Drivers, risk, func(d, _ *side) {
		d.tables = []table{{"system/etc/vold.fstab", fstab.Parse([]byte("dev_mount sdcard /storage/sdcard0 emmc@nowhere /devices/platform/mtk-msdc.0/mmc_host\n"))}}
	}},
	{"storage-mismatch", plan.Look, blocker, func(d, _ *side) { layout(d, func(l *scatter.Layout) { l.Storage = scatter.NAND }) }},
	{"nand-geometry", plan.Drivers, blocker, func(d, t *side) {
		layout(d, func(l *scatter.Layout) { l.Storage, l.BlockSize = scatter.NAND, 0x40000 })
		layout(t, func(l *scatter.Layout) { l.Storage, l.BlockSize = scatter.NAND, 0x20000 })
	}},
	{"board-mixed", plan.Drivers, risk, func(d, _ *side) { layout(d, func(l *scatter.Layout) { l.Project = "tiger" }) }},
	{"partition-donor-only", plan.Drivers, note, func(d, _ *side) {
		layout(d, func(l *scatter.Layout) {
			l.Partitions = append(slices.Clone(l.Partitions), scatter.Partition{Name: "CUSTPACK", Size: 1 << 20})
		})
	}},
	{"modem-generation", plan.Drivers, risk, func(d, t *side) {
		put(d, "etc/firmware/modem_1_2g_n.img", "x")
		put(t, "etc/firmware/modem_1_wg_n.img", "x")
	}},
	{"modem-database", plan.Drivers, note, func(d, _ *side) {
		put(d, "etc/firmware/modem_1_wg_n.img", "x")
		put(d, "etc/mddb/BPLGUInfoCustomApp_X_1_tg_n", "x")
	}},
	{"donor-modules-refused", plan.Drivers, risk, func(d, _ *side) { d.modules = append(d.modules, foreign()) }},
	{"modules-refused", plan.Drivers, risk, func(_, t *side) { t.modules = append(t.modules, foreign()) }},
	{"insmod-nowhere", plan.Drivers, note, func(_, t *side) {
		t.scripts = append(t.scripts, script{"init.x.rc", initrc.Parse([]byte("on boot\n    insmod /system/lib/modules/nothing.ko\n"))})
	}},
	{"bootclasspath-missing", plan.Drivers, risk, func(_, t *side) {
		t.scripts = append(t.scripts, script{"init.x.rc", initrc.Parse([]byte("on init\n    export BOOTCLASSPATH /system/framework/own.jar\n"))})
	}},
	{"device-door", plan.Drivers, risk, func(d, _ *side) { put(d, "lib/libblisrc_x.so", "\x7fELF /dev/ebc\x00") }},
	{"service-donor-only", plan.Drivers, note, func(_, t *side) { t.started = t.started[:1] }},
	{"service-target-only", plan.Drivers, risk, func(_, t *side) { start(t, "bin/there") }},
	{"proximity-calibration", plan.Drivers, risk, func(_, t *side) { start(t, "bin/nvram_proximity") }},
}

// start gives a side a program that its init files start.
func start(s *side, p string) {
	_ = s.rom.System.Put(p, &tree.Node{Mode: tree.Regular | 0o755})
	s.started = append(s.started, "/system/"+p)
}

func foreign() kernel.ModuleFile {
	b := synth.Module("wlan", "3.4.67 SMP preempt mod_unload ARMv7 ", "", "printk")
	m, err := kernel.OpenModule(bytes.NewReader(b), int64(len(b)))
	return kernel.ModuleFile{File: "/system/lib/modules/wlan_x.ko", Module: m, Err: err}
}

// TestStorageList reads the paths out of a framework's storage list, in both
// forms of strings that a binary XML file has.
func TestStorageList(t *testing.T) {
	wide := []byte{}
	for _, r := range "/storage/sdcard1" {
		wide = append(wide, byte(r), 0)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("res/xml/storage_list.xml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(append([]byte("\x03\x00/mnt/sdcard\x00\x00\x00"), wide...))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	s := &side{files: map[string]*tree.Node{"framework/framework-res.apk": {Mode: tree.Regular, Data: tree.Bytes(b.Bytes())}}}
	if got := s.storageList(); !slices.Equal(got, []string{"/mnt/sdcard", "/storage/sdcard1"}) {
		t.Errorf("got %q", got)
	}
}

// TestDamaged: a part that cannot be read is a finding, and the rest is compared.
func TestDamaged(t *testing.T) {
	var b bytes.Buffer
	if err := synth.Lynx().Boot(&b); err != nil {
		t.Fatal(err)
	}
	img := b.Bytes()
	name := filepath.Join(t.TempDir(), "boot.img")
	good := firmware(t, synth.Panther())
	for off := 0x800; off+64 < len(img); off += len(img) / 6 {
		bad := bytes.Clone(img)
		for i := range 64 {
			bad[off+i] ^= 0x5a
		}
		if err := os.WriteFile(name, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := rom.Open(context.Background(), name)
		if err != nil {
			continue // refused as a whole
		}
		rep := compared(t, r, good, Options{})
		if rep.Target.Files == 0 || find(rep, "part-missing", "donor") == nil {
			t.Errorf("0x%x: %s", off, rep.Verdict)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestStopped(t *testing.T) {
	p := firmware(t, synth.Panther())
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Compare(ctx, p, p, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestRealKernels compares boot images of an Alcatel Pixi 3 (4.4.2) and a Lenovo
// A516 (4.2.2): one chip, two of everything else.
func TestRealKernels(t *testing.T) {
	dir := filepath.Join(realfile.Dir(t), "boot")
	r := compared(t, open(t, filepath.Join(dir, "pixi3-boot.img")), open(t, filepath.Join(dir, "a516-boot.img")), Options{})
	wantFinding(t, r, "kernel-release", "3.4.67", "modules are refused")
	wantFinding(t, r, "panel-missing", "hx8369b_fwvga_dsi_vdo", "white or black screen")
	wantFinding(t, r, "driver-missing", "KXTIK1004", "does not rotate")
	wantFinding(t, r, "selinux", "sepolicy", "init stops")
	if find(r, "soc-mismatch", "") != nil || r.Counts.Blockers != 0 {
		t.Errorf("%s", r.Verdict)
	}
	r = compared(t, open(t, filepath.Join(dir, "a516-boot.img")), open(t, filepath.Join(dir, "pixi3-boot.img")), Options{})
	wantFinding(t, r, "camera-sensor-missing", "hi351yuv(0xa4)", "can't connect to camera")
	r = compared(t, open(t, filepath.Join(dir, "v970-boot.img")), open(t, filepath.Join(dir, "a516-boot.img")), Options{})
	wantFinding(t, r, "soc-mismatch", "MT6572", "does not start")
	if !strings.HasPrefix(r.Verdict, "does not fit: ") {
		t.Errorf("verdict %q", r.Verdict)
	}
}

// TestAllegro: the port of the public repository AllegroROM_4.2.2_mt6572. What its
// author found out by trial is said before any flash.
func TestAllegro(t *testing.T) {
	dir := realfile.Allegro(t)
	r := compared(t, open(t, filepath.Join(dir, "donor")), open(t, filepath.Join(dir, "target")), Options{})
	wantFinding(t, r, "camera-files", "lib/libcameracustom.so", "2 megapixels")
	wantFinding(t, r, "audio-files", "lib/libaudio.primary.default.so", "no sound")
	wantFinding(t, r, "audio-files", "alike on both sides: system/lib/libaudio.a2dp.default.so", "no sound") // byte for byte
	wantFinding(t, r, "key-layout", "usr/keylayout/mtk-kpd.kl", "menu and back")
	wantFinding(t, r, "key-layout", "key 358 INFO", "headset button wrong")
	wantFinding(t, r, "storage-list", "emmc@fat", "SD card missing")
	wantFinding(t, r, "proximity-calibration", "nvram_proximity", "screen stays black")
	wantFinding(t, r, "service-target-only", "custom_sn", "dead")
	wantFinding(t, r, "hardware-files", "lib/hw/", "")
	if f := find(r, "bootclasspath-missing", ""); f != nil {
		t.Errorf("the donor's framework has every jar: %+v", f)
	}
	if f := find(r, "device-door", "stpwmt"); f != nil {
		t.Errorf("the target has this device: %+v", f)
	}
	t.Logf("%s; %+v", r.Verdict, r.Paths)
}
