package da

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"mtkport"
)

func build(t testing.TB, old bool, specs ...Spec) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Build(&b, "MTK_AllInOne_DA test", old, specs...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func spec(code, hw, sw uint16) Spec {
	return Spec{HWCode: code, HWVer: hw, SWVer: sw, First: 1, Parts: []Part{
		{Addr: 0x80010000, Data: []byte("tables")}, {Addr: 0x02007000, Data: []byte("stage one, signed"), SigLen: 6}, {Addr: 0x80000000, Data: []byte("stage two")}}}
}

func TestContainer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		old   bool
		specs []Spec
	}{
		{"new, one entry", false, []Spec{spec(0x6572, 0xCA00, 0)}},
		{"new, many", false, []Spec{spec(0x6573, 1, 0), spec(0x6572, 0xCA00, 1), spec(0x6582, 0xCA00, 0)}},
		{"old, one entry", true, []Spec{spec(0x6572, 0xCA00, 0)}},
		{"old, many", true, []Spec{spec(0x6573, 1, 0), spec(0x6572, 0xCA00, 0)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := build(t, tc.old, tc.specs...)
			c, err := Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			e, err := c.Choose(0x6572, 0xCA01, 0)
			if err != nil {
				t.Fatal(err)
			}
			one, _ := e.Bytes(e.Stage1())
			two, _ := e.Bytes(e.Stage2())
			if string(one) != "stage one, signed" || string(two) != "stage two" || e.Stage1().SigLen != 6 || e.Stage2().Addr != 0x80000000 {
				t.Errorf("%q %q %+v", one, two, e)
			}
			if _, err := c.Choose(0x6572, 0xC000, 0); !errors.Is(err, mtkport.ErrUnsupported) {
				t.Errorf("an older revision: %v", err)
			}
			if _, err := c.Choose(0x6589, 0, 0); !errors.Is(err, mtkport.ErrUnsupported) || mtkport.HintOf(err) == "" {
				t.Errorf("another chip: %v", err)
			}
			for cut := range len(b) { // no prefix is taken for the whole
				if c, err := Open(bytes.NewReader(b[:cut]), int64(cut)); err == nil {
					t.Fatalf("cut at %d: %d entries", cut, len(c.Entries))
				}
			}
		})
	}
}

// TestSum: of every length and place, by both ways, against one byte at a time.
func TestSum(t *testing.T) {
	all := bytes.Repeat([]byte{0xFF, 3, 0x80, 0xFF, 0xFF, 0xFF, 0xFF}, 1000)
	for n := range 2600 {
		for _, b := range [][]byte{all[:n], all[n%70 : n%70+n]} {
			want := uint16(0)
			for _, c := range b {
				want += uint16(c)
			}
			whole := n &^ 63
			words := uint16(sumWords(b[:whole])) + Sum(b[whole:])
			if got := Sum(b); got != want || words != want {
				t.Fatalf("%d bytes: 0x%x and 0x%x, want 0x%x", n, got, words, want)
			}
		}
	}
	ff := bytes.Repeat([]byte{0xFF}, 1<<16)
	if got, words := Sum(ff), uint16(sumWords(ff)); got != 0 || words != 0 {
		t.Fatalf("64 KiB of FF: 0x%x and 0x%x, want 0", got, words)
	}
}

// TestReport: 236 bytes with seven ids, as the open tools count it.
func TestReport(t *testing.T) {
	r := Report{NAND: NANDInfo{Size: 512 << 20, IDs: []uint16{0xAD, 0xBC, 0x90, 0x55, 0x56, 0, 0}, Page: 2048, Spare: 64, PerBlock: 64},
		EMMC: EMMCInfo{Ret: 3179}, Conf: ConfInfo{DRAM: 512 << 20, Random: [2]uint64{1, 2}}, Pass: PassInfo{Ack: Ack, SOC: SOCOK}}
	b := r.Append(nil)
	if len(b) != 236 {
		t.Errorf("%d bytes, want 236", len(b))
	}
	got, err := readReport(readerOf(b))
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
	// The form with 32-bit NAND sizes.
	n := []byte{0, 0, 0, 0, 0, 0, 7, 0x20, 0, 0, 0, 0, 3, 0, 0xAD, 0, 0, 0, 0, 8, 0, 0, 64, 0, 64, 8, 5, 1}
	old := append(append([]byte(nil), b[:28]...), append(n, b[28+17+14+9:]...)...)
	got, err = readReport(readerOf(old))
	if err != nil || got.NAND.Size != 0x20000000 || len(got.NAND.IDs) != 3 || got.NAND.IDs[0] != 0xAD || got.NAND.Page != 2048 || got.Conf != r.Conf {
		t.Errorf("%v\n%+v", err, got.NAND)
	}
	if len(NewSetup(0xFF, 1, false).Append(nil)) != SetupSize {
		t.Error("the set-up is not 18 bytes")
	}
}

func readerOf(b []byte) func([]byte) error {
	r := bytes.NewReader(b)
	return func(p []byte) error {
		n, err := r.Read(p)
		if err == nil && n < len(p) {
			err = errors.New("short")
		}
		return err
	}
}

