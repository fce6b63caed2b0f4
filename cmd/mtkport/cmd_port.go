package main

import (
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port"
	"mtkport/port/plan"
	"mtkport/port/splice"
)

func portCommand() *cli.Command {
	return &cli.Command{
		Name:      "port",
		Usage:     "carry a donor's ROM onto a target's: the main job",
		ArgsUsage: "DONOR",
		Description: "DONOR and TARGET are firmware folders, flashable zips, folders with boot.img and system.img, or single images.\n" +
			"TARGET may be the word phone: the phone on the cable is backed up, the backup is the target, and the bundle is\n" +
			"flashed after you have seen the plan.\n" +
			"The bundle is a folder with boot.img, system.img, the target's scatter file, a manifest, the plan and a repair log.\n" +
			"Identity and boot loader partitions are never in it. It appears whole or not at all.",
		Flags: wireFlags(append(sessionFlags(), []cli.Flag{
			ontoFlag(),
			&cli.StringFlag{Name: "o", Usage: "the `BUNDLE`, a new folder"},
			&cli.StringFlag{Name: "plan", Usage: "carry out an edited plan from `FILE`"},
			&cli.BoolFlag{Name: "anyway", Usage: "port in spite of blockers, if you know better"},
			styleFlag(), rulesFlag(), layoutFlagDef(),
		}...)...),
		Action: runPort,
	}
}

func runPort(c *cli.Context) error {
	job, err := jobOf(c)
	if err != nil {
		return err
	}
	out := c.String("o")
	if job.Target == phoneTarget {
		return portPhone(c, job, out)
	}
	if out == "" {
		return usageError{"port: no output: name a new folder with -o BUNDLE"}
	}
	if job.EditsName = c.String("plan"); job.EditsName != "" {
		if job.Edits, err = readPlan(job.EditsName); err != nil {
			return err
		}
	}
	r, err := port.Run(c.Context, job, out)
	if err != nil {
		return err
	}
	return envOf(c).printPort(r)
}

func readPlan(name string) (*plan.Edits, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return plan.Parse(f, name)
}

func (e *env) printPort(r *port.Result) error {
	if e.json {
		return e.printJSON(r)
	}
	e.printFindings(above(r.Findings, mtkport.Risk))
	e.printCounts(r.Plan)
	t := e.newTable("OUTPUT", "PARTITION", "SIZE", "SHA-256")
	for _, o := range r.Manifest.Outputs {
		t.row(o.Name, o.Partition, num(size(o.Size)), o.SHA256)
	}
	t.print()
	e.printf("read next: %s\n", filepath.Join(r.Bundle, splice.ReportName))
	return nil
}
