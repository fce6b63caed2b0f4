package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/simphone"
	"mtkport/profiles/scatter"
)

func simCommand() *cli.Command {
	return &cli.Command{
		Name: "sim", Usage: "a simulated phone to practise on",
		Description: "It speaks the dialogues of boot ROM, preloader and download agent on a pseudo-terminal or a TCP port, keeps its\n" +
			"flash in --store, and counts every write to what must not be written. The first line says where it is; Ctrl-C ends\n" +
			"it. In --store it leaves an agent file (no vendor code, good for nothing but this) and a scatter; with --firmware\n" +
			"the phone is made of a folder of firmware instead of noise.\n\n" +
			"--fault takes ACT@PLACE, several by commas: cut, stall, short, spoil or nack at a byte number of all that was moved\n" +
			"(cut@1048576), a message (cut@m250) or a kind of message (\"spoil@READ sum:3\", \"nack@WRITE done:2\", with * always).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "be on TCP at `HOST:PORT` (port 0: any)"},
			&cli.BoolFlag{Name: "pty", Usage: "be on a pseudo-terminal (the default on Linux)"},
			&cli.StringFlag{Name: "link", Usage: "keep a symbolic link `PATH` to the pseudo-terminal of now"},
			&cli.StringFlag{Name: "store", Usage: "keep the flash in `FOLDER` (default: in memory)"},
			&cli.StringFlag{Name: "storage", Value: "emmc", Usage: "emmc or nand"},
			&cli.StringFlag{Name: "mode", Value: "preloader", Usage: "preloader or brom"},
			&cli.StringFlag{Name: "firmware", Usage: "make the phone of the scatter and the images in `FOLDER`"},
			&cli.StringFlag{Name: "scatter", Usage: "make the phone of the scatter in `FILE`"},
			&cli.StringFlag{Name: "user-size", Usage: "bytes of the eMMC's user area or the NAND (default: what the layout needs)"},
			&cli.StringFlag{Name: "fault", Usage: "what goes wrong: `ACT@PLACE,…`"},
			&cli.StringFlag{Name: "chip", Usage: "another hardware `CODE` (hex)"},
			&cli.BoolFlag{Name: "secure", Usage: "demand authentication"},
			&cli.BoolFlag{Name: "full-speed", Usage: "be slow until asked to come back fast"},
			&cli.BoolFlag{Name: "ready", Usage: "say READY while waiting, as preloaders do"},
			&cli.BoolFlag{Name: "no-pmt", Usage: "have no partition table, only MBR and EBR"},
			&cli.BoolFlag{Name: "tiny", Usage: "a phone of 8 MiB, for tests"},
			&cli.BoolFlag{Name: "emmc-boot-head", Usage: "begin the user area with EMMC_BOOT and report a PMT in physical addresses, which mtkclient reads"},
			&cli.Int64Flag{Name: "rate", Usage: "move at most this many `BYTES` a second"},
			&cli.StringFlag{Name: "trace", Usage: "write every message of the dialogue to `FILE`"},
			&cli.StringFlag{Name: "record", Usage: "at the end write what was written to the flash to `FILE` (JSON)"},
			&cli.IntFlag{Name: "connections", Usage: "end after this many connections"},
		},
		Action: simAction,
	}
}

// sim is one run of the simulated phone.
type sim struct {
	e       *env
	c       *cli.Context
	profile simphone.Profile
	layout  *scatter.Layout
	flash   *simphone.Flash
	fresh   bool
}

func simAction(c *cli.Context) error {
	if _, err := arity(c); err != nil {
		return err
	}
	s := &sim{e: envOf(c), c: c}
	if err := s.setUp(); err != nil {
		return err
	}
	defer s.flash.Close()
	ph := simphone.New(s.profile, s.flash)
	if err := s.fill(ph); err != nil {
		return err
	}
	if text := c.String("fault"); text != "" {
		hook, err := simphone.ParseFaults(text)
		if err != nil {
			return err
		}
		ph.Hook = hook
	}
	closeTrace, err := s.trace(ph)
	if err != nil {
		return err
	}
	err = s.serve(ph)
	return errors.Join(err, closeTrace(), s.record(ph))
}

// setUp settles profile, layout and storage from the flags.
func (s *sim) setUp() error {
	c := s.c
	storage := strings.ToUpper(c.String("storage"))
	if storage != scatter.EMMC && storage != scatter.NAND {
		return usageError{"--storage " + c.String("storage") + ": want emmc or nand"}
	}
	var err error
	switch {
	case c.String("firmware") != "":
		s.layout, err = readScatter(c.String("firmware"))
	case c.String("scatter") != "":
		s.layout, err = readScatter(c.String("scatter"))
	default:
		var raw []byte
		if raw, err = simphone.PracticeLayout(storage, c.Bool("tiny")); err == nil {
			s.layout, err = scatter.Parse(raw, "MT6572_Android_scatter.txt")
		}
	}
	if err != nil {
		return err
	}
	s.profile = simphone.PracticeProfile(s.layout.Storage, c.Bool("tiny"))
	if err := s.options(); err != nil {
		return err
	}
	if dir := c.String("store"); dir != "" {
		s.flash, s.fresh, err = simphone.OpenFolder(dir, s.profile)
		return err
	}
	s.flash, s.fresh = simphone.NewFlash(s.profile), true
	return nil
}

