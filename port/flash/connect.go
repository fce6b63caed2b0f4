package flash

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"mtkport"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/da"
	"mtkport/port/flash/usb"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

// Config says how to reach a phone.
type Config struct {
	Addr     usb.Addr
	DA       *da.Container // the user's MTK_AllInOne_DA.bin
	EMI      *da.EMI       // memory settings, for boot ROM mode only
	Chip     uint16        // accept a phone with this hardware code that is not in brom.Chips; 0 for none
	Wait     time.Duration // for the phone to appear; 0 for no limit
	SlowLink bool          // stay at full speed
	Progress mtkport.Progress

	BROM    brom.Timing                                        // brom.DefaultTiming when zero
	DATimes da.Timing                                          // da.DefaultTiming when zero
	Dial    func(ctx context.Context) (l *usb.Link, err error) // how to get a wire; by Addr when nil
}

func (c Config) withDefaults() Config {
	if c.BROM == (brom.Timing{}) {
		c.BROM = brom.DefaultTiming
	}
	if c.DATimes == (da.Timing{}) {
		c.DATimes = da.DefaultTiming
	}
	return c
}

func (c Config) open(ctx context.Context, bus string) (*usb.Link, error) {
	if c.Dial != nil {
		return c.Dial(ctx)
	}
	w := usb.Waiter{Addr: c.Addr, Bus: bus, For: c.Wait, Tell: func(s string) {
		if _, remote := c.Addr.TCP(); !remote {
			s += ": " + usb.PlugHint
		}
		mtkport.Remark(c.Progress, s)
	}}
	return w.Open(ctx)
}

// Device is a phone with an agent at work on it.
type Device struct {
	Info   brom.Info           `json:"loader"`
	Port   usb.Port            `json:"port"`
	Agent  *da.Agent           `json:"-"`
	Report da.Report           `json:"storage"`
	ID     identity.HardwareID `json:"id"`
	High   bool                `json:"high_speed"`
	cfg    Config
}

// Storage returns EMMC or NAND.
func (d *Device) Storage() string {
	if d.Report.NAND.Found() {
		return scatter.NAND
	}
	return scatter.EMMC
}

// Main returns the region that holds the partitions.
func (d *Device) Main() string {
	if d.Report.NAND.Found() {
		return identity.NAND
	}
	return identity.EMMCUser
}

// Align returns the unit of writes: the sector, or the NAND's page.
func (d *Device) Align() int64 {
	if d.Report.NAND.Found() {
		return int64(d.Report.NAND.Page)
	}
	return 512
}

// Close closes the wire.
func (d *Device) Close() error { return d.Agent.Link().Close() }

// Connect waits for the phone and brings its agent up. A phone that wants
// authentication is refused with ErrRefused; nothing is sent to it after that.
func Connect(ctx context.Context, cfg Config) (*Device, error) {
	cfg = cfg.withDefaults()
	if cfg.DA == nil { // before anybody has to plug a phone in
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "agent", Want: "the user's own MTK_AllInOne_DA.bin", Err: mtkport.ErrUnsupported,
			Hint: "give --da FILE, or set MTKPORT_DA; the file is in every SP Flash Tool package of the time (3.x, 5.14xx)"}
	}
	for try := 0; ; try++ {
		d, err := connect(ctx, cfg)
		if try < 3 && errors.Is(err, errRestarted) {
			continue
		}
		return d, err
	}
}

var errRestarted = errors.New("the phone was restarted")

func connect(ctx context.Context, cfg Config) (d *Device, err error) {
	l, c, err := greet(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = l.Close()
		}
	}()
	d = &Device{Port: l.Port(), cfg: cfg}
	chip, err := d.identify(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := d.load(ctx, c, chip); err != nil {
		return nil, err
	}
	d.Report = d.Agent.Report()
	d.ID = hardwareID(d.Info, d.Report)
	if !d.Report.EMMC.Found() && !d.Report.NAND.Found() {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "storage", Found: fmt.Sprintf("no eMMC (%d), no NAND (%d)", d.Report.EMMC.Ret, d.Report.NAND.Ret), Want: "one of them", Err: mtkport.ErrUnsupported,
			Hint: "SP Flash Tool: S_DA_EMMC_FLASH_NOT_FOUND (3179) or NAND_FLASH_NOT_FOUND (3012): the agent does not know the flash chip, or the chip is dead; try a newer V3 agent file"}
	}
	l2 := &l
	err = d.speed(ctx, l2)
	return d, err
}

