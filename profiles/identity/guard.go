package identity

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"mtkport"
)

// The regions of a phone's storage.
const (
	EMMCBoot1 string = "EMMC_BOOT_1"
	EMMCBoot2 string = "EMMC_BOOT_2"
	EMMCRPMB  string = "EMMC_RPMB"
	EMMCUser  string = "EMMC_USER"
	NAND      string = "NAND"
)

// Range is one partition's place in physical bytes of its region.
type Range struct {
	Region    string
	Off, Len  int64
	Partition string // any spelling
	Write     bool   // the layout means it to be written; the table may still say no
}

// String renders as `nvram EMMC_USER 0x5e0000-0xae0000`, the end exclusive.
func (r Range) String() string {
	return fmt.Sprintf("%s %s 0x%x-0x%x", r.Partition, r.Region, r.Off, r.Off+r.Len)
}

// Region is one hardware area.
type Region struct {
	Name  string
	Size  int64 // bytes; 0 where unknown
	Block int64 // bytes that a write always changes together: 512 on eMMC, the erase block on NAND
}

// Guard clears writes, or refuses them. It is immutable and safe for use by
// several goroutines.
type Guard struct {
	areas map[string]*area
	phone *HardwareID
}

type area struct {
	Region
	all    []Range // sorted by offset
	closed []span  // never written by a port, widened to blocks, merged
	open   []span  // may be written; part is an index into all
}

type span struct {
	off, end int64
	part     int
}

// NewGuard makes a guard of the ranges of one phone's layout. A region that is
// not declared has blocks of 512 bytes and unknown size; NAND must be declared,
// since its erase block cannot be guessed. Only ranges in EMMC_USER and NAND
// with Write set and a name that the table knows as writable can ever be
// written; where two ranges overlap, the common part cannot.
func NewGuard(ranges []Range, regions ...Region) (*Guard, error) {
	g := &Guard{areas: map[string]*area{}}
	for _, r := range regions {
		if r.Block < 512 || r.Block%512 != 0 || r.Size < 0 || g.areas[r.Name] != nil {
			return nil, badLayout(r.Name, fmt.Sprintf("size %d, block %d", r.Size, r.Block), "one region of each name with blocks of a multiple of 512")
		}
		g.areas[r.Name] = &area{Region: r}
	}
	for _, r := range ranges {
		if err := g.add(r); err != nil {
			return nil, err
		}
	}
	for _, a := range g.areas {
		a.settle()
	}
	return g, nil
}

func badLayout(field, found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrDamaged}
}

func (g *Guard) add(r Range) error {
	a := g.areas[r.Region]
	if a == nil {
		if r.Region == NAND {
			return badLayout(NAND, "no erase block", "the region declared with its block size")
		}
		a = &area{Region: Region{Name: r.Region, Block: 512}}
		g.areas[r.Region] = a
	}
	limit := a.Size
	if limit == 0 {
		limit = math.MaxInt64 - a.Block
	}
	if r.Off < 0 || r.Len < 0 || r.Off > limit || r.Len > limit-r.Off {
		return badLayout(r.Partition, fmt.Sprintf("0x%x + 0x%x bytes", r.Off, r.Len), fmt.Sprintf("a range inside 0x%x bytes of %s", limit, r.Region))
	}
	if r.Len > 0 {
		a.all = append(a.all, r)
	}
	return nil
}

// settle computes what may be written: the writable ranges, shrunk to whole
// blocks, less every block that another range touches.
func (a *area) settle() {
	slices.SortStableFunc(a.all, func(x, y Range) int { return cmp.Compare(x.Off, y.Off) })
	for i, r := range a.all {
		if !a.mayWrite(r) {
			a.closed = append(a.closed, a.widen(r.Off, r.Len, i))
			continue
		}
		parts := []span{{roundUp(r.Off, a.Block), r.Off + r.Len - (r.Off+r.Len)%a.Block, i}}
		for j, other := range a.all {
			if j != i {
				parts = cut(parts, a.widen(other.Off, other.Len, j))
			}
		}
		a.open = append(a.open, parts...)
	}
	slices.SortFunc(a.open, func(x, y span) int { return cmp.Compare(x.off, y.off) })
	a.closed = merge(a.closed)
}

func (a *area) mayWrite(r Range) bool {
	return r.Write && (r.Region == EMMCUser || r.Region == NAND) && !Guarded(r.Partition)
}

func (a *area) widen(off, n int64, part int) span {
	return span{off - off%a.Block, roundUp(off+n, a.Block), part}
}

func roundUp(n, block int64) int64 {
	if rem := n % block; rem != 0 {
		if n > math.MaxInt64-block { // the last block that int64 can name
			return math.MaxInt64
		}
		return n + block - rem
	}
	return n
}

