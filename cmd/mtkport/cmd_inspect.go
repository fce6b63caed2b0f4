package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port/inspect"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "what is this? any file or folder, claimed beside real",
		ArgsUsage: "PATH…",
		Description: "A file is told by its bytes, never by its name. Of a ROM (a folder, a package, a boot or system image) every\n" +
			"question gets what the ROM claims, what it is, and where both were read. The exit code is 4 when something\n" +
			"is not known or damaged.",
		Action: inspectPaths,
	}
}

func inspectPaths(c *cli.Context) error {
	if c.NArg() == 0 {
		return usageError{"inspect: 0 arguments given, want PATH…"}
	}
	e := envOf(c)
	reports := []*inspect.Report{}
	var failed []error
	for _, name := range c.Args().Slice() {
		r, err := inspect.Path(c.Context, name)
		if errors.Is(err, context.Canceled) {
			return err
		}
		if err != nil {
			failed = append(failed, err)
		}
		if r == nil {
			continue
		}
		reports = append(reports, r)
		if r.Is == inspect.Unknown && err == nil {
			failed = append(failed, unknownKind(r))
		}
		if !e.json {
			printInspected(e, r, len(reports) > 1)
		}
	}
	if e.json {
		if err := e.printJSON(reports); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func unknownKind(r *inspect.Report) error {
	x := &mtkport.Error{File: r.Path, Off: mtkport.NoOffset, Found: r.What, Want: "firmware of a phone", Err: mtkport.ErrFormat}
	if len(r.Facts) > 0 {
		x.Found += ", " + r.Facts[0].Name + " " + clean(r.Facts[0].Value)
	}
	return x
}

// printInspected prints one block for a path.
func printInspected(e *env, r *inspect.Report, again bool) {
	if again {
		e.printf("\n")
	}
	e.printf("%s: %s", clean(r.Path), e.paint(bold, clean(r.What)))
	if r.Size > 0 {
		e.printf(", %s", size(r.Size))
	}
	e.printf("\n")
	t := e.newTable()
	for _, f := range r.Facts {
		at := ""
		if f.Off != nil {
			at = "  at " + hex(*f.Off)
		}
		t.row("  "+f.Name, f.Value+at)
	}
	t.print()
	printClaims(e, r.Claims)
	e.printFindings(r.Findings)
}

func printClaims(e *env, claims []inspect.Claim) {
	if len(claims) == 0 {
		return
	}
	e.printf("\n")
	t := e.newTable("QUESTION", "CLAIMED", "REAL", "AGREE", "EVIDENCE")
	for _, c := range claims {
		s := style("")
		if c.Agree == inspect.No {
			s = red
		}
		t.row(c.Question, orDash(c.Claimed), cell{text: orDash(c.Real), style: s}, cell{text: string(c.Agree), style: s}, evidenceShort(c.Evidence))
	}
	t.print()
}

// evidenceShort names where the answer was read; --json has the values.
func evidenceShort(list []mtkport.Evidence) string {
	var out string
	for i, v := range list {
		if i > 0 && v.File == list[i-1].File {
			continue
		}
		if len(out) > 60 {
			return fmt.Sprintf("%s, …", out)
		}
		if out != "" {
			out += ", "
		}
		out += v.File
	}
	return out
}
