package da

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"mtkport"
)

// The container's constants. Source: mtkclient, public C implementations.
const (
	containerID    = "MTK_DOWNLOAD_AGENT"
	infoMagic      = 0x22668899
	entryMagic     = 0xDADA
	headSize       = 0x6C
	strideNew      = 0xDC
	strideOld      = 0xD8 // without sw_version and the word after it
	maxEntries     = 128  // AllInOne files of the time hold fewer than 40
	maxRegions     = 10
	maxStage       = 4 << 20 // a stage is some 100 KiB
	maxDescription = 64
)

// Container is a parsed MTK_AllInOne_DA.bin.
type Container struct {
	Description string
	Version     uint32
	Entries     []Entry
	src         io.ReaderAt
}

// Entry is the agent for one chip.
type Entry struct {
	HWCode, HWSub, HWVer, SWVer uint16
	First                       int // index of stage 1 in Regions
	Regions                     []Region
	src                         io.ReaderAt
}

// Region is one loadable part of an entry. Length includes the signature, which
// is its last SigLen bytes.
type Region struct {
	Offset, Length, Addr, SigOff, SigLen uint32
}

// rawHead is the start of the file, little-endian.
type rawHead struct {
	ID          [32]byte
	Description [maxDescription]byte
	Version     uint32
	Magic       uint32
	Count       uint32
}

