package kernel

import (
	"bytes"
	"errors"
)

// The kernel's own symbol table (kernel/kallsyms.c, scripts/kallsyms.c), as it
// stands in memory, addresses absolute, kernels before 4.6:
//
//	addresses     num × u32, rising
//	num           u32
//	names         num × (length byte, that many token indexes)
//	markers       u32 offset into names of every 256th name
//	token_table   256 NUL ended strings
//	token_index   256 × u16 offset into token_table
//
// each at a boundary of 4 or 16 bytes. Nothing points at it, so it is found
// from its last part backwards: only one place in a kernel looks like a token
// index with the right token table in front of it.

const (
	tokens       = 256
	markerStep   = 256
	maxTokenLen  = 64
	maxTablePad  = 60       // bytes between two parts of the table
	maxSymbols   = 1 << 20  // kernels of this age have 30 to 130 thousand
	maxNameBytes = 16 << 20 // of expanded names
	perMarkerMax = 256 * 80 // packed bytes of 256 names, more than any kernel has
)

var errNoKallsyms = errors.New("no symbol table (kallsyms) in the kernel")

// kallsyms is where the parts of the table lie in the unpacked kernel.
type kallsyms struct {
	addresses, numOff, names, markers, tokenTable, tokenIndex int
	num                                                       int
	nmarkers                                                  int
}

// search looks for the banner and the table while the kernel grows: all that
// tells where the table is stands in front of its end.
type search struct {
	banner     int // where it begins, or where to go on looking
	bannerSeen bool

	next  int // where the search for the table goes on
	found bool
	table kallsyms
	list  []Symbol
	err   error // of expanding the table
}

// see goes on in a longer front of the kernel.
func (s *search) see(front []byte) {
	if !s.bannerSeen {
		if n := bytes.Index(front[s.banner:], []byte(bannerPrefix)); n >= 0 {
			s.banner, s.bannerSeen = s.banner+n, true
		} else {
			s.banner = max(s.banner, len(front)-len(bannerPrefix)+1)
		}
	}
	if s.found {
		return
	}
	v := &view{data: front, base: defaultBase}
	if s.table, s.next, s.found = findKallsyms(v, s.next); s.found {
		s.list, s.err = s.table.symbols(v)
	}
}

// findKallsyms locates the table whose index begins at from or behind it. When
// there is none, next is where to go on once v has grown.
func findKallsyms(v *view, from int) (k kallsyms, next int, ok bool) {
	b := v.data
	t := from
	for ; t+2*tokens <= len(b); t += 4 {
		if b[t] != 0 || b[t+1] != 0 || b[t+3] != 0 || b[t+2] < 2 || b[t+2] > maxTokenLen || !risingIndex(b[t:]) {
			continue
		}
		table, ok := findTokenTable(b, t)
		if !ok {
			continue
		}
		k := kallsyms{tokenTable: table, tokenIndex: t}
		if k.findMarkers(v) && k.findNames(v) && k.findAddresses(v) {
			return k, t, true
		}
	}
	return kallsyms{}, t, false
}

// risingIndex tells whether 256 offsets rise by the length of a short string.
func risingIndex(b []byte) bool {
	prev := uint16(0)
	for i := 1; i < tokens; i++ {
		x := le16(b[2*i:])
		if step := int(x) - int(prev); step < 2 || step > maxTokenLen {
			return false
		}
		prev = x
	}
	return true
}

// findTokenTable finds the 256 strings that the index at t counts off.
func findTokenTable(b []byte, t int) (int, bool) {
	last := int(le16(b[t+2*(tokens-1):]))
	for end := t; end > t-maxTablePad && end > last; end-- {
		if b[end-1] != 0 {
			return 0, false // the pad is over, and it did not fit
		}
		// the last string begins at last and ends at end-1
		for n := 1; n <= maxTokenLen; n++ {
			start := end - 1 - n - last
			if start >= 0 && start%4 == 0 && tokenTableAt(b, start, end, t) {
				return start, true
			}
		}
	}
	return 0, false
}

