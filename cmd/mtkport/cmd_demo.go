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
	"mtkport/bootimg/kernel"
	"mtkport/port"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/port/splice"
	"mtkport/port/synth"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "the whole story on synthetic ROMs: no phone and no firmware needed",
		Description: "Two phones of this program's own making, with not one byte of any vendor: a Panther P1 whose maker is gone, and the\n" +
			"ROM of a Lynx L2. The demo carries the one onto the other, flashes it to a simulated phone whose cable comes off at\n" +
			"73 %, and leaves ROMs, plan, bundle, backup and logs to look at.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "o", Usage: "leave everything in `FOLDER`, a new one (default: a temporary folder)"}},
		Action: func(c *cli.Context) error {
			if _, err := arity(c); err != nil {
				return err
			}
			return runDemo(c.Context, envOf(c), c.String("o"))
		},
	}
}

// demo is the state that the steps hand on.
type demo struct {
	e      *env
	dir    string
	donor  string
	target string
	plan   string
	bundle string
	result *port.Result
	seen   []demoPath // what was left, for the last step
}

type demoPath struct {
	Path string `json:"path"`
	What string `json:"what"`
}

// demoStep is one chapter. Steps run in order; each says what it does and why.
type demoStep struct {
	title string
	run   func(d *demo, ctx context.Context) error
}

// demoSteps is the story.
var demoSteps = []demoStep{
	{"Two phones", (*demo).phones},
	{"What drives what?", (*demo).drivers},
	{"What fits, what will not", (*demo).findings},
	{"A plan that a person can read and change", (*demo).decide},
	{"The port", (*demo).splice},
	{"Is it right?", (*demo).check},
	{"Onto the phone, with a cable that comes off", (*demo).onto},
}

func runDemo(ctx context.Context, e *env, dir string) (err error) {
	d := &demo{e: e, dir: dir}
	if dir == "" {
		if d.dir, err = os.MkdirTemp("", "mtkport-demo-*"); err != nil {
			return err
		}
		defer func() {
			if err != nil { // a story without its end leaves nothing to look at
				err = errors.Join(err, os.RemoveAll(d.dir))
			}
		}()
	} else if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("%w: name a folder that does not exist", err)
	}
	for i, s := range demoSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.say("%s", e.paint(bold, fmt.Sprintf("%d. %s", i+1, s.title)))
		if err := s.run(d, ctx); err != nil {
			return err
		}
		d.say("")
	}
	return d.end()
}

// say tells the story on stdout, which --json keeps for the result.
func (d *demo) say(format string, a ...any) {
	if !d.e.json {
		d.e.printf(format+"\n", a...)
	}
}

func (d *demo) left(path, what string) { d.seen = append(d.seen, demoPath{path, what}) }

func (d *demo) phones(ctx context.Context) error {
	d.target, d.donor = filepath.Join(d.dir, "panther-firmware"), filepath.Join(d.dir, "lynx-rom.zip")
	if err := os.Mkdir(d.target, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.target)
	if err != nil {
		return err
	}
	if err := errors.Join(synth.Panther().Firmware(ctx, root), root.Close()); err != nil {
		return err
	}
	err = mtkport.WriteFile(d.donor, 0o644, func(w io.Writer) error { return synth.Lynx().Package(w) })
	if err != nil {
		return err
	}
	d.left(d.target, "the target: a Panther P1's stock firmware, with its scatter file")
	d.left(d.donor, "the donor: the Lynx L2's ROM, a flashable zip")
	d.say("A Panther P1 (one SIM) came in; its maker is gone. At hand is the nicer ROM of a Lynx L2 (two SIMs): the same chip,")
	d.say("another panel, other cameras, another touch controller.")
	return nil
}

func (d *demo) drivers(ctx context.Context) error {
	t := d.e.newTable("", "PANEL", "CAMERA", "TOUCH", "MOTION SENSOR")
	for _, side := range []struct{ name, path string }{{"target", d.target}, {"donor", d.donor}} {
		r, err := rom.Open(ctx, side.path)
		if err != nil {
			return err
		}
		k, err := r.Kernel()
		if err != nil {
			return errors.Join(err, r.Close())
		}
		row := []any{side.name}
		drivers := k.Drivers(kernel.Builtin())
		for _, kind := range []kernel.Kind{kernel.LCM, kernel.Camera, kernel.Touch, kernel.Accelerometer} {
			var names []string
			for _, x := range drivers.Of(kind) {
				names = append(names, x.Name)
			}
			row = append(row, strings.Join(names, ", "))
		}
		t.row(row...)
		if err := r.Close(); err != nil {
			return err
		}
	}
	if !d.e.json {
		t.print()
	}
	d.say("No driver in common: with the donor's kernel the Panther's screen would stay white. So kernel, modules, firmware and")
	d.say("hardware libraries stay the target's; system and apps come from the donor.")
	return nil
}

