package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/ramdisk"
)

func ramdiskCommand() *cli.Command {
	out := func() cli.Flag { return outFlag("write the result to `FILE`") }
	limit := func() cli.Flag {
		return &cli.Int64Flag{Name: "max-unpacked", Value: ramdisk.MaxUnpacked >> 20, Usage: "refuse what unpacks to more than `MIB`"}
	}
	mode := &cli.StringFlag{Name: "mode", Usage: "octal permission `BITS`"}
	owner := &cli.StringFlag{Name: "owner", Usage: "`UID:GID`, in numbers"}
	edit := func(name, args, usage string, flags []cli.Flag, fn cli.ActionFunc) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, UsageText: "mtkport ramdisk " + name + " RAMDISK " + args + " -o OUT",
			Flags: append(flags, out(), limit()), Action: fn}
	}
	return &cli.Command{
		Name:  "ramdisk",
		Usage: "look into and edit the ramdisk of a boot image, or a bare one",
		Description: "RAMDISK is a boot or recovery image, a ramdisk with MediaTek's part header, or a bare one. " +
			"What packs it is found by itself, and kept. What is not changed stays byte for byte.",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list names, modes, owners, links, device numbers", UsageText: "mtkport ramdisk ls RAMDISK [--json]",
				Flags: []cli.Flag{limit()}, Action: ramdiskLs},
			{Name: "cat", Usage: "print a file", UsageText: "mtkport ramdisk cat RAMDISK NAME [-o OUT]",
				Flags: []cli.Flag{out(), limit()}, Action: ramdiskCat},
			edit("put", "NAME SOURCE", "add or replace a file; SOURCE - is standard input", []cli.Flag{mode, owner}, ramdiskPut),
			edit("rm", "NAME…", "remove files, and folders with all in them", nil, ramdiskRm),
			edit("chmod", "BITS NAME…", "set permission bits (octal)", nil, ramdiskChmod),
			edit("chown", "UID:GID NAME…", "set owner and group", nil, ramdiskChown),
			edit("mkdir", "NAME…", "add folders", []cli.Flag{mode, owner}, ramdiskMkdir),
			edit("ln", "TARGET NAME", "add or replace a symlink", nil, ramdiskLn),
			edit("mknod", "NAME c|b|p [MAJOR MINOR]", "add a device node or pipe", []cli.Flag{mode, owner}, ramdiskMknod),
			{Name: "unpack", Usage: "to a folder, with one side file for what a disk cannot keep", UsageText: "mtkport ramdisk unpack RAMDISK -o FOLDER",
				Flags: []cli.Flag{out(), limit()}, Action: ramdiskUnpack},
			{Name: "pack", Usage: "from a folder", UsageText: "mtkport ramdisk pack FOLDER [--into RAMDISK] [--as COMPRESSION] -o OUT",
				Flags: []cli.Flag{out(), limit(),
					&cli.StringFlag{Name: "into", Usage: "put it in place of the ramdisk of `IMAGE`, keeping all else"},
					&cli.StringFlag{Name: "as", Usage: "pack by `COMPRESSION`: none, gzip, lz4, lzma, xz, lzop, bzip2, zstd"}},
				Action: ramdiskPack},
		},
	}
}

// ramdiskFile is a file that is or holds a ramdisk.
type ramdiskFile struct {
	name    string
	f       *os.File
	size    int64  // of the file
	holder  string // what it lies in, "" for a bare one
	payload *io.SectionReader
	// replace writes the file with another ramdisk of n bytes in its place.
	replace func(w io.Writer, r io.ReaderAt, n int64) error
}

func openRamdiskFile(name string) (*ramdiskFile, error) {
	f, size, err := openInput(name)
	if err != nil {
		return nil, err
	}
	d := &ramdiskFile{name: name, f: f, size: size}
	if err := d.find(size); err != nil {
		_ = f.Close()
		return nil, mtkport.InFile(err, name)
	}
	return d, nil
}

