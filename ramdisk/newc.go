package ramdisk

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mtkport"
)

// trailerName ends an archive.
const trailerName = "TRAILER!!!"

// maxName is the longest name a kernel takes (PATH_MAX, linux/limits.h), with
// its NUL.
const maxName = 4096

// Entry is one member of an archive. Change it through the [Archive].
type Entry struct {
	Header
	name    string     // up to the first NUL
	magic   string     // 070701 or 070702
	raw     *rawHeader // as read; nil for a new entry
	rawName []byte     // as read, with NUL; nil when new or renamed
	namePad []byte     // as read
	data    []byte
	dataPad []byte // as read
	off     int64  // of the header in the unpacked archive, -1 when new
	gap     []byte // of a trailer: what lies up to the next archive or the end
	block   int64  // of a trailer that was not read: what the gap fills up to
}

// Name is the entry's name as it is written in the archive.
func (e *Entry) Name() string { return e.name }

// Offset is where the entry's header lies in the unpacked archive as it was
// read, in bytes, or -1 for a new entry.
func (e *Entry) Offset() int64 { return e.off }

// Size is the length in bytes of the content that this entry itself carries.
func (e *Entry) Size() int64 { return int64(len(e.data)) }

// Target is where a symlink points, "" for other entries.
func (e *Entry) Target() string {
	if e.Type() != TypeSymlink {
		return ""
	}
	return strings.TrimRight(string(e.data), "\x00")
}

// The type bits of [Header.Mode] (linux/stat.h).
const (
	TypeMask    = 0o170000
	TypeSocket  = 0o140000
	TypeSymlink = 0o120000
	TypeFile    = 0o100000
	TypeBlock   = 0o060000
	TypeDir     = 0o040000
	TypeChar    = 0o020000
	TypeFIFO    = 0o010000
)

// Type returns the type bits of the mode.
func (e *Entry) Type() uint32 { return e.Mode & TypeMask }

// Perm returns the permission bits of the mode, setuid to sticky included.
func (e *Entry) Perm() uint32 { return e.Mode &^ TypeMask }

var typeNames = map[uint32]string{TypeSocket: "socket", TypeSymlink: "symlink", TypeFile: "file",
	TypeBlock: "block", TypeDir: "dir", TypeChar: "char", TypeFIFO: "fifo"}

// TypeName is file, dir, symlink, char, block, fifo, socket, or the type bits
// in octal when they mean nothing.
func (e *Entry) TypeName() string {
	if n := typeNames[e.Type()]; n != "" {
		return n
	}
	return fmt.Sprintf("0%o", e.Type())
}

func (e *Entry) isTrailer() bool { return e.name == trailerName }

// pad4 is the number of bytes from n up to a multiple of four.
func pad4(n int64) int64 { return -n & 3 }

// parser walks over an unpacked archive.
type parser struct {
	b   []byte
	pos int64
}

func (p *parser) left() int64 { return int64(len(p.b)) - p.pos }

func (p *parser) take(n int64) []byte {
	n = min(n, p.left())
	s := p.b[p.pos : p.pos+n : p.pos+n]
	p.pos += n
	return s
}

// entry reads one entry; its slices point into p.b.
func (p *parser) entry() (*Entry, error) {
	off := p.pos
	if p.left() < headerSize {
		return nil, &mtkport.Error{Off: off, Field: "cpio header", Found: fmt.Sprintf("%d bytes", p.left()),
			Want: "110 bytes or a trailer before", Err: mtkport.ErrDamaged}
	}
	raw := rawHeader(p.take(headerSize))
	if !hasMagic(raw[:]) {
		return nil, &mtkport.Error{Off: off, Field: "cpio magic", Found: strconv.Quote(raw.magic()),
			Want: magicNewc + " or " + magicCRC, Err: mtkport.ErrDamaged}
	}
	v, err := raw.values(off)
	if err != nil {
		return nil, err
	}
	e := &Entry{Header: headerOf(v), magic: raw.magic(), raw: &raw, off: off}
	nameSize, fileSize := int64(v[fieldNameSize]), int64(v[fieldFileSize])
	if nameSize == 0 || nameSize > maxName || nameSize > p.left() {
		return nil, &mtkport.Error{Off: off + 6 + 8*fieldNameSize, Field: "cpio namesize",
			Found: fmt.Sprint(nameSize), Want: fmt.Sprintf("1 to %d", min(maxName, p.left())), Err: mtkport.ErrDamaged}
	}
	e.rawName = p.take(nameSize)
	name, _, _ := bytes.Cut(e.rawName, []byte{0})
	e.name = string(name)
	e.namePad = p.take(pad4(p.pos))
	if fileSize > p.left() {
		return nil, &mtkport.Error{Off: off + 6 + 8*fieldFileSize, Field: "cpio filesize of " + strconv.Quote(e.name),
			Found: fmt.Sprint(fileSize), Want: fmt.Sprintf("at most the %d bytes left", p.left()), Err: mtkport.ErrDamaged}
	}
	e.data = p.take(fileSize)
	e.dataPad = p.take(pad4(p.pos))
	return e, nil
}

// parse reads all entries, trailers among them, of archives in a row. rest is
// what follows them and is neither zeros nor an archive.
func parse(b []byte) (entries []*Entry, rest []byte, err error) {
	p := &parser{b: b}
	for p.left() > 0 {
		e, err := p.entry()
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, e)
		if !e.isTrailer() {
			continue
		}
		e.gap = p.take(int64(zeros(p.b[p.pos:])))
		if p.left() > 0 && !hasMagic(p.b[p.pos:]) {
			return entries, p.b[p.pos:], nil
		}
	}
	return entries, nil, nil
}

// zeros counts the zero bytes that b begins with.
func zeros(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\x00")) }

// posWriter knows how much went through it.
type posWriter struct {
	w   io.Writer
	pos int64
	err error
}

func (w *posWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.w.Write(p)
	w.pos += int64(n)
	w.err = err
	return n, err
}

// pad writes the padding up to a multiple of four: as it was when it fits.
func (w *posWriter) pad(old []byte) {
	if n := pad4(w.pos); int64(len(old)) != n {
		old = make([]byte, n)
	}
	_, _ = w.Write(old)
}

// write writes e. The last entry of an archive may lack its padding, as read.
func (e *Entry) write(w *posWriter, upper, last bool) {
	name := e.rawName
	if name == nil {
		name = append([]byte(e.name), 0)
	}
	h := encode(e.magic, e.values(len(e.data), len(name)), e.raw, upper)
	_, _ = w.Write(h[:])
	_, _ = w.Write(name)
	if last && e.namePad != nil && len(e.data) == 0 && int64(len(e.namePad)) < pad4(w.pos) {
		_, _ = w.Write(e.namePad)
		return
	}
	w.pad(e.namePad)
	_, _ = w.Write(e.data)
	if last && e.dataPad != nil && int64(len(e.dataPad)) < pad4(w.pos) {
		_, _ = w.Write(e.dataPad)
		return
	}
	w.pad(e.dataPad)
}

// sum is the check of a 070702 entry.
func sum(b []byte) (n uint32) {
	for _, c := range b {
		n += uint32(c)
	}
	return n
}
