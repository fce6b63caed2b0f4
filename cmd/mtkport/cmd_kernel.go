package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/bootimg/kernel"
)

func kernelCommand() *cli.Command {
	recognisers := &cli.StringFlag{Name: "recognisers", Usage: "use the recognisers in `FILE` (YAML) instead of the built-in ones"}
	return &cli.Command{
		Name:  "kernel",
		Usage: "inside a kernel: version, options, symbols, drivers, modules",
		Description: "FILE is a boot image, a zImage with or without a MediaTek header, a bare Image or a vmlinux.\n" +
			"Everything is read from its bytes.",
		Subcommands: append(kernelConfigCommands(), []*cli.Command{
			{Name: "info", Usage: "version, build, packing, addresses, chip", ArgsUsage: "FILE", Action: kernelInfo},
			{
				Name: "symbols", Usage: "the symbol table, as nm prints it", ArgsUsage: "FILE", Action: kernelSymbols,
				Flags: []cli.Flag{&cli.BoolFlag{Name: "exports", Usage: "only what modules may use, with its licence class"}},
			},
			{
				Name: "drivers", Usage: "panel, camera, touch, sensors …: what is compiled in, what the board declares", ArgsUsage: "FILE|ROM…", Action: kernelDrivers,
				Description: "FILE may also be lk (its panels) or libcameracustom.so (its sensors). A ROM is a folder or a package: its kernel,\n" +
					"lk and camera library are read.",
				Flags: []cli.Flag{
					recognisers,
					&cli.StringFlag{Name: "kind", Usage: "only this `KIND`: lcm, camera, touch, …"},
					&cli.BoolFlag{Name: "print-recognisers", Usage: "print the built-in recognisers and stop"},
				},
			},
			{
				Name: "modules", Usage: "would this kernel load these modules?", ArgsUsage: "ROM | FILE MODULE…", Action: kernelModules,
				Description: "Of a ROM (a folder or a package), every module of its system and every insmod line of its init scripts is\n" +
					"checked. MODULE is a .ko file or a folder of them. --init names scripts whose insmod lines are checked against the modules.",
				Flags: []cli.Flag{&cli.StringSliceFlag{Name: "init", Usage: "check the insmod lines of `SCRIPT` (may be given again)"}},
			},
			{Name: "elf", Usage: "an ELF with symbols, for debuggers and disassemblers", ArgsUsage: "FILE -o VMLINUX", Flags: []cli.Flag{outFlag("ELF to write")}, Action: kernelELF},
		}...),
	}
}

// kernelBytes is a kernel, lk or library as it lies in a file. Close it.
type kernelBytes struct {
	io.ReaderAt
	size  int64
	off   int64  // of the first byte in the file
	image string // "boot image", or empty
	f     *os.File
}

func (b *kernelBytes) Close() error { return b.f.Close() }

// openKernelBytes opens a file; of a boot image, its kernel section.
func openKernelBytes(name string) (*kernelBytes, error) {
	f, size, err := openInput(name)
	if err != nil {
		return nil, err
	}
	b := &kernelBytes{ReaderAt: f, size: size, f: f}
	head := make([]byte, len(bootimg.Magic))
	if _, err := f.ReadAt(head, 0); err != nil || string(head) != bootimg.Magic {
		return b, nil
	}
	img, err := bootimg.Open(f, size)
	if err != nil {
		f.Close()
		return nil, mtkport.InFile(err, name)
	}
	s := img.Section(bootimg.Kernel)
	if s == nil {
		f.Close()
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "kernel", Found: "no such section", Want: "a boot image with a kernel", Err: mtkport.ErrFormat}
	}
	b.ReaderAt, b.size, b.off, b.image = s.Payload(), s.PayloadSize(), s.PayloadOff(), "boot image"
	return b, nil
}

