package logo_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/bootimg/logo"
	"mtkport/testdata/realfile"
)

// synthetic is a logo.bin of the given raw pictures, compressed at a level that
// no editor of ours uses.
func synthetic(t testing.TB, pics ...[]byte) []byte {
	t.Helper()
	body := make([]byte, 8+4*len(pics))
	binary.LittleEndian.PutUint32(body, uint32(len(pics)))
	for i, p := range pics {
		binary.LittleEndian.PutUint32(body[8+4*i:], uint32(len(body)))
		var b bytes.Buffer
		z, err := zlib.NewWriterLevel(&b, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		body = append(body, b.Bytes()...)
	}
	binary.LittleEndian.PutUint32(body[4:], uint32(len(body)))
	h, err := bootimg.NewPartHeader("logo")
	if err != nil {
		t.Fatal(err)
	}
	out := append(h.Bytes(), body...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(body)))
	return out
}

func open(t testing.TB, b []byte) *logo.Logo {
	t.Helper()
	l, err := logo.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func write(t testing.TB, e *logo.Editor) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := e.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func folder(t testing.TB, b []byte) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := open(t, b).Extract(t.Context(), root, nil); err != nil {
		t.Fatal(err)
	}
	return root
}

func build(t testing.TB, root *os.Root) ([]byte, []string) {
	t.Helper()
	b, err := logo.Build(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return write(t, b.Editor), b.Changed
}

// TestReal: extracted and built unchanged, every real logo is the same file;
// the numbers of pictures and screens are those measured elsewhere.
func TestReal(t *testing.T) {
	for name, want := range map[string]struct{ count, screen int }{
		"a516-logo.bin":      {43, 819840},
		"condor-c4-logo.bin": {39, 768000},
		"v970-logo.bin":      {4, 1036800},
		"litemod-logo.bin":   {38, 768000},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "boot", name))
			if err != nil {
				t.Skip(err)
			}
			l := open(t, b)
			raw, err := l.Picture(0).Raw()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d pictures, the first of %d bytes", len(l.Pictures()), len(raw))
			if len(l.Pictures()) != want.count || len(raw) != want.screen {
				t.Errorf("%d pictures, screen of %d bytes, want %+v", len(l.Pictures()), len(raw), want)
			}
			if len(l.Notes()) != 0 {
				t.Errorf("notes %v", l.Notes())
			}
			got, changed := build(t, folder(t, b))
			if !bytes.Equal(got, b) || len(changed) != 0 {
				t.Errorf("extract, build: equal %v, changed %v", bytes.Equal(got, b), changed)
			}
		})
	}
}

// TestShapes: the pictures of a file tell each other's format. 480×960 pixels of
// four bytes are as many bytes as 720×1280 of two.
func TestShapes(t *testing.T) {
	screen := make([]byte, 480*960*4)
	for _, c := range []struct {
		format        logo.Format
		digit, width  int
		height, pixel int
	}{{logo.BGRA, 11 * 18 * 4, 480, 960, 4}, {logo.RGB565, 45 * 64 * 2, 720, 1280, 2}} {
		got, err := open(t, synthetic(t, screen, make([]byte, c.digit), make([]byte, 17*18*c.pixel), make([]byte, 30))).Shapes()
		if err != nil {
			t.Fatal(err)
		}
		if s := got[len(screen)]; s != (logo.Shape{Width: c.width, Height: c.height, Format: c.format}) {
			t.Errorf("%s: the screen is %+v", c.format, s)
		}
		if _, ok := got[30]; ok || got[c.digit].Format != c.format || len(got) != 3 {
			t.Errorf("%s: %+v", c.format, got)
		}
	}
}

