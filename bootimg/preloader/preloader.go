// Package preloader reads a MediaTek preloader: the first loader of the phone,
// as a file of a firmware package or as it lies in the boot region of the
// eMMC. It tells chip, board, build time and which memory chips the preloader
// can start. It only reads: a port never changes a preloader.
//
//	p, err := preloader.Open(r, size)
//	fmt.Println(p.Project, p.Chip, len(p.EMI))
//
// The board name in it ("preloader_a516_row.bin") is the truest name a phone
// has: it ties preloader, kernel and scatter together, whatever build.prop
// claims.
//
// Limits: the memory list is decoded for MTK_BLOADER_INFO_v11 (MT6572); of
// other versions only name and version are read. Facts: measured on MT6572
// preloaders of three phones and on MT6580/MT6592 ones.
package preloader

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strings"

	"mtkport"
)

const (
	// A boot region is at most 4 MiB on these phones; the loader lies in its
	// first half MiB, so nothing beyond is looked at.
	maxRead = 4 << 20

	gfhMagic  = 0x014d4d4d // "MMM\x01"
	infoTag   = "MTK_BLOADER_INFO_v"
	nameAt    = 0x1b // from infoTag
	nameLen   = 0x40
	binTag    = "MTK_BIN\x00"
	emiSize11 = 168
	maxEMI    = 64 // more entries than any list seen (6), and what v11 has room for
)

// Form is how the preloader lies in the input.
type Form string

// The forms.
const (
	FormFile Form = "file"        // begins with its GFH header
	FormEMMC Form = "emmc region" // EMMC_BOOT and BRLYT heads, GFH at 0x800
)

// Info is what a preloader says of its phone.
type Info struct {
	Form     Form
	Off      int64  // where the GFH header lies, bytes
	Len      int64  // length of the preloader by its header, bytes, signature included
	LoadAddr uint32 // 0x02007200 on MT6572
	Chip     string // "MT6572", or "" when not found
	Project  string // board name: "a516_row" of preloader_a516_row.bin
	File     string // the name it carries: "preloader_a516_row.bin"
	Built    string // YYYYMMDD-HHMMSS, or ""
	Version  string // of the information block: "v11"
	EMI      []EMI  // memory chips it can start; nil when the version is not v11
	Notes    []mtkport.Finding
}

// EMI is one memory chip of the list.
type EMI struct {
	Off    int64     // bytes in the input
	Type   uint32    // 0x202 eMMC MCP + LPDDR2, 0x102 NAND MCP + LPDDR2, 0x002 discrete DDR2
	ID     []byte    // start of the eMMC CID or the NAND id that selects the entry
	Ranks  [4]uint32 // DRAM bytes of each rank
	Vendor uint32    // DRAM vendor code
	Raw    []byte    // the whole record
}

// DRAM is the size of all ranks in bytes.
func (e EMI) DRAM() int64 {
	var n int64
	for _, r := range e.Ranks {
		n += int64(r)
	}
	return n
}

// Kind names the type.
func (e EMI) Kind() string {
	switch e.Type {
	case 0x202:
		return "eMMC + LPDDR2"
	case 0x102:
		return "NAND + LPDDR2"
	case 0x002:
		return "DDR2"
	}
	return fmt.Sprintf("type 0x%x", e.Type)
}

// Open reads a preloader of size bytes. It returns ErrFormat when the input is
// none, and ErrDamaged when its header promises more than there is.
func Open(r io.ReaderAt, size int64) (*Info, error) {
	b := make([]byte, min(size, maxRead))
	if n, err := r.ReadAt(b, 0); err != nil && (err != io.EOF || n < len(b)) {
		return nil, err
	}
	p := &Info{Form: FormFile}
	if bytes.HasPrefix(b, []byte("EMMC_BOOT\x00")) {
		p.Form = FormEMMC
		off, err := loaderOffset(b)
		if err != nil {
			return nil, err
		}
		p.Off = off
	}
	if err := p.header(b); err != nil {
		return nil, err
	}
	p.strings(b[p.Off : p.Off+p.Len])
	return p, nil
}