// Open parses a container. It returns ErrFormat for another kind of file and
// ErrDamaged for one whose entries run past its end.
func Open(r io.ReaderAt, size int64) (*Container, error) {
	buf := make([]byte, headSize)
	if size < headSize {
		return nil, notDA(fmt.Sprintf("%d bytes", size), "at least 108")
	}
	if _, err := r.ReadAt(buf, 0); err != nil {
		return nil, err
	}
	var h rawHead
	if _, err := binary.Decode(buf, binary.LittleEndian, &h); err != nil {
		return nil, err
	}
	if id := text(h.ID[:]); !strings.HasPrefix(id, containerID) {
		return nil, notDA(quoted(id), containerID)
	}
	if h.Magic != infoMagic || h.Count == 0 || h.Count > maxEntries {
		return nil, &mtkport.Error{Off: 0x64, Field: "info magic, entry count", Found: fmt.Sprintf("0x%x, %d", h.Magic, h.Count),
			Want: fmt.Sprintf("0x%x, 1…%d", infoMagic, maxEntries), Err: mtkport.ErrDamaged}
	}
	c := &Container{Description: text(h.Description[:]), Version: h.Version, src: r}
	return c, c.entries(size, int(h.Count))
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// quoted shows a text for people, and only says that noise is there.
func quoted(s string) string {
	for _, c := range s {
		if c < ' ' || c > '~' {
			return "other bytes"
		}
	}
	return fmt.Sprintf("%q", s)
}

func notDA(found, want string) error {
	return &mtkport.Error{Off: 0, Field: "identifier", Found: found, Want: want, Err: mtkport.ErrFormat,
		Hint: "this is no download agent file (SP Flash Tool: S_INVALID_DA_FILE, 5002); take MTK_AllInOne_DA.bin out of an SP Flash Tool 3.x or 5.14xx-5.15xx package"}
}

// entries tries the stride that the second entry's magic shows. A file with a
// single entry shows none: there the form whose fields make sense is taken.
func (c *Container) entries(size int64, count int) error {
	strides := []int64{strideNew, strideOld}
	var magic [2]byte
	if _, err := c.src.ReadAt(magic[:], headSize+strideOld); err == nil && binary.LittleEndian.Uint16(magic[:]) == entryMagic && count > 1 {
		strides = []int64{strideOld}
	}
	var err error
	for _, stride := range strides {
		if err = c.parse(size, count, stride); err == nil {
			return nil
		}
	}
	return err
}

func (c *Container) parse(size int64, count int, stride int64) error {
	c.Entries = c.Entries[:0]
	for i := range count {
		off := headSize + int64(i)*stride
		b := make([]byte, stride)
		if off+stride > size {
			return damaged(off, "entry", "the end of the file", fmt.Sprintf("entry %d of %d", i+1, count))
		}
		if _, err := c.src.ReadAt(b, off); err != nil {
			return err
		}
		e, err := parseEntry(b, off, size)
		if err != nil {
			return err
		}
		e.src = c.src
		c.Entries = append(c.Entries, e)
	}
	return nil
}

func damaged(off int64, field, found, want string) error {
	return &mtkport.Error{Off: off, Field: field, Found: found, Want: want, Err: mtkport.ErrDamaged,
		Hint: "the file is cut or altered; fetch it again"}
}

func parseEntry(b []byte, off, size int64) (Entry, error) {
	le := binary.LittleEndian
	var e Entry
	if m := le.Uint16(b); m != entryMagic {
		return e, damaged(off, "entry magic", fmt.Sprintf("0x%04x", m), "0xdada")
	}
	e.HWCode, e.HWSub, e.HWVer = le.Uint16(b[2:]), le.Uint16(b[4:]), le.Uint16(b[6:])
	rest := b[8:]
	if len(b) == strideNew {
		e.SWVer, rest = le.Uint16(rest), rest[4:]
	}
	rest = rest[4:] // feature set
	e.First = int(le.Uint16(rest))
	n := int(le.Uint16(rest[2:]))
	if n < 1 || n > maxRegions || e.First >= n {
		return e, damaged(off, "regions", fmt.Sprintf("%d, first %d", n, e.First), "1…10, first among them")
	}
	for i := range n {
		var r Region
		if _, err := binary.Decode(rest[4+20*i:4+20*i+20], le, &r); err != nil {
			return e, err
		}
		if int64(r.Offset)+int64(r.Length) > size || r.Length > maxStage || r.SigLen > r.Length {
			return e, damaged(off, fmt.Sprintf("region %d", i), fmt.Sprintf("0x%x + 0x%x bytes, signature 0x%x", r.Offset, r.Length, r.SigLen), fmt.Sprintf("inside the file of 0x%x bytes", size))
		}
		e.Regions = append(e.Regions, r)
	}
	return e, nil
}

// Chips lists the hardware codes that the file has agents for, sorted.
func (c *Container) Chips() []uint16 {
	var out []uint16
	for _, e := range c.Entries {
		out = append(out, e.HWCode)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Choose finds the entry for a chip: the first of its code that is not newer
// than the chip's versions (a version of 0 fits any).
func (c *Container) Choose(hwCode, hwVer, swVer uint16) (Entry, error) {
	same := false
	for _, e := range c.Entries {
		if e.HWCode != hwCode {
			continue
		}
		same = true
		if (hwVer == 0 || e.HWVer <= hwVer) && (swVer == 0 || e.SWVer <= swVer) && e.First+1 < len(e.Regions) {
			return e, nil
		}
	}
	have := make([]string, 0, 40)
	for _, code := range c.Chips() {
		have = append(have, fmt.Sprintf("MT%04x", code))
	}
	e := &mtkport.Error{Off: mtkport.NoOffset, Field: "agent", Found: "agents for " + strings.Join(have, " "), Want: fmt.Sprintf("one for MT%04x", hwCode), Err: mtkport.ErrUnsupported,
		Hint: "this file has no agent for the phone's chip; the MT6572 is in the V3 files of SP Flash Tool 3.x and 5.14xx-5.15xx, newer ones dropped it"}
	if same {
		e.Found, e.Want = "only agents for newer revisions of the chip", fmt.Sprintf("one for hw 0x%04x sw 0x%04x", hwVer, swVer)
	}
	return Entry{}, e
}

// Stage1 returns the part that goes through SEND_DA.
func (e Entry) Stage1() Region { return e.Regions[e.First] }

// Stage2 returns the part that stage 1 takes.
func (e Entry) Stage2() Region { return e.Regions[e.First+1] }

// Bytes reads a region, signature included.
func (e Entry) Bytes(r Region) ([]byte, error) {
	b := make([]byte, r.Length) // at most maxStage, checked at parsing
	_, err := e.src.ReadAt(b, int64(r.Offset))
	return b, err
}
