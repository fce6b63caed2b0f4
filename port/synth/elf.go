package synth

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"slices"
	"sort"
)

// Object says what a shared library or program is.
type Object struct {
	Name    string            // DT_SONAME of a library
	Program bool              // it has an interpreter
	Needs   []string          // DT_NEEDED
	Defines []string          // functions that it offers
	Uses    []string          // functions that it takes from others
	Texts   []string          // strings in its read-only data
	Tables  map[string][]byte // data symbols in its read-only data
}

const (
	pageSize   = 0x1000
	interp     = "/system/bin/linker"
	elfHeader  = 52
	phdrSize   = 32
	symbolSize = 16
)

// table is a string table under construction.
type table struct {
	b  []byte
	at map[string]uint32
}

func newTable() *table { return &table{b: []byte{0}, at: map[string]uint32{"": 0}} }

func (t *table) add(s string) uint32 {
	if off, ok := t.at[s]; ok {
		return off
	}
	off := uint32(len(t.b))
	t.at[s] = off
	t.b = append(append(t.b, s...), 0)
	return off
}

// part is a piece of an ELF file that is loaded.
type part struct {
	name       string
	typ        elf.SectionType
	flags      elf.SectionFlag
	data       []byte
	link, info uint32
	entry      uint32
	addr       uint32
}

// ELF is the object as a 32-bit ARM file with program headers, a dynamic section,
// a SysV hash table and section headers.
func (o Object) ELF() []byte {
	str := newTable()
	undefined, defined := sorted(o.Uses), sorted(o.Defines)
	tables := slices.Sorted(maps.Keys(o.Tables))
	names := slices.Concat([]string{""}, undefined, defined, tables)
	for _, n := range slices.Concat([]string{o.Name}, o.Needs, names) {
		str.add(n)
	}
	rodata, tableAt := o.rodata(tables)
	parts := []*part{
		{name: ".interp", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, data: append([]byte(interp), 0)},
		{name: ".dynsym", typ: elf.SHT_DYNSYM, flags: elf.SHF_ALLOC, link: 3, info: 1, entry: symbolSize, data: make([]byte, symbolSize*len(names))},
		{name: ".dynstr", typ: elf.SHT_STRTAB, flags: elf.SHF_ALLOC, data: str.b},
		{name: ".hash", typ: elf.SHT_HASH, flags: elf.SHF_ALLOC, link: 2, entry: 4, data: hash(len(names))},
		{name: ".text", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, data: code(1 + len(defined))},
		{name: ".rodata", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, data: rodata},
		{name: ".dynamic", typ: elf.SHT_DYNAMIC, flags: elf.SHF_ALLOC | elf.SHF_WRITE, link: 3, entry: 8},
	}
	if !o.Program {
		parts[0].data = nil
	}
	parts[6].data = make([]byte, 8*(len(o.Needs)+6)) // sized before addresses are known
	at := uint32(elfHeader + 4*phdrSize)
	for _, p := range parts {
		at = (at + 15) &^ 15
		if p.flags&elf.SHF_WRITE != 0 {
			at = (at + pageSize - 1) &^ (pageSize - 1)
		}
		p.addr = at
		at += uint32(len(p.data))
	}
	s := symbolWriter{out: parts[1].data, at: symbolSize, str: str} // the first is null
	for _, n := range undefined {
		s.put(n, 0, 0, elf.STT_FUNC, uint16(elf.SHN_UNDEF))
	}
	for i, n := range defined {
		s.put(n, parts[4].addr+16*uint32(i+1), 16, elf.STT_FUNC, 5)
	}
	for i, n := range tables {
		s.put(n, parts[5].addr+tableAt[i], uint32(len(o.Tables[n])), elf.STT_OBJECT, 6)
	}
	parts[6].data = dynamic(o, str, parts)
	return link(o, parts)
}

func sorted(s []string) []string {
	out := append([]string{}, s...)
	sort.Strings(out)
	return out
}

