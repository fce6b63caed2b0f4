package kernel

import "math/bits"

// A small reader of ARM code. It answers one question: with which constants is
// a function called? That is how a kernel without symbols for its data tells
// which object was registered with which list. Source of the encodings: ARM
// Architecture Reference Manual ARMv7-A, A5.

// addrSet is a set of aligned addresses within a view.
type addrSet struct {
	base      uint32
	bits      []uint64
	low, high uint32 // the lowest and the highest; low is above high while the set is empty
}

func newAddrSet(v *view) *addrSet {
	return &addrSet{base: v.base, bits: make([]uint64, len(v.data)/256+1), low: ^uint32(0)}
}

func (s *addrSet) add(a uint32) {
	if i := (a - s.base) >> 2; a&3 == 0 && int(i>>6) < len(s.bits) {
		s.bits[i>>6] |= 1 << (i & 63)
		s.low, s.high = min(s.low, a), max(s.high, a)
	}
}

func (s *addrSet) has(a uint32) bool {
	i := (a - s.base) >> 2
	return a&3 == 0 && int(i>>6) < len(s.bits) && s.bits[i>>6]>>(i&63)&1 != 0
}

// wordsIn lists the offsets of all aligned words of v that are in s.
func (v *view) wordsIn(s *addrSet) []int {
	if s.low > s.high {
		return nil
	}
	size, low, reach := uint32(len(v.data)), s.low, s.high-s.low
	return inParts(len(v.data), func(from, to int) (out []int) {
		b := v.data[from:to]
		for i := 3; i < len(b); i += 4 {
			if w := le32(b[i-3 : i+1]); w-low <= reach && w-v.base < size && s.has(w) {
				out = append(out, from+i-3)
			}
		}
		return out
	})
}

// arg is a register whose content is known.
type arg struct {
	val   uint32
	known bool
}

// call is one place where a function is called.
type call struct {
	site   uint32 // address of the branch
	caller Symbol // function that it lies in
	target uint32
	args   [4]arg
}

// calls finds every unconditional branch (BL, and B for tail calls) to an
// address in targets, with the constants in r0 to r3.
func (k *Kernel) calls(targets *addrSet) []call {
	return inParts(len(k.image.data), func(from, to int) []call { return k.callsIn(targets, from, to) })
}

func (k *Kernel) callsIn(targets *addrSet, from, to int) (out []call) {
	v, syms := &k.image, k.Symbols()
	b := v.data[:to]
	for i := from + 3; i < len(b); i += 4 {
		if b[i]&0xfe != 0xea {
			continue
		}
		site := v.addr(i - 3)
		to := branchTarget(le32(b[i-3:]), site)
		if !targets.has(to) {
			continue
		}
		fn, ok := syms.At(site)
		if !ok || !fn.Func() || fn.Addr > site {
			continue
		}
		out = append(out, call{site: site, caller: fn, target: to, args: v.argsAt(fn.Addr, site)})
	}
	return out
}

func branchTarget(w, at uint32) uint32 {
	return at + 8 + uint32(int32(w<<8)>>6)
}

// maxTrace bounds how far before a call its constants are followed.
const maxTrace = 4096

// argsAt follows the constants in the registers from start to the branch at site.
func (v *view) argsAt(start, site uint32) [4]arg {
	if site-start > maxTrace {
		start = site - maxTrace
	}
	var r [16]arg
	for pc := start &^ 3; pc < site; pc += 4 {
		off, ok := v.off(pc)
		if !ok {
			break
		}
		v.step(&r, v.word(off), pc)
	}
	return [4]arg(r[:4])
}

// step applies one instruction to what is known of the registers. Conditions
// are ignored: the wanted constants are set on the straight path.
func (v *view) step(r *[16]arg, w, pc uint32) {
	rd, rn := w>>12&15, w>>16&15
	switch {
	case w>>28 == 15:
	case w&0x0f000000 == 0x0b000000: // BL: the callee may spoil these
		r[0], r[1], r[2], r[3], r[12] = arg{}, arg{}, arg{}, arg{}, arg{}
	case w&0x0ff00000 == 0x03000000: // MOVW
		r[rd] = arg{w>>4&0xf000 | w&0xfff, true}
	case w&0x0ff00000 == 0x03400000: // MOVT
		r[rd].val = r[rd].val&0xffff | (w>>4&0xf000|w&0xfff)<<16
	case w&0x0f7f0000 == 0x051f0000: // LDR from the literal pool
		r[rd] = v.literal(w, pc)
	case w&0x0fef0000 == 0x03a00000: // MOV immediate
		r[rd] = arg{immediate(w), true}
	case w&0x0fef0000 == 0x03e00000: // MVN immediate
		r[rd] = arg{^immediate(w), true}
	case w&0x0fef0ff0 == 0x01a00000: // MOV register
		r[rd] = r[w&15]
	case w&0x0fe00000 == 0x02800000: // ADD immediate
		r[rd] = add(r[rn], rn, pc, immediate(w))
	case w&0x0fe00000 == 0x02400000: // SUB immediate
		r[rd] = add(r[rn], rn, pc, -immediate(w))
	case writesRd(w):
		r[rd] = arg{}
	case w&0x0e100000 == 0x08100000: // LDM
		for i := range 16 {
			if w>>i&1 != 0 {
				r[i] = arg{}
			}
		}
	}
}

func (v *view) literal(w, pc uint32) arg {
	at := pc + 8 + w&0xfff
	if w&(1<<23) == 0 {
		at = pc + 8 - w&0xfff
	}
	off, ok := v.off(at)
	return arg{v.word(off), ok && w&(1<<22) == 0}
}

func immediate(w uint32) uint32 {
	return bits.RotateLeft32(w&0xff, -int(w>>8&15)*2)
}

func add(a arg, rn, pc, imm uint32) arg {
	if rn == 15 {
		return arg{pc + 8 + imm, true}
	}
	return arg{a.val + imm, a.known}
}

// writesRd tells whether a data processing or load instruction changes its Rd.
func writesRd(w uint32) bool {
	switch {
	case w&0x0c000000 == 0: // data processing: TST, TEQ, CMP, CMN write none
		return w&0x01800000 != 0x01000000
	case w&0x0c000000 == 0x04000000: // single transfer: loads
		return w&(1<<20) != 0
	}
	return false
}