// TestOnePixel changes one pixel of one picture: the others keep their streams,
// and the pixel is there.
func TestOnePixel(t *testing.T) {
	screen := bytes.Repeat([]byte{0x12, 0x34}, 240*240)
	digit := bytes.Repeat([]byte{9, 8, 7}, 90)
	in := append(synthetic(t, screen, digit, screen), make([]byte, 1000)...)
	root := folder(t, in)
	f, err := root.Open("00.png")
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	edited := image.NewNRGBA(img.Bounds())
	for y := range 240 {
		for x := range 240 {
			edited.Set(x, y, img.At(x, y))
		}
	}
	edited.Set(5, 6, color.NRGBA{R: 255, A: 255})
	var p bytes.Buffer
	if err := png.Encode(&p, edited); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("00.png", p.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, changed := build(t, root)
	if len(changed) != 1 || changed[0] != "00.png" {
		t.Errorf("changed %v", changed)
	}
	was, is := open(t, in), open(t, out)
	want := bytes.Clone(screen)
	binary.LittleEndian.PutUint16(want[2*(6*240+5):], 0xf800)
	if raw, err := is.Picture(0).Raw(); err != nil || !bytes.Equal(raw, want) {
		t.Errorf("picture 0: %v, as edited %v", err, bytes.Equal(raw, want))
	}
	for _, i := range []int{1, 2} {
		a, b := was.Picture(i), is.Picture(i)
		if !bytes.Equal(in[512+a.Off:512+a.Off+a.Size], out[512+b.Off:512+b.Off+b.Size]) {
			t.Errorf("picture %d: its stream changed", i)
		}
	}
	if len(is.Notes()) != 0 {
		t.Errorf("notes %v", is.Notes())
	}
}

func TestRefusals(t *testing.T) {
	in := synthetic(t, bytes.Repeat([]byte{1, 2}, 240*240))
	root := folder(t, in)
	var p bytes.Buffer
	if err := png.Encode(&p, image.NewNRGBA(image.Rect(0, 0, 10, 10))); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("00.png", p.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := logo.Build(t.Context(), root)
	if want := "00.png: picture: found 10×10, want 240×240 (refused)"; !errors.Is(err, mtkport.ErrRefused) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestHostile(t *testing.T) {
	good := synthetic(t, []byte("one"), []byte("two"))
	for _, c := range []struct {
		off  int
		v    uint32
		text string
	}{
		{512, 0, "0x200 count: found 0, want 1 to 4096, and offsets for all in 54 bytes (damaged)"},
		{512, 0xffffffff, "0x200 count: found 4294967295, want 1 to 4096, and offsets for all in 54 bytes (damaged)"},
		{516, 99, "0x204 total: found 99, want at most 54, the size of the part (damaged)"},
		{520, 3, "0x208 offset of picture 0: found 3, want rising offsets from 16 to 54 (damaged)"},
		{524, 0xfffffff0, "0x208 offset of picture 0: found 16, want rising offsets from 16 to 54 (damaged)"},
	} {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[c.off:], c.v)
		_, err := logo.Open(bytes.NewReader(b), int64(len(b)))
		if err == nil || err.Error() != c.text {
			t.Errorf("%v\nwant %s", err, c.text)
		}
	}
	if _, err := logo.Open(bytes.NewReader(good[:10]), 10); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("%v, want class ErrFormat", err)
	}
	bad := bytes.Clone(good)
	bad[512+18] ^= 0xff
	if _, err := open(t, bad).Picture(0).Raw(); !errors.Is(err, mtkport.ErrDamaged) {
		t.Errorf("broken stream: %v, want class ErrDamaged", err)
	}
}

// TestPixels: every 565 value survives decode and encode; so does every byte of
// BGRA.
func TestPixels(t *testing.T) {
	var raw []byte
	for v := range 1 << 16 {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(v))
	}
	for _, s := range []logo.Shape{{Width: 256, Height: 256, Format: logo.RGB565}, {Width: 128, Height: 256, Format: logo.BGRA}} {
		img, err := logo.Decode(raw, s)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(logo.Encode(img, s.Format), raw) {
			t.Errorf("%s: not the same", s.Format)
		}
	}
	if _, err := logo.Decode(raw, logo.Shape{Width: 1, Height: 1, Format: logo.RGB565}); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("wrong shape: %v", err)
	}
}

// FuzzOpen: what opens is written back byte for byte, and a picture can be
// replaced in it.
func FuzzOpen(f *testing.F) {
	good := synthetic(f, []byte("one"), []byte("two"))
	f.Add(good)
	f.Add(append(bytes.Clone(good), make([]byte, 99)...))
	f.Add(good[:530])
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := logo.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if !bytes.Equal(write(t, l.Edit()), b) {
			t.Fatal("not the same bytes")
		}
		raw, err := l.Picture(0).Raw()
		if err != nil || len(raw) == 0 {
			return
		}
		raw[0] ^= 1
		e := l.Edit()
		if _, err := e.SetRaw(0, raw); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := e.WriteTo(&out); err != nil {
			if errors.Is(err, mtkport.ErrTooBig) {
				return
			}
			t.Fatal(err)
		}
		if got, err := open(t, out.Bytes()).Picture(0).Raw(); err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("replaced picture: %v", err)
		}
	})
}
