package scatter

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"mtkport"
)

// PMT is the partition table that the flash tool keeps on the phone. Where it is
// present, preloader, lk and kernel take it before their compiled table.
type PMT struct {
	Version string // 1.0 or 1.1 on eMMC; NAND for the form without a version
	Mirror  bool   // read from the second copy
	Entries []PMTEntry
}

// PMTEntry is one partition. On MT6572 the offset is linear.
type PMTEntry struct {
	Name   string
	Size   int64 // bytes
	Offset Linear
	PartID uint64 // 1.1 only
	Mask   uint64
}

const (
	pmtSig    = 0x50547631 // "1vTP" on flash
	pmtMirror = 0x4D505431
	pmtSize   = 4096 // bytes of one copy on eMMC
	pmtInfo   = 0xFF8
	pmtMax    = 40
	pmtName   = 64
)

// pmtShape is the form of an entry: its size in bytes, and where the fields are.
type pmtShape struct {
	stride, size, off, id, mask, word int
}

var (
	shapeNAND = pmtShape{stride: 76, size: 64, off: 68, mask: 72, word: 4}
	shape10   = pmtShape{stride: 88, size: 64, off: 72, mask: 80, word: 8}
	shape11   = pmtShape{stride: 96, size: 64, id: 72, off: 80, mask: 88, word: 8}
)

// ParsePMT reads the area of the PMT: 4096 bytes of the main copy and, where the
// main copy is broken, 4096 of the mirror behind it. A NAND's page, which has no
// version and no signature at its end, is read too. The error is of class
// ErrFormat where no copy begins with a signature, ErrDamaged where copies are
// broken.
func ParsePMT(b []byte, name string) (*PMT, error) {
	var first error
	for i, want := range []uint32{pmtSig, pmtMirror} {
		at := i * pmtSize
		if len(b) < at+8 {
			break
		}
		sig := binary.LittleEndian.Uint32(b[at:])
		if sig != want && (i > 0 || sig != pmtMirror) {
			continue
		}
		p, err := parseCopy(b[at:], sig)
		if err == nil {
			p.Mirror = sig == pmtMirror
			return p, nil
		}
		if first == nil {
			first = mtkport.InFile(err, name)
		}
	}
	if first == nil {
		first = &mtkport.Error{File: name, Off: 0, Field: "PMT signature", Found: fmt.Sprintf("% x", b[:min(len(b), 4)]), Want: "31 76 54 50", Err: mtkport.ErrFormat}
	}
	return nil, first
}

func parseCopy(b []byte, sig uint32) (*PMT, error) {
	shape, version, entries := shapeNAND, "NAND", b[4:]
	switch v := string(b[4:8]); v {
	case "1.0\x00", "1.1\x00":
		if len(b) < pmtSize {
			return nil, pmtError(int64(len(b)), fmt.Sprintf("%d bytes", len(b)), "4096")
		}
		if tail := binary.LittleEndian.Uint32(b[pmtSize-4:]); tail != sig {
			return nil, pmtError(pmtSize-4, fmt.Sprintf("0x%08x", tail), fmt.Sprintf("0x%08x, the signature again", sig))
		}
		shape, version, entries = shape10, v[:3], b[8:pmtInfo]
		if version == "1.1" {
			shape = shape11
		}
	}
	list, err := readEntries(entries, shape)
	return &PMT{Version: version, Entries: list}, err
}

func pmtError(off int64, found, want string) error {
	return &mtkport.Error{Off: off, Field: "PMT", Found: found, Want: want, Err: mtkport.ErrDamaged}
}

