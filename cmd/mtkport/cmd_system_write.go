package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/sysimg"
	"mtkport/sysimg/sparse"
)

// systemWriteCommands write images, or compare them.
func systemWriteCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "build", Usage: "a folder (of system extract, or any) into an image: by default the kind, size and layout it came from",
			ArgsUsage: "DIR -o IMAGE", Action: systemBuild,
			Flags: append(writeFlags(), mountFlag(), contextsFlag(), sdkFlag()),
		},
		{
			Name: "convert", Usage: "an image into another container; raw and sparse ext4 keep their bytes",
			ArgsUsage: "IMAGE --to KIND -o OUTPUT", Action: systemConvert,
			Flags: append(writeFlags(),
				&cli.StringFlag{Name: "split", Usage: "sparse: several files of at most this size, OUTPUT.0, OUTPUT.1, …"},
				&cli.IntFlag{Name: "list-version", Value: 2, Usage: "sdat: version of the transfer list, 1 to 4 (1 for Android 5.0, 2 for 5.1)"}),
		},
		{
			Name: "diff", Usage: "two trees: contents, modes, owners, labels",
			ArgsUsage: "A B", Action: systemDiff,
			Flags: []cli.Flag{&cli.BoolFlag{Name: "times", Usage: "modification times too"}},
		},
		{
			Name: "verify", Usage: "read everything and check what can be checked",
			ArgsUsage: "IMAGE", Action: systemVerify,
		},
	}
}

func writeFlags() []cli.Flag {
	return append([]cli.Flag{
		outFlag("image to write"),
		&cli.StringFlag{Name: "to", Usage: "container: " + strings.Join(sysimg.Formats(), ", ") + " or sdat (convert)"},
		&cli.StringFlag{Name: "size", Usage: "size of the file system: a number of bytes (k, M, G), or min for the smallest; by default as before"},
		&cli.StringFlag{Name: "label", Usage: "volume label; yaffs2: the partition's name in the spare bytes, as MediaTek's builder marks them"},
		&cli.BoolFlag{Name: "dont-care", Usage: "sparse: leave free blocks out instead of writing zeros (the phone keeps what was there)"},
	}, nandFlags()...)
}

// writeOptions reads the flags of writeFlags.
func writeOptions(c *cli.Context) (sysimg.Options, error) {
	opt := sysimg.Options{To: c.String("to"), Label: c.String("label"), DontCare: c.Bool("dont-care"), Progress: envOf(c).roomProgress()}
	var err error
	if opt.NAND, err = nandOptions(c); err != nil {
		return opt, err
	}
	switch s := c.String("size"); s {
	case "":
	case "min":
		opt.Smallest = true
	default:
		n, err := parseSize(s)
		if err != nil {
			return opt, usageError{"--size: " + err.Error()}
		}
		opt.Size = n
	}
	if known := append(sysimg.Formats(), "sdat", ""); !slices.Contains(known, opt.To) {
		return opt, usageError{fmt.Sprintf("--to: no container %q, want %s", opt.To, strings.Join(sysimg.Formats(), ", "))}
	}
	return opt, nil
}

// parseSize reads a number of bytes with k, M or G for powers of 1024.
func parseSize(s string) (int64, error) {
	shift := 0
	num := strings.TrimSuffix(strings.TrimSuffix(s, "iB"), "B")
	if i := strings.IndexAny(num, "kKmMgG"); i >= 0 && i == len(num)-1 {
		shift = map[byte]int{'k': 10, 'm': 20, 'g': 30}[strings.ToLower(num)[i]]
		num = num[:i]
	}
	n, err := strconv.ParseInt(num, 0, 64)
	if err != nil || n <= 0 || n > 1<<44>>shift {
		return 0, fmt.Errorf("%q, want a number of bytes like 536870912 or 512M", s)
	}
	return n << shift, nil
}

// systemWritten is what a writing command reports.
type systemWritten struct {
	File     string            `json:"file"`
	Format   string            `json:"format"`
	Size     int64             `json:"size"`  // of the file system
	Bytes    int64             `json:"bytes"` // of the file
	Findings []mtkport.Finding `json:"findings"`
}

