package compare

import (
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
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/port/synth"
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

// TestDifferences changes one fact of the donor's build.prop or kernel at a time.
func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		code     string
		style    plan.Style
		severity mtkport.Severity
		edit     func(d, t *side)
	}{
		{"platform-mismatch", plan.Drivers, mtkport.Blocker, func(d, t *side) { d.props.Set("ro.mediatek.platform", "MT6589") }},
		{"soc-claim", plan.Drivers, mtkport.Risk, func(d, t *side) { d.props.Set("ro.mediatek.platform", "MT6589") }},
		{"android-mismatch", plan.Drivers, mtkport.Blocker, func(d, t *side) { d.props.Set("ro.build.version.sdk", "19") }},
		{"android-mismatch", plan.Look, mtkport.Risk, func(d, t *side) { d.props.Set("ro.build.version.sdk", "19") }},
		{"branch-mismatch", plan.Drivers, mtkport.Risk, func(d, t *side) { d.props.Set("ro.mediatek.version.branch", "ALPS.KK1.MP") }},
		{"abi-mismatch", plan.Drivers, mtkport.Blocker, func(d, t *side) {
			d.props.Set("ro.product.cpu.abi", "x86")
			t.props.Set("ro.product.cpu.abi", "armeabi-v7a")
		}},
		{"system-too-big", plan.Drivers, mtkport.Blocker, func(d, t *side) { d.size = 1 << 40 }},
		{"screen-density-panel", plan.Drivers, mtkport.Note, func(d, t *side) { d.props.Set("ro.sf.lcd_density", "480") }},
		{"mount-fs", plan.Drivers, mtkport.Risk, func(d, t *side) { d.defaults.Set("ro.mount.fs", "UBIFS") }},
	} {
		p := firmware(t, synth.Panther())
		ck := &checker{ctx: context.Background(), opt: Options{Style: c.style}}
		var err, err2 error
		ck.donor, err = gather(ck.ctx, "donor", p)
		ck.target, err2 = gather(ck.ctx, "target", firmware(t, synth.Panther()))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if ck.opt.Rules, err = plan.Default(); err != nil {
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

func TestStopped(t *testing.T) {
	p := firmware(t, synth.Panther())
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Compare(ctx, p, p, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// realDir finds the folder of real images beside the checkout.
func realDir(t *testing.T) string {
	t.Helper()
	if d := os.Getenv("MTKPORT_REAL"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if d := filepath.Join(filepath.Dir(dir), "shared", "real"); isDir(d) {
			return d
		}
	}
	t.Skip("needs shared/real beside the checkout, or MTKPORT_REAL")
	return ""
}

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// TestRealKernels compares boot images of an Alcatel Pixi 3 (4.4.2) and a Lenovo
// A516 (4.2.2): one chip, two of everything else.
func TestRealKernels(t *testing.T) {
	dir := filepath.Join(realDir(t), "boot")
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
	dir := os.Getenv("MTKPORT_ALLEGRO")
	if dir == "" {
		t.Skip("needs MTKPORT_ALLEGRO, a folder with donor/ and target/ of the public AllegroROM_4.2.2_mt6572")
	}
	if _, err := os.Stat(filepath.Join(dir, "donor")); err != nil {
		t.Skip("MTKPORT_ALLEGRO has no folder donor/")
	}
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