func cut(parts []span, hole span) []span {
	var out []span
	for _, p := range parts {
		if hole.end <= p.off || hole.off >= p.end {
			out = append(out, p)
			continue
		}
		if p.off < hole.off {
			out = append(out, span{p.off, hole.off, p.part})
		}
		if hole.end < p.end {
			out = append(out, span{hole.end, p.end, p.part})
		}
	}
	return slices.DeleteFunc(out, func(s span) bool { return s.off >= s.end })
}

func merge(in []span) []span {
	slices.SortFunc(in, func(x, y span) int { return cmp.Compare(x.off, y.off) })
	var out []span
	for _, s := range in {
		if n := len(out); n > 0 && s.off <= out[n-1].end {
			out[n-1].end = max(out[n-1].end, s.end)
			continue
		}
		out = append(out, s)
	}
	return out
}

// For returns the same guard bound to one phone: only a bound guard can clear a
// restore.
func (g *Guard) For(phone HardwareID) *Guard {
	id := phone.normal()
	return &Guard{areas: g.areas, phone: &id}
}

// Ranges returns the ranges of a region, sorted by offset.
func (g *Guard) Ranges(region string) []Range {
	if a := g.areas[region]; a != nil {
		return slices.Clone(a.all)
	}
	return nil
}

// Protected returns what a port can never write in a region: ranges widened to
// whole blocks and merged, each under the name of its first partition. Gaps
// between partitions are refused too, but not listed.
func (g *Guard) Protected(region string) []Range {
	a := g.areas[region]
	if a == nil {
		return nil
	}
	out := make([]Range, len(a.closed))
	for i, s := range a.closed {
		out[i] = Range{Region: region, Off: s.off, Len: s.end - s.off, Partition: a.all[s.part].Partition}
	}
	return out
}

// Clear allows a write of length bytes at off, physical bytes of the region, or
// refuses it with an error of class ErrRefused that names what it would meet.
// why says what is written; it is kept for the log.
func (g *Guard) Clear(region string, off, length int64, why string) (Cleared, error) {
	a, s, err := g.place(region, off, length)
	if err != nil {
		return Cleared{}, err
	}
	i, found := slices.BinarySearchFunc(a.open, s.off, func(o span, at int64) int { return cmp.Compare(o.off, at) })
	if !found {
		i--
	}
	if i < 0 || a.open[i].end < s.end || overlaps(a.closed, s) {
		return Cleared{}, a.refusal(off, length, s)
	}
	return Cleared{guard: g, region: region, off: off, n: length, partition: a.all[a.open[i].part].Partition, why: why}, nil
}

// place checks that the range exists at all and widens it to whole blocks.
func (g *Guard) place(region string, off, length int64) (*area, span, error) {
	if g == nil {
		return nil, span{}, refuse(region, off, length, "no layout of the phone", "")
	}
	a := g.areas[region]
	if a == nil {
		return nil, span{}, refuse(region, off, length, "a region that the layout does not know", "")
	}
	if off < 0 || length <= 0 || off > math.MaxInt64-a.Block-length {
		return nil, span{}, refuse(region, off, length, "an impossible range", "")
	}
	s := a.widen(off, length, -1)
	if a.Size > 0 && s.end > a.Size {
		return nil, span{}, refuse(region, off, length, fmt.Sprintf("the end of the region at 0x%x", a.Size), "")
	}
	return a, s, nil
}

func overlaps(sorted []span, s span) bool {
	i, _ := slices.BinarySearchFunc(sorted, s.off, func(x span, at int64) int {
		if x.end <= at {
			return -1
		}
		return 1
	})
	return i < len(sorted) && sorted[i].off < s.end
}

// refusal explains a no: what the write meets, in order of weight.
func (a *area) refusal(off, length int64, s span) error {
	var met []Range
	for _, r := range a.all {
		if r.Off < s.end && s.off < r.Off+r.Len {
			met = append(met, r)
		}
	}
	for _, r := range met {
		if !a.mayWrite(r) {
			n, _ := Lookup(r.Partition)
			return refuse(a.Name, off, length, r.String(), fmt.Sprintf("%s is %s: %s", r.Partition, n.Class, n.Holds))
		}
	}
	switch len(met) {
	case 0:
		return refuse(a.Name, off, length, "no partition", "space between partitions is never written")
	case 1:
		if off >= met[0].Off && length <= met[0].Len-(off-met[0].Off) {
			return refuse(a.Name, off, length, fmt.Sprintf("a block of 0x%x bytes that %s shares with others", a.Block, met[0]), "")
		}
		return refuse(a.Name, off, length, "the bounds of "+met[0].String(), "")
	}
	return refuse(a.Name, off, length, met[0].String()+" and "+met[1].String(), "one write belongs to one partition")
}

func refuse(region string, off, length int64, meets, hint string) error {
	return &mtkport.Error{Off: off, Field: region, Found: fmt.Sprintf("a write of %d bytes that meets %s", length, meets),
		Want: "a write inside one firmware, modem or user partition", Hint: hint, Err: mtkport.ErrRefused}
}
