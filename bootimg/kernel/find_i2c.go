package kernel

import (
	"fmt"
	"strings"
)

// i2c: drivers register struct i2c_driver, boards register arrays of struct
// i2c_board_info (include/linux/i2c.h).
const (
	i2cAddDriver = "i2c_register_driver"     // (owner, driver)
	i2cAddBoard  = "i2c_register_board_info" // (bus, info, count)

	boardRecord  = 40 // type[20], flags u16, addr u16, platform_data, archdata, of_node, irq
	boardName    = 20
	boardAddr    = 22
	maxBoardRows = 32
	minI2C       = 0x08 // the addresses outside are reserved; boards use 0x7f for nodes without a chip
	maxI2C       = 0x77

	idRecordName = 20 // struct i2c_device_id: name[20], driver_data
)

// i2cDriver is one struct i2c_driver.
type i2cDriver struct {
	off    int
	probe  uint32
	name   string   // struct device_driver's
	ids    []string // names in the id table
	caller Symbol   // the function that registers it
}

// findI2CDrivers adds the chips whose driver is in the kernel but in no list
// of its kind: lenses, flash lights, chargers, sensors of the old form.
func (f *finder) findI2CDrivers() {
	for _, h := range f.hooks {
		off, ok := f.v.off(h.args[1].val)
		if h.name != i2cAddDriver || !h.args[1].known || !ok {
			continue
		}
		d, ok := f.readI2CDriver(off)
		d.caller = h.caller
		if !ok || f.inList(d) {
			continue
		}
		if kind, name := f.kindOfI2C(d); kind != "" {
			f.add(kind, name, "", Compiled, table(off, "i2c driver %s, probe %s", d.name, f.funcName(d.probe)))
		}
	}
}

// readI2CDriver reads the fields whose place differs little between versions:
// probe is the first or second function, the driver's name the first pointer
// to text behind it, the id table a pointer behind that.
func (f *finder) readI2CDriver(off int) (i2cDriver, bool) {
	const firstFunc, lastFunc, lastName, lastTable = 8, 16, 48, 120
	d := i2cDriver{off: off}
	for at := off + firstFunc; at <= off+lastFunc && d.probe == 0; at += 4 {
		if w := f.v.word(at); f.code(w) {
			d.probe = w
		}
	}
	at := off + 28
	for ; at <= off+lastName; at += 4 {
		if s, ok := f.v.text(f.v.word(at), 40); ok && !strings.ContainsAny(s, "%/ ") {
			d.name = s
			break
		}
	}
	if d.probe == 0 || d.name == "" {
		return d, false
	}
	for at += 20; at <= off+lastTable && len(d.ids) == 0; at += 4 {
		d.ids = f.idTable(f.v.word(at))
	}
	return d, true
}

// idTable reads the names of an i2c_device_id table.
func (f *finder) idTable(addr uint32) []string {
	const record, maxIDs = 24, 16
	off, ok := f.v.off(addr)
	var out []string
	for ok && off+record <= len(f.v.data) && len(out) < maxIDs {
		name, good := field(f.v.data[off : off+idRecordName])
		if !good || len(name) < 2 {
			break
		}
		out = append(out, name)
		off += record
	}
	return out
}

// inList tells whether the driver is the bus side of an object already listed:
// its init function registers it, or names and function names are one.
func (f *finder) inList(d i2cDriver) bool {
	const near = 0x2000 // a touch panel's init function and what it calls to register
	probe, by := fold(f.funcName(d.probe)), fold(d.caller.Name)
	for _, o := range f.inits {
		dist := int64(d.caller.Addr) - int64(o.init)
		if dist == 0 || o.kind == Touch && dist < near && dist > -near {
			return true
		}
		if d.named(fold(o.name)) {
			return true
		}
		stem := initStem(f.funcName(o.init))
		if stem != "" && (strings.HasPrefix(probe, stem) || strings.HasPrefix(by, stem)) {
			return true
		}
	}
	return false
}

// named tells whether name, folded, is one of the driver's names.
func (d *i2cDriver) named(name string) bool {
	for _, id := range append([]string{d.name}, d.ids...) {
		if fold(id) == name {
			return true
		}
	}
	return false
}

