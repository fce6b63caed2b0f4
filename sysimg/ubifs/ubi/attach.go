package ubi

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"

	"mtkport"
)

// Geometry is how an image lies on the flash. All sizes in bytes.
type Geometry struct {
	PEBSize    int    `json:"peb_size"`    // physical eraseblock
	VIDOffset  int    `json:"vid_offset"`  // of the second header in a PEB: one page, or one sub-page
	DataOffset int    `json:"data_offset"` // of the LEB in a PEB
	ImageSeq   uint32 `json:"image_seq"`   // the same in every PEB of one image
	Spare      Spare  `json:"-"`           // interleaved in the file that was read; writers make none
}

// LEBSize is what a PEB has room for.
func (g Geometry) LEBSize() int { return g.PEBSize - g.DataOffset }

// Image is an attached UBI image.
type Image struct {
	geo      Geometry
	r        io.ReaderAt // main bytes only
	size     int64
	start    int64 // of PEB 0
	pebs     int
	volumes  []*Volume
	problems []mtkport.Finding
	sound    bool // the volume table was read
}

// Geometry returns sizes and offsets.
func (m *Image) Geometry() Geometry { return m.geo }

// Volumes lists the volumes by id.
func (m *Image) Volumes() []*Volume { return m.volumes }

// Problems lists what was broken or missing; none of it kept the rest from
// being read.
func (m *Image) Problems() []mtkport.Finding { return m.problems }

func (m *Image) problem(code string, off int64, format string, args ...any) {
	if len(m.problems) >= 1000 { // a hostile image must not fill memory with complaints
		return
	}
	m.problems = append(m.problems, mtkport.Finding{
		Code: code, Severity: mtkport.Risk, Text: fmt.Sprintf(format, args...),
		Evidence: []mtkport.Evidence{{Off: mtkport.At(off), Value: code}},
	})
}

// Open attaches the UBI image r of size bytes. It tries the file as it is, then
// with each interleaving of [Spares]. The error has class ErrFormat when no
// layout shows one valid header of a LEB.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	var first *Image
	for _, s := range append([]Spare{{}}, Spares()...) {
		img := attach(r, size, s)
		if img == nil {
			continue
		}
		if img.sound {
			return img, nil
		}
		if first == nil {
			first = img
		}
	}
	if first == nil {
		return nil, &mtkport.Error{Off: 0, Field: "UBI headers", Found: "none that belong together",
			Want: "\"UBI#\" at the start of each eraseblock", Err: mtkport.ErrFormat}
	}
	return first, nil
}

// attach is Open for one interleaving; nil when nothing fits.
func attach(r io.ReaderAt, size int64, s Spare) *Image {
	main, n := s.Strip(r, size)
	m := &Image{r: main, size: n}
	if !m.measure() {
		return nil
	}
	m.geo.Spare = s
	found := m.scan()
	if len(found) == 0 {
		return nil
	}
	m.build(found)
	return m
}