// openKernel opens the kernel of a file whole; nothing stays open.
func openKernel(name string) (*kernel.Kernel, *kernelBytes, error) {
	b, err := openKernelBytes(name)
	if err != nil {
		return nil, nil, err
	}
	defer b.Close()
	k, err := kernel.Open(b, b.size)
	return k, b, mtkport.InFile(err, name)
}

// kernelFacts is the JSON of kernel info.
type kernelFacts struct {
	File      string            `json:"file"`
	Container string            `json:"container,omitempty"`
	Form      kernel.Form       `json:"form"`
	Start     int64             `json:"start"`
	Part      string            `json:"part,omitempty"`
	Payload   kernel.Payload    `json:"payload"`
	DTBs      []kernel.DTB      `json:"dtbs"`
	Version   string            `json:"version"`
	Banner    string            `json:"banner"`
	Build     kernel.Build      `json:"build"`
	Vermagic  string            `json:"vermagic"`
	SoC       kernel.SoC        `json:"soc"`
	Base      string            `json:"base"`
	LoadAddr  string            `json:"load_addr"`
	Symbols   int               `json:"symbols"`
	SymbolsBy string            `json:"symbols_source"`
	Exports   map[string]int    `json:"exports"`
	ExportsBy string            `json:"exports_source"`
	Notes     []mtkport.Finding `json:"notes"`
}

func kernelFactsOf(name string) (*kernelFacts, error) {
	k, b, err := openKernel(name)
	if err != nil {
		return nil, err
	}
	part, _ := k.Part()
	f := &kernelFacts{
		File: name, Container: b.image, Form: k.Form(), Start: b.off + k.Start(), Part: part, Payload: k.Payload(), DTBs: k.DTBs(),
		Version: k.Version(), Banner: k.Banner(), Build: k.Build(), Vermagic: k.Vermagic(), SoC: k.SoC(),
		Base: fmt.Sprintf("0x%08x", k.Base()), Symbols: len(k.Symbols().List), SymbolsBy: k.Symbols().Source,
		Exports: map[string]int{}, ExportsBy: k.Exports().Source, Notes: k.Notes(),
	}
	if k.LoadAddr() != 0 {
		f.LoadAddr = fmt.Sprintf("0x%08x", k.LoadAddr())
	}
	for _, x := range k.Exports().List {
		f.Exports[string(x.Licence)]++
	}
	if f.DTBs == nil {
		f.DTBs = []kernel.DTB{}
	}
	if f.Notes == nil {
		f.Notes = []mtkport.Finding{}
	}
	return f, nil
}

func kernelInfo(c *cli.Context) error {
	args, err := arity(c, "FILE")
	if err != nil {
		return err
	}
	f, err := kernelFactsOf(args[0])
	if err != nil {
		return err
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(f)
	}
	f.print(e)
	return nil
}

func (f *kernelFacts) print(e *env) {
	e.printf("%s\n", clean(f.Banner))
	t := e.newTable()
	row := func(name, value string) {
		if value != "" {
			t.row("  "+name, value)
		}
	}
	row("release", f.Version)
	row("built by", f.Build.User+"@"+f.Build.Host+", #"+fmt.Sprint(f.Build.Number)+", "+f.Build.Time)
	row("compiler", f.Build.Compiler)
	row("smp, preempt", yesNo(f.Build.SMP)+", "+yesNo(f.Build.Preempt))
	row("vermagic", orDash(strings.TrimRight(f.Vermagic, " ")))
	row("chip", f.chip())
	row("form", f.where())
	row("payload", fmt.Sprintf("%s at 0x%x of the kernel, %d bytes packed, %d unpacked", f.Payload.Method, f.Payload.Off, f.Payload.Packed, f.Payload.Unpacked))
	row("device trees", countDTBs(f.DTBs))
	row("first byte at", f.Base+orElse(f.LoadAddr, ", worked out at run time", ", unpacked to "))
	row("symbols", fmt.Sprintf("%d (%s)", f.Symbols, f.SymbolsBy))
	row("exports", fmt.Sprintf("%d for all, %d for GPL modules (%s)", f.Exports["all"], f.Exports["gpl"], f.ExportsBy))
	t.print()
	for _, n := range f.Notes {
		e.printf("note: %s: %s (%s)\n", n.Code, clean(n.Text), clean(n.Evidence[0].Value))
	}
}

