package kernel

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Kind is a kind of hardware.
type Kind string

// The kinds that a phone is asked for.
const (
	LCM           Kind = "lcm"           // panel
	Camera        Kind = "camera"        // image sensor
	Lens          Kind = "lens"          // focus motor
	Flash         Kind = "flash"         // flash light
	Touch         Kind = "touch"         // touch panel
	Accelerometer Kind = "accelerometer" // MediaTek: gsensor
	Magnetometer  Kind = "magnetometer"  // MediaTek: msensor
	Gyroscope     Kind = "gyroscope"     //
	Proximity     Kind = "proximity"     // light and proximity; MediaTek: alsps
	Charger       Kind = "charger"       // charger and power chip
	Combo         Kind = "combo"         // wifi, bluetooth, FM, GPS
	Audio         Kind = "audio"         // amplifier
	Modem         Kind = "modem"         // modem interface
	Storage       Kind = "storage"       // controller, file system, memory chips
	GPU           Kind = "gpu"           // graphics and the version of its interface
	Other         Kind = "other"         // declared by the board, of no kind above
)

// Kinds lists the kinds in the order of reports, without [Other].
func Kinds() []Kind {
	return []Kind{LCM, Camera, Lens, Flash, Touch, Accelerometer, Magnetometer, Gyroscope, Proximity,
		Charger, Combo, Audio, Modem, Storage, GPU}
}

// State is how far a driver is known to be there.
type State string

// The two states.
const (
	Compiled State = "compiled" // its code is in the file
	Declared State = "declared" // the board says that the chip is there
)

// From is where a piece of evidence was read.
type From string

// The three ways of reading, the surest first.
const (
	FromTable  From = "table"  // a structure, by pointers
	FromSymbol From = "symbol" // the symbol table
	FromString From = "string" // text in the file
)

// Evidence is one place that shows a driver.
type Evidence struct {
	From  From   `json:"from"`
	Off   int64  `json:"offset"` // in the unpacked file, bytes; -1 when it is no place
	Value string `json:"value"`
}

// Driver is one driver, or one chip that the board declares.
type Driver struct {
	Kind     Kind       `json:"kind"`
	Name     string     `json:"name"`
	ID       string     `json:"id"` // camera: sensor id; declared: i2c address; else empty
	State    State      `json:"state"`
	Evidence []Evidence `json:"evidence"`
}

// Ident is the kernel's name in a list of drivers.
type Ident struct {
	Version string `json:"version"`
	Banner  string `json:"banner"`
	SoC     string `json:"soc"`
}

// Drivers is everything that one file drives.
type Drivers struct {
	Source   string   `json:"-"` // kernel, lk, or libcameracustom
	Kernel   Ident    `json:"kernel"`
	List     []Driver `json:"drivers"`
	NotFound []Kind   `json:"not_found"` // kinds that this sort of file should show, and does not
}

// Of lists the drivers of a kind, in table order.
func (d *Drivers) Of(kind Kind) []Driver {
	var out []Driver
	for _, x := range d.List {
		if x.Kind == kind {
			out = append(out, x)
		}
	}
	return out
}

// finish orders the list by kind, keeps the order within, and says which of
// the wanted kinds are missing.
func (d *Drivers) finish(wanted []Kind) {
	rank := map[Kind]int{Other: len(Kinds())}
	for i, k := range Kinds() {
		rank[k] = i
	}
	sort.SliceStable(d.List, func(i, j int) bool { return rank[d.List[i].Kind] < rank[d.List[j].Kind] })
	d.NotFound = []Kind{}
	for _, k := range wanted {
		if len(d.Of(k)) == 0 {
			d.NotFound = append(d.NotFound, k)
		}
	}
	if d.List == nil {
		d.List = []Driver{}
	}
}

// Drivers finds the drivers in the kernel: first the tables that its code and
// its pointers lead to, then symbols, then strings. rec names what tables alone
// cannot tell; nil are those that come with the package, as [Builtin] gives them.
func (k *Kernel) Drivers(rec *Recognisers) *Drivers {
	if rec == nil {
		rec = Builtin()
	}
	var soc SoC
	var hits [][]stringHit
	var aside sync.WaitGroup
	aside.Go(func() { hits = k.stringHits(rec.strings) })
	aside.Go(func() { soc = k.SoC() })
	f := newFinder(k, rec)
	f.findLCM()
	f.findCameras()
	f.findRegistered()
	f.findI2CDrivers()
	f.findBoard()
	aside.Wait()
	f.findByRules(hits)
	d := &Drivers{Source: "kernel", Kernel: Ident{k.Version(), k.Banner(), soc.Name}, List: f.out}
	d.finish(Kinds())
	return d
}