func (d *demo) findings(ctx context.Context) error {
	p, err := port.Prepare(ctx, port.Job{Donor: d.donor, Target: d.target, Progress: d.e.roomProgress()})
	if err != nil {
		return err
	}
	defer p.Close()
	if !d.e.json {
		d.e.printFindings(p.Findings)
	}
	d.plan = filepath.Join(d.dir, "plan.yaml")
	d.left(d.plan, "every decision with its reason; edit it, give it back with --plan")
	return mtkport.WriteFile(d.plan, 0o644, func(w io.Writer) error { _, err := p.Plan.WriteTo(w); return err })
}

func (d *demo) decide(context.Context) error {
	f, err := os.Open(d.plan)
	if err != nil {
		return err
	}
	defer f.Close()
	edits, err := plan.Parse(f, d.plan)
	if err != nil {
		return err
	}
	counts := map[plan.Take]int{}
	for _, t := range edits.Takes {
		counts[t]++
	}
	d.say("%s: %d paths from the target, %d from the donor, %d merged, %d left out. Some of it:", d.plan,
		counts[plan.Target], counts[plan.Donor], counts[plan.Merge], counts[plan.Drop])
	t := d.e.newTable("PATH", "FROM", "OTHERWISE")
	rules, err := plan.Default()
	if err != nil {
		return err
	}
	for _, p := range []string{"system/lib/libcameracustom.so", "system/lib/modules/ccci.ko", "system/usr/keylayout/mtk-kpd.kl", "system/framework/framework.jar", "system/build.prop", "ramdisk/init.rc"} {
		x := rules.Explain(p, edits.Style)
		t.row(p, cell{text: string(edits.Takes[p]), style: takeStyle(edits.Takes[p])}, x.Symptom)
	}
	if !d.e.json {
		t.print()
	}
	return nil
}

func (d *demo) splice(ctx context.Context) error {
	d.bundle = filepath.Join(d.dir, "bundle")
	f, err := os.Open(d.plan)
	if err != nil {
		return err
	}
	defer f.Close()
	edits, err := plan.Parse(f, d.plan)
	if err != nil {
		return err
	}
	d.result, err = port.Run(ctx, port.Job{Donor: d.donor, Target: d.target, Edits: edits, EditsName: d.plan, Progress: d.e.roomProgress()}, d.bundle)
	if err != nil {
		return err
	}
	t := d.e.newTable("FILE", "FOR PARTITION", "SIZE", "MADE FROM")
	for _, o := range d.result.Manifest.Outputs {
		var from []string
		for _, s := range o.Sources {
			from = append(from, s.Side)
		}
		t.row(o.Name, o.Partition, num(size(o.Size)), strings.Join(from, " and "))
	}
	if !d.e.json {
		t.print()
	}
	d.left(d.bundle, "the bundle: boot.img, system.img, scatter, manifest, plan")
	d.left(filepath.Join(d.bundle, splice.ReportName), "the repair log, for the phone's owner")
	return nil
}

// check opens the bundle as a stranger would.
func (d *demo) check(ctx context.Context) error {
	b, err := rom.Open(ctx, d.bundle)
	if err != nil {
		return err
	}
	defer b.Close()
	k, err := b.Kernel()
	if err != nil {
		return err
	}
	model, _ := b.Props().Get("ro.product.model")
	sims, _ := b.Props().Get("persist.gemini.sim_num")
	for _, p := range b.Scatter.Partitions {
		if p.Guarded && p.Download {
			return &mtkport.Error{File: b.ScatterFile.Name, Off: mtkport.NoOffset, Field: p.Name, Found: "marked for download", Want: "left alone", Err: mtkport.ErrRefused}
		}
	}
	if _, err := b.System.Lookup("framework/lynx-framework.jar"); err != nil {
		return err
	}
	d.say("opened again: kernel %s with the Panther's panels, model %s, SIM cards %s, the Lynx's framework and apps.", k.Version(), model, sims)
	d.say("Every one of %d files was read back from system.img and compared with its source; identity partitions and boot", len(d.result.Manifest.Files))
	d.say("loaders are not in the bundle, and the scatter marks none of them for writing.")
	return nil
}

func (d *demo) end() error {
	if d.e.json {
		return d.e.printJSON(struct {
			Folder string     `json:"folder"`
			Left   []demoPath `json:"left"`
		}{d.dir, d.seen})
	}
	d.say("%s", d.e.paint(bold, "Look at"))
	t := d.e.newTable()
	for _, p := range d.seen {
		t.row("  "+p.Path, p.What)
	}
	t.print()
	return nil
}
