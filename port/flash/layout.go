package flash

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mtkport"
	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

// Map is the layout that counts: the phone's own, reconciled.
type Map struct {
	Layout   *scatter.Layout
	Geometry scatter.Geometry
	Guard    *identity.Guard
	Findings []mtkport.Finding // what differs without being dangerous
	HasPMT   bool
	Recorded map[string]bool // partitions that the phone's MBR or EBRs confirm, start and size
}

// regionReader reads a region of the phone at random.
type regionReader struct {
	ctx    context.Context
	a      *da.Agent
	region string
	size   int64
}

// ReadAt implements io.ReaderAt over the wire.
func (r regionReader) ReadAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), r.size-off)
	if n <= 0 {
		return 0, io.EOF
	}
	at := 0
	err := r.a.Read(r.ctx, r.region, off, n, func(p []byte) error { at += copy(b[at:], p); return nil })
	if err == nil && n < int64(len(b)) {
		err = io.EOF
	}
	return at, err
}

// Reader returns random access to a region of the phone.
func (d *Device) Reader(ctx context.Context, region string) (io.ReaderAt, int64) {
	size := d.RegionSize(region)
	return regionReader{ctx, d.Agent, region, size}, size
}

// RegionSize returns the bytes of a region, 0 for one that the phone lacks.
func (d *Device) RegionSize(region string) int64 {
	e := d.Report.EMMC
	switch region {
	case identity.NAND:
		return int64(d.Report.NAND.Size)
	case identity.EMMCUser:
		return int64(e.User)
	case identity.EMMCBoot1:
		return int64(e.Boot1)
	case identity.EMMCBoot2:
		return int64(e.Boot2)
	case identity.EMMCRPMB:
		return int64(e.RPMB)
	}
	return 0
}

// tables are what the phone's storage says of its partitions.
type tables struct {
	mbrAt int64 // -1 where there is none
	mbr   *scatter.Record
	ebrs  []*scatter.Record
	pmt   *scatter.PMT
}

// readTables reads MBR, EBRs and PMT over the wire.
func (d *Device) readTables(ctx context.Context) (tables, error) {
	t := tables{mbrAt: -1}
	raw, err := d.Agent.PMT(ctx)
	if err != nil {
		return t, err
	}
	if len(raw) > 0 {
		if t.pmt, err = scatter.ParseEntries(raw, "the phone's PMT"); err != nil {
			return t, doubtful(err)
		}
	}
	if d.Report.NAND.Found() {
		return t, nil
	}
	r := &wireReader{d: d, ctx: ctx}
	at, found := scatter.FindMBR(r, d.RegionSize(identity.EMMCUser))
	if r.err != nil {
		return t, r.err
	}
	if !found {
		return t, nil
	}
	t.mbrAt = at
	return t, t.readRecords(r)
}

// wireReader remembers an error of the wire: FindMBR does not tell one from the
// end of the storage.
type wireReader struct {
	d   *Device
	ctx context.Context
	err error
}

func (w *wireReader) ReadAt(b []byte, off int64) (int, error) {
	r, _ := w.d.Reader(w.ctx, identity.EMMCUser)
	n, err := r.ReadAt(b, off)
	if err != nil && err != io.EOF && w.err == nil {
		w.err = err
	}
	return n, err
}

// maxEBR bounds the chain; three are the most seen.
const maxEBR = 8

// readRecords follows the chain of records from the MBR.
func (t *tables) readRecords(r io.ReaderAt) error {
	sector := make([]byte, scatter.Sector)
	if _, err := r.ReadAt(sector, t.mbrAt); err != nil {
		return err
	}
	var err error
	if t.mbr, err = scatter.ParseRecord(sector, "the phone's MBR"); err != nil {
		return doubtful(err)
	}
	first := int64(t.mbr.Entries[0].Start) * scatter.Sector
	for at := first; len(t.ebrs) < maxEBR; {
		if _, err := r.ReadAt(sector, t.mbrAt+at); err != nil {
			return err
		}
		e, err := scatter.ParseRecord(sector, fmt.Sprintf("the phone's EBR%d", len(t.ebrs)+1))
		if err != nil {
			return doubtful(err)
		}
		t.ebrs = append(t.ebrs, e)
		next := int64(0)
		for i := 1; i < 4; i++ {
			if e.Entries[i].Type == 5 {
				next = first + int64(e.Entries[i].Start)*scatter.Sector
			}
		}
		if next == 0 {
			return nil
		}
		at = next
	}
	return doubtful(fmt.Errorf("a chain of more than %d EBRs", maxEBR))
}

// doubtful makes a refusal of a table that cannot be read.
func doubtful(err error) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "the phone's partition tables", Err: errors.Join(mtkport.ErrRefused, err),
		Hint: "the tables of the phone are damaged or of an unknown form; nothing may be written. Restore this phone's own backup with 'mtkport device restore --bootloader', or look at a full read-out"}
}

