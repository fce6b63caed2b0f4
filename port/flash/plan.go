package flash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"mtkport"
	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
)

// Plan is what one run is to do. It is fixed before anything is written.
type Plan struct {
	Schema  int                 `json:"schema"` // 1
	ID      string              `json:"id"`     // hash of all the rest
	Kind    string              `json:"kind"`   // flash or restore
	Source  string              `json:"source"`
	Phone   identity.HardwareID `json:"phone"`
	Regions map[string]int64    `json:"regions"` // bytes of each region
	Block   int64               `json:"block"`   // NAND: erase block
	Write   []Extent            `json:"write"`
	Backup  []Item              `json:"backup"`
	Keep    []identity.Range    `json:"keep"` // partitions that are not written
	Left    []Left              `json:"left,omitempty"`
	Ranges  []identity.Range    `json:"ranges"` // the phone's whole layout
	Layout  string              `json:"layout"` // the scatter that was reconciled with it
	LayoutF string              `json:"layout_file"`
}

// Extent is one range to be written.
type Extent struct {
	Partition string `json:"partition"`
	Region    string `json:"region"`
	Off       int64  `json:"offset"` // physical bytes in the region
	Len       int64  `json:"length"` // whole sectors or pages
	Size      int64  `json:"size"`   // bytes of the image
	File      string `json:"file"`
	SHA       string `json:"sha256"` // of all bytes that are sent
	Page      int64  `json:"page,omitempty"`
	Spare     int64  `json:"spare,omitempty"` // bytes behind each page of the image; 0: it has data only
}

// Item is one range of a backup.
type Item struct {
	Name      string         `json:"name"`
	Region    string         `json:"region"`
	Off       int64          `json:"offset"`
	Len       int64          `json:"length"`
	Class     identity.Class `json:"class"`
	File      string         `json:"file"`
	Critical  bool           `json:"critical"` // identity, loaders, tables: read twice, proved unchanged at the end
	SHA       string         `json:"sha256,omitempty"`
	Partition bool           `json:"partition"` // a partition; false for a gap or a raw region
}

// source is the bytes for an extent.
type source struct {
	r    io.ReaderAt
	size int64
}

// maxGuarded bounds which reserved partitions are backed up with identity: a
// vendor's area, not a gigabyte of anything.
const maxGuarded = 64 << 20

// planFlash makes the plan of a set for a phone. Every extent is cleared by the
// guard here already, so that a refusal comes before anything was done.
func planFlash(ctx context.Context, d *Device, m *Map, s *Set, p mtkport.Progress) (*Plan, []source, error) {
	pl := newPlan("flash", s.Name, d, m)
	pl.Left = s.Left
	images := slices.Clone(s.Images)
	sortImages(images)
	var srcs []source
	total := s.rawBytes
	for _, im := range images {
		total += im.Size
	}
	task := mtkport.Begin(p, "checking images", total)
	var err error
	defer func() { task.Done(err) }()
	for _, im := range images {
		var e Extent
		if e, err = placeImage(d, m, im); err != nil {
			return nil, nil, err
		}
		if err = im.check(ctx); err != nil {
			return nil, nil, err
		}
		src := padded{im.R, im.Size, padByte(d)}
		if e.SHA, err = hashOf(ctx, src, e.raw(e.Len), task); err != nil {
			err = mtkport.InFile(err, im.File)
			return nil, nil, err
		}
		pl.Write = append(pl.Write, e)
		srcs = append(srcs, source{src, e.raw(e.Len)})
	}
	pl.settle()
	return pl, srcs, nil
}

func padByte(d *Device) byte {
	if d.Main() == identity.NAND {
		return 0xFF
	}
	return 0
}

