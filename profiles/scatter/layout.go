package scatter

import (
	"slices"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
)

// The Version of layouts that state none.
const (
	BraceVersion = "brace" // NAME 0xSTART { }: the form before V1.1
	ListVersion  = "list"  // NAME 0xSTART and no braces: the map inside an OTA package
)

// The two kinds of storage that this package knows.
const (
	EMMC = "EMMC"
	NAND = "NAND"
)

// Layout is what a scatter file says.
type Layout struct {
	File        string // name of the file, as given to Parse
	Version     string // config_version, such as V1.1.1; BraceVersion or ListVersion where the form has none
	Platform    string // MT6572
	Project     string // the maker's name of the board; empty in the brace form
	Storage     string // EMMC or NAND; another text where the file says so
	BootChannel string
	BlockSize   int64 // bytes; on NAND the erase block; 0 where the file does not say (braces)
	Partitions  []Partition

	others   []string // storages of further layouts in the file, which are kept and not read
	doc      *document
	problems []mtkport.Finding
}

// Partition is one entry, in the order of the file.
type Partition struct {
	Index     string         // SYS0 …: kept as text, gaps and duplicates occur
	Name      string         // as written, with __NODL_ in the brace form; may be empty
	Canonical string         // name of the table in profiles/identity
	Class     identity.Class // reserved for unknown names
	Guarded   bool           // a port never writes it
	Region    string         // EMMC_BOOT_1, EMMC_USER, …; NAND for the NONE of NAND files
	RawRegion string         // as written; empty in the brace form

	Linear   int64 // linear_start_addr in bytes; the raw tag where FromEnd
	Physical int64 // physical_start_addr as written: see Layout.Dialect before using it
	Size     int64 // bytes; 0 where unknown

	FromEnd     bool  // Linear is a tag: EndBlocks blocks before the end of the device
	EndBlocks   int64 // of 64 pages each
	ToEnd       bool  // size 0 and nothing after it: takes the rest of the device
	SizeDerived bool  // the file gives no size; Size reaches to the next start

	File        string // file_name; empty for NONE
	HasFileName bool   // the entry has the key file_name (the brace form never has)
	Download    bool   // is_download; in the brace form: no __NODL_
	Type        string // NORMAL_ROM, YAFFS_IMG, …: on eMMC not to be trusted
	Storage     string // HW_STORAGE_EMMC, …
	Operation   string // operation_type
	Boundary    bool   // boundary_check
	Reserved    bool   // is_reserved
	Extra       []KeyValue
}

// KeyValue is a key that this package has no field for.
type KeyValue struct{ Key, Value string }

// Bytes returns the file: the bytes given to [Parse], but for values that were
// set since.
func (l *Layout) Bytes() []byte { return l.doc.bytes() }

// IsBrace tells whether the layout has names and starts only: the brace form, or
// a list.
func (l *Layout) IsBrace() bool { return l.Version == BraceVersion || l.IsList() }

// IsList tells whether the layout is the list of names and starts that OTA
// packages hold. It says nothing of downloads, and no flash tool takes it.
func (l *Layout) IsList() bool { return l.Version == ListVersion }

// Find returns the first partition of a canonical name, or of a name as written,
// and nil when there is none. Letter case does not count.
func (l *Layout) Find(name string) *Partition {
	if i := l.index(name); i >= 0 {
		return &l.Partitions[i]
	}
	return nil
}

func (l *Layout) index(name string) int {
	if i := slices.IndexFunc(l.Partitions, func(p Partition) bool { return strings.EqualFold(p.Name, name) }); i >= 0 {
		return i
	}
	canonical, _ := identity.Classify(name)
	return slices.IndexFunc(l.Partitions, func(p Partition) bool { return p.Canonical == canonical && p.Name != "" })
}

// End is the first byte after the partition, linear; false where the start is a
// tag or the size unknown.
func (p *Partition) End() (int64, bool) {
	return p.Linear + p.Size, !p.FromEnd && p.Size > 0
}

