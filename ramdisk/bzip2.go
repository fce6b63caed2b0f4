package ramdisk

import (
	"bufio"
	"compress/bzip2"
	"io"
	"strings"

	dsnet "github.com/dsnet/compress/bzip2"
)

// decodeBzip2 reads one stream, and others that follow at once. The reader looks
// for the next stream behind each: what it finds there is no error of this one.
// Two bytes that begin none stand behind the input, so that the end always looks
// the same.
func decodeBzip2(src *io.SectionReader, w io.Writer) (int64, error) {
	c := &counter{r: bufio.NewReaderSize(io.MultiReader(src, strings.NewReader("\xff\xff")), 64<<10)}
	_, err := io.Copy(w, bzip2.NewReader(c))
	if err, ok := err.(bzip2.StructuralError); ok && strings.Contains(string(err), "continuation") {
		return c.n - 2, nil
	}
	if err == nil || c.n > src.Size() {
		err = io.ErrUnexpectedEOF
	}
	return min(c.n, src.Size()), err
}

// encodeBzip2 packs in blocks one step smaller than the header says: the encoder
// fills its blocks to the last byte, which bzip2's own decoder takes and the
// kernel's does not ("decompressor failed"; lib/decompress_bunzip2.c wants less
// than a full block).
func encodeBzip2(w io.Writer, b []byte, s settings) error {
	if s.level < 2 || s.level > 9 {
		s.level = 9
	}
	enc, err := dsnet.NewWriter(&levelWriter{w: w, level: s.level}, &dsnet.WriterConfig{Level: s.level - 1})
	if err != nil {
		return err
	}
	if _, err := enc.Write(b); err != nil {
		return err
	}
	return enc.Close()
}

// levelWriter writes another level into the fourth byte of a bzip2 stream.
type levelWriter struct {
	w     io.Writer
	level int
	n     int64
}

// Write implements io.Writer.
func (l *levelWriter) Write(p []byte) (int, error) {
	if at := 3 - l.n; at >= 0 && at < int64(len(p)) {
		p = append([]byte(nil), p...)
		p[at] = byte('0' + l.level)
	}
	n, err := l.w.Write(p)
	l.n += int64(n)
	return n, err
}
