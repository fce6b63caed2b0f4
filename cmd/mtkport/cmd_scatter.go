package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

func scatterCommand() *cli.Command {
	return &cli.Command{
		Name:  "scatter",
		Usage: "the map of a phone's partitions",
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "a layout as a table and a map", ArgsUsage: "SCATTER",
				Description: "SCATTER is a scatter file of any form, or a folder that holds one. Each partition has its class: bootloader,\n" +
					"identity (what makes this phone itself), firmware, modem, user or reserved.",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "svg", Usage: "also draw the map to `FILE`"}},
				Action: scatterShow,
			},
			{
				Name: "check", Usage: "what is wrong, dangerous or odd in a layout", ArgsUsage: "SCATTER…",
				Description: "Exit code 4 when a finding is as heavy as --fail-on says. The records and tables of the phone that the\n" +
					"flags name are compared with the one SCATTER given.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "fail-on", Value: "blocker", Usage: "exit with 4 from this `WEIGHT` on: blocker, risk, note or none"},
					&cli.StringFlag{Name: "mbr", Usage: "compare with the MBR in `FILE`"},
					&cli.StringFlag{Name: "ebr1", Usage: "compare with the EBR1 in `FILE`"},
					&cli.StringFlag{Name: "ebr2", Usage: "compare with the EBR2 in `FILE`"},
					&cli.StringFlag{Name: "ebr3", Usage: "compare with the EBR3 in `FILE`"},
					&cli.StringFlag{Name: "dumchar", Usage: "compare with the text of /proc/dumchar_info in `FILE`"},
					&cli.StringFlag{Name: "pmt", Usage: "compare with the phone's partition table in `FILE`"},
				},
				Action: scatterCheck,
			},
			{
				Name: "derive", Usage: "a fresh scatter of what a phone says of itself", ArgsUsage: "[SCATTER]",
				Description: "The phone's partition table (--pmt) comes before its /proc/dumchar_info (--dumchar), and this before SCATTER,\n" +
					"which lends names and files. Identity and boot loaders come out not downloadable.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "pmt", Usage: "the phone's partition table in `FILE`"},
					&cli.StringFlag{Name: "dumchar", Usage: "the text of /proc/dumchar_info in `FILE`"},
					&cli.StringFlag{Name: "platform", Usage: "the `CHIP`, such as MT6572"},
					&cli.StringFlag{Name: "project", Usage: "the `NAME` of the board"},
					&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, standard output where missing"},
				},
				Action: scatterDerive,
			},
		},
	}
}

// readScatter reads a scatter file, or the one that a folder holds.
func readScatter(name string) (*scatter.Layout, error) {
	if isFolder(name) {
		found, err := filepath.Glob(filepath.Join(name, "*[sS]catter*.txt"))
		if err != nil || len(found) != 1 {
			return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "folder", Found: fmt.Sprintf("%d scatter files", len(found)), Want: "one", Err: mtkport.ErrFormat, Hint: "name the file itself"}
		}
		name = found[0]
	}
	b, err := readSmall(name)
	if err != nil {
		return nil, err
	}
	return scatter.Parse(b, name)
}

func isFolder(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// readSmall reads a text or table that is small by nature.
func readSmall(name string) ([]byte, error) {
	f, n, err := openInput(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, 0, min(n, scatter.MaxFile+1)))
}

// scatterJSON is the document of `scatter show --json`.
type scatterJSON struct {
	File        string           `json:"file"`
	Version     string           `json:"version"`
	Platform    string           `json:"platform"`
	Project     string           `json:"project"`
	Storage     string           `json:"storage"`
	BootChannel string           `json:"boot_channel,omitempty"`
	BlockSize   int64            `json:"block_size"`
	MBRLinear   *int64           `json:"mbr_linear,omitempty"`
	Dialect     scatter.Dialect  `json:"physical_dialect"`
	Partitions  []scatterPartRow `json:"partitions"`
}

