package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves flags before arguments, because urfave/cli v2 stops reading
// flags at the first argument. Global flags may stand anywhere. Everything
// after "--" is an argument.
func permute(app *cli.App, argv []string) ([]string, error) {
	if len(argv) == 0 || slices.Contains(argv, "--generate-bash-completion") {
		return argv, nil
	}
	p := permuter{global: app.Flags, commands: app.Commands}
	if err := p.read(argv[1:]); err != nil {
		return nil, err
	}
	return p.line(argv[0]), nil
}

type permuter struct {
	global   []cli.Flag
	commands []*cli.Command // reachable from here
	local    []cli.Flag     // flags of the command found so far

	globals, path, locals, args []string
	settled                     bool // an argument was seen: no more command names
	verbatim                    bool // some argument looks like a flag
}

func (p *permuter) read(argv []string) error {
	for i := 0; i < len(argv); i++ {
		a := argv[i]
		switch {
		case a == "--":
			for _, rest := range argv[i+1:] {
				p.argument(rest)
			}
			return nil
		case a == stdinName || !strings.HasPrefix(a, "-"):
			p.word(a)
		default:
			n, err := p.flag(argv[i:])
			if err != nil {
				return err
			}
			i += n - 1
		}
	}
	return nil
}

func (p *permuter) word(a string) {
	if !p.settled {
		for _, c := range p.commands {
			if c.HasName(a) {
				p.path = append(p.path, a)
				p.commands, p.local = c.Subcommands, append(p.local, c.Flags...)
				return
			}
		}
		if a == "help" || a == "h" {
			p.path = append(p.path, a)
			p.settled = true
			return
		}
	}
	p.argument(a)
}

func (p *permuter) argument(a string) {
	p.settled = true
	p.verbatim = p.verbatim || (strings.HasPrefix(a, "-") && a != stdinName)
	p.args = append(p.args, a)
}

// flag places the flag at rest[0] and says how many words it took.
func (p *permuter) flag(rest []string) (int, error) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(rest[0], "-"), "=")
	if name == "help" || name == "h" {
		p.locals = append(p.locals, rest[0])
		return 1, nil
	}
	list, f := &p.locals, findFlag(p.local, name)
	if f == nil {
		list, f = &p.globals, findFlag(p.global, name)
	}
	if f == nil { // let urfave/cli complain, with its own words
		p.locals = append(p.locals, rest[0])
		return 1, nil
	}
	*list = append(*list, rest[0])
	if d, ok := f.(cli.DocGenerationFlag); !ok || !d.TakesValue() || hasValue {
		return 1, nil
	}
	if len(rest) < 2 {
		return 0, usageError{fmt.Sprintf("flag %s needs a value", rest[0])}
	}
	*list = append(*list, rest[1])
	return 2, nil
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func (p *permuter) line(prog string) []string {
	out := append([]string{prog}, p.globals...)
	out = append(out, p.path...)
	out = append(out, p.locals...)
	if p.verbatim {
		out = append(out, "--")
	}
	return append(out, p.args...)
}
