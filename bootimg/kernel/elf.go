package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
)

// WriteELF writes the kernel as an ELF32 ARM executable that debuggers and
// disassemblers open: section .kernel at its address, with the symbol table.
// Symbols have no sizes of their own in a kernel; a function gets the distance
// to the next symbol.
func (k *Kernel) WriteELF(w io.Writer) (int64, error) {
	img := k.image.data
	syms, names, locals := k.elfTables()
	sh := newStrings("", ".kernel", ".symtab", ".strtab", ".shstrtab")
	const ehdr, phdr, shdr, align = 52, 32, 40, 0x1000
	at := uint32(align)
	data := at
	at += uint32(len(img)+3) &^ 3
	symOff := at
	at += uint32(len(syms))
	strOff := at
	at += uint32(len(names)+3) &^ 3
	shStrOff := at
	at += uint32(len(sh.bytes)+3) &^ 3
	head := elf.Header32{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_ARM), Version: 1, Entry: k.image.base,
		Phoff: ehdr, Shoff: at, Flags: 0x05000000, Ehsize: ehdr, Phentsize: phdr, Phnum: 1, Shentsize: shdr, Shnum: 5, Shstrndx: 4}
	copy(head.Ident[:], "\x7fELF\x01\x01\x01")
	prog := elf.Prog32{Type: uint32(elf.PT_LOAD), Off: data, Vaddr: k.image.base, Paddr: k.image.base,
		Filesz: uint32(len(img)), Memsz: uint32(len(img)), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X), Align: align}
	sections := []elf.Section32{
		{},
		{Name: sh.at[1], Type: uint32(elf.SHT_PROGBITS), Flags: uint32(elf.SHF_ALLOC | elf.SHF_EXECINSTR | elf.SHF_WRITE),
			Addr: k.image.base, Off: data, Size: uint32(len(img)), Addralign: 32},
		{Name: sh.at[2], Type: uint32(elf.SHT_SYMTAB), Off: symOff, Size: uint32(len(syms)), Link: 3, Info: uint32(locals), Addralign: 4, Entsize: elf.Sym32Size},
		{Name: sh.at[3], Type: uint32(elf.SHT_STRTAB), Off: strOff, Size: uint32(len(names)), Addralign: 1},
		{Name: sh.at[4], Type: uint32(elf.SHT_STRTAB), Off: shStrOff, Size: uint32(len(sh.bytes)), Addralign: 1},
	}
	out := &elfWriter{w: w}
	out.put(head)
	out.put(prog)
	out.pad(align)
	out.bytes(img)
	out.pad(4)
	out.bytes(syms)
	out.bytes(names)
	out.pad(4)
	out.bytes(sh.bytes)
	out.pad(4)
	out.put(sections)
	return out.n, out.err
}

// elfTables makes the symbol and string tables. ELF wants locals first.
func (k *Kernel) elfTables() (syms, names []byte, locals int) {
	list := k.Symbols().List
	str := bytes.NewBuffer([]byte{0})
	buf := bytes.NewBuffer(make([]byte, elf.Sym32Size, elf.Sym32Size*(len(list)+1)))
	locals = 1
	put := func(want bool) {
		for i, s := range list {
			local := s.Type >= 'a' && s.Type <= 'z'
			if local != want {
				continue
			}
			if local {
				locals++
			}
			k.putSymbol(buf, list, i, uint32(str.Len()))
			str.WriteString(s.Name)
			str.WriteByte(0)
		}
	}
	put(true)
	put(false)
	return buf.Bytes(), str.Bytes(), locals
}

func (k *Kernel) putSymbol(buf *bytes.Buffer, list []Symbol, i int, name uint32) {
	s := list[i]
	bind, typ := elf.STB_GLOBAL, elf.STT_OBJECT
	switch {
	case s.Type == 'W' || s.Type == 'w' || s.Type == 'V' || s.Type == 'v':
		bind = elf.STB_WEAK
	case s.Type >= 'a':
		bind = elf.STB_LOCAL
	}
	size := uint32(0)
	if s.Func() {
		typ, size = elf.STT_FUNC, reach(list, i)
	}
	shndx := uint16(1)
	if _, ok := k.image.off(s.Addr); !ok {
		shndx, typ = uint16(elf.SHN_ABS), elf.STT_NOTYPE
	}
	var b [elf.Sym32Size]byte
	le := binary.LittleEndian
	le.PutUint32(b[0:], name)
	le.PutUint32(b[4:], s.Addr)
	le.PutUint32(b[8:], size)
	b[12] = elf.ST_INFO(bind, typ)
	le.PutUint16(b[14:], shndx)
	buf.Write(b[:])
}

// reach is the distance from symbol i to the next address, at most 1 MiB.
func reach(list []Symbol, i int) uint32 {
	const most = 1 << 20
	for _, s := range list[i+1:] {
		if s.Addr > list[i].Addr {
			return min(s.Addr-list[i].Addr, most)
		}
	}
	return 0
}

// elfStrings is a string table and where each string is.
type elfStrings struct {
	bytes []byte
	at    []uint32
}

func newStrings(list ...string) elfStrings {
	var t elfStrings
	for _, s := range list {
		t.at = append(t.at, uint32(len(t.bytes)))
		t.bytes = append(append(t.bytes, s...), 0)
	}
	return t
}

// elfWriter counts and keeps the first error.
type elfWriter struct {
	w   io.Writer
	n   int64
	err error
}

func (e *elfWriter) bytes(b []byte) {
	if e.err != nil {
		return
	}
	n, err := e.w.Write(b)
	e.n, e.err = e.n+int64(n), err
}

func (e *elfWriter) put(v any) {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		e.err = err
	}
	e.bytes(b.Bytes())
}

func (e *elfWriter) pad(align int64) {
	if n := -e.n & (align - 1); n > 0 {
		e.bytes(make([]byte, n))
	}
}
