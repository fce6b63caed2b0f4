package compare

import (
	"cmp"
	"fmt"
	"strings"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/profiles/scatter"
)

// checkParts names what a ROM lacks and what could not be read.
func checkParts(c *checker) error {
	for _, s := range c.sides() {
		var lacks []string
		for _, p := range []struct {
			what string
			has  bool
		}{
			{"boot image", s.rom.Boot != nil}, {"kernel", s.kernel != nil}, {"ramdisk", s.ramdisk != nil}, {"system", s.rom.System != nil},
			{"build.prop", s.props != nil}, {"scatter", s.rom.Scatter != nil}, {"lk", s.lk != nil}, {"camera library", s.camera != nil},
		} {
			if !p.has {
				lacks = append(lacks, p.what)
			}
		}
		if len(lacks) > 0 {
			c.add("part-missing", s.name, "the "+s.name+"'s ROM has no "+strings.Join(lacks, ", ")+": what they would show is not compared", at(s.name, s.rom.Path, s.rom.Form))
		}
		for _, e := range s.unread {
			c.add("part-unreadable", s.name, "", e)
		}
	}
	return nil
}

func checkStorage(c *checker) error {
	d, t := c.donor.rom.Storage(), c.target.rom.Storage()
	if d != "" && t != "" && d != t {
		c.add("storage-mismatch", "", "", both("", d, t)...)
	}
	if d != scatter.NAND || t != scatter.NAND {
		return nil
	}
	db, de := c.donor.eraseBlock()
	tb, te := c.target.eraseBlock()
	if db != 0 && tb != 0 && db != tb {
		c.add("nand-geometry", "erase block", "", de, te)
		return nil
	}
	dp, de := c.donor.page()
	tp, te := c.target.page()
	if dp != 0 && tp != 0 && dp != tp {
		c.add("nand-geometry", "page", "", de, te)
	}
	return nil
}

// eraseBlock is the erase block of the side's NAND in bytes, 0 where unknown.
func (s *side) eraseBlock() (int64, mtkport.Evidence) {
	l := s.rom.Scatter
	if l == nil || l.BlockSize == 0 {
		return 0, mtkport.Evidence{}
	}
	return l.BlockSize, at(s.name, l.File, fmt.Sprintf("erase block %d bytes", l.BlockSize))
}

// page is the page of the NAND that the system image was written for, in bytes.
func (s *side) page() (int, mtkport.Evidence) {
	m := s.rom.SystemImage
	if m == nil || s.rom.SystemFile == nil {
		return 0, mtkport.Evidence{}
	}
	n := 0
	switch {
	case m.Layout.UBIFS != nil:
		n = m.Layout.UBIFS.MinIO
	case m.Layout.YAFFS2 != nil:
		n = m.Layout.YAFFS2.Page
	}
	return n, at(s.name, s.rom.SystemFile.Name, fmt.Sprintf("page %d bytes", n))
}

// checkPartitions compares sizes, and the donor's images with the target's
// partitions.
func checkPartitions(c *checker) error {
	t := c.target.rom.Scatter
	if t == nil {
		return nil
	}
	c.systemFits(t)
	if boot := t.Find("boot"); boot != nil && boot.Size > 0 && c.donor.rom.BootFile != nil && c.donor.rom.BootFile.Size > boot.Size {
		c.add("image-larger", boot.Name, "", at("donor", c.donor.rom.BootFile.Name, fmt.Sprintf("%d bytes", c.donor.rom.BootFile.Size)), at("target", boot.Name, fmt.Sprintf("%d bytes", boot.Size)))
	}
	d := c.donor.rom.Scatter
	if d == nil {
		return nil
	}
	for _, p := range d.Partitions {
		q := t.Find(p.Name)
		switch {
		case p.Name == "":
		case q == nil:
			c.add("partition-donor-only", p.Name, "", at("donor", d.File, fmt.Sprintf("%s, %d bytes", p.Name, p.Size)), at("target", t.File, "none"))
		case p.Size > 0 && q.Size > 0 && p.Size != q.Size:
			c.add("partition-size", q.Name, "", at("donor", d.File, fmt.Sprintf("%d bytes", p.Size)), at("target", t.File, fmt.Sprintf("%d bytes", q.Size)))
		}
	}
	return nil
}

