package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/port/flash/da"
	"mtkport/port/flash/usb"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/sysimg"
)

// wireFlags say how to reach a phone; every command that talks to one has them.
func wireFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "port", EnvVars: []string{"MTKPORT_PORT"}, Value: "auto", Usage: "the `PORT`: auto (by USB ids), a name, or tcp:HOST:PORT"},
		&cli.StringFlag{Name: "da", EnvVars: []string{"MTKPORT_DA"}, Usage: "your MTK_AllInOne_DA.bin, the agent that reads and writes flash, in `FILE`"},
		&cli.StringFlag{Name: "preloader", Usage: "take memory settings from this board's own preloader in `FILE` (boot ROM mode)"},
		&cli.StringFlag{Name: "chip", Usage: "accept a phone with this hardware `CODE` (hex), a relative of the MT6572"},
		&cli.DurationFlag{Name: "wait", Usage: "give up when no phone came for this `TIME` (default: wait until Ctrl-C)"},
		&cli.BoolFlag{Name: "slow", Usage: "stay at USB full speed"},
	}, more...)
}

func deviceCommand() *cli.Command {
	layout := layoutFlagDef()
	return &cli.Command{
		Name:  "device",
		Usage: "the phone on the cable: look, back up, restore, read",
		Description: "Plug the phone in switched off, with its battery: without a key for its preloader, holding volume up or down\n" +
			"for its boot ROM. Start the command first. Phones that demand authentication are left alone.",
		Subcommands: []*cli.Command{
			{Name: "info", Usage: "who is it, what storage has it", Flags: wireFlags(layout), Action: deviceInfo,
				Description: "Without --da only the loader is asked: chip, versions, security. With it also storage, memory and layout."},
			{Name: "backup", Usage: "save loaders, tables, identity and firmware", ArgsUsage: "-o FOLDER",
				Flags:       wireFlags(outFlag("the backup's folder"), layout, &cli.BoolFlag{Name: "full", Usage: "the owner's data too"}),
				Description: "Given again with the same folder it goes on where it stopped. RPMB cannot be read; the folder says what it lacks.", Action: deviceBackup},
			{Name: "restore", Usage: "write a backup of this very phone back", ArgsUsage: "BACKUP",
				Description: "A backup of another phone is refused. --bootloader also writes preloader, lk, MBR, EBR and PMT: the rescue of a\n" +
					"phone whose loader is dead (hold a volume key while plugging in; memory settings come from the backup).",
				Flags: wireFlags(append(sessionFlags(), &cli.BoolFlag{Name: "bootloader", Usage: "loaders and tables too"}, onlyFlag())...), Action: deviceRestore},
			{Name: "read", Usage: "read a partition or a range", ArgsUsage: "NAME|REGION:OFFSET+LENGTH -o FILE",
				Description: "REGION is USER, BOOT1, BOOT2 or NAND; OFFSET and LENGTH in bytes, decimal or 0x….",
				Flags:       wireFlags(outFlag("what was read"), layout), Action: deviceRead},
			{Name: "verify", Usage: "does the phone hold these images?", ArgsUsage: "BUNDLE", Flags: wireFlags(onlyFlag()), Action: deviceVerify},
			{Name: "reset", Usage: "restart the phone", Flags: wireFlags(), Action: deviceReset},
			{Name: "run", Usage: "upload a bare-metal image to memory and jump to it; flash is not touched", ArgsUsage: "FILE@ADDRESS", Flags: wireFlags(), Action: deviceRun},
		},
	}
}

func layoutFlagDef() cli.Flag {
	return &cli.StringFlag{Name: "scatter", Usage: "the scatter of the ROM on the phone in `FILE` (default: the phone's own partition table)"}
}

func onlyFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "only", Usage: "only this `PARTITION` (may be given again)"}
}

// wire makes the flasher's configuration of the flags.
func wire(c *cli.Context, folder string) (flash.Config, func(), error) {
	e := envOf(c)
	cfg := flash.Config{Addr: usb.Parse(c.String("port")), Wait: c.Duration("wait"), SlowLink: c.Bool("slow"), Progress: e.roomProgress()}
	closeAll := func() {}
	if s := c.String("chip"); s != "" {
		v, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "0x"), "mt"), 16, 16)
		if err != nil {
			return cfg, closeAll, usageError{fmt.Sprintf("--chip %s: want a hardware code such as 6571", s)}
		}
		cfg.Chip = uint16(v)
	}
	name := c.String("da")
	if name == "" && folder != "" {
		if found, err := filepath.Glob(filepath.Join(folder, "MTK_AllInOne_DA*.bin")); err == nil && len(found) == 1 {
			name = found[0]
		}
	}
	if name != "" {
		f, n, err := openInput(name)
		if err != nil {
			return cfg, closeAll, err
		}
		closeAll = func() { f.Close() }
		if cfg.DA, err = da.Open(f, n); err != nil {
			closeAll()
			return cfg, func() {}, mtkport.InFile(err, name)
		}
	}
	if p := c.String("preloader"); p != "" {
		emi, err := settingsOf(p)
		if err != nil {
			closeAll()
			return cfg, func() {}, err
		}
		cfg.EMI = emi
	}
	return cfg, closeAll, nil
}