// Map reads the phone's own layout and reconciles it with a scatter. Where they
// cannot be made to agree beyond doubt it fails with ErrRefused. Without a
// scatter the layout comes from the phone's PMT.
func (d *Device) Map(ctx context.Context, l *scatter.Layout) (*Map, error) {
	t, err := d.readTables(ctx)
	if err != nil {
		return nil, err
	}
	if l == nil {
		if t.pmt == nil {
			return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "layout", Found: "a phone without a PMT", Want: "a scatter file", Err: mtkport.ErrUnsupported,
				Hint: "give --scatter with the scatter file of the ROM that is on this phone"}
		}
		if l, err = scatter.Derive(scatter.Sources{PMT: t.pmt, Platform: "MT" + d.ID.Chip, Project: "phone"}); err != nil {
			return nil, err
		}
	}
	if err := d.sameKind(l); err != nil {
		return nil, err
	}
	m := &Map{Layout: l, HasPMT: t.pmt != nil, Recorded: t.recorded(l)}
	e := d.Report.EMMC
	measured := scatter.Measured{Storage: d.Storage(), Block: d.Report.NAND.Block(), User: d.RegionSize(d.Main()), MBRAt: t.mbrAt,
		Boot1: int64(e.Boot1), Boot2: int64(e.Boot2), RPMB: int64(e.RPMB), GP: int64(e.GP[0] + e.GP[1] + e.GP[2] + e.GP[3])}
	if m.Geometry, err = l.Reconcile(measured); err != nil {
		return nil, err
	}
	if err := m.compare(t); err != nil {
		return nil, err
	}
	g, err := l.Guard(m.Geometry)
	if err != nil {
		return nil, err
	}
	m.Guard = g.For(d.ID)
	return m, nil
}

// sameKind compares chip and storage before any address is looked at.
func (d *Device) sameKind(l *scatter.Layout) error {
	if l.Platform != "" && l.Platform != "MT"+d.ID.Chip {
		s, _ := da.ByName("S_CHIP_TYPE_NOT_MATCH")
		return &mtkport.Error{File: l.File, Off: mtkport.NoOffset, Field: "platform", Found: l.Platform, Want: "MT" + d.ID.Chip + ", the phone's chip", Err: mtkport.ErrRefused,
			Hint: "SP Flash Tool: S_CHIP_TYPE_NOT_MATCH (1042): " + s.Cause + "; " + s.Hint}
	}
	if l.Storage != d.Storage() {
		return &mtkport.Error{File: l.File, Off: mtkport.NoOffset, Field: "storage", Found: l.Storage, Want: d.Storage() + ", the phone's storage", Err: mtkport.ErrRefused,
			Hint: "SP Flash Tool: 8200 or S_DA_" + map[string]string{scatter.EMMC: "EMMC", scatter.NAND: "NAND"}[l.Storage] + "_FLASH_NOT_FOUND. NAND and eMMC firmware cannot be exchanged"}
	}
	return nil
}

// recorded lists the partitions of a layout that MBR or EBRs have at the same
// place with the same size.
func (t tables) recorded(l *scatter.Layout) map[string]bool {
	out := map[string]bool{}
	if t.mbr == nil {
		return out
	}
	list, err := scatter.Chain(t.mbr, t.ebrs...)
	base, known := l.MBRLinear()
	if err != nil || !known {
		return out
	}
	for _, x := range list {
		for _, p := range l.Partitions {
			if !p.FromEnd && !x.Empty && p.Linear == int64(base)+int64(x.Start) && p.Region == identity.EMMCUser && p.Name != "" && (x.Size == p.Size || x.ToEnd && p.ToEnd) {
				out[p.Name] = true
			}
		}
	}
	return out
}

// compare holds the layout against the phone's records and PMT. A contradiction
// is a refusal that shows the first of them.
func (m *Map) compare(t tables) error {
	var found []mtkport.Finding
	if t.mbr != nil {
		found = append(found, scatter.CheckRecords(m.Layout, t.mbr, t.ebrs...)...)
	}
	if t.pmt != nil {
		found = append(found, scatter.CheckPMT(m.Layout, t.pmt, "the phone's PMT")...)
	}
	for _, f := range found {
		if f.Severity != mtkport.Blocker && f.Code != "record-chain" {
			m.Findings = append(m.Findings, f)
			continue
		}
		return &mtkport.Error{File: m.Layout.File, Off: mtkport.NoOffset, Field: "layout", Found: f.Text, Want: "the layout that is on the phone", Err: mtkport.ErrRefused,
			Hint: "SP Flash Tool: PMT changed for the ROM (8038), S_FT_NEED_DOWNLOAD_ALL_FAIL (4050). The scatter is not the one of the ROM on this phone; a port keeps the phone's own layout"}
	}
	return nil
}

// Place finds a partition's range by any of its names.
func (m *Map) Place(name string) (identity.Range, bool) {
	want, _ := identity.Classify(name)
	for _, region := range []string{identity.EMMCUser, identity.NAND, identity.EMMCBoot1, identity.EMMCBoot2} {
		for _, r := range m.Guard.Ranges(region) {
			if got, _ := identity.Classify(r.Partition); got == want {
				return r, true
			}
		}
	}
	return identity.Range{}, false
}
