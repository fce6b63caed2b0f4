package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
)

// checkPanels compares the panel drivers: across, and of lk with its kernel.
func checkPanels(c *checker) error {
	d, t := c.donor, c.target
	if d.drivers != nil && t.drivers != nil {
		have := names(d.drivers, kernel.LCM)
		for _, n := range missing(names(t.drivers, kernel.LCM), have) {
			c.add("panel-missing", n, "panel "+n+" of the target is not in the donor's kernel",
				at("donor", "boot.img", list(have)), evidenceOf(t, "boot.img", t.drivers, kernel.LCM, n))
		}
	}
	for _, s := range c.sides() {
		if s.lk == nil || s.drivers == nil {
			continue
		}
		lk, k := names(s.lk, kernel.LCM), names(s.drivers, kernel.LCM)
		if len(lk) == 0 || len(k) == 0 {
			continue
		}
		if gone := missing(lk, k); len(gone) > 0 {
			c.add("panel-lk-kernel", s.name, "lk names panels that the kernel of the "+s.name+" does not drive: "+list(gone),
				at(s.name, s.lkFile, list(lk)), at(s.name, "boot.img", list(k)))
		} else if !slices.Equal(lk, k) {
			c.add("panel-order", s.name, "", at(s.name, s.lkFile, list(lk)), at(s.name, "boot.img", list(k)))
		}
	}
	return nil
}

// sensors lists the camera sensors of a file as name(id); keys are their ids.
func sensors(d *kernel.Drivers) (ids []string, label map[string]string) {
	label = map[string]string{}
	if d == nil {
		return nil, label
	}
	for _, v := range d.Of(kernel.Camera) {
		id := v.ID
		if n, err := strconv.ParseUint(id, 0, 32); err == nil {
			id = fmt.Sprintf("0x%x", n)
		}
		if id == "" || label[id] != "" {
			continue
		}
		ids, label[id] = append(ids, id), v.Name+"("+id+")"
	}
	return ids, label
}

func labels(ids []string, label map[string]string) string {
	var out []string
	for _, id := range ids {
		out = append(out, label[id])
	}
	return list(out)
}

// checkCameras compares sensor ids: of kernels, and of kernel and camera library.
func checkCameras(c *checker) error {
	dk, dn := sensors(c.donor.drivers)
	tk, tn := sensors(c.target.drivers)
	if len(dk) > 0 && len(tk) > 0 {
		if gone := missing(tk, dk); len(gone) > 0 {
			c.add("camera-sensor-missing", labels(gone, tn), "", both("boot.img", labels(dk, dn), labels(tk, tn))...)
		}
	}
	dl, dln := sensors(c.donor.camera)
	if len(tk) > 0 && len(dl) > 0 {
		if gone := missing(tk, dl); len(gone) > 0 {
			c.add("camera-library-sensor", labels(gone, tn), "", at("donor", "system/"+cameraLib, labels(dl, dln)), at("target", "boot.img", labels(tk, tn)))
		}
	}
	for _, s := range c.sides() {
		k, kn := sensors(s.drivers)
		l, ln := sensors(s.camera)
		if len(k) == 0 || len(l) == 0 {
			continue
		}
		if len(missing(k, l))+len(missing(l, k)) > 0 {
			c.add("camera-own-library", s.name, "kernel and camera library of the "+s.name+" do not know the same image sensors",
				at(s.name, "boot.img", labels(k, kn)), at(s.name, "system/"+cameraLib, labels(l, ln)))
		}
	}
	return nil
}

// driverKinds are the kinds of which each driver counts, with what a user misses.
// Panels and cameras have checks of their own.
var driverKinds = []struct {
	kind    kernel.Kind
	symptom string
}{
	{kernel.Lens, "camera does not focus"},
	{kernel.Flash, "no flash light"},
	{kernel.Touch, "touch is dead"},
	{kernel.Accelerometer, "the picture does not rotate"},
	{kernel.Magnetometer, "compass is dead"},
	{kernel.Gyroscope, "games and panorama do not feel turning"},
	{kernel.Charger, "the battery does not charge, or too slowly"},
	{kernel.Combo, "wifi, Bluetooth, FM and GPS are dead"},
	{kernel.Audio, "no sound from the loudspeaker"},
	{kernel.Modem, "no network"},
	{kernel.Storage, "storage is not found: the phone stays on its logo"},
}

// chips lists the drivers of a kind without those that drive nothing.
func chips(d *kernel.Drivers, kind kernel.Kind) []string {
	return slices.DeleteFunc(names(d, kind), func(n string) bool { return strings.HasPrefix(n, "dummy_") })
}