type scatterPartRow struct {
	Index       string            `json:"index,omitempty"`
	Name        string            `json:"name"`
	Canonical   string            `json:"canonical"`
	Class       identity.Class    `json:"class"`
	Guarded     bool              `json:"guarded"`
	Region      string            `json:"region"`
	RegionRaw   string            `json:"region_raw,omitempty"`
	Linear      int64             `json:"linear"`
	Physical    int64             `json:"physical"`
	Size        int64             `json:"size"`
	File        string            `json:"file"`
	Download    bool              `json:"download"`
	FromEnd     bool              `json:"from_end"`
	EndBlocks   int64             `json:"end_blocks,omitempty"`
	ToEnd       bool              `json:"to_end"`
	SizeDerived bool              `json:"size_derived"`
	Type        string            `json:"type,omitempty"`
	Operation   string            `json:"operation,omitempty"`
	Reserved    bool              `json:"reserved"`
	Extra       map[string]string `json:"extra,omitempty"`
}

func scatterDocument(l *scatter.Layout) scatterJSON {
	d := scatterJSON{File: l.File, Version: l.Version, Platform: l.Platform, Project: l.Project, Storage: l.Storage,
		BootChannel: l.BootChannel, BlockSize: l.BlockSize, Dialect: l.Dialect()}
	if mbr, ok := l.MBRLinear(); ok && l.Storage == scatter.EMMC {
		d.MBRLinear = mtkport.At(int64(mbr))
	}
	for _, p := range l.Partitions {
		row := scatterPartRow{Index: p.Index, Name: p.Name, Canonical: p.Canonical, Class: p.Class, Guarded: p.Guarded, Region: p.Region, RegionRaw: p.RawRegion,
			Linear: p.Linear, Physical: p.Physical, Size: p.Size, File: fileText(p), Download: p.Download, FromEnd: p.FromEnd, EndBlocks: p.EndBlocks,
			ToEnd: p.ToEnd, SizeDerived: p.SizeDerived, Type: p.Type, Operation: p.Operation, Reserved: p.Reserved}
		for _, kv := range p.Extra {
			if row.Extra == nil {
				row.Extra = map[string]string{}
			}
			row.Extra[kv.Key] = kv.Value
		}
		d.Partitions = append(d.Partitions, row)
	}
	return d
}

// fileText is file_name as the file has it: NONE stays NONE.
func fileText(p scatter.Partition) string {
	if p.HasFileName {
		return cmp.Or(p.File, "NONE")
	}
	return p.File
}

func scatterShow(c *cli.Context) error {
	args, err := arity(c, "SCATTER")
	if err != nil {
		return err
	}
	l, err := readScatter(args[0])
	if err != nil {
		return err
	}
	e := envOf(c)
	if svg := c.String("svg"); svg != "" {
		if err := mtkport.WriteFile(svg, 0o644, l.WriteSVG); err != nil {
			return err
		}
		e.notef("the map is drawn in %s", svg)
	}
	if e.json {
		return e.printJSON(scatterDocument(l))
	}
	e.showLayout(l)
	return nil
}

func (e *env) showLayout(l *scatter.Layout) {
	head := []string{l.Platform, l.Project, l.Storage, "form " + l.Version}
	if l.BlockSize > 0 {
		head = append(head, "blocks of "+size(l.BlockSize))
	}
	if mbr, ok := l.MBRLinear(); ok && mbr > 0 {
		head = append(head, "MBR at linear "+hex(int64(mbr)))
	}
	e.printf("%s\n\n", e.paint(bold, clean(strings.Join(slices.DeleteFunc(head, func(s string) bool { return s == "" }), ", "))))
	t := e.newTable("PARTITION", "CLASS", "REGION", "START", "SIZE", "DOWNLOAD", "FILE")
	for _, p := range l.Partitions {
		start := cell{text: hex(p.Linear), right: true}
		if p.FromEnd {
			start.text = fmt.Sprintf("end - %d blocks", p.EndBlocks)
		}
		t.row(cell{text: p.DisplayName(), style: classStyle(p.Class)}, cell{text: string(p.Class), style: classStyle(p.Class)}, p.Region,
			start, num(sizeOrRest(p)), map[bool]string{true: "yes", false: "-"}[p.Download], p.File)
	}
	t.print()
	for _, b := range l.Bars(e.width) {
		e.printf("\n%s, %s\n", e.paint(bold, clean(b.Region)), size(b.Size))
		e.printBar(l, b)
	}
	e.printf("\n%s\n", e.barLegend())
}

