package bootimg

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"mtkport"
)

// Layout of the MediaTek part header.
const (
	// PartHeaderSize is what a part header takes, in bytes.
	PartHeaderSize = 512

	partMagic      = 0x58881688 // bytes 88 16 88 58
	partExtMagic   = 0x58891689 // at byte 48, MT6580/6735 and later
	offPartSize    = 4
	offPartName    = 8
	lenPartName    = 32
	offPartExt     = 48
	offPartExtSize = 52
	offPartExtVer  = 56
)

// PartHeader is MediaTek's 512-byte header in front of a kernel, a ramdisk, lk
// or logo.
type PartHeader struct {
	Name     string // KERNEL, ROOTFS, RECOVERY, LK, LOGO; lower case on later chips; case is kept
	Size     uint32 // bytes behind the header, without padding
	Extended bool   // has the second magic of MT6580/6735 and later

	raw [PartHeaderSize]byte
}

// NewPartHeader makes a header of the old form, as all MT6572 tools write it:
// 0xFF behind the name. The size is set when the part is written. A name longer
// than 31 bytes is an error.
func NewPartHeader(name string) (*PartHeader, error) {
	p := &PartHeader{}
	for i := range p.raw {
		p.raw[i] = 0xff
	}
	binary.LittleEndian.PutUint32(p.raw[:], partMagic)
	return p.renamed(name)
}

// renamed returns a copy with another name, NUL padded.
func (p *PartHeader) renamed(name string) (*PartHeader, error) {
	if len(name) >= lenPartName || strings.ContainsRune(name, 0) {
		return nil, badValue("part name", name, fmt.Sprintf("at most %d bytes, no NUL", lenPartName-1))
	}
	c := *p
	clear(c.raw[offPartName : offPartName+lenPartName])
	copy(c.raw[offPartName:], name)
	c.Name = name
	return &c, nil
}

// sized returns a copy that counts size bytes.
func (p *PartHeader) sized(size uint32) *PartHeader {
	c := *p
	c.Size = size
	binary.LittleEndian.PutUint32(c.raw[offPartSize:], size)
	return &c
}

// Is reports whether the part is called name; case does not matter.
func (p *PartHeader) Is(name string) bool { return p != nil && strings.EqualFold(p.Name, name) }

// Form is "old" or "extended".
func (p *PartHeader) Form() string {
	if p.Extended {
		return "extended"
	}
	return "old"
}

// Bytes is the header as it is on the disk.
func (p *PartHeader) Bytes() []byte { return append([]byte(nil), p.raw[:]...) }

// parsePart reads a part header, or returns nil when b does not hold one.
func parsePart(b []byte) *PartHeader {
	if len(b) < PartHeaderSize || binary.LittleEndian.Uint32(b) != partMagic {
		return nil
	}
	p := &PartHeader{
		Name:     cstr(b[offPartName : offPartName+lenPartName]),
		Size:     binary.LittleEndian.Uint32(b[offPartSize:]),
		Extended: binary.LittleEndian.Uint32(b[offPartExt:]) == partExtMagic,
	}
	copy(p.raw[:], b)
	return p
}

// readPart looks for a part header at off; n is how many bytes lie there.
func readPart(r io.ReaderAt, off, n int64) (*PartHeader, error) {
	if n < PartHeaderSize {
		return nil, nil
	}
	var b [PartHeaderSize]byte
	if err := readAt(r, b[:], off); err != nil {
		return nil, err
	}
	return parsePart(b[:]), nil
}

// PartFile is a standalone file with a part header: lk.bin, logo.bin, a loose
// kernel, or a partition that was read back.
type PartFile struct {
	Part *PartHeader
	Size int64 // bytes of the whole file

	src   io.ReaderAt
	have  int64 // payload bytes that are there
	notes []mtkport.Finding
}

// OpenPart opens a file that begins with a MediaTek part header. The error is
// of class ErrFormat when there is none, and ErrDamaged when the file ends
// before the size that the header counts.
func OpenPart(r io.ReaderAt, size int64) (*PartFile, error) {
	p, err := readPart(r, 0, size)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, notPart(r, size)
	}
	if want := PartHeaderSize + int64(p.Size); want > size {
		return nil, &mtkport.Error{Off: offPartSize, Field: "part size", Found: fmt.Sprintf("%d", p.Size),
			Want: fmt.Sprintf("at most %d, what the file holds behind the header", size-PartHeaderSize),
			Hint: "the file is cut short: read it again from its source", Err: mtkport.ErrDamaged}
	}
	return &PartFile{Part: p, Size: size, src: r, have: int64(p.Size)}, nil
}

func notPart(r io.ReaderAt, size int64) error {
	b := peek(r, 16, size)
	e := &mtkport.Error{Off: 0, Field: "magic", Found: fmt.Sprintf("%x", b[:min(4, len(b))]), Want: "88168858, a MediaTek part header", Err: mtkport.ErrFormat}
	if strings.HasPrefix(string(b), secroMagic) {
		e.Hint = "this is secro: it has no part header and is never moved by a port"
	}
	return e
}

// Payload is what the header counts.
func (p *PartFile) Payload() *io.SectionReader {
	return io.NewSectionReader(p.src, PartHeaderSize, p.have)
}

// Rest is what follows the payload: padding of a partition that was read back,
// page padding of a porter's tool, or further parts.
func (p *PartFile) Rest() *io.SectionReader {
	off := PartHeaderSize + p.have
	return io.NewSectionReader(p.src, off, p.Size-off)
}

// Notes lists oddities.
func (p *PartFile) Notes() []mtkport.Finding { return p.notes }

// IsPart reports whether b, the start of a file, is a part header.
func IsPart(b []byte) bool { return len(b) >= 4 && binary.LittleEndian.Uint32(b) == partMagic }
