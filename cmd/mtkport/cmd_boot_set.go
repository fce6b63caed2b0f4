package main

import (
	enchex "encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/bootimg"
)

// bootFileFlags name the sections that can be replaced.
var bootFileFlags = []struct {
	flag string
	kind bootimg.Kind
}{
	{"kernel", bootimg.Kernel}, {"ramdisk", bootimg.Ramdisk}, {"second", bootimg.Second},
	{"dt", bootimg.DT}, {"recovery-dtbo", bootimg.RecoveryDTBO}, {"dtb", bootimg.DTB},
}

func bootSetFlags() []cli.Flag {
	flags := []cli.Flag{outFlag("image to write")}
	for _, f := range bootFileFlags {
		flags = append(flags, &cli.StringFlag{Name: f.flag, Usage: "file for the section; its own MediaTek header is recognised"})
	}
	return append(flags,
		&cli.StringFlag{Name: "payload", Usage: "file for a part's contents (lk, logo)"},
		&cli.StringSliceFlag{Name: "remove", Usage: "section to take out"},
		&cli.StringFlag{Name: "kernel-part", Usage: "name of the kernel's MediaTek header, or none"},
		&cli.StringFlag{Name: "ramdisk-part", Usage: "name of the ramdisk's MediaTek header, or none"},
		&cli.StringFlag{Name: "part", Usage: "name in a part's header"},
		&cli.StringFlag{Name: "cmdline", Usage: "kernel command line"},
		&cli.StringFlag{Name: "name", Usage: "board name, at most 16 bytes"},
		&cli.IntFlag{Name: "page-size", Usage: "2048, 4096, 8192 or 16384"},
		&cli.Uint64Flag{Name: "kernel-addr", Usage: "load address"},
		&cli.Uint64Flag{Name: "ramdisk-addr", Usage: "load address"},
		&cli.Uint64Flag{Name: "second-addr", Usage: "load address"},
		&cli.Uint64Flag{Name: "tags-addr", Usage: "address of the kernel tags"},
		&cli.Uint64Flag{Name: "dtb-addr", Usage: "load address, header version 2"},
		&cli.StringFlag{Name: "os-version", Usage: "A.B.C"},
		&cli.StringFlag{Name: "patch-level", Usage: "YYYY-MM"},
		sizeFlag(), idFlag())
}

func bootSet(c *cli.Context) error {
	in, out, err := inOut(c, "FILE")
	if err != nil {
		return err
	}
	b, err := openBoot(in)
	if err != nil {
		return err
	}
	defer b.Close()
	s := &bootSetter{c: c, name: in, changed: []string{}}
	defer s.close()
	if b.Part != nil {
		return s.setPart(b.Part, out)
	}
	return s.setImage(b.Image, out)
}

// bootSetter carries the flags of boot set into an editor.
type bootSetter struct {
	c       *cli.Context
	name    string // of the image, for errors
	changed []string
	files   []*os.File
}

func (s *bootSetter) close() {
	for _, f := range s.files {
		f.Close()
	}
}

// file opens a replacement; it stays open until the image is written.
func (s *bootSetter) file(name string, use func(r io.ReaderAt, size int64) error) error {
	f, size, err := openInput(name)
	if err != nil {
		return err
	}
	s.files = append(s.files, f)
	return mtkport.InFile(use(f, size), name)
}

func (s *bootSetter) only(flags ...string) error {
	for _, f := range s.c.LocalFlagNames() {
		if f != "o" && f != "output" && f != "size" && !slices.Contains(flags, f) {
			return usageError{fmt.Sprintf("boot set: --%s does not fit %s", f, s.name)}
		}
	}
	return nil
}

func (s *bootSetter) setPart(p *bootimg.PartFile, out string) error {
	if err := s.only("payload", "part"); err != nil {
		return err
	}
	e := p.Edit()
	how, err := resizing(s.c)
	if err != nil {
		return err
	}
	e.SetResize(how)
	if name := s.c.String("payload"); name != "" {
		s.changed = append(s.changed, "payload")
		if err := s.file(name, e.SetPayload); err != nil {
			return err
		}
	}
	if s.c.IsSet("part") {
		s.changed = append(s.changed, "part name")
		if err := e.SetName(s.c.String("part")); err != nil {
			return mtkport.InFile(err, s.name)
		}
	}
	return s.finish(e, out)
}

func (s *bootSetter) setImage(m *bootimg.Image, out string) error {
	if s.c.IsSet("payload") || s.c.IsSet("part") {
		return usageError{fmt.Sprintf("boot set: --payload and --part are for parts, %s is a boot image", s.name)}
	}
	e := m.Edit()
	for _, step := range []func(*bootimg.Editor) error{s.sections, s.parts, s.header, s.modes} {
		if err := step(e); err != nil {
			return s.inImage(err)
		}
	}
	kept, err := e.IDKept()
	if err != nil {
		return mtkport.InFile(err, s.name)
	}
	envOf(s.c).noteID(kept)
	return s.finish(e, out)
}

