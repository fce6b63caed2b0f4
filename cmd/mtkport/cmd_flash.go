package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/profiles/identity"
)

// sessionFlags are those of every command that writes to a phone.
func sessionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "backup", Value: ".", Usage: "keep the phone's folder (backup, plan, journal, log) in `DIR`"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		&cli.BoolFlag{Name: "dry-run", Usage: "show what would be written, touch nothing"},
		&cli.BoolFlag{Name: "reboot", Usage: "restart the phone at the end"},
		&cli.IntFlag{Name: "reconnect", Value: 5, Usage: "wait for a phone that went away this many `TIMES`"},
		&cli.BoolFlag{Name: "unproven-nand", Usage: "write a NAND phone although the dialogue was never tried on one"},
	}
}

func sessionOptions(c *cli.Context) flash.Options {
	e := envOf(c)
	o := flash.Options{Dir: c.String("backup"), DryRun: c.Bool("dry-run"), Reboot: c.Bool("reboot"), Reconnect: c.Int("reconnect"),
		UnprovenNAND: c.Bool("unproven-nand"), SameContent: sameFiles}
	o.Confirm = func(p *flash.Plan) error {
		if !e.json {
			printPlan(e, p)
		}
		switch {
		case o.DryRun && e.json:
			return e.printJSON(p)
		case o.DryRun || c.Bool("yes"):
			return nil
		}
		return ask(c.Context, e, "Write this to the phone?")
	}
	return o
}

func flashCommand() *cli.Command {
	return &cli.Command{
		Name: "flash", Usage: "write a bundle to the phone, under the guard and with a journal", ArgsUsage: "BUNDLE",
		Description: "BUNDLE is what 'port' made, or a folder with a scatter file and the images that it names. First everything that\n" +
			"will be overwritten is saved, and everything that makes the phone itself; then it is written, read back and\n" +
			"compared, and identity is proved unchanged. Loaders, tables and identity are never written, whatever the scatter says.\n" +
			"Interrupted by Ctrl-C, a cable or a power cut (exit code 5), the same command again goes on.",
		Flags: wireFlags(append(sessionFlags(), onlyFlag(),
			&cli.BoolFlag{Name: "userdata", Usage: "also images for the owner's data"},
			&cli.StringFlag{Name: "scatter", Usage: "the scatter in `FILE` instead of the one in the folder"})...),
		Action: flashAction,
	}
}

func flashAction(c *cli.Context) error {
	args, err := arity(c, "BUNDLE")
	if err != nil {
		return err
	}
	s, err := flash.OpenFolder(args[0], flash.SetOptions{Only: c.StringSlice("only"), UserData: c.Bool("userdata"), Scatter: c.String("scatter")})
	if err != nil {
		return err
	}
	defer s.Close()
	cfg, done, err := wire(c, args[0])
	if err != nil {
		return err
	}
	defer done()
	e := envOf(c)
	if e.json && !c.Bool("dry-run") {
		cfg.Progress = &events{e: e}
	}
	res, err := flash.Write(c.Context, cfg, s, sessionOptions(c))
	return flashed(e, res, err)
}

// flashed reports the end of a flash or restore.
func flashed(e *env, res *flash.Result, err error) error {
	if err != nil || res.Dir == "" {
		return err
	}
	if e.json {
		return e.printJSONLine(map[string]any{"event": "done", "result": res})
	}
	verb := "written and verified"
	if res.Resumed {
		verb = "written and verified (resumed)"
	}
	e.printf("%s: %s\nunchanged: %s\nlog and backup: %s\n", verb, size(res.Verified), strings.Join(res.Proved, " "), res.Dir)
	if len(res.ByContent) > 0 {
		e.printf("unchanged by content (the phone rewrites them when it starts): %s\n", strings.Join(res.ByContent, " "))
	}
	e.printf("unplug the phone, then hold the power key\n")
	return nil
}

// printPlan shows what will be written and what is left as it is.
func printPlan(e *env, p *flash.Plan) {
	e.printf("phone MT%s, %s\n\n", p.Phone.Chip, p.Phone.Storage)
	t := e.newTable("write", "region", "start", "size", "image")
	for _, x := range p.Write {
		t.row(cell{text: x.Partition, style: yellow}, x.Region, num(hex(x.Off)), num(size(x.Size)), x.File)
	}
	t.print()
	var keep, id []string
	for _, r := range p.Keep {
		if _, class := identity.Classify(r.Partition); class == identity.Identity {
			id = append(id, r.Partition)
		} else {
			keep = append(keep, r.Partition)
		}
	}
	write, backup := p.Bytes()
	e.printf("\nidentity, never written: %s\nalso left as they are:   %s\n", e.paint(green, strings.Join(id, " ")), strings.Join(keep, " "))
	var reasons []string
	why := map[string][]string{}
	for _, l := range p.Left {
		if why[l.Why] == nil {
			reasons = append(reasons, l.Why)
		}
		why[l.Why] = append(why[l.Why], l.Partition)
	}
	for _, r := range reasons {
		e.printf("images left alone: %s (%s)\n", strings.Join(why[r], " "), r)
	}
	e.printf("to write: %s, to save first: %s, plan %s\n", size(write), size(backup), p.ID)
}

// ask waits for a yes on standard input, or for Ctrl-C.
func ask(ctx context.Context, e *env, question string) error {
	fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	ch := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(e.stdin).ReadString('\n')
		if line = strings.ToLower(strings.TrimSpace(line)); err != nil && line == "" {
			line = "no answer"
		}
		ch <- line
	}()
	var said string
	select {
	case <-ctx.Done():
		fmt.Fprintln(e.stderr)
		return ctx.Err()
	case said = <-ch:
	}
	if !isTerminal(e.stdin) { // which ends the line itself
		fmt.Fprintln(e.stderr)
	}
	if said == "y" || said == "yes" {
		return nil
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "question", Found: cmp.Or(said, "no"), Want: "y or yes", Err: mtkport.ErrRefused, Hint: "nothing was written; --yes answers for scripts"}
}

// events makes JSON lines of progress: see docs/json.md.
type events struct {
	e  *env
	mu sync.Mutex
}

func (v *events) emit(m map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = v.e.printJSONLine(m)
}

// Note implements mtkport.Progress.
func (v *events) Note(text string) { v.emit(map[string]any{"event": "note", "text": text}) }

// Start implements mtkport.Progress.
func (v *events) Start(phase string, total int64) mtkport.Task {
	v.emit(map[string]any{"event": "start", "phase": phase, "total": total})
	now := time.Now()
	return &eventTask{v: v, phase: phase, total: total, begun: now, said: now}
}

type eventTask struct {
	v           *events
	phase       string
	total, done int64
	begun, said time.Time
	mu          sync.Mutex
}

// Add implements mtkport.Task: one line a second at most.
func (t *eventTask) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += n
	if now := time.Now(); now.Sub(t.said) >= time.Second {
		t.said = now
		rate := float64(t.done) / now.Sub(t.begun).Seconds()
		t.v.emit(map[string]any{"event": "progress", "phase": t.phase, "done": t.done, "total": t.total, "bytes_per_second": int64(rate)})
	}
}

// Done implements mtkport.Task.
func (t *eventTask) Done(err error) {
	m := map[string]any{"event": "end", "phase": t.phase, "done": t.done, "total": t.total, "ok": err == nil}
	if err != nil {
		m["error"] = err.Error()
	}
	t.v.emit(m)
}
