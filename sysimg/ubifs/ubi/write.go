package ubi

import (
	"fmt"
	"io"
	"slices"

	"mtkport"
)

// Growing as DataLEBs lets the last volume hold as many LEBs as are written.
const Growing = -1

// VolumeSpec is a volume to write.
type VolumeSpec struct {
	ID         int // 0 to 127
	Name       string
	LEBs       int  // to reserve; at least DataLEBs
	DataLEBs   int  // how many the image holds; [Growing] for the last volume: as many as are written
	Static     bool // Size says how long the contents are
	Size       int64
	Autoresize bool // at most one volume
	Alignment  int  // 0 counts as 1
}

// Writer lays volumes into an image. LEBs are written in any order, each at most
// once; Close writes what is left: the volume table and the headers of empty
// blocks.
type Writer struct {
	w     io.WriterAt
	geo   Geometry
	vols  []VolumeSpec
	first []int // PEB of LEB 0 of each volume
	pebs  int
	have  []bool // PEBs written
	buf   []byte
}

// NewWriter begins an image of the given volumes, which lie in it in this order.
// The errors have class ErrRefused: a geometry or a volume that UBI cannot hold.
func NewWriter(w io.WriterAt, g Geometry, vols []VolumeSpec) (*Writer, error) {
	if g.PEBSize < minPEB || g.PEBSize > maxPEB || g.VIDOffset < hdrSize ||
		g.DataOffset < g.VIDOffset+hdrSize || g.LEBSize() < recordSize {
		return nil, refuse("geometry", fmt.Sprintf("PEB %d, headers at 0 and %d, data at %d", g.PEBSize, g.VIDOffset, g.DataOffset),
			"headers and data inside an eraseblock of 16 KiB to 16 MiB")
	}
	u := &Writer{w: w, geo: g, vols: slices.Clone(vols), pebs: layoutLEBs, buf: make([]byte, g.PEBSize)}
	for i, v := range vols {
		if err := u.check(i, v); err != nil {
			return nil, err
		}
		u.first = append(u.first, u.pebs)
		u.pebs += max(v.DataLEBs, 0)
	}
	u.have = make([]bool, u.pebs)
	return u, nil
}

func refuse(field, found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrRefused}
}

func (u *Writer) check(i int, v VolumeSpec) error {
	twice := slices.ContainsFunc(u.vols[:i], func(o VolumeSpec) bool { return o.ID == v.ID || o.Name == v.Name })
	switch rows := min(maxVolumes, u.geo.LEBSize()/recordSize); {
	case twice || v.ID < 0 || v.ID >= rows:
		return refuse("volume "+v.Name, fmt.Sprintf("id %d", v.ID), fmt.Sprintf("ids below %d, no id and no name twice", rows))
	case v.Name == "" || len(v.Name) > maxNameLen:
		return refuse("volume name", fmt.Sprintf("%d bytes", len(v.Name)), "1 to 127 bytes")
	case v.DataLEBs < Growing || v.DataLEBs == Growing && (i != len(u.vols)-1 || v.Static) || v.LEBs < max(v.DataLEBs, 1):
		return refuse("volume "+v.Name, fmt.Sprintf("%d blocks reserved for %d", v.LEBs, v.DataLEBs), "room for all")
	case v.Alignment < 0 || v.Alignment > u.geo.LEBSize():
		return refuse("volume alignment", fmt.Sprint(v.Alignment), "at most a LEB")
	}
	return nil
}

func (v VolumeSpec) pad(leb int) int {
	if v.Alignment <= 1 {
		return 0
	}
	return leb % v.Alignment
}

// Size is the length of the image in bytes.
func (u *Writer) Size() int64 { return int64(u.pebs) * int64(u.geo.PEBSize) }

// WriteLEB writes LEB lnum of volume number i of the list. Bytes after data are
// erased; a LEB of nothing but 0xff becomes an erased block.
func (u *Writer) WriteLEB(i, lnum int, data []byte) error {
	v := u.vols[i]
	pad := v.pad(u.geo.LEBSize())
	if v.DataLEBs == Growing && lnum >= 0 && lnum < maxLEBs {
		u.grow(u.first[i] + lnum + 1)
		v.DataLEBs = lnum + 1
	}
	if lnum < 0 || lnum >= v.DataLEBs || len(data) > u.geo.LEBSize()-pad {
		return refuse("LEB", fmt.Sprintf("number %d of %d bytes", lnum, len(data)), fmt.Sprintf("below %d, at most %d bytes", v.DataLEBs, u.geo.LEBSize()-pad))
	}
	h := vidHeader{volType: typeDynamic, volID: uint32(v.ID), lnum: uint32(lnum), dataPad: uint32(pad)}
	if v.Static {
		h.volType, h.usedLEBs = typeStatic, uint32(v.DataLEBs)
		h.dataSize, h.dataCRC = uint32(len(data)), CRC(data)
	} else if erased(data) {
		return u.erased(u.first[i] + lnum)
	}
	return u.peb(u.first[i]+lnum, &h, data)
}

// maxLEBs bounds a volume: a million blocks.
const maxLEBs = 1 << 20

