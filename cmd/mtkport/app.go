package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

// env is what every command gets: the streams and how to speak. It lives in
// the app's Metadata; commands take it with envOf.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool // --json: machine-readable output on stdout
	quiet          bool // no progress, no notes
	verbose        bool
	color          bool // stdout is a terminal and nothing forbids colour
	width          int  // columns of the terminal, 80 where unknown
	progress       *progress
}

func envOf(c *cli.Context) *env { return c.App.Metadata["env"].(*env) }

// run is the whole program; it returns the exit code.
func run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	app := newApp(e)
	args, err := permute(app, argv)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	e.progress.close()
	return e.report(err)
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "print results as JSON"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress and no notes"},
		&cli.BoolFlag{Name: "verbose", Usage: "say more"},
		&cli.BoolFlag{Name: "no-color", Usage: "no colour (also NO_COLOR)"},
	}
}

func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:                 "mtkport",
		Usage:                "carry a ROM from one MediaTek MT6572 phone to another",
		UsageText:            "mtkport [--json] [--quiet] COMMAND INPUT… [-o OUTPUT] [flags]",
		Version:              version,
		HideVersion:          true, // `mtkport version` says more
		Commands:             commands(),
		Flags:                globalFlags(),
		Metadata:             map[string]any{"env": e},
		Reader:               e.stdin,
		Writer:               e.stdout,
		ErrWriter:            e.stderr,
		EnableBashCompletion: true,
		Suggest:              true,
		Action:               welcome,
		Before:               e.setUp,
		ExitErrHandler:       func(*cli.Context, error) {}, // exit codes are ours
		OnUsageError:         onUsageError,
	}
	for _, c := range app.Commands {
		finish(c)
	}
	return app
}

// finish gives every command what urfave/cli would otherwise do its own way.
func finish(c *cli.Command) {
	c.OnUsageError = onUsageError
	if len(c.Subcommands) > 0 && c.Action == nil {
		c.Action = group
	}
	for _, s := range c.Subcommands {
		finish(s)
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usageError{err.Error()} }

// group answers a noun without a verb, or with an unknown one.
func group(c *cli.Context) error {
	if c.NArg() > 0 {
		return unknownCommand(c, fullName(c)+" "+c.Args().First())
	}
	return cli.ShowSubcommandHelp(c)
}

func unknownCommand(c *cli.Context, what string) error {
	msg := fmt.Sprintf("no command %q", what)
	known := c.Command.Subcommands
	if len(known) == 0 {
		known = c.App.Commands
	}
	if near := cli.SuggestCommand(known, c.Args().First()); near != "" {
		msg += ". " + near // already a sentence: Did you mean "…"?
	}
	return usageError{msg}
}

func (e *env) setUp(c *cli.Context) error {
	e.json = c.Bool("json")
	e.quiet = c.Bool("quiet")
	e.verbose = c.Bool("verbose")
	e.color = colorOn(e.stdout, c.Bool("no-color"))
	e.width = termWidth(e.stdout)
	e.progress = newProgress(e)
	return nil
}

// welcome is `mtkport` alone: the three commands most people came for.
func welcome(c *cli.Context) error {
	if c.NArg() > 0 {
		return unknownCommand(c, c.Args().First())
	}
	e := envOf(c)
	fmt.Fprint(e.stdout, `mtkport carries a ROM from one MediaTek MT6572 phone to another.

  mtkport inspect FILE…                          what is this file?
  mtkport port DONOR --onto TARGET -o BUNDLE     port a ROM onto a phone's own
  mtkport demo                                   watch the whole story, no phone needed

`+"`mtkport help` lists every command, `mtkport COMMAND --help` explains one.\n")
	return nil
}

// stdinName is the argument that stands for standard input or output.
const stdinName = "-"

// openInput opens a file for random access. Close it. A pipe is refused before
// it is opened: nobody may be at its other end, and it cannot be read twice.
func openInput(name string) (*os.File, int64, error) {
	st, err := os.Stat(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			pe.Op = "open" // which is what the user asked for
		}
		return nil, 0, err
	}
	switch mode := st.Mode(); {
	case mode.IsDir():
		return nil, 0, fmt.Errorf("%s: is a folder, want a file", name)
	case mode&(os.ModeNamedPipe|os.ModeSocket|os.ModeCharDevice) != 0:
		return nil, 0, fmt.Errorf("%s: is a pipe, a socket or a terminal, want a file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Seek(0, io.SeekEnd) // also right for block devices
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// arity checks the number of arguments; names are shown as the usage.
func arity(c *cli.Context, names ...string) ([]string, error) {
	if c.NArg() == len(names) {
		return c.Args().Slice(), nil
	}
	want := ""
	for _, n := range names {
		want += " " + n
	}
	return nil, usageError{fmt.Sprintf("%s: %s given, want%s", fullName(c), count(c.NArg(), "argument"), orNone(want))}
}

// fullName is the command as it was typed: `scatter show`, not `show`.
func fullName(c *cli.Context) string {
	return strings.TrimPrefix(c.Command.HelpName, c.App.Name+" ")
}

func orNone(s string) string {
	if s == "" {
		return " none"
	}
	return s
}