// finder is one search for drivers.
type finder struct {
	k     *Kernel
	v     *view
	syms  *Symbols
	rec   *Recognisers
	funcs *addrSet // function starts; empty without symbols
	text  span     // where code lies, addresses
	out   []Driver

	anchored []int             // words that point at a function with a telling name
	anchorOf map[uint32]string // and what the name tells
	hooks    []hook            // calls of registration functions
	attached map[uint32][]Kind // function address → kinds it attaches to the sensor hub
	inits    []initObject      // registered objects, by structure
}

func newFinder(k *Kernel, rec *Recognisers) *finder {
	f := &finder{k: k, v: &k.image, syms: k.Symbols(), rec: rec, attached: map[uint32][]Kind{}}
	f.funcs = newAddrSet(f.v)
	low, high := ^uint32(0), uint32(0)
	for _, s := range f.syms.List {
		if s.Func() {
			f.funcs.add(s.Addr)
			low, high = min(low, s.Addr), max(high, s.Addr)
		}
	}
	if high > low {
		f.text = span{addr: uint64(low), size: uint64(high-low) + 4096}
	} else { // no symbols: code is the front of the kernel, data is behind
		f.text = span{addr: uint64(f.v.base), size: uint64(len(f.v.data))}
	}
	f.findAnchors()
	f.findHooks()
	return f
}

// What function names tell that tables of drivers point at.
const (
	lcmAnchor    = "get_params"
	cameraAnchor = "SensorInit"
	initAnchor   = "local_init"
)

// findAnchors lists all words that point at such functions, in one pass.
func (f *finder) findAnchors() {
	set := newAddrSet(f.v)
	f.anchorOf = map[uint32]string{}
	for _, s := range f.syms.List {
		if !s.Func() {
			continue
		}
		for _, part := range []string{lcmAnchor, cameraAnchor, initAnchor} {
			if strings.Contains(s.Name, part) {
				set.add(s.Addr)
				f.anchorOf[s.Addr] = part
			}
		}
	}
	f.anchored = f.v.wordsIn(set)
}

// anchors lists the words that point at functions of that anchor.
func (f *finder) anchors(part string) []int {
	var out []int
	for _, at := range f.anchored {
		if f.anchorOf[f.v.word(at)] == part {
			out = append(out, at)
		}
	}
	return out
}

// code tells whether addr may be the start of a function.
func (f *finder) code(addr uint32) bool {
	if len(f.syms.List) > 0 {
		return f.funcs.has(addr)
	}
	off, ok := f.v.off(addr)
	return ok && addr&3 == 0 && looksLikeCode(f.v.word(off))
}

// looksLikeCode tells whether w is how compilers begin an ARM function: most
// push registers or save the stack pointer, small ones move or load at once.
func looksLikeCode(w uint32) bool {
	switch {
	case w == 0xe1a0c00d, w&0xffff0000 == 0xe92d0000, w&0xffff0fff == 0xe52d0004: // mov ip,sp; push
		return true
	case w&0xfff00000 == 0xe3a00000, w&0xfff00000 == 0xe3000000, w == 0xe12fff1e: // mov rd,#; movw; bx lr
		return true
	case w&0xffff0000 == 0xe59f0000: // ldr rd, [pc]
		return true
	}
	return false
}

func (f *finder) add(kind Kind, name, id string, state State, ev ...Evidence) {
	f.out = append(f.out, Driver{Kind: kind, Name: name, ID: id, State: state, Evidence: ev})
}

// table is the evidence of a structure at off.
func table(off int, format string, args ...any) Evidence {
	return Evidence{From: FromTable, Off: int64(off), Value: fmt.Sprintf(format, args...)}
}

// funcName names the function at addr, or gives its address.
func (f *finder) funcName(addr uint32) string {
	if s, ok := f.syms.At(addr); ok && s.Addr == addr && s.Func() {
		return s.Name
	}
	return fmt.Sprintf("0x%08x", addr)
}

// fold is the form in which driver names are compared: small letters and
// digits only, so FT5206, ft5206 and ft-5206 are one.
func fold(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' || isDigit(s[i]) {
			if isDigit(s[i]) {
				c = s[i]
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}
