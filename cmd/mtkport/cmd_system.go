package main

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/sysimg"
	"mtkport/sysimg/labels"
	"mtkport/sysimg/tree"
)

func systemCommand() *cli.Command {
	return &cli.Command{
		Name:  "system",
		Usage: "system images: sparse or raw ext4, UBI, UBIFS, YAFFS2, and folders made by system extract",
		Subcommands: append([]*cli.Command{
			{
				Name: "info", Usage: "what holds the tree, and how it is laid out",
				ArgsUsage: "IMAGE", Action: systemInfo,
			},
			{
				Name: "ls", Usage: "list the tree, or what lies below the paths",
				ArgsUsage: "IMAGE [PATH…]", Action: systemList,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "labels", Aliases: []string{"Z"}, Usage: "show SELinux labels"},
					&cli.BoolFlag{Name: "flat", Usage: "only what lies directly in the directories"},
					&cli.BoolFlag{Name: "names", Usage: "paths only"},
				},
			},
			{
				Name: "cat", Usage: "print files; links are followed inside the image",
				ArgsUsage: "IMAGE PATH…", Flags: []cli.Flag{mountFlag()}, Action: systemCat,
			},
			{
				Name: "extract", Usage: "into a folder: the files, and " + sysimg.SideName + " with owners, modes, labels, links, devices",
				ArgsUsage: "IMAGE -o DIR", Flags: []cli.Flag{outFlag("new folder")}, Action: systemExtract,
			},
		}, append(systemEditCommands(), systemWriteCommands()...)...),
	}
}

func mountFlag() cli.Flag {
	return &cli.StringFlag{Name: "mount", Value: "system", Usage: "where the phone mounts the tree"}
}

func contextsFlag() cli.Flag {
	return &cli.StringFlag{Name: "contexts", Usage: "file_contexts that gives new files their labels (else the label of their directory)"}
}

func sdkFlag() cli.Flag {
	return &cli.IntFlag{Name: "sdk", Value: 19, Usage: "Android's API level, for owners and modes of new files (17 is 4.2, 19 is 4.4, 22 is 5.1)"}
}

// systemDefaults reads --mount, --sdk and --contexts where a command has them.
func systemDefaults(c *cli.Context) (sysimg.Defaults, error) {
	d := sysimg.Defaults{Mount: "system", SDK: c.Int("sdk")}
	if c.IsSet("mount") {
		d.Mount = strings.Trim(c.String("mount"), "/")
	}
	name := c.String("contexts")
	if name == "" {
		return d, nil
	}
	f, n, err := openInput(name)
	if err != nil {
		return d, err
	}
	defer f.Close()
	const limit = 16 << 20 // bytes; a file_contexts has some KiB
	if n > limit {
		return d, &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: fmt.Sprintf("%d bytes", n), Want: "a file_contexts", Err: mtkport.ErrFormat}
	}
	b := make([]byte, n)
	if err := tree.ReadFull(f, b, 0); err != nil && n > 0 {
		return d, err
	}
	d.Contexts, err = labels.ParseContexts(b, name)
	return d, err
}

// openSystem opens an image or a folder by name. Close it.
func openSystem(c *cli.Context, name string) (*sysimg.Image, error) {
	d, err := systemDefaults(c)
	if err != nil {
		return nil, err
	}
	return sysimg.OpenPath(name, d)
}

// systemSummary is what `system info` reports.
type systemSummary struct {
	File     string            `json:"file"`
	Format   string            `json:"format"`
	From     string            `json:"extracted_from,omitempty"`
	Size     int64             `json:"size"`
	Layout   sysimg.Layout     `json:"layout"`
	Features []string          `json:"features,omitempty"`
	Counts   map[string]int    `json:"counts"`
	Bytes    int64             `json:"bytes"`
	Labels   int               `json:"labelled"`
	Props    map[string]string `json:"properties,omitempty"`
	Problems []mtkport.Finding `json:"problems"`
}

func systemInfo(c *cli.Context) error {
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
	s := summarize(args[0], m)
	if e.json {
		return e.printJSON(s)
	}
	s.print(e)
	return nil
}

func summarize(name string, m *sysimg.Image) systemSummary {
	s := systemSummary{File: name, Format: m.Format, From: m.From, Size: m.Size, Layout: m.Layout, Counts: map[string]int{}, Bytes: m.Tree.Bytes(), Problems: m.Problems()}
	if l := m.Layout.Ext4; l != nil {
		s.Features = l.Features()
	}
	if s.Problems == nil {
		s.Problems = []mtkport.Finding{}
	}
	seen := map[*tree.Node]bool{}
	_ = m.Tree.Walk(func(_ string, n *tree.Node) error {
		s.Counts["names"]++
		if seen[n] {
			s.Counts["hardlink"]++
			return nil
		}
		seen[n] = true
		s.Counts[sysimg.TypeName(n)]++
		if sysimg.Label(n) != "" {
			s.Labels++
		}
		return nil
	})
	s.Props = buildProps(m.Tree)
	return s
}