func (w systemWritten) report(e *env) error {
	if e.json {
		if w.Findings == nil {
			w.Findings = []mtkport.Finding{}
		}
		return e.printJSON(w)
	}
	e.printf("wrote %s: %s, %d bytes", clean(w.File), w.Format, w.Bytes)
	if w.Size != w.Bytes && w.Size > 0 {
		e.printf(", %d when expanded", w.Size)
	}
	e.printf("\n")
	e.printFindings(w.Findings)
	return nil
}

// writeSystem writes an image whole or not at all, then opens it again to see
// that it reads.
func writeSystem(c *cli.Context, out string, fn func(w sysimg.Output) error) (systemWritten, error) {
	var w systemWritten
	f, err := mtkport.CreateFile(out, 0o644)
	if err != nil {
		return w, err
	}
	defer f.Abort()
	if err := fn(f); err != nil {
		return w, err
	}
	n, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return w, err
	}
	m, err := sysimg.Open(f.File, n)
	if err != nil {
		return w, fmt.Errorf("%s, as just written, does not open: %w", out, err)
	}
	w = systemWritten{File: out, Format: m.Format, Size: m.Size, Bytes: n}
	return w, f.Place()
}

func systemBuild(c *cli.Context) error {
	args, err := arity(c, "DIR")
	if err != nil {
		return err
	}
	out, err := output(c)
	if err != nil {
		return err
	}
	opt, err := writeOptions(c)
	if err != nil {
		return err
	}
	m, err := openSystem(c, args[0])
	if err != nil {
		return err
	}
	defer m.Close()
	opt.Like = m
	w, err := writeSystem(c, out, func(w sysimg.Output) error { return sysimg.Write(c.Context, w, m.Tree, opt) })
	if err != nil {
		return mtkport.InFile(err, out)
	}
	w.Findings = m.Problems()
	return w.report(envOf(c))
}

func systemConvert(c *cli.Context) error {
	args, err := arity(c, "IMAGE")
	if err != nil {
		return err
	}
	out, err := output(c)
	if err != nil {
		return err
	}
	opt, err := writeOptions(c)
	if err != nil {
		return err
	}
	if opt.To == "" {
		return usageError{"system convert: no container given, want --to " + strings.Join(sysimg.Formats(), ", ") + " or sdat"}
	}
	m, err := openSystem(c, args[0])
	if err != nil {
		return err
	}
	defer m.Close()
	switch {
	case opt.To == "sdat":
		return convertData(c, m, out)
	case c.String("split") != "":
		return convertSplit(c, m, out)
	}
	w, err := writeSystem(c, out, func(w sysimg.Output) error { return sysimg.Convert(c.Context, w, m, opt) })
	if err != nil {
		return mtkport.InFile(err, out)
	}
	w.Findings = m.Problems()
	return w.report(envOf(c))
}

// rawOf is the ext4 image inside m.
func rawOf(m *sysimg.Image) (io.ReaderAt, int64, error) {
	if m.Raw() == nil || m.Layout.Ext4 == nil {
		return nil, 0, &mtkport.Error{Off: mtkport.NoOffset, Field: "container", Found: m.Format, Want: "ext4 or sparse", Err: mtkport.ErrUnsupported, Hint: "convert it to ext4 first"}
	}
	return m.Raw(), m.Size, nil
}

// convertSplit writes OUTPUT.0, OUTPUT.1, …
func convertSplit(c *cli.Context, m *sysimg.Image, out string) error {
	limit, err := parseSize(c.String("split"))
	if err != nil {
		return usageError{"--split: " + err.Error()}
	}
	r, n, err := rawOf(m)
	if err != nil {
		return err
	}
	parts, err := sparse.Split(c.Context, r, n, limit, sparse.Options{Progress: envOf(c).roomProgress()})
	if err != nil {
		return err
	}
	var all []systemWritten
	for i, p := range parts {
		name := fmt.Sprintf("%s.%d", out, i)
		if err := mtkport.WriteFile(name, 0o644, func(w io.Writer) error { return p.Write(c.Context, w, nil) }); err != nil {
			return err
		}
		all = append(all, systemWritten{File: name, Format: "sparse", Size: n, Bytes: p.Size(), Findings: []mtkport.Finding{}})
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(all)
	}
	for _, w := range all {
		if err := w.report(e); err != nil {
			return err
		}
	}
	return nil
}