func sizeOrRest(p scatter.Partition) string {
	switch {
	case p.ToEnd || (p.Size == 0 && p.FromEnd):
		return "the rest"
	case p.Size%(1<<10) == 0 && p.Size < 1<<20:
		return size(p.Size)
	}
	return size(p.Size)
}

// printBar prints a region as one bar: names where they fit, else the letter of
// the class, so that the map reads without colour too.
func (e *env) printBar(l *scatter.Layout, b scatter.Bar) {
	for i, c := range b.Cells {
		if c.Part < 0 {
			e.printf("%s", strings.Repeat(".", c.Width))
			continue
		}
		p := l.Partitions[c.Part]
		fill, name := classLetter(p.Class, i), ""
		if c.Width >= len(p.Name)+2 {
			name = "[" + clean(p.Name) + "]"
		}
		text := name + strings.Repeat(fill, c.Width-len(name))
		e.printf("%s", e.paint("7;"+classStyle(p.Class), text))
	}
	e.printf("\n")
}

// classLetter alternates between capital and small, so neighbours of one class
// stay apart.
func classLetter(c identity.Class, i int) string {
	s := strings.ToUpper(string(c)[:1])
	if i%2 == 1 {
		s = strings.ToLower(s)
	}
	return s
}

func (e *env) barLegend() string {
	var parts []string
	for _, c := range identity.Classes() {
		parts = append(parts, e.paint("7;"+classStyle(c), strings.ToUpper(string(c)[:1]))+" "+string(c))
	}
	return strings.Join(parts, "   ") + "   . gap"
}

func classStyle(c identity.Class) style {
	switch c {
	case identity.Bootloader:
		return yellow
	case identity.Identity:
		return red
	case identity.Firmware:
		return blue
	case identity.Modem:
		return purple
	case identity.User:
		return green
	}
	return dim
}

// checkedFile is one file in the document of `scatter check --json`.
type checkedFile struct {
	File     string `json:"file"`
	Blockers int    `json:"blockers"`
	Risks    int    `json:"risks"`
	Notes    int    `json:"notes"`
}

type fileFinding struct {
	File string `json:"file"`
	mtkport.Finding
}

func scatterCheck(c *cli.Context) error {
	limit, err := failOn(c.String("fail-on"))
	if err != nil {
		return err
	}
	if c.NArg() == 0 {
		return usageError{"scatter check: no file given, want SCATTER…"}
	}
	e := envOf(c)
	files, all, worst := []checkedFile{}, []fileFinding{}, mtkport.Severity(-1)
	for _, name := range c.Args().Slice() {
		found, err := checkScatter(c, name)
		if err != nil {
			return err
		}
		f := checkedFile{File: name}
		for _, x := range found {
			worst = max(worst, x.Severity)
			all = append(all, fileFinding{name, x})
			*[]*int{&f.Notes, &f.Risks, &f.Blockers}[x.Severity]++
		}
		files = append(files, f)
		if !e.json {
			e.showChecked(f, found)
		}
	}
	if e.json {
		err = e.printJSON(struct {
			Files    []checkedFile `json:"files"`
			Findings []fileFinding `json:"findings"`
		}{files, all})
	}
	if err == nil && worst >= limit {
		return codeError(exitDamaged)
	}
	return err
}

// failOn reads --fail-on; none is heavier than anything.
func failOn(s string) (mtkport.Severity, error) {
	var v mtkport.Severity
	if s == "none" {
		return mtkport.Blocker + 1, nil
	}
	if err := v.UnmarshalText([]byte(s)); err != nil {
		return 0, usageError{fmt.Sprintf("--fail-on %s: want blocker, risk, note or none", s)}
	}
	return v, nil
}