func (s *sim) options() error {
	c, p := s.c, &s.profile
	switch m := brom.Mode(c.String("mode")); m {
	case brom.ModeBROM, brom.ModePreloader:
		p.Mode = m
	default:
		return usageError{"--mode " + string(m) + ": want preloader or brom"}
	}
	if h := c.String("chip"); h != "" {
		v, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(h), "0x"), 16, 16)
		if err != nil {
			return usageError{"--chip " + h + ": want a hardware code such as 6582"}
		}
		p.HWCode = uint16(v)
	}
	if c.Bool("secure") {
		p.Target = brom.SecureBoot | brom.LinkAuth | brom.DAAuth
	}
	if c.Bool("ready") {
		p.Ready = 20 * time.Millisecond
	}
	p.FullSpeed, p.Rate = c.Bool("full-speed"), c.Int64("rate")
	size := s.need()
	if t := c.String("user-size"); t != "" {
		n, err := strconv.ParseInt(t, 0, 64)
		if err != nil || n < size {
			return usageError{fmt.Sprintf("--user-size %s: want at least %d", t, size)}
		}
		size = n
	}
	if p.EMMCGeo != nil {
		p.EMMCGeo.User = max(p.EMMCGeo.User, size)
	} else {
		p.NANDGeo.Size = max(p.NANDGeo.Size, size)
	}
	return nil
}

// need is the room that the layout takes, with some for the owner's data.
func (s *sim) need() int64 {
	end := int64(0)
	for _, p := range s.layout.Partitions {
		if !p.FromEnd {
			end = max(end, p.Linear+p.Size)
		}
	}
	if s.c.Bool("tiny") {
		return 0
	}
	const grain = 16 << 20
	return (end + 64<<20 + grain - 1) / grain * grain
}

// fill makes a new phone's contents; an old one is only guarded.
func (s *sim) fill(ph *simphone.Phone) error {
	content := simphone.Noise(uint64(s.profile.Random[0]))
	if !s.fresh {
		content = func(scatter.Partition, int64) (io.ReaderAt, int64) { return nil, 0 }
	}
	if dir := s.c.String("firmware"); dir != "" && s.fresh {
		content = imagesOf(dir, content)
	}
	if s.fresh {
		if _, err := ph.Fill(s.layout, content, !s.c.Bool("no-pmt")); err != nil {
			return err
		}
	} else if err := ph.Watch(s.layout); err != nil {
		return err
	}
	if s.c.Bool("emmc-boot-head") {
		if err := ph.BootHead(s.layout); err != nil {
			return err
		}
	}
	return s.leave()
}

// imagesOf takes contents from a folder, and from other where it has none.
func imagesOf(dir string, other simphone.Content) simphone.Content {
	return func(p scatter.Partition, room int64) (io.ReaderAt, int64) {
		if p.File == "" || !filepath.IsLocal(p.File) {
			return other(p, room)
		}
		r, n, err := simphone.OpenImage(filepath.Join(dir, p.File))
		if err != nil {
			return other(p, room)
		}
		return r, n
	}
}

// leave puts agent file and scatter into the store.
func (s *sim) leave() error {
	dir := s.c.String("store")
	if dir == "" {
		return nil
	}
	err := mtkport.WriteFile(filepath.Join(dir, "MTK_AllInOne_DA.bin"), 0o644, func(w io.Writer) error { return simphone.PracticeDA(w, s.profile.HWCode) })
	if err != nil {
		return err
	}
	return mtkport.WriteFile(filepath.Join(dir, "MT6572_Android_scatter.txt"), 0o644, func(w io.Writer) error { _, err := w.Write(s.layout.Bytes()); return err })
}

func (s *sim) line() (simphone.Line, error) {
	if addr := s.c.String("listen"); addr != "" {
		return simphone.ListenTCP(addr)
	}
	return simphone.ListenPTY(s.c.String("link"))
}

func (s *sim) serve(ph *simphone.Phone) error {
	line, err := s.line()
	if err != nil {
		return err
	}
	defer line.Close()
	srv := &simphone.Server{Phone: ph, Line: line, Away: 20 * time.Millisecond, Event: func(t string) { s.e.notef("%s", t) }}
	if n := s.c.Int("connections"); n > 0 {
		srv.After = func(error) bool { n--; return n > 0 }
	}
	if s.e.json {
		err = s.e.printJSONLine(map[string]string{"port": line.Name()})
	} else {
		s.e.printf("%s\n", line.Name())
	}
	if err != nil {
		return err
	}
	return srv.Run(s.c.Context)
}

// trace writes messages to a file as they pass.
func (s *sim) trace(ph *simphone.Phone) (func() error, error) {
	name := s.c.String("trace")
	if name == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	ph.Trace = func(m simphone.Message) { fmt.Fprintln(f, m) }
	return f.Close, nil
}

// simJSON is the document of --record.
type simJSON struct {
	Writes   []simphone.Write `json:"writes"`
	Crimes   []simphone.Write `json:"protected_writes"`
	Messages int64            `json:"messages"`
	Bytes    int64            `json:"bytes"`
}

func (s *sim) record(ph *simphone.Phone) error {
	r := simJSON{Writes: ph.Writes(), Crimes: ph.Crimes()}
	r.Messages, r.Bytes = ph.Moved()
	for _, w := range r.Crimes {
		s.e.notef("a protected range was written: %s", w)
	}
	if name := s.c.String("record"); name != "" {
		return mtkport.WriteFile(name, 0o644, func(w io.Writer) error { return (&env{stdout: w}).printJSON(r) })
	}
	return nil
}
