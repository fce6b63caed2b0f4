package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/bootimg"
)

func bootCommand() *cli.Command {
	return &cli.Command{
		Name:  "boot",
		Usage: "boot.img, recovery.img and files with a MediaTek header (lk, logo)",
		Subcommands: []*cli.Command{
			{
				Name: "info", Usage: "what is in it, fit to paste, with the proof that a repack is identical",
				ArgsUsage: "FILE", Action: bootInfo,
			},
			{
				Name: "unpack", Usage: "into a folder with " + bootimg.SideName,
				ArgsUsage: "FILE -o DIR", Flags: []cli.Flag{outFlag("new folder")}, Action: bootUnpack,
			},
			{
				Name: "repack", Usage: "an unpacked folder: the same bytes, or what was changed and nothing else",
				ArgsUsage: "DIR -o FILE", Flags: []cli.Flag{outFlag("image to write"), sizeFlag(), idFlag()}, Action: bootRepack,
			},
			{
				Name: "set", Usage: "replace sections and header fields",
				ArgsUsage: "FILE -o FILE [flags]", Flags: bootSetFlags(), Action: bootSet,
			},
			{
				Name: "diff", Usage: "field by field, section by section",
				ArgsUsage: "A B", Action: bootDiff,
			},
		},
	}
}

func sizeFlag() cli.Flag {
	return &cli.StringFlag{Name: "size", Value: "auto",
		Usage: "size of the result: auto (a partition dump keeps its size), grow, keep, or a number of bytes"}
}

func idFlag() cli.Flag {
	return &cli.StringFlag{Name: "id", Value: "auto",
		Usage: "the header's id: auto (computed anew if the original's followed the rule), keep, compute, or 40 or 64 hex digits"}
}

// bootFile is an opened boot image or part. Close it.
type bootFile struct {
	*bootimg.File
	name string
	f    *os.File
}

func (b *bootFile) Close() error { return b.f.Close() }

func openBoot(name string) (*bootFile, error) {
	f, size, err := openInput(name)
	if err != nil {
		return nil, err
	}
	img, err := bootimg.OpenFile(f, size)
	if err != nil {
		f.Close()
		return nil, mtkport.InFile(err, name)
	}
	return &bootFile{File: img, name: name, f: f}, nil
}

func bootUnpack(c *cli.Context) error {
	in, out, err := inOut(c, "FILE")
	if err != nil {
		return err
	}
	b, err := openBoot(in)
	if err != nil {
		return err
	}
	defer b.Close()
	err = newFolder(out, func(root *os.Root) error { return mtkport.InFile(b.Unpack(c.Context, root), b.name) })
	if err != nil {
		return err
	}
	envOf(c).notef("unpacked %s into %s; edit %s or replace files, then `mtkport boot repack %s -o IMAGE`", b.name, out, bootimg.SideName, out)
	return nil
}

// bootWritten is what a writing command reports.
type bootWritten struct {
	File      string   `json:"file"`
	Size      int64    `json:"size"`
	SHA256    string   `json:"sha256,omitempty"`
	Changed   []string `json:"changed"`
	Identical bool     `json:"identical"`
}

