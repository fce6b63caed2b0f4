package logo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"mtkport"
)

// Names in an extracted folder.
const (
	SideName     = "logo.yaml"    // which file is which picture, and of what shape
	OriginalName = "original.bin" // the file that was extracted
)

const (
	sideFormat = "mtkport-logo/1"
	maxSide    = 1 << 20
	maxFile    = 64 << 20 // bounds a picture file handed in
)

const sideHead = `# Written by mtkport logo extract. Edit the pictures and keep their width and
# height; mtkport logo build makes the logo again. A picture whose size no screen
# explains is raw pixels: give it width, height and format, extract it again with
# --shape, or leave it.
`

type sideFile struct {
	Format   string    `yaml:"format"`
	Pictures []sidePic `yaml:"pictures"`
}

type sidePic struct {
	File  string `yaml:"file"`
	Shape *Shape `yaml:"shape,omitempty"`
	Bytes int    `yaml:"bytes"`
	SHA   string `yaml:"sha256"` // of the file: while it is this, the picture is the original
}

// Extract writes every picture into root, which must be empty: PNG where the
// shape is known, raw pixels where it is not. shapes gives shapes by the size in
// bytes; [Logo.Shapes] serves for the rest.
func (l *Logo) Extract(ctx context.Context, root *os.Root, shapes map[int]Shape) error {
	side := sideFile{Format: sideFormat}
	all, err := l.Shapes()
	if err != nil {
		return err
	}
	maps.Copy(all, shapes)
	for _, p := range l.pics {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := p.Raw()
		if err != nil {
			return err
		}
		pic, data, err := picture(p.Index, raw, all)
		if err != nil {
			return err
		}
		pic.SHA = sum(data)
		if err := root.WriteFile(pic.File, data, 0o644); err != nil {
			return err
		}
		side.Pictures = append(side.Pictures, pic)
	}
	if err := l.copyOriginal(root); err != nil {
		return err
	}
	b, err := yaml.Marshal(side)
	if err != nil {
		return err
	}
	return root.WriteFile(SideName, append([]byte(sideHead), b...), 0o644)
}

func picture(i int, raw []byte, shapes map[int]Shape) (sidePic, []byte, error) {
	pic := sidePic{File: fmt.Sprintf("%02d.raw", i), Bytes: len(raw)}
	s, ok := shapes[len(raw)]
	if !ok {
		return pic, raw, nil
	}
	pic.File, pic.Shape = fmt.Sprintf("%02d.png", i), &s
	img, err := Decode(raw, s)
	if err != nil {
		return pic, nil, err
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	err = enc.Encode(&b, img)
	return pic, b.Bytes(), err
}

func (l *Logo) copyOriginal(root *os.Root) error {
	f, err := root.Create(OriginalName)
	if err != nil {
		return err
	}
	_, err = l.part.Edit().WriteTo(f)
	return errors.Join(err, f.Close())
}

// Built is an extracted folder on its way back to a logo.bin. Close it.
type Built struct {
	*Editor
	Changed []string // files whose pixels differ from the original

	file *os.File
}

// Close closes the original.
func (b *Built) Close() error { return b.file.Close() }

// Build reads a folder that [Logo.Extract] made. Files are opened inside root
// only.
func Build(ctx context.Context, root *os.Root) (*Built, error) {
	side, err := readSide(root)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(OriginalName)
	if err != nil {
		return nil, &mtkport.Error{File: OriginalName, Off: mtkport.NoOffset, Hint: "name a folder that logo extract made", Err: err}
	}
	b := &Built{file: f}
	if err := b.apply(ctx, root, side); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

func (b *Built) apply(ctx context.Context, root *os.Root, side *sideFile) error {
	st, err := b.file.Stat()
	if err != nil {
		return err
	}
	l, err := Open(b.file, st.Size())
	if err != nil {
		return mtkport.InFile(err, OriginalName)
	}
	if len(side.Pictures) != len(l.pics) {
		return sideErr("pictures", fmt.Sprint(len(side.Pictures)), fmt.Sprintf("%d, as the original has", len(l.pics)))
	}
	b.Editor = l.Edit()
	for i, pic := range side.Pictures {
		if err := ctx.Err(); err != nil {
			return err
		}
		changed, err := b.picture(root, i, pic)
		if err != nil {
			return mtkport.InFile(err, pic.File)
		}
		if changed {
			b.Changed = append(b.Changed, pic.File)
		}
	}
	return nil
}

// picture takes a picture from its file, unless the file is the one that was
// extracted.
func (b *Built) picture(root *os.Root, i int, pic sidePic) (changed bool, err error) {
	f, err := root.Open(pic.File)
	if err != nil {
		return false, err
	}
	defer f.Close()
	data, err := readBounded(f, maxFile)
	if err != nil || sum(data) == pic.SHA {
		return false, err
	}
	if strings.EqualFold(filepath.Ext(pic.File), ".png") {
		if data, err = pixelsOf(data, pic.Shape); err != nil {
			return false, err
		}
	}
	return b.SetRaw(i, data)
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// pixelsOf decodes a PNG, which must have the shape of the picture.
func pixelsOf(b []byte, s *Shape) ([]byte, error) {
	if s == nil || s.Format.Bytes() == 0 || s.Size() > maxRaw {
		return nil, sideErr("shape", "none", "width, height and format for a PNG")
	}
	cfg, err := png.DecodeConfig(bytes.NewReader(b))
	if err == nil && (cfg.Width != s.Width || cfg.Height != s.Height) {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "picture", Found: fmt.Sprintf("%d×%d", cfg.Width, cfg.Height),
			Want: fmt.Sprintf("%d×%d", s.Width, s.Height), Hint: "keep the picture's width and height", Err: mtkport.ErrRefused}
	}
	var img image.Image
	if err == nil {
		img, err = png.Decode(bytes.NewReader(b))
	}
	if err != nil {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "png", Found: err.Error(), Want: "a PNG picture", Err: mtkport.ErrFormat}
	}
	return Encode(img, s.Format), nil
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: "more", Want: fmt.Sprintf("at most %d bytes", limit), Err: mtkport.ErrTooBig}
	}
	return b, err
}

func readSide(root *os.Root) (*sideFile, error) {
	f, err := root.Open(SideName)
	if err != nil {
		return nil, &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Hint: "name a folder that logo extract made", Err: err}
	}
	defer f.Close()
	b, err := readBounded(f, maxSide)
	if err != nil {
		return nil, mtkport.InFile(err, SideName)
	}
	var s sideFile
	if err := mtkport.ParseYAML(b, &s); err != nil {
		return nil, sideErr("yaml", err.Error(), "what logo extract wrote")
	}
	if s.Format != sideFormat {
		return nil, sideErr("format", fmt.Sprintf("%q", s.Format), sideFormat)
	}
	return &s, nil
}

func sideErr(field, found, want string) error {
	return &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrFormat}
}
