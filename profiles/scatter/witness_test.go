package scatter

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mtkport"
	"mtkport/profiles/identity"
	"mtkport/testdata/realfile"
)

var decisions = flag.Int("guard.decisions", 50_000, "decisions that TestGuardRealLayouts takes; 10 million are the full run")

// mayChange lists, by hand and not from the table, what a port may write.
var mayChange = regexp.MustCompile(`(?i)^(__NODL_)?(ANDROID|SYSTEM|BOOTIMG|BOOT|RECOVERY|LOGO|CACHE|USRDATA|USERDATA|FAT|PRELOAD|CUSTOM|VENDOR|ODMDTBO)$`)

// phoneOf makes up a phone on which the layout fits: 2 MiB boot regions, 128 KiB
// of RPMB, a user area a little larger than the last end.
func phoneOf(l *Layout) Measured {
	m := Measured{Storage: l.Storage, Block: 0x40000, Boot1: 2 << 20, Boot2: 2 << 20, RPMB: 128 << 10}
	if l.BlockSize > 0 {
		m.Block = l.BlockSize
	}
	if mbr, _ := l.MBRLinear(); mbr > 0 {
		m.MBRAt = int64(mbr) - (4<<20 + 128<<10)
	}
	for _, p := range l.Partitions {
		if !p.FromEnd && p.Name != "" {
			m.User = max(m.User, p.Linear+p.Size)
		}
	}
	m.User = (m.User + 0x4000000) / m.Block * m.Block
	return m
}

// TestGuardRealLayouts: on every real layout, random writes. A cleared one must
// lie inside one partition that may change, by a reading of the file's own
// numbers.
//
//	go test ./profiles/scatter -run GuardRealLayouts -guard.decisions=10000000
func TestGuardRealLayouts(t *testing.T) {
	files := realScatters(t)
	rng := rand.New(rand.NewPCG(6572, 2))
	taken, cleared, guards := 0, 0, 0
	for _, file := range files {
		l, _ := mustParse(t, file)
		if strings.Contains(file, "temu") { // invented: its last partition lies behind every end
			if _, err := l.Reconcile(phoneOf(l)); !errors.Is(err, mtkport.ErrRefused) {
				t.Errorf("the invented layout fits a phone: %v", err)
			}
			continue
		}
		m := phoneOf(l)
		geo, err := l.Reconcile(m)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		g, err := l.Guard(geo)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		guards++
		region := identity.EMMCUser
		if l.Storage == NAND {
			region = identity.NAND
		}
		shift := int64(0)
		if mbr, _ := l.MBRLinear(); mbr > 0 {
			shift = m.MBRAt - int64(mbr)
		}
		for range *decisions / len(files) {
			p := l.Partitions[rng.IntN(len(l.Partitions))]
			off := p.Linear + shift + rng.Int64N(max(1, p.Size)+0x200000) - 0x100000
			n := 1 + rng.Int64N(0x180000)
			taken++
			c, err := g.Clear(region, off, n, "sweep")
			if err != nil {
				continue
			}
			cleared++
			if !insideWritable(l, c.Offset()-shift, c.Len(), m.User-shift) {
				t.Fatalf("%s: cleared 0x%x+0x%x as %s", file, c.Offset(), c.Len(), c.Partition())
			}
		}
		for _, r := range []string{identity.EMMCBoot1, identity.EMMCBoot2, identity.EMMCRPMB} {
			if _, err := g.Clear(r, 0, 512, ""); !errors.Is(err, mtkport.ErrRefused) {
				t.Errorf("%s: %s is open: %v", file, r, err)
			}
		}
	}
	if cleared == 0 {
		t.Fatal("nothing was ever cleared")
	}
	t.Logf("%d decisions on %d real layouts: %d cleared, %d refused, 0 protected bytes written", taken, guards, cleared, taken-cleared)
}

// insideWritable is the independent reading, in linear addresses.
func insideWritable(l *Layout, off, n, end int64) bool {
	home := 0
	for _, p := range l.Partitions {
		if p.FromEnd || p.Region == identity.EMMCBoot1 {
			continue
		}
		size := p.Size
		if p.ToEnd {
			size = end - p.Linear
		}
		if p.Linear < off+n && off < p.Linear+size {
			if !mayChange.MatchString(p.Name) || off < p.Linear || off+n > p.Linear+size {
				return false
			}
			home++
		}
	}
	return home == 1 && off+n <= end-0x100000 // the partition table's place on eMMC, the pool's on NAND
}

