package scatter

import (
	"fmt"
	"slices"

	"mtkport"
	"mtkport/profiles/identity"
)

// Linear counts bytes from the start of BOOT1 through BOOT1, BOOT2, RPMB, the
// general purpose regions and the user area: linear_start_addr of V1.1.1 and
// brace scatters, PMT entries, preloader and lk.
type Linear int64

// Logical counts bytes from the MBR: /proc/dumchar_info, MBR and EBR entries,
// /dev/block/mmcblk0 of MediaTek's 3.4 kernels.
type Logical int64

// Physical counts bytes from the start of a region of the chip.
type Physical int64

// Dialect is what a file means by physical_start_addr.
type Dialect string

// The dialects in the field.
const (
	DialectNone     Dialect = "none"     // the brace form has no such value
	DialectZero     Dialect = "zero"     // 0 everywhere: MediaTek's generator for MT6572 and MT6582
	DialectLogical  Dialect = "logical"  // offset from the MBR: MTK Droid Tools, some factories
	DialectLinear   Dialect = "linear"   // a copy of the linear address: dump tools; wrong as an offset in the user area
	DialectPhysical Dialect = "physical" // the true offset in the region: V1.1.2 and later
	DialectMixed    Dialect = "mixed"    // none of these
)

// Dialect tells what the file means by physical_start_addr.
func (l *Layout) Dialect() Dialect {
	if l.IsBrace() {
		return DialectNone
	}
	mbr, known := l.MBRLinear()
	zero, logical, linear, n := true, true, true, 0
	for _, p := range l.Partitions {
		if p.FromEnd || p.Name == "" || p.Region == identity.EMMCBoot1 {
			continue
		}
		n++
		zero = zero && p.Physical == 0
		logical = logical && p.Physical == p.Linear-int64(mbr)
		linear = linear && p.Physical == p.Linear
	}
	switch {
	case n == 0:
		return DialectMixed
	case linear && (mbr == 0 || !known):
		return DialectPhysical
	case zero:
		return DialectZero
	case linear:
		return DialectLinear
	case logical && known:
		return DialectLogical
	}
	return DialectMixed
}

// Measured is what a phone, or a dump of it, says of its storage. Sizes are in
// bytes, 0 where unknown.
type Measured struct {
	Storage      string // EMMC or NAND
	Block        int64  // NAND: the erase block
	Boot1, Boot2 int64
	RPMB, GP     int64 // GP is the sum of the general purpose regions
	User         int64 // the user area; on NAND the whole chip
	MBRAt        int64 // where the MBR was found in the user area (FindMBR); negative where it was not
}

// Geometry says how the addresses of one layout meet on one phone. Only
// [Layout.Reconcile] makes one.
type Geometry struct {
	m   Measured
	mbr Linear
	d   Physical
	ok  bool
}

// D is where the MBR lies in the user area.
func (g Geometry) D() Physical { return g.d }

// Measured returns what the geometry was made of.
func (g Geometry) Measured() Measured { return g.m }

// ToPhysical turns a linear address of the user area (on NAND: of the chip)
// into an offset in it. The error is of class ErrRefused.
func (g Geometry) ToPhysical(x Linear) (Physical, error) {
	at := Physical(x-g.mbr) + g.d
	if !g.ok || x < g.mbr || int64(at) >= g.m.User {
		return 0, doubt("linear address", fmt.Sprintf("0x%x", int64(x)), fmt.Sprintf("0x%x to 0x%x, inside the user area", int64(g.mbr), int64(g.mbr)+g.m.User-int64(g.d)))
	}
	return at, nil
}

// ToLogical turns a linear address of the user area into an offset from the MBR.
func (g Geometry) ToLogical(x Linear) (Logical, error) {
	if _, err := g.ToPhysical(x); err != nil {
		return 0, err
	}
	return Logical(x - g.mbr), nil
}

// FromLogical turns an offset from the MBR into a linear address.
func (g Geometry) FromLogical(x Logical) (Linear, error) {
	if x < 0 || !g.ok {
		return 0, doubt("logical address", fmt.Sprintf("0x%x", int64(x)), "an offset from the MBR")
	}
	return Linear(x) + g.mbr, nil
}