func settingsOf(name string) (*da.EMI, error) {
	f, n, err := openInput(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	emi, err := da.FindEMI(f, n)
	return emi, mtkport.InFile(err, name)
}

func layoutFlag(c *cli.Context) (*scatter.Layout, error) {
	if name := c.String("scatter"); name != "" {
		return readScatter(name)
	}
	return nil, nil
}

// deviceJSON is the document of `device info --json`.
type deviceJSON struct {
	*flash.Device
	Layout   []identity.Range  `json:"layout,omitempty"`
	Findings []mtkport.Finding `json:"findings,omitempty"`
}

func deviceInfo(c *cli.Context) error {
	if _, err := arity(c); err != nil {
		return err
	}
	cfg, done, err := wire(c, "")
	if err != nil {
		return err
	}
	defer done()
	e := envOf(c)
	if cfg.DA == nil {
		return loaderInfo(c.Context, e, cfg)
	}
	l, err := layoutFlag(c)
	if err != nil {
		return err
	}
	d, err := flash.Connect(c.Context, cfg)
	if err != nil {
		return err
	}
	defer d.Close()
	out := deviceJSON{Device: d}
	m, merr := d.Map(c.Context, l)
	if m != nil {
		out.Findings = m.Findings
		for _, r := range []string{identity.EMMCBoot1, identity.EMMCBoot2, identity.EMMCUser, identity.NAND} {
			out.Layout = append(out.Layout, m.Guard.Ranges(r)...)
		}
	}
	if err := d.Agent.Finish(c.Context); err != nil {
		e.notef("the phone did not say good-bye: %v", err)
	}
	if e.json {
		return e.printJSON(out)
	}
	printDevice(e, out)
	if merr != nil {
		e.notef("no layout: %v", merr)
	}
	return nil
}

func loaderInfo(ctx context.Context, e *env, cfg flash.Config) error {
	c, in, p, err := flash.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Link().Close()
	d := deviceJSON{Device: &flash.Device{Info: in, Port: p}}
	if e.json {
		return e.printJSON(map[string]any{"loader": in, "port": p})
	}
	printDevice(e, d)
	e.notef("storage and layout need the agent: give --da MTK_AllInOne_DA.bin")
	return nil
}

func printDevice(e *env, d deviceJSON) {
	t := e.newTable()
	in := d.Info
	t.row("port", d.Port.String())
	t.row("chip", fmt.Sprintf("MT%04x, hw sub 0x%04x, hw 0x%04x, sw 0x%04x", in.HWCode, in.HWSub, in.HWVer, in.SWVer))
	t.row("loader", string(in.Mode))
	t.row("security", in.Target.String())
	if d.Agent != nil {
		t.row("agent", d.Agent.Version())
		t.row("memory", size(int64(d.Report.Conf.DRAM)))
		if n := d.Report.NAND; n.Found() {
			t.row("NAND", fmt.Sprintf("%s, page %d + %d, block %s", size(int64(n.Size)), n.Page, n.Spare, size(n.Block())))
		} else {
			m := d.Report.EMMC
			t.row("eMMC", fmt.Sprintf("user %s, boot %s + %s, RPMB %s, CID %s", size(int64(m.User)), size(int64(m.Boot1)), size(int64(m.Boot2)), size(int64(m.RPMB)), d.ID.CID))
		}
		t.row("unique id", d.ID.Random)
	}
	t.print()
	if len(d.Layout) == 0 {
		return
	}
	e.printf("\n")
	lt := e.newTable("partition", "region", "start", "size", "class")
	for _, r := range d.Layout {
		_, class := identity.Classify(r.Partition)
		lt.row(r.Partition, r.Region, num(hex(r.Off)), num(size(r.Len)), string(class))
	}
	lt.print()
	e.printFindings(d.Findings)
}

func deviceBackup(c *cli.Context) error {
	if _, err := arity(c); err != nil {
		return err
	}
	dir := c.String("o")
	if dir == "" {
		return usageError{"device backup: want -o FOLDER"}
	}
	cfg, done, err := wire(c, "")
	if err != nil {
		return err
	}
	defer done()
	l, err := layoutFlag(c)
	if err != nil {
		return err
	}
	k, err := flash.Save(c.Context, cfg, dir, flash.BackupOptions{Layout: l, Full: c.Bool("full")})
	if err != nil {
		return err
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(k)
	}
	t := e.newTable("saved", "size", "class", "sha256")
	for _, it := range k.Items {
		t.row(it.Name, num(size(it.Len)), string(it.Class), it.SHA[:16])
	}
	t.print()
	e.printf("\nnot in this backup: %s\n", strings.Join(k.Lacks, "; "))
	return nil
}

func deviceRestore(c *cli.Context) error {
	args, err := arity(c, "BACKUP")
	if err != nil {
		return err
	}
	cfg, done, err := wire(c, args[0])
	if err != nil {
		return err
	}
	defer done()
	if cfg.EMI == nil {
		cfg.EMI = savedSettings(args[0])
	}
	o := sessionOptions(c)
	o.Bootloader, o.Only = c.Bool("bootloader"), c.StringSlice("only")
	res, err := flash.Restore(c.Context, cfg, args[0], o)
	return flashed(envOf(c), res, err)
}

// savedSettings takes memory settings from the preloader in the backup, where
// there are some: a phone with a dead preloader needs them.
func savedSettings(dir string) *da.EMI {
	k, where, err := flash.OpenBackup(dir)
	if err != nil {
		return nil
	}
	for _, it := range k.Items {
		if name, _ := identity.Classify(it.Name); name == "preloader" {
			emi, err := settingsOf(filepath.Join(where, it.File))
			if err == nil {
				return emi
			}
		}
	}
	return nil
}

func deviceRead(c *cli.Context) error {
	args, err := arity(c, "NAME|REGION:OFFSET+LENGTH")
	if err != nil {
		return err
	}
	out := c.String("o")
	if out == "" {
		return usageError{"device read: want -o FILE"}
	}
	cfg, done, err := wire(c, "")
	if err != nil {
		return err
	}
	defer done()
	l, err := layoutFlag(c)
	if err != nil {
		return err
	}
	e := envOf(c)
	var r identity.Range
	began := time.Now()
	read := func(w io.Writer) error {
		r, err = flash.Fetch(c.Context, cfg, args[0], l, func(b []byte) error { _, err := w.Write(b); return err })
		return err
	}
	if out == stdinName {
		err = read(e.stdout)
	} else {
		err = mtkport.WriteFile(out, 0o644, read)
	}
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]any{"file": out, "partition": r.Partition, "region": r.Region, "offset": r.Off, "size": r.Len, "seconds": time.Since(began).Seconds()})
	}
	e.notef("%s: %s at %s of %s", out, size(r.Len), hex(r.Off), r.Region)
	return nil
}

