package ramdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/ramdisk/deflate"
)

// Compression names what packs a ramdisk.
type Compression string

// The compressions that kernels unpack.
const (
	None  Compression = "none"
	Gzip  Compression = "gzip"
	LZ4   Compression = "lz4" // the legacy frame
	LZMA  Compression = "lzma"
	XZ    Compression = "xz"
	LZOP  Compression = "lzop"
	Bzip2 Compression = "bzip2"
	Zstd  Compression = "zstd"
)

// Compressions lists them all.
func Compressions() []Compression {
	return []Compression{None, Gzip, LZ4, LZMA, XZ, LZOP, Bzip2, Zstd}
}

// ParseCompression returns the compression of that name.
func ParseCompression(s string) (Compression, error) {
	c := Compression(strings.ToLower(s))
	if _, ok := codecs[c]; !ok {
		return "", &mtkport.Error{Off: mtkport.NoOffset, Field: "compression", Found: strconv.Quote(s),
			Want: "none, gzip, lz4, lzma, xz, lzop, bzip2 or zstd", Err: mtkport.ErrUnsupported}
	}
	return c, nil
}

// maxDict is the largest dictionary that a decoder gets, in bytes: twice what
// any setting of xz takes for a kernel's tools (-9 takes 64 MiB).
const maxDict = 64 << 20

// settings steer an encoder.
type settings struct {
	level   int             // the compressor's own scale, 0 for its default
	flavour deflate.Flavour // gzip: whose deflate it is
	gzHead  []byte          // gzip: header to write instead of minigzip's
}

// codec is one compression.
type codec struct {
	magic string
	// decode unpacks the stream that src begins with into w and returns how
	// many bytes of src the stream takes.
	decode func(src *io.SectionReader, w io.Writer) (used int64, err error)
	encode func(w io.Writer, b []byte, s settings) error
	tries  []settings // best guess first, when asked who made a stream
}

var codecs = map[Compression]codec{
	None:  {magic: "07070", decode: decodeNone, encode: encodeNone},
	Gzip:  {magic: "\x1f\x8b", decode: decodeGzip, encode: encodeGzip, tries: gzipMakers()},
	LZ4:   {magic: lz4Magic, decode: decodeLZ4, encode: encodeLZ4, tries: []settings{{level: 9}}},
	LZMA:  {magic: "\x5d\x00\x00", decode: decodeLZMA, encode: encodeLZMA, tries: []settings{{}}},
	XZ:    {magic: "\xfd7zXZ\x00", decode: decodeXZ, encode: encodeXZ, tries: []settings{{}}},
	LZOP:  {magic: lzopMagic, decode: decodeLZOP, encode: encodeLZOP, tries: []settings{{}}},
	Bzip2: {magic: "BZh", decode: decodeBzip2, encode: encodeBzip2, tries: []settings{{level: 9}}},
	Zstd:  {magic: "\x28\xb5\x2f\xfd", decode: decodeZstd, encode: encodeZstd, tries: []settings{{}}},
}

// Detect tells by its magic what packs a ramdisk that begins with head.
func Detect(head []byte) (Compression, error) {
	for _, c := range Compressions() {
		if strings.HasPrefix(string(head), codecs[c].magic) {
			return c, nil
		}
	}
	e := &mtkport.Error{Field: "ramdisk magic", Found: "nothing", Want: "a cpio archive, bare or packed by gzip, lz4, lzma, xz, lzop, bzip2 or zstd", Err: mtkport.ErrFormat}
	switch {
	case len(head) == 0:
	case strings.HasPrefix(string(head), "\x04\x22\x4d\x18"):
		e.Found, e.Err = "an lz4 frame of the new form", mtkport.ErrUnsupported
		e.Hint = "no kernel unpacks it: make it again with `lz4 -l`"
	case strings.HasPrefix(string(head), "\x88\x16\x88\x58"):
		e.Found, e.Hint = "a MediaTek part header", "open it as a part first"
	default:
		e.Found = fmt.Sprintf("% x", head[:min(len(head), 8)])
	}
	return "", e
}

func notCpio(c Compression, b []byte) error {
	return mtkport.InFile(&mtkport.Error{Field: "cpio magic", Found: strconv.Quote(string(b[:min(len(b), 6)])),
		Want: magicNewc + " or " + magicCRC, Err: mtkport.ErrFormat,
		Hint: "what is packed here is no newc archive; the old binary and odc forms are not read"}, inside(c))
}

// decodeError says where in the stream a decoder stopped.
func decodeError(c Compression, off int64, err error) error {
	var e *mtkport.Error
	if errors.As(err, &e) {
		return err
	}
	class := mtkport.ErrDamaged
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &mtkport.Error{Off: off, Field: string(c) + " stream", Found: "the end of the ramdisk", Want: "the end of the stream", Err: class,
			Hint: "the file is cut short"}
	}
	return &mtkport.Error{Off: off, Field: string(c) + " stream", Found: err.Error(), Err: class}
}

