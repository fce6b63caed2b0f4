package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport/port"
	"mtkport/port/flash"
	"mtkport/port/splice"
)

// phoneTarget is the target that is no path: the phone on the cable.
const phoneTarget = "phone"

// portPhone backs the phone up, ports onto the backup and flashes the bundle.
// Each part finds what an earlier run left, so the same command goes on.
func portPhone(c *cli.Context, job port.Job, out string) error {
	args, err := arity(c, "DONOR")
	if err != nil {
		return err
	}
	cfg, done, err := wire(c, "")
	if err != nil {
		return err
	}
	defer done()
	e := envOf(c)
	if e.json {
		cfg.Progress, job.Progress = &events{e: e}, nil
	}
	l, err := layoutFlag(c)
	if err != nil {
		return err
	}
	var k *flash.Backup
	if job.Target, k, err = flash.SaveROM(c.Context, cfg, c.String("backup"), flash.BackupOptions{Layout: l}); err != nil {
		return err
	}
	e.notef("the phone's own ROM is in %s (%d partitions)", job.Target, len(k.Items))
	if out == "" {
		base := strings.TrimSuffix(filepath.Base(filepath.Clean(args[0])), ".zip")
		out = filepath.Join(filepath.Dir(job.Target), "bundle-"+base)
	}
	if err := ported(c, job, out); err != nil {
		return err
	}
	s, err := flash.OpenFolder(out, flash.SetOptions{})
	if err != nil {
		return err
	}
	defer s.Close()
	res, err := flash.Write(c.Context, cfg, s, sessionOptions(c))
	return flashed(e, res, err)
}

// ported makes the bundle unless an earlier run did.
func ported(c *cli.Context, job port.Job, out string) error {
	e := envOf(c)
	if _, err := os.Stat(filepath.Join(out, splice.ManifestName)); err == nil {
		e.notef("using the bundle in %s", out)
		return nil
	}
	if name := c.String("plan"); name != "" {
		job.EditsName = name
		var err error
		if job.Edits, err = readPlan(name); err != nil {
			return err
		}
	}
	r, err := port.Run(c.Context, job, out)
	if err != nil || e.json {
		return err
	}
	return e.printPort(r)
}