func deviceVerify(c *cli.Context) error {
	args, err := arity(c, "BUNDLE")
	if err != nil {
		return err
	}
	cfg, done, err := wire(c, args[0])
	if err != nil {
		return err
	}
	defer done()
	s, err := flash.OpenFolder(args[0], flash.SetOptions{Only: c.StringSlice("only")})
	if err != nil {
		return err
	}
	defer s.Close()
	diff, err := flash.Verify(c.Context, cfg, s)
	if err != nil {
		return err
	}
	e := envOf(c)
	bad := false
	t := e.newTable("partition", "size", "phone")
	for _, d := range diff {
		text := "the same"
		if !d.Same {
			bad, text = true, "differs from "+hex(d.At)+" on"
		}
		t.row(d.Partition, num(size(d.Size)), text)
	}
	if e.json {
		err = e.printJSON(diff)
	} else {
		t.print()
	}
	if err == nil && bad {
		err = codeError(exitFailed)
	}
	return err
}

func deviceReset(c *cli.Context) error {
	if _, err := arity(c); err != nil {
		return err
	}
	cfg, done, err := wire(c, "")
	if err != nil {
		return err
	}
	defer done()
	return flash.Restart(c.Context, cfg)
}

func deviceRun(c *cli.Context) error {
	args, err := arity(c, "FILE@ADDRESS")
	if err != nil {
		return err
	}
	at := strings.LastIndexByte(args[0], '@')
	if at < 0 {
		return usageError{"device run: want FILE@ADDRESS, as in u-boot.bin@0x81e00000"}
	}
	addr, err := strconv.ParseUint(args[0][at+1:], 0, 32)
	if err != nil {
		return usageError{"device run: address " + args[0][at+1:] + ": want a number of 32 bits"}
	}
	cfg, done, err := wire(c, "")
	if err != nil {
		return err
	}
	defer done()
	f, n, err := openInput(args[0][:at])
	if err != nil {
		return err
	}
	defer f.Close()
	if n > 32<<20 {
		return &mtkport.Error{File: f.Name(), Off: mtkport.NoOffset, Found: size(n), Want: "at most 32 MiB", Err: mtkport.ErrTooBig}
	}
	image := make([]byte, n)
	if _, err := f.ReadAt(image, 0); err != nil {
		return err
	}
	if _, err := flash.Run(c.Context, cfg, image, uint32(addr)); err != nil {
		return err
	}
	envOf(c).notef("%s runs at %s; flash was not touched", f.Name(), hex(int64(addr)))
	return nil
}

// sameFiles says whether two file system images hold the same files: the phone
// replays journals and mounts protect_f at every start, so bytes change.
func sameFiles(_ string, old, now io.ReaderAt, n int64) (bool, error) {
	a, err := sysimg.Open(old, n)
	if err != nil {
		return false, nil // not a file system: bytes decide, and they differ
	}
	b, err := sysimg.Open(now, n)
	if err != nil {
		return false, nil
	}
	changes, err := sysimg.Diff(context.Background(), a.Tree, b.Tree, false)
	return err == nil && len(changes) == 0, err
}
