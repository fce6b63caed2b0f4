package compare

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
)

// checkServices follows every program that init files start.
func checkServices(c *checker) error {
	if c.target.ramdisk == nil || c.donor.rom.System == nil {
		return nil
	}
	var take, nowhere []mtkport.Evidence
	var subject []string
	for _, p := range c.target.started {
		if !strings.HasPrefix(p, "/system/") || c.donor.has(p) {
			continue
		}
		if e := at("target", c.target.startedBy(p), p); c.target.has(p) {
			take, subject = append(take, e), append(subject, path.Base(p))
		} else {
			nowhere = append(nowhere, e)
		}
	}
	if len(take) > 0 {
		c.add("service-target-only", list(subject), "", append(take, at("donor", "system", "none of them"))...)
	}
	if len(nowhere) > 0 {
		c.add("service-nowhere", "", fmt.Sprintf("the target's init files name %s that neither side has: usual, init goes on without", count(len(nowhere), "program")), nowhere...)
	}
	var only []mtkport.Evidence
	for _, p := range missing(c.donor.started, c.target.started) {
		if c.donor.has(p) {
			only = append(only, at("donor", c.donor.startedBy(p), p))
		}
	}
	if len(only) > 0 {
		c.add("service-donor-only", "", "", only...)
	}
	return nil
}

// checkSELinux compares policy and kernel across.
func checkSELinux(c *checker) error {
	d, t := c.donor, c.target
	if t.kernel == nil || d.ramdisk == nil {
		return nil
	}
	policy, has := d.ramdisk.Lookup("sepolicy") != nil, t.selinux()
	if policy == has {
		return nil
	}
	word := map[bool]string{true: "yes", false: "no"}
	f := c.add("selinux", "", "", at("donor", "ramdisk/sepolicy", word[policy]), at("target", "boot.img", "SELinux in the kernel: "+word[has]))
	if !policy {
		f.Severity = note
	}
	return nil
}

// selinux tells whether the kernel has SELinux.
func (s *side) selinux() bool {
	if s.kernel == nil {
		return false
	}
	if o, ok := s.kernel.Config().Lookup("CONFIG_SECURITY_SELINUX"); ok {
		return o.Value == "y"
	}
	_, ok := s.kernel.Symbols().Lookup("selinux_init")
	return ok
}

// checkBootClassPath compares the jars that the VM loads with the donor's
// framework, in both directions.
func checkBootClassPath(c *checker) error {
	if len(c.donor.under("framework")) == 0 {
		return nil
	}
	d, t := c.donor.classPath(), c.target.classPath()
	for _, s := range []struct {
		side *side
		jars []string
	}{{c.donor, d}, {c.target, t}} {
		var gone []string
		for _, j := range s.jars {
			if strings.HasPrefix(j, "/system/") && !c.donor.has(j) {
				gone = append(gone, j)
			}
		}
		if len(gone) > 0 {
			c.add("bootclasspath-missing", s.side.name, "BOOTCLASSPATH of the "+s.side.name+" names jars that the donor's framework does not have: "+list(gone),
				at("donor", "system/framework", "absent: "+list(gone)), at(s.side.name, "ramdisk", strings.Join(s.jars, ":")))
		}
	}
	if more := missing(d, t); len(more) > 0 && len(t) > 0 {
		c.add("bootclasspath-added", list(more), "", both("ramdisk", strings.Join(d, ":"), strings.Join(t, ":"))...)
	}
	return nil
}

// classPath is every jar of the BOOTCLASSPATHs of the init files that a user's
// build runs, without those of eng builds.
func (s *side) classPath() []string {
	var out []string
	kind := s.prop("ro.build.type")
	for _, sc := range s.scripts {
		if sc.otherBoot() {
			continue
		}
		for _, r := range sc.Commands("export") {
			if len(r.Args) < 3 || r.Args[1] != "BOOTCLASSPATH" && r.Args[1] != "BOOTCLASSPATH_EX" {
				continue
			}
			if _, v, ok := strings.Cut(r.Trigger, "ro.build.type="); ok && v != kind && (kind != "" || v != "user") {
				continue
			}
			for _, j := range strings.Split(r.Args[2], ":") {
				if j != "" && !slices.Contains(out, j) {
					out = append(out, j)
				}
			}
		}
	}
	return out
}

var modemKinds = []string{"wg_n", "tg_n", "2g_n", "3g_n", "tdd", "fdd"}