// loaderOffset reads the BRLYT head, which says where the loader begins.
func loaderOffset(b []byte) (int64, error) {
	if len(b) < 0x210 || !bytes.HasPrefix(b[0x200:], []byte("BRLYT\x00")) {
		return 0, &mtkport.Error{Off: 0x200, Field: "BRLYT", Found: "another mark or the end", Want: "BRLYT", Err: mtkport.ErrDamaged}
	}
	off := int64(binary.LittleEndian.Uint32(b[0x20c:]))
	if off >= int64(len(b)) {
		return 0, &mtkport.Error{Off: 0x20c, Field: "loader offset", Found: fmt.Sprintf("0x%x", off),
			Want: fmt.Sprintf("below 0x%x", len(b)), Err: mtkport.ErrDamaged}
	}
	return off, nil
}

// header reads GFH FILE_INFO: magic, size, type, name, …, load address at 0x1c,
// length at 0x20.
func (p *Info) header(b []byte) error {
	h := b[p.Off:]
	if len(h) < 56 || binary.LittleEndian.Uint32(h) != gfhMagic || !bytes.HasPrefix(h[8:], []byte("FILE_INFO\x00")) {
		return &mtkport.Error{Off: p.Off, Field: "GFH", Want: "MMM\\x01 and FILE_INFO", Found: "something else", Err: mtkport.ErrFormat,
			Hint: "a preloader begins with MMM\\x01 (file) or EMMC_BOOT (read back from the phone)"}
	}
	p.LoadAddr = binary.LittleEndian.Uint32(h[0x1c:])
	p.Len = int64(binary.LittleEndian.Uint32(h[0x20:]))
	if p.Len < 56 || p.Len > int64(len(h)) {
		return &mtkport.Error{Off: p.Off + 0x20, Field: "length", Found: fmt.Sprintf("%d", p.Len),
			Want: fmt.Sprintf("56 to %d", len(h)), Err: mtkport.ErrDamaged, Hint: "the file is cut short"}
	}
	return nil
}

var (
	chipRE  = regexp.MustCompile(`MT6[5-7][0-9][0-9]\x00`)
	builtRE = regexp.MustCompile(`20[0-9]{6}-[0-9]{6}`)
)

func (p *Info) strings(b []byte) {
	if m := chipRE.Find(b); m != nil {
		p.Chip = string(m[:6])
	}
	p.Built = string(builtRE.Find(b))
	i := bytes.Index(b, []byte(infoTag))
	if i < 0 {
		p.note("preloader-no-info", "no "+infoTag+"… block: board and memory are unknown")
		return
	}
	tail := b[i:]
	p.Version = "v" + cstring(tail[len(infoTag):min(len(tail), len(infoTag)+2)])
	if len(tail) >= nameAt+nameLen {
		p.File = cstring(tail[nameAt : nameAt+nameLen])
		p.Project = strings.TrimSuffix(strings.TrimPrefix(p.File, "preloader_"), ".bin")
	}
	if p.Version != "v11" {
		p.note("preloader-info-version", "information block "+p.Version+": its memory list is not decoded")
		return
	}
	p.emi(tail, p.Off+int64(i))
}

func (p *Info) emi(tail []byte, base int64) {
	j := bytes.Index(tail, []byte(binTag))
	if j < 0 || len(tail) < j+len(binTag)+4 {
		p.note("preloader-no-emi", "no memory list behind the information block")
		return
	}
	at := j + len(binTag)
	n := int64(binary.LittleEndian.Uint32(tail[at:]))
	at += 4
	if room := int64(len(tail)-at) / emiSize11; n > min(room, maxEMI) {
		p.note("preloader-emi-cut", fmt.Sprintf("the memory list says %d entries, %d fit", n, room))
		n = min(room, maxEMI)
	}
	for k := range n {
		raw := tail[at+int(k)*emiSize11:][:emiSize11]
		e := EMI{Off: base + int64(at) + k*emiSize11, Type: binary.LittleEndian.Uint32(raw), Raw: bytes.Clone(raw)}
		e.ID = bytes.Clone(raw[4 : 4+min(binary.LittleEndian.Uint32(raw[20:]), 16)])
		for i := range e.Ranks {
			e.Ranks[i] = binary.LittleEndian.Uint32(raw[144+4*i:])
		}
		e.Vendor = binary.LittleEndian.Uint32(raw[160:])
		p.EMI = append(p.EMI, e)
	}
}

func (p *Info) note(code, text string) {
	p.Notes = append(p.Notes, mtkport.Finding{Code: code, Severity: mtkport.Note, Subject: "preloader", Text: text})
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(bytes.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, b))
}
