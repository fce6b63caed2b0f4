package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/sysimg"
	"mtkport/sysimg/labels"
	"mtkport/sysimg/tree"
)

// systemEditCommands change single files of an image.
func systemEditCommands() []*cli.Command {
	mode := &cli.StringFlag{Name: "mode", Usage: "octal permission `BITS`; by default those of the file replaced, else Android's for the path"}
	owner := &cli.StringFlag{Name: "owner", Usage: "`UID:GID`, in numbers; likewise"}
	label := &cli.StringFlag{Name: "selinux", Usage: "SELinux `LABEL`; likewise"}
	edit := func(name, args, usage string, flags []cli.Flag, fn func(*cli.Context, *sysimg.Image, sysimg.Defaults, []string) error) *cli.Command {
		return &cli.Command{
			Name: name, Usage: usage, ArgsUsage: "IMAGE " + args + " -o OUT", Flags: append(flags, outFlag("image to write"), mountFlag(), contextsFlag(), sdkFlag()),
			Action: func(c *cli.Context) error { return systemEdit(c, fn) },
		}
	}
	return []*cli.Command{
		edit("put", "PATH SOURCE [PATH SOURCE…]", "add or replace files; SOURCE - is standard input", []cli.Flag{mode, owner, label}, systemPut),
		edit("rm", "PATH…", "remove files, and directories with all in them", nil, systemRemove),
		edit("mkdir", "PATH…", "add directories", []cli.Flag{mode, owner, label}, systemMkdir),
		edit("ln", "TARGET PATH", "add or replace a symlink, or with --hard another name of a file", []cli.Flag{&cli.BoolFlag{Name: "hard", Usage: "a hard link to the file TARGET"}}, systemLink),
		edit("chmod", "BITS PATH…", "set permission bits (octal)", []cli.Flag{recursiveFlag()}, systemChmod),
		edit("chown", "UID:GID PATH…", "set owner and group", []cli.Flag{recursiveFlag()}, systemChown),
		edit("label", "LABEL|auto PATH…", "set SELinux labels; auto takes them from --contexts", []cli.Flag{recursiveFlag()}, systemLabel),
	}
}

func recursiveFlag() cli.Flag {
	return &cli.BoolFlag{Name: "recursive", Aliases: []string{"R"}, Usage: "all below the paths too"}
}

