package simphone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/sysimg/sparse"
)

// PracticeLayout is the scatter of a phone to practise on: the partitions of a
// common MT6572 phone. storage is scatter.EMMC or scatter.NAND. With tiny, all is
// as small as the rules allow, for tests that flash thousands of times.
func PracticeLayout(storage string, tiny bool) ([]byte, error) {
	const k, m = 1 << 10, 1 << 20
	type e = scatter.Entry
	s := scatter.Spec{Platform: "MT6572", Project: "practice", Storage: storage}
	pick := func(small, real int64) int64 {
		if tiny {
			return small
		}
		return real
	}
	up := func(name, file string, small, real int64) e {
		return e{Name: name, File: file, Download: file != "", Size: pick(small, real)}
	}
	if storage == scatter.NAND {
		s.Entries = []e{up("PRELOADER", "preloader.bin", 256*k, 512*k), up("PRO_INFO", "", 128*k, m), up("NVRAM", "", 256*k, 3*m), up("PROTECT_F", "", 256*k, 3*m),
			up("PROTECT_S", "", 256*k, 3*m), up("SECCFG", "", 128*k, 128*k), up("UBOOT", "lk.bin", 256*k, 384*k), up("BOOTIMG", "boot.img", 512*k, 6*m), up("RECOVERY", "recovery.img", 512*k, 6*m),
			up("SEC_RO", "", 128*k, 256*k), up("MISC", "", 128*k, 384*k), up("LOGO", "logo.bin", 256*k, 1*m), up("EXPDB", "", 128*k, 2*m), up("ANDROID", "system.img", 3*m, 48*m), up("CACHE", "cache.img", 512*k, 7*m),
			up("USRDATA", "userdata.img", 0, 0), {Name: "BMTPOOL", FromEnd: pick(8, 80), Size: pick(8, 80) * 128 * k}}
		return scatter.Build(layEnds(s))
	}
	s.Entries = []e{up("PRELOADER", "preloader.bin", 256*k, 6*m), up("MBR", "MBR", 512*k, 512*k), up("EBR1", "EBR1", 512*k, 512*k), up("PRO_INFO", "", 64*k, 3*m), up("NVRAM", "", 64*k, 5*m),
		up("PROTECT_F", "", 64*k, 10*m), up("PROTECT_S", "", 64*k, 10*m), up("SECCFG", "", 32*k, 128*k), up("UBOOT", "lk.bin", 64*k, 384*k), up("BOOTIMG", "boot.img", 256*k, 6*m),
		up("RECOVERY", "recovery.img", 256*k, 6*m), up("SEC_RO", "secro.img", 32*k, 256*k), up("MISC", "", 32*k, 512*k), up("LOGO", "logo.bin", 64*k, 3*m), up("EXPDB", "", 64*k, 10*m),
		up("ANDROID", "system.img", 3*m, 96*m), up("CACHE", "cache.img", 512*k, 16*m), up("USRDATA", "userdata.img", 0, 0), {Name: "BMTPOOL", FromEnd: pick(8, 168), Size: pick(8, 168) * 128 * k}}
	return scatter.Build(layEnds(s))
}

// layEnds lays entries end to end.
func layEnds(s scatter.Spec) scatter.Spec {
	at := int64(0)
	for i := range s.Entries {
		if s.Entries[i].FromEnd == 0 {
			s.Entries[i].Start = at
			at += s.Entries[i].Size
		}
	}
	return s
}

// PracticeProfile is the phone that [PracticeLayout] fits.
func PracticeProfile(storage string, tiny bool) Profile {
	switch {
	case storage == scatter.NAND && tiny:
		p := NANDProfile(10 << 20)
		p.NANDGeo.Pool, p.NANDGeo.Bad = 8, []int{12, 30, 41}
		return p
	case storage == scatter.NAND:
		return NANDProfile(128 << 20)
	case tiny:
		p := EMMCProfile(8 << 20)
		p.EMMCGeo.Boot1, p.EMMCGeo.Boot2, p.EMMCGeo.RPMB = 64<<10, 64<<10, 0
		return p
	}
	return EMMCProfile(256 << 20)
}

// Content gives what a partition holds, and its length; nil for nothing.
type Content func(p scatter.Partition, room int64) (io.ReaderAt, int64)

// Noise is a Content that depends on name and seed only: 64 KiB at the start of
// each partition, less where it is smaller.
func Noise(seed uint64) Content {
	return func(p scatter.Partition, room int64) (io.ReaderAt, int64) {
		h := seed
		for _, c := range p.Name {
			h = h*1099511628211 + uint64(c)
		}
		n := min(room, 64<<10)
		b := make([]byte, n)
		for rng, i := rand.NewPCG(h, seed), 0; i < len(b); i += 8 {
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], rng.Uint64())
			copy(b[i:], word[:])
		}
		dress(p, b)
		return bytes.NewReader(b), n
	}
}

