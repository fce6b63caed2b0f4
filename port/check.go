package port

import (
	"fmt"
	"path"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/port/splice"
	"mtkport/sysimg/tree"
)

// Check compares both ROMs before anything is made: storage, chip, Android
// version, MediaTek branch, kernel, modules and sizes. The heaviest findings come
// first.
//
// What cannot work is a blocker. The drivers style puts the target's drivers under
// the donor's framework, so there another Android version is one too; the look
// style keeps the target's native code, and it is a risk.
func Check(donor, target *rom.ROM, style plan.Style) []mtkport.Finding {
	c := checker{donor: donor, target: target, style: style}
	c.whole()
	c.storage()
	c.props()
	c.chips()
	c.abi()
	c.unstated()
	c.kernels()
	c.modules()
	c.size()
	for _, r := range []*rom.ROM{donor, target} {
		c.out = append(c.out, r.Notes...)
	}
	var sorted []mtkport.Finding
	for w := mtkport.Blocker; w >= mtkport.Note; w-- {
		for _, f := range c.out {
			if f.Severity == w {
				sorted = append(sorted, f)
			}
		}
	}
	return sorted
}

const codeSize = "system-size"

type checker struct {
	donor, target *rom.ROM
	style         plan.Style
	out           []mtkport.Finding
}

func (c *checker) add(f mtkport.Finding) { c.out = append(c.out, f) }

func two(file, donor, target string) []mtkport.Evidence {
	return []mtkport.Evidence{{Side: "donor", File: file, Value: orUnknown(donor)}, {Side: "target", File: file, Value: orUnknown(target)}}
}

func orUnknown(s string) string {
	if s == "" {
		return "not stated"
	}
	return s
}

// whole asks for a system on the target's side: without it no driver is kept.
func (c *checker) whole() {
	if c.target.System != nil {
		return
	}
	c.add(mtkport.Finding{Code: "target-no-system", Severity: mtkport.Blocker, Text: "the target's ROM has no system: none of this phone's drivers can be kept",
		Evidence: []mtkport.Evidence{{Side: "target", File: c.target.Path, Value: c.target.Form}}, Symptom: "black screen, no network, no camera", Fix: "use the target's full stock ROM, or a dump of its system partition"})
}

func (c *checker) storage() {
	if splice.CheckStorage(c.donor, c.target) != nil {
		c.add(mtkport.Finding{Code: "storage-mismatch", Severity: mtkport.Blocker, Text: "donor and target live on different storage",
			Evidence: two("", c.donor.Storage(), c.target.Storage()), Symptom: "nothing is mounted, the phone does not start", Fix: "look for a donor made for the target's storage"})
	}
}

// propCheck is a key of build.prop in which both sides should agree.
type propCheck struct {
	key, code string
	severity  mtkport.Severity
	text      string
	symptom   string
	fix       string
}

var propChecks = []propCheck{
	{"ro.mediatek.platform", "platform-mismatch", mtkport.Blocker, "the donor was made for another chip", "the phone does not start", "look for a donor of the same chip"},
	{"ro.build.version.sdk", "android-mismatch", mtkport.Risk, "donor and target are different Android versions: the target's drivers were not made for the donor's framework",
		"boot loop, or camera, sound and video dead", "look for a donor of the target's version, or for firmware of the donor's version made for this phone"},
	{"ro.mediatek.version.branch", "branch-mismatch", mtkport.Risk, "donor and target come from different MediaTek branches: driver files and framework may not link",
		"camera, video or display services restarting", "look at `mtkport plan`: take whole groups from one side"},
	{"ro.mediatek.gemini_support", "sim-count", mtkport.Note, "donor and target differ in the number of SIM cards", "a phantom SIM slot, or one SIM missing", "the target's value is kept in build.prop"},
	{"ro.sf.lcd_density", "density", mtkport.Note, "donor and target differ in screen density", "tiny or huge pictures", "the target's value is kept in build.prop where it states one"},
}

func (c *checker) props() {
	d, t := c.donor.Props(), c.target.Props()
	if d == nil || t == nil {
		if c.target.System != nil && t == nil {
			c.add(mtkport.Finding{Code: "target-no-props", Severity: mtkport.Risk, Text: "the target's ROM has no build.prop: its identity, wifi and screen keys cannot be kept",
				Symptom: "wrong model, wifi or SIM settings", Fix: "use the target's full stock ROM"})
		}
		return
	}
	for _, p := range propChecks {
		dv, dok := d.Get(p.key)
		tv, tok := t.Get(p.key)
		if !dok || !tok || dv == tv {
			continue
		}
		if p.code == "android-mismatch" && c.style == plan.Drivers {
			p.severity = mtkport.Blocker
		}
		c.add(mtkport.Finding{Code: p.code, Severity: p.severity, Subject: p.key, Text: p.text, Evidence: two("system/build.prop", dv, tv), Symptom: p.symptom, Fix: p.fix})
	}
}