// find tells by its first bytes what holds the ramdisk.
func (d *ramdiskFile) find(size int64) error {
	head := make([]byte, min(size, 16))
	if _, err := d.f.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	switch {
	case strings.HasPrefix(string(head), bootimg.Magic):
		return d.inImage(size)
	case bootimg.IsPart(head):
		return d.inPart(size)
	}
	d.payload = io.NewSectionReader(d.f, 0, size)
	d.replace = func(w io.Writer, r io.ReaderAt, n int64) error {
		_, err := io.Copy(w, io.NewSectionReader(r, 0, n))
		return err
	}
	return nil
}

func (d *ramdiskFile) inImage(size int64) error {
	m, err := bootimg.Open(d.f, size)
	if err != nil {
		return err
	}
	s := m.Section(bootimg.Ramdisk)
	if s == nil {
		return &mtkport.Error{Off: 16, Field: "ramdisk_size", Found: "0", Want: "a boot image with a ramdisk", Err: mtkport.ErrFormat,
			Hint: "this image has no ramdisk"}
	}
	d.holder, d.payload = "boot image", s.Payload()
	d.replace = func(w io.Writer, r io.ReaderAt, n int64) error {
		e := m.Edit()
		if err := e.SetPayload(bootimg.Ramdisk, r, n); err != nil {
			return err
		}
		_, err := e.WriteTo(w)
		return err
	}
	return nil
}

func (d *ramdiskFile) inPart(size int64) error {
	p, err := bootimg.OpenPart(d.f, size)
	if err != nil {
		return err
	}
	d.holder, d.payload = "MediaTek part "+p.Part.Name, p.Payload()
	d.replace = func(w io.Writer, r io.ReaderAt, n int64) error {
		e := p.Edit()
		if err := e.SetPayload(r, n); err != nil {
			return err
		}
		_, err := e.WriteTo(w)
		return err
	}
	return nil
}

func ramdiskOptions(c *cli.Context) (ramdisk.Options, error) {
	n := c.Int64("max-unpacked")
	if n < 1 || n > 4096 {
		return ramdisk.Options{}, usageError{fmt.Sprintf("--max-unpacked %d: want at least 1, at most 4096 (MiB)", n)}
	}
	return ramdisk.Options{MaxUnpacked: n << 20}, nil
}

// openRamdisk opens the file and the archive in it. Close the file.
func openRamdisk(c *cli.Context, name string) (*ramdiskFile, *ramdisk.Archive, error) {
	opt, err := ramdiskOptions(c)
	if err != nil {
		return nil, nil, err
	}
	d, err := openRamdiskFile(name)
	if err != nil {
		return nil, nil, err
	}
	a, err := ramdisk.OpenWith(d.payload, d.payload.Size(), opt)
	if err != nil {
		_ = d.f.Close()
		what := name
		if d.holder != "" {
			what += " (ramdisk)" // offsets are those in the ramdisk
		}
		return nil, nil, mtkport.InFile(err, what)
	}
	return d, a, nil
}

// args takes at least least arguments, the first of them the input.
func argsFrom(c *cli.Context, least int) ([]string, error) {
	if c.NArg() < least {
		return nil, usageError{fmt.Sprintf("%d arguments given, want %s", c.NArg(), strings.TrimPrefix(c.Command.UsageText, "mtkport "))}
	}
	return c.Args().Slice(), nil
}

// editRamdisk opens RAMDISK, lets fn change it, and writes OUT.
func editRamdisk(c *cli.Context, name string, fn func(a *ramdisk.Archive) error) error {
	out, err := output(c)
	if err != nil {
		return err
	}
	d, a, err := openRamdisk(c, name)
	if err != nil {
		return err
	}
	defer d.f.Close()
	if err := fn(a); err != nil {
		return mtkport.InFile(err, name)
	}
	return writeRamdisk(envOf(c), d, a, out)
}

// write makes out: the file with b as its ramdisk. The same ramdisk gives the
// same file, oddities around it included.
func (d *ramdiskFile) write(out string, b []byte) error {
	old := make([]byte, d.payload.Size())
	if _, err := io.ReadFull(io.NewSectionReader(d.payload, 0, d.payload.Size()), old); err != nil {
		return err
	}
	return mtkport.WriteFile(out, 0o644, func(w io.Writer) error {
		if bytes.Equal(old, b) {
			_, err := io.Copy(w, io.NewSectionReader(d.f, 0, d.size))
			return err
		}
		return d.replace(w, bytes.NewReader(b), int64(len(b)))
	})
}

