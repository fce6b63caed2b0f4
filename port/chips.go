package port

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/port/rom"
)

// chips compares the chips: the kernels' with each other where both sides have
// one; where a side has none, or no build.prop, whatever else tells its chip.
func (c *checker) chips() {
	if c.has("platform-mismatch") {
		return
	}
	d, dFrom := kernelChip(c.donor)
	t, tFrom := kernelChip(c.target)
	if d == "" || t == "" {
		d, dFrom = chipOf(c.donor)
		t, tFrom = chipOf(c.target)
	}
	if d != "" && t != "" && d != t {
		c.add(mtkport.Finding{Code: "platform-mismatch", Severity: mtkport.Blocker, Text: "the donor was made for another chip",
			Evidence: []mtkport.Evidence{{Side: "donor", File: dFrom, Value: d}, {Side: "target", File: tFrom, Value: t}},
			Symptom:  "the phone does not start", Fix: "look for a donor of the same chip"})
	}
}

func (c *checker) has(code string) bool {
	for _, f := range c.out {
		if f.Code == code {
			return true
		}
	}
	return false
}

func kernelChip(r *rom.ROM) (chip, from string) {
	if r.Boot == nil {
		return "", ""
	}
	k, err := r.Kernel()
	if err != nil {
		return "", ""
	}
	return k.SoC().Name, r.BootFile.Name
}

var chipShape = regexp.MustCompile(`^MT\d{4}`)

// chipOf asks what a side claims, then its kernel. Letters after the number name
// variants of one chip.
func chipOf(r *rom.ROM) (chip, from string) {
	claims := []struct{ value, from string }{}
	if p := r.Props(); p != nil {
		v, _ := p.Get("ro.mediatek.platform")
		claims = append(claims, struct{ value, from string }{v, "system/build.prop"})
	}
	if r.Scatter != nil {
		claims = append(claims, struct{ value, from string }{r.Scatter.Platform, r.ScatterFile.Name})
	}
	for _, x := range claims {
		if m := chipShape.FindString(strings.ToUpper(x.value)); m != "" {
			return m, x.from
		}
	}
	return kernelChip(r)
}

// abi: 64-bit programs do not start under a 32-bit kernel, and this porter knows
// no other target.
func (c *checker) abi() {
	if dir := lib64(c.donor); dir != "" && lib64(c.target) == "" {
		c.add(mtkport.Finding{Code: "abi-mismatch", Severity: mtkport.Blocker, Text: "the donor's programs are for another processor",
			Evidence: []mtkport.Evidence{{Side: "donor", File: dir, Value: "64-bit libraries"}, {Side: "target", Value: "32-bit libraries only"}},
			Symptom:  "the phone does not start", Fix: "look for a donor of the same ABI"})
	}
}

func lib64(r *rom.ROM) string {
	if r.System == nil {
		return ""
	}
	if n, err := r.System.Lookup("lib64"); err != nil || !n.IsDir() {
		return ""
	}
	return "system/lib64"
}

// shipped says with which Android versions MediaTek shipped a kernel: its
// releases from 3.0 to 3.18, by the first and the last API level.
var shipped = []struct {
	kernel      string
	first, last int
	android     string
}{
	{"3.0.", 14, 16, "4.0 or 4.1"}, {"3.4.0", 16, 17, "4.1 or 4.2"}, {"3.4.5", 16, 17, "4.1 or 4.2"}, {"3.4.39", 17, 18, "4.2 or 4.3"},
	{"3.4.67", 19, 19, "4.4"}, {"3.10.", 19, 23, "4.4 to 6.0"}, {"3.18.", 23, 27, "6.0 to 8.1"},
}

// unstated guesses the Android version of a target without a build.prop by its
// kernel. A guess is a risk, not a blocker.
func (c *checker) unstated() {
	if c.target.Boot == nil || (c.target.Props() != nil && has(c.target, "ro.build.version.sdk")) {
		return
	}
	k, err := c.target.Kernel()
	if err != nil || c.donor.Props() == nil {
		return
	}
	v, _ := c.donor.Props().Get("ro.build.version.sdk")
	sdk, err := strconv.Atoi(v)
	if err != nil {
		return
	}
	for _, s := range shipped {
		if !fits(k.Version(), s.kernel) {
			continue
		}
		if sdk < s.first || sdk > s.last {
			release, _ := c.donor.Props().Get("ro.build.version.release")
			c.add(mtkport.Finding{Code: "android-unstated", Severity: mtkport.Risk, Text: "the target's ROM does not state its Android version, and its kernel was shipped with another one than the donor's",
				Evidence: []mtkport.Evidence{{Side: "donor", File: "system/build.prop", Value: "Android " + release}, {Side: "target", File: c.target.BootFile.Name, Value: fmt.Sprintf("kernel %s, of Android %s", k.Version(), s.android)}},
				Symptom:  "boot loop, or camera, sound and video dead", Fix: "look for a donor of the target's version; the target's full stock ROM tells it"})
		}
		return
	}
}

// fits tells whether a kernel's version is of a release: 3.4.5 is no 3.4.55.
func fits(version, release string) bool {
	rest, ok := strings.CutPrefix(version, release)
	return ok && (strings.HasSuffix(release, ".") || rest == "" || rest[0] < '0' || rest[0] > '9')
}

func has(r *rom.ROM, key string) bool {
	_, ok := r.Props().Get(key)
	return ok
}
