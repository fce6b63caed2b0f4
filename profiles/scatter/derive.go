package scatter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
)

// Sources are what a layout can be derived of, any of them nil. Where they
// disagree the first wins: PMT, then dumchar_info, then the scatter with its
// records.
type Sources struct {
	PMT      *PMT
	Dumchar  *Dumchar
	Scatter  *Layout // of the same project: names, project, file names
	Platform string  // where no scatter says it; MT6572 when empty
	Project  string
	Storage  string // where nothing says it; EMMC when empty
	Block    int64  // NAND: the erase block
}

// Derive makes a V1.1.1 scatter of what a phone says of itself. Identity
// partitions come out not downloadable and without file; so do boot loaders,
// which a derived layout is never trusted to write.
func Derive(s Sources) (*Layout, error) {
	spec := Spec{Platform: s.Platform, Project: cmp.Or(s.Project, "derived"), Storage: cmp.Or(s.Storage, EMMC), BlockSize: s.Block}
	if l := s.Scatter; l != nil {
		spec.Platform, spec.Project, spec.Storage, spec.BlockSize = cmp.Or(l.Platform, spec.Platform), cmp.Or(l.Project, spec.Project), l.Storage, l.BlockSize
	}
	switch {
	case s.PMT != nil:
		spec.Entries = s.PMT.entries()
	case s.Dumchar != nil:
		entries, err := s.Dumchar.entries(s.Scatter, cmp.Or(spec.BlockSize, 0x20000))
		if err != nil {
			return nil, err
		}
		spec.Storage, spec.Entries = s.Dumchar.Storage, entries
	case s.Scatter != nil:
		spec.Entries = s.Scatter.Spec().Entries
	default:
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "sources", Found: "none", Want: "a PMT, dumchar_info or scatter", Err: mtkport.ErrFormat}
	}
	for i := range spec.Entries {
		spec.Entries[i].dress(s.Scatter)
	}
	b, err := Build(spec)
	if err != nil {
		return nil, err
	}
	return Parse(b, strings.ToUpper(cmp.Or(spec.Platform, "MT6572"))+"_Android_scatter.txt")
}

func (p *PMT) entries() []Entry {
	var out []Entry
	for _, e := range p.Entries {
		x := Entry{Name: e.Name, Start: int64(e.Offset), Size: e.Size}
		if e.Offset > tagBase && e.Offset <= tagBase+0xffff && tagNames[canonical(e.Name)] {
			x.Start, x.FromEnd = 0, int64(e.Offset)-tagBase
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b2i(a.FromEnd > 0), b2i(b.FromEnd > 0)), cmp.Compare(a.Start, b.Start))
	})
	return out
}

// entries turns rows into linear places. block is the unit of the tag that a
// NAND's rows do not tell.
func (d *Dumchar) entries(like *Layout, block int64) ([]Entry, error) {
	mbr, ok := d.MBRLinear()
	if like != nil && !ok {
		mbr, ok = like.MBRLinear()
	}
	if d.Storage == EMMC && !ok {
		return nil, &mtkport.Error{File: d.File, Off: mtkport.NoOffset, Field: "MBR", Found: "rows that do not tell its linear address", Want: "preloader and bmtpool rows that agree, or a scatter", Err: mtkport.ErrUnsupported}
	}
	var out []Entry
	for _, r := range d.Rows {
		e := Entry{Name: r.Name, Start: int64(mbr) + int64(r.Start), Size: r.Size}
		switch c := canonical(r.Name); {
		case c == "preloader":
			e.Start = 0
		case c == "bmtpool":
			e.Start, e.FromEnd = 0, int64(r.Start)&0xffff
			if d.Storage == NAND || e.FromEnd == 0 {
				e.FromEnd = r.Size / block
			}
		case !r.HasStart:
			return nil, &mtkport.Error{File: d.File, Off: mtkport.NoOffset, Field: r.Name, Found: "no start", Want: "a start address", Err: mtkport.ErrUnsupported}
		}
		out = append(out, e)
	}
	return out, nil
}

// scatterNames are the generator's spellings that differ from the upper-cased
// kernel name.
var scatterNames = map[string]string{"lk": "UBOOT", "boot": "BOOTIMG", "system": "ANDROID", "userdata": "USRDATA"}

// defaultFiles are the names that the flash tool looks for.
var defaultFiles = map[string]string{"boot": "boot.img", "recovery": "recovery.img", "logo": "logo.bin", "system": "system.img", "cache": "cache.img",
	"userdata": "userdata.img", "custom": "custom.img"}

// dress gives an entry the generator's name, and file and tick where a port may
// write it.
func (e *Entry) dress(like *Layout) {
	n := identityOf(e.Name)
	e.Name = cmp.Or(scatterNames[n.Canonical], strings.ToUpper(identity.Bare(e.Name)))
	e.File, e.Download = defaultFiles[n.Canonical], false
	if like != nil {
		if p := like.Find(n.Canonical); p != nil { // phones with a GPT write small letters
			e.Name, e.File = identity.Bare(p.Name), p.File
		}
	}
	if n.Guarded {
		e.File = ""
	}
	e.Download = e.File != ""
}

// String renders as `EMMC 0x600000 linear MBR`, for messages.
func (g Geometry) String() string {
	return fmt.Sprintf("%s, MBR at linear 0x%x and 0x%x of the user area", g.m.Storage, int64(g.mbr), int64(g.d))
}
