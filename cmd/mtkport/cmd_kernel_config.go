package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
	"mtkport/bootimg/kernel"
)

func kernelConfigCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "config", Usage: "the kernel's options: embedded, or inferred with the evidence", ArgsUsage: "FILE", Action: kernelConfig,
			Description: "An embedded configuration is printed as it is. Where there is none (stock MT6572 kernels), options are inferred\n" +
				"from symbols, strings and parameters; what nothing shows is left out.",
		},
		{
			Name: "diff", Usage: "options that differ, by what they mean to a phone", ArgsUsage: "A B", Action: kernelDiff,
			Description: "A side is a kernel, a .config or a ProjectConfig.mk. An inferred side is compared where it knows something.",
			Flags:       []cli.Flag{&cli.BoolFlag{Name: "plain", Usage: "as scripts/diffconfig of Linux prints it"}},
		},
	}
}

// configJSON is the JSON of kernel config.
type configJSON struct {
	Source  kernel.ConfigSource `json:"source"`
	Options []kernel.Option     `json:"options"`
}

func kernelConfig(c *cli.Context) error {
	args, err := arity(c, "FILE")
	if err != nil {
		return err
	}
	k, _, err := openKernel(args[0])
	if err != nil {
		return err
	}
	cfg, e := k.Config(), envOf(c)
	if e.json {
		return e.printJSON(configJSON{cfg.Source, cfg.Options})
	}
	if cfg.Source == kernel.Embedded {
		_, err := e.stdout.Write(cfg.Text)
		return err
	}
	e.notef("%s carries no configuration: %d options are inferred", args[0], len(cfg.Options))
	for _, o := range cfg.Options {
		line := o.Name + "=" + o.Value
		if o.Value == "n" {
			line = "# " + o.Name + " is not set"
		}
		e.printf("%s\n", clean(fmt.Sprintf("%-48s # inferred: %s", line, o.Evidence[0].Value)))
	}
	return nil
}

// openConfig takes a kernel's options, or a file of options.
func openConfig(name string) (*kernel.Config, error) {
	k, _, err := openKernel(name)
	if err == nil {
		return k.Config(), nil
	}
	if !errors.Is(err, mtkport.ErrFormat) {
		return nil, err
	}
	b, err := readBounded(name, 4<<20)
	if err != nil {
		return nil, err
	}
	cfg, err := kernel.ParseConfig(strings.NewReader(string(b)))
	var bad *mtkport.Error
	if errors.As(err, &bad) {
		bad.Want = "a kernel, a .config or a ProjectConfig.mk"
	}
	return cfg, mtkport.InFile(err, name)
}

// configDiffJSON is the JSON of kernel diff.
type configDiffJSON struct {
	A        string               `json:"a"`
	B        string               `json:"b"`
	SourceA  kernel.ConfigSource  `json:"a_source"`
	SourceB  kernel.ConfigSource  `json:"b_source"`
	Compared int                  `json:"compared"`
	Groups   []kernel.ConfigGroup `json:"groups"`
}

func kernelDiff(c *cli.Context) error {
	args, err := arity(c, "A", "B")
	if err != nil {
		return err
	}
	a, err := openConfig(args[0])
	if err != nil {
		return err
	}
	b, err := openConfig(args[1])
	if err != nil {
		return err
	}
	e := envOf(c)
	if (a.Source == kernel.ProjectConfig) != (b.Source == kernel.ProjectConfig) {
		e.notef("one side is a ProjectConfig.mk and the other a kernel's configuration: they share few names")
	}
	d := kernel.DiffConfig(a, b)
	switch {
	case e.json:
		return e.printJSON(configDiffJSON{args[0], args[1], d.A, d.B, d.Compared, noNils(d.Groups)})
	case c.Bool("plain"):
		return d.WriteDiffconfig(e.stdout)
	}
	printConfigDiff(e, d)
	return nil
}

// noNils makes empty lists show as such in JSON.
func noNils(groups []kernel.ConfigGroup) []kernel.ConfigGroup {
	out := []kernel.ConfigGroup{}
	for _, g := range groups {
		for _, list := range []*[]kernel.Change{&g.Added, &g.Removed, &g.Changed} {
			if *list == nil {
				*list = []kernel.Change{}
			}
		}
		out = append(out, g)
	}
	return out
}

func printConfigDiff(e *env, d *kernel.ConfigDiff) {
	e.printf("compared %d options (%s, %s)\n", d.Compared, d.A, d.B)
	if len(d.Groups) == 0 {
		e.printf("no difference\n")
	}
	for _, g := range d.Groups {
		head := e.paint(bold, g.Name)
		if g.Means != "" {
			head += ": " + g.Means
		}
		e.printf("\n%s\n", head)
		t := e.newTable()
		for _, c := range g.Removed {
			t.row("  -", c.Name, c.A, "")
		}
		for _, c := range g.Changed {
			t.row("  *", c.Name, c.A, "-> "+c.B)
		}
		for _, c := range g.Added {
			t.row("  +", c.Name, "", c.B)
		}
		t.print()
	}
}
