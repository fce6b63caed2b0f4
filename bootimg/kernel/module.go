package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"mtkport"
)

// maxModule bounds a module file; the largest seen, with debug data, has 9 MiB.
const maxModule = 32 << 20

// Module is one loadable kernel module (.ko).
type Module struct {
	Name       string   `json:"name"`        // as lsmod would say it
	Vermagic   string   `json:"vermagic"`    // must equal the kernel's, trailing space included
	Licence    string   `json:"licence"`     // MODULE_LICENSE; empty means proprietary
	Depends    []string `json:"depends"`     // modules to load before
	Needs      []string `json:"needs"`       // undefined symbols, sorted
	Weak       []string `json:"weak"`        // undefined, and allowed to stay so
	Exports    []Export `json:"exports"`     // what it offers to others; addresses within the module
	Versions   int      `json:"versions"`    // entries of the symbol version table; 0: none
	StructSize int64    `json:"struct_size"` // bytes of struct module; it differs where the kernel's options do
	Params     []string `json:"params"`      // names of its parameters
}

// OpenModule reads the headers, the symbols and the module information of a
// .ko file.
func OpenModule(r io.ReaderAt, size int64) (*Module, error) {
	if size > maxModule {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprint(size), Want: fmt.Sprintf("at most %d", maxModule), Err: mtkport.ErrFormat}
	}
	f, err := elf.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		class := mtkport.ErrFormat
		var head [4]byte
		if _, e := r.ReadAt(head[:], 0); e == nil && string(head[:]) == elf.ELFMAG {
			class = mtkport.ErrDamaged
		}
		return nil, &mtkport.Error{Off: 0, Field: "elf header", Found: err.Error(), Want: "a kernel module", Err: class}
	}
	if f.Class != elf.ELFCLASS32 || f.Machine != elf.EM_ARM || f.Type != elf.ET_REL {
		return nil, &mtkport.Error{Off: 0, Field: "elf header", Found: fmt.Sprint(f.Class, " ", f.Machine, " ", f.Type),
			Want: "an ELF32 ARM relocatable file", Err: mtkport.ErrUnsupported}
	}
	m := &Module{}
	if err := m.readInfo(f); err != nil {
		return nil, err
	}
	return m, m.readSymbols(f)
}

// sectionData reads a section that is not larger than the file may be.
func sectionData(f *elf.File, name string) []byte {
	s := f.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS || s.FileSize > maxModule {
		return nil
	}
	b, err := s.Data()
	if err != nil {
		return nil
	}
	return b
}

// readInfo reads .modinfo (NUL ended key=value pairs) and struct module.
func (m *Module) readInfo(f *elf.File) error {
	info := sectionData(f, ".modinfo")
	self := f.Section(".gnu.linkonce.this_module")
	if info == nil && self == nil {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: ".modinfo", Found: "no such section", Want: "a kernel module", Err: mtkport.ErrFormat}
	}
	for _, kv := range bytes.Split(info, []byte{0}) {
		key, val, _ := strings.Cut(string(kv), "=")
		switch key {
		case "vermagic":
			m.Vermagic = val
		case "license":
			m.Licence = val
		case "depends":
			m.Depends = append(m.Depends, strings.FieldsFunc(val, func(r rune) bool { return r == ',' })...)
		case "parmtype":
			name, _, _ := strings.Cut(val, ":")
			m.Params = append(m.Params, name)
		}
	}
	if self != nil {
		m.StructSize = int64(self.Size)
		m.Name = selfName(sectionData(f, self.Name))
	}
	const versionEntry = 64
	m.Versions = len(sectionData(f, "__versions")) / versionEntry
	return nil
}

// selfName reads the name in struct module: behind state and list links.
func selfName(b []byte) string {
	const nameOff, nameLen = 12, 60 // MODULE_NAME_LEN, 64 less a long
	if len(b) < nameOff+nameLen {
		return ""
	}
	name, _, _ := bytes.Cut(b[nameOff:nameOff+nameLen], []byte{0})
	return string(name)
}

func (m *Module) readSymbols(f *elf.File) error {
	syms, err := f.Symbols()
	if err != nil {
		if errors.Is(err, elf.ErrNoSymbols) {
			return nil
		}
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "symbol table", Found: err.Error(), Want: "a module's symbols", Err: mtkport.ErrDamaged}
	}
	defined := map[string]uint32{}
	for _, s := range syms {
		if s.Section != elf.SHN_UNDEF {
			defined[s.Name] = uint32(s.Value)
		}
	}
	for _, s := range syms {
		switch {
		case s.Name == "":
		case s.Section == elf.SHN_UNDEF && elf.ST_BIND(s.Info) == elf.STB_WEAK:
			m.Weak = append(m.Weak, s.Name)
		case s.Section == elf.SHN_UNDEF:
			m.Needs = append(m.Needs, s.Name)
		default:
			m.addExport(f, s, defined)
		}
	}
	sort.Strings(m.Needs)
	sort.Strings(m.Weak)
	sort.Slice(m.Exports, func(i, j int) bool { return m.Exports[i].Name < m.Exports[j].Name })
	return nil
}

// addExport takes s if it is an export record: __ksymtab_NAME in a section
// whose name tells the licence.
func (m *Module) addExport(f *elf.File, s elf.Symbol, defined map[string]uint32) {
	name, ok := strings.CutPrefix(s.Name, "__ksymtab_")
	if !ok || int(s.Section) >= len(f.Sections) {
		return
	}
	sec, _, _ := strings.Cut(strings.TrimLeft(f.Sections[s.Section].Name, "_"), "+")
	suffix, ok := strings.CutPrefix(sec, "ksymtab")
	if !ok {
		return
	}
	for _, t := range exportTables {
		if t.suffix == suffix {
			m.Exports = append(m.Exports, Export{Name: name, Addr: defined[name], Licence: t.licence})
		}
	}
}

// GPL tells whether the kernel counts the module's licence as compatible with
// the GPL (license_is_gpl_compatible of include/linux/license.h).
func (m *Module) GPL() bool {
	switch m.Licence {
	case "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL":
		return true
	}
	return false
}
