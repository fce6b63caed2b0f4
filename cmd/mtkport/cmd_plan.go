package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port"
	"mtkport/port/plan"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "decide where each path of a port comes from, as a file that you read and edit",
		ArgsUsage: "DONOR",
		Description: "DONOR and TARGET are firmware folders, flashable zips, folders with boot.img and system.img, or single images.\n" +
			"Edit the file, then give it to `mtkport port … --plan plan.yaml`. Nothing else is written.",
		Flags: []cli.Flag{
			ontoFlag(),
			&cli.StringFlag{Name: "o", Usage: "write the plan to `FILE` (default: standard output)"},
			styleFlag(), rulesFlag(),
		},
		Action: runPlan,
	}
}

func ontoFlag() cli.Flag {
	return &cli.StringFlag{Name: "onto", Usage: "the target: this phone's own ROM, in `TARGET`"}
}

// jobOf reads what plan and port have in common.
func jobOf(c *cli.Context) (port.Job, error) {
	if c.String("onto") == "" && c.NArg() > 0 {
		return port.Job{}, usageError{fullName(c) + ": no target: name this phone's own ROM with --onto TARGET"}
	}
	args, err := arity(c, "DONOR --onto TARGET")
	if err != nil {
		return port.Job{}, err
	}
	job := port.Job{Donor: args[0], Target: c.String("onto"), Progress: envOf(c).roomProgress(), Anyway: c.Bool("anyway")}
	if job.Rules, err = rulesOf(c); err != nil {
		return job, err
	}
	if c.IsSet("style") {
		job.Style, err = styleOf(c)
	}
	return job, err
}

// planSummary is the --json form of a plan.
type planSummary struct {
	*plan.Plan
	Findings []mtkport.Finding `json:"findings"`
	Equal    int               `json:"equal"`
}

func runPlan(c *cli.Context) error {
	job, err := jobOf(c)
	if err != nil {
		return err
	}
	p, err := port.Prepare(c.Context, job)
	if err != nil {
		return err
	}
	defer p.Close()
	e := envOf(c)
	if name := c.String("o"); name != "" && name != stdinName {
		if err := mtkport.WriteFile(name, 0o644, func(w io.Writer) error { _, err := p.Plan.WriteTo(w); return err }); err != nil {
			return err
		}
		if e.json {
			return e.printJSON(planSummary{p.Plan, p.Findings, p.Plan.Equal()})
		}
		e.printFindings(above(p.Findings, mtkport.Risk))
		e.printCounts(p.Plan)
		e.notef("%s holds every decision; edit it and give it back with --plan", name)
		return nil
	}
	if e.json {
		return e.printJSON(planSummary{p.Plan, p.Findings, p.Plan.Equal()})
	}
	_, err = p.Plan.WriteTo(e.stdout)
	return err
}

// above keeps the findings of a weight or more.
func above(fs []mtkport.Finding, least mtkport.Severity) []mtkport.Finding {
	var out []mtkport.Finding
	for _, f := range fs {
		if f.Severity >= least {
			out = append(out, f)
		}
	}
	return out
}

func (e *env) printCounts(p *plan.Plan) {
	t := e.newTable("PATHS", "FROM")
	t.row(p.Count(plan.Target), "the target")
	t.row(p.Count(plan.Donor), "the donor")
	t.row(p.Count(plan.Merge), "both, merged")
	t.row(p.Count(plan.Drop), "neither, left out")
	t.row(p.Equal(), "either: the same on both sides")
	t.print()
}
