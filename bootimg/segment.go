package bootimg

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mtkport"
)

// copyBuf is the memory that a copy takes.
const copyBuf = 256 << 10

// segment is a run of output bytes: from a reader, from memory, or one byte
// over and over.
type segment struct {
	src  io.ReaderAt
	off  int64
	mem  []byte
	fill byte
	n    int64
}

func fromSource(src io.ReaderAt, off, n int64) segment { return segment{src: src, off: off, n: n} }
func fromBytes(b []byte) segment                       { return segment{mem: b, n: int64(len(b))} }
func filled(c byte, n int64) segment                   { return segment{fill: c, n: n} }

func (s segment) writeTo(w io.Writer, buf []byte) (int64, error) {
	switch {
	case s.mem != nil:
		n, err := w.Write(s.mem)
		return int64(n), err
	case s.src != nil:
		return s.copyTo(w, buf)
	}
	return s.fillTo(w, buf)
}

func (s segment) copyTo(w io.Writer, buf []byte) (int64, error) {
	// A plain writer and a plain reader keep io.CopyBuffer to our buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.NewSectionReader(s.src, s.off, s.n)}, buf)
	if err == nil && n < s.n {
		err = &mtkport.Error{Off: s.off + n, Field: "read", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

func (s segment) fillTo(w io.Writer, buf []byte) (int64, error) {
	b := buf[:min(int64(len(buf)), s.n)]
	for i := range b {
		b[i] = s.fill
	}
	var done int64
	for done < s.n {
		n, err := w.Write(b[:min(int64(len(b)), s.n-done)])
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// segments is the whole output in order.
type segments []segment

func (ss segments) size() (n int64) {
	for _, s := range ss {
		n += s.n
	}
	return n
}

// WriteTo streams the segments.
func (ss segments) WriteTo(w io.Writer) (int64, error) {
	buf := make([]byte, copyBuf)
	var total int64
	for _, s := range ss {
		n, err := s.writeTo(w, buf)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// ReadAt makes the segments a source again.
func (ss segments) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for _, s := range ss {
		if off >= s.n {
			off -= s.n
			continue
		}
		n := int(min(int64(len(p)-done), s.n-off))
		if err := s.readAt(p[done:done+n], off); err != nil {
			return done, err
		}
		done, off = done+n, 0
		if done == len(p) {
			return done, nil
		}
	}
	return done, io.EOF
}

func (s segment) readAt(p []byte, off int64) error {
	switch {
	case s.mem != nil:
		copy(p, s.mem[off:])
	case s.src != nil:
		return readAt(s.src, p, s.off+off)
	default:
		for i := range p {
			p[i] = s.fill
		}
	}
	return nil
}

// errDiffers stops a comparison at the first unequal byte.
var errDiffers = errors.New("differs")

// sameAs is a writer that compares what it is given with a source.
type sameAs struct {
	src io.ReaderAt
	off int64
	buf []byte
}

func (c *sameAs) Write(p []byte) (int, error) {
	if cap(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	b := c.buf[:len(p)]
	n, err := c.src.ReadAt(b, c.off)
	if n < len(p) && (err == nil || errors.Is(err, io.EOF)) {
		return 0, errDiffers
	}
	if n < len(p) {
		return 0, err
	}
	if !bytes.Equal(b, p) {
		return 0, errDiffers
	}
	c.off += int64(len(p))
	return len(p), nil
}

// Resizing says how large a file becomes when its contents change: one of the
// three ways below, or an exact size in bytes.
type Resizing int64

// Ways to resize. Auto, the default: a partition dump (padding behind the
// content, size a multiple of 128 KiB) keeps its size, any other file grows and
// shrinks with its contents.
const (
	Auto Resizing = 0
	Grow Resizing = -1
	Keep Resizing = -2
)

// partitionUnit is what MT6572 partitions are multiples of: one NAND block, and
// the grain of scatter files.
const partitionUnit = 128 << 10

// tail is what follows the content in a source: data, then padding of one byte
// value.
type tail struct {
	src    io.ReaderAt
	off, n int64
}

// split finds the run of equal 0x00 or 0xFF bytes at the tail's end.
func (t tail) split() (data int64, fill byte, err error) {
	if t.n == 0 {
		return 0, 0, nil
	}
	buf := make([]byte, min(copyBuf, t.n)) // bounded by copyBuf
	for end := t.n; end > 0; {
		b := buf[:min(int64(len(buf)), end)]
		if err := readAt(t.src, b, t.off+end-int64(len(b))); err != nil {
			return 0, 0, err
		}
		if end == t.n {
			if fill = b[len(b)-1]; fill != 0 && fill != 0xff {
				return t.n, 0, nil
			}
		}
		if rest := trimRight(b, fill); len(rest) > 0 {
			return end - int64(len(b)-len(rest)), fill, nil
		}
		end -= int64(len(b))
	}
	return 0, fill, nil
}

func trimRight(b []byte, c byte) []byte {
	for len(b) > 0 && b[len(b)-1] == c {
		b = b[:len(b)-1]
	}
	return b
}

// fit gives the segments of the tail behind a content that was was bytes long
// and is now is bytes long, so that the whole obeys how.
func (t tail) fit(was, is int64, how Resizing) (segments, error) {
	data, fill, err := t.split()
	if err != nil {
		return nil, err
	}
	total := int64(how)
	switch how {
	case Auto:
		if total = is + t.n; data < t.n && (was+t.n)%partitionUnit == 0 {
			total = was + t.n
		}
	case Grow:
		total = is + t.n
	case Keep:
		total = was + t.n
	}
	if is+data > total {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprintf("%d bytes", is+data),
			Want: fmt.Sprintf("at most %d, the size of the partition", total),
			Hint: "make the contents smaller, or let the file grow if the partition is larger than its dump", Err: mtkport.ErrTooBig}
	}
	return segments{fromSource(t.src, t.off, data), filled(fill, total-is-data)}, nil
}
