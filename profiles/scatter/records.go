package scatter

import (
	"encoding/binary"
	"fmt"
	"io"

	"mtkport"
)

// Sector is the unit of MBR and EBR records, in bytes.
const Sector = 512

const (
	recordTable = 446
	typeLink    = 0x05       // extended: points to the next record
	toEndCount  = 0xFFFFFFFF // of an extended entry
	ebr1Default = 0x80000    // where EBR1 is from the MBR on every phone measured
)

// Record is one MBR or EBR: four entries.
type Record struct {
	File    string
	Entries [4]RecordEntry
	raw     [Sector]byte
}

// RecordEntry is one of four. Start counts sectors from the record itself, or
// from EBR1 for a link in an EBR; the last partition's Count reaches to
// 0xFFFFFFFF and is no real size.
type RecordEntry struct {
	Type         byte
	Start, Count uint32 // sectors
}

// ParseRecord reads an MBR or EBR. Only the first 512 bytes count; backups may be
// longer. The error is of class ErrFormat.
func ParseRecord(b []byte, name string) (*Record, error) {
	if len(b) < Sector {
		return nil, &mtkport.Error{File: name, Off: int64(len(b)), Field: "partition record", Found: fmt.Sprintf("%d bytes", len(b)), Want: "512", Err: mtkport.ErrFormat}
	}
	r := &Record{File: name, raw: [Sector]byte(b[:Sector])}
	if r.raw[510] != 0x55 || r.raw[511] != 0xAA {
		return nil, &mtkport.Error{File: name, Off: 510, Field: "signature", Found: fmt.Sprintf("%02x %02x", r.raw[510], r.raw[511]), Want: "55 aa", Err: mtkport.ErrFormat}
	}
	for i := range r.Entries {
		e := r.raw[recordTable+16*i:]
		r.Entries[i] = RecordEntry{Type: e[4], Start: binary.LittleEndian.Uint32(e[8:]), Count: binary.LittleEndian.Uint32(e[12:])}
	}
	return r, nil
}

// Bytes returns the 512 bytes of the record with its entries as they are now.
func (r *Record) Bytes() []byte {
	b := r.raw
	for i, e := range r.Entries {
		at := b[recordTable+16*i:]
		at[4] = e.Type
		binary.LittleEndian.PutUint32(at[8:], e.Start)
		binary.LittleEndian.PutUint32(at[12:], e.Count)
	}
	return b[:]
}

// NewRecord makes a record of up to four entries in the form of MediaTek's
// generator: no boot code, no CHS.
func NewRecord(entries ...RecordEntry) *Record {
	r := &Record{}
	copy(r.Entries[:], entries)
	r.raw[510], r.raw[511] = 0x55, 0xAA
	return r
}

// HasBootCode tells whether anything stands before the table, where MediaTek's
// records are zero.
func (r *Record) HasBootCode() bool {
	for _, c := range r.raw[:recordTable] {
		if c != 0 {
			return true
		}
	}
	return false
}

// Extent is one partition of the records.
type Extent struct {
	Record string // MBR, EBR1 …
	Slot   int    // 0 to 3
	Number int    // mmcblk0pN
	Start  Logical
	Size   int64 // bytes; 0 where ToEnd
	ToEnd  bool  // the last one: reaches to the end of the device
	Empty  bool  // count 0, as hand edits leave it
}

// Chain lists the partitions of an MBR and its EBRs, in order. mbr may be nil:
// EBR1 is then taken to lie 0x80000 behind it, as on every phone measured. The
// link entries themselves are not listed. A link without its record, or a record
// without a link, is an error of class ErrDamaged.
func Chain(mbr *Record, ebrs ...*Record) ([]Extent, error) {
	var out []Extent
	ebr1 := int64(ebr1Default)
	linked := len(ebrs) > 0
	if mbr != nil {
		linked = false
		for i, e := range mbr.Entries {
			if e.Type == typeLink {
				ebr1, linked = int64(e.Start)*Sector, true
			} else if e.Type != 0 {
				out = append(out, extent("MBR", i, i+1, 0, ebr1, e))
			}
		}
	}
	at, number := ebr1, 5
	for k, r := range ebrs {
		if !linked {
			return nil, chainError(r.File, fmt.Sprintf("EBR%d, to which no record leads", k+1), "a link of type 05")
		}
		linked = false
		here := at
		for i, e := range r.Entries {
			switch {
			case e.Type == typeLink && i > 0:
				at, linked = ebr1+int64(e.Start)*Sector, true
			case e.Type != 0:
				out = append(out, extent(fmt.Sprintf("EBR%d", k+1), i, number, here, ebr1, e))
				number++
			}
		}
	}
	if linked && len(ebrs) > 0 {
		return out, chainError(ebrs[len(ebrs)-1].File, fmt.Sprintf("a link to an EBR%d", len(ebrs)+1), "that record too")
	}
	return out, nil
}

func chainError(file, found, want string) error {
	return &mtkport.Error{File: file, Off: recordTable, Field: "partition records", Found: found, Want: want, Err: mtkport.ErrDamaged}
}

func extent(record string, slot, number int, base, ebr1 int64, e RecordEntry) Extent {
	x := Extent{Record: record, Slot: slot, Number: number, Start: Logical(base + int64(e.Start)*Sector), Size: int64(e.Count) * Sector, Empty: e.Count == 0}
	// the generator writes 0xFFFFFFFF less the distance from EBR1 for "to the end"
	if dist := (int64(x.Start) - ebr1) / Sector; e.Count == toEndCount || int64(e.Count) == toEndCount-dist || int64(e.Count) == toEndCount-int64(e.Start) {
		x.Size, x.ToEnd = 0, true
	}
	return x
}

// FindMBR looks for MediaTek's MBR in a dump of the user area, or of the whole
// chip, and returns its offset. It reads one sector at each multiple of 0x20000
// below 0x2000000, the places that region sizes can shift it to.
func FindMBR(r io.ReaderAt, size int64) (int64, bool) {
	var b [Sector]byte
	for at := int64(0); at < 0x2000000 && at+Sector <= size; at += 0x20000 {
		if _, err := r.ReadAt(b[:], at); err != nil && err != io.EOF {
			return -1, false
		}
		rec, err := ParseRecord(b[:], "")
		if err == nil && rec.Entries[0] == (RecordEntry{Type: typeLink, Start: ebr1Default / Sector, Count: toEndCount}) {
			return at, true
		}
	}
	return -1, false
}