// measure finds the PEB size: the distance between erase counter headers, which
// all name the same offsets.
func (m *Image) measure() bool {
	const step, enough = 8 << 10, 24
	buf := make([]byte, hdrSize)
	first, gap, n := int64(-1), int64(0), 0
	for off := int64(0); off+hdrSize <= m.size && off < 256<<20 && n < enough; off += step {
		if _, err := m.r.ReadAt(buf, off); err != nil {
			break
		}
		h, ok := parseEC(buf)
		if !ok || h.vidOffset < hdrSize || h.dataOffset < h.vidOffset+hdrSize || h.dataOffset >= maxPEB/2 {
			continue
		}
		if n++; first < 0 {
			first = off
			m.geo.VIDOffset, m.geo.DataOffset, m.geo.ImageSeq = int(h.vidOffset), int(h.dataOffset), h.imageSeq
			continue
		}
		gap = gcd(gap, off-first)
	}
	if n == 1 {
		gap = m.size - first // a lone eraseblock
	}
	if n == 0 || gap < minPEB || gap > maxPEB || int64(m.geo.DataOffset) >= gap {
		return false
	}
	m.geo.PEBSize = int(gap)
	m.start = first % gap
	m.pebs = int((m.size - m.start + gap - 1) / gap)
	return true
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// block is one PEB that holds a LEB.
type block struct {
	off int64 // of the LEB's data in main bytes
	vid vidHeader
}

type lebKey struct{ vol, lnum uint32 }

// scan reads the headers of all PEBs and keeps the winner for each LEB.
func (m *Image) scan() map[lebKey]block {
	found := map[lebKey]block{}
	buf := make([]byte, hdrSize)
	if near := m.geo.VIDOffset + hdrSize; near <= 2<<10+hdrSize {
		buf = make([]byte, near)
	}
	for i := range m.pebs {
		off := m.start + int64(i)*int64(m.geo.PEBSize)
		b, ok := m.header(off, buf)
		if !ok {
			continue
		}
		k := lebKey{b.vid.volID, b.vid.lnum}
		if old, ok := found[k]; ok {
			b = m.newer(old, b)
		}
		found[k] = b
	}
	return found
}

// header reads both headers of the PEB at off, at once when they lie close.
func (m *Image) header(off int64, buf []byte) (block, bool) {
	at := off + int64(m.geo.VIDOffset)
	ec, vid := buf[:hdrSize], buf[len(buf)-hdrSize:]
	_, err := m.r.ReadAt(buf, off)
	if len(buf) == hdrSize && err == nil {
		ec = bytes.Clone(ec)
		_, err = m.r.ReadAt(vid, at)
	}
	if err != nil {
		m.problem("ubi-cut", off, "the image ends inside an eraseblock")
		return block{}, false
	}
	if _, ok := parseEC(ec); !ok && !erased(ec) {
		m.problem("ubi-bad-ec", off, "the erase counter header is broken")
	}
	v, ok := parseVID(vid)
	if !ok {
		if !erased(vid) {
			m.problem("ubi-bad-vid", at, "the volume header is broken: the block it names is lost")
		}
		return block{}, false
	}
	if int64(v.dataPad) >= int64(m.geo.LEBSize()) || v.volID >= maxVolumes && v.volID < layoutID {
		m.problem("ubi-bad-vid", at, "the volume header has volume %d, pad %d", v.volID, v.dataPad)
		return block{}, false
	}
	return block{off + int64(m.geo.DataOffset), v}, true
}

// newer chooses between two PEBs that claim the same LEB.
func (m *Image) newer(a, b block) block {
	if b.vid.sqnum < a.vid.sqnum {
		a, b = b, a
	}
	if b.vid.copied && !m.dataGood(b) {
		return a
	}
	return b
}

func (m *Image) dataGood(b block) bool {
	if int64(b.vid.dataSize) > int64(m.geo.LEBSize()) {
		return false
	}
	data := make([]byte, b.vid.dataSize)
	if _, err := m.r.ReadAt(data, b.off); err != nil {
		return false
	}
	return CRC(data) == b.vid.dataCRC
}

// build sorts the blocks into volumes and names these by the volume table.
func (m *Image) build(found map[lebKey]block) {
	vols := map[uint32]*Volume{}
	blocks := map[int]map[int]block{} // by volume and LEB
	for k, b := range found {
		if k.vol >= layoutID { // the table itself, fastmap
			continue
		}
		v := vols[k.vol]
		if v == nil {
			v = &Volume{ID: int(k.vol), img: m, Static: b.vid.volType == typeStatic}
			v.LEBSize = m.geo.LEBSize() - int(b.vid.dataPad)
			vols[k.vol], blocks[v.ID] = v, map[int]block{}
		}
		blocks[v.ID][int(k.lnum)] = b
		v.LEBs = max(v.LEBs, int(k.lnum)+1)
	}
	m.name(vols, m.table(found))
	for _, id := range slices.Sorted(maps.Keys(vols)) {
		vols[id].finish(blocks[int(id)])
		m.volumes = append(m.volumes, vols[id])
	}
}

// table reads the better of the two copies of the volume table.
func (m *Image) table(found map[lebKey]block) map[uint32]record {
	var best map[uint32]record
	good := -1
	rows := min(maxVolumes, m.geo.LEBSize()/recordSize)
	buf := make([]byte, rows*recordSize)
	for lnum := range uint32(layoutLEBs) {
		b, ok := found[lebKey{layoutID, lnum}]
		if !ok {
			continue
		}
		if _, err := m.r.ReadAt(buf, b.off); err != nil {
			continue
		}
		rec, n := map[uint32]record{}, 0
		for i := range rows {
			r, ok := parseRecord(buf[i*recordSize:])
			if !ok {
				continue
			}
			if n++; r.reserved != 0 {
				rec[uint32(i)] = r
			}
		}
		if n > good {
			best, good = rec, n
		}
	}
	m.sound = good == rows
	if !m.sound {
		m.problem("ubi-bad-table", 0, "the volume table is missing or broken: %d of %d rows are good", max(good, 0), rows)
	}
	return best
}

func (m *Image) name(vols map[uint32]*Volume, table map[uint32]record) {
	for id, r := range table {
		v := vols[id]
		if v == nil {
			v = &Volume{ID: int(id), img: m, LEBSize: m.geo.LEBSize()}
			if int64(r.dataPad) < int64(v.LEBSize) {
				v.LEBSize -= int(r.dataPad)
			}
			vols[id] = v
		}
		v.Name, v.LEBs = r.name, max(v.LEBs, int(r.reserved))
		v.Static, v.Alignment = r.volType == typeStatic, int(r.alignment)
		v.Autoresize = r.flags&autoresizeFlg != 0
		if r.updating {
			m.problem("ubi-update", 0, "volume %q was being updated when the power went: its contents are not whole", r.name)
		}
	}
	for id, v := range vols {
		if _, ok := table[id]; !ok {
			v.Name = fmt.Sprintf("volume%d", id)
			m.problem("ubi-no-row", 0, "volume %d is not in the volume table", id)
		}
	}
}
