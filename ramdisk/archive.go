package ramdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"mtkport"
)

// MaxUnpacked is how many bytes an archive may unpack to, unless [Options] say
// otherwise. A ramdisk lives in the phone's RAM beside the whole system; the
// phones of this family have 512 MiB to 1 GiB of it, and the largest of their
// stock recoveries seen unpacks to 5 MB.
const MaxUnpacked = 128 << 20

// Options bound the work of [OpenWith] and [Pack]. The zero value is the rule.
type Options struct {
	MaxUnpacked int64 // bytes an archive may unpack to; 0 means [MaxUnpacked]
}

func (o Options) max() int64 {
	if o.MaxUnpacked <= 0 {
		return MaxUnpacked
	}
	return o.MaxUnpacked
}

// Archive is a ramdisk: a cpio archive, or several in a row, and how it is
// packed. It is not safe for use by several goroutines.
type Archive struct {
	src     io.ReaderAt // the ramdisk as it was opened; nil for a new one
	size    int64       // of src
	used    int64       // bytes of the stream in src; the rest is its tail
	comp    Compression // how WriteTo packs
	srcComp Compression // how src is packed
	gzHead  []byte      // gzip header as read
	maker   *Maker      // who made the stream, once asked
	made    *settings   // by which settings, if they are known
	cpio    []byte      // unpacked, as it was opened
	entries []*Entry    // in order, trailers included
	rest    []byte      // unpacked bytes behind the last archive
	tail    []byte      // of an archive that Pack made: bytes behind the stream
	fresh   bool        // made by New: inodes are counted anew after each edit
	upper   bool        // hex digits of new fields in upper case
}

// maxGuess bounds what is set aside, in bytes, before anything is unpacked: twice
// the largest stock ramdisk seen.
const maxGuess = 8 << 20

// Open reads a ramdisk of size bytes: a cpio archive, bare or packed. It must
// stay readable as long as the archive is used. The errors are of class
// [mtkport.ErrFormat] (no ramdisk), [mtkport.ErrDamaged], [mtkport.ErrTooBig]
// (it unpacks to more than [MaxUnpacked], or asks for too large a dictionary)
// or [mtkport.ErrUnsupported].
func Open(r io.ReaderAt, size int64) (*Archive, error) { return OpenWith(r, size, Options{}) }

// OpenWith is [Open] with other bounds.
func OpenWith(r io.ReaderAt, size int64, opt Options) (*Archive, error) {
	head := make([]byte, min(size, 16))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), head); err != nil {
		return nil, err
	}
	c, err := Detect(head)
	if err != nil {
		return nil, err
	}
	a := &Archive{src: r, size: size, comp: c, srcComp: c}
	out := &sink{max: opt.max(), buf: make([]byte, 0, min(2*size, opt.max(), maxGuess))}
	a.used, err = codecs[c].decode(io.NewSectionReader(r, 0, size), out)
	if out.err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, out.err
	}
	if err != nil {
		return nil, decodeError(c, a.used, err)
	}
	if !hasMagic(out.buf) {
		return nil, notCpio(c, out.buf)
	}
	if c == Gzip {
		if a.gzHead, err = gzipHead(io.NewSectionReader(r, 0, size)); err != nil {
			return nil, err
		}
	}
	if err := a.load(out.buf); err != nil {
		return nil, mtkport.InFile(err, inside(c))
	}
	return a, nil
}

// inside names the unpacked stream in errors about offsets in it.
func inside(c Compression) string {
	if c == None {
		return ""
	}
	return "unpacked " + string(c)
}

func (a *Archive) load(cpio []byte) (err error) {
	a.cpio = cpio
	if a.entries, a.rest, err = parse(cpio); err != nil {
		return err
	}
	var lower, upper int
	for _, e := range a.entries {
		l, u := e.raw.letters()
		lower, upper = lower+l, upper+u
	}
	a.upper = upper > lower
	return nil
}

// New returns an empty archive in the form of Android's mkbootfs.
func New(c Compression) *Archive {
	return &Archive{comp: c, srcComp: c, fresh: true, entries: []*Entry{{
		Header: Header{Ino: firstInode, Mode: 0o644, NLink: 1}, name: trailerName, magic: magicNewc, off: -1, block: mkbootfsBlock}}}
}

// firstInode is where mkbootfs begins to count.
const firstInode = 300000

