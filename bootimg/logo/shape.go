package logo

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"

	"mtkport"
)

// Format is how a pixel is stored.
type Format string

// The formats that lk of this family shows.
const (
	RGB565 Format = "rgb565" // two bytes, little endian; up to MT6589
	BGRA   Format = "bgra"   // four bytes; MT6592, MT6735
)

// Bytes is the size of a pixel.
func (f Format) Bytes() int {
	switch f {
	case RGB565:
		return 2
	case BGRA:
		return 4
	}
	return 0
}

// Shape is what the file does not say: how to look at a picture's bytes.
type Shape struct {
	Width  int    `yaml:"width"`
	Height int    `yaml:"height"`
	Format Format `yaml:"format"`
}

// Size is the number of bytes of a picture of this shape.
func (s Shape) Size() int { return s.Width * s.Height * s.Format.Bytes() }

// screens are the panels of phones of this family, in portrait.
var screens = [][2]int{
	{480, 800}, {480, 854}, {320, 480}, {540, 960}, {720, 1280}, {1080, 1920}, {240, 320}, {240, 400}, {240, 240},
	{400, 800}, {600, 1024}, {768, 1024}, {800, 1280}, {720, 1440}, {720, 1600}, {480, 960}, {480, 996}, {1366, 768},
}

// parts are the pictures of charging: digits, percent sign, bar, strip of the
// bar, in the sets that MediaTek ships for screens of different width. Measured
// on real files: at the right width neighbouring rows are most alike.
var parts = [][2]int{
	{38, 54}, {48, 54}, {135, 24}, {135, 1},
	{45, 64}, {57, 64}, {163, 29}, {163, 1},
	{46, 72}, {60, 72}, {228, 34},
	{84, 121}, {108, 121}, {304, 52}, {304, 1},
	{61, 78}, {78, 78}, {216, 34}, {216, 1},
	{16, 23}, {20, 23}, {76, 13}, {76, 1},
	{11, 18}, {17, 18}, {180, 32}, {72, 128},
}

// Shapes guesses the shapes of all pictures, by their size in bytes; those that
// fit nothing are missing. The pictures of one file share a format: the one that
// explains most of them. The error is that of [Picture.Raw].
func (l *Logo) Shapes() (map[int]Shape, error) {
	best := map[int]Shape{}
	sizes := make([]int, len(l.pics))
	for i, p := range l.pics {
		raw, err := p.Raw()
		if err != nil {
			return nil, err
		}
		sizes[i] = len(raw)
	}
	for _, f := range []Format{RGB565, BGRA} {
		found := map[int]Shape{}
		for _, size := range sizes {
			if s, ok := guessIn(size, f, screens, parts); ok {
				found[size] = s
			}
		}
		if len(found) > len(best) {
			best = found
		}
	}
	return best, nil
}

func guessIn(size int, f Format, lists ...[][2]int) (Shape, bool) {
	for _, list := range lists {
		for _, s := range list {
			if shape := (Shape{s[0], s[1], f}); shape.Size() == size {
				return shape, true
			}
		}
	}
	return Shape{}, false
}

// Guess finds the shape of a full screen from its size in bytes. Where two
// shapes take the same bytes, RGB565 wins; [Logo.Shapes] knows better.
func Guess(size int) (Shape, bool) {
	for _, f := range []Format{RGB565, BGRA} {
		if s, ok := guessIn(size, f, screens); ok {
			return s, true
		}
	}
	return Shape{}, false
}

// Decode turns raw pixels into a picture.
func Decode(raw []byte, s Shape) (*image.NRGBA, error) {
	if s.Width <= 0 || s.Height <= 0 || s.Width > maxRaw || s.Height > maxRaw || s.Size() != len(raw) || len(raw) == 0 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "picture", Found: fmt.Sprintf("%d bytes", len(raw)),
			Want: fmt.Sprintf("%d×%d pixels of %s", s.Width, s.Height, s.Format), Err: mtkport.ErrFormat}
	}
	img := image.NewNRGBA(image.Rect(0, 0, s.Width, s.Height))
	for i := range s.Width * s.Height {
		p := img.Pix[4*i : 4*i+4]
		if s.Format == BGRA {
			q := raw[4*i:]
			p[0], p[1], p[2], p[3] = q[2], q[1], q[0], q[3]
			continue
		}
		v := binary.LittleEndian.Uint16(raw[2*i:])
		p[0], p[1], p[2], p[3] = widen(v>>11, 5), widen(v>>5&0x3f, 6), widen(v&0x1f, 5), 0xff
	}
	return img, nil
}

// widen repeats the high bits in the low ones, so that white stays white.
func widen(v uint16, bits int) byte { return byte(v<<(8-bits) | v>>(2*bits-8)) }

// Encode turns a picture into raw pixels; it undoes Decode without loss.
func Encode(img image.Image, f Format) []byte {
	b := img.Bounds()
	raw := make([]byte, 0, b.Dx()*b.Dy()*f.Bytes())
	pixel := pixels(img)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := pixel(x, y)
			if f == BGRA {
				raw = append(raw, c.B, c.G, c.R, c.A)
				continue
			}
			raw = binary.LittleEndian.AppendUint16(raw, uint16(c.R>>3)<<11|uint16(c.G>>2)<<5|uint16(c.B>>3))
		}
	}
	return raw
}

// pixels reads a picture without an allocation a pixel where its kind allows:
// what the PNG reader makes of opaque pictures and of ours.
func pixels(img image.Image) func(x, y int) color.NRGBA {
	switch m := img.(type) {
	case *image.NRGBA:
		return m.NRGBAAt
	case *image.RGBA:
		if m.Opaque() {
			return func(x, y int) color.NRGBA { return color.NRGBA(m.RGBAAt(x, y)) }
		}
	}
	return func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA) }
}