// writeRamdisk writes a into the place it came from.
func writeRamdisk(e *env, d *ramdiskFile, a *ramdisk.Archive, out string) error {
	b, err := a.Bytes()
	if err != nil {
		return err
	}
	if err := d.write(out, b); err != nil {
		return err
	}
	if !a.Changed() {
		e.notef("%s: the ramdisk is as it was", out)
		return nil
	}
	e.notef("%s: ramdisk of %d bytes, before %d (%s)", out, len(b), d.payload.Size(), a.Compression())
	return nil
}

// setAttributes applies --mode and --owner.
func setAttributes(c *cli.Context, a *ramdisk.Archive, name string) error {
	if s := c.String("mode"); s != "" {
		bits, err := parseBits(s)
		if err != nil {
			return err
		}
		if err := a.Chmod(name, bits); err != nil {
			return err
		}
	}
	if s := c.String("owner"); s != "" {
		uid, gid, err := parseOwner(s)
		if err != nil {
			return err
		}
		return a.Chown(name, uid, gid)
	}
	return nil
}

func parseBits(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o7777 {
		return 0, usageError{fmt.Sprintf("permission bits %q: want octal digits, at most 7777", s)}
	}
	return uint32(n), nil
}

func parseOwner(s string) (uid, gid uint32, err error) {
	u, g, ok := strings.Cut(s, ":")
	a, err1 := strconv.ParseUint(u, 10, 32)
	b, err2 := strconv.ParseUint(g, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, usageError{fmt.Sprintf("owner %q: want UID:GID in numbers, as 0:2000", s)}
	}
	return uint32(a), uint32(b), nil
}

func ramdiskPut(c *cli.Context) error {
	args, err := arity(c, "RAMDISK", "NAME", "SOURCE")
	if err != nil {
		return err
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error {
		data, err := readSource(envOf(c), args[2], c.Int64("max-unpacked")<<20)
		if err != nil {
			return err
		}
		if err := a.Put(args[1], data); err != nil {
			return err
		}
		return setAttributes(c, a, args[1])
	})
}

// readSource reads a file or standard input, of at most limit bytes.
func readSource(e *env, name string, limit int64) ([]byte, error) {
	r := e.stdin
	if name != stdinName {
		f, _, err := openInput(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprintf("more than %d bytes", limit),
			Want: "no more", Err: mtkport.ErrTooBig, Hint: "raise --max-unpacked if a ramdisk is really that large"}
	}
	return b, err
}

func ramdiskRm(c *cli.Context) error {
	args, err := argsFrom(c, 2)
	if err != nil {
		return err
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error { return each(args[1:], a.Remove) })
}

func each(names []string, fn func(string) error) error {
	for _, n := range names {
		if err := fn(n); err != nil {
			return err
		}
	}
	return nil
}

func ramdiskChmod(c *cli.Context) error {
	args, err := argsFrom(c, 3)
	if err != nil {
		return err
	}
	bits, err := parseBits(args[1])
	if err != nil {
		return err
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error {
		return each(args[2:], func(n string) error { return a.Chmod(n, bits) })
	})
}

func ramdiskChown(c *cli.Context) error {
	args, err := argsFrom(c, 3)
	if err != nil {
		return err
	}
	uid, gid, err := parseOwner(args[1])
	if err != nil {
		return err
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error {
		return each(args[2:], func(n string) error { return a.Chown(n, uid, gid) })
	})
}

func ramdiskMkdir(c *cli.Context) error {
	args, err := argsFrom(c, 2)
	if err != nil {
		return err
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error {
		return each(args[1:], func(n string) error {
			if err := a.Mkdir(n); err != nil {
				return err
			}
			return setAttributes(c, a, n)
		})
	})
}

