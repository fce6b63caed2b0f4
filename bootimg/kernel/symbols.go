package kernel

import (
	"bufio"
	"fmt"
	"io"
	"sort"
	"sync"

	"mtkport"
)

// Symbol is one name of the kernel.
type Symbol struct {
	Addr uint32 // virtual address
	Type byte   // nm's letter: T t text, R r read only, W weak, A absolute, D d data, B b zeroed
	Name string
}

// Symbols is the kernel's symbol table, by rising address. Names may stand in
// it more than once: each panel driver has its own lcm_get_params.
type Symbols struct {
	Source string // kallsyms, elf, or none
	Off    int64  // of the table in the unpacked kernel, bytes; -1 without one
	List   []Symbol

	once   sync.Once
	byName map[string]int
}

// Symbols recovers the symbol table. A kernel without one gives an empty table
// whose Source is none; [Kernel.SymbolsErr] says why.
func (k *Kernel) Symbols() *Symbols {
	k.symsOnce.Do(k.readSymbols)
	return k.syms
}

// SymbolsErr says why there is no symbol table, or nil when there is one.
func (k *Kernel) SymbolsErr() error {
	k.Symbols()
	return k.symsErr
}

func (k *Kernel) readSymbols() {
	k.syms = &Symbols{Source: "none", Off: -1}
	s := &k.search
	s.see(k.image.data)
	err := s.err
	switch {
	case !s.found:
		err = errNoKallsyms
	case err == nil:
		k.syms = &Symbols{Source: "kallsyms", Off: int64(s.table.addresses), List: s.list}
	}
	if len(k.elfSyms) > len(k.syms.List) {
		k.syms = &Symbols{Source: "elf", Off: -1, List: k.elfSyms}
		sort.SliceStable(k.elfSyms, func(i, j int) bool { return k.elfSyms[i].Addr < k.elfSyms[j].Addr })
		err = nil
	}
	if err != nil {
		k.symsErr = &mtkport.Error{Off: mtkport.NoOffset, Field: "kallsyms", Found: err.Error(), Want: "the kernel's symbol table",
			Hint: "the kernel was built without it, or in a form that is not known here: names come from strings and exports alone", Err: mtkport.ErrUnsupported}
	}
}

// Lookup returns the first symbol of that name.
func (s *Symbols) Lookup(name string) (Symbol, bool) {
	s.once.Do(func() {
		s.byName = make(map[string]int, len(s.List))
		for i := len(s.List) - 1; i >= 0; i-- {
			s.byName[s.List[i].Name] = i
		}
	})
	i, ok := s.byName[name]
	if !ok {
		return Symbol{}, false
	}
	return s.List[i], true
}

// first finds one symbol without making the index of [Symbols.Lookup].
func (s *Symbols) first(name string) (Symbol, bool) {
	for _, x := range s.List {
		if x.Name == name {
			return x, true
		}
	}
	return Symbol{}, false
}

// At returns the symbol that addr lies in or behind, preferring a function.
func (s *Symbols) At(addr uint32) (Symbol, bool) {
	i := sort.Search(len(s.List), func(i int) bool { return s.List[i].Addr > addr })
	if i == 0 {
		return Symbol{}, false
	}
	best := s.List[i-1]
	for j := i - 1; j >= 0 && s.List[j].Addr == best.Addr; j-- {
		if s.List[j].Func() {
			return s.List[j], true
		}
	}
	return best, true
}

// Func tells whether the symbol is code.
func (s Symbol) Func() bool { return s.Type == 'T' || s.Type == 't' || s.Type == 'W' || s.Type == 'w' }

// WriteNM writes the table as nm and /proc/kallsyms do: address, letter, name.
func (s *Symbols) WriteNM(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, x := range s.List {
		fmt.Fprintf(b, "%08x %c %s\n", x.Addr, x.Type, x.Name)
	}
	return b.Flush()
}