// Fill makes a phone of a layout: its partitions, its MBR and EBRs, and with
// pmt its partition table. It returns the guard of the phone, whose protected
// ranges are crimes to write from now on.
func (ph *Phone) Fill(l *scatter.Layout, content Content, pmt bool) (*identity.Guard, error) {
	g, err := ph.geometry(l)
	if err != nil {
		return nil, err
	}
	guard, err := l.Guard(g)
	if err != nil {
		return nil, err
	}
	for _, region := range []string{identity.EMMCBoot1, identity.EMMCUser, identity.NAND} {
		if err := ph.fillRegion(region, l, guard, content); err != nil {
			return nil, err
		}
	}
	if l.Storage == scatter.EMMC {
		if err := ph.tables(l, g, guard, pmt); err != nil {
			return nil, err
		}
	}
	ph.Guard(guard)
	return guard, nil
}

// dress gives noise the first bytes by which partitions are told.
func dress(p scatter.Partition, b []byte) {
	put := func(off int, s string) {
		if off+len(s) <= len(b) {
			copy(b[off:], s)
		}
	}
	size := func(less int) string {
		return string(binary.LittleEndian.AppendUint32(nil, uint32(max(0, len(b)-less))))
	}
	part := func(name string) { put(0, "\x88\x16\x88\x58"+size(512)+name+"\x00") }
	switch p.Canonical {
	case "preloader":
		put(0, "EMMC_BOOT\x00\x00\x00")
	case "lk", "uboot":
		part("LK")
	case "logo":
		part("LOGO")
	case "seccfg":
		put(0, "AND_SECCFG_v\x00")
	case "sec_ro":
		put(0, "AND_AC_REGION\x00")
	case "nvram":
		put(0x20, "/data/nvram/APCFG/APRDEB/BT_Addr\x00")
	case "boot", "recovery":
		put(0, "ANDROID!"+size(2048))
		put(16, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00")
	case "system", "cache", "userdata", "custom", "protect_f", "protect_s":
		put(0x438, "\x53\xef")
		if p.Region == identity.NAND {
			put(0, "UBI#")
		}
	}
}

// geometry is what a flasher will find of the layout on this phone.
func (ph *Phone) geometry(l *scatter.Layout) (scatter.Geometry, error) {
	p := ph.Profile
	m := scatter.Measured{Storage: l.Storage, MBRAt: -1}
	if e := p.EMMCGeo; e != nil {
		mbr, _ := l.MBRLinear()
		m.Boot1, m.Boot2, m.RPMB, m.User = e.Boot1, e.Boot2, e.RPMB, e.User
		m.MBRAt = int64(mbr) - e.Boot1 - e.Boot2 - e.RPMB
		if mbr == 0 {
			m.MBRAt = 0
		}
	}
	if n := p.NANDGeo; n != nil {
		m.Block, m.User = n.Block(), n.Size
	}
	return l.Reconcile(m)
}

// Guard declares everything that the guard protects as a crime to write, and
// the boot regions and RPMB whole.
func (ph *Phone) Guard(g *identity.Guard) {
	for _, region := range ph.Flash.Regions() {
		for _, r := range g.Protected(region) {
			ph.Protect(Area{Region: region, Off: r.Off, Len: r.Len, Name: r.Partition})
		}
		if region != identity.EMMCUser && region != identity.NAND {
			ph.Protect(Area{Region: region, Len: ph.Flash.Size(region), Name: region})
		}
	}
}

func (ph *Phone) fillRegion(region string, l *scatter.Layout, g *identity.Guard, content Content) error {
	for _, r := range g.Ranges(region) {
		part := l.Find(r.Partition)
		c, _ := identity.Classify(r.Partition)
		if part == nil || c == "pmt" || c == "bmtpool" || c == "mbr" {
			continue
		}
		room := r.Len
		if region == identity.EMMCBoot1 {
			room = ph.Flash.Size(region)
		}
		src, n := content(*part, room)
		if src == nil {
			continue
		}
		if err := ph.put(region, r.Off, src, min(n, room)); err != nil {
			return fmt.Errorf("%s: %w", r.Partition, err)
		}
	}
	return nil
}

// put copies content to the storage by logical addresses; blank blocks of a new
// storage are left as holes.
func (ph *Phone) put(region string, off int64, src io.ReaderAt, n int64) error {
	b := make([]byte, min(n, 1<<20))
	for at := int64(0); at < n; at += int64(len(b)) {
		p := b[:min(int64(len(b)), n-at)]
		if k, err := src.ReadAt(p, at); k < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if region != identity.NAND && blank(p) {
			continue
		}
		if err := ph.store(region, p, off+at); err != nil {
			return err
		}
	}
	return nil
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// fileSystems are the partitions that stand in MBR and EBRs.
var fileSystems = map[string]bool{"system": true, "cache": true, "userdata": true, "protect_f": true, "protect_s": true, "custom": true, "preload": true, "fat": true}

// tables writes MBR, EBRs and PMT.
func (ph *Phone) tables(l *scatter.Layout, g scatter.Geometry, guard *identity.Guard, pmt bool) error {
	mbr, _ := l.MBRLinear()
	ebr := []int64{}
	var parts []scatter.Partition
	for _, p := range l.Partitions {
		switch {
		case p.Canonical == "ebr1" || p.Canonical == "ebr2" || p.Canonical == "ebr3":
			ebr = append(ebr, p.Linear-int64(mbr))
		case fileSystems[p.Canonical] && !p.FromEnd:
			parts = append(parts, p)
		}
	}
	sector := func(p scatter.Partition, base int64) scatter.RecordEntry {
		n := uint32(p.Size / scatter.Sector)
		if p.ToEnd || p.Size == 0 {
			n = 0xFFFFFFFF
		}
		return scatter.RecordEntry{Type: 0x83, Start: uint32((p.Linear - int64(mbr) - base) / scatter.Sector), Count: n}
	}
	head := []scatter.RecordEntry{{Type: 5, Start: 0x400, Count: 0xFFFFFFFF}}
	for len(parts) > 0 && len(head) < 4 {
		head, parts = append(head, sector(parts[0], 0)), parts[1:]
	}
	if err := ph.Flash.WriteAt(identity.EMMCUser, scatter.NewRecord(head...).Bytes(), int64(g.D())); err != nil {
		return err
	}
	if len(ebr) == 0 {
		ebr = []int64{0x80000}
	}
	for i, at := range ebr {
		var es []scatter.RecordEntry
		for len(parts) > 0 && len(es) < 3 {
			es, parts = append(es, sector(parts[0], at)), parts[1:]
		}
		if i+1 < len(ebr) {
			for len(es) < 3 {
				es = append(es, scatter.RecordEntry{})
			}
			es = append(es, scatter.RecordEntry{Type: 5, Start: uint32((ebr[i+1] - ebr[0]) / scatter.Sector), Count: 0xFFFFFFFF})
		}
		if err := ph.Flash.WriteAt(identity.EMMCUser, scatter.NewRecord(es...).Bytes(), int64(g.D())+at); err != nil {
			return err
		}
	}
	if !pmt {
		return nil
	}
	t := &scatter.PMT{Version: "1.0"}
	real := map[string]int64{} // a size of 0 means the rest: the table has the number
	for _, r := range guard.Ranges(identity.EMMCUser) {
		real[r.Partition] = r.Len
	}
	for _, p := range l.Partitions {
		if p.Size == 0 {
			p.Size = real[p.Name]
		}
		if !p.FromEnd && p.Name != "" {
			t.Entries = append(t.Entries, scatter.PMTEntry{Name: p.Name, Size: p.Size, Offset: scatter.Linear(p.Linear)})
		}
	}
	b, err := t.Bytes()
	if err != nil {
		return err
	}
	return ph.Flash.WriteAt(identity.EMMCUser, b, ph.Flash.Size(identity.EMMCUser)-pmtBack)
}

// Watch declares what the guard of a layout protects as a crime to write, on a
// phone whose storage holds that layout already.
func (ph *Phone) Watch(l *scatter.Layout) error {
	g, err := ph.geometry(l)
	if err != nil {
		return err
	}
	guard, err := l.Guard(g)
	if err == nil {
		ph.Guard(guard)
	}
	return err
}

// BootHead makes the user area begin with EMMC_BOOT, and the agent report its
// table in entries of 96 bytes with offsets in the user area: the only form that
// mtkclient 2.1.4 reads.
func (ph *Phone) BootHead(l *scatter.Layout) error {
	g, err := ph.geometry(l)
	if err != nil {
		return err
	}
	t := &scatter.PMT{Version: "1.1"}
	for _, p := range l.Partitions {
		at, err := g.ToPhysical(scatter.Linear(p.Linear))
		if err != nil || p.FromEnd || p.Size == 0 || p.Region != identity.EMMCUser {
			continue
		}
		t.Entries = append(t.Entries, scatter.PMTEntry{Name: p.Name, Size: p.Size, Offset: scatter.Linear(at), PartID: 0xFF})
	}
	b, err := t.Bytes()
	if err != nil {
		return err
	}
	ph.Profile.PMT = b[8 : 8+96*len(t.Entries)]
	return ph.Flash.WriteAt(identity.EMMCUser, []byte("EMMC_BOOT\x00"), 0)
}

// OpenImage opens an image for [Phone.Fill]; a sparse one is seen expanded. The
// file stays open as long as the program.
func OpenImage(name string) (io.ReaderAt, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	head := make([]byte, 4)
	if n, _ := f.ReadAt(head, 0); n == 4 && sparse.Is(head) {
		m, err := sparse.Open(f, st.Size())
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return m, m.Size(), nil
	}
	return f, st.Size(), nil
}
