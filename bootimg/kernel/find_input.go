package kernel

import "strings"

// Touch panels and motion sensors register an object whose first word is their
// name and whose second is their init function:
//
//	struct tpd_driver_t    { name; local_init; suspend; resume; have_button; … }
//	struct sensor_init_info{ name; init; uninit; … }
//
// The function that takes the object tells the kind. Where no call can be read,
// the functions in the object do.

// hook is a call of a registration function.
type hook struct {
	call
	name string // of the registration function
}

// initObject is a registered object.
type initObject struct {
	off  int // in the image
	kind Kind
	name string
	init uint32
}

// findHooks reads all calls of the registration functions at once.
func (f *finder) findHooks() {
	names := map[uint32]string{}
	set := newAddrSet(f.v)
	for _, s := range f.syms.List {
		if s.Func() && (f.rec.hookKind(s.Name) != "" || s.Name == i2cAddDriver || s.Name == i2cAddBoard || s.Name == sensorAttach) {
			names[s.Addr] = s.Name
			set.add(s.Addr)
		}
	}
	if len(names) == 0 {
		return
	}
	for _, c := range f.k.calls(set) {
		f.hooks = append(f.hooks, hook{c, names[c.target]})
		if names[c.target] == sensorAttach && c.args[0].known {
			if kind := attachKind(c.args[0].val); kind != "" {
				f.attached[c.caller.Addr] = append(f.attached[c.caller.Addr], kind)
			}
		}
	}
}

// sensorAttach(id, object) connects a sensor to the hub; the ids are those of
// hwmsensor.h.
const sensorAttach = "hwmsen_attach"

func attachKind(id uint32) Kind {
	switch id {
	case 0:
		return Accelerometer
	case 1:
		return Magnetometer
	case 3:
		return Gyroscope
	case 4, 7:
		return Proximity
	}
	return ""
}

// findRegistered lists the registered touch panels and sensors.
func (f *finder) findRegistered() {
	seen := map[int]bool{}
	byObject := map[int]Kind{}
	var order []int
	for _, h := range f.hooks {
		kind := f.rec.hookKind(h.name)
		off, ok := f.v.off(h.args[0].val)
		if kind == "" || !h.args[0].known || !ok || !f.isInitObject(off) {
			continue
		}
		byObject[off] = kind
		order = append(order, off)
	}
	order = append(order, f.objectsByInit()...)
	if len(f.syms.List) == 0 {
		order = f.objectsByShape()
	}
	for _, off := range order {
		if seen[off] {
			continue
		}
		seen[off] = true
		f.addObject(off, byObject[off])
	}
}

// objectsByInit finds objects through functions named *local_init.
func (f *finder) objectsByInit() []int {
	var out []int
	for _, at := range f.anchors(initAnchor) {
		if f.isInitObject(at - 4) {
			out = append(out, at-4)
		}
	}
	return out
}

// objectsByShape is for kernels without symbols: a chip's name that the
// recognisers know, then an init and a remove function, for a touch panel init,
// suspend and resume.
func (f *finder) objectsByShape() []int {
	var out []int
	for off := 0; off+20 <= len(f.v.data); off += 4 {
		if _, ok := f.v.off(f.v.word(off)); !ok || !f.isInitObject(off) || !f.code(f.v.word(off+8)) {
			continue
		}
		name, _ := f.v.text(f.v.word(off), 40)
		if !identifier(strings.ReplaceAll(name, "-", "_")) {
			continue
		}
		switch f.rec.byName(name) {
		case Touch:
			if f.code(f.v.word(off+12)) && f.v.word(off+16) <= 1 {
				out = append(out, off)
			}
		case Accelerometer, Magnetometer, Gyroscope, Proximity:
			out = append(out, off)
		}
	}
	return out
}

func (f *finder) isInitObject(off int) bool {
	if off < 0 || off+16 > len(f.v.data) || !f.code(f.v.word(off+4)) {
		return false
	}
	name, ok := f.v.text(f.v.word(off), 40)
	return ok && !strings.ContainsAny(name, "%/")
}

func (f *finder) addObject(off int, kind Kind) {
	name, _ := f.v.text(f.v.word(off), 40)
	init := f.v.word(off + 4)
	why := "registered with the list of its kind"
	if kind == "" {
		kind, why = f.kindByShape(off, name), "kind by its functions"
	}
	f.inits = append(f.inits, initObject{off, kind, name, init})
	f.add(kind, name, "", Compiled, table(off, "init %s, %s", f.funcName(init), why))
}

// kindByShape tells a touch panel (third word: suspend) from a sensor (third
// word: remove), and sensors by their names.
func (f *finder) kindByShape(off int, name string) Kind {
	init := f.funcName(f.v.word(off + 4))
	third := f.funcName(f.v.word(off + 8))
	if len(f.syms.List) > 0 && (strings.HasPrefix(init, "tpd_") || strings.Contains(third, "suspend")) {
		return Touch
	}
	if kind := f.rec.byName(name); kind != "" {
		return kind
	}
	if kind := f.rec.byName(init); kind != "" {
		return kind
	}
	return Touch
}