// convertData writes NAME.new.dat, NAME.transfer.list and an empty NAME.patch.dat.
func convertData(c *cli.Context, m *sysimg.Image, out string) error {
	r, n, err := rawOf(m)
	if err != nil {
		return err
	}
	stem := strings.TrimSuffix(strings.TrimSuffix(out, ".new.dat"), ".dat")
	e, list, err := sparse.EncodeData(c.Context, r, n, c.Int("list-version"), sparse.Options{Progress: envOf(c).roomProgress()})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		fn   func(w io.Writer) error
	}{
		{stem + ".new.dat", func(w io.Writer) error { return e.Write(c.Context, w, nil) }},
		{stem + ".patch.dat", func(io.Writer) error { return nil }},
		{stem + ".transfer.list", func(w io.Writer) error { _, err := w.Write(list); return err }},
	} {
		if err := mtkport.WriteFile(f.name, 0o644, f.fn); err != nil {
			return err
		}
	}
	return systemWritten{File: stem + ".new.dat", Format: "sdat", Size: n, Bytes: e.Size()}.report(envOf(c))
}

func systemDiff(c *cli.Context) error {
	args, err := arity(c, "A", "B")
	if err != nil {
		return err
	}
	a, err := openSystem(c, args[0])
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := openSystem(c, args[1])
	if err != nil {
		return err
	}
	defer b.Close()
	changes, err := sysimg.Diff(c.Context, a.Tree, b.Tree, sysimg.Times(c.Bool("times")))
	if err != nil {
		return err
	}
	e := envOf(c)
	if e.json {
		for i := range changes {
			changes[i].Path = sysimg.Printable(changes[i].Path)
		}
		return e.printJSON(struct {
			A       string          `json:"a"`
			B       string          `json:"b"`
			Same    bool            `json:"same"`
			Changes []sysimg.Change `json:"changes"`
		}{args[0], args[1], len(changes) == 0, append([]sysimg.Change{}, changes...)})
	}
	if len(changes) == 0 {
		e.printf("the trees are the same\n")
	}
	t := e.newTable()
	for _, ch := range changes {
		note := ch.Note
		if note == "" {
			note = strings.TrimSpace(ch.Old + " -> " + ch.New)
		}
		t.row(ch.Kind, ch.Path, note)
	}
	t.print()
	return nil
}

func systemVerify(c *cli.Context) error {
	args, err := arity(c, "IMAGE")
	if err != nil {
		return err
	}
	m, err := openSystem(c, args[0])
	if err != nil {
		return err
	}
	defer m.Close()
	e := envOf(c)
	found, err := m.Verify(c.Context, e.roomProgress())
	if err != nil {
		return mtkport.InFile(err, args[0])
	}
	bad := slices.ContainsFunc(found, func(f mtkport.Finding) bool { return f.Severity > mtkport.Note })
	if e.json {
		err = e.printJSON(struct {
			File     string            `json:"file"`
			Sound    bool              `json:"sound"`
			Bytes    int64             `json:"bytes"`
			Findings []mtkport.Finding `json:"findings"`
		}{args[0], !bad, m.Tree.Bytes(), append([]mtkport.Finding{}, found...)})
	} else {
		e.printf("%s: %s, %d bytes of contents read\n", clean(filepath.Base(args[0])), m.Format, m.Tree.Bytes())
		e.printFindings(found)
	}
	if err == nil && bad {
		err = &mtkport.Error{File: args[0], Off: mtkport.NoOffset, Field: "image", Found: "the damage listed", Err: mtkport.ErrDamaged}
	}
	return err
}
