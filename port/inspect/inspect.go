package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"mtkport"
)

// Schema is the version of the form that [Report] has in JSON.
const Schema = 1

// Unknown is [Report.Is] of what no reader knows.
const Unknown = "unknown"

// Fact is one thing that was read.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Off   *int64 `json:"offset,omitempty"` // bytes in the file, where one can be named
}

// Report says what a file or folder is.
type Report struct {
	Schema   int               `json:"schema"` // 1
	Path     string            `json:"path"`
	Is       string            `json:"is"`   // stable, kebab-case: android-boot, scatter, rom, unknown …
	What     string            `json:"what"` // one line for people
	Size     int64             `json:"size"` // bytes; 0 for a folder
	Facts    []Fact            `json:"facts"`
	Claims   []Claim           `json:"claims"`   // of ROMs and boot images: claimed beside real
	Findings []mtkport.Finding `json:"findings"` // disagreeing claims, oddities
}

func (r *Report) is(kind, what string) { r.Is, r.What = kind, what }

// fact adds a fact; an empty value is none.
func (r *Report) fact(name, format string, a ...any) {
	if v := printable(fmt.Sprintf(format, a...)); v != "" {
		r.Facts = append(r.Facts, Fact{Name: name, Value: v})
	}
}

func (r *Report) factAt(off int64, name, value string) {
	if value = printable(value); value != "" {
		r.Facts = append(r.Facts, Fact{name, value, mtkport.At(off)})
	}
}

// Path inspects what lies at name. The error is that of the system, or of class
// ErrDamaged where something is recognised and broken: the report then says
// what it is. What is not recognised is no error: its Is is [Unknown].
func Path(ctx context.Context, name string) (*Report, error) {
	r := &Report{Schema: Schema, Path: name, Is: Unknown, Facts: []Fact{}, Claims: []Claim{}, Findings: []mtkport.Finding{}}
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return r, mtkport.InFile(r.folder(ctx), name)
	}
	const chars = os.ModeDevice | os.ModeCharDevice
	if m := st.Mode(); !m.IsRegular() && m&chars != os.ModeDevice { // opening a pipe would wait for its writer
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: "no file that can be read at any place", Want: "a file, a folder or a block device", Err: mtkport.ErrFormat}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if r.Size, err = f.Seek(0, io.SeekEnd); err != nil { // a block device's size is not in its Stat
		return nil, err
	}
	return r, mtkport.InFile(r.file(ctx, f, r.Size), name)
}

// reader recognises one sort of file by its head and fills in the report.
// ErrFormat means that it is another sort after all.
type reader struct {
	kind, what string
	match      func(*probe) bool
	read       func(context.Context, *Report, *probe) error
}

// headSize is how much of a file every recogniser sees: the superblock of ext4
// and the first page of a table lie in it.
const headSize = 64 << 10

// probe is a file under inspection.
type probe struct {
	io.ReaderAt
	size int64
	head []byte // at most headSize
	name string // as given; brace scatters take chip and storage from it
}

func newProbe(f io.ReaderAt, size int64, name string) (*probe, error) {
	p := &probe{ReaderAt: f, size: size, head: make([]byte, max(0, min(size, headSize))), name: name}
	if n, err := f.ReadAt(p.head, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(p.head)) {
		return nil, err
	}
	return p, nil
}

// at tells whether s stands at off of the head.
func (p *probe) at(off int, s string) bool {
	return len(p.head) >= off+len(s) && string(p.head[off:off+len(s)]) == s
}

// bytes reads the whole file, or as much of it as limit allows.
func (p *probe) bytes(limit int64) ([]byte, error) {
	b := make([]byte, min(p.size, limit))
	n, err := p.ReadAt(b, 0)
	if err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
		return nil, err
	}
	return b, nil
}

func (r *Report) file(ctx context.Context, f io.ReaderAt, size int64) error {
	if size == 0 {
		r.is("empty", "an empty file")
		return nil
	}
	p, err := newProbe(f, size, r.Path)
	if err != nil {
		return err
	}
	for _, k := range readers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !k.match(p) {
			continue
		}
		facts := len(r.Facts)
		r.is(k.kind, k.what)
		err := k.read(ctx, r, p)
		if !errors.Is(err, mtkport.ErrFormat) {
			return err
		}
		r.Facts = r.Facts[:facts]
	}
	r.unknown(p)
	return nil
}

// unknown says what little is known.
func (r *Report) unknown(p *probe) {
	r.is(Unknown, "no file that mtkport knows")
	r.factAt(0, "first bytes", fmt.Sprintf("% x", p.head[:min(16, len(p.head))]))
	if s := text(p.head[:min(48, len(p.head))]); s != "" {
		r.fact("as text", "%q", s)
	}
	switch {
	case allOf(p.head, 0):
		r.fact("head", "zeros: erased, or never written")
	case allOf(p.head, 0xff):
		r.fact("head", "0xff: erased")
	}
}

func allOf(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return len(b) > 0
}
