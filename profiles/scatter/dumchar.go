package scatter

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
)

func canonical(name string) string {
	c, _ := identity.Classify(name)
	return c
}

// Dumchar is /proc/dumchar_info of a running phone.
type Dumchar struct {
	File    string
	Storage string // EMMC or NAND
	Rows    []DumcharRow
}

// DumcharRow is one partition. Start counts from the MBR on eMMC; on NAND, where
// the file gives an MTD index, it is the sum of the sizes before it.
type DumcharRow struct {
	Name     string
	Size     int64 // bytes
	Start    Logical
	HasStart bool   // false for the kernels that print no start
	MTD      int    // NAND: the MTD index; -1 elsewhere
	Device   string // /dev/block/mmcblk0p5; empty where not printed
}

// ParseDumchar reads the text. Lines that are no rows (a shell prompt, header,
// footer) are passed over. The error is of class ErrFormat where there is no row.
func ParseDumchar(b []byte, name string) (*Dumchar, error) {
	if len(b) > MaxFile {
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "dumchar_info", Found: fmt.Sprintf("%d bytes", len(b)), Want: fmt.Sprintf("at most %d", MaxFile), Err: mtkport.ErrFormat}
	}
	d := &Dumchar{File: name, Storage: EMMC}
	for line := range bytes.Lines(b) {
		text := string(line)
		if strings.Contains(text, "Index (MTD)") || strings.Contains(text, "/dev/mtd") {
			d.Storage = NAND
		}
		if row, ok := dumcharRow(strings.Fields(text)); ok && len(d.Rows) < MaxPartitions {
			d.Rows = append(d.Rows, row)
		}
	}
	if len(d.Rows) == 0 {
		return nil, &mtkport.Error{File: name, Off: 0, Field: "dumchar_info", Found: "no row", Want: "lines of name, size, start, type, device", Err: mtkport.ErrFormat}
	}
	if d.Storage == NAND {
		d.sumUp()
	}
	return d, nil
}

func dumcharRow(f []string) (DumcharRow, bool) {
	if len(f) < 3 || !strings.HasPrefix(f[1], "0x") {
		return DumcharRow{}, false
	}
	row := DumcharRow{Name: f[0], MTD: -1}
	if !strings.HasPrefix(f[2], "0x") { // name, size in decimal behind 0x, device
		n, err := strconv.ParseInt(f[1][2:], 10, 64)
		row.Size, row.Device = n, f[len(f)-1]
		return row, err == nil && n < maxAddress
	}
	size, err1 := number(f[1])
	start, err2 := number(f[2])
	row.Size, row.Start, row.HasStart = size, Logical(start), true
	if len(f) >= 5 {
		row.Device = f[4]
	}
	return row, err1 == nil && err2 == nil
}

func (d *Dumchar) sumUp() {
	at := int64(0)
	for i := range d.Rows {
		r := &d.Rows[i]
		if r.HasStart && r.Start < MaxPartitions {
			r.MTD = int(r.Start)
		}
		if canonical(r.Name) == "bmtpool" || at >= maxAddress {
			r.HasStart = false
			continue
		}
		r.Start, r.HasStart = Logical(at), true
		at += r.Size
	}
}

// MBRLinear recovers the linear address of the MBR: the kernel prints the tag of
// bmtpool less that address, and the preloader with the same size.
func (d *Dumchar) MBRLinear() (Linear, bool) {
	if d.Storage != EMMC {
		return 0, false
	}
	var ways []Linear
	for _, r := range d.Rows {
		switch c := canonical(r.Name); {
		case c == "preloader" && r.Size > 0:
			ways = append(ways, Linear(r.Size))
		case c == "bmtpool" && r.HasStart && r.Start > 0xF0000000 && r.Start <= tagBase+0xffff:
			if tag := int64(tagBase) | int64(r.Start)&0xffff; tag > int64(r.Start) {
				ways = append(ways, Linear(tag-int64(r.Start)))
			}
		}
	}
	if len(ways) == 0 || ways[0] != ways[len(ways)-1] {
		return 0, false
	}
	return ways[0], true
}