// TestReconcile: the a516 of which the dump tells D = 0x1e0000, and everything
// that raises a doubt.
func TestReconcile(t *testing.T) {
	good := Measured{Storage: EMMC, Boot1: 0x200000, Boot2: 0x200000, RPMB: 0x20000, User: 0x40000000, MBRAt: 0x1e0000}
	plain := string(small(t))
	parse := func(text string) *Layout {
		l, err := Parse([]byte(text), "s.txt")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := parse(plain)
	g, err := l.Reconcile(good)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := g.ToPhysical(0xb80000); err != nil || at != 0x760000 || g.D() != 0x1e0000 {
		t.Errorf("0x%x, %v", int64(at), err)
	}
	if x, err := g.ToLogical(0xb80000); err != nil || x != 0x580000 {
		t.Errorf("0x%x, %v", int64(x), err)
	}
	if x, err := g.FromLogical(0x580000); err != nil || x != 0xb80000 {
		t.Errorf("0x%x, %v", int64(x), err)
	}
	if _, err := g.ToPhysical(0x5fffff); !errors.Is(err, mtkport.ErrRefused) {
		t.Errorf("an address in front of the user area: %v", err)
	}
	if _, err := l.Guard(Geometry{}); !errors.Is(err, mtkport.ErrRefused) {
		t.Errorf("a geometry of nothing: %v", err)
	}
	nand := strings.ReplaceAll(plain, "EMMC\n", "NAND\n")
	for name, c := range map[string]struct {
		l      *Layout
		change func(*Measured)
	}{
		"NAND phone":            {l, func(m *Measured) { m.Storage = NAND }},
		"size unknown":          {l, func(m *Measured) { m.User = 0 }},
		"no MBR found":          {l, func(m *Measured) { m.MBRAt = -1 }},
		"MBR elsewhere":         {l, func(m *Measured) { m.MBRAt = 0x200000 }},
		"other regions":         {l, func(m *Measured) { m.RPMB = 0x40000 }},
		"too small":             {l, func(m *Measured) { m.User = 0x20000000 }},
		"mixed physical":        {parse(strings.Replace(plain, "physical_start_addr: 0x0", "physical_start_addr: 0x123400", 4)), func(*Measured) {}},
		"no MBR in the layout":  {parse(strings.Replace(plain, "partition_name: MBR", "partition_name: LOGO", 1)), func(*Measured) {}},
		"NAND, no block":        {parse(nand), func(m *Measured) { m.Storage, m.Block = NAND, 0 }},
		"NAND, other block":     {parse(nand), func(m *Measured) { m.Storage, m.Block = NAND, 0x40000 }},
		"NAND, odd size":        {parse(nand), func(m *Measured) { m.Storage, m.Block, m.User = NAND, 0x20000, 0x40000200 }},
		"storage of no kind":    {parse(strings.ReplaceAll(plain, "EMMC\n", "UFS\n")), func(m *Measured) { m.Storage = "UFS" }},
		"MBR at 0, found later": {parse(strings.ReplaceAll(plain, "linear_start_addr: 0x600000", "linear_start_addr: 0x0")), func(*Measured) {}},
	} {
		m := good
		c.change(&m)
		if _, err := c.l.Reconcile(m); !errors.Is(err, mtkport.ErrRefused) || mtkport.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindMBR(t *testing.T) {
	dump := make([]byte, 0x400000)
	if _, ok := FindMBR(bytes.NewReader(dump), int64(len(dump))); ok {
		t.Error("found in zeros")
	}
	mbr := NewRecord(RecordEntry{Type: 5, Start: 0x400, Count: 0xFFFFFFFF}, RecordEntry{Type: 0x83, Start: 0x4800, Count: 0x5000})
	copy(dump[0x1e0000:], mbr.Bytes())
	if at, ok := FindMBR(bytes.NewReader(dump), int64(len(dump))); !ok || at != 0x1e0000 {
		t.Errorf("0x%x, %v", at, ok)
	}
}

func TestChainErrors(t *testing.T) {
	lone := NewRecord(RecordEntry{Type: 0x83, Start: 8, Count: 8})
	link := NewRecord(RecordEntry{Type: 0x83, Start: 8, Count: 8}, RecordEntry{Type: 5, Start: 0x100, Count: 0xFFFFFFFF})
	if _, err := Chain(lone, lone); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("an EBR without a link: %v", err)
	}
	if x, err := Chain(nil, link); !errors.Is(err, mtkport.ErrDamaged) || len(x) != 1 {
		t.Errorf("a link without its EBR: %v, %v", x, err)
	}
	if _, err := ParseRecord(make([]byte, 512), "MBR"); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("zeros: %v", err)
	}
	if _, err := ParseRecord(make([]byte, 511), "MBR"); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("short: %v", err)
	}
}

func samplePMT(version string) *PMT {
	return &PMT{Version: version, Entries: []PMTEntry{{Name: "preloader", Size: 0x600000}, {Name: "mbr", Size: 0x80000, Offset: 0x600000},
		{Name: "nvram", Size: 0x500000, Offset: 0xa00000, Mask: 1}, {Name: "android", Size: 0x20000000, Offset: 0x10540000}, {Name: "bmtpool", Size: 0x1500000, Offset: 0xFFFF00a8}}}
}

