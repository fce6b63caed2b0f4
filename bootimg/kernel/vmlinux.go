package kernel

import (
	"bytes"
	"debug/elf"
	"fmt"

	"mtkport"
)

// openELF flattens the loadable segments of an ELF kernel to one image and
// takes its symbol table, if it has one.
func (k *Kernel) openELF(b []byte) error {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return &mtkport.Error{Off: 0, Field: "elf header", Found: err.Error(), Want: "an ELF32 ARM kernel", Err: mtkport.ErrDamaged}
	}
	if f.Class != elf.ELFCLASS32 || f.ByteOrder.String() != "LittleEndian" || f.Machine != elf.EM_ARM {
		return &mtkport.Error{Off: 0, Field: "elf header", Found: fmt.Sprint(f.Class, " ", f.Machine), Want: "an ELF32 ARM kernel", Err: mtkport.ErrUnsupported}
	}
	img, base, err := flatten(f, b)
	if err != nil {
		return err
	}
	k.form, k.image.base = VMLinux, base
	k.payload = Payload{Method: "none", Packed: int64(len(b)), Unpacked: int64(len(img))}
	k.elfSyms = elfSymbols(f)
	return k.take(img)
}

// span is where a part of an ELF file lies in memory.
type span struct{ addr, off, size uint64 }

// flatten lays the segments (or, in a file without them, the sections) of f out
// by address. Kernels linked to high addresses keep only those.
func flatten(f *elf.File, b []byte) ([]byte, uint32, error) {
	spans := elfSpans(f)
	low, high := uint64(1)<<32, uint64(0)
	for _, s := range spans {
		low, high = min(low, s.addr), max(high, s.addr+s.size)
	}
	if high <= low || high-low > maxUnpacked {
		return nil, 0, &mtkport.Error{Off: 0, Field: "program headers", Found: fmt.Sprintf("0x%x…0x%x", low, high),
			Want: fmt.Sprintf("at most %d bytes of memory", maxUnpacked), Err: mtkport.ErrDamaged}
	}
	img := make([]byte, high-low)
	for _, s := range spans {
		if s.off < uint64(len(b)) {
			copy(img[s.addr-low:s.addr-low+s.size], b[s.off:])
		}
	}
	return img, uint32(low), nil
}

func elfSpans(f *elf.File) []span {
	const kernelSpace = 0x80000000 // the vectors page is linked to 0 and is not wanted
	var spans []span
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Filesz > 0 && p.Vaddr >= kernelSpace {
			spans = append(spans, span{p.Vaddr, p.Off, p.Filesz})
		}
	}
	if len(spans) > 0 {
		return spans
	}
	for _, s := range f.Sections {
		if s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_ALLOC != 0 && s.Addr >= kernelSpace {
			spans = append(spans, span{s.Addr, s.Offset, s.FileSize})
		}
	}
	return spans
}

// elfSymbols turns the symbol table of a vmlinux into the form of kallsyms.
func elfSymbols(f *elf.File) []Symbol {
	list, err := f.Symbols()
	if err != nil {
		return nil
	}
	var out []Symbol
	for _, s := range list {
		t := elf.ST_TYPE(s.Info)
		if s.Name == "" || s.Section == elf.SHN_UNDEF || t == elf.STT_SECTION || t == elf.STT_FILE || s.Name[0] == '$' {
			continue
		}
		out = append(out, Symbol{Addr: uint32(s.Value), Type: elfType(f, s), Name: s.Name})
	}
	return out
}

// elfType is nm's letter for s.
func elfType(f *elf.File, s elf.Symbol) byte {
	c := byte('a')
	if s.Section < elf.SHN_LORESERVE && int(s.Section) < len(f.Sections) {
		sec := f.Sections[s.Section]
		switch {
		case sec.Flags&elf.SHF_EXECINSTR != 0:
			c = 't'
		case sec.Type == elf.SHT_NOBITS:
			c = 'b'
		case sec.Flags&elf.SHF_WRITE != 0:
			c = 'd'
		default:
			c = 'r'
		}
	}
	switch elf.ST_BIND(s.Info) {
	case elf.STB_GLOBAL:
		c -= 'a' - 'A'
	case elf.STB_WEAK:
		c = 'W'
	}
	return c
}
