package simphone_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mtkport"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/da"
	"mtkport/port/flash/simphone"
	"mtkport/port/flash/usb"
	"mtkport/profiles/identity"
)

var (
	fastBROM = brom.Timing{Poll: 20 * time.Millisecond, Quiet: 5 * time.Millisecond, Answer: 2 * time.Second, Total: 3 * time.Second}
	fastDA   = da.Timing{Answer: 2 * time.Second, Sync: 2 * time.Second, Settle: 200 * time.Millisecond, Flash: 2 * time.Second, Quiet: 5 * time.Millisecond}
)

// plug connects a host to the phone in memory.
func plug(t *testing.T, ph *simphone.Phone) *usb.Link {
	t.Helper()
	host, dev := usb.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = ph.Serve(ctx, dev) }()
	t.Cleanup(func() { cancel(); <-done })
	return usb.NewLink(host, usb.Port{Name: "pipe", Terminal: true}, nil)
}

func start(t *testing.T, l *usb.Link) (*da.Agent, brom.Info) {
	t.Helper()
	a, in, err := begin(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return a, in
}

func begin(ctx context.Context, l *usb.Link) (*da.Agent, brom.Info, error) {
	var buf bytes.Buffer
	if err := simphone.PracticeDA(&buf); err != nil {
		return nil, brom.Info{}, err
	}
	box, err := da.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		return nil, brom.Info{}, err
	}
	c, err := brom.Connect(ctx, l, fastBROM)
	if err != nil {
		return nil, brom.Info{}, err
	}
	in, err := c.Identify(ctx)
	if err != nil {
		return nil, in, err
	}
	if err := c.StopWatchdog(ctx, brom.MT6572); err != nil {
		return nil, in, err
	}
	e, err := box.Choose(in.HWCode, in.HWVer, in.SWVer)
	if err != nil {
		return nil, in, err
	}
	b1, _ := e.Bytes(e.Stage1())
	b2, _ := e.Bytes(e.Stage2())
	if err := c.SendDA(ctx, e.Stage1().Addr, b1, e.Stage1().SigLen); err != nil {
		return nil, in, err
	}
	if err := c.JumpDA(ctx, e.Stage1().Addr); err != nil {
		return nil, in, err
	}
	a, err := da.Start(ctx, l, b2, e.Stage2().Addr, da.StartOptions{BROMVer: in.BROMVer, BLVer: in.BLVer, Timing: fastDA})
	return a, in, err
}

func noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func clear(t *testing.T, region string, size, block, off, n int64) identity.Cleared {
	t.Helper()
	g, err := identity.NewGuard([]identity.Range{{Region: region, Off: 0, Len: size, Partition: "ANDROID", Write: true}}, identity.Region{Name: region, Size: size, Block: block})
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Clear(region, off, n, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readAll(t *testing.T, a *da.Agent, region string, off, n int64) []byte {
	t.Helper()
	var got bytes.Buffer
	if err := a.Read(t.Context(), region, off, n, func(b []byte) error { got.Write(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return got.Bytes()
}

func TestDialogue(t *testing.T) {
	nand := simphone.NANDProfile(64 << 20)
	bromMode := simphone.EMMCProfile(64 << 20)
	bromMode.Mode = brom.ModeBROM
	ready := simphone.EMMCProfile(64 << 20)
	ready.Ready = time.Millisecond
	for _, tc := range []struct {
		name   string
		p      simphone.Profile
		region string
		block  int64
	}{
		{"eMMC preloader", simphone.EMMCProfile(64 << 20), identity.EMMCUser, 512},
		{"eMMC boot ROM", bromMode, identity.EMMCUser, 512},
		{"READY", ready, identity.EMMCUser, 512},
		{"NAND", nand, identity.NAND, 0x20000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ph := simphone.New(tc.p, simphone.NewFlash(tc.p))
			a, in := start(t, plug(t, ph))
			if in.HWCode != 0x6572 || in.Mode != tc.p.Mode || (in.Mode == brom.ModeBROM) != (len(in.MEID) == 16) {
				t.Fatalf("info %+v", in)
			}
			if r := a.Report(); r.NAND.Found() != (tc.region == identity.NAND) || r.EMMC.Found() == r.NAND.Found() || r.Conf.Random != tc.p.Random {
				t.Fatalf("report %+v", r)
			}
			data := noise(3<<20+int(tc.block)*4, 1)
			c := clear(t, tc.region, 32<<20, tc.block, 4<<20, int64(len(data)))
			if err := a.Write(t.Context(), c, bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, a, tc.region, 4<<20, int64(len(data))); !bytes.Equal(got, data) {
				t.Fatal("read back differs")
			}
			if w := ph.Writes(); len(w) != 1 || w[0].Off != 4<<20 || w[0].Len != int64(len(data)) {
				t.Fatalf("record %v", w)
			}
			if err := a.Format(t.Context(), clear(t, tc.region, 32<<20, tc.block, 4<<20, tc.block*2), nil); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, a, tc.region, 4<<20, 1024); bytes.Equal(got, data[:1024]) {
				t.Fatal("format did nothing")
			}
			if err := a.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestBadBlocksAreStoodInFor(t *testing.T) {
	p := simphone.NANDProfile(64 << 20)
	ph := simphone.New(p, simphone.NewFlash(p))
	a, _ := start(t, plug(t, ph))
	off := int64(36) * 0x20000 // blocks 36..39, of which 37 and 38 are bad
	data := noise(4*0x20000, 3)
	if err := a.Write(t.Context(), clear(t, identity.NAND, 32<<20, 0x20000, off, int64(len(data))), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, a, identity.NAND, off, int64(len(data))); !bytes.Equal(got, data) {
		t.Fatal("read back differs")
	}
	page := make([]byte, 2112)
	if err := ph.Flash.ReadAt(identity.NAND, page, 37*64*2112); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, bytes.Repeat([]byte{0xFF}, 2112)) {
		t.Fatal("a bad block was programmed")
	}
	var got bytes.Buffer
	if err := a.ReadPages(t.Context(), off, 4096, func(b []byte) error { got.Write(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if b := got.Bytes(); len(b) != 4224 || !bytes.Equal(b[:2048], data[:2048]) || !bytes.Equal(b[2112:4160], data[2048:4096]) || b[2048] != 0xFF {
		t.Fatal("pages with spare differ")
	}
	c := clear(t, identity.NAND, 32<<20, 0x20000, off, 1024)
	if err := a.Write(t.Context(), c, bytes.NewReader(data)); err == nil {
		t.Fatal("a write of half a page was sent")
	}
}

// TestPagesWithSpare: pages and their spare bytes go onto a NAND around its bad
// blocks and come back; nothing goes where no guard cleared it.
func TestPagesWithSpare(t *testing.T) {
	p := simphone.NANDProfile(64 << 20)
	ph := simphone.New(p, simphone.NewFlash(p))
	a, _ := start(t, plug(t, ph))
	off, n := int64(36)*0x20000, int64(12*0x20000+3*2048) // more than a packet, over bad blocks, a part of a block at the end
	image := noise(int(n/2048*2112), 7)
	if err := a.WritePages(t.Context(), clear(t, identity.NAND, 32<<20, 0x20000, off, n), bytes.NewReader(image)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := a.ReadPages(t.Context(), off, n, func(b []byte) error { got.Write(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), image) {
		t.Fatal("pages with spare differ")
	}
	if data := readAll(t, a, identity.NAND, off, 2048); !bytes.Equal(data, image[:2048]) {
		t.Fatal("a page read without spare differs")
	}
	if w := ph.Writes(); len(w) != 1 || w[0].Off != off || w[0].Len != n {
		t.Fatalf("the phone's record: %v", w)
	}
	before := len(ph.Writes())
	for name, c := range map[string]identity.Cleared{
		"uncleared": {}, "an eMMC": clear(t, identity.EMMCUser, 32<<20, 512, 0, 4096), "within a block": clear(t, identity.NAND, 32<<20, 0x20000, 0x20800, 2048),
	} {
		if err := a.WritePages(t.Context(), c, bytes.NewReader(image)); !errors.Is(err, mtkport.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(ph.Writes()) != before {
		t.Error("a refused write was sent")
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		fault  string
		read   bool // error of a 3 MiB read wanted
		write  bool
		broken bool
	}{
		{"spoil@READ sum:2", false, false, false},
		{"spoil@READ sum*", true, false, false},
		{"short@READ data:2", true, false, true},
		{"stall@READ data:2", true, false, true},
		{"cut@READ data:2", true, false, true},
		{"nack@WRITE done:2", false, true, false},
		{"cut@WRITE data:2", false, true, true},
		{"stall@WRITE done:1", false, true, true},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			p := simphone.EMMCProfile(64 << 20)
			ph := simphone.New(p, simphone.NewFlash(p))
			var err error
			if ph.Hook, err = simphone.ParseFaults(tc.fault); err != nil {
				t.Fatal(err)
			}
			data := noise(3<<20, 5)
			if err := ph.Flash.WriteAt(identity.EMMCUser, data, 0); err != nil {
				t.Fatal(err)
			}
			short := fastDA
			fastDA.Flash, fastDA.Answer = 100*time.Millisecond, 100*time.Millisecond
			defer func() { fastDA = short }()
			a, _ := start(t, plug(t, ph))
			var got bytes.Buffer
			err = a.Read(t.Context(), identity.EMMCUser, 0, 3<<20, func(b []byte) error { got.Write(b); return nil })
			if (err != nil) != tc.read || (tc.read && da.Broken(err) != tc.broken) {
				t.Fatalf("read: %v", err)
			}
			if err == nil && !bytes.Equal(got.Bytes(), data) {
				t.Fatal("data differs")
			}
			if err != nil {
				return
			}
			err = a.Write(t.Context(), clear(t, identity.EMMCUser, 32<<20, 512, 8<<20, 3<<20), bytes.NewReader(data))
			var pe *da.PacketError
			if (err != nil) != tc.write || (tc.write && (!errors.As(err, &pe) || da.Broken(err) != tc.broken)) {
				t.Fatalf("write: %v", err)
			}
		})
	}
}

func TestSecurePhoneIsLeftAlone(t *testing.T) {
	for _, cfg := range []brom.Config{brom.LinkAuth, brom.DAAuth} {
		p := simphone.EMMCProfile(64 << 20)
		p.Target = cfg
		ph := simphone.New(p, simphone.NewFlash(p))
		_, in, err := begin(t.Context(), plug(t, ph))
		if err == nil || !in.Target.Secure() {
			t.Fatalf("%v: %v", in.Target, err)
		}
	}
}

func TestPTYAndTCP(t *testing.T) {
	lines := map[string]func() (simphone.Line, error){
		"tcp": func() (simphone.Line, error) { return simphone.ListenTCP("127.0.0.1:0") },
		"pty": func() (simphone.Line, error) { return simphone.ListenPTY(filepath.Join(t.TempDir(), "ttyACM77")) },
	}
	for name, open := range lines {
		t.Run(name, func(t *testing.T) {
			line, err := open()
			if err != nil {
				t.Skip("no " + name + ": " + err.Error())
			}
			p := simphone.EMMCProfile(64 << 20)
			p.FullSpeed = true
			dir := t.TempDir()
			flash, fresh, err := simphone.OpenFolder(dir, p)
			if err != nil || !fresh {
				t.Fatal(fresh, err)
			}
			defer flash.Close()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			srv := &simphone.Server{Phone: simphone.New(p, flash), Line: line}
			go func() { done <- srv.Run(ctx) }()
			w := usb.Waiter{Addr: usb.Parse(line.Name()), Every: time.Millisecond, For: 5 * time.Second}
			l, err := w.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := usb.Open(ctx, l.Port()); !errors.Is(err, usb.ErrInUse) {
				t.Fatalf("a second open: %v", err)
			}
			a, _ := start(t, l)
			if high, err := a.Alive(ctx); err != nil || high {
				t.Fatal(high, err)
			}
			if err := a.SpeedUp(ctx); err != nil {
				t.Fatal(err)
			}
			l.Close()
			time.Sleep(20 * time.Millisecond)
			if l, err = w.Open(ctx); err != nil {
				t.Fatal(err)
			}
			a.Reattach(l)
			if high, err := a.Alive(ctx); err != nil || !high {
				t.Fatal(high, err)
			}
			data := noise(2<<20, 9)
			if err := a.Write(ctx, clear(t, identity.EMMCUser, 32<<20, 512, 1<<20, 2<<20), bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, a, identity.EMMCUser, 1<<20, 2<<20); !bytes.Equal(got, data) {
				t.Fatal("data differs")
			}
			l.Close()
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, "user.bin"))
			if err != nil || !bytes.Equal(b[1<<20:3<<20], data) {
				t.Fatal("the file does not hold what was written", err)
			}
		})
	}
}