func (u *Writer) grow(pebs int) {
	for u.pebs < pebs {
		u.have = append(u.have, false)
		u.pebs++
	}
}

// Reserve sets how many LEBs volume number i of the list has in the volume table,
// for one whose need is known only at the end.
func (u *Writer) Reserve(i, lebs int) { u.vols[i].LEBs = max(lebs, u.pebs-u.first[i]) }

func (u *Writer) erased(peb int) error { return u.peb(peb, nil, nil) }

// peb writes one eraseblock; a nil h makes it a free one. What headers and data
// do not fill stays erased.
func (u *Writer) peb(n int, h *vidHeader, data []byte) error {
	for i := range u.buf {
		u.buf[i] = 0xff
	}
	ecHeader{0, uint32(u.geo.VIDOffset), uint32(u.geo.DataOffset), u.geo.ImageSeq}.put(u.buf)
	if h != nil {
		h.put(u.buf[u.geo.VIDOffset:])
		copy(u.buf[u.geo.DataOffset:], data)
	}
	u.have[n] = true
	_, err := u.w.WriteAt(u.buf, int64(n)*int64(u.geo.PEBSize))
	return err
}

// Close writes the volume table and every block that no LEB was written to.
func (u *Writer) Close() error {
	table := u.table()
	for lnum := range layoutLEBs {
		h := vidHeader{volType: typeDynamic, compat: compatReject, volID: layoutID, lnum: uint32(lnum)}
		if err := u.peb(lnum, &h, table); err != nil {
			return err
		}
	}
	for n, ok := range u.have {
		if !ok {
			if err := u.erased(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *Writer) table() []byte {
	rows := min(maxVolumes, u.geo.LEBSize()/recordSize)
	table := make([]byte, rows*recordSize)
	for i := range rows {
		record{}.put(table[i*recordSize:])
	}
	for _, v := range u.vols {
		r := record{reserved: uint32(v.LEBs), alignment: uint32(max(v.Alignment, 1)), volType: typeDynamic, name: v.Name}
		r.dataPad = uint32(v.pad(u.geo.LEBSize()))
		if v.Static {
			r.volType = typeStatic
		}
		if v.Autoresize {
			r.flags = autoresizeFlg
		}
		r.put(table[v.ID*recordSize:])
	}
	return table
}

// Copy writes the first size bytes of r as the contents of volume number i.
func (u *Writer) Copy(i int, r io.ReaderAt, size int64) error {
	v := u.vols[i]
	leb := u.geo.LEBSize() - v.pad(u.geo.LEBSize())
	buf := make([]byte, leb)
	for lnum := 0; int64(lnum)*int64(leb) < size; lnum++ {
		at := int64(lnum) * int64(leb)
		part := buf[:min(int64(leb), size-at)]
		if n, err := r.ReadAt(part, at); n < len(part) {
			return err
		}
		if err := u.WriteLEB(i, lnum, part); err != nil {
			return err
		}
	}
	return nil
}

// CopyVolume writes what v holds as volume number i of the list.
func (u *Writer) CopyVolume(i int, v *Volume) error {
	buf := make([]byte, v.LEBSize)
	for _, lnum := range v.Mapped() {
		part := buf
		if v.Static {
			part = buf[:max(0, min(int64(len(buf)), v.Size()-int64(lnum)*int64(v.LEBSize)))]
		}
		if err := v.ReadLEB(part, lnum, 0); err != nil {
			return err
		}
		if err := u.WriteLEB(i, lnum, part); err != nil {
			return err
		}
	}
	return nil
}

// Specs describes vols, volumes of an opened image, for an image of geometry g
// that is to hold them again. One whose LEBs are numbered beyond what its image
// has room for, as in a damaged one, is refused.
func Specs(g Geometry, vols []*Volume) ([]VolumeSpec, error) {
	var out []VolumeSpec
	for _, v := range vols {
		n := 0
		if len(v.mapped) > 0 {
			n = v.mapped[len(v.mapped)-1] + 1
		}
		if n > v.img.pebs {
			return nil, refuse("volume "+v.Name, fmt.Sprintf("block number %d", n-1), fmt.Sprintf("fewer than the image's %d eraseblocks", v.img.pebs))
		}
		leb := g.LEBSize()
		if v.LEBSize > 0 {
			leb = v.LEBSize
		}
		out = append(out, VolumeSpec{
			ID: v.ID, Name: v.Name, LEBs: max(min(v.LEBs, maxLEBs), n, 1), DataLEBs: n,
			Static: v.Static, Autoresize: v.Autoresize, Alignment: v.Alignment, Size: int64(leb),
		})
	}
	return out, nil
}

// WriteVolumes writes an image of vols, volumes of an opened image, with the
// geometry g of that. It refuses what [Specs] does.
func WriteVolumes(w io.WriterAt, g Geometry, vols []*Volume) error {
	specs, err := Specs(g, vols)
	if err != nil {
		return err
	}
	u, err := NewWriter(w, g, specs)
	if err != nil {
		return err
	}
	for i, v := range vols {
		if err := u.CopyVolume(i, v); err != nil {
			return err
		}
	}
	return u.Close()
}
