package preloader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/testdata/realfile"
)

func TestReal(t *testing.T) {
	dir := filepath.Join(realfile.Dir(t), "boot")
	for _, tt := range []struct {
		file    string
		form    Form
		off     int64
		project string
		emi     int
		length  int64
	}{
		{"a516-preloader.bin", FormFile, 0, "a516_row", 1, 98488},
		{"opi3g-preloader.bin", FormFile, 0, "hexing72_cwet_kk", 6, 101868},
		{"mobiwire-s10-preloader_and_dsp", FormEMMC, 0x800, "up40_h405f_meo", 6, 100148},
	} {
		b, err := os.ReadFile(filepath.Join(dir, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if p.Form != tt.form || p.Off != tt.off || p.Project != tt.project || len(p.EMI) != tt.emi || p.Len != tt.length ||
			p.Chip != "MT6572" || p.LoadAddr != 0x02007200 || p.Version != "v11" {
			t.Errorf("%s: got %+v", tt.file, p)
		}
		for _, e := range p.EMI {
			if e.DRAM() != 512<<20 || len(e.ID) != 9 {
				t.Errorf("%s: entry at 0x%x: %d bytes of DRAM, id % x", tt.file, e.Off, e.DRAM(), e.ID)
			}
		}
	}
}

// sample is a preloader with the given number of memory entries.
func sample(emi uint32) []byte {
	b := make([]byte, 0x400)
	copy(b, "MMM\x01\x38\x00\x00\x00FILE_INFO")
	binary.LittleEndian.PutUint32(b[0x1c:], 0x02007200)
	copy(b[0x60:], "MT6572\x00")
	info := make([]byte, 0x64)
	copy(info, infoTag+"11\x00")
	copy(info[nameAt:], "preloader_test.bin")
	b = append(b, info...)
	b = append(b, binTag...)
	b = binary.LittleEndian.AppendUint32(b, emi)
	rec := make([]byte, emiSize11)
	binary.LittleEndian.PutUint32(rec, 0x202)
	binary.LittleEndian.PutUint32(rec[20:], 9)
	binary.LittleEndian.PutUint32(rec[144:], 256<<20)
	b = append(b, rec...)
	binary.LittleEndian.PutUint32(b[0x20:], uint32(len(b)))
	return b
}

func TestLyingSizes(t *testing.T) {
	open := func(b []byte) (*Info, error) { return Open(bytes.NewReader(b), int64(len(b))) }
	p, err := open(sample(0xffffffff))
	if err != nil || len(p.EMI) != 1 || p.Project != "test" || len(p.Notes) != 1 {
		t.Errorf("a lying count: %+v, %v", p, err)
	}
	b := sample(1)
	if _, err := open(b[:len(b)-1]); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("a cut file: %v, want damaged", err)
	}
	if _, err := open([]byte("ANDROID!")); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("another format: %v", err)
	}
	if _, err := open(append([]byte("EMMC_BOOT\x00"), make([]byte, 0x300)...)); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("no BRLYT: %v, want damaged", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(sample(1))
	f.Add(append(append([]byte("EMMC_BOOT\x00"), make([]byte, 0x1f6)...), "BRLYT\x00\x00\x00\x01\x00\x00\x00\x00\x08\x00\x00"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil && (p.Len > int64(len(b)) || len(p.EMI) > maxEMI) {
			t.Errorf("%+v of %d bytes", p, len(b))
		}
	})
}
