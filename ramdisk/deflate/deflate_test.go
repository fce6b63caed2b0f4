package deflate

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"mtkport"
)

// TestRefused: what is not written is refused by name.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		f     Flavour
		level int
	}{{Zlib, 0}, {Zlib, 10}, {GNU, -1}, {Flavour(9), 6}} {
		if _, err := NewWriter(io.Discard, c.f, c.level); !errors.Is(err, mtkport.ErrUnsupported) {
			t.Errorf("%v level %d: %v", c.f, c.level, err)
		}
	}
	if err := newWriter(t, io.Discard, GNU, 6).Flush(); !errors.Is(err, mtkport.ErrUnsupported) {
		t.Errorf("flushing as gzip: %v", err)
	}
}

// broken takes some bytes and then no more.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestErrors: a writer that failed says so to the end, and a closed one takes
// nothing.
func TestErrors(t *testing.T) {
	data := inputs(t)["text"]
	for _, level := range []int{1, 6} {
		for _, room := range []int{0, 20_000} {
			z := newWriter(t, &broken{room}, Zlib, level)
			_, err := z.Write(data)
			if end := z.Close(); !errors.Is(end, io.ErrShortWrite) || err != nil && !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("level %d, %d bytes of room: %v, then %v", level, room, err, end)
			}
			if err := z.Flush(); err == nil {
				t.Error("flushing after an error succeeds")
			}
		}
	}
	var out bytes.Buffer
	z := newWriter(t, &out, Zlib, 6)
	if err := errors.Join(z.Close(), z.Close()); err != nil {
		t.Error(err)
	}
	if _, err := z.Write([]byte("x")); err == nil || out.Len() != 2 {
		t.Errorf("writing to a closed writer: %v, %x written", err, out.Bytes())
	}
}

// TestFlushTwice: a flush without anything new writes nothing.
func TestFlushTwice(t *testing.T) {
	var out bytes.Buffer
	z := newWriter(t, &out, Zlib, 6)
	_, _ = z.Write([]byte("some text"))
	_ = z.Flush()
	n := out.Len()
	if err := z.Flush(); err != nil || out.Len() != n {
		t.Errorf("%d more bytes, %v", out.Len()-n, err)
	}
}

func BenchmarkWriter(b *testing.B) {
	data := inputs(b)["mixed"]
	for _, level := range []int{1, 6, 9} {
		b.Run(string(rune('0'+level)), func(b *testing.B) {
			z := newWriter(b, io.Discard, Zlib, level)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				z.Reset(io.Discard)
				_, _ = z.Write(data)
				_ = z.Close()
			}
		})
	}
}