func doubt(field, found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrRefused,
		Hint: "addresses of the layout and of the phone do not meet beyond doubt, so nothing may be written"}
}

// Reconcile fits the layout onto a phone: where its MBR lies, and with it every
// partition. Each witness that there is (the place where the MBR was found, the
// sizes of the regions in front, the size of the user area) must agree; on a
// phone with an MBR, the MBR itself must have been found. The error is of class
// ErrRefused.
func (l *Layout) Reconcile(m Measured) (Geometry, error) {
	g := Geometry{m: m, ok: true}
	switch {
	case m.Storage != l.Storage || (m.Storage != EMMC && m.Storage != NAND):
		return Geometry{}, doubt("storage", orUnknown(m.Storage)+" on the phone", orUnknown(l.Storage)+" as in the layout")
	case m.User <= 0:
		return Geometry{}, doubt("size of the storage", "unknown", "the size of the user area, or of the NAND")
	case m.Storage == NAND:
		if m.Block < 512 || m.Block%512 != 0 || m.User%m.Block != 0 {
			return Geometry{}, doubt("erase block", fmt.Sprintf("0x%x in 0x%x bytes", m.Block, m.User), "the erase block of the chip")
		}
		if l.BlockSize > 0 && l.BlockSize != m.Block {
			return Geometry{}, doubt("erase block", fmt.Sprintf("0x%x on the phone", m.Block), fmt.Sprintf("0x%x as in the layout", l.BlockSize))
		}
	default:
		g.m.Block = 512
		if err := g.placeMBR(l); err != nil {
			return Geometry{}, err
		}
	}
	return g, l.fits(g)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func (g *Geometry) placeMBR(l *Layout) error {
	mbr, known := l.MBRLinear()
	if !known || l.Dialect() == DialectMixed {
		return doubt("layout", "no MBR or partition table entry, or physical addresses of no known kind", "a layout whose addresses can be told")
	}
	g.mbr, g.d = mbr, Physical(g.m.MBRAt)
	if g.m.MBRAt < 0 {
		return doubt("MBR", "none at the places where it can be", "the phone's own MBR")
	}
	if mbr == 0 && g.m.MBRAt != 0 {
		return doubt("MBR", fmt.Sprintf("0x%x of the user area", g.m.MBRAt), "0x0, where the layout has it")
	}
	front := g.m.Boot1 + g.m.Boot2 + g.m.RPMB + g.m.GP
	if mbr > 0 && g.m.Boot1 > 0 && g.m.Boot2 > 0 && int64(mbr)-front != g.m.MBRAt {
		return doubt("MBR", fmt.Sprintf("0x%x of the user area", g.m.MBRAt), fmt.Sprintf("0x%x: linear 0x%x less 0x%x bytes of boot and RPMB regions", int64(mbr)-front, int64(mbr), front))
	}
	return nil
}

// fits checks that every named partition of the user area lies on the phone.
func (l *Layout) fits(g Geometry) error {
	for _, p := range l.Partitions {
		if p.Name == "" || p.FromEnd || (p.Region != identity.EMMCUser && p.Region != identity.NAND) {
			continue
		}
		at, err := g.ToPhysical(Linear(p.Linear))
		if err != nil {
			return err
		}
		if int64(at)+p.Size > g.m.User {
			return doubt(p.Name, fmt.Sprintf("0x%x + 0x%x", int64(at), p.Size), fmt.Sprintf("an end at or before 0x%x, the size of the user area", g.m.User))
		}
	}
	return nil
}

// pmtArea is the end of an eMMC user area that holds the partition table.
const pmtArea = 0x100000

// Guard makes the guard of the layout on the phone that g describes: every
// partition in physical bytes of its region, the boot regions and RPMB whole,
// and the area of the partition table, in the layout or not.
func (l *Layout) Guard(g Geometry) (*identity.Guard, error) {
	if !g.ok {
		return nil, doubt("geometry", "none", "the result of Reconcile")
	}
	main := identity.Region{Name: identity.EMMCUser, Size: g.m.User, Block: g.m.Block}
	if l.Storage == NAND {
		main.Name = identity.NAND
		if l.Find("bmtpool") == nil {
			return nil, doubt("BMTPOOL", "none in the layout", "the bad block pool of a NAND")
		}
	}
	regions, ranges := []identity.Region{main}, []identity.Range(nil)
	for _, p := range l.Partitions {
		if p.Region != main.Name {
			continue
		}
		r, err := l.rangeOf(p, g)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	if l.Storage == EMMC {
		ranges = append(ranges, identity.Range{Region: main.Name, Off: max(0, g.m.User-pmtArea), Len: min(pmtArea, g.m.User), Partition: "pmt"})
		for _, b := range []struct {
			region, part string
			size         int64
		}{{identity.EMMCBoot1, "preloader", g.m.Boot1}, {identity.EMMCBoot2, "preloader2", g.m.Boot2}, {identity.EMMCRPMB, "rpmb", g.m.RPMB}} {
			regions = append(regions, identity.Region{Name: b.region, Size: b.size, Block: 512})
			ranges = append(ranges, identity.Range{Region: b.region, Len: b.size, Partition: b.part})
		}
	}
	return identity.NewGuard(ranges, regions...)
}

// rangeOf places one partition of the user area or the NAND. Where a file leaves
// room for doubt, more is protected, never less.
func (l *Layout) rangeOf(p Partition, g Geometry) (identity.Range, error) {
	r := identity.Range{Region: p.Region, Partition: p.DisplayName(), Write: !p.Guarded && p.Name != "" && !p.Reserved}
	switch {
	case p.FromEnd:
		r.Off, r.Len = l.fromEnd(p, g.m.User)
		r.Write = false
		return r, nil
	case p.Name == "": // a dump tool's filler: protected as far as it reaches into the user area
		from, to := max(0, p.Linear-int64(g.mbr)+int64(g.d)), min(g.m.User, p.Linear+p.Size-int64(g.mbr)+int64(g.d))
		r.Off, r.Len = min(from, g.m.User), max(0, to-from)
		return r, nil
	}
	at, err := g.ToPhysical(Linear(p.Linear))
	if err != nil {
		return r, err
	}
	r.Off, r.Len = int64(at), p.Size
	if p.ToEnd {
		r.Len = max(0, l.dataEnd(g.m.User)-r.Off)
	}
	return r, nil
}

// tagBlock is the unit of tags: 64 pages.
func (l *Layout) tagBlock() int64 {
	if l.BlockSize > 0 {
		return l.BlockSize
	}
	return 0x20000
}

// fromEnd places a tagged partition on a device of so many bytes. A tag of no
// blocks (a dump tool's) means the size before the end.
func (l *Layout) fromEnd(p Partition, device int64) (off, n int64) {
	back := p.EndBlocks * l.tagBlock()
	if back == 0 {
		back = p.Size
	}
	off = max(0, device-back)
	if n = p.Size; n == 0 {
		n = device - off
	}
	return off, min(n, device-off)
}

// dataEnd is where the partitions from the end begin.
func (l *Layout) dataEnd(device int64) int64 {
	end := device
	for _, p := range l.Partitions {
		if p.FromEnd {
			off, _ := l.fromEnd(p, device)
			end = min(end, off)
		}
	}
	return end
}

// regionsOf lists the regions of the layout in the order of a phone's storage.
func (l *Layout) regionsOf() []string {
	var out []string
	for _, r := range []string{identity.EMMCBoot1, identity.EMMCBoot2, identity.EMMCRPMB, identity.EMMCUser, identity.NAND} {
		if slices.ContainsFunc(l.Partitions, func(p Partition) bool { return p.Region == r }) {
			out = append(out, r)
		}
	}
	for _, p := range l.Partitions {
		if !slices.Contains(out, p.Region) {
			out = append(out, p.Region)
		}
	}
	return out
}