// modems lists the modem images of a system and the kinds that their names tell.
func (s *side) modems() (files, kinds []string) {
	for _, p := range s.under("etc/firmware") {
		base := strings.ToLower(path.Base(p))
		if !strings.HasPrefix(base, "modem") || !strings.HasSuffix(base, ".img") {
			continue
		}
		files = append(files, fmt.Sprintf("%s (%d bytes)", path.Base(p), s.files[p].Size()))
		for _, k := range modemKinds {
			if strings.Contains(base, k) && !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	return files, kinds
}

// checkDatabase looks whether the modem's database, whose name carries the
// modem's kind, belongs to one of the images.
func (s *side) checkDatabase(c *checker) {
	images, kinds := s.modems()
	var names, strange []string
	for _, p := range s.under("etc/mddb") {
		base := path.Base(p)
		names = append(names, base)
		for _, k := range modemKinds {
			if strings.Contains(strings.ToLower(base), "_"+k) && len(kinds) > 0 && !slices.Contains(kinds, k) {
				strange = append(strange, base)
			}
		}
	}
	if len(strange) > 0 {
		c.add("modem-database", s.name, "", at(s.name, "system/etc/firmware", list(images)), at(s.name, "system/etc/mddb", list(names)))
	}
}

// checkRadio compares modem, radio interface and SIM count.
func checkRadio(c *checker) error {
	df, dk := c.donor.modems()
	tf, tk := c.target.modems()
	if len(dk) > 0 && len(tk) > 0 && len(missing(dk, tk))+len(missing(tk, dk)) > 0 {
		c.add("modem-generation", "", "", both("system/etc/firmware", list(df), list(tf))...)
	}
	for _, s := range c.sides() {
		s.checkDatabase(c)
	}
	c.differProp("ril-library", "rild.libpath")
	c.differProp("ril-library", "ro.telephony.ril_class")
	for _, k := range []string{"ril.telephony.mode", "ril.external.md", "ril.flightmode.poweroffMD", "ril.radiooff.poweroffMD", "rild.libargs"} {
		c.differProp("radio-settings", k)
	}
	dn, df1 := c.donor.sims()
	tn, tf1 := c.target.sims()
	if dn != "" && tn != "" && dn != tn {
		c.add("sim-count", "", "the donor is for "+dn+" SIM, the target for "+tn, both(propFile, df1, tf1)...)
	}
	return nil
}

// sims is the number of SIM cards and the key that says so.
func (s *side) sims() (n, why string) {
	for _, k := range []string{"persist.gemini.sim_num", "ro.telephony.sim.count"} {
		if v := s.prop(k); v != "" {
			return v, k + "=" + v
		}
	}
	const gemini, multi = "ro.mediatek.gemini_support", "persist.radio.multisim.config"
	switch v := s.prop(gemini); v {
	case "true":
		return "2", gemini + "=" + v
	case "false":
		return "1", gemini + "=" + v
	}
	switch v := s.prop(multi); v {
	case "dsds", "dsda":
		return "2", multi + "=" + v
	case "ss":
		return "1", multi + "=" + v
	case "tsts":
		return "3", multi + "=" + v
	}
	return "", ""
}

// Facts is what is known of one side.
type Facts struct {
	Path     string   `json:"path"`
	Form     string   `json:"form"`               // what it was taken for
	Storage  string   `json:"storage,omitempty"`  // EMMC or NAND
	Chip     string   `json:"chip,omitempty"`     // by kernel, preloader, scatter or build.prop, in this order of trust
	Board    string   `json:"board,omitempty"`    // by preloader, scatter or build.prop
	Model    string   `json:"model,omitempty"`    //
	Android  string   `json:"android,omitempty"`  //
	SDK      string   `json:"sdk,omitempty"`      //
	Branch   string   `json:"branch,omitempty"`   // MediaTek's
	Release  string   `json:"release,omitempty"`  // MediaTek's
	Kernel   string   `json:"kernel,omitempty"`   // release
	Banner   string   `json:"banner,omitempty"`   //
	Vermagic string   `json:"vermagic,omitempty"` //
	SELinux  bool     `json:"selinux"`            // in the kernel
	Density  string   `json:"density,omitempty"`  //
	SIMs     string   `json:"sims,omitempty"`     //
	Panels   []string `json:"panels"`             // of the kernel, in the order they are tried
	LKPanels []string `json:"lk_panels"`          //
	Cameras  []string `json:"cameras"`            // of the kernel: name(id)
	Library  []string `json:"library"`            // of libcameracustom
	Touch    []string `json:"touch"`              //
	Sensors  []string `json:"sensors"`            // accelerometer, magnetometer, gyroscope, proximity
	Modems   []string `json:"modems"`             // images in etc/firmware
	Modules  int      `json:"modules"`            // how many
	Files    int      `json:"files"`              // of the system
	Size     int64    `json:"size"`               // what they need, bytes
}

func (s *side) facts() Facts {
	f := Facts{
		Path: s.rom.Path, Form: s.rom.Form, Storage: s.rom.Storage(), Chip: s.chip(), Board: s.board(), Model: s.prop("ro.product.model"),
		Android: s.prop("ro.build.version.release"), SDK: s.prop("ro.build.version.sdk"),
		Branch: s.prop("ro.mediatek.version.branch"), Release: s.prop("ro.mediatek.version.release"), Density: s.prop("ro.sf.lcd_density"),
		SELinux: s.selinux(), Panels: or(names(s.drivers, kernel.LCM)), LKPanels: or(names(s.lk, kernel.LCM)), Touch: or(names(s.drivers, kernel.Touch)),
		Modules: len(s.modules), Files: len(s.files), Size: s.size,
	}
	f.SIMs, _ = s.sims()
	if s.kernel != nil {
		f.Kernel, f.Banner, f.Vermagic = s.kernel.Version(), s.kernel.Banner(), s.kernel.Vermagic()
	}
	f.Cameras, f.Library = sensorList(s.drivers), sensorList(s.camera)
	f.Sensors = []string{}
	for _, k := range []kernel.Kind{kernel.Accelerometer, kernel.Magnetometer, kernel.Gyroscope, kernel.Proximity} {
		f.Sensors = append(f.Sensors, names(s.drivers, k)...)
	}
	files, _ := s.modems()
	f.Modems = or(files)
	return f
}

func sensorList(d *kernel.Drivers) []string {
	ids, label := sensors(d)
	out := []string{}
	for _, id := range ids {
		out = append(out, label[id])
	}
	return out
}

func or(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (s *side) board() string {
	if s.preloader != nil && s.preloader.Project != "" {
		return s.preloader.Project
	}
	if s.rom.Scatter != nil && s.rom.Scatter.Project != "" {
		return s.rom.Scatter.Project
	}
	return s.prop("ro.product.board")
}