// tokenTableAt checks that strings start exactly where the index says.
func tokenTableAt(b []byte, start, end, t int) bool {
	for i := range tokens {
		from := start + int(le16(b[t+2*i:]))
		to := end
		if i+1 < tokens {
			to = start + int(le16(b[t+2*i+2:]))
		}
		if to > end || b[to-1] != 0 {
			return false
		}
		for _, c := range b[from : to-1] {
			if c <= ' ' || c > '~' {
				return false
			}
		}
	}
	return true
}

// findMarkers walks down from the token table over the falling marker offsets
// to the first of them, which is 0.
func (k *kallsyms) findMarkers(v *view) bool {
	at := k.tokenTable - 4
	for pad := 0; v.word(at) == 0; pad += 4 {
		if pad > maxTablePad || at <= 0 {
			return false
		}
		at -= 4
	}
	last := at
	for at >= 4 && v.word(at-4) < v.word(at) && v.word(at) != 0 {
		at -= 4
	}
	if v.word(at) != 0 {
		return false
	}
	k.markers, k.nmarkers = at, (last-at)/4+1
	return k.nmarkers > 1 && k.nmarkers <= maxSymbols/markerStep
}

// findNames finds where the names begin: at a place whose 256th name starts at
// the second marker, with a fitting count in front, and whose last name ends
// just below the markers.
func (k *kallsyms) findNames(v *view) bool {
	lastMarker := int(v.word(k.markers + 4*(k.nmarkers-1)))
	high := k.markers - lastMarker
	for start := high &^ 3; start >= max(16, high-perMarkerMax); start -= 4 {
		for _, back := range []int{16, 4, 8, 12} {
			num := int(v.word(start - back))
			if num <= 0 || (num+markerStep-1)/markerStep != k.nmarkers {
				continue
			}
			k.names, k.numOff, k.num = start, start-back, num
			if k.namesFit(v) {
				return true
			}
		}
	}
	return false
}

func (k *kallsyms) namesFit(v *view) bool {
	if skipNames(v.data, k.names, markerStep, k.markers) != k.names+int(v.word(k.markers+4)) {
		return false
	}
	last := k.names + int(v.word(k.markers+4*(k.nmarkers-1)))
	end := skipNames(v.data, last, k.num-markerStep*(k.nmarkers-1), k.markers)
	return end > last && k.markers-end >= 0 && k.markers-end < maxTablePad
}

// skipNames steps over n packed names; -1 when they run beyond end.
func skipNames(b []byte, at, n, end int) int {
	for range n {
		if at < 0 || at >= end || b[at] == 0 {
			return -1
		}
		at += 1 + int(b[at])
	}
	if at > end {
		return -1
	}
	return at
}

// findAddresses finds the rising addresses that end just below the count.
func (k *kallsyms) findAddresses(v *view) bool {
	for pad := 0; pad <= 12; pad += 4 {
		start := k.numOff - pad - 4*k.num
		if start >= 0 && rising(v, start, k.num) {
			k.addresses = start
			return true
		}
	}
	return false
}

func rising(v *view, start, n int) bool {
	prev := uint32(0)
	for i := range n {
		a := v.word(start + 4*i)
		if a < prev {
			return false
		}
		prev = a
	}
	return prev != 0
}

// symbols expands the table.
func (k *kallsyms) symbols(v *view) ([]Symbol, error) {
	toks := k.tokenList(v)
	arena := make([]byte, 0, k.num*24)
	ends := make([]int, k.num)
	at := k.names
	for i := range k.num {
		n := int(v.data[at])
		for _, t := range v.data[at+1 : at+1+n] {
			arena = append(arena, toks[t]...)
		}
		if len(arena) > maxNameBytes {
			return nil, errors.New("symbol names expand beyond the limit")
		}
		ends[i] = len(arena)
		at += 1 + n
	}
	all, out := string(arena), make([]Symbol, 0, k.num)
	begin := 0
	for i, end := range ends {
		if end > begin {
			out = append(out, Symbol{Addr: v.word(k.addresses + 4*i), Type: all[begin], Name: all[begin+1 : end]})
		}
		begin = end
	}
	return out, nil
}

func (k *kallsyms) tokenList(v *view) (toks [tokens][]byte) {
	for i := range toks {
		from := k.tokenTable + int(le16(v.data[k.tokenIndex+2*i:]))
		to := from
		for v.data[to] != 0 {
			to++
		}
		toks[i] = v.data[from:to]
	}
	return toks
}
