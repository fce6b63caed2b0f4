package kernel

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"

	"mtkport"
)

// The little kernel (lk), MediaTek's boot loader, drives the panel first: it
// holds the same LCM_DRIVER table as the kernel, without symbols. It tells the
// kernel the panel's index and name on the command line.

const maxLK = 4 << 20

// lkBases are the load addresses of lk by chip generation: MT6572, MT6582 to
// MT6592, and the later ones.
var lkBases = []uint32{0x80020000, 0x81e00000, 0x41e00000, 0x46000000, 0x56000000, 0x80000000, 0x00020000}

// openLK reads lk, with or without a part header.
func openLK(r io.ReaderAt, size int64) (*view, error) {
	if size > maxLK {
		return nil, lkError("larger than any lk")
	}
	b := make([]byte, max(size, 0))
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if len(b) > partHeader && le32(b) == partMagic {
		n := min(int(le32(b[4:])), len(b)-partHeader)
		b = b[partHeader : partHeader+max(n, 0)]
	}
	if !bytes.Contains(b, []byte("lcm")) || !bytes.Contains(b, []byte("lk")) {
		return nil, lkError("no lk")
	}
	v := &view{data: b}
	v.base = lkBase(v)
	return v, nil
}

func lkError(found string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "lk", Found: found, Want: "a MediaTek little kernel", Err: mtkport.ErrFormat}
}

// lkBase chooses the load address at which most words point at the beginning
// of a string: a known one, else one that the words themselves suggest.
func lkBase(v *view) uint32 {
	starts := stringStarts(v.data)
	best, hits := lkBases[0], 0
	try := func(base uint32) {
		if n := stringHits(v, base, starts); n > hits {
			best, hits = base, n
		}
	}
	for _, base := range lkBases {
		try(base)
	}
	const enough = 50
	if hits < enough {
		for _, top := range frequentTops(v) {
			for page := uint32(0); page < 16; page++ {
				try(top + page<<16)
			}
		}
	}
	return best
}

// stringStarts marks the offsets at which a printable string of four or more
// letters begins behind a NUL.
func stringStarts(b []byte) []bool {
	out := make([]bool, len(b))
	run := 0
	for i := len(b) - 1; i >= 0; i-- {
		switch {
		case b[i] >= ' ' && b[i] <= '~':
			run++
		default:
			run = 0
		}
		out[i] = run >= 4 && (i == 0 || b[i-1] == 0)
	}
	return out
}

func stringHits(v *view, base uint32, starts []bool) int {
	n := 0
	for i := 0; i+4 <= len(v.data); i += 4 {
		if off := v.word(i) - base; off < uint32(len(starts)) && starts[off] {
			n++
		}
	}
	return n
}

// frequentTops lists the megabytes that most words lie in.
func frequentTops(v *view) []uint32 {
	count := map[uint32]int{}
	for i := 0; i+4 <= len(v.data); i += 4 {
		if w := v.word(i) &^ 0xfffff; w != 0 && w != 0xfff00000 {
			count[w]++
		}
	}
	var tops []uint32
	for t := range count {
		tops = append(tops, t)
	}
	sort.Slice(tops, func(i, j int) bool {
		if count[tops[i]] != count[tops[j]] {
			return count[tops[i]] > count[tops[j]]
		}
		return tops[i] < tops[j]
	})
	return tops[:min(len(tops), 8)]
}

// lkDrivers finds the panels of an lk.
func lkDrivers(v *view) *Drivers {
	starts := stringStarts(v.data)
	var heads []int
	for h := 0; h+4*(lkFields+1) <= len(v.data); h += 4 {
		if isLKPanel(v, h, starts) {
			heads = append(heads, h)
		}
	}
	// a panel is in the list of panels: other structures look alike
	heads = withRest(v, v.pointerList(heads), nil)
	d := &Drivers{Source: "lk", Kernel: lkIdent(v)}
	told := lkTells(v, len(heads))
	for i, h := range heads {
		name, _ := v.text(v.word(h), lcmNameMax)
		ev := table(h, "LCM_DRIVER in lk at 0x%08x", v.base)
		if len(heads) > 1 {
			ev.Value += fmt.Sprintf(", place %d in the list", i+1)
		}
		d.List = append(d.List, Driver{Kind: LCM, Name: name, State: Compiled, Evidence: append([]Evidence{ev}, told...)})
	}
	d.finish([]Kind{LCM})
	return d
}

// lkTells says how lk hands the panel over: it tries its list in order and puts
// the index and the name of the one that answers on the kernel's command line.
// With one panel there is nothing to choose.
func lkTells(v *view, panels int) []Evidence {
	var out []Evidence
	if at := bytes.Index(v.data, []byte("lcm=%")); at >= 0 {
		out = append(out, Evidence{FromString, int64(at), "told to the kernel as " + printable(v.data, at, 32)})
	}
	if panels == 1 {
		out = append(out, Evidence{FromTable, -1, "the only panel: this one is handed over"})
	}
	return out
}

// lkFields is how many words behind the name are looked at, and lkMinFuncs how
// many of them must be functions.
const (
	lkFields   = 7
	lkMinFuncs = 5
)

func isLKPanel(v *view, h int, starts []bool) bool {
	off, ok := v.off(v.word(h))
	if !ok || !starts[off] {
		return false
	}
	funcs := 0
	for i := 1; i <= lkFields; i++ {
		w := v.word(h + 4*i)
		at, in := v.off(w &^ 1)
		switch {
		case w == 0:
		case !in || starts[at]:
			if i <= lkMinFuncs {
				return false
			}
		default:
			funcs++
		}
	}
	name, ok := v.text(v.word(h), lcmNameMax)
	return funcs >= lkMinFuncs && ok && !strings.ContainsAny(name, " %/:") && len(name) >= 4
}

var lkPlatform = regexp.MustCompile(`platform/(?:mediatek/)?(mt[0-9]{4})/`)

// lkIdent names the chip by the source paths in lk.
func lkIdent(v *view) Ident {
	if m := lkPlatform.FindSubmatch(v.data); m != nil {
		return Ident{SoC: strings.ToUpper(string(m[1]))}
	}
	return Ident{SoC: countSoC(v.data).Name}
}
