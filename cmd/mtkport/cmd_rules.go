package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport/port/plan"
)

func rulesCommand() *cli.Command {
	return &cli.Command{
		Name:  "rules",
		Usage: "the table that says where each path of a port comes from",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "every rule, in the order in which they are tried",
				Flags: []cli.Flag{rulesFlag()}, Action: rulesList,
			},
			{
				Name: "show", Usage: "one rule with its reason, symptom and source", ArgsUsage: "ID",
				Flags: []cli.Flag{rulesFlag()}, Action: rulesShow,
			},
			{
				Name: "explain", Usage: "what the rules say of some paths", ArgsUsage: "[PATH…]",
				Description: "Paths are system/… or those of a ramdisk (init.rc, sbin/adbd), with or without a leading / or ./.\n" +
					"--paths reads a list, one path a line; - is standard input. With --json one object a line is printed.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "paths", Usage: "read paths from `FILE`, one a line (- for standard input)"},
					styleFlag(), rulesFlag(),
				},
				Action: rulesExplain,
			},
			{
				Name: "finding", Usage: "what the codes of findings mean: of compare and of inspect", ArgsUsage: "[CODE…]",
				Description: "Without a code, every code with its severity. With codes: the symptom that a user would see, and what to do.",
				Action:      rulesFinding,
			},
		},
	}
}

func rulesFlag() cli.Flag {
	return &cli.StringFlag{Name: "rules", Usage: "your own rules from `FILE`, before the embedded ones; an entry with a known id replaces it"}
}

func styleFlag() cli.Flag {
	return &cli.StringFlag{Name: "style", Value: string(plan.Drivers), Usage: "drivers (the target's drivers into the donor's system) or look (the donor's look into the target's system)"}
}

// rulesOf is the rule table that the command line asks for.
func rulesOf(c *cli.Context) (*plan.Rules, error) {
	r, err := plan.Default()
	if err != nil || c.String("rules") == "" {
		return r, err
	}
	f, err := os.Open(c.String("rules"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return r.Override(f, c.String("rules"))
}

func styleOf(c *cli.Context) (plan.Style, error) {
	s, err := plan.ParseStyle(c.String("style"))
	if err != nil {
		return "", usageError{err.Error()}
	}
	return s, nil
}

func rulesList(c *cli.Context) error {
	if _, err := arity(c); err != nil {
		return err
	}
	r, err := rulesOf(c)
	if err != nil {
		return err
	}
	e := envOf(c)
	if e.json {
		return e.printJSON(struct {
			Rules []*plan.Rule     `json:"rules"`
			Props []*plan.PropRule `json:"props"`
		}{r.Rules, r.Props})
	}
	t := e.newTable("RULE", "KIND", "GROUP", "DRIVERS", "LOOK", "SURE", "EXAMPLE")
	for _, x := range r.Rules {
		t.row(x.ID, x.Kind, x.Group, string(x.Drivers), string(x.Look), x.Confidence, x.Example)
	}
	for _, x := range r.Props {
		t.row(x.ID, "build.prop", "", string(x.Drivers), string(x.Look), "", x.Keys[0])
	}
	t.print()
	return nil
}

func rulesShow(c *cli.Context) error {
	args, err := arity(c, "ID")
	if err != nil {
		return err
	}
	r, err := rulesOf(c)
	if err != nil {
		return err
	}
	rule, prop, err := r.ByID(args[0])
	if err != nil {
		return err
	}
	e := envOf(c)
	if e.json {
		if prop != nil {
			return e.printJSON(prop)
		}
		return e.printJSON(rule)
	}
	t := e.newTable()
	field := func(name string, vals ...string) {
		for i, v := range vals {
			if i > 0 {
				name = ""
			}
			if v != "" {
				t.row(cell{text: name, style: bold}, v)
			}
		}
	}
	if prop != nil {
		field("rule", prop.ID)
		field("keys", prop.Keys...)
		field("drivers style", string(prop.Drivers))
		field("look style", string(prop.Look))
		field("why", prop.Why)
	} else {
		field("rule", rule.ID)
		field("about", rule.Kind)
		field("group", rule.Group)
		field("paths", rule.Paths...)
		field("but not", rule.Except...)
		field("drivers style", string(rule.Drivers))
		field("look style", string(rule.Look))
		field("merged by", rule.Merge)
		field("why", rule.Why)
		field("otherwise", rule.Symptom)
		field("confidence", rule.Confidence)
		field("known from", rule.Source)
		field("example", rule.Example)
	}
	t.print()
	return nil
}

// Longer lines than this are not paths.
const maxPathLine = 64 << 10

func rulesExplain(c *cli.Context) error {
	r, err := rulesOf(c)
	if err != nil {
		return err
	}
	style, err := styleOf(c)
	if err != nil {
		return err
	}
	e := envOf(c)
	show, done := e.explainTo()
	for _, p := range c.Args().Slice() {
		if err := show(r.Explain(p, style)); err != nil {
			return err
		}
	}
	switch name := c.String("paths"); {
	case name == "" && c.NArg() == 0:
		return usageError{"rules explain: no paths: name some, or give a list with --paths FILE"}
	case name != "":
		if err := eachLine(e, name, func(p string) error { return show(r.Explain(p, style)) }); err != nil {
			return err
		}
	}
	done()
	return nil
}

// explainTo returns what shows one explanation, and what ends the list.
func (e *env) explainTo() (show func(plan.Explanation) error, done func()) {
	if e.json {
		w := bufio.NewWriter(e.stdout)
		buffered := *e
		buffered.stdout = w
		return func(x plan.Explanation) error { return buffered.printJSONLine(x) }, func() { _ = w.Flush() }
	}
	t := e.newTable("PATH", "TAKE", "RULE", "WHY")
	return func(x plan.Explanation) error {
		why := x.Why
		if x.Symptom != "" {
			why += "; otherwise: " + x.Symptom
		}
		t.row(x.Path, cell{text: string(x.Take), style: takeStyle(x.Take)}, x.Rule, why)
		return nil
	}, t.print
}

func takeStyle(t plan.Take) style {
	switch t.Side() {
	case plan.Target:
		return cyan
	case plan.Merge:
		return yellow
	case plan.Drop:
		return red
	}
	return green
}

// eachLine calls fn for each line of a file that is not empty.
func eachLine(e *env, name string, fn func(string) error) error {
	var src io.Reader = e.stdin
	if name != stdinName {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		src = f
	}
	s := bufio.NewScanner(src)
	s.Buffer(nil, maxPathLine)
	for s.Scan() {
		if p := strings.TrimSuffix(s.Text(), "\r"); strings.TrimSpace(p) != "" {
			if err := fn(p); err != nil {
				return err
			}
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