// sink takes an unpacked archive, and refuses what is none or grows too large.
type sink struct {
	buf []byte
	max int64
	err error
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if int64(len(s.buf))+int64(len(p)) > s.max {
		s.err = &mtkport.Error{Off: mtkport.NoOffset, Field: "unpacked ramdisk", Found: fmt.Sprintf("more than %d bytes", s.max),
			Want: fmt.Sprintf("at most %d", s.max), Err: mtkport.ErrTooBig, Hint: "raise the bound if a ramdisk is really that large"}
		return 0, s.err
	}
	s.buf = append(s.buf, p...)
	if len(s.buf) >= 6 && !hasMagic(s.buf) {
		s.err = notCpio("stream", s.buf)
		return 0, s.err
	}
	return len(p), nil
}

// counter counts the bytes taken from a reader, one by one when asked so: some
// decoders tell only thus where their stream ends.
type counter struct {
	r interface {
		io.Reader
		io.ByteReader
	}
	n      int64
	single bool
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	if c.single && len(p) > 1 {
		p = p[:1]
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte implements io.ByteReader.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func decodeNone(src *io.SectionReader, w io.Writer) (int64, error) {
	_, err := io.Copy(w, src)
	return src.Size(), err
}

func encodeNone(w io.Writer, b []byte, _ settings) error {
	_, err := w.Write(b)
	return err
}

// Maker is who seems to have made a compressed stream.
type Maker struct {
	Name  string // program or library
	Level int    // on its own scale; 0 when it is not known
	Exact bool   // packing the archive anew gives the very same stream
}

// String renders as "zlib -6" or "GNU gzip, it seems".
func (m Maker) String() string {
	s := m.Name
	if m.Level > 0 {
		s = fmt.Sprintf("%s -%d", s, m.Level)
	}
	if !m.Exact {
		s += ", it seems"
	}
	return s
}

// Compression is what packs the ramdisk now.
func (a *Archive) Compression() Compression { return a.comp }

// SetCompression makes WriteTo pack by c from now on.
func (a *Archive) SetCompression(c Compression) error {
	if _, err := ParseCompression(string(c)); err != nil {
		return err
	}
	a.comp = c
	return nil
}

// Maker tells who packed the ramdisk that was opened, by packing it anew with
// the settings that can be.
func (a *Archive) Maker() Maker {
	if a.maker != nil {
		return *a.maker
	}
	m := Maker{Name: makerNames[a.srcComp], Exact: true}
	if a.src != nil && a.srcComp != None {
		m = a.findMaker()
	}
	a.maker = &m
	return m
}

// makerNames are the libraries that encode here.
var makerNames = map[Compression]string{None: "nothing", Gzip: "zlib", LZ4: "lz4", LZMA: "ulikunitz/xz",
	XZ: "ulikunitz/xz", LZOP: "mtkport's LZO1X-1", Bzip2: "dsnet/compress", Zstd: "klauspost/compress"}

func (a *Archive) findMaker() Maker {
	s, ok := a.tryMakers(a.used)
	if !ok {
		return a.guessMaker()
	}
	a.made = &s
	m := Maker{Name: makerNames[a.srcComp], Level: s.level, Exact: true}
	if a.srcComp == Gzip {
		m.Name = s.flavour.String()
	}
	return m
}

// tryMakers packs the archive anew with all settings, until one gives the first
// n bytes of the stream.
func (a *Archive) tryMakers(n int64) (settings, bool) {
	for _, s := range codecs[a.srcComp].tries {
		s.gzHead = a.gzHead
		w := &equalWriter{want: a.src, size: a.used, enough: n}
		err := codecs[a.srcComp].encode(w, a.cpio, s)
		if errors.Is(err, errEnough) || err == nil && w.pos == a.used {
			return s, true
		}
	}
	return settings{}, false
}

// guessMaker reads the signs that a stream carries.
func (a *Archive) guessMaker() Maker {
	switch a.srcComp {
	case Gzip:
		return guessGzip(a.gzHead)
	case LZ4:
		return Maker{Name: "lz4 -l"}
	case LZMA, XZ:
		return Maker{Name: "XZ Utils"}
	case Bzip2:
		var b [4]byte
		_, _ = a.src.ReadAt(b[:], 0)
		return Maker{Name: "bzip2", Level: int(b[3] - '0')}
	}
	return Maker{Name: string(a.srcComp)}
}

// likely is how much of a stream, in bytes, tells its maker well enough for
// packing something else: two blocks of zlib's.
const likely = 64 << 10

// settings are those of the maker where they are known.
func (a *Archive) settings() settings {
	s := settings{}
	if a.comp != a.srcComp {
		return s
	}
	if a.made == nil && a.maker == nil && a.src != nil && a.comp == Gzip {
		if s, ok := a.tryMakers(likely); ok {
			a.made = &s
		}
	}
	switch {
	case a.made != nil:
		return *a.made
	case a.comp == Bzip2 && a.maker == nil && a.src != nil:
		s.level = a.guessMaker().Level // the stream says so
	case a.comp == Gzip || a.comp == Bzip2:
		s.level = a.Maker().Level
	}
	s.gzHead = a.gzHead
	return s
}

// isZero reports whether b holds nothing but zeros.
func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
