package identity

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mtkport"
)

// phoneRanges is an MT6572 as it lies in its user area, with D = 0x1e0000.
func phoneRanges() ([]Range, []Region) {
	const d = 0x1e0000
	r := func(name string, off, n int64) Range {
		return Range{Region: EMMCUser, Off: off + d, Len: n, Partition: name, Write: true}
	}
	return []Range{
			{Region: EMMCBoot1, Len: 0x200000, Partition: "PRELOADER"}, {Region: EMMCBoot2, Len: 0x200000, Partition: "preloader2"},
			r("MBR", 0, 0x80000), r("EBR1", 0x80000, 0x80000), r("PRO_INFO", 0x100000, 0x300000), r("NVRAM", 0x400000, 0x500000),
			r("UBOOT", 0x900000, 0x60000), r("BOOTIMG", 0x960000, 0x600000), r("FUTURE", 0xf60000, 0x10000), r("ANDROID", 0x1000000, 0x4000000),
			r("USRDATA", 0x5000000, 0x1000000), r("BMTPOOL", 0x6000000, 0x1500000),
		}, []Region{{Name: EMMCUser, Size: 0x76e0000, Block: 512}, {Name: EMMCBoot1, Size: 0x200000, Block: 512},
			{Name: EMMCBoot2, Size: 0x200000, Block: 512}, {Name: EMMCRPMB, Size: 0x20000, Block: 512}}
}