// Entries lists the members in order, without trailers.
func (a *Archive) Entries() []*Entry {
	out := make([]*Entry, 0, len(a.entries))
	for _, e := range a.entries {
		if !e.isTrailer() {
			out = append(out, e)
		}
	}
	return out
}

// clean brings a name into the form by which entries are compared: no leading
// "/" or "./", no trailing slash. It resolves nothing.
func clean(name string) string {
	for {
		cut := strings.TrimPrefix(strings.TrimLeft(name, "/"), "./")
		if cut == name {
			break
		}
		name = cut
	}
	return strings.TrimRight(name, "/")
}

// Lookup returns the entry of that name, or nil. A leading "/" or "./" counts on
// neither side. Of several with one name it is the last: the one that a kernel
// leaves in place.
func (a *Archive) Lookup(name string) *Entry {
	if i := a.index(name); i >= 0 {
		return a.entries[i]
	}
	return nil
}

func (a *Archive) index(name string) int {
	name = clean(name)
	for i := len(a.entries) - 1; i >= 0; i-- {
		if e := a.entries[i]; !e.isTrailer() && clean(e.name) == name {
			return i
		}
	}
	return -1
}

func missing(name string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: name, Err: fs.ErrNotExist,
		Hint: "list the names with `ramdisk ls`"}
}

// ReadFile returns the content of a regular file; symlinks are not followed.
// Of a hard link it is the content that the other name carries. The caller may
// not change the bytes.
func (a *Archive) ReadFile(name string) ([]byte, error) {
	e := a.Lookup(name)
	if e == nil {
		return nil, missing(name)
	}
	if e.Type() != TypeFile {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: name, Found: "a " + e.TypeName(), Want: "a file", Err: fs.ErrInvalid}
	}
	return a.Content(e), nil
}

// Content returns the bytes of a file, found through its other names if it is
// a hard link without content of its own. The caller may not change them.
func (a *Archive) Content(e *Entry) []byte { return a.carrier(e).data }

// carrier is the entry that carries the content of e: e itself, or for a hard
// link the last name with content (cpio writes it there).
func (a *Archive) carrier(e *Entry) *Entry {
	if len(e.data) > 0 || e.NLink < 2 || e.Type() != TypeFile {
		return e
	}
	for _, o := range slices.Backward(a.entries) {
		if o.Type() == TypeFile && len(o.data) > 0 && sameInode(o, e) {
			return o
		}
	}
	return e
}

func sameInode(a, b *Entry) bool {
	return a.NLink > 1 && b.NLink > 1 && a.Ino == b.Ino && a.DevMajor == b.DevMajor && a.DevMinor == b.DevMinor
}

// writeCpio writes the archive unpacked.
func (a *Archive) writeCpio(w io.Writer) error {
	p := &posWriter{w: w}
	for i, e := range a.entries {
		e.write(p, a.upper, i == len(a.entries)-1 && len(a.rest) == 0)
		if e.isTrailer() {
			_, _ = p.Write(a.gapOf(e, p.pos, i == len(a.entries)-1))
		}
	}
	_, _ = p.Write(a.rest)
	return p.err
}

// gapOf is what follows the trailer e when the archive has grown to pos: as many
// zeros as the rule wants that the maker's gap followed.
func (a *Archive) gapOf(e *Entry, pos int64, last bool) []byte {
	if block := a.gapRule(e, last); block > 0 {
		return make([]byte, -pos&(block-1))
	}
	return e.gap
}

// gapRule is the multiple, in bytes, up to which zeros follow the trailer e: 256
// by mkbootfs, 512 by cpio, 4 by nobody's rule but the format's; 0 when the gap
// follows none of these and stays as it is.
func (a *Archive) gapRule(e *Entry, last bool) int64 {
	if e.block > 0 || e.off < 0 {
		return e.block
	}
	if zeros(e.gap) != len(e.gap) {
		return 0
	}
	end := e.off + headerSize + int64(len(e.rawName)+len(e.namePad)+len(e.data)+len(e.dataPad))
	blocks := []int64{mkbootfsBlock, 512, 4}
	if a.upper {
		blocks = []int64{512, mkbootfsBlock, 4}
	}
	for _, b := range blocks {
		if int64(len(e.gap)) == -end&(b-1) && (last || b > 4) {
			return b
		}
	}
	return 0
}

// mkbootfsBlock is what mkbootfs fills an archive up to, in bytes.
const mkbootfsBlock = 256

// These stop a comparing writer.
var (
	errDiffers = errors.New("differs")
	errEnough  = errors.New("equal so far, and that is enough")
)