func ramdiskLn(c *cli.Context) error {
	args, err := arity(c, "RAMDISK", "TARGET", "NAME")
	if err != nil {
		return err
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error { return a.Symlink(args[1], args[2]) })
}

func ramdiskMknod(c *cli.Context) error {
	args, err := argsFrom(c, 3)
	if err != nil {
		return err
	}
	types := map[string]uint32{"c": ramdisk.TypeChar, "b": ramdisk.TypeBlock, "p": ramdisk.TypeFIFO}
	typ, numbers := types[args[2]], [2]uint32{}
	want := 5
	if typ == ramdisk.TypeFIFO {
		want = 3
	}
	if typ == 0 || len(args) != want {
		return usageError{"want NAME and c MAJOR MINOR, b MAJOR MINOR, or p"}
	}
	for i, s := range args[3:] {
		n, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			return usageError{fmt.Sprintf("device number %q: want a number", s)}
		}
		numbers[i] = uint32(n)
	}
	return editRamdisk(c, args[0], func(a *ramdisk.Archive) error {
		if err := a.Mknod(args[1], typ, numbers[0], numbers[1]); err != nil {
			return err
		}
		return setAttributes(c, a, args[1])
	})
}

func ramdiskCat(c *cli.Context) error {
	args, err := arity(c, "RAMDISK", "NAME")
	if err != nil {
		return err
	}
	d, a, err := openRamdisk(c, args[0])
	if err != nil {
		return err
	}
	defer d.f.Close()
	b, err := a.ReadFile(args[1])
	if err != nil {
		return mtkport.InFile(err, args[0])
	}
	write := func(w io.Writer) error { _, err := w.Write(b); return err }
	if out := c.String("o"); out != "" {
		return mtkport.WriteFile(out, 0o644, write)
	}
	return write(envOf(c).stdout)
}

func ramdiskUnpack(c *cli.Context) error {
	in, out, err := inOut(c, "RAMDISK")
	if err != nil {
		return err
	}
	d, a, err := openRamdisk(c, in)
	if err != nil {
		return err
	}
	defer d.f.Close()
	e := envOf(c)
	err = newFolder(out, func(root *os.Root) error { return mtkport.InFile(a.Unpack(c.Context, root, e.roomProgress()), in) })
	if err != nil {
		return err
	}
	e.notef("%s: %d entries in %s/, the rest in %s", out, len(a.Entries()), ramdisk.TreeFolder, ramdisk.SideFile)
	return nil
}

func ramdiskPack(c *cli.Context) error {
	in, out, err := inOut(c, "FOLDER")
	if err != nil {
		return err
	}
	a, err := packFolder(c, in)
	if err != nil {
		return err
	}
	b, err := a.Bytes()
	if err != nil {
		return err
	}
	if into := c.String("into"); into != "" {
		d, err := openRamdiskFile(into)
		if err != nil {
			return err
		}
		defer d.f.Close()
		return d.write(out, b)
	}
	return mtkport.WriteFile(out, 0o644, func(w io.Writer) error { _, err := w.Write(b); return err })
}

// packFolder makes the archive and says what was added and dropped.
func packFolder(c *cli.Context, dir string) (*ramdisk.Archive, error) {
	opt, err := ramdiskOptions(c)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	e := envOf(c)
	a, ch, err := ramdisk.Pack(c.Context, root, opt, e.roomProgress())
	if err != nil {
		return nil, mtkport.InFile(err, dir)
	}
	if as := c.String("as"); as != "" {
		to, err := ramdisk.ParseCompression(as)
		if err != nil {
			return nil, usageError{err.Error()}
		}
		if err := a.SetCompression(to); err != nil {
			return nil, err
		}
	}
	for _, n := range ch.Dropped {
		e.notef("dropped %s: it is in %s, not in the folder", n, ramdisk.SideFile)
	}
	if e.verbose || len(ch.Added) < 10 {
		for _, n := range ch.Added {
			en := a.Lookup(n)
			e.notef("added %s (%s %04o)", n, en.TypeName(), en.Perm())
		}
	} else {
		e.notef("added %d names", len(ch.Added))
	}
	return a, nil
}
