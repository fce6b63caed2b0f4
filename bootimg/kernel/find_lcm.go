package kernel

import (
	"fmt"
	"sort"
	"strings"
)

// The panel table of MediaTek's display driver. struct LCM_DRIVER
// (lcm_drv.h): name, set_util_funcs, get_params, init, suspend, resume, …;
// lcm_driver_list is an array of pointers to them, in probe order.
const (
	lcmName      = 0
	lcmSetUtil   = 4
	lcmGetParams = 8
	lcmFields    = 24 // name to resume
	lcmMaxExtra  = 12 // some branches keep more fields in front of get_params
	lcmNameMax   = 96
)

// findLCM finds the panels: through their get_params functions, or, in a kernel
// without symbols, by the shape of the structure and the words of the name.
func (f *finder) findLCM() {
	heads := f.lcmBySymbol()
	how := "LCM_DRIVER by its get_params"
	if len(heads) == 0 && len(f.syms.List) == 0 {
		heads, how = f.lcmByShape(), "LCM_DRIVER by shape"
	}
	for i, h := range f.v.listOrder(heads) {
		name, _ := f.v.text(f.v.word(h), lcmNameMax)
		ev := table(h, "%s", how)
		if len(heads) > 1 {
			ev.Value += fmt.Sprintf(", place %d in the list", i+1)
		}
		f.add(LCM, name, "", Compiled, ev)
	}
}

func (f *finder) lcmBySymbol() []int {
	var heads []int
	for _, at := range f.anchors(lcmAnchor) {
		for extra := 0; extra <= lcmMaxExtra; extra += 4 {
			if h := at - lcmGetParams - extra; h >= 0 && f.isLCM(h, extra) {
				heads = append(heads, h)
				break
			}
		}
	}
	return heads
}

// isLCM checks the fields around: a name, and functions where functions stand.
func (f *finder) isLCM(h, extra int) bool {
	if h+lcmFields+extra > len(f.v.data) {
		return false
	}
	if name, ok := f.v.text(f.v.word(h), lcmNameMax); !ok || strings.ContainsAny(name, "% /") {
		return false
	}
	funcs := 0
	for at := h + lcmSetUtil; at < h+lcmFields+extra; at += 4 {
		switch w := f.v.word(at); {
		case w == 0:
		case f.code(w):
			funcs++
		default:
			return false
		}
	}
	return funcs >= 3
}

func (f *finder) lcmByShape() []int {
	var heads []int
	for h := 0; h+lcmFields <= len(f.v.data); h += 4 {
		// cheap tests first: this runs over every word of the kernel
		if _, ok := f.v.off(f.v.word(h)); !ok || f.v.word(h)&3 != 0 && f.v.word(h+4)&3 != 0 {
			continue
		}
		if !f.code(f.v.word(h+lcmGetParams)) || !f.code(f.v.word(h+lcmSetUtil)) || !f.isLCM(h, 0) {
			continue
		}
		if name, _ := f.v.text(f.v.word(h), lcmNameMax); f.rec.isPanel(name) {
			heads = append(heads, h)
		}
	}
	return heads
}

// listOrder orders structures by the array of pointers to them: the longest
// run of words that each point at one of heads. Heads outside it come last.
func (v *view) listOrder(heads []int) []int {
	if len(heads) < 2 {
		return heads
	}
	return withRest(v, v.pointerList(heads), heads)
}

// pointerList finds the longest run of words that each point at one of heads.
func (v *view) pointerList(heads []int) []int {
	set := newAddrSet(v)
	for _, h := range heads {
		set.add(v.addr(h))
	}
	var best []int
	for words := v.wordsIn(set); len(words) > 0; {
		n := 1
		for n < len(words) && words[n] == words[n-1]+4 {
			n++
		}
		if n > len(best) {
			best = words[:n]
		}
		words = words[n:]
	}
	return best
}

func withRest(v *view, list, heads []int) []int {
	var out []int
	seen := map[int]bool{}
	for _, at := range list {
		if h, ok := v.off(v.word(at)); ok && !seen[h] {
			seen[h] = true
			out = append(out, h)
		}
	}
	rest := append([]int(nil), heads...)
	sort.Ints(rest)
	for _, h := range rest {
		if !seen[h] {
			out = append(out, h)
		}
	}
	return out
}