func mustGuard(t testing.TB) *Guard {
	t.Helper()
	ranges, regions := phoneRanges()
	g, err := NewGuard(ranges, regions...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuardClear(t *testing.T) {
	const d = 0x1e0000
	g := mustGuard(t)
	for _, c := range []struct {
		region  string
		off, n  int64
		refused string // text in the refusal; empty when cleared
	}{
		{EMMCUser, d + 0x960000, 0x600000, ""},                          // boot, whole
		{EMMCUser, d + 0x960000, 1, ""},                                 // its first byte
		{EMMCUser, d + 0x1000000, 0x4000000, ""},                        // system, whole
		{EMMCUser, d + 0x400000, 512, "NVRAM"},                          // identity
		{EMMCUser, d + 0x8fffff, 1, "NVRAM"},                            // its last byte
		{EMMCUser, d + 0x95ffff, 2, "UBOOT"},                            // one byte of the loader
		{EMMCUser, d + 0x960000, 0x600001, "FUTURE"},                    // one byte too many, into an unknown name
		{EMMCUser, d + 0x1000000, 0x4000001, "ANDROID"},                 // one byte of the next partition
		{EMMCUser, d, 512, "MBR"},                                       //
		{EMMCUser, 0, 512, "no partition"},                              // before the MBR
		{EMMCUser, d + 0xf70000, 512, "no partition"},                   // a gap
		{EMMCUser, d + 0x7400000, 0x200000, "the end of the region"},    //
		{EMMCBoot1, 0, 512, "PRELOADER"},                                //
		{EMMCBoot2, 0, 512, "preloader2"},                               //
		{EMMCRPMB, 0, 512, "no partition"},                              //
		{"EMMC_GP_1", 0, 512, "a region that the layout does not know"}, //
		{EMMCUser, d + 0x960000, 0, "an impossible range"},              //
		{EMMCUser, -1, 512, "an impossible range"},                      //
		{EMMCUser, 1<<63 - 10, 512, "an impossible range"},              //
		{EMMCUser, d + 0x960000, 1<<63 - 1, "an impossible range"},      //
	} {
		cl, err := g.Clear(c.region, c.off, c.n, "test")
		if c.refused == "" {
			if err != nil || !cl.Ok() || !cl.By(g) || cl.Offset() != c.off || cl.Len() != c.n || cl.Region() != c.region || cl.Why() != "test" || cl.Restore() {
				t.Errorf("%s 0x%x+0x%x: %+v, %v", c.region, c.off, c.n, cl, err)
			}
			continue
		}
		if !errors.Is(err, mtkport.ErrRefused) || !strings.Contains(err.Error(), c.refused) || cl.Ok() {
			t.Errorf("%s 0x%x+0x%x: %v, want a refusal that names %q", c.region, c.off, c.n, err, c.refused)
		}
	}
	if (Cleared{}).Ok() || (Cleared{}).By(g) {
		t.Error("the zero value writes")
	}
	if _, err := (*Guard)(nil).Clear(EMMCUser, 0, 512, ""); !errors.Is(err, mtkport.ErrRefused) {
		t.Errorf("no guard: %v", err)
	}
}

func TestGuardRefusesLayouts(t *testing.T) {
	for name, in := range map[string][]Range{
		"negative offset": {{Region: EMMCUser, Off: -1, Len: 5}},
		"negative length": {{Region: EMMCUser, Off: 1, Len: -5}},
		"overflow":        {{Region: EMMCUser, Off: 1 << 62, Len: 1<<63 - 1}},
		"NAND undeclared": {{Region: NAND, Off: 0, Len: 512}},
	} {
		if _, err := NewGuard(in); !errors.Is(err, mtkport.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewGuard(nil, Region{Name: NAND, Block: 100}); err == nil {
		t.Error("block of 100 bytes accepted")
	}
	if _, err := NewGuard([]Range{{Region: EMMCUser, Off: 512, Len: 1024}}, Region{Name: EMMCUser, Size: 1024, Block: 512}); err == nil {
		t.Error("range behind the end accepted")
	}
}

var ids = HardwareID{Chip: "6572", Storage: "EMMC", CID: "150100" + strings.Repeat("4e", 13)}

func TestRestoreDoors(t *testing.T) {
	const d = 0x1e0000
	bare := mustGuard(t)
	g := bare.For(ids)
	proof, err := Match(ids, HardwareID{Chip: "6572", Storage: "emmc", CID: strings.ToUpper(ids.CID)})
	if err != nil || proof.By() != "cid" {
		t.Fatal(proof, err)
	}
	type try struct {
		g       *Guard
		region  string
		off, n  int64
		proof   SamePhone
		door    Door
		allowed bool
	}
	for i, c := range []try{
		{g, EMMCUser, d + 0x400000, 0x500000, proof, NoBootloader, true},        // NVRAM of this phone
		{g, EMMCUser, d + 0xf60000, 0x10000, proof, NoBootloader, true},         // what the phone had, known or not
		{g, EMMCUser, d + 0x400000, 0x500000, SamePhone{}, NoBootloader, false}, // no proof
		{bare, EMMCUser, d + 0x400000, 0x500000, proof, NoBootloader, false},    // a guard of no phone
		{g, EMMCUser, d + 0x400000, 0x500001, proof, NoBootloader, false},       // over the end
		{g, EMMCUser, d + 0x900000, 0x60000, proof, NoBootloader, false},        // lk
		{g, EMMCUser, d + 0x900000, 0x60000, proof, WithBootloader, true},       //
		{g, EMMCUser, d, 512, proof, WithBootloader, true},                      // MBR
		{g, EMMCBoot1, 0, 0x1000, proof, NoBootloader, false},                   // preloader
		{g, EMMCBoot1, 0, 0x1000, proof, WithBootloader, true},                  //
		{g, EMMCRPMB, 0, 512, proof, WithBootloader, false},                     //
		{g, EMMCUser, 0, 512, proof, WithBootloader, false},                     // no partition
	} {
		cl, err := c.g.ClearRestore(c.region, c.off, c.n, "backup", c.proof, c.door)
		if (err == nil) != c.allowed || cl.Ok() != c.allowed || cl.Restore() != c.allowed || (err != nil && !errors.Is(err, mtkport.ErrRefused)) {
			t.Errorf("%d: %v", i, err)
		}
	}
	other := ids
	other.CID = "ff" + ids.CID[2:]
	if _, err := mustGuard(t).For(other).ClearRestore(EMMCUser, d+0x400000, 512, "", proof, NoBootloader); err == nil {
		t.Error("proof of one phone opened the guard of another")
	}
}

func TestMatch(t *testing.T) {
	with := func(fn func(*HardwareID)) HardwareID { h := ids; fn(&h); return h }
	for name, c := range map[string]struct {
		a, b HardwareID
		ok   bool
	}{
		"same":             {ids, ids, true},
		"other cid":        {ids, with(func(h *HardwareID) { h.CID = "16" + h.CID[2:] }), false},
		"other chip":       {ids, with(func(h *HardwareID) { h.Chip = "6582" }), false},
		"other storage":    {ids, with(func(h *HardwareID) { h.Storage = "NAND" }), false},
		"blank cid":        {with(func(h *HardwareID) { h.CID = strings.Repeat("00", 16) }), with(func(h *HardwareID) { h.CID = strings.Repeat("00", 16) }), false},
		"short cid":        {with(func(h *HardwareID) { h.CID = "150100" }), with(func(h *HardwareID) { h.CID = "150100" }), false},
		"nand model only":  {HardwareID{Chip: "6572", Storage: "NAND", NANDID: "adbc"}, HardwareID{Chip: "6572", Storage: "NAND", NANDID: "adbc"}, false},
		"meid differs too": {with(func(h *HardwareID) { h.MEID = "0102030405060708" }), with(func(h *HardwareID) { h.MEID = "0102030405060709" }), false},
		"meid on one side": {with(func(h *HardwareID) { h.MEID = "0102030405060708" }), ids, true},
		"nothing":          {HardwareID{}, HardwareID{}, false},
	} {
		proof, err := Match(c.a, c.b)
		if (err == nil) != c.ok || (proof.By() != "") != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// world is a small random layout with a device of bytes, and an independent
// reading of what must not change.
type world struct {
	ranges  []Range
	regions []Region
	device  []byte
	sacred  []bool
}

var worldNames = []string{"NVRAM", "protect_f", "MBR", "lk", "system", "BOOTIMG", "userdata", "Cache", "md1img", "bmtpool", "mystery", "SEC_RO", "misc", "", "ANDROID", "__NODL_NVRAM"}

// mayChange is written by hand, not taken from the table.
var mayChange = map[string]bool{"system": true, "BOOTIMG": true, "userdata": true, "Cache": true, "md1img": true, "ANDROID": true}

func makeWorld(intn func(n int) int) world {
	block := []int64{512, 1024, 4096}[intn(3)]
	size := block * int64(8+intn(40))
	region := []string{EMMCUser, NAND}[intn(2)]
	w := world{regions: []Region{{Name: region, Size: size, Block: block}}, device: make([]byte, size), sacred: make([]bool, size)}
	for i := range w.sacred {
		w.sacred[i] = true // no partition
	}
	for range 1 + intn(12) {
		off := int64(intn(int(size)))
		n := int64(intn(int(size-off)) + 1)
		if intn(3) > 0 {
			off, n = off-off%block, n-n%block
		}
		w.ranges = append(w.ranges, Range{Region: region, Off: off, Len: min(n, 6*block), Partition: worldNames[intn(len(worldNames))], Write: intn(8) > 0})
	}
	for _, r := range w.ranges {
		if r.Write && mayChange[r.Partition] {
			fill(w.sacred, r.Off, r.Off+r.Len, false)
		}
	}
	for _, r := range w.ranges { // what is sacred wins, whole blocks of it
		if !r.Write || !mayChange[r.Partition] {
			if r.Len > 0 {
				fill(w.sacred, r.Off-r.Off%block, min(size, (r.Off+r.Len+block-1)/block*block), true)
			}
		}
	}
	return w
}

func fill(b []bool, from, to int64, v bool) {
	for i := from; i < to; i++ {
		b[i] = v
	}
}

// write does what storage does: whole blocks change.
func (w world) write(c Cleared) error {
	block := w.regions[0].Block
	for i := c.Offset() / block * block; i < (c.Offset()+c.Len()+block-1)/block*block; i++ {
		if w.sacred[i] {
			return fmt.Errorf("byte 0x%x is sacred; cleared as %s 0x%x+0x%x in %v", i, c.Partition(), c.Offset(), c.Len(), w.ranges)
		}
		w.device[i]++
	}
	return nil
}

func TestGuardProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := makeWorld(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") })
		g, err := NewGuard(w.ranges, w.regions...)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			off := rapid.Int64Range(-2, int64(len(w.device))+2).Draw(t, "off")
			n := rapid.Int64Range(-1, int64(len(w.device))).Draw(t, "len")
			c, err := g.Clear(w.regions[0].Name, off, n, "")
			if err != nil {
				if !errors.Is(err, mtkport.ErrRefused) {
					t.Fatal(err)
				}
				continue
			}
			if err := w.write(c); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestGuardOpens: the guard is no wall. What belongs to one writable partition
// alone, in whole blocks, is cleared.
func TestGuardOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := makeWorld(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") })
		g, err := NewGuard(w.ranges, w.regions...)
		if err != nil {
			t.Fatal(err)
		}
		block := w.regions[0].Block
		for at := int64(0); at < int64(len(w.device)); at += block {
			owners, whole := 0, false
			for _, r := range w.ranges {
				if r.Off < at+block && at < r.Off+r.Len {
					owners++
					whole = r.Write && mayChange[r.Partition] && r.Off <= at && at+block <= r.Off+r.Len
				}
			}
			_, err := g.Clear(w.regions[0].Name, at, block, "")
			if want := owners == 1 && whole; want != (err == nil) {
				t.Fatalf("block 0x%x: %d owners, whole %v, %v", at, owners, whole, err)
			}
		}
	})
}

var decisions = flag.Int("guard.decisions", 100_000, "decisions that TestGuardDecisions takes; 10 million are the full run")

// TestGuardDecisions sweeps random layouts: no decision clears a sacred byte.
//
//	go test ./profiles/identity -run GuardDecisions -guard.decisions=10000000
func TestGuardDecisions(t *testing.T) {
	rng := rand.New(rand.NewPCG(6572, 1))
	taken, cleared, layouts := 0, 0, 0
	for taken < *decisions {
		w := makeWorld(rng.IntN)
		g, err := NewGuard(w.ranges, w.regions...)
		if err != nil {
			t.Fatal(err)
		}
		layouts++
		for range 1000 {
			off, n := int64(rng.IntN(len(w.device))), int64(1+rng.IntN(int(3*w.regions[0].Block)))
			taken++
			c, err := g.Clear(w.regions[0].Name, off, n, "")
			if err != nil {
				continue
			}
			cleared++
			if err := w.write(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cleared == 0 {
		t.Fatal("nothing was ever cleared")
	}
	t.Logf("%d decisions over %d layouts: %d cleared, %d refused, 0 protected bytes written", taken, layouts, cleared, taken-cleared)
}
