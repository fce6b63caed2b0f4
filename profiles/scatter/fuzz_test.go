package scatter

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add(small(f), "MT6572_Android_scatter.txt")
	f.Add([]byte("PRELOADER 0x0\n{\n}\nMBR 0x600000\n{\n}\n__NODL_BMTPOOL 0xFFFF00a8\n{\n}\n\n\n"), "MT6589_Android_scatter_emmc.txt")
	f.Add([]byte(bom+"- partition_index:\r  partition_name: \"x\" # y\r  linear_start_addr: 1\r  partition_size: 0"), "")
	f.Add([]byte(v2("UFS", "EMMC")), "MT6781_Android_scatter.txt")
	f.Add([]byte("preloader 0x0\npgpt 0x0\nnvram 0x8000\nsystem 0x508000\nsgpt 0xFFFF0000\n"), "scatter.txt")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		l, err := Parse(b, name)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Bytes(), b) {
			t.Fatal("written back differs")
		}
		Check(l)
		l.Bars(80)
		if err := l.WriteSVG(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		checkEdit(t, l, b)
		if g, err := l.Reconcile(phoneOf(l)); err == nil {
			_, _ = l.Guard(g) // refuses or not: must not fail otherwise
		}
	})
}

// checkEdit ticks and unticks the first partition: the bytes must come back.
func checkEdit(t *testing.T, l *Layout, b []byte) {
	name := l.Partitions[0].Name
	was := l.Partitions[0].Download
	if l.IsBrace() || name == "" || l.index(name) != 0 || l.SetDownload(name, !was) != nil {
		return
	}
	if l.Partitions[0].Download == was {
		t.Fatal("a tick was not set")
	}
	if len(l.Bytes()) > len(b)+6 || len(l.Bytes()) < len(b)-6 {
		t.Fatalf("an edit changed %d bytes", len(l.Bytes())-len(b))
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(NewRecord(RecordEntry{Type: 5, Start: 0x400, Count: 0xFFFFFFFF}, RecordEntry{Type: 0x83, Start: 8, Count: 8}).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b, "MBR")
		if err != nil {
			return
		}
		if !bytes.Equal(r.Bytes(), b[:Sector]) {
			t.Fatal("written back differs")
		}
		_, _ = Chain(r, r, r) // an error or not: must not fail otherwise
	})
}

func FuzzPMT(f *testing.F) {
	for _, v := range []string{"1.0", "1.1", "NAND"} {
		b, err := samplePMT(v).Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseEntries(b, "x") // an error or not: must not fail otherwise
		p, err := ParsePMT(b, "x")
		if err != nil {
			return
		}
		again, err := p.Bytes()
		if err != nil {
			return
		}
		q, err := ParsePMT(again, "x")
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%+v\n%+v, %v", p, q, err)
		}
	})
}

func FuzzDumchar(f *testing.F) {
	f.Add([]byte("preloader 0x600000 0x0 2 /dev/misc-sd\nbmtpool 0x1500000 0xff9f00a8 2 /dev/block/mmcblk0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDumchar(b, "d")
		if err != nil {
			return
		}
		d.MBRLinear()
		if l, err := Derive(Sources{Dumchar: d}); err == nil {
			CheckDumchar(l, d)
		}
	})
}