func orElse(s, empty, prefix string) string {
	if s == "" {
		return empty
	}
	return prefix + s
}

func (f *kernelFacts) chip() string {
	var parts []string
	for _, c := range f.SoC.Counts[:min(len(f.SoC.Counts), 4)] {
		parts = append(parts, fmt.Sprintf("%s %d times", c.Name, c.Count))
	}
	if len(parts) == 0 {
		return "no MediaTek chip is named"
	}
	return orDash(f.SoC.Name) + " (" + strings.Join(parts, ", ") + ")"
}

func (f *kernelFacts) where() string {
	s := string(f.Form)
	if f.Container != "" {
		s += " in a " + f.Container
	}
	if f.Part != "" {
		s += fmt.Sprintf(", MediaTek header %q", f.Part)
	}
	return fmt.Sprintf("%s at 0x%x", s, f.Start)
}

func countDTBs(d []kernel.DTB) string {
	if len(d) == 0 {
		return ""
	}
	return fmt.Sprintf("%d, the first at 0x%x", len(d), d[0].Off)
}

// symbolJSON is one symbol in JSON; addresses are hex as everywhere.
type symbolJSON struct {
	Addr    string         `json:"address"`
	Type    string         `json:"type,omitempty"`
	Name    string         `json:"name"`
	Licence kernel.Licence `json:"licence,omitempty"`
}

func kernelSymbols(c *cli.Context) error {
	args, err := arity(c, "FILE")
	if err != nil {
		return err
	}
	k, _, err := openKernel(args[0])
	if err != nil {
		return err
	}
	if c.Bool("exports") {
		return printExports(envOf(c), k)
	}
	if err := k.SymbolsErr(); err != nil {
		return mtkport.InFile(err, args[0])
	}
	e := envOf(c)
	if !e.json {
		return k.Symbols().WriteNM(e.stdout)
	}
	list := make([]symbolJSON, len(k.Symbols().List))
	for i, s := range k.Symbols().List {
		list[i] = symbolJSON{Addr: fmt.Sprintf("0x%08x", s.Addr), Type: string(s.Type), Name: s.Name}
	}
	return e.printJSON(map[string]any{"source": k.Symbols().Source, "symbols": list})
}

func printExports(e *env, k *kernel.Kernel) error {
	x := k.Exports()
	if e.json {
		list := make([]symbolJSON, len(x.List))
		for i, s := range x.List {
			list[i] = symbolJSON{Addr: fmt.Sprintf("0x%08x", s.Addr), Name: s.Name, Licence: s.Licence}
		}
		return e.printJSON(map[string]any{"source": x.Source, "symbols": list})
	}
	for _, s := range x.List {
		e.printf("%08x %-10s %s\n", s.Addr, s.Licence, s.Name)
	}
	return nil
}

// loadRecognisers takes --recognisers; nil without it: the built-in ones.
func loadRecognisers(c *cli.Context) (*kernel.Recognisers, error) {
	name := c.String("recognisers")
	if name == "" {
		return nil, nil
	}
	b, err := readBounded(name, 1<<20)
	if err != nil {
		return nil, err
	}
	r, err := kernel.ParseRecognisers(b)
	return r, mtkport.InFile(err, name)
}

// readBounded reads a small file whole.
func readBounded(name string, limit int64) ([]byte, error) {
	f, size, err := openInput(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprint(size), Want: fmt.Sprintf("at most %d", limit), Err: mtkport.ErrFormat}
	}
	return io.ReadAll(io.NewSectionReader(f, 0, size))
}