// systemEdit opens the image, lets fn change its tree and writes the result.
func systemEdit(c *cli.Context, fn func(*cli.Context, *sysimg.Image, sysimg.Defaults, []string) error) error {
	if c.NArg() < 2 {
		return usageError{fmt.Sprintf("%s: %s given, want %s", fullName(c), count(c.NArg(), "argument"), c.Command.ArgsUsage)}
	}
	out, err := output(c)
	if err != nil {
		return err
	}
	def, err := systemDefaults(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	m, err := sysimg.OpenPath(name, def)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := fn(c, m, def, c.Args().Tail()); err != nil {
		return mtkport.InFile(err, name)
	}
	var how *sysimg.Edited
	e := envOf(c)
	w, err := writeSystem(c, out, func(w sysimg.Output) error {
		how, err = sysimg.Edit(c.Context, w, m, sysimg.Options{Progress: e.roomProgress()})
		return err
	})
	if err != nil {
		return mtkport.InFile(err, out)
	}
	w.Findings = m.Problems()
	if how.InPlace {
		e.notef("edited in place: at most %d bytes of the file system changed", how.Changed)
	} else {
		e.notef("written anew: %s", how.Why)
	}
	return w.report(e)
}

// clean path of an image, without leading slash.
func imagePath(p string) string { return path.Clean(strings.Trim(p, "/")) }

func systemPut(c *cli.Context, m *sysimg.Image, def sysimg.Defaults, args []string) error {
	if len(args)%2 != 0 {
		return usageError{"system put: want pairs of PATH SOURCE"}
	}
	for i := 0; i < len(args); i += 2 {
		if err := putOne(c, m.Tree, def, imagePath(args[i]), args[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// putOne replaces a file's contents, keeping all else, or makes a new file.
func putOne(c *cli.Context, t *tree.Tree, def sysimg.Defaults, p, source string) error {
	data, when, err := sourceData(c, source)
	if err != nil {
		return err
	}
	old, err := t.Lookup(p)
	switch {
	case err == nil && old.Type() == tree.Regular:
		old.Data, old.MTime = data, when
		return metadataFlags(c, old)
	case err == nil && old.IsDir():
		return fmt.Errorf("%s: is a directory, want a file or a new name", p)
	}
	n := &tree.Node{Mode: tree.Regular, Data: data, MTime: when}
	def.Give(t, p, n)
	if err := metadataFlags(c, n); err != nil {
		return err
	}
	return putNode(t, p, n)
}

// putNode is tree.Put with a word on what to do about a missing directory.
func putNode(t *tree.Tree, p string, n *tree.Node) error {
	err := t.Put(p, n)
	if errors.Is(err, fs.ErrNotExist) {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: p, Hint: "make its directory first: mtkport system mkdir", Err: err}
	}
	return err
}

// sourceData opens a file for its contents. It stays open until the program
// ends: the image is written from it.
func sourceData(c *cli.Context, source string) (tree.Content, time.Time, error) {
	if source == stdinName {
		const limit = 64 << 20 // bytes held in memory
		b, err := io.ReadAll(io.LimitReader(envOf(c).stdin, limit+1))
		if err == nil && len(b) > limit {
			err = &mtkport.Error{File: "standard input", Off: mtkport.NoOffset, Found: "more", Want: fmt.Sprintf("at most %d bytes", limit), Err: mtkport.ErrTooBig, Hint: "give a file name"}
		}
		return tree.Bytes(b), time.Unix(0, 0).UTC(), err
	}
	f, n, err := openInput(source)
	if err != nil {
		return nil, time.Time{}, err
	}
	st, err := os.Stat(source)
	if err != nil {
		return nil, time.Time{}, err
	}
	if n == 0 {
		return nil, st.ModTime().UTC(), f.Close()
	}
	return tree.Section(f, 0, n), st.ModTime().UTC(), nil
}

// metadataFlags applies --mode, --owner and --selinux.
func metadataFlags(c *cli.Context, n *tree.Node) error {
	if s := c.String("mode"); s != "" {
		bits, err := parseBits(s)
		if err != nil {
			return err
		}
		n.Mode = n.Mode&tree.TypeMask | bits
	}
	if s := c.String("owner"); s != "" {
		uid, gid, err := parseOwner(s)
		if err != nil {
			return err
		}
		n.UID, n.GID = uid, gid
	}
	if s := c.String("selinux"); s != "" {
		setLabel(n, s)
	}
	return nil
}

func setLabel(n *tree.Node, label string) {
	x := map[string][]byte{}
	for k, v := range n.Xattrs {
		x[k] = v
	}
	x[sysimg.SELinux] = labels.Xattr(label)
	n.Xattrs = x
}

func systemRemove(_ *cli.Context, m *sysimg.Image, _ sysimg.Defaults, args []string) error {
	for _, p := range args {
		if err := m.Tree.Remove(p); err != nil {
			return err
		}
	}
	return nil
}

func systemMkdir(c *cli.Context, m *sysimg.Image, def sysimg.Defaults, args []string) error {
	for _, p := range args {
		p = imagePath(p)
		if old, err := m.Tree.Lookup(p); err == nil {
			return fmt.Errorf("%s: is there already, a %s", p, sysimg.TypeName(old))
		}
		n := &tree.Node{Mode: tree.Dir, MTime: m.Tree.Root.MTime}
		def.Give(m.Tree, p, n)
		if err := metadataFlags(c, n); err != nil {
			return err
		}
		if err := putNode(m.Tree, p, n); err != nil {
			return err
		}
	}
	return nil
}

func systemLink(c *cli.Context, m *sysimg.Image, def sysimg.Defaults, args []string) error {
	if len(args) != 2 {
		return usageError{"system ln: want TARGET PATH"}
	}
	p := imagePath(args[1])
	if old, err := m.Tree.Lookup(p); err == nil && old.IsDir() {
		return fmt.Errorf("%s: is a directory, want a file, a link or a new name", p)
	}
	if c.Bool("hard") {
		n, err := m.Tree.Lookup(args[0])
		if err != nil {
			return err
		}
		if n.IsDir() {
			return fmt.Errorf("%s: is a directory, want a file", args[0])
		}
		return putNode(m.Tree, p, n)
	}
	n := &tree.Node{Mode: tree.Symlink | 0o777, Target: args[0], MTime: m.Tree.Root.MTime}
	def.Give(m.Tree, p, n)
	return putNode(m.Tree, p, n)
}

// eachPath calls fn for the nodes at the paths, with --recursive those below too.
func eachPath(c *cli.Context, t *tree.Tree, paths []string, fn func(p string, n *tree.Node) error) error {
	if len(paths) == 0 {
		return usageError{fullName(c) + ": no path given"}
	}
	for _, p := range paths {
		n, err := t.Lookup(p)
		if err != nil {
			return err
		}
		p = imagePath(p)
		if !c.Bool("recursive") {
			if err := fn(p, n); err != nil {
				return err
			}
			continue
		}
		err = (&tree.Tree{Root: n}).Walk(func(q string, n *tree.Node) error { return fn(path.Join(p, q), n) })
		if err != nil {
			return err
		}
	}
	return nil
}

func systemChmod(c *cli.Context, m *sysimg.Image, _ sysimg.Defaults, args []string) error {
	bits, err := parseBits(args[0])
	if err != nil {
		return err
	}
	return eachPath(c, m.Tree, args[1:], func(_ string, n *tree.Node) error {
		if n.Type() != tree.Symlink {
			n.Mode = n.Mode&tree.TypeMask | bits
		}
		return nil
	})
}

func systemChown(c *cli.Context, m *sysimg.Image, _ sysimg.Defaults, args []string) error {
	uid, gid, err := parseOwner(args[0])
	if err != nil {
		return err
	}
	return eachPath(c, m.Tree, args[1:], func(_ string, n *tree.Node) error {
		n.UID, n.GID = uid, gid
		return nil
	})
}

func systemLabel(c *cli.Context, m *sysimg.Image, def sysimg.Defaults, args []string) error {
	auto := args[0] == "auto"
	if auto && def.Contexts == nil {
		return usageError{"system label auto: no rules given, want --contexts FILE"}
	}
	return eachPath(c, m.Tree, args[1:], func(p string, n *tree.Node) error {
		if !auto {
			setLabel(n, args[0])
			return nil
		}
		full := path.Join("/", def.Mount, p)
		if l, ok := def.Contexts.Label(full, n.Type()); ok {
			setLabel(n, l)
		}
		return nil
	})
}
