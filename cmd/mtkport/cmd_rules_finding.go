package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/port/compare"
	"mtkport/port/inspect"
)

// findingCodes is one table of what compare and inspect can find, sorted.
func findingCodes() []compare.Code {
	all := compare.Codes()
	for _, c := range inspect.Codes() {
		all = append(all, compare.Code{Code: c.Code, Severity: mtkport.Risk, Text: c.Text, Symptom: c.Symptom, Fix: c.Fix})
	}
	slices.SortFunc(all, func(a, b compare.Code) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

func rulesFinding(c *cli.Context) error {
	all := findingCodes()
	if c.NArg() > 0 {
		var some []compare.Code
		for _, name := range c.Args().Slice() {
			i := slices.IndexFunc(all, func(k compare.Code) bool { return k.Code == name })
			if i < 0 {
				return usageError{fmt.Sprintf("rules finding: %q is no code of a finding: `mtkport rules finding` lists them", name)}
			}
			some = append(some, all[i])
		}
		all = some
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(all)
	}
	if c.NArg() == 0 {
		t := e.newTable("CODE", "SEVERITY", "MEANS")
		for _, k := range all {
			t.row(k.Code, k.Severity.String(), k.Text)
		}
		t.print()
		return nil
	}
	t := e.newTable()
	for _, k := range all {
		for _, f := range [][2]string{{"code", k.Code}, {"severity", k.Severity.String()}, {"means", k.Text}, {"symptom", k.Symptom}, {"what to do", k.Fix}} {
			if f[1] != "" {
				t.row(cell{text: f[0], style: bold}, f[1])
			}
		}
	}
	t.print()
	return nil
}
