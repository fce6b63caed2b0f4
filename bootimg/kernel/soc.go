package kernel

import (
	"fmt"
	"sort"
)

// SoC is the chip that the kernel was built for, by how often its name stands
// in the kernel. Drivers copied from a sister chip leave a few names of that
// chip behind, so the counts are kept.
type SoC struct {
	Name   string     `json:"name"`   // MT6572; empty when nothing tells
	Counts []SoCCount `json:"counts"` // most first
}

// SoCCount is one chip name and how often it stands in the kernel.
type SoCCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// SoC counts the chip names in the kernel.
func (k *Kernel) SoC() SoC { return countSoC(k.image.data[k.stringsFrom():]) }

// stringsFrom is the offset behind which the kernel's strings lie. The banner
// is in the first object that the linker lays into the read-only data.
func (k *Kernel) stringsFrom() int {
	const before = 1 << 16
	return max(0, int(k.banner.Off)-before)
}

// minSoCCount is what a kernel's own chip shows at least.
const minSoCCount = 5

func countSoC(b []byte) SoC {
	counts := map[string]int{}
	// four digits in a row cover every fourth byte, so only those are looked at
	for i := 0; i < len(b); i += 4 {
		if !isDigit(b[i]) {
			continue
		}
		for at := max(i-5, 0); at <= i-2; at++ {
			if name, ok := chipName(b, at); ok {
				counts[name]++
			}
		}
	}
	return rankSoC(counts)
}

func rankSoC(counts map[string]int) SoC {
	var s SoC
	for name, n := range counts {
		s.Counts = append(s.Counts, SoCCount{name, n})
	}
	sort.Slice(s.Counts, func(i, j int) bool {
		a, b := s.Counts[i], s.Counts[j]
		if a.Count != b.Count {
			return a.Count > b.Count
		}
		return a.Name < b.Name
	})
	if len(s.Counts) > 0 && s.Counts[0].Count >= minSoCCount {
		s.Name = s.Counts[0].Name
	}
	return s
}

// chipName reads MT and four digits at off. The companions (MT62xx baseband,
// MT63xx power, MT66xx radio) are no SoC.
func chipName(b []byte, off int) (string, bool) {
	if off+6 > len(b) || off+6 < len(b) && isDigit(b[off+6]) {
		return "", false
	}
	if mt := string(b[off : off+2]); mt != "MT" && mt != "mt" {
		return "", false
	}
	d := b[off+2 : off+6]
	for _, c := range d {
		if !isDigit(c) {
			return "", false
		}
	}
	series := string(d[:2])
	if series != "65" && series != "67" && series != "81" && series != "83" {
		return "", false
	}
	return fmt.Sprintf("MT%s", d), true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