// buildProps reads the lines of build.prop that tell which ROM this is.
func buildProps(t *tree.Tree) map[string]string {
	n, err := t.Lookup("build.prop")
	if err != nil || n.Data == nil || n.Data.Size() > 1<<20 {
		return nil
	}
	b := make([]byte, n.Data.Size())
	if tree.ReadFull(n.Data, b, 0) != nil {
		return nil
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && slices.Contains([]string{"ro.build.display.id", "ro.build.version.release", "ro.build.version.sdk", "ro.product.model", "ro.product.device", "ro.board.platform", "ro.mediatek.platform"}, k) {
			out[k] = v
		}
	}
	return out
}

func (s systemSummary) print(e *env) {
	t := e.newTable()
	t.row("file", s.File)
	format := s.Format
	if s.From != "" {
		format += ", extracted from " + s.From
	}
	t.row("format", format)
	if s.Size > 0 {
		t.row("size", fmt.Sprintf("%d bytes (%s)", s.Size, size(s.Size)))
	}
	if l := s.Layout.Ext4; l != nil {
		t.row("label", l.Label)
		t.row("uuid", l.UUID.String())
		t.row("features", strings.Join(s.Features, " "))
		t.row("blocks", fmt.Sprintf("%d of %d bytes, %d a group", l.Size/max(1, l.BlockSize), l.BlockSize, l.BlocksPerGroup))
		t.row("inodes", fmt.Sprintf("%d bytes each, %d a group", l.InodeSize, l.InodesPerGroup))
		t.row("journal", fmt.Sprintf("%d blocks", l.JournalBlocks))
	}
	t.row("tree", s.counts())
	t.row("contents", fmt.Sprintf("%d bytes (%s)", s.Bytes, size(s.Bytes)))
	t.row("labels", fmt.Sprintf("on %d of %d", s.Labels, s.Counts["names"]-s.Counts["hardlink"]))
	for _, k := range sortedKeys(s.Props) {
		t.row(k, s.Props[k])
	}
	t.print()
	e.printFindings(s.Problems)
}

func (s systemSummary) counts() string {
	var out []string
	for _, k := range []string{"dir", "file", "symlink", "hardlink", "char", "block", "fifo", "socket"} {
		if n := s.Counts[k]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, k))
		}
	}
	return strings.Join(out, ", ")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// systemEntry is one name in `system ls --json`.
type systemEntry struct {
	Path   string            `json:"path"`
	Type   string            `json:"type"`
	Mode   string            `json:"mode"`
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	Size   int64             `json:"size"`
	MTime  string            `json:"mtime"`
	Label  string            `json:"label,omitempty"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"` // base64, without the label
	Target string            `json:"target,omitempty"`
	Major  uint32            `json:"major,omitempty"`
	Minor  uint32            `json:"minor,omitempty"`
	Same   string            `json:"same,omitempty"`
}

func systemEntryOf(p string, n *tree.Node) systemEntry {
	s := systemEntry{
		Path: sysimg.Printable(p), Type: sysimg.TypeName(n), Mode: fmt.Sprintf("%04o", n.Mode&0o7777), UID: n.UID, GID: n.GID,
		Size: n.Size(), MTime: n.MTime.Format(time.RFC3339Nano), Label: sysimg.Label(n), Target: sysimg.Printable(n.Target), Major: n.Major, Minor: n.Minor,
	}
	for k, v := range n.Xattrs {
		if k != sysimg.SELinux {
			if s.Xattrs == nil {
				s.Xattrs = map[string][]byte{}
			}
			s.Xattrs[sysimg.Printable(k)] = v
		}
	}
	return s
}

func systemList(c *cli.Context) error {
	if c.NArg() < 1 {
		return usageError{"system ls: no image given, want IMAGE [PATH…]"}
	}
	m, err := openSystem(c, c.Args().First())
	if err != nil {
		return err
	}
	defer m.Close()
	list, err := listed(m.Tree, c.Args().Tail(), c.Bool("flat"))
	if err != nil {
		return mtkport.InFile(err, c.Args().First())
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(struct {
			Format   string            `json:"format"`
			Entries  []systemEntry     `json:"entries"`
			Problems []mtkport.Finding `json:"problems"`
		}{m.Format, list, append([]mtkport.Finding{}, m.Problems()...)})
	}
	for _, p := range m.Problems() {
		if p.Severity > mtkport.Note {
			e.notef("%s: %s", p.Subject, p.Text)
		}
	}
	printList(e, list, c.Bool("names"), c.Bool("labels"))
	return nil
}