// greet opens the port and shakes hands. An agent left running by a run that
// was killed is told to restart the phone, which then comes back by itself.
func greet(ctx context.Context, cfg Config) (*usb.Link, *brom.Client, error) {
	l, err := cfg.open(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	c, err := brom.Connect(ctx, l, cfg.BROM)
	if err == nil {
		return l, c, nil
	}
	if errors.Is(err, brom.ErrDARunning) {
		mtkport.Remark(cfg.Progress, "an agent from an earlier run answers: restarting the phone")
		_ = l.Write(ctx, nil, cfg.BROM.Answer)
		_, _ = l.Drain(ctx, cfg.BROM.Quiet)
		if rerr := da.Reboot(ctx, l, cfg.DATimes.Answer); rerr == nil {
			err = errRestarted
		}
	}
	return nil, nil, errors.Join(err, l.Close())
}

// identify asks the loader who the phone is and stops before a secure one.
func (d *Device) identify(ctx context.Context, c *brom.Client) (brom.Chip, error) {
	var err error
	if d.Info, err = c.Identify(ctx); err != nil {
		return brom.Chip{}, err
	}
	chip, ok := brom.ChipByCode(d.Info.HWCode)
	if !ok && d.cfg.Chip != 0 && d.cfg.Chip == d.Info.HWCode {
		chip, ok = brom.MT6572, true
		chip.HWCode, chip.Name = d.cfg.Chip, fmt.Sprintf("MT%04x", d.cfg.Chip)
	}
	if !ok {
		return chip, &mtkport.Error{Off: mtkport.NoOffset, Field: "chip", Found: fmt.Sprintf("MT%04x", d.Info.HWCode), Want: "MT6572 or MT6571", Err: mtkport.ErrRefused,
			Hint: "SP Flash Tool: S_CHIP_TYPE_NOT_MATCH (1042). This is another phone than the firmware is for; nothing was written. For a close relative that speaks the same dialogue give --chip"}
	}
	if d.Info.Target.Secure() {
		return chip, &mtkport.Error{Off: mtkport.NoOffset, Field: "target config", Found: d.Info.Target.String(), Want: "an open phone", Err: mtkport.ErrRefused, Hint: brom.SecureHint}
	}
	return chip, c.StopWatchdog(ctx, chip)
}

// load uploads both stages of the agent.
func (d *Device) load(ctx context.Context, c *brom.Client, chip brom.Chip) error {
	e, err := d.cfg.DA.Choose(chip.HWCode, d.Info.HWVer, d.Info.SWVer)
	if err != nil {
		return err
	}
	s1, s2 := e.Stage1(), e.Stage2()
	one, err := e.Bytes(s1)
	if err != nil {
		return err
	}
	two, err := e.Bytes(s2)
	if err != nil {
		return err
	}
	if err := c.SendDA(ctx, s1.Addr, one, s1.SigLen); err != nil {
		return err
	}
	if err := c.JumpDA(ctx, s1.Addr); err != nil {
		return err
	}
	d.Agent, err = da.Start(ctx, c.Link(), two, s2.Addr, da.StartOptions{BROMVer: d.Info.BROMVer, BLVer: d.Info.BLVer, EMI: d.cfg.EMI, Timing: d.cfg.DATimes})
	return err
}

// speed brings a slow link to high speed. The phone leaves the bus for it and
// may come back under another name.
func (d *Device) speed(ctx context.Context, l **usb.Link) error {
	high, err := d.Agent.Alive(ctx)
	if err != nil {
		return err
	}
	d.High = high
	if high || d.cfg.SlowLink {
		return nil
	}
	if err := d.Agent.SpeedUp(ctx); err != nil {
		var de *da.Error
		if errors.As(err, &de) { // S_DA_USB_2_0_NOT_SUPPORT: go on as it is
			return nil
		}
		return err
	}
	if err := (*l).Close(); err != nil && !usb.Gone(err) {
		return err
	}
	for until := time.Now().Add(d.cfg.DATimes.Flash); ; {
		nl, err := d.cfg.open(ctx, d.Port.Bus)
		if err != nil {
			return err
		}
		*l = nl
		d.Agent.Reattach(nl)
		d.Port = nl.Port()
		if d.High, err = d.Agent.Alive(ctx); err == nil {
			return nil
		}
		// The old port may show for a moment after the phone has left it.
		_ = nl.Close()
		if ctx.Err() != nil || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// hardwareID collects what tells this phone from every other one.
func hardwareID(in brom.Info, r da.Report) identity.HardwareID {
	id := identity.HardwareID{Chip: fmt.Sprintf("%04x", in.HWCode), Storage: scatter.EMMC,
		Random: fmt.Sprintf("%016x%016x", r.Conf.Random[0], r.Conf.Random[1])}
	if r.NAND.Found() {
		id.Storage = scatter.NAND
		var b strings.Builder
		for _, w := range r.NAND.IDs {
			fmt.Fprintf(&b, "%04x", w)
		}
		id.NANDID = b.String()
	} else {
		id.CID = fmt.Sprintf("%016x%016x", r.EMMC.CID[0], r.EMMC.CID[1])
	}
	if len(in.MEID) > 0 {
		id.MEID = hex.EncodeToString(in.MEID)
	}
	return id
}

// Open does only the loader's part: handshake and identification, no agent.
// [Run] uses it; so does a first look at a phone without an agent file.
func Open(ctx context.Context, cfg Config) (*brom.Client, brom.Info, usb.Port, error) {
	cfg = cfg.withDefaults()
	l, c, err := greet(ctx, cfg)
	if err != nil {
		return nil, brom.Info{}, usb.Port{}, err
	}
	in, err := c.Identify(ctx)
	if err != nil {
		return nil, in, l.Port(), errors.Join(err, l.Close())
	}
	return c, in, l.Port(), nil
}

// maxRun bounds an image for [Run]; the MT6572's loaders are below 1 MiB.
const maxRun = 32 << 20

// Run uploads an image to memory and jumps to it. Flash is not touched. A
// preloader loads every image at its own address, so only a boot ROM is asked.
func Run(ctx context.Context, cfg Config, image []byte, addr uint32) (brom.Info, error) {
	if len(image) == 0 || len(image) > maxRun {
		return brom.Info{}, &mtkport.Error{Off: mtkport.NoOffset, Field: "image", Found: fmt.Sprintf("%d bytes", len(image)), Want: fmt.Sprintf("1…%d", maxRun), Err: mtkport.ErrTooBig}
	}
	c, in, _, err := Open(ctx, cfg)
	if err != nil {
		return in, err
	}
	defer func() { _ = c.Link().Close() }()
	if in.Target.Secure() {
		return in, &mtkport.Error{Off: mtkport.NoOffset, Field: "target config", Found: in.Target.String(), Want: "an open phone", Err: mtkport.ErrRefused, Hint: brom.SecureHint}
	}
	if in.Mode == brom.ModePreloader {
		mtkport.Remark(cfg.Progress, "the preloader may load the image at an address of its own; hold a volume key while plugging in for the boot ROM, which keeps the one given")
	}
	if chip, ok := brom.ChipByCode(in.HWCode); ok {
		if err := c.StopWatchdog(ctx, chip); err != nil {
			return in, err
		}
	}
	if err := c.SendDA(ctx, addr, image, 0); err != nil {
		return in, err
	}
	return in, c.JumpDA(ctx, addr)
}