// DisplayName is the name, or the index of an entry without one.
func (p *Partition) DisplayName() string {
	if p.Name != "" {
		return p.Name
	}
	return "(" + p.Index + ", no name)"
}

// MBRLinear is the linear address of the MBR, which is the size of everything
// before the user area in the maker's project: 0 on chips whose scatters count
// each region from 0, and on NAND. It returns false where the file does not tell.
func (l *Layout) MBRLinear() (Linear, bool) {
	if l.Storage == NAND {
		return 0, true
	}
	for _, p := range l.Partitions {
		if (p.Canonical == "mbr" || p.Canonical == "pgpt") && !p.FromEnd {
			return Linear(p.Linear), true
		}
	}
	return 0, false
}

// finish fills what follows from other fields.
func (l *Layout) finish() {
	for i := range l.Partitions {
		p := &l.Partitions[i]
		n, _ := identity.Lookup(p.Name)
		p.Canonical, p.Class, p.Guarded = n.Canonical, n.Class, identity.Guarded(p.Name)
		p.Region = l.region(p)
	}
	l.findTags()
	l.deriveSizes()
}

func (l *Layout) region(p *Partition) string {
	r := strings.ToUpper(strings.TrimSpace(p.RawRegion))
	if known, ok := regionNames[r]; ok {
		return known
	}
	if r != "" && r != "NONE" {
		return r
	}
	switch {
	case l.Storage == NAND:
		return identity.NAND
	case p.Canonical == "preloader":
		return identity.EMMCBoot1
	}
	return identity.EMMCUser
}

var regionNames = map[string]string{
	"EMMC_BOOT1": identity.EMMCBoot1, "BOOT_1": identity.EMMCBoot1, "EMMC_BOOT1_BOOT2": identity.EMMCBoot1, // the same bytes go to both
	"EMMC_BOOT2": identity.EMMCBoot2, "BOOT_2": identity.EMMCBoot2,
	"RPMB": identity.EMMCRPMB, "USER": identity.EMMCUser,
}

// tagNames are partitions that the generator places from the end of the device.
var tagNames = map[string]bool{"bmtpool": true, "otp": true, "flashinfo": true, "sgpt": true}

// findTags tells a tag 0xFFFFnnnn from an honest address: a device of 4 GiB and
// more has addresses in that range too. A tag is reserved, or bears the name of
// a partition at the end, and does not begin where the entry before it ends.
func (l *Layout) findTags() {
	for i := range l.Partitions {
		p := &l.Partitions[i]
		if p.Linear < tagBase || p.Linear > tagBase+0xffff || (!p.Reserved && !tagNames[p.Canonical]) {
			continue
		}
		if i > 0 {
			if end, ok := l.Partitions[i-1].End(); ok && end == p.Linear && l.Partitions[i-1].Region == p.Region {
				continue
			}
		}
		p.FromEnd, p.EndBlocks = true, p.Linear-tagBase
	}
}

const tagBase = 0xFFFF0000

// deriveSizes gives entries without a size the room up to the next start. The
// brace form has one linear space for all regions; elsewhere each region counts.
func (l *Layout) deriveSizes() {
	for i := range l.Partitions {
		p := &l.Partitions[i]
		if p.Size != 0 || p.FromEnd || p.Name == "" {
			continue
		}
		next, found := int64(0), false
		for j, q := range l.Partitions {
			later := q.Linear > p.Linear || (q.Linear == p.Linear && j > i)
			if j == i || q.FromEnd || q.Name == "" || !later || (q.Region != p.Region && l.Version != BraceVersion) {
				continue
			}
			if !found || q.Linear < next {
				next, found = q.Linear, true
			}
		}
		p.ToEnd = !found
		if found {
			p.Size, p.SizeDerived = next-p.Linear, next > p.Linear
		}
	}
}