func TestPMT(t *testing.T) {
	for _, version := range []string{"1.0", "1.1", "NAND"} {
		want := samplePMT(version)
		if version == "1.1" {
			want.Entries[2].PartID = 8
		}
		b, err := want.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePMT(b, "pmt.bin")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", version, got, err)
		}
		start := 8
		if version == "NAND" {
			start = 4
		}
		bare, err := ParseEntries(b[start:3000], "agent")
		if err != nil || !reflect.DeepEqual(bare.Entries, want.Entries) {
			t.Errorf("%s entries: %+v, %v", version, bare, err)
		}
	}
	main, err := samplePMT("1.0").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	mirrored := samplePMT("1.0")
	mirrored.Mirror = true
	mirror, err := mirrored.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	both := append(main, mirror...)
	both[4095] ^= 1 // the main copy was cut off while it was written
	if p, err := ParsePMT(both, "pmt.bin"); err != nil || !p.Mirror || len(p.Entries) != 5 {
		t.Errorf("mirror: %+v, %v", p, err)
	}
	both[8191] ^= 1
	if _, err := ParsePMT(both, "pmt.bin"); !errors.Is(err, mtkport.ErrDamaged) || !strings.HasPrefix(err.Error(), "pmt.bin: 0xffc") {
		t.Errorf("both copies broken: %v", err)
	}
	for name, b := range map[string][]byte{"zeros": make([]byte, 8192), "nothing": nil, "short": main[:100]} {
		if _, err := ParsePMT(b, "x"); err == nil {
			t.Errorf("%s: read", name)
		}
		if _, err := ParseEntries(b, "x"); err == nil {
			t.Errorf("%s entries: read", name)
		}
	}
}

func TestCheckPMT(t *testing.T) {
	l, err := Parse(small(t), "s.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := &PMT{Version: "1.0"}
	for _, x := range l.Partitions {
		p.Entries = append(p.Entries, PMTEntry{Name: strings.ToLower(x.Name), Size: x.Size, Offset: Linear(x.Linear)})
	}
	if f := CheckPMT(l, p, "pmt"); len(f) != 0 {
		t.Errorf("the same table: %+v", f)
	}
	p.Entries[2].Offset += 0x80000
	p.Entries[5].Size += 0x80000
	p.Entries[6].Size += 0x80000
	if got := codesOf(CheckPMT(l, p, "pmt")); !slices.Equal(got, []string{"phone-differs", "phone-differs", "last-size"}) {
		t.Errorf("%v", got)
	}
}

func TestDumchar(t *testing.T) {
	nand := "root@android:/ # cat /proc/dumchar_info\nPart_Name\tSize\tStartAddr\tType\tMapTo\npreloader 0x00100000 0x00000000 1 /dev/mtd/mtd0\npro_info 0x00100000 0x00000001 1 /dev/mtd/mtd1\nnvram 0x00300000 0x00000002 1 /dev/mtd/mtd2\nbmtpool 0x00a00000 0xffff0028 1 /dev/mtd/mtd2\nStartAddr:Index (MTD);\n"
	d, err := ParseDumchar([]byte(nand), "d")
	if err != nil || d.Storage != NAND || len(d.Rows) != 4 || d.Rows[2].Start != 0x200000 || d.Rows[2].MTD != 2 || d.Rows[3].HasStart {
		t.Errorf("%+v, %v", d, err)
	}
	d, err = ParseDumchar([]byte("bootimg 0x6291456 /dev/block/mmcblk0\n"), "d") // decimal behind 0x
	if err != nil || d.Rows[0].Size != 6291456 || d.Rows[0].HasStart {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := ParseDumchar([]byte("hello\n"), "d"); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("%v", err)
	}
}

// TestDerive: the phone's own words alone make a scatter that agrees with the
// one that its build made.
func TestDerive(t *testing.T) {
	for _, c := range []struct{ folder, dumchar string }{{"a516-allegro", "dumchar_info"}, {"layouts/mobiwire-s10", "dumchar_rows.txt"}} {
		dir := filepath.Join(realfile.Dir(t), c.folder)
		b, err := os.ReadFile(filepath.Join(dir, c.dumchar))
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseDumchar(b, c.dumchar)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Derive(Sources{Dumchar: d})
		if err != nil {
			t.Fatal(err)
		}
		want, _ := mustParse(t, filepath.Join(dir, "MT6572_Android_scatter.txt"))
		for i, p := range got.Partitions {
			w := want.Partitions[i]
			if p.Name != w.Name || p.Linear != w.Linear || p.FromEnd != w.FromEnd || (p.Size != w.Size && p.Name != "USRDATA") || p.Operation != w.Operation {
				t.Errorf("%s: %+v\nwant %+v", c.folder, p, w)
			}
			if p.Guarded && (p.Download || p.File != "") {
				t.Errorf("%s: %s would be written", c.folder, p.Name)
			}
		}
		if f := CheckDumchar(got, d); len(f) != 0 {
			t.Errorf("%s: %+v", c.folder, f)
		}
		for _, f := range Check(got) {
			t.Errorf("%s: %s %s", c.folder, f.Code, f.Text)
		}
	}
	if l, err := Derive(Sources{PMT: samplePMT("1.0"), Project: "p"}); err != nil || l.Find("system").Name != "ANDROID" || !l.Find("bmtpool").FromEnd {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := Derive(Sources{}); err == nil {
		t.Error("derived of nothing")
	}
}