// TestMessages: the bytes of the transcript measured with mtkclient.
func TestMessages(t *testing.T) {
	for _, tc := range []struct {
		got, want []byte
	}{
		{Message(CmdRead, ReadCmd{HostLinux, StorageEMMC, 0x680000, 0x100000}), []byte{0xD6, 0x0C, 2, 0, 0, 0, 0, 0, 0x68, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0}},
		{Message(CmdWriteData, WriteCmd{1, 8, 0, 0x400, Packet}), []byte{0x62, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0x10, 0, 0}},
		{NewSetup(0xFF, 1, false).Append(nil), []byte{0xFF, 1, 0, 8, 0, 0x70, 7, 0xFF, 0xFF, 0, 0, 0, 0, 0xA8, 1, 1, 2, 0}},
		{Hello{NANDRet: 3012, NANDIDs: []uint16{0}}.Append(nil)[:9], []byte{0xC0, 0, 0, 0x0B, 0xC4, 0, 1, 0, 0}},
	} {
		if !bytes.Equal(tc.got, tc.want) {
			t.Errorf("% x\n% x", tc.got, tc.want)
		}
	}
}

func TestErrors(t *testing.T) {
	list, err := statuses()
	if err != nil || len(list) < 50 {
		t.Fatal(len(list), err)
	}
	seen := map[int]bool{}
	for _, s := range list {
		if seen[s.No] || s.Name == "" || s.Cause == "" || s.Hint == "" || s.When == "" {
			t.Errorf("%+v", s)
		}
		seen[s.No] = true
	}
	if s, ok := ByNumber(3179); !ok || s.Name != "S_DA_EMMC_FLASH_NOT_FOUND" {
		t.Error(s)
	}
	if _, ok := ByName("S_FT_ENABLE_DRAM_FAIL"); !ok {
		t.Error("no 4032")
	}
}

func TestEMI(t *testing.T) {
	record := make([]byte, 168)
	copy(record[4:], "\x15\x01\x00N5U00M")
	b := append([]byte("junk MTK_BLOADER_INFO_v11\x00preloader_x.bin\x00 MTK_BIN\x00\x01\x00\x00\x00"), record...)
	e, err := FindEMI(bytes.NewReader(b), int64(len(b)))
	if err != nil || e.Version != 11 || len(e.Records) != 1 {
		t.Fatal(e, err)
	}
	id := append([]byte("\x15\x01\x00N5U00M"), make([]byte, 7)...)
	if got, err := e.Select(id); err != nil || !bytes.Equal(got, record) {
		t.Error(err)
	}
	swapped := []byte("N\x00\x01\x15" + "00U5" + "\x00\x00\x00M" + "\x00\x00\x00\x00")
	if _, err := e.Select(swapped); err != nil {
		t.Error(err)
	}
	if _, err := e.Select(make([]byte, 16)); !errors.Is(err, mtkport.ErrRefused) {
		t.Error(err)
	}
	if _, err := FindEMI(bytes.NewReader(b[:40]), 40); !errors.Is(err, mtkport.ErrFormat) {
		t.Error(err)
	}
}

// FuzzOpen: any file opens or is refused; what opens builds again and reads back
// the same.
func FuzzOpen(f *testing.F) {
	f.Add(build(f, false, spec(0x6572, 0xCA00, 0)))
	f.Add(build(f, true, spec(0x6573, 1, 0), spec(0x6572, 0xCA00, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		var specs []Spec
		for _, e := range c.Entries {
			s := Spec{HWCode: e.HWCode, HWSub: e.HWSub, HWVer: e.HWVer, SWVer: e.SWVer, First: e.First}
			for _, r := range e.Regions {
				data, err := e.Bytes(r)
				if err != nil {
					t.Fatal(err)
				}
				s.Parts = append(s.Parts, Part{Addr: r.Addr, Data: data, SigLen: r.SigLen})
			}
			specs = append(specs, s)
		}
		again := build(t, false, specs...)
		d, err := Open(bytes.NewReader(again), int64(len(again)))
		if err != nil || len(d.Entries) != len(c.Entries) {
			t.Fatal(err)
		}
		for i, e := range c.Entries {
			g := d.Entries[i]
			if g.HWCode != e.HWCode || g.First != e.First || len(g.Regions) != len(e.Regions) {
				t.Fatalf("%+v\n%+v", e, g)
			}
		}
	})
}

// FuzzReport: any bytes make a report or an error, and a report encodes again.
func FuzzReport(f *testing.F) {
	f.Add(Report{NAND: NANDInfo{IDs: make([]uint16, 7)}, Pass: PassInfo{Ack: Ack, SOC: SOCOK}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReport(readerOf(b))
		if err != nil {
			return
		}
		again, err := readReport(readerOf(r.Append(nil)))
		if err != nil || (len(r.NAND.IDs) > 0 && !reflect.DeepEqual(again, r)) {
			t.Fatalf("%v\n%+v\n%+v", err, r, again)
		}
	})
}