// checkDrivers compares the drivers of both kernels by kind.
func checkDrivers(c *checker) error {
	if c.donor.drivers == nil || c.target.drivers == nil {
		return nil
	}
	for _, k := range driverKinds {
		d, t := chips(c.donor.drivers, k.kind), chips(c.target.drivers, k.kind)
		if gone := missing(t, d); len(gone) > 0 {
			ev := []mtkport.Evidence{at("donor", "boot.img", list(d))}
			for _, n := range gone {
				ev = append(ev, evidenceOf(c.target, "boot.img", c.target.drivers, k.kind, n))
			}
			f := c.add("driver-missing", string(k.kind), fmt.Sprintf("%s driver of the target not in the donor's kernel: %s", k.kind, list(gone)), ev...)
			f.Symptom = k.symptom + " if the donor's boot.img is flashed"
		}
		if more := missing(d, t); len(more) > 0 {
			c.add("driver-donor-only", string(k.kind), fmt.Sprintf("%s driver only in the donor's kernel: %s", k.kind, list(more)), both("boot.img", list(d), list(t))...)
		}
	}
	return nil
}

// screenClass is a piece of panel names, the resolution it means and the usual
// density. Longer pieces come first: wvga is in fwvga.
var screenClasses = []struct {
	piece, size string
	density     int
}{
	{"fwvga", "480x854", 240}, {"hvga", "320x480", 160}, {"qvga", "240x320", 120}, {"wvga", "480x800", 240},
	{"qhd", "540x960", 240}, {"hd720", "720x1280", 320}, {"fhd", "1080x1920", 480}, {"wsvga", "1024x600", 160},
}

// resolutions lists the resolutions that the panels' names mean, each once.
func resolutions(panels []string) (sizes []string, density int) {
	for _, p := range panels {
		for _, k := range screenClasses {
			if !strings.Contains(strings.ToLower(p), k.piece) {
				continue
			}
			if !slices.Contains(sizes, k.size) {
				sizes, density = append(sizes, k.size), k.density
			}
			break
		}
	}
	return sizes, density
}

// checkScreen compares resolution and density, with each other and with the panel.
func checkScreen(c *checker) error {
	dp, tp := names(c.donor.drivers, kernel.LCM), names(c.target.drivers, kernel.LCM)
	d, _ := resolutions(dp)
	t, want := resolutions(tp)
	if len(d) > 0 && len(t) > 0 && len(missing(t, d)) == len(t) {
		c.add("screen-resolution", "", "", both("boot.img", list(d)+" by "+list(dp), list(t)+" by "+list(tp))...)
	}
	const key = "ro.sf.lcd_density"
	c.differProp("screen-density", key)
	for _, s := range c.sides() {
		v, err := strconv.Atoi(s.prop(key))
		if err == nil && len(t) == 1 && want > 0 && (v*4 > want*5 || v*5 < want*4) {
			c.add("screen-density-panel", s.name, fmt.Sprintf("the density of the %s does not fit the target's panel, %s", s.name, t[0]),
				at(s.name, propFile, key+"="+strconv.Itoa(v)), at("target", "boot.img", fmt.Sprintf("%s: usually %d", list(tp), want)))
		}
	}
	return nil
}

// checkProximity looks at the light and proximity sensor: the kernels' drivers,
// and the calibration program that the target's init files start.
func checkProximity(c *checker) error {
	for _, p := range c.target.started {
		if !strings.Contains(p, "proximity") && !strings.Contains(p, "alsps") {
			continue
		}
		if c.donor.rom.System == nil || c.donor.has(p) || !c.target.has(p) {
			continue
		}
		f := c.add("proximity-calibration", p, "", at("donor", p, "absent"), at("target", c.target.startedBy(p), "starts "+p), at("target", p, "there"))
		if t := names(c.target.drivers, kernel.Proximity); len(t) > 0 {
			f.Evidence = append(f.Evidence, at("target", "boot.img", "drivers "+list(t)))
		}
	}
	d, t := names(c.donor.drivers, kernel.Proximity), names(c.target.drivers, kernel.Proximity)
	if c.donor.drivers != nil && c.target.drivers != nil && len(missing(t, d)) > 0 {
		c.add("proximity-driver", list(missing(t, d)), "", both("boot.img", list(d), list(t))...)
	}
	return nil
}

// startedBy names the init file and line of a program's service.
func (s *side) startedBy(p string) string {
	for _, sc := range s.scripts {
		for _, v := range sc.Services {
			if v.Binary() == p {
				return fmt.Sprintf("ramdisk/%s:%d", sc.name, v.Line)
			}
		}
	}
	return "ramdisk"
}
