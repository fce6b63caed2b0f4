package kernel

import (
	"bytes"
	"sort"
)

// Licence is who may use an exported symbol.
type Licence string

// The export classes of include/linux/export.h.
const (
	ForAll        Licence = "all"        // EXPORT_SYMBOL
	ForGPL        Licence = "gpl"        // EXPORT_SYMBOL_GPL
	ForAllUnused  Licence = "unused"     // EXPORT_UNUSED_SYMBOL
	ForGPLUnused  Licence = "unused-gpl" // EXPORT_UNUSED_SYMBOL_GPL
	ForGPLInvited Licence = "gpl-future" // EXPORT_SYMBOL_GPL_FUTURE
)

// Export is one symbol that modules may use.
type Export struct {
	Name    string  `json:"name"`
	Addr    uint32  `json:"address"`
	Licence Licence `json:"licence"`
}

// Exports is everything that the kernel exports.
type Exports struct {
	Source string // kallsyms: bounds by symbol; structure: found by shape; none
	Off    int64  // of the first table in the unpacked kernel, bytes; -1 without one
	List   []Export
	byName map[string]int
}

// Lookup finds an export by name.
func (e *Exports) Lookup(name string) (Export, bool) {
	i, ok := e.byName[name]
	if !ok {
		return Export{}, false
	}
	return e.List[i], true
}

// Exports reads the export tables: by their symbols where the kernel has
// kallsyms, else by their shape (pairs of address and name, sorted by name).
func (k *Kernel) Exports() *Exports {
	k.expOnce.Do(func() {
		e := k.exportsBySymbol()
		if len(e.List) == 0 {
			e = k.exportsByShape()
		}
		e.byName = make(map[string]int, len(e.List))
		for i := len(e.List) - 1; i >= 0; i-- {
			e.byName[e.List[i].Name] = i
		}
		k.exports = e
	})
	return k.exports
}

// exportTables are the tables in the order in which the linker lays them.
var exportTables = []struct {
	suffix  string
	licence Licence
}{
	{"", ForAll}, {"_gpl", ForGPL}, {"_unused", ForAllUnused}, {"_unused_gpl", ForGPLUnused}, {"_gpl_future", ForGPLInvited},
}

const (
	exportEntry = 8
	maxExport   = 128 // longest name taken
)

func (k *Kernel) exportsBySymbol() *Exports {
	e := &Exports{Source: "kallsyms", Off: -1}
	s := k.Symbols()
	for _, t := range exportTables {
		from, ok1 := s.Lookup("__start___ksymtab" + t.suffix)
		to, ok2 := s.Lookup("__stop___ksymtab" + t.suffix)
		if !ok1 || !ok2 {
			continue
		}
		off, ok := k.image.off(from.Addr)
		if !ok || to.Addr < from.Addr {
			continue
		}
		if e.Off < 0 && to.Addr > from.Addr {
			e.Off = int64(off)
		}
		for end := off + int(to.Addr-from.Addr); off+exportEntry <= end; off += exportEntry {
			if x, ok := k.exportAt(off); ok {
				x.Licence = t.licence
				e.List = append(e.List, x)
			}
		}
	}
	return e
}

// exportAt reads one pair of address and name.
func (k *Kernel) exportAt(off int) (Export, bool) {
	if off < 0 || off+exportEntry > len(k.image.data) {
		return Export{}, false
	}
	name, ok := k.image.text(k.image.word(off+4), maxExport)
	if !ok || !identifier(name) {
		return Export{}, false
	}
	return Export{Name: name, Addr: k.image.word(off), Licence: ForAll}, true
}

func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

// exportsByShape starts from the one export that every kernel has. The names
// within a table rise; where they fall, the next table begins.
func (k *Kernel) exportsByShape() *Exports {
	const seed = "\x00printk\x00"
	e := &Exports{Source: "none", Off: -1}
	for at := 0; ; {
		n := bytes.Index(k.image.data[at:], []byte(seed))
		if n < 0 {
			return e
		}
		at += n + 1
		for _, ref := range k.image.refs(k.image.addr(at)) {
			if list, off := k.exportRun(ref - 4); len(list) > len(e.List) {
				e.Source, e.Off, e.List = "structure", int64(off), list
			}
		}
	}
}

// exportRun reads the run of sorted pairs around off, and the tables behind it.
func (k *Kernel) exportRun(off int) ([]Export, int) {
	const minRun = 64
	x, ok := k.exportAt(off)
	if !ok {
		return nil, 0
	}
	first, name := off, x.Name
	for {
		p, ok := k.exportAt(first - exportEntry)
		if !ok || p.Name > name { // equal names happen: an EXPORT_SYMBOL in a header
			break
		}
		first, name = first-exportEntry, p.Name
	}
	var list []Export
	table, prev := 0, ""
	for at := first; ; at += exportEntry {
		x, ok := k.exportAt(at)
		if !ok {
			break
		}
		if x.Name < prev {
			if table++; len(list) < minRun || table == len(exportTables) {
				break
			}
		}
		prev, x.Licence = x.Name, exportTables[table].licence
		list = append(list, x)
	}
	if len(list) < minRun {
		return nil, 0
	}
	return list, first
}

// refs lists the offsets of all aligned words equal to addr.
func (v *view) refs(addr uint32) []int {
	want := []byte{byte(addr), byte(addr >> 8), byte(addr >> 16), byte(addr >> 24)}
	var out []int
	for at := 0; ; {
		n := bytes.Index(v.data[at:], want)
		if n < 0 {
			return out
		}
		at += n
		if at%4 == 0 {
			out = append(out, at)
		}
		at++
	}
}

// Names lists the exported names, sorted.
func (e *Exports) Names() []string {
	out := make([]string, len(e.List))
	for i, x := range e.List {
		out[i] = x.Name
	}
	sort.Strings(out)
	return out
}