func code(n int) []byte {
	b := make([]byte, 0, 16*n)
	for range n {
		for _, w := range []uint32{0xe1a0c00d, 0xe3a00000, opReturn, 0xe1a00000} {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
	}
	return b
}

// rodata is the texts and tables, and where each table begins.
func (o Object) rodata(tables []string) (b []byte, at []uint32) {
	b = []byte{0, 0, 0, 0}
	for _, s := range o.Texts {
		b = append(append(b, s...), 0)
	}
	for _, n := range tables {
		b = append(b, make([]byte, -len(b)&3)...)
		at = append(at, uint32(len(b)))
		b = append(b, o.Tables[n]...)
	}
	return b, at
}

type symbolWriter struct {
	out []byte
	at  int
	str *table
}

func (s *symbolWriter) put(name string, value, size uint32, typ elf.SymType, section uint16) {
	binary.LittleEndian.PutUint32(s.out[s.at:], s.str.at[name])
	binary.LittleEndian.PutUint32(s.out[s.at+4:], value)
	binary.LittleEndian.PutUint32(s.out[s.at+8:], size)
	s.out[s.at+12] = byte(elf.STB_GLOBAL)<<4 | byte(typ)
	binary.LittleEndian.PutUint16(s.out[s.at+14:], section)
	s.at += symbolSize
}

// hash is a SysV hash table with one bucket, over symbols by their index.
func hash(n int) []byte {
	w := []uint32{1, uint32(n), 0}
	if n > 1 {
		w[2] = 1
	}
	for i := range n { // one chain through all symbols but the null one
		next := uint32(0)
		if i > 0 && i+1 < n {
			next = uint32(i + 1)
		}
		w = append(w, next)
	}
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func dynamic(o Object, str *table, parts []*part) []byte {
	var b []byte
	put := func(tag elf.DynTag, v uint32) {
		b = binary.LittleEndian.AppendUint32(b, uint32(tag))
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, n := range o.Needs {
		put(elf.DT_NEEDED, str.at[n])
	}
	if o.Name != "" && !o.Program {
		put(elf.DT_SONAME, str.at[o.Name])
	}
	put(elf.DT_HASH, parts[3].addr)
	put(elf.DT_STRTAB, parts[2].addr)
	put(elf.DT_SYMTAB, parts[1].addr)
	put(elf.DT_STRSZ, uint32(len(parts[2].data)))
	for len(b) < len(parts[6].data) {
		put(elf.DT_NULL, 0)
	}
	return b
}

// link writes the file: headers, parts where they are loaded, section headers.
func link(o Object, parts []*part) []byte {
	dyn := parts[6]
	var body bytes.Buffer
	body.Write(make([]byte, elfHeader+4*phdrSize))
	for _, p := range parts {
		body.Write(make([]byte, int(p.addr)-body.Len()))
		body.Write(p.data)
	}
	end := uint32(body.Len())
	shstr := newTable()
	var sections bytes.Buffer
	_ = binary.Write(&sections, binary.LittleEndian, elf.Section32{})
	for _, p := range parts {
		_ = binary.Write(&sections, binary.LittleEndian, elf.Section32{Name: shstr.add(p.name), Type: uint32(p.typ), Flags: uint32(p.flags),
			Addr: p.addr, Off: p.addr, Size: uint32(len(p.data)), Link: p.link, Info: p.info, Addralign: 4, Entsize: p.entry})
	}
	name := shstr.add(".shstrtab")
	_ = binary.Write(&sections, binary.LittleEndian, elf.Section32{Name: name, Type: uint32(elf.SHT_STRTAB), Off: end, Size: uint32(len(shstr.b)), Addralign: 1})
	body.Write(shstr.b)
	body.Write(make([]byte, -body.Len()&3))
	shoff := uint32(body.Len())
	body.Write(sections.Bytes())

	out := body.Bytes()
	var head bytes.Buffer
	h := elf.Header32{Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_ARM), Version: 1, Phoff: elfHeader, Shoff: shoff, Flags: 0x05000000,
		Ehsize: elfHeader, Phentsize: phdrSize, Phnum: 4, Shentsize: 40, Shnum: uint16(len(parts) + 2), Shstrndx: uint16(len(parts) + 1)}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), 1
	if o.Program {
		h.Entry = parts[4].addr
	}
	_ = binary.Write(&head, binary.LittleEndian, h)
	progs := []elf.Prog32{
		{Type: uint32(elf.PT_LOAD), Filesz: dyn.addr, Memsz: dyn.addr, Flags: uint32(elf.PF_R | elf.PF_X), Align: pageSize},
		{Type: uint32(elf.PT_LOAD), Off: dyn.addr, Vaddr: dyn.addr, Paddr: dyn.addr, Filesz: uint32(len(dyn.data)), Memsz: uint32(len(dyn.data)), Flags: uint32(elf.PF_R | elf.PF_W), Align: pageSize},
		{Type: uint32(elf.PT_DYNAMIC), Off: dyn.addr, Vaddr: dyn.addr, Paddr: dyn.addr, Filesz: uint32(len(dyn.data)), Memsz: uint32(len(dyn.data)), Flags: uint32(elf.PF_R | elf.PF_W), Align: 4},
		{Type: uint32(elf.PT_NULL)},
	}
	if o.Program {
		i := parts[0]
		progs[3] = elf.Prog32{Type: uint32(elf.PT_INTERP), Off: i.addr, Vaddr: i.addr, Paddr: i.addr, Filesz: uint32(len(i.data)), Memsz: uint32(len(i.data)), Flags: uint32(elf.PF_R), Align: 1}
	}
	_ = binary.Write(&head, binary.LittleEndian, progs)
	copy(out, head.Bytes())
	return out
}

// Module is a loadable kernel module with the given vermagic, whose init function
// needs symbols of the kernel. The description tells builds apart.
func Module(name, vermagic, description string, needs ...string) []byte {
	var info []byte
	for _, s := range []string{"license=GPL", "description=" + description, "depends=", "vermagic=" + vermagic} {
		info = append(append(info, s...), 0)
	}
	self := make([]byte, 344) // struct module of these kernels
	copy(self[12:], name)     // state, list, name[60]
	str := newTable()
	sym := make([]byte, symbolSize)
	for _, n := range append([]string{"init_module"}, needs...) {
		s := elf.Sym32{Name: str.add(n), Info: byte(elf.STB_GLOBAL) << 4}
		if n == "init_module" {
			s.Info, s.Shndx, s.Size = s.Info|byte(elf.STT_FUNC), 1, 16
		}
		var b bytes.Buffer
		_ = binary.Write(&b, binary.LittleEndian, s)
		sym = append(sym, b.Bytes()...)
	}
	parts := []*part{
		{name: ".init.text", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, data: code(1)},
		{name: ".modinfo", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, data: info},
		{name: ".gnu.linkonce.this_module", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_WRITE, data: self},
		{name: ".symtab", typ: elf.SHT_SYMTAB, data: sym, link: 5, info: 1, entry: symbolSize},
		{name: ".strtab", typ: elf.SHT_STRTAB, data: str.b},
	}
	return relocatable(parts)
}

func relocatable(parts []*part) []byte {
	var body, sections bytes.Buffer
	body.Write(make([]byte, elfHeader))
	shstr := newTable()
	_ = binary.Write(&sections, binary.LittleEndian, elf.Section32{})
	put := func(p *part, name uint32) {
		body.Write(make([]byte, -body.Len()&3))
		_ = binary.Write(&sections, binary.LittleEndian, elf.Section32{Name: name, Type: uint32(p.typ), Flags: uint32(p.flags), Off: uint32(body.Len()),
			Size: uint32(len(p.data)), Link: p.link, Info: p.info, Addralign: 4, Entsize: p.entry})
		body.Write(p.data)
	}
	for _, p := range parts {
		put(p, shstr.add(p.name))
	}
	name := shstr.add(".shstrtab")
	put(&part{typ: elf.SHT_STRTAB, data: shstr.b}, name)
	body.Write(make([]byte, -body.Len()&3))
	shoff := uint32(body.Len())
	body.Write(sections.Bytes())
	out := body.Bytes()
	h := elf.Header32{Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_ARM), Version: 1, Shoff: shoff, Flags: 0x05000000,
		Ehsize: elfHeader, Shentsize: 40, Shnum: uint16(len(parts) + 2), Shstrndx: uint16(len(parts) + 1)}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), 1
	var head bytes.Buffer
	_ = binary.Write(&head, binary.LittleEndian, h)
	copy(out, head.Bytes())
	return out
}
