package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port/compare"
	"mtkport/port/rom"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "what of a donor's ROM will not work on the target, and what proves it",
		ArgsUsage: "DONOR TARGET",
		Description: "DONOR and TARGET are firmware folders, flashable zips, folders with boot.img and system.img, or single images.\n" +
			"The verdict comes first, in one line; then each difference with its evidence, what you would see, and what to do.\n" +
			"Nothing is written. The exit code is 0 whatever is found, unless --fail-on says otherwise.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "fail-on", Usage: "exit with 1 when there is a finding of `WEIGHT` (blocker, risk or note) or heavier"},
			styleFlag(), rulesFlag(),
		},
		Action: runCompare,
	}
}

func runCompare(c *cli.Context) error {
	args, err := arity(c, "DONOR", "TARGET")
	if err != nil {
		return err
	}
	fail := mtkport.Severity(-1)
	if v := c.String("fail-on"); v != "" && fail.UnmarshalText([]byte(v)) != nil {
		return usageError{fmt.Sprintf("compare: --fail-on %q: want blocker, risk or note", v)}
	}
	opt := compare.Options{Progress: envOf(c).roomProgress()}
	if opt.Style, err = styleOf(c); err != nil {
		return err
	}
	if opt.Rules, err = rulesOf(c); err != nil {
		return err
	}
	r, err := compareROMs(c, args[0], args[1], opt)
	if err != nil {
		return err
	}
	if err := envOf(c).printReport(r); err != nil {
		return err
	}
	if fail >= 0 && len(above(r.Findings, fail)) > 0 {
		return codeError(exitFailed)
	}
	return nil
}

func compareROMs(c *cli.Context, donor, target string, opt compare.Options) (*compare.Report, error) {
	d, err := rom.Open(c.Context, donor)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	t, err := rom.Open(c.Context, target)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return compare.Compare(c.Context, d, t, opt)
}

func (e *env) printReport(r *compare.Report) error {
	if e.json {
		return e.printJSON(r)
	}
	e.printf("%s\n\n", e.paint(bold, r.Verdict))
	t := e.newTable("", "DONOR", "TARGET")
	for _, row := range []struct{ name, d, t string }{
		{"model", r.Donor.Model, r.Target.Model}, {"board", r.Donor.Board, r.Target.Board}, {"chip", r.Donor.Chip, r.Target.Chip},
		{"storage", r.Donor.Storage, r.Target.Storage}, {"android", r.Donor.Android, r.Target.Android},
		{"branch", r.Donor.Branch, r.Target.Branch}, {"kernel", r.Donor.Kernel, r.Target.Kernel},
		{"panels", joined(r.Donor.Panels), joined(r.Target.Panels)}, {"cameras", joined(r.Donor.Cameras), joined(r.Target.Cameras)},
		{"touch", joined(r.Donor.Touch), joined(r.Target.Touch)}, {"sensors", joined(r.Donor.Sensors), joined(r.Target.Sensors)},
		{"files", fmt.Sprint(r.Donor.Files), fmt.Sprint(r.Target.Files)},
	} {
		t.row(row.name, cmp.Or(row.d, "?"), cmp.Or(row.t, "?"))
	}
	t.print()
	e.printf("\n%d paths on both sides: %d identical, %d differ, %d not read\n\n", r.Paths.Shared, r.Paths.Identical, r.Paths.Differ, r.Paths.Unread)
	e.printFindings(forPeople(r.Findings))
	return nil
}

// maxEvidence is how many lines of evidence people get; --json has all.
const maxEvidence = 8

// forPeople shortens the evidence: of a file that only the target has, the
// target's line says it.
func forPeople(fs []mtkport.Finding) []mtkport.Finding {
	out := slices.Clone(fs)
	for i, f := range out {
		var ev []mtkport.Evidence
		gone := false
		for _, v := range f.Evidence {
			if gone {
				v.Value += "; the donor has none"
			}
			if gone = v.Value == compare.Absent; !gone {
				ev = append(ev, v)
			}
		}
		if n := len(ev); n > maxEvidence+1 {
			ev = append(ev[:maxEvidence:maxEvidence], mtkport.Evidence{Value: fmt.Sprintf("and %d more lines, see --json", n-maxEvidence)})
		}
		out[i].Evidence = ev
	}
	return out
}

// joined keeps a table's line short.
func joined(s []string) string {
	if len(s) > 3 {
		return strings.Join(s[:3], " ") + fmt.Sprintf(" and %d more", len(s)-3)
	}
	return strings.Join(s, " ")
}
