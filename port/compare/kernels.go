package compare

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
)

// checkKernel compares release, build and version magic.
func checkKernel(c *checker) error {
	d, t := c.donor.kernel, c.target.kernel
	if d == nil || t == nil {
		return nil
	}
	if d.Version() != t.Version() {
		c.add("kernel-release", "", "", both("boot.img", d.Version(), t.Version())...)
	} else if db, tb := d.Build(), t.Build(); db.Text != tb.Text {
		c.add("kernel-build", "", "", banner("donor", db), banner("target", tb))
	}
	if dv, tv := d.Vermagic(), t.Vermagic(); dv != tv && d.Version() == t.Version() {
		c.add("kernel-vermagic", "", "", both("boot.img", fmt.Sprintf("%q", dv), fmt.Sprintf("%q", tv))...)
	}
	return nil
}

func banner(side string, b kernel.Build) mtkport.Evidence {
	e := at(side, "boot.img", fmt.Sprintf("%s@%s, %s", b.User, b.Host, b.Time))
	e.Off = mtkport.At(b.Off)
	return e
}

// checkConfig compares the options, a finding for each family of them.
func checkConfig(c *checker) error {
	if c.donor.kernel == nil || c.target.kernel == nil {
		return nil
	}
	diff := kernel.DiffConfig(c.donor.kernel.Config(), c.target.kernel.Config())
	for _, g := range diff.Groups {
		all := append(append(append([]kernel.Change{}, g.Added...), g.Removed...), g.Changed...)
		var d, t []string
		for i, ch := range all {
			if i == 8 {
				d, t = append(d, "…"), append(t, "…")
				break
			}
			d, t = append(d, ch.Name+"="+orN(ch.A)), append(t, ch.Name+"="+orN(ch.B))
		}
		c.add("kernel-config", g.Name, fmt.Sprintf("the kernels differ in %s: %s", count(len(all), "option"), cmp.Or(g.Means, g.Name)),
			both("boot.img", list(d), list(t))...)
	}
	return nil
}

func orN(v string) string {
	if v == "" {
		return "n"
	}
	return v
}

// checkModules asks the kernel that the result runs, the target's, what it would
// do with the modules of both sides.
func checkModules(c *checker) error {
	if c.target.kernel == nil {
		return nil
	}
	for _, s := range c.sides() {
		var bad []mtkport.Evidence
		for _, v := range kernel.CheckModules(c.target.kernel, s.modules) {
			if v.Verdict == kernel.Refuses {
				bad = append(bad, at(s.name, v.File, strings.Join(v.Why, "; ")))
			}
		}
		code, whose := "donor-modules-refused", "the donor's"
		if s == c.target {
			code, whose = "modules-refused", "its own"
		}
		if len(bad) > 0 {
			c.add(code, "", fmt.Sprintf("the target's kernel refuses %d of %d of %s modules", len(bad), len(s.modules), whose), bad...)
		}
	}
	return nil
}

// checkInsmods looks at the insmod lines of the target's init files, which the
// result runs with the target's modules.
func checkInsmods(c *checker) error {
	t := c.target
	if t.ramdisk == nil || t.rom.System == nil || len(t.under("lib/modules")) == 0 {
		return nil
	}
	var gone, nowhere []mtkport.Evidence
	seen := map[string]bool{}
	for _, sc := range t.scripts {
		lines, err := kernel.InsmodLines(sc.name, bytes.NewReader(sc.Bytes()))
		if err != nil {
			return err
		}
		for _, l := range kernel.MissingInsmods(lines, t.has) {
			if !strings.HasSuffix(l.Path, ".ko") || seen[l.Path] {
				continue // another program in front of insmod, or said already
			}
			seen[l.Path] = true
			e := at("target", fmt.Sprintf("ramdisk/%s:%d", sc.name, l.Line), l.Path)
			if c.donor.has(l.Path) {
				gone = append(gone, e)
			} else {
				nowhere = append(nowhere, e)
			}
		}
	}
	if len(gone) > 0 {
		c.add("insmod-missing", "", "the target's init files load modules that only the donor has, built for another kernel", gone...)
	}
	if len(nowhere) > 0 {
		c.add("insmod-nowhere", "", "", nowhere...)
	}
	return nil
}