// placeImage finds where an image goes and asks the guard.
func placeImage(d *Device, m *Map, im Image) (Extent, error) {
	r, ok := m.Place(im.Partition)
	if !ok {
		return Extent{}, &mtkport.Error{File: im.File, Off: mtkport.NoOffset, Field: im.Partition, Found: "no such partition on the phone", Err: mtkport.ErrRefused,
			Hint: "SP Flash Tool: PMT changed for the ROM (8038). The bundle is for another layout"}
	}
	e := Extent{Partition: r.Partition, Region: r.Region, Off: r.Off, Size: im.Size, File: im.File}
	var err error
	if e.Page, e.Spare, err = spareForm(d.Report.NAND, im); err != nil {
		return Extent{}, err
	}
	n := (im.Size + d.Align() - 1) / d.Align() * d.Align()
	if e.Spare > 0 {
		n = im.Size / (e.Page + e.Spare) * e.Page
	}
	if n > r.Len {
		s, _ := da.ByName("S_NOT_ENOUGH_STORAGE_SPACE")
		return Extent{}, &mtkport.Error{File: im.File, Off: mtkport.NoOffset, Field: im.Partition, Found: fmt.Sprintf("an image of %d bytes", im.Size), Want: fmt.Sprintf("at most %d, the partition", r.Len), Err: mtkport.ErrTooBig,
			Hint: "SP Flash Tool: S_NOT_ENOUGH_STORAGE_SPACE (1011): " + s.Hint}
	}
	if _, err := m.Guard.Clear(r.Region, r.Off, n, im.File); err != nil {
		return Extent{}, mtkport.InFile(err, im.File)
	}
	e.Len = n
	return e, nil
}

func newPlan(kind, from string, d *Device, m *Map) *Plan {
	p := &Plan{Schema: 1, Kind: kind, Source: from, Phone: d.ID, Regions: map[string]int64{}, Block: d.Report.NAND.Block()}
	p.Phone.MEID = "" // told in boot ROM mode only: the plan must not depend on it
	for _, r := range regionNames {
		if n := d.RegionSize(r); n > 0 {
			p.Regions[r] = n
			if m != nil {
				p.Ranges = append(p.Ranges, m.Guard.Ranges(r)...)
			}
		}
	}
	if m != nil {
		p.Layout, p.LayoutF = string(m.Layout.Bytes()), m.Layout.File
	}
	return p
}

var regionNames = []string{identity.EMMCBoot1, identity.EMMCBoot2, identity.EMMCRPMB, identity.EMMCUser, identity.NAND}

// settle adds what is backed up and what is kept, and names the plan.
func (p *Plan) settle() {
	written := map[string]bool{}
	for _, e := range p.Write {
		written[e.Partition] = true
	}
	for _, r := range p.Ranges {
		if !written[r.Partition] {
			p.Keep = append(p.Keep, r)
		}
	}
	p.Backup = backupItems(p.Ranges, p.Regions, func(r identity.Range, c identity.Class) bool { return written[r.Partition] })
	p.name()
}

func (p *Plan) name() {
	q := *p
	q.ID, q.Source, q.Left = "", "", nil
	for i := range q.Backup {
		q.Backup[i].SHA = ""
	}
	b, _ := json.Marshal(q) // plain data: cannot fail
	h := sha256.Sum256(b)
	p.ID = hex.EncodeToString(h[:6])
}

// backupItems lists what is saved: loaders, tables and identity always, other
// partitions where more says so.
func backupItems(ranges []identity.Range, regions map[string]int64, more func(identity.Range, identity.Class) bool) []Item {
	var out []Item
	first := regions[identity.EMMCUser]
	for _, r := range ranges {
		name, class := identity.Classify(r.Partition)
		if r.Region == identity.EMMCUser {
			first = min(first, r.Off)
		}
		critical := class == identity.Bootloader || class == identity.Identity ||
			(class == identity.Reserved && name != "bmtpool" && name != "expdb" && name != "flashinfo" && r.Len <= maxGuarded) || name == "sec_ro"
		if r.Region == identity.EMMCRPMB || r.Len == 0 || (!critical && !more(r, class)) {
			continue
		}
		if r.Region == identity.NAND && name == "bmtpool" {
			continue // not readable by logical addresses; the chip's own affair
		}
		out = append(out, Item{Name: r.Partition, Region: r.Region, Off: r.Off, Len: r.Len, Class: class, Critical: critical, Partition: true})
	}
	if first > 0 && regions[identity.EMMCUser] > 0 {
		out = append(out, Item{Name: "before-MBR", Region: identity.EMMCUser, Len: first, Class: identity.Reserved, Critical: true})
	}
	used := map[string]bool{}
	for i := range out {
		name := fileName(out[i].Name)
		for used[name] {
			name += "_"
		}
		used[name] = true
		out[i].File = name + ".bin"
	}
	return out
}

// fileName keeps a partition's name safe as a file name anywhere.
func fileName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "part"
	}
	return string(b)
}

// Bytes returns the bytes to be written and to be backed up.
func (p *Plan) Bytes() (write, backup int64) {
	for _, e := range p.Write {
		write += e.Len
	}
	for _, i := range p.Backup {
		backup += i.Len
	}
	return write, backup
}
