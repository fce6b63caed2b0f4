package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/bootimg/kernel"
	"mtkport/bootimg/logo"
	"mtkport/ramdisk"
)

// errOther is what a reader returns that recognised wrongly.
var errOther = &mtkport.Error{Off: mtkport.NoOffset, Found: "something else", Err: mtkport.ErrFormat}

func readBoot(_ context.Context, r *Report, p *probe) error {
	m, err := bootimg.Open(p, p.size)
	if err != nil {
		return err
	}
	h := m.Header()
	r.fact("header", "version %d, pages of %d bytes", h.Version, h.PageSize)
	r.fact("name", "%s", h.Name)
	r.fact("command line", "%s", h.CommandLine())
	for _, s := range m.Sections() {
		v := fmt.Sprintf("%d bytes", s.PayloadSize())
		if s.Part != nil {
			v += ", part header " + printable(s.Part.Name)
		}
		r.factAt(s.PayloadOff(), s.Kind.String(), v)
	}
	r.Findings = append(r.Findings, m.Notes()...)
	s := &side{name: r.Path}
	if x := m.Section(bootimg.Kernel); x != nil {
		if err := r.section("kernel", func() error { return r.kernel(s, x.Payload(), x.PayloadSize()) }); err != nil {
			return err
		}
	}
	if x := m.Section(bootimg.Ramdisk); x != nil && x.PayloadSize() > 0 {
		if err := r.section("ramdisk", func() error { return r.ramdisk(s, x.Payload(), x.PayloadSize(), x.Part) }); err != nil {
			return err
		}
	}
	r.judge(s)
	return nil
}

// section makes a part's own faults findings: a boot image whose kernel is
// broken is still a boot image.
func (r *Report) section(what string, fn func() error) error {
	err := fn()
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	f := mtkport.Finding{Code: "inspect-unreadable", Severity: mtkport.Risk, Subject: what, Text: "the " + what + " cannot be read",
		Evidence: []mtkport.Evidence{{File: r.Path, Value: err.Error()}}, Fix: "take the file from its source again; keep this one"}
	r.Findings = append(r.Findings, f)
	return nil
}

// kernel adds the facts of a kernel.
func (r *Report) kernel(s *side, ra io.ReaderAt, size int64) error {
	k, err := kernel.Open(ra, size)
	if err != nil {
		return err
	}
	s.kernel = k
	r.fact("kernel release", "%s", k.Version())
	b := k.Build()
	r.fact("kernel built", "%s@%s, %s", b.User, b.Host, b.Time)
	r.fact("chip", "%s", k.SoC().Name)
	s.drivers = k.Drivers(kernel.Builtin())
	r.drivers(s.drivers)
	return nil
}

// drivers adds one fact for each kind that a porter asks for first.
func (r *Report) drivers(d *kernel.Drivers) {
	for _, k := range []kernel.Kind{kernel.LCM, kernel.Camera, kernel.Touch, kernel.Accelerometer, kernel.Proximity} {
		r.fact(string(k), "%s", strings.Join(driverNames(d.Of(k)), ", "))
	}
}

// driverNames lists at most 12 names, each once: a driver may be both compiled
// in and declared by the board.
func driverNames(list []kernel.Driver) []string {
	var out []string
	for _, x := range list {
		out = append(out, x.Name)
	}
	return first(unique(out), 12)
}

// ramdisk adds the facts of a ramdisk.
func (r *Report) ramdisk(s *side, ra io.ReaderAt, size int64, part *bootimg.PartHeader) error {
	a, err := ramdisk.Open(ra, size)
	if err != nil {
		return err
	}
	s.ramdisk = a
	use := "boot"
	if a.Lookup("sbin/recovery") != nil || part != nil && part.Is("RECOVERY") {
		use = "recovery"
	}
	r.fact("ramdisk of", "%s", use)
	r.fact("ramdisk files", "%d, packed with %s", len(a.Entries()), a.Compression())
	s.addProps("default.prop", func() ([]byte, error) { return a.ReadFile("default.prop") })
	if v, ok := s.get("ro.mount.fs"); ok {
		r.fact("mounts", "%s", v.value)
	}
	return nil
}

func readKernel(_ context.Context, r *Report, p *probe) error {
	s := &side{name: r.Path}
	if err := r.kernel(s, p, p.size); err != nil {
		return err
	}
	r.fact("form", "%s, packed with %s", s.kernel.Form(), s.kernel.Payload().Method)
	return nil
}

func readRamdisk(_ context.Context, r *Report, p *probe) error {
	return r.ramdisk(&side{name: r.Path}, p, p.size, nil)
}

func readPart(_ context.Context, r *Report, p *probe) error {
	f, err := bootimg.OpenPart(p, p.size)
	if err != nil {
		return err
	}
	r.fact("part", "%s, %d bytes, %s header", printable(f.Part.Name), f.Part.Size, f.Part.Form())
	r.Findings = append(r.Findings, f.Notes()...)
	pl := f.Payload()
	switch {
	case f.Part.Is("LOGO"):
		r.is("logo", "boot logo pictures with a MediaTek header")
		return r.section("logo", func() error { return r.logo(p) })
	case f.Part.Is("KERNEL"):
		r.is("kernel", "kernel with a MediaTek header")
		return r.section("kernel", func() error { return r.kernel(&side{name: r.Path}, pl, pl.Size()) })
	case f.Part.Is("ROOTFS"), f.Part.Is("RECOVERY"):
		r.is("ramdisk", "ramdisk with a MediaTek header")
		return r.section("ramdisk", func() error { return r.ramdisk(&side{name: r.Path}, pl, pl.Size(), f.Part) })
	case f.Part.Is("LK"), f.Part.Is("UBOOT"):
		r.is("lk", "second boot loader (lk) with a MediaTek header")
		r.fact("warning", "a wrong lk bricks; a port never writes one")
		return r.section("lk", func() error { return r.lk(p) })
	}
	r.fact("content", "%s", bootimg.Sniff(pl, pl.Size()))
	return nil
}

func (r *Report) lk(p *probe) error {
	b, err := p.bytes(4 << 20)
	if err != nil {
		return err
	}
	r.fact("chip", "%s", chipIn(b))
	d, err := kernel.FindDrivers(bytes.NewReader(b), int64(len(b)), kernel.Builtin())
	if err != nil {
		return err
	}
	r.drivers(d)
	return nil
}

func (r *Report) logo(p *probe) error {
	l, err := logo.Open(p, p.size)
	if err != nil {
		return err
	}
	r.fact("pictures", "%d", len(l.Pictures()))
	if w, h, ok := logoScreen(l); ok {
		r.fact("screen", "%dx%d, by the first picture", w, h)
	}
	r.Findings = append(r.Findings, l.Notes()...)
	return nil
}

// logoScreen is the size of the first picture, which fills the screen.
func logoScreen(l *logo.Logo) (w, h int, ok bool) {
	if len(l.Pictures()) == 0 {
		return 0, 0, false
	}
	raw, err := l.Picture(0).Raw()
	if err != nil {
		return 0, 0, false
	}
	s, ok := logo.Guess(len(raw))
	return s.Width, s.Height, ok
}