func kernelDrivers(c *cli.Context) error {
	e := envOf(c)
	if c.Bool("print-recognisers") {
		_, err := e.stdout.Write(kernel.BuiltinYAML())
		return err
	}
	if c.NArg() == 0 {
		return usageError{"kernel drivers: no file given, want FILE…"}
	}
	rec, err := loadRecognisers(c)
	if err != nil {
		return err
	}
	kind := kernel.Kind(c.String("kind"))
	var bad []error
	var all []driversJSON
	for _, name := range c.Args().Slice() {
		list, err := driversOfAny(c.Context, name, rec)
		if err != nil {
			bad = append(bad, err)
		}
		all = append(all, list...)
	}
	for _, d := range all {
		if kind != "" {
			d.List, d.NotFound = d.Of(kind), nil
		}
		if err := printDrivers(e, d, len(all) > 1 || c.NArg() > 1); err != nil {
			return err
		}
	}
	return errors.Join(bad...)
}

// driversOfAny lists the drivers of a file, or of each part of a ROM.
func driversOfAny(ctx context.Context, name string, rec *kernel.Recognisers) ([]driversJSON, error) {
	if isROM(name) {
		return romDrivers(ctx, name, rec)
	}
	d, err := driversOf(name, rec)
	if err != nil {
		return nil, err
	}
	return []driversJSON{driversOfPart(name, d)}, nil
}

func driversOf(name string, rec *kernel.Recognisers) (*kernel.Drivers, error) {
	b, err := openKernelBytes(name)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	d, err := kernel.FindDrivers(b, b.size, rec)
	return d, mtkport.InFile(err, name)
}

// driversJSON is the object of one file.
type driversJSON struct {
	File   string `json:"file"`
	Source string `json:"source"`
	*kernel.Drivers
}

func printDrivers(e *env, d driversJSON, several bool) error {
	if d.List == nil {
		d.List = []kernel.Driver{}
	}
	if d.NotFound == nil {
		d.NotFound = []kernel.Kind{}
	}
	if e.json && several {
		return e.printJSONLine(d)
	}
	if e.json {
		return e.printJSON(d)
	}
	if several {
		e.printf("%s\n", e.paint(bold, clean(d.File)))
	}
	t := e.newTable("kind", "name", "id", "state", "seen")
	for _, x := range d.List {
		seen := ""
		if len(x.Evidence) > 0 {
			seen = evidenceText(x.Evidence[0])
		}
		t.row(string(x.Kind), x.Name, orDash(x.ID), string(x.State), cell{text: seen, style: dim})
	}
	t.print()
	if len(d.NotFound) > 0 {
		var kinds []string
		for _, k := range d.NotFound {
			kinds = append(kinds, string(k))
		}
		e.printf("not found: %s\n", strings.Join(kinds, ", "))
	}
	return nil
}

func evidenceText(x kernel.Evidence) string {
	if x.Off < 0 {
		return fmt.Sprintf("%s: %s", x.From, x.Value)
	}
	return fmt.Sprintf("%s at 0x%x: %s", x.From, x.Off, x.Value)
}

func kernelELF(c *cli.Context) error {
	args, err := arity(c, "FILE")
	if err != nil {
		return err
	}
	out, err := output(c)
	if err != nil {
		return err
	}
	k, _, err := openKernel(args[0])
	if err != nil {
		return err
	}
	err = mtkport.WriteFile(out, 0o644, func(w io.Writer) error {
		_, err := k.WriteELF(w)
		return err
	})
	if err != nil {
		return err
	}
	e := envOf(c)
	e.notef("wrote %s: %d bytes of kernel at 0x%08x, %d symbols", out, len(k.Image()), k.Base(), len(k.Symbols().List))
	return nil
}

