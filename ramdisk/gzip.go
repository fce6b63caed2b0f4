package ramdisk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"mtkport"
	"mtkport/ramdisk/deflate"
)

// Flag bits of a gzip header (RFC 1952, 2.3.1).
const (
	gzHCRC    = 1 << 1
	gzExtra   = 1 << 2
	gzName    = 1 << 3
	gzComment = 1 << 4
)

// maxGzipHead bounds a gzip header: the extra field takes 65535 bytes, name and
// comment in real files a few dozen.
const maxGzipHead = 256 << 10

// minigzipHead is the header that Android's minigzip writes: no name, no time,
// OS 3 (Unix).
var minigzipHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}

// gzipHead reads the header that r begins with, whole and as it is.
func gzipHead(r io.Reader) ([]byte, error) {
	br := bufio.NewReader(io.LimitReader(r, maxGzipHead))
	h := make([]byte, 10, 64)
	if _, err := io.ReadFull(br, h); err != nil {
		return h, io.ErrUnexpectedEOF
	}
	if h[2] != 8 {
		return h, &mtkport.Error{Off: 2, Field: "gzip method", Found: fmt.Sprint(h[2]), Want: "8 (deflate)", Err: mtkport.ErrDamaged}
	}
	more := func(n int) error {
		b := make([]byte, n)
		_, err := io.ReadFull(br, b)
		h = append(h, b...)
		return err
	}
	var err error
	if h[3]&gzExtra != 0 {
		if err = more(2); err == nil {
			err = more(int(binary.LittleEndian.Uint16(h[10:])))
		}
	}
	for _, f := range []byte{gzName, gzComment} {
		if h[3]&f != 0 && err == nil {
			var s []byte
			s, err = br.ReadBytes(0)
			h = append(h, s...)
		}
	}
	if h[3]&gzHCRC != 0 && err == nil {
		err = more(2)
	}
	if err != nil {
		return h, io.ErrUnexpectedEOF
	}
	return h, nil
}

func decodeGzip(src *io.SectionReader, w io.Writer) (int64, error) {
	head, err := gzipHead(src)
	if err != nil {
		return int64(len(head)), err
	}
	in := &taken{r: io.NewSectionReader(src, int64(len(head)), src.Size())}
	br := bufio.NewReaderSize(in, 64<<10)
	at := func() int64 { return int64(len(head)) + in.n - int64(br.Buffered()) }
	crc := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(w, crc), flate.NewReader(br))
	if err != nil {
		var bad flate.CorruptInputError
		if errors.As(err, &bad) {
			err = errors.New("bytes that deflate cannot have written")
		}
		return at(), err
	}
	var t [8]byte
	if _, err := io.ReadFull(br, t[:]); err != nil {
		return at(), io.ErrUnexpectedEOF
	}
	if got, want := crc.Sum32(), binary.LittleEndian.Uint32(t[:]); got != want {
		return at(), &mtkport.Error{Off: at() - 8, Field: "gzip crc32", Found: fmt.Sprintf("0x%08x", want),
			Want: fmt.Sprintf("0x%08x, that of the content", got), Err: mtkport.ErrDamaged}
	}
	if got, want := uint32(n), binary.LittleEndian.Uint32(t[4:]); got != want {
		return at(), &mtkport.Error{Off: at() - 4, Field: "gzip isize", Found: fmt.Sprint(want), Want: fmt.Sprint(got), Err: mtkport.ErrDamaged}
	}
	return at(), nil
}

// taken counts the bytes that a buffer took.
type taken struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (t *taken) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	return n, err
}

func encodeGzip(w io.Writer, b []byte, s settings) error {
	head := s.gzHead
	if head == nil {
		head = minigzipHead
	}
	if s.level == 0 {
		s.level = deflate.DefaultLevel
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	z, err := deflate.NewWriter(w, s.flavour, s.level)
	if err != nil {
		return err
	}
	if _, err := z.Write(b); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	t := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	_, err = w.Write(binary.LittleEndian.AppendUint32(t, uint32(len(b))))
	return err
}

// gzipMakers are the deflates that are known, the likely ones first: minigzip,
// then what people take.
func gzipMakers() []settings {
	var out []settings
	for _, level := range []int{6, 9, 8, 7, 5, 4, 3, 2, 1} {
		for _, f := range []deflate.Flavour{deflate.Zlib, deflate.GNU, deflate.GNUOld, deflate.ZlibMem9} {
			out = append(out, settings{level: level, flavour: f})
		}
	}
	return out
}

// guessGzip judges a stream of none of them by its header: GNU gzip names the
// file or the time and marks levels 9 and 1 in the XFL byte.
func guessGzip(head []byte) Maker {
	m := Maker{Name: "an unknown gzip"}
	if len(head) < 10 {
		return m
	}
	if head[3]&gzName != 0 || binary.LittleEndian.Uint32(head[4:]) != 0 {
		m = Maker{Name: "GNU gzip", Level: 6}
	}
	switch head[8] {
	case 2:
		m.Level = 9
	case 4:
		m.Level = 1
	}
	return m
}