// listed collects the entries at and below the paths, all without any.
func listed(t *tree.Tree, paths []string, flat bool) ([]systemEntry, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	first := map[*tree.Node]string{}
	var out []systemEntry
	for _, from := range paths {
		top, err := t.Lookup(from)
		if err != nil {
			return nil, err
		}
		from = path.Clean(strings.Trim(from, "/"))
		err = (&tree.Tree{Root: top}).Walk(func(p string, n *tree.Node) error {
			s := systemEntryOf(path.Join(from, p), n)
			if old, ok := first[n]; ok && !n.IsDir() {
				s.Same = old
			} else {
				first[n] = s.Path
			}
			out = append(out, s)
			if flat && n.IsDir() && p != "." {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func printList(e *env, list []systemEntry, names, labels bool) {
	t := e.newTable()
	for _, s := range list {
		if names {
			e.printf("%s\n", clean(s.Path))
			continue
		}
		name := s.Path
		switch {
		case s.Type == "symlink":
			name += " -> " + s.Target
		case s.Same != "":
			name += " = " + s.Same
		}
		n := fmt.Sprint(s.Size)
		if s.Type == "char" || s.Type == "block" {
			n = fmt.Sprintf("%d:%d", s.Major, s.Minor)
		}
		when, _, _ := strings.Cut(s.MTime, "T")
		row := []any{s.Type, s.Mode, num(fmt.Sprint(s.UID)), num(fmt.Sprint(s.GID)), num(n), when}
		if labels {
			row = append(row, s.Label)
		}
		t.row(append(row, name)...)
	}
	t.print()
}

func systemCat(c *cli.Context) error {
	if c.NArg() < 2 {
		return usageError{"system cat: want IMAGE PATH…"}
	}
	m, err := openSystem(c, c.Args().First())
	if err != nil {
		return err
	}
	defer m.Close()
	for _, p := range c.Args().Tail() {
		if err := catFile(envOf(c).stdout, m.Tree, p, "/"+strings.Trim(c.String("mount"), "/")); err != nil {
			return mtkport.InFile(err, c.Args().First())
		}
	}
	return nil
}

func catFile(w io.Writer, t *tree.Tree, p, mount string) error {
	n, err := t.Resolve(p, mount)
	switch {
	case err != nil:
		return err
	case n.Type() != tree.Regular:
		return fmt.Errorf("%s: is a %s, want a file", p, sysimg.TypeName(n))
	case n.Data == nil:
		return nil
	}
	_, err = io.Copy(w, io.NewSectionReader(n.Data, 0, n.Data.Size()))
	return mtkport.InFile(err, p)
}

func systemExtract(c *cli.Context) error {
	args, err := arity(c, "IMAGE")
	if err != nil {
		return err
	}
	out, err := output(c)
	if err != nil {
		return err
	}
	m, err := openSystem(c, args[0])
	if err != nil {
		return err
	}
	defer m.Close()
	d, err := mtkport.CreateDir(out)
	if err != nil {
		return err
	}
	defer d.Abort()
	e := envOf(c)
	rep, err := sysimg.Extract(c.Context, m, d, e.roomProgress())
	if err == nil {
		err = d.Commit()
	}
	if err != nil {
		return mtkport.InFile(err, args[0])
	}
	return reportExtract(e, args[0], out, m, rep)
}

// reportExtract says what was written. Files that the image has lost make the
// exit code that of damage, though all the rest is there.
func reportExtract(e *env, name, out string, m *sysimg.Image, rep *sysimg.Report) error {
	problems := append(append([]mtkport.Finding{}, m.Problems()...), rep.Lost...)
	if e.json {
		err := e.printJSON(struct {
			Folder    string            `json:"folder"`
			Format    string            `json:"format"`
			Dirs      int               `json:"dirs"`
			Files     int               `json:"files"`
			Symlinks  int               `json:"symlinks"`
			HardLinks int               `json:"hard_links"`
			Specials  int               `json:"specials"`
			Bytes     int64             `json:"bytes"`
			Lost      int               `json:"lost"`
			Problems  []mtkport.Finding `json:"problems"`
		}{out, m.Format, rep.Dirs, rep.Files, rep.Links, rep.HardLinks, rep.Specials, rep.Bytes, len(rep.Lost), problems})
		if err != nil {
			return err
		}
	} else {
		e.printf("%d files, %d directories, %d symlinks, %d hard links, %d devices and the like\n", rep.Files, rep.Dirs, rep.Links, rep.HardLinks, rep.Specials)
		e.printf("%d bytes of contents written and read back\n", rep.Bytes)
		e.printf("owners, modes, labels, links and devices: %s/%s\n", clean(out), sysimg.SideName)
		e.printFindings(problems)
	}
	if len(rep.Lost) > 0 {
		return &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: fmt.Sprintf("%d files lost", len(rep.Lost)), Err: mtkport.ErrDamaged,
			Hint: "all else was extracted; " + sysimg.SideName + " names the lost files"}
	}
	return nil
}