// moduleFiles opens the modules that args name: files, or folders of them.
func moduleFiles(args []string) ([]kernel.ModuleFile, error) {
	var out []kernel.ModuleFile
	for _, arg := range args {
		names := []string{arg}
		if st, err := os.Stat(arg); err != nil {
			return nil, err
		} else if st.IsDir() {
			var err error
			if names, err = filepath.Glob(filepath.Join(arg, "*.ko")); err != nil {
				return nil, err
			}
		}
		for _, name := range names {
			m, err := openModule(name)
			out = append(out, kernel.ModuleFile{File: name, Module: m, Err: err})
		}
	}
	return out, nil
}

func openModule(name string) (*kernel.Module, error) {
	f, size, err := openInput(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return kernel.OpenModule(f, size)
}

// modulesJSON is the JSON of kernel modules.
type modulesJSON struct {
	Kernel   string                 `json:"kernel"`
	Vermagic string                 `json:"vermagic"`
	Modules  []kernel.ModuleVerdict `json:"modules"`
	Missing  []kernel.Insmod        `json:"missing_insmod"`
}

func kernelModules(c *cli.Context) error {
	e := envOf(c)
	if c.NArg() == 1 && isROM(c.Args().First()) {
		j, err := romModules(c.Context, c.Args().First())
		if err != nil {
			return err
		}
		return j.report(e)
	}
	if c.NArg() < 1 || c.NArg() < 2 && len(c.StringSlice("init")) == 0 {
		return usageError{fmt.Sprintf("kernel modules: %d arguments given, want FILE MODULE…", c.NArg())}
	}
	args := c.Args().Slice()
	k, _, err := openKernel(args[0])
	if err != nil {
		return err
	}
	mods, err := moduleFiles(args[1:])
	if err != nil {
		return err
	}
	j := &modulesJSON{Kernel: k.Version(), Vermagic: k.Vermagic(), Modules: kernel.CheckModules(k, mods)}
	if j.Missing, err = missingInsmods(c.StringSlice("init"), mods); err != nil {
		return err
	}
	return j.report(e)
}

func (j *modulesJSON) report(e *env) error {
	if e.json {
		return e.printJSON(j)
	}
	j.print(e)
	return nil
}

// missingInsmods checks scripts against the names of the modules given: a path
// on the phone is there when a module of that file name is.
func missingInsmods(scripts []string, mods []kernel.ModuleFile) ([]kernel.Insmod, error) {
	have := map[string]bool{}
	for _, m := range mods {
		have[filepath.Base(m.File)] = true
	}
	missing := []kernel.Insmod{}
	for _, s := range scripts {
		b, err := readBounded(s, 4<<20)
		if err != nil {
			return nil, err
		}
		lines, err := kernel.InsmodLines(s, strings.NewReader(string(b)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		missing = append(missing, kernel.MissingInsmods(lines, func(p string) bool { return have[filepath.Base(p)] })...)
	}
	return missing, nil
}

func (j *modulesJSON) print(e *env) {
	e.printf("kernel %s, version magic %q\n", j.Kernel, j.Vermagic)
	t := e.newTable("module", "verdict", "symbols", "loads after", "why")
	for _, v := range j.Modules {
		t.row(filepath.Base(v.File), cell{text: string(v.Verdict), style: verdictStyle(v.Verdict)}, v.Symbols, orDash(strings.Join(v.Needs, " ")), orDash(strings.Join(v.Why, "; ")))
	}
	t.print()
	notes := map[string]int{}
	for _, v := range j.Modules {
		for _, n := range v.Notes {
			if notes[n]++; notes[n] == 1 {
				e.printf("note: %s: %s\n", filepath.Base(v.File), n)
			}
		}
	}
	for _, m := range j.Missing {
		e.printf("missing: %s:%d: insmod %s\n", m.Script, m.Line, clean(m.Path))
	}
}

func verdictStyle(v kernel.Verdict) style {
	switch v {
	case kernel.Loads:
		return green
	case kernel.Refuses:
		return red
	}
	return yellow
}
