package bootimg

import (
	"io"
	"strings"

	"mtkport"
)

// File is a boot image or a standalone part: whichever of the two is not nil.
type File struct {
	Image *Image
	Part  *PartFile
}

// OpenFile opens what [Open] or [OpenPart] opens, told apart by its magic. The
// error is of class ErrFormat when r is neither.
func OpenFile(r io.ReaderAt, size int64) (*File, error) {
	head := peek(r, 8, size)
	if IsPart(head) {
		p, err := OpenPart(r, size)
		return &File{Part: p}, err
	}
	m, err := Open(r, size)
	if err != nil && string(head) != Magic {
		e := notPart(r, size).(*mtkport.Error)
		e.Want = "ANDROID! or 88168858, a boot image or a MediaTek part"
		return nil, e
	}
	return &File{Image: m}, err
}

// Size is the size of the source in bytes.
func (f *File) Size() int64 {
	if f.Part != nil {
		return f.Part.Size
	}
	return f.Image.size
}

func (f *File) source() io.ReaderAt {
	if f.Part != nil {
		return f.Part.src
	}
	return f.Image.src
}

// payload is one stretch of the source that a person would call a file.
type payload struct {
	kind, file, is string
	off, n         int64
	part           *PartHeader
}

// partKind is the section name of a standalone part's only payload.
const partKind = "payload"

func (f *File) payloads() []payload {
	if p := f.Part; p != nil {
		is, _ := sniff(p.Payload(), p.have)
		return []payload{{kind: partKind, file: safeName(p.Part.Name) + ".bin", is: is, off: PartHeaderSize, n: p.have, part: p.Part}}
	}
	var ps []payload
	for _, s := range f.Image.Sections() {
		is, ext := sniff(s.Payload(), s.PayloadSize())
		name := s.Kind.String()
		if s.Kind == Ramdisk && is != "data" {
			name += ".cpio" + ext
		}
		ps = append(ps, payload{kind: s.Kind.String(), file: name, is: is, off: s.PayloadOff(), n: s.PayloadSize(), part: s.Part})
	}
	return ps
}

// safeName makes a part's name a file name on any system.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return -1
	}, strings.ToLower(s))
	switch s {
	case "", "con", "prn", "aux", "nul": // names that Windows keeps for itself
		return partKind
	}
	return s
}