// equalWriter compares what is written with want.
type equalWriter struct {
	want      io.ReaderAt
	pos, size int64
	enough    int64 // stop here when that is before the end; 0 for no such stop
	buf       []byte
}

func (w *equalWriter) Write(p []byte) (int, error) {
	if w.pos+int64(len(p)) > w.size {
		return 0, errDiffers
	}
	if len(w.buf) < len(p) {
		w.buf = make([]byte, len(p))
	}
	if _, err := w.want.ReadAt(w.buf[:len(p)], w.pos); err != nil && err != io.EOF {
		return 0, err
	}
	if !bytes.Equal(p, w.buf[:len(p)]) {
		return 0, errDiffers
	}
	w.pos += int64(len(p))
	if w.enough > 0 && w.pos >= w.enough && w.pos < w.size {
		return 0, errEnough
	}
	return len(p), nil
}

// Changed reports whether the unpacked archive differs from what was opened. A
// new archive is changed.
func (a *Archive) Changed() bool {
	if a.cpio == nil {
		return true
	}
	w := &equalWriter{want: bytes.NewReader(a.cpio), size: int64(len(a.cpio))}
	return a.writeCpio(w) != nil || w.pos != w.size
}

// Bytes returns the archive packed, as [Archive.WriteTo] writes it.
func (a *Archive) Bytes() ([]byte, error) {
	var b bytes.Buffer
	_, err := a.WriteTo(&b)
	return b.Bytes(), err
}

// Cpio returns the archive unpacked. The caller may not change the bytes.
func (a *Archive) Cpio() ([]byte, error) {
	if !a.Changed() {
		return a.cpio, nil
	}
	var b bytes.Buffer
	b.Grow(len(a.cpio))
	err := a.writeCpio(&b)
	return b.Bytes(), err
}

// WriteTo writes the ramdisk. If nothing was changed these are the bytes that
// were opened; else it is packed anew, by the level of the maker's compressor
// when that is known, and what followed the stream follows it again.
func (a *Archive) WriteTo(w io.Writer) (int64, error) {
	if a.src != nil && a.comp == a.srcComp && !a.Changed() {
		return io.Copy(w, io.NewSectionReader(a.src, 0, a.size))
	}
	cpio, err := a.Cpio()
	if err != nil {
		return 0, err
	}
	p := &posWriter{w: w}
	if err := codecs[a.comp].encode(p, cpio, a.settings()); err != nil {
		return p.pos, err
	}
	_, err = io.Copy(p, a.Tail())
	return p.pos, err
}

// Tail is what follows the compressed stream in the ramdisk: padding of a
// partition, or junk.
func (a *Archive) Tail() *io.SectionReader {
	if a.src == nil {
		return io.NewSectionReader(bytes.NewReader(a.tail), 0, int64(len(a.tail)))
	}
	return io.NewSectionReader(a.src, a.used, a.size-a.used)
}

// Notes lists what is odd about the archive and harmless to read.
func (a *Archive) Notes() []mtkport.Finding {
	var out []mtkport.Finding
	note := func(code, subject, text string) {
		out = append(out, mtkport.Finding{Code: code, Severity: mtkport.Note, Subject: subject, Text: text})
	}
	seen := map[string]bool{}
	trailers := 0
	for _, e := range a.entries {
		name := clean(e.name)
		switch {
		case e.isTrailer():
			trailers++
			continue
		case e.name != "" && (path.IsAbs(e.name) || slices.Contains(strings.Split(e.name, "/"), "..")):
			note("ramdisk-name-escapes", strconv.Quote(e.name), "the name leads out of the folder; it is kept, and never followed on disk")
		case seen[name]:
			note("ramdisk-name-twice", strconv.Quote(e.name), "several entries have this name; a kernel leaves the last in place")
		}
		seen[name] = true
	}
	if trailers == 0 {
		note("ramdisk-no-trailer", "", "the archive ends without a trailer")
	}
	if trailers > 1 {
		note("ramdisk-several-archives", "", fmt.Sprintf("%d archives follow one another; a kernel unpacks all of them", trailers))
	}
	if len(a.rest) > 0 {
		note("ramdisk-junk", "", fmt.Sprintf("%d bytes behind the archive are no archive; they are kept", len(a.rest)))
	}
	if n := a.Tail().Size(); n > 0 {
		note("ramdisk-tail", "", fmt.Sprintf("%d bytes follow the compressed stream; they are kept", n))
	}
	return out
}