// readEntries reads until a name begins with 00 or FF.
func readEntries(b []byte, s pmtShape) ([]PMTEntry, error) {
	var out []PMTEntry
	for at := 0; at+s.stride <= len(b) && b[at] != 0 && b[at] != 0xff; at += s.stride {
		raw := b[at : at+s.stride]
		name, _, ended := bytes.Cut(raw[:pmtName], []byte{0})
		e := PMTEntry{Name: string(name), Size: s.int(raw, s.size), Offset: Linear(s.int(raw, s.off)), Mask: uint64(s.int(raw, s.mask))}
		if s.id > 0 {
			e.PartID = uint64(s.int(raw, s.id))
		}
		if !ended || !printable(name) || e.Size < 0 || e.Offset < 0 || e.Size >= maxAddress || e.Offset >= maxAddress {
			return nil, pmtError(int64(at), fmt.Sprintf("entry %d: %.20q, size 0x%x, offset 0x%x", len(out), name, e.Size, int64(e.Offset)), "a printable name and sane numbers")
		}
		if len(out) == pmtMax {
			return nil, pmtError(int64(at), "one more entry", "at most 40")
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, pmtError(0, "no entry", "a partition name")
	}
	return out, nil
}

func (s pmtShape) int(raw []byte, at int) int64 {
	if s.word == 4 {
		return int64(binary.LittleEndian.Uint32(raw[at:]))
	}
	return int64(binary.LittleEndian.Uint64(raw[at:]))
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(b) > 0
}

// ParseEntries reads the table as the download agent reports it: entries without
// signature, of 76, 88 or 96 bytes. The form is the one in which every name is
// printable, offsets do not fall, and a name known from every phone is there;
// of several, the one with the most entries: the first entry reads well in all.
func ParseEntries(b []byte, name string) (*PMT, error) {
	var best *PMT
	for _, c := range []struct {
		shape   pmtShape
		version string
	}{{shape11, "1.1"}, {shape10, "1.0"}, {shapeNAND, NAND}} {
		if len(b)%c.shape.stride != 0 && !bytes.ContainsAny(b[len(b)-len(b)%c.shape.stride:], "\x00\xff") {
			continue
		}
		list, err := readEntries(b, c.shape)
		if err == nil && plausible(list) && (best == nil || len(list) > len(best.Entries)) {
			best = &PMT{Version: c.version, Entries: list}
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, &mtkport.Error{File: name, Off: 0, Field: "partition table", Found: fmt.Sprintf("%d bytes that fit no entry size", len(b)),
		Want: "entries of 76, 88 or 96 bytes", Err: mtkport.ErrFormat}
}

func plausible(list []PMTEntry) bool {
	known, last := false, Linear(-1)
	for _, e := range list {
		if e.Offset < last && e.Offset < tagBase {
			return false
		}
		last = max(last, e.Offset)
		c := canonical(e.Name)
		known = known || c == "preloader" || c == "mbr" || c == "nvram"
	}
	return known
}

// Bytes writes the table in the form of its version: 4096 bytes on eMMC (the
// mirror's signature when Mirror is set), entries behind the signature on NAND.
func (p *PMT) Bytes() ([]byte, error) {
	shape, sig := shape10, uint32(pmtSig)
	if p.Mirror {
		sig = pmtMirror
	}
	b := make([]byte, pmtSize)
	binary.LittleEndian.PutUint32(b, sig)
	at := 8
	switch p.Version {
	case "1.0", "1.1":
		copy(b[4:], p.Version)
		binary.LittleEndian.PutUint32(b[pmtSize-4:], sig)
		if p.Version == "1.1" {
			shape = shape11
		}
	default:
		shape, at = shapeNAND, 4
	}
	for _, e := range p.Entries {
		if at+shape.stride > pmtInfo || len(e.Name) >= pmtName || (shape.word == 4 && (e.Size|int64(e.Offset)) >= 1<<32) {
			return nil, &mtkport.Error{Off: int64(at), Field: "PMT " + e.Name, Found: fmt.Sprintf("%d entries", len(p.Entries)), Want: "what fits in 4096 bytes", Err: mtkport.ErrTooBig}
		}
		raw := b[at : at+shape.stride]
		copy(raw, e.Name)
		shape.put(raw, shape.size, uint64(e.Size))
		shape.put(raw, shape.off, uint64(e.Offset))
		shape.put(raw, shape.mask, e.Mask)
		if shape.id > 0 {
			shape.put(raw, shape.id, e.PartID)
		}
		at += shape.stride
	}
	return b, nil
}

func (s pmtShape) put(raw []byte, at int, v uint64) {
	if s.word == 4 {
		binary.LittleEndian.PutUint32(raw[at:], uint32(v))
		return
	}
	binary.LittleEndian.PutUint64(raw[at:], v)
}
