package ubi

import "io"

// Spare is how a dump interleaves main and spare bytes: after every Data bytes
// lie Bytes spare ones. The zero value means none.
type Spare struct{ Data, Bytes int }

// Spares lists the interleavings that dumps come in: the usual ones of 2048- and
// 4096-byte pages, small pages, and MediaTek's own order, in which 16 spare
// bytes follow each sector of 512.
func Spares() []Spare {
	return []Spare{{2048, 64}, {4096, 128}, {512, 16}, {4096, 224}, {4096, 256}, {2048, 128}, {8192, 448}, {8192, 640}}
}

// Strip returns the main bytes of r, a dump of size bytes, and how many there are.
func (s Spare) Strip(r io.ReaderAt, size int64) (io.ReaderAt, int64) {
	if s.Bytes == 0 {
		return io.NewSectionReader(r, 0, size), size
	}
	unit := int64(s.Data + s.Bytes)
	main := size/unit*int64(s.Data) + min(size%unit, int64(s.Data))
	return &mainBytes{r, s, main}, main
}

type mainBytes struct {
	r    io.ReaderAt
	s    Spare
	size int64
}

// ReadAt implements io.ReaderAt over the main bytes.
func (m *mainBytes) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off >= m.size {
			return n, io.EOF
		}
		page, in := off/int64(m.s.Data), off%int64(m.s.Data)
		want := min(int64(len(p)-n), int64(m.s.Data)-in, m.size-off)
		got, err := m.r.ReadAt(p[n:n+int(want)], page*int64(m.s.Data+m.s.Bytes)+in)
		n += got
		off += int64(got)
		if int64(got) < want {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	return n, nil
}
