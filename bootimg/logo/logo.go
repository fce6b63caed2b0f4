package logo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"mtkport"
	"mtkport/bootimg"
)

// Bounds on input, far above any phone of this kind.
const (
	maxPictures = 4096
	maxRaw      = 32 << 20 // a 1440×2560 screen at 4 bytes a pixel takes 14 MiB
	maxSlot     = 64 << 20
)

// Logo is an opened logo.bin. It reads its source lazily, so the source must
// stay open.
type Logo struct {
	part  *bootimg.PartFile
	body  *io.SectionReader // the payload
	table int64             // where the first picture begins; normally right behind the offsets
	pics  []*Picture
	notes []mtkport.Finding
}

// Picture is one zlib stream of the file.
type Picture struct {
	Index int
	Off   int64 // from the payload's start
	Size  int64 // of the slot, compressed

	body io.ReaderAt
}

// Open reads the table of a logo.bin of size bytes, with its MediaTek header.
// The error is of class ErrFormat when it is none, ErrDamaged when offsets
// point out of it.
func Open(r io.ReaderAt, size int64) (*Logo, error) {
	p, err := bootimg.OpenPart(r, size)
	if err != nil {
		return nil, err
	}
	if !p.Part.Is("LOGO") {
		return nil, &mtkport.Error{Off: 8, Field: "part name", Found: p.Part.Name, Want: "LOGO", Err: mtkport.ErrFormat}
	}
	l := &Logo{part: p, body: p.Payload()}
	return l, l.readTable()
}

func (l *Logo) readTable() error {
	size := l.body.Size()
	var head [8]byte
	if err := readAt(l.body, head[:], 0); err != nil {
		return err
	}
	count, total := int64(binary.LittleEndian.Uint32(head[:])), int64(binary.LittleEndian.Uint32(head[4:]))
	if count == 0 || count > maxPictures || 8+4*count > size {
		return damaged(0, "count", count, fmt.Sprintf("1 to %d, and offsets for all in %d bytes", maxPictures, size))
	}
	if total > size {
		return damaged(4, "total", total, fmt.Sprintf("at most %d, the size of the part", size))
	}
	if total != size {
		l.note("logo-total", 4, total, fmt.Sprintf("total is %d, the part header counts %d", total, size))
	}
	raw := make([]byte, 4*count)
	if err := readAt(l.body, raw, 8); err != nil {
		return err
	}
	return l.slots(raw, total)
}

func (l *Logo) slots(raw []byte, total int64) error {
	count := len(raw) / 4
	prev := 8 + 4*int64(count)
	for i := range count {
		off := int64(binary.LittleEndian.Uint32(raw[4*i:]))
		end := total
		if i+1 < count {
			end = int64(binary.LittleEndian.Uint32(raw[4*i+4:]))
		}
		if off < prev || end < off || end > total || end-off > maxSlot {
			return damaged(8+4*int64(i), fmt.Sprintf("offset of picture %d", i), off, fmt.Sprintf("rising offsets from %d to %d", prev, total))
		}
		l.pics = append(l.pics, &Picture{Index: i, Off: off, Size: end - off, body: l.body})
		prev = off
	}
	l.table = l.pics[0].Off
	if want := 8 + 4*int64(count); l.table != want {
		l.note("logo-gap", 8, l.table, fmt.Sprintf("the first picture begins at %d, the table ends at %d", l.table, want))
	}
	return nil
}

// damaged is an error at off of the payload, told as offset in the file.
func damaged(off int64, field string, found int64, want string) error {
	return &mtkport.Error{Off: bootimg.PartHeaderSize + off, Field: field, Found: fmt.Sprint(found), Want: want, Err: mtkport.ErrDamaged}
}

func (l *Logo) note(code string, off, value int64, text string) {
	l.notes = append(l.notes, mtkport.Finding{Code: code, Subject: "logo", Text: text,
		Evidence: []mtkport.Evidence{{Off: mtkport.At(bootimg.PartHeaderSize + off), Value: fmt.Sprint(value)}}})
}

// Pictures returns all pictures in order.
func (l *Logo) Pictures() []*Picture { return l.pics }

// Picture returns picture i, which must be one of the file's.
func (l *Logo) Picture(i int) *Picture { return l.pics[i] }

// Notes lists oddities that do not stop a reader.
func (l *Logo) Notes() []mtkport.Finding { return l.notes }

// Raw inflates the picture's pixels. The error is of class ErrDamaged when the
// stream is broken or holds more than 32 MiB.
func (p *Picture) Raw() ([]byte, error) {
	fail := func(err error) error {
		return &mtkport.Error{Off: bootimg.PartHeaderSize + p.Off, Field: fmt.Sprintf("picture %d", p.Index),
			Found: err.Error(), Want: fmt.Sprintf("a zlib stream of at most %d bytes", maxRaw), Err: mtkport.ErrDamaged}
	}
	z, err := zlib.NewReader(io.NewSectionReader(p.body, p.Off, p.Size))
	if err != nil {
		return nil, fail(err)
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(z, maxRaw+1))
	if err == nil && n > maxRaw {
		err = errors.New("more")
	}
	if err != nil {
		return nil, fail(err)
	}
	return b.Bytes(), nil
}

func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &mtkport.Error{Off: bootimg.PartHeaderSize + off + int64(n), Field: "read", Err: err}
}