// checkScatter checks one file, and against the phone's records and tables that
// the flags name.
func checkScatter(c *cli.Context, name string) ([]mtkport.Finding, error) {
	l, err := readScatter(name)
	if err != nil {
		return nil, err
	}
	found := scatter.Check(l)
	var mbr *scatter.Record
	var ebrs []*scatter.Record
	for _, flag := range []string{"mbr", "ebr1", "ebr2", "ebr3"} {
		r, err := readWith(c.String(flag), scatter.ParseRecord)
		switch {
		case err != nil:
			return nil, err
		case r != nil && flag == "mbr":
			mbr = r
		case r != nil:
			ebrs = append(ebrs, r)
		}
	}
	if mbr != nil || len(ebrs) > 0 {
		found = append(found, scatter.CheckRecords(l, mbr, ebrs...)...)
	}
	d, err := readWith(c.String("dumchar"), scatter.ParseDumchar)
	if err != nil {
		return nil, err
	}
	if d != nil {
		found = append(found, scatter.CheckDumchar(l, d)...)
	}
	p, err := readWith(c.String("pmt"), scatter.ParsePMT)
	if err != nil {
		return nil, err
	}
	if p != nil {
		found = append(found, scatter.CheckPMT(l, p, c.String("pmt"))...)
	}
	slices.SortStableFunc(found, func(a, b mtkport.Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return found, nil
}

// readWith reads a small file with a parser; nil for no name.
func readWith[T any](name string, parse func([]byte, string) (*T, error)) (*T, error) {
	if name == "" {
		return nil, nil
	}
	b, err := readSmall(name)
	if err != nil {
		return nil, err
	}
	return parse(b, name)
}

// showChecked prints the findings of one file. Boot loaders marked for download,
// which is how factories ship, share one line.
func (e *env) showChecked(f checkedFile, found []mtkport.Finding) {
	e.printf("%s: %s\n", e.paint(bold, clean(f.File)), verdict(f))
	var loaders []string
	shown := slices.DeleteFunc(slices.Clone(found), func(x mtkport.Finding) bool {
		if x.Code == "bootloader-download" && !e.verbose {
			loaders = append(loaders, x.Subject)
			return true
		}
		return false
	})
	first := slices.IndexFunc(shown, func(x mtkport.Finding) bool { return x.Severity < mtkport.Risk })
	if len(loaders) > 0 {
		one := mtkport.Finding{Code: "bootloader-download", Severity: mtkport.Risk,
			Text:    strings.Join(loaders, ", ") + ": boot loaders and tables marked for download, as factory files have it",
			Symptom: "those of another board leave the phone dead", Fix: "untick them unless the files are of this very board"}
		if first < 0 {
			first = len(shown)
		}
		shown = slices.Insert(shown, first, one)
	}
	e.printFindings(shown)
}

func verdict(f checkedFile) string {
	if f.Blockers+f.Risks+f.Notes == 0 {
		return "nothing found"
	}
	return fmt.Sprintf("%s, %s, %s", count(f.Blockers, "blocker"), count(f.Risks, "risk"), count(f.Notes, "note"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func scatterDerive(c *cli.Context) error {
	if c.NArg() > 1 {
		return usageError{fmt.Sprintf("scatter derive: %d arguments given, want one SCATTER or none", c.NArg())}
	}
	s := scatter.Sources{Platform: c.String("platform"), Project: c.String("project")}
	var err error
	if c.NArg() == 1 {
		if s.Scatter, err = readScatter(c.Args().First()); err != nil {
			return err
		}
	}
	if s.PMT, err = readWith(c.String("pmt"), scatter.ParsePMT); err != nil {
		return err
	}
	if s.Dumchar, err = readWith(c.String("dumchar"), scatter.ParseDumchar); err != nil {
		return err
	}
	if s.Scatter == nil && s.PMT == nil && s.Dumchar == nil {
		return usageError{"scatter derive: nothing to derive from, want SCATTER, --pmt or --dumchar"}
	}
	l, err := scatter.Derive(s)
	if err != nil {
		return err
	}
	e, out := envOf(c), c.String("output")
	if out == "" || out == stdinName {
		_, err = e.stdout.Write(l.Bytes())
		return err
	}
	err = mtkport.WriteFile(out, 0o644, func(w io.Writer) error { _, err := w.Write(l.Bytes()); return err })
	if err == nil {
		e.notef("%s: %d partitions", out, len(l.Partitions))
	}
	return err
}