// initStem is what the functions of one driver have in common: bma222e of
// bma222e_local_init. It is empty for the touch panels' tpd_local_init.
func initStem(init string) string {
	for _, tail := range []string{"_for_auto_local_init", "_local_init", "_init"} {
		if stem, ok := strings.CutSuffix(init, tail); ok && stem != "tpd" {
			return fold(stem)
		}
	}
	return ""
}

// kindOfI2C tells the kind by what the probe function attaches to the sensor
// hub, else by the names.
func (f *finder) kindOfI2C(d i2cDriver) (Kind, string) {
	name := d.name
	if len(d.ids) > 0 {
		name = d.ids[0]
	}
	if f.rec.ignored(name) || f.rec.ignored(d.name) {
		return "", ""
	}
	if f.rec.byName(name) == Touch { // some touch panels attach themselves as proximity sensors too
		return Touch, name
	}
	if kinds := f.attached[d.probe]; len(kinds) > 0 {
		return kinds[0], name
	}
	for _, n := range append([]string{d.name}, d.ids...) {
		if kind := f.rec.byName(n); kind != "" {
			return kind, name
		}
	}
	return "", ""
}

// findBoard lists what the board file declares on its i2c buses.
func (f *finder) findBoard() {
	seen := map[int]bool{}
	defer func() {
		if len(seen) == 0 {
			f.boardByShape()
		}
	}()
	for _, h := range f.hooks {
		off, ok := f.v.off(h.args[1].val)
		if h.name != i2cAddBoard || !h.args[1].known || !ok {
			continue
		}
		rows := 1
		if h.args[2].known {
			rows = int(min(h.args[2].val, maxBoardRows))
		}
		for i := range rows {
			if at := off + i*boardRecord; !seen[at] && f.addBoardRow(at, h) {
				seen[at] = true
			}
		}
	}
}

func (f *finder) addBoardRow(at int, h hook) bool {
	name, addr, ok := f.boardRow(at)
	if !ok {
		return false
	}
	bus := ""
	if h.args[0].known {
		bus = fmt.Sprintf(" on bus %d", h.args[0].val)
	}
	f.add(f.kindOfBoard(name), name, fmt.Sprintf("0x%x", addr), Declared, table(at, "i2c board info%s, by %s", bus, h.caller.Name))
	return true
}

// boardRow reads one struct i2c_board_info.
func (f *finder) boardRow(at int) (name string, addr uint16, ok bool) {
	if at < 0 || at+boardRecord > len(f.v.data) {
		return "", 0, false
	}
	name, ok = field(f.v.data[at : at+boardName])
	addr = le16(f.v.data[at+boardAddr:])
	return name, addr, ok && addr >= minI2C && addr <= maxI2C
}

// boardByShape is for kernels whose calls cannot be read: records with a name,
// an address, plain flags and no pointers where boards set none.
func (f *finder) boardByShape() {
	const flagsMask = ^uint16(0x3f) // i2c flags of this age leave the low bits, MediaTek's speed flags the rest
	for at := 0; at+boardRecord <= len(f.v.data); at += 4 {
		d := f.v.data[at:]
		if d[20]|d[21] != 0 && le16(d[20:])&flagsMask != 0 || d[23] != 0 || d[22] < minI2C || d[22] > maxI2C || d[19] != 0 {
			continue
		}
		if c := d[0] | 0x20; c < 'a' || c > 'z' || f.v.word(at+28) != 0 || f.v.word(at+32) != 0 || f.v.word(at+36) > 1024 {
			continue
		}
		if pd := f.v.word(at + 24); pd != 0 {
			if _, ok := f.v.off(pd); !ok {
				continue
			}
		}
		name, addr, ok := f.boardRow(at)
		if ok && len(name) >= 2 && identifier(strings.NewReplacer("-", "_", ".", "_").Replace(name)) {
			f.add(f.kindOfBoard(name), name, fmt.Sprintf("0x%x", addr), Declared, table(at, "i2c board info by shape"))
		}
	}
}

// kindOfBoard tells what a declared chip is: as the driver of that name is, or
// by the name.
func (f *finder) kindOfBoard(name string) Kind {
	for _, d := range f.out {
		if d.State == Compiled && d.Kind != LCM && d.Kind != Camera && fold(d.Name) == fold(name) {
			return d.Kind
		}
	}
	if kind := f.rec.byName(name); kind != "" {
		return kind
	}
	return Other
}