// inImage names the image in faults of the format; a wrong flag or a missing
// file is about something else.
func (s *bootSetter) inImage(err error) error {
	if x := (*mtkport.Error)(nil); errors.As(err, &x) {
		return mtkport.InFile(err, s.name)
	}
	return err
}

func (s *bootSetter) sections(e *bootimg.Editor) error {
	for _, f := range bootFileFlags {
		name := s.c.String(f.flag)
		if name == "" {
			continue
		}
		s.changed = append(s.changed, f.kind.String())
		err := s.file(name, func(r io.ReaderAt, size int64) error { return e.SetPayload(f.kind, r, size) })
		if err != nil {
			return err
		}
	}
	for _, name := range s.c.StringSlice("remove") {
		k, ok := bootimg.ParseKind(name)
		if !ok {
			return usageError{fmt.Sprintf("boot set: --remove %s: no such section", name)}
		}
		s.changed = append(s.changed, name)
		e.Remove(k)
	}
	return nil
}

func (s *bootSetter) parts(e *bootimg.Editor) error {
	for _, f := range bootFileFlags[:2] {
		flag := f.flag + "-part"
		if !s.c.IsSet(flag) {
			continue
		}
		name := s.c.String(flag)
		if name == "none" {
			name = ""
		}
		s.changed = append(s.changed, f.kind.String()+" part")
		if err := e.SetPart(f.kind, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *bootSetter) header(e *bootimg.Editor) error {
	h := e.Header()
	old := h
	for flag, dst := range map[string]*string{"name": &h.Name, "os-version": &h.OSVersion, "patch-level": &h.PatchLevel} {
		if s.c.IsSet(flag) {
			*dst = s.c.String(flag)
		}
	}
	for flag, dst := range map[string]*uint32{"kernel-addr": &h.KernelAddr, "ramdisk-addr": &h.RamdiskAddr, "second-addr": &h.SecondAddr, "tags-addr": &h.TagsAddr} {
		if !s.c.IsSet(flag) {
			continue
		}
		v := s.c.Uint64(flag)
		if v > math.MaxUint32 {
			return usageError{fmt.Sprintf("boot set: --%s 0x%x: want 32 bits", flag, v)}
		}
		*dst = uint32(v)
	}
	if s.c.IsSet("dtb-addr") {
		h.DTBAddr = s.c.Uint64("dtb-addr")
	}
	if s.c.IsSet("page-size") {
		h.PageSize = s.c.Int("page-size")
	}
	if s.c.IsSet("cmdline") {
		if err := h.SetCommandLine(s.c.String("cmdline")); err != nil {
			return err
		}
	}
	if h != old {
		s.changed = append(s.changed, "header")
	}
	return e.SetHeader(h)
}

func (s *bootSetter) modes(e *bootimg.Editor) error {
	how, err := resizing(s.c)
	if err != nil {
		return err
	}
	e.SetResize(how)
	mode, id, err := idMode(s.c)
	if err != nil {
		return err
	}
	e.SetID(mode)
	if id == nil {
		return nil
	}
	h := e.Header()
	h.ID = [32]byte{}
	copy(h.ID[:], id)
	s.changed = append(s.changed, "id")
	return e.SetHeader(h)
}

func (s *bootSetter) finish(e interface {
	io.WriterTo
	Identical() (bool, error)
}, out string) error {
	same, err := e.Identical()
	if err != nil {
		return mtkport.InFile(err, s.name)
	}
	n, err := writeOut(out, e)
	if err != nil {
		return err
	}
	return bootWritten{File: out, Size: n, Changed: s.changed, Identical: same}.print(envOf(s.c))
}

// resizing reads --size.
func resizing(c *cli.Context) (bootimg.Resizing, error) {
	switch v := c.String("size"); v {
	case "auto", "":
		return bootimg.Auto, nil
	case "grow":
		return bootimg.Grow, nil
	case "keep":
		return bootimg.Keep, nil
	default:
		n, err := strconv.ParseInt(v, 0, 64)
		if err != nil || n <= 0 {
			return 0, usageError{fmt.Sprintf("--size %s: want auto, grow, keep or a number of bytes", v)}
		}
		return bootimg.Resizing(n), nil
	}
}

// idMode reads --id; id is not nil when digits were given.
func idMode(c *cli.Context) (mode bootimg.IDMode, id []byte, err error) {
	switch v := c.String("id"); v {
	case "auto", "":
		return bootimg.IDAuto, nil, nil
	case "keep":
		return bootimg.IDKeep, nil, nil
	case "compute":
		return bootimg.IDCompute, nil, nil
	default:
		id, err := enchex.DecodeString(v)
		if err != nil || len(id) != 20 && len(id) != 32 {
			return 0, nil, usageError{fmt.Sprintf("--id %s: want auto, keep, compute, or 40 or 64 hex digits", v)}
		}
		return bootimg.IDKeep, id, nil
	}
}
