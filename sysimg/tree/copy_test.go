package tree

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// view is a Placed reader over two sources with a gap between.
type view struct {
	a, b io.ReaderAt
}

func (v view) ReadAt(p []byte, off int64) (int, error) {
	ps, err := v.Pieces(off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	return len(p), ReadPieces(ps, p, off)
}

func (v view) Pieces(off, n int64) ([]Piece, error) {
	var out []Piece
	for _, q := range []Piece{{0, 1000, v.a, 24}, {5000, 3000, v.b, 0}} {
		from, to := max(off, q.Off), min(off+n, q.Off+q.Len)
		if from < to {
			out = append(out, Piece{from, to - from, q.Src, q.At + from - q.Off})
		}
	}
	return out, nil
}

func TestPiecesThroughViews(t *testing.T) {
	src := make([]byte, 8000)
	for i := range src {
		src[i] = byte(i*7) | 1
	}
	inner := view{bytes.NewReader(src), bytes.NewReader(src)}
	outer := io.NewSectionReader(io.NewSectionReader(inner, 100, 7900), 50, 7000) // from 150 on
	want := make([]byte, 7000)
	if err := ReadFull(inner, want, 150); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 2} {
		ps, err := Pieces(outer, 0, 7000)
		if err != nil {
			t.Fatal(err)
		}
		if len(ps) != 2 || ps[0].Off != 0 || ps[0].Len != 850 || ps[1].Off != 4850 {
			t.Fatalf("%+v", ps)
		}
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(7000); err != nil {
			t.Fatal(err)
		}
		if err := CopyPieces(context.Background(), f, ps, workers, nil); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 7000)
		if err := ReadFull(f, got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("copied otherwise: %v", err)
		}
	}
}

func TestFileHoles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "holes"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := bytes.Repeat([]byte("data"), 16<<10)
	for _, off := range []int64{1 << 20, 3 << 20} {
		if _, err := f.WriteAt(data, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(5 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(17, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	ps, err := Pieces(f, 100, 5<<20-100)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]byte, 5<<20-100), make([]byte, 5<<20-100)
	if err := ReadPieces(ps, got, 100); err != nil {
		t.Fatal(err)
	}
	if err := ReadFull(f, want, 100); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the pieces hold something else: %v", err)
	}
	if pos, _ := f.Seek(0, io.SeekCurrent); pos != 17 {
		t.Errorf("the file's position moved to %d", pos)
	}
}
