package compare

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/port/plan"
	"mtkport/sysimg/tree"
)

var (
	maliRelease = regexp.MustCompile(`r[0-9]{1,2}p[0-9]{1,2}-[0-9]{2}rel[0-9]{1,2}`)
	maliAPI     = regexp.MustCompile(`API_VERSION=[0-9]+`)
	doorName    = regexp.MustCompile(`/dev/[A-Za-z0-9_.-]+`)
)

// chunk is how much of a library is looked at in one go; names that lie over an
// edge are seen by the overlap.
const (
	chunk   = 1 << 20
	overlap = 256
)

// scan finds what re matches in a file, each once, in the file's order.
func scan(n *tree.Node, re *regexp.Regexp) ([]string, map[string]int64, error) {
	var out []string
	offs := map[string]int64{}
	if n == nil || n.Data == nil {
		return nil, offs, nil
	}
	buf := make([]byte, min(n.Size(), chunk+overlap))
	for off := int64(0); off < n.Size(); off += chunk {
		b := buf[:min(n.Size()-off, chunk+overlap)]
		if err := tree.ReadFull(n.Data, b, off); err != nil {
			return nil, nil, err
		}
		for _, m := range re.FindAllIndex(b, -1) {
			s := string(b[m[0]:m[1]])
			if _, seen := offs[s]; !seen {
				offs[s] = off + int64(m[0])
				out = append(out, s)
			}
		}
	}
	return out, offs, nil
}

// api is the interface version of the kernel's GPU driver, as evidence.
func (s *side) api() (string, mtkport.Evidence) {
	if s.kernel == nil {
		return "", mtkport.Evidence{}
	}
	m := maliAPI.FindIndex(s.kernel.Image())
	if m == nil {
		for _, d := range s.drivers.Of(kernel.GPU) {
			if d.ID != "" {
				return d.ID, at(s.name, "boot.img", d.Name+" "+d.ID)
			}
		}
		return "", mtkport.Evidence{}
	}
	v := string(s.kernel.Image()[m[0]:m[1]])
	e := at(s.name, "boot.img", v)
	e.Off = mtkport.At(int64(m[0]))
	return v, e
}

const maliLib = "lib/libMali.so"

// library is the release that libMali states, as evidence.
func (s *side) library() (string, mtkport.Evidence, error) {
	found, offs, err := scan(s.files[maliLib], maliRelease)
	if err != nil || len(found) == 0 {
		return "", mtkport.Evidence{}, err
	}
	e := at(s.name, "system/"+maliLib, found[0])
	e.Off = mtkport.At(offs[found[0]])
	return found[0], e, nil
}

// checkGPU compares the kernel's GPU interface and the libraries that use it.
func checkGPU(c *checker) error {
	da, dae := c.donor.api()
	ta, tae := c.target.api()
	dl, dle, err := c.donor.library()
	if err != nil {
		return err
	}
	tl, tle, err := c.target.library()
	if err != nil {
		return err
	}
	switch {
	case da != "" && ta != "" && da != ta:
		c.add("gpu-interface", "", "", dae, tae)
	case dl != "" && tl != "" && dl != tl:
		c.add("gpu-library", maliLib, "", dle, tle)
	case dl != "" && ta != "" && da == "" && tl == "":
		c.add("gpu-unproven", maliLib, "", dle, tae)
	}
	return nil
}

// doors are the devices by which programs of MediaTek phones reach the kernel.
// Names that a kernel makes from a number are not in the list.
var doors = []string{
	"mali", "ion", "hwmsensor", "eac", "accdet", "stpwmt", "stpbt", "stpgps", "wmtWifi", "fm", "nvram", "ccci_monitor", "ccci_pcm_rx",
	"mtk_disp", "mtk_disp_mgr", "m4u", "M4U_device", "Vcodec", "kd_camera_hw", "kd_camera_flashlight", "camera-isp", "camera-fdvt", "camera-sysram", "mtk-jpeg", "mtk_mdp", "mt-mdp", "sec", "pvrsrvkm", "ebc",
}

// checkDoors looks for devices that the donor's hardware programs open and that
// nothing of the target makes. Programs that the rules take from the target do
// not count: they never run.
func checkDoors(c *checker) error {
	if c.target.kernel == nil || c.opt.Style != plan.Drivers {
		return nil
	}
	ev := map[string][]mtkport.Evidence{}
	for _, p := range c.donor.paths {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if !c.staysDonor(p) {
			continue
		}
		found, offs, err := scan(c.donor.files[p], doorName)
		if err != nil {
			return mtkport.InFile(err, "system/"+p)
		}
		for _, d := range found {
			if !slices.Contains(doors, strings.TrimPrefix(d, "/dev/")) || len(ev[d]) >= 8 {
				continue
			}
			e := at("donor", "system/"+p, d)
			e.Off = mtkport.At(offs[d])
			ev[d] = append(ev[d], e)
		}
	}
	for _, name := range doors {
		d := "/dev/" + name
		if len(ev[d]) == 0 || c.target.contains(name) || c.target.named(d) {
			continue
		}
		c.add("device-door", d, fmt.Sprintf("programs of the donor open %s, which the target's kernel, modules and init files do not name", d),
			append(ev[d], at("target", "boot.img", "no such name"))...)
	}
	return nil
}

// staysDonor tells whether a path holds a library or program of hardware that the
// result has from the donor.
func (c *checker) staysDonor(p string) bool {
	if dir := path.Dir(p); dir != "bin" && dir != "xbin" && !strings.HasPrefix(dir, "lib") && !strings.HasPrefix(dir, "vendor/lib") {
		return false
	}
	r := c.opt.Rules.Find("system/" + p)
	if r == nil || kindCodes[r.Kind] == "" || c.donor.files[p].Size() > 16<<20 {
		return false
	}
	_, both := c.target.files[p]
	return !both || r.Take(c.opt.Style).Side() == plan.Donor
}

// named tells whether an init file names the device: ueventd and init give modes
// to those that drivers make.
func (s *side) named(device string) bool {
	for _, sc := range s.scripts {
		if slices.Contains(strings.Fields(string(sc.Bytes())), device) {
			return true
		}
	}
	return false
}
