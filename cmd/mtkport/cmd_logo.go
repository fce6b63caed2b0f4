package main

import (
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/bootimg/logo"
)

func logoCommand() *cli.Command {
	shape := &cli.StringSliceFlag{Name: "shape", Usage: "width, height and format of pictures of that many bytes, as 38x54:rgb565 (or bgra)"}
	return &cli.Command{
		Name:  "logo",
		Usage: "the pictures of logo.bin",
		Subcommands: []*cli.Command{
			{
				Name: "ls", Usage: "list the pictures", ArgsUsage: "FILE",
				Flags: []cli.Flag{shape}, Action: logoList,
			},
			{
				Name: "extract", Usage: "into a folder of PNG files", ArgsUsage: "FILE -o DIR",
				Flags: []cli.Flag{outFlag("new folder"), shape}, Action: logoExtract,
			},
			{
				Name: "build", Usage: "an extracted folder; untouched pictures stay byte for byte", ArgsUsage: "DIR -o FILE",
				Flags: []cli.Flag{outFlag("logo.bin to write"), sizeFlag()}, Action: logoBuild,
			},
		},
	}
}

// logoShapes reads --shape.
func logoShapes(c *cli.Context) (map[int]logo.Shape, error) {
	shapes := map[int]logo.Shape{}
	for _, v := range c.StringSlice("shape") {
		var s logo.Shape
		size, format, _ := strings.Cut(v, ":")
		_, err := fmt.Sscanf(size, "%dx%d", &s.Width, &s.Height)
		s.Format = logo.Format(format)
		if err != nil || s.Width <= 0 || s.Height <= 0 || s.Width > 1<<14 || s.Height > 1<<14 || s.Format.Bytes() == 0 {
			return nil, usageError{fmt.Sprintf("--shape %s: want WIDTHxHEIGHT:rgb565 or WIDTHxHEIGHT:bgra", v)}
		}
		shapes[s.Size()] = s
	}
	return shapes, nil
}

// logoFile is an opened logo.bin. Close it.
type logoFile struct {
	*logo.Logo
	f *os.File
}

func openLogo(name string) (*logoFile, error) {
	f, size, err := openInput(name)
	if err != nil {
		return nil, err
	}
	l, err := logo.Open(f, size)
	if err != nil {
		f.Close()
		return nil, mtkport.InFile(err, name)
	}
	return &logoFile{l, f}, nil
}

type logoPicture struct {
	Index  int         `json:"index"`
	Offset int64       `json:"offset"`
	Size   int64       `json:"size"`
	Bytes  int         `json:"bytes"`
	Width  int         `json:"width,omitempty"`
	Height int         `json:"height,omitempty"`
	Format logo.Format `json:"format,omitempty"`
}

func logoList(c *cli.Context) error {
	args, err := arity(c, "FILE")
	if err != nil {
		return err
	}
	shapes, err := logoShapes(c)
	if err != nil {
		return err
	}
	l, err := openLogo(args[0])
	if err != nil {
		return err
	}
	defer l.f.Close()
	all, err := l.Shapes()
	if err != nil {
		return mtkport.InFile(err, args[0])
	}
	maps.Copy(all, shapes)
	pics := []logoPicture{}
	for _, p := range l.Pictures() {
		raw, err := p.Raw()
		if err != nil {
			return mtkport.InFile(err, args[0])
		}
		s := all[len(raw)]
		pics = append(pics, logoPicture{p.Index, mtkHeader + p.Off, p.Size, len(raw), s.Width, s.Height, s.Format})
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(map[string]any{"file": args[0], "pictures": pics, "notes": append([]mtkport.Finding{}, l.Notes()...)})
	}
	e.printPictures(pics)
	e.printFindings(l.Notes())
	return nil
}

// mtkHeader is the size of the header before the pictures' table.
const mtkHeader = 512

func (e *env) printPictures(pics []logoPicture) {
	t := e.newTable("picture", "offset", "size", "pixels", "shape")
	for _, p := range pics {
		shape := "unknown"
		if p.Width > 0 {
			shape = fmt.Sprintf("%d×%d %s", p.Width, p.Height, p.Format)
		}
		t.row(p.Index, num(hex(p.Offset)), p.Size, p.Bytes, shape)
	}
	t.print()
}

func logoExtract(c *cli.Context) error {
	in, out, err := inOut(c, "FILE")
	if err != nil {
		return err
	}
	shapes, err := logoShapes(c)
	if err != nil {
		return err
	}
	l, err := openLogo(in)
	if err != nil {
		return err
	}
	defer l.f.Close()
	err = newFolder(out, func(root *os.Root) error { return mtkport.InFile(l.Extract(c.Context, root, shapes), in) })
	if err != nil {
		return err
	}
	envOf(c).notef("extracted %d pictures into %s; `mtkport logo build %s -o logo.bin` makes the logo again", len(l.Pictures()), out, out)
	return nil
}

func logoBuild(c *cli.Context) error {
	in, out, err := inOut(c, "DIR")
	if err != nil {
		return err
	}
	how, err := resizing(c)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(in)
	if err != nil {
		return err
	}
	defer root.Close()
	b, err := logo.Build(c.Context, root)
	if err != nil {
		return inFolder(err, in)
	}
	defer b.Close()
	b.SetResize(how)
	same, err := b.Identical()
	if err != nil {
		return mtkport.InFile(err, out)
	}
	n, err := writeOut(out, b.Editor)
	if err != nil {
		return err
	}
	e := envOf(c)
	if len(b.Changed) > 0 {
		e.notef("note: the phone shows its logo three times: picture 0, the last picture, and system/media/images/boot_logo; change all three")
	}
	return bootWritten{File: out, Size: n, Changed: b.Changed, Identical: same}.print(e)
}
