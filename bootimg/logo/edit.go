package logo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"

	"mtkport"
	"mtkport/bootimg"
)

// Editor collects new pictures. Nothing is written before [Editor.WriteTo].
type Editor struct {
	logo *Logo
	blob map[int][]byte // compressed, by index
	size bootimg.Resizing
}

// Edit begins changing the file. Without changes, the writer gives back the
// same bytes.
func (l *Logo) Edit() *Editor { return &Editor{logo: l, blob: map[int][]byte{}} }

// SetRaw gives picture i new pixels and reports whether they differ from the
// old ones. They must be as many bytes, because lk draws them by its own idea
// of their size: the error is of class ErrRefused otherwise.
func (e *Editor) SetRaw(i int, raw []byte) (changed bool, err error) {
	if i < 0 || i >= len(e.logo.pics) {
		return false, &mtkport.Error{Off: mtkport.NoOffset, Field: "picture", Found: fmt.Sprint(i),
			Want: fmt.Sprintf("0 to %d", len(e.logo.pics)-1), Err: mtkport.ErrRefused}
	}
	old, err := e.logo.pics[i].Raw()
	if err != nil {
		return false, err
	}
	if len(old) != len(raw) {
		return false, &mtkport.Error{Off: mtkport.NoOffset, Field: fmt.Sprintf("picture %d", i), Found: fmt.Sprintf("%d bytes of pixels", len(raw)),
			Want: fmt.Sprint(len(old)), Hint: "keep the picture's width and height", Err: mtkport.ErrRefused}
	}
	delete(e.blob, i)
	if bytes.Equal(old, raw) {
		return false, nil
	}
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err == nil {
		_, err = z.Write(raw)
	}
	if err == nil {
		err = z.Close()
	}
	e.blob[i] = b.Bytes()
	return true, err
}

// SetResize says what happens to the file's size; see [bootimg.Resizing].
func (e *Editor) SetResize(r bootimg.Resizing) { e.size = r }

func (e *Editor) part() (*bootimg.PartEditor, error) {
	p := e.logo.part.Edit()
	p.SetResize(e.size)
	if len(e.blob) == 0 {
		return p, nil
	}
	b, err := e.payload()
	if err != nil {
		return nil, err
	}
	return p, p.SetPayload(bytes.NewReader(b), int64(len(b)))
}

// payload builds the new payload: the table, what may lie behind it, the
// streams.
func (e *Editor) payload() ([]byte, error) {
	if e.logo.body.Size() > maxSlot {
		return nil, &mtkport.Error{Off: 4, Field: "part size", Found: fmt.Sprint(e.logo.body.Size()), Want: fmt.Sprintf("at most %d", maxSlot), Err: mtkport.ErrTooBig}
	}
	out := make([]byte, e.logo.table)
	if err := readAt(e.logo.body, out, 0); err != nil {
		return nil, err
	}
	for i, p := range e.logo.pics {
		binary.LittleEndian.PutUint32(out[8+4*i:], uint32(len(out)))
		if blob, ok := e.blob[i]; ok {
			out = append(out, blob...)
			continue
		}
		blob := make([]byte, p.Size)
		if err := readAt(e.logo.body, blob, p.Off); err != nil {
			return nil, err
		}
		out = append(out, blob...)
		if int64(len(out)) > maxSlot {
			return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "logo", Found: "more", Want: fmt.Sprintf("at most %d bytes", maxSlot), Err: mtkport.ErrTooBig}
		}
	}
	end := len(out)
	last := e.logo.pics[len(e.logo.pics)-1]
	behind := make([]byte, e.logo.body.Size()-last.Off-last.Size) // what total does not count, but the part does
	if err := readAt(e.logo.body, behind, last.Off+last.Size); err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(end))
	return append(out, behind...), nil
}

// WriteTo writes the result; the error is of class ErrTooBig, before a byte is
// written, when a partition dump's contents outgrow the partition.
func (e *Editor) WriteTo(w io.Writer) (int64, error) {
	p, err := e.part()
	if err != nil {
		return 0, err
	}
	return p.WriteTo(w)
}

// Identical reports whether the result is the original, byte for byte.
func (e *Editor) Identical() (bool, error) {
	p, err := e.part()
	if err != nil {
		return false, err
	}
	return p.Identical()
}
