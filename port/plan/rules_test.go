package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/testdata/realfile"
)

func defaults(t *testing.T) *Rules {
	t.Helper()
	r, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryRuleFires: the example of each rule leads to that rule and to no
// other, so none is hidden behind an earlier one.
func TestEveryRuleFires(t *testing.T) {
	r := defaults(t)
	for _, x := range r.Rules {
		if x.Example == "" {
			t.Errorf("%s: no example", x.ID)
			continue
		}
		var known []Evidence
		if x.When != "" {
			known = append(known, Evidence(x.When))
		}
		if got := r.Find(x.Example, known...); got != x {
			t.Errorf("%s: its example %s leads to %s", x.ID, x.Example, got.ID)
		}
		if Canonical(x.Example) != x.Example {
			t.Errorf("%s: example %s is not canonical", x.ID, x.Example)
		}
		for _, p := range append(x.Paths, x.Except...) {
			if strings.HasPrefix(p, "/") || strings.HasPrefix(p, "./") {
				t.Errorf("%s: pattern %s begins with / or ./", x.ID, p)
			}
		}
	}
	for _, x := range r.Props {
		if x.Why == "" {
			t.Errorf("%s: no reason", x.ID)
		}
	}
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func without(list, other []string) []string {
	drop := map[string]bool{}
	for _, p := range other {
		drop[p] = true
	}
	var out []string
	for _, p := range list {
		if !drop[p] {
			out = append(out, p)
		}
	}
	return out
}

// share is the part of list for which the rules take one of the words, and the
// paths for which they do not.
func share(r *Rules, list []string, s Style, words ...Take) (float64, []string) {
	var miss []string
	for _, p := range list {
		got, ok := r.Explain(p, s).Take, false
		for _, w := range words {
			ok = ok || got == w
		}
		if !ok {
			miss = append(miss, p+"("+r.Explain(p, s).Rule+")")
		}
	}
	return 1 - float64(len(miss))/float64(len(list)), miss
}

// portTool is what a public porting program for MT6572, MT6582 and MT6592 always
// takes from the phone's own ROM, its three folders with a file of each kind.
var portTool = strings.Fields(`system/etc/firmware/modem_1_wg_n.img system/etc/firmware/WMT.cfg system/etc/firmware/mt6572_82_patch_e1_0_hdr.bin
	system/etc/wifi/wpa_supplicant.conf system/etc/wifi/p2p_supplicant.conf system/etc/bluetooth/bt_did.conf system/etc/bluetooth/auto_pair_devlist.conf
	system/lib/hw/hwcomposer.mt6572.so system/lib/libaudio.primary.default.so system/lib/libMali.so system/lib/libcamalgo.so system/lib/libcamdrv.so
	system/lib/libcameracustom.so system/bin/gsm0710muxd system/bin/gsm0710muxdmd2 system/bin/rild system/bin/rildmd2 kernel`)

// TestVendorFolder: what lies in vendor/lib on some chips has the rule of its
// kind, not that of protected video, which owns the rest of the folder.
func TestVendorFolder(t *testing.T) {
	r := defaults(t)
	for path, want := range map[string]string{"system/vendor/lib/libMali.so": "gpu.mali", "system/vendor/lib/libsrv_um.so": "gpu.mali", "system/vendor/lib/egl/libGLES_mali.so": "gpu.mali",
		"system/vendor/lib/hw/gralloc.mt6589.so": "gpu.hal", "system/vendor/lib/libwvm.so": "drm.wv", "system/lib/libmnl.so": "gps"} {
		if got := r.Explain(path, Drivers); got.Rule != want || got.Take != Target {
			t.Errorf("%s: %+v, want rule %s", path, got, want)
		}
	}
}

// TestRealPorts scores the rules on lists of ports that people used.
func TestRealPorts(t *testing.T) {
	dir := realfile.Dir(t)
	r := defaults(t)
	get := func(set, name string) []string { return lines(t, filepath.Join(dir, set, name)) }
	a516t := get("a516-allegro", "target-files.txt")
	a516d := without(get("a516-allegro", "donor-files.txt"), a516t)
	for _, c := range []struct {
		name  string
		list  []string
		style Style
		words []Take
		min   float64
	}{
		{"A516: taken from the target", a516t, Drivers, []Take{Target}, 0.97},
		{"A516: came from the donor", a516d, Drivers, []Take{Donor, Merge}, 0.91},
		{"Coolpad: hardware files", get("coolpad-8297-coron", "hardware-target-files.txt"), Drivers, []Take{Target}, 0.92},
		{"Coolpad: the donor's", get("coolpad-8297-coron", "donor-files.txt"), Drivers, []Take{Donor, Merge}, 0.98},
		{"Walton: blobs", get("walton-f3i-blobs", "target-files.txt"), Drivers, []Take{Target}, 0.40},
		{"Advan: blobs", get("advan-mt6572-blobs", "target-files.txt"), Drivers, []Take{Target}, 0.80},
		{"a port tool's fixed list", portTool, Drivers, []Take{Target}, 1},
		{"Coolpad look: kept", get("coolpad-8297-coron", "target-files.txt"), Look, []Take{Target}, 0.92},
		{"Coolpad look: the donor's", get("coolpad-8297-coron", "donor-files.txt"), Look, []Take{Donor, Merge}, 0.90},
		{"Coolpad look: merged", get("coolpad-8297-coron", "merged-files.txt"), Look, []Take{Donor, Merge}, 1},
		{"Coolpad look: dropped", get("coolpad-8297-coron", "dropped-target-files.txt"), Look, []Take{Donor, Merge, Drop}, 0.95},
	} {
		got, miss := share(r, c.list, c.style, c.words...)
		t.Logf("%-32s %6.3f of %d", c.name, got, len(c.list))
		if got < c.min {
			t.Errorf("%s: %.3f, want at least %.3f; misses: %v", c.name, got, c.min, miss)
		} else if testing.Verbose() {
			t.Logf("   misses: %v", miss)
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"system/lib/libc.so": "system/lib/libc.so", "/system/lib/libc.so": "system/lib/libc.so", "./system//lib/libc.so": "system/lib/libc.so",
		"lib/hw/x.so": "system/lib/hw/x.so", "init.rc": "ramdisk/init.rc", "/init.rc": "ramdisk/init.rc", "ramdisk/init.rc": "ramdisk/init.rc",
		"sbin/adbd": "ramdisk/sbin/adbd", "../../etc/hosts": "system/etc/hosts", "boot/ramdisk/init": "ramdisk/init", "": "",
		"system": "system", "kernel": "kernel", "data/nvram/x": "data/nvram/x",
	} {
		if got := Canonical(in); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOverride(t *testing.T) {
	r := defaults(t)
	rule := func(id, path, take string) string {
		return "  - {id: " + id + ", kind: app, paths: ['" + path + "'], drivers: " + take + ", look: donor, why: w, symptom: s, confidence: low, source: me}\n"
	}
	o, err := r.Override(strings.NewReader("rules:\n"+rule("apps", "system/app/**", "target")+rule("mine", "system/lib/libc.so", "drop")), "my.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Explain("system/app/X.apk", Drivers); got.Take != Target || got.Rule != "apps" {
		t.Errorf("replaced rule: %+v", got)
	}
	if got := o.Explain("system/lib/libc.so", Drivers); got.Take != Drop || got.Rule != "mine" {
		t.Errorf("new rule: %+v", got)
	}
	if got := r.Explain("system/app/X.apk", Drivers); got.Take != Donor {
		t.Errorf("the table itself changed: %+v", got)
	}
	for name, text := range map[string]string{
		"unknown key":  "rules:\n  - {id: a, nonsense: 1}\n",
		"unknown take": "rules:\n" + rule("a", "x", "both"),
		"bad pattern":  "rules:\n" + rule("a", "x/[", "drop"),
		"twice":        "rules:\n" + rule("a", "x", "drop") + rule("a", "y", "drop"),
		"not yaml":     "rules: [",
		"prop take":    "props:\n  - {id: p, keys: [a], drivers: merge, look: donor, why: w}\n",
	} {
		if _, err := r.Override(strings.NewReader(text), "my.yaml"); err == nil || !strings.HasPrefix(err.Error(), "my.yaml: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