func (w bootWritten) print(e *env) error {
	if e.json {
		if w.Changed == nil {
			w.Changed = []string{}
		}
		return e.printJSON(w)
	}
	e.printf("wrote %s, %d bytes\n", clean(w.File), w.Size)
	if len(w.Changed) > 0 {
		e.printf("changed: %s\n", clean(strings.Join(w.Changed, ", ")))
	}
	e.printf("identical to the original: %s\n", yesNo(w.Identical))
	return nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func bootRepack(c *cli.Context) error {
	in, out, err := inOut(c, "DIR")
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(in)
	if err != nil {
		return err
	}
	defer root.Close()
	r, err := bootimg.Repack(c.Context, root)
	if err != nil {
		return inFolder(err, in)
	}
	defer r.Close()
	how, err := resizing(c)
	if err != nil {
		return err
	}
	r.SetResize(how)
	mode, id, err := idMode(c)
	if err != nil {
		return err
	}
	if id != nil {
		return usageError{"boot repack: --id takes auto, keep or compute; write other ids into " + bootimg.SideName}
	}
	r.SetID(mode)
	kept, err := r.IDKept()
	if err != nil {
		return err
	}
	envOf(c).noteID(kept)
	n, err := writeOut(out, r)
	if err != nil {
		return err
	}
	return bootWritten{File: out, Size: n, SHA256: r.SHA256(), Changed: r.Changed, Identical: r.Identical()}.print(envOf(c))
}

// noteID says that an id no longer belongs to its contents.
func (e *env) noteID(kept bool) {
	if kept {
		e.notef("note: the id follows from no rule in the original, so it is kept; --id compute makes one")
	}
}

// inFolder prefixes the file of an error with the folder it lies in.
func inFolder(err error, dir string) error {
	if e := (*mtkport.Error)(nil); errors.As(err, &e) && e.File != "" {
		x := *e
		x.File = strings.TrimSuffix(dir, "/") + "/" + e.File
		return &x
	}
	return mtkport.InFile(err, dir)
}

func bootDiff(c *cli.Context) error {
	args, err := arity(c, "A", "B")
	if err != nil {
		return err
	}
	a, err := bootFacts(c, args[0])
	if err != nil {
		return err
	}
	b, err := bootFacts(c, args[1])
	if err != nil {
		return err
	}
	ds := bootimg.Diff(a, b)
	e := envOf(c)
	if e.json {
		if ds == nil {
			ds = []bootimg.Difference{}
		}
		return e.printJSON(map[string]any{"a": args[0], "b": args[1], "identical": len(ds) == 0, "differences": ds})
	}
	if len(ds) == 0 {
		e.printf("identical, %d bytes\n", a.Size)
		return nil
	}
	t := e.newTable("field", args[0], args[1])
	for _, d := range ds {
		t.row(d.Field, orDash(d.A), orDash(d.B))
	}
	t.print()
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func bootFacts(c *cli.Context, name string) (*bootimg.Facts, error) {
	b, err := openBoot(name)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	x, err := b.Facts(c.Context)
	return x, mtkport.InFile(err, name)
}

// bootReport is the JSON of boot info.
type bootReport struct {
	File string `json:"file"`
	*bootimg.Facts
}

func bootInfo(c *cli.Context) error {
	args, err := arity(c, "FILE")
	if err != nil {
		return err
	}
	e := envOf(c)
	x, err := bootFacts(c, args[0])
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(bootReport{args[0], x})
	}
	e.printBoot(args[0], x)
	return nil
}

// printBoot is the block that people paste into forums.
func (e *env) printBoot(name string, x *bootimg.Facts) {
	what := map[string]string{bootimg.FormatBoot: "Android boot image", bootimg.FormatPart: "MediaTek part"}[x.Format]
	e.printf("%s: %s, %d bytes\n", clean(name), what, x.Size)
	for _, f := range x.Fields() {
		if !strings.Contains(f.Name, ".") && f.Value != "" && f.Name != "format" && f.Name != "size" {
			e.printf("  %-15s %s\n", f.Name, clean(f.Value))
		}
	}
	t := e.newTable("section", "offset", "size", "MTK header", "payload", "is", "sha256")
	for _, s := range x.Sections {
		part := "none"
		if s.Part != nil {
			part = fmt.Sprintf("%s (%s)", s.Part.Name, s.Part.Form)
		}
		t.row(s.Kind, num(hex(s.Offset)), s.Size, part, s.PayloadSize, s.Is, s.SHA256[:16])
	}
	t.print()
	if x.Tail.Size > 0 {
		e.printf("after the image: %d bytes, %d of them data, padding 0x%02x\n", x.Tail.Size, x.Tail.Data, x.Tail.Fill)
	}
	for _, n := range x.Notes {
		e.printf("%s: %s: %s: %s\n", n.Severity, n.Code, n.Subject, clean(n.Text))
	}
	e.printf("sha256: %s\n", x.SHA256)
	e.printf("repack identical: %s\n", yesNo(x.Identical))
}