// systemFits adds up what the donor's system needs, and looks at its image.
func (c *checker) systemFits(t *scatter.Layout) {
	p := t.Find("system")
	if p == nil || p.Size == 0 || c.donor.rom.System == nil {
		return
	}
	room := at("target", t.File, fmt.Sprintf("%s, %d bytes", p.Name, p.Size))
	if c.donor.size > p.Size {
		f := c.add("system-too-big", p.Name, "", at("donor", "system", fmt.Sprintf("%d bytes in %d files", c.donor.size, len(c.donor.files))), room)
		if c.opt.Style == plan.Look {
			f.Severity = risk
		}
		return
	}
	if m := c.donor.rom.SystemImage; m != nil && m.Size > p.Size && c.donor.rom.SystemFile != nil {
		c.add("image-larger", p.Name, "", at("donor", c.donor.rom.SystemFile.Name, fmt.Sprintf("%d bytes", m.Size)), room)
	}
}

const propFile = "system/build.prop"

// differ reports a key of build.prop that both sides state and differ in.
func (c *checker) differProp(code, key string) *mtkport.Finding {
	d, t := c.donor.prop(key), c.target.prop(key)
	if d == "" || t == "" || d == t {
		return nil
	}
	return c.add(code, key, "", both(propFile, d, t)...)
}

// checkPlatform compares the chips: as claimed, and as the kernels were built.
func checkPlatform(c *checker) error {
	c.differProp("platform-mismatch", "ro.mediatek.platform")
	for _, s := range c.sides() {
		claim, soc := strings.ToUpper(s.prop("ro.mediatek.platform")), s.soc()
		if claim != "" && soc != "" && claim != soc {
			c.add("soc-claim", s.name, "", at(s.name, propFile, "ro.mediatek.platform="+claim), at(s.name, "boot.img", "kernel for "+soc))
		}
	}
	if d, t := c.donor.soc(), c.target.soc(); d != "" && t != "" && d != t {
		c.add("soc-mismatch", "", "", both("boot.img", d, t)...)
	}
	for _, s := range c.sides() {
		if p, l := s.preloader, s.rom.Scatter; p != nil && l != nil && p.Project != "" && l.Project != "" && !strings.EqualFold(p.Project, l.Project) {
			c.add("board-mixed", s.name, "", at(s.name, cmp.Or(p.File, "preloader"), p.Project), at(s.name, l.File, "project "+l.Project))
		}
	}
	// Where only one side has a kernel, or a build.prop, the other's claim counts.
	d, t := c.donor.chip(), c.target.chip()
	if d != "" && t != "" && d != t && c.count("platform-mismatch")+c.count("soc-mismatch") == 0 {
		c.add("platform-mismatch", "", "", both("", d, t)...)
	}
	return nil
}

func (c *checker) count(code string) (n int) {
	for _, f := range c.out {
		if f.Code == code {
			n++
		}
	}
	return n
}

func (s *side) soc() string {
	if s.kernel == nil {
		return ""
	}
	return strings.ToUpper(s.kernel.SoC().Name)
}

// chip is the chip by the best word there is: kernel, preloader, scatter,
// build.prop.
func (s *side) chip() string {
	switch {
	case s.soc() != "":
		return s.soc()
	case s.preloader != nil && s.preloader.Chip != "":
		return strings.ToUpper(s.preloader.Chip)
	case s.rom.Scatter != nil && s.rom.Scatter.Platform != "":
		return strings.ToUpper(s.rom.Scatter.Platform)
	}
	return strings.ToUpper(s.prop("ro.mediatek.platform"))
}

// checkAndroid compares versions of Android and of MediaTek's branch.
func checkAndroid(c *checker) error {
	if f := c.differProp("android-mismatch", "ro.build.version.sdk"); f != nil && c.opt.Style == plan.Look {
		f.Severity = risk
	}
	if c.differProp("branch-mismatch", "ro.mediatek.version.branch") == nil {
		c.differProp("release-mismatch", "ro.mediatek.version.release")
	}
	c.differProp("bsp-sdk-mismatch", "ro.mediatek.version.sdk")
	return nil
}

// checkABI compares the processors that the programs are for.
func checkABI(c *checker) error {
	if c.differProp("abi-mismatch", "ro.product.cpu.abi") != nil {
		return nil
	}
	d, t := len(c.donor.under("lib64")) > 0, len(c.target.under("lib64")) > 0
	if d && !t && c.target.kernel != nil {
		c.add("abi-mismatch", "lib64", "", at("donor", "system/lib64", "64-bit libraries"), at("target", "boot.img", "a 32-bit kernel"))
	}
	return nil
}