func (c *checker) kernels() {
	if c.target.Boot == nil {
		c.add(mtkport.Finding{Code: "target-no-boot", Severity: mtkport.Risk, Text: "the target's ROM has no boot image: none is put into the bundle",
			Symptom: "the kernel on the phone must fit the modules of system.img", Fix: "add the target's boot.img"})
		return
	}
	t, err := c.target.Kernel()
	if err != nil {
		c.add(unread("target", err))
		return
	}
	if c.donor.Boot == nil {
		return
	}
	d, err := c.donor.Kernel()
	if err != nil {
		c.add(unread("donor", err))
		return
	}
	if d.Version() != t.Version() {
		c.add(mtkport.Finding{Code: "kernel-version", Severity: mtkport.Risk, Text: "the donor's system was made for another kernel version than the target's",
			Evidence: two("boot.img", d.Version(), t.Version()), Symptom: "no picture, no modem or no wifi", Fix: "look for a donor with the target's kernel version"})
	}
}

func unread(side string, err error) mtkport.Finding {
	return mtkport.Finding{Code: "kernel-unread", Severity: mtkport.Note, Text: "the " + side + "'s kernel could not be looked into", Evidence: []mtkport.Evidence{{Side: side, File: "boot.img", Value: err.Error()}}}
}

// modules asks whether the target's kernel would load the target's modules: when
// not, the target's ROM is a mixture itself.
func (c *checker) modules() {
	if c.target.Boot == nil || c.target.System == nil {
		return
	}
	k, err := c.target.Kernel()
	if err != nil {
		return
	}
	dir, err := c.target.System.Lookup("lib/modules")
	if err != nil || !dir.IsDir() {
		return
	}
	var bad []mtkport.Evidence
	for _, name := range dir.Names() {
		n := dir.Child(name)
		if n.Type() != tree.Regular || path.Ext(name) != ".ko" || n.Data == nil {
			continue
		}
		m, err := kernel.OpenModule(n.Data, n.Size())
		if err != nil || m.Vermagic == k.Vermagic() || k.Vermagic() == "" {
			continue
		}
		bad = append(bad, mtkport.Evidence{Side: "target", File: "system/lib/modules/" + name, Value: fmt.Sprintf("%q, the kernel wants %q", m.Vermagic, k.Vermagic())})
	}
	if len(bad) > 0 {
		c.add(mtkport.Finding{Code: "module-vermagic", Severity: mtkport.Risk, Text: fmt.Sprintf("the target's kernel refuses %d of the target's own modules", len(bad)),
			Evidence: bad, Symptom: "no wifi, no modem", Fix: "use kernel and system of one firmware"})
	}
}

// size adds up what the donor's system needs in 4 KiB blocks.
func (c *checker) size() {
	if c.target.Scatter == nil || c.donor.System == nil {
		return
	}
	p := c.target.Scatter.Find("system")
	if p == nil || p.Size == 0 {
		return
	}
	var need int64
	_ = c.donor.System.Walk(func(_ string, n *tree.Node) error {
		need += (n.Size()+4095)&^4095 + 256
		return nil
	})
	if need > p.Size {
		c.add(mtkport.Finding{Code: codeSize, Severity: mtkport.Blocker, Subject: p.Name, Text: "the donor's files alone need more than the target's system partition has",
			Evidence: two(p.Name, fmt.Sprintf("%d bytes", need), fmt.Sprintf("%d bytes", p.Size)), Symptom: "it cannot be written", Fix: "drop apps in the plan"})
	}
}

// refuse makes the blockers an error. A system that is too large is not among
// them: a plan may drop enough, and the splice counts exactly.
func refuse(fs []mtkport.Finding, target string) error {
	var codes, texts []string
	for _, f := range fs {
		if f.Severity == mtkport.Blocker && f.Code != codeSize {
			codes, texts = append(codes, f.Code), append(texts, f.Text)
		}
	}
	if len(codes) == 0 {
		return nil
	}
	return &mtkport.Error{File: target, Off: mtkport.NoOffset, Field: strings.Join(codes, ", "), Found: strings.Join(texts, "; "), Want: "a donor that fits", Err: mtkport.ErrRefused,
		Hint: "`mtkport plan` shows the evidence; --anyway ports all the same, if you know better"}
}

// short is a ROM's name for people: the last part of its path.
func short(p string) string {
	p = strings.TrimRight(strings.ReplaceAll(p, `\`, "/"), "/")
	return path.Base(p)
}
