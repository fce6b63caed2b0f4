package tree

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxHoles bounds the runs that a file is asked for; a file in more pieces is
// taken as one.
const maxHoles = 1 << 16

// filePieces leaves out the holes of a file on disk. The file's own position is
// as before when it returns.
func filePieces(f *os.File, off, n int64) []Piece {
	whole := []Piece{{off, n, f, off}}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || off+n > st.Size() {
		return whole
	}
	was, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return whole
	}
	defer func() { _, _ = f.Seek(was, io.SeekStart) }()
	var out []Piece
	for pos := off; pos < off+n; {
		data, err := f.Seek(pos, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && data >= off+n {
			break // a hole to the end
		}
		if err != nil || len(out) >= maxHoles {
			return whole
		}
		hole, err := f.Seek(data, unix.SEEK_HOLE)
		if err != nil || hole <= data {
			return whole
		}
		hole = min(hole, off+n)
		out = append(out, Piece{data, hole - data, f, data})
		pos = hole
	}
	return out
}
