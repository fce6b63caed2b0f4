package main

import (
	"embed"
	"strings"

	"github.com/urfave/cli/v2"
)

//go:embed completion
var completionFS embed.FS

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script for bash, zsh or fish",
		ArgsUsage: "bash|zsh|fish",
		Description: "bash: `source <(mtkport completion bash)` in ~/.bashrc\n" +
			"zsh:  `source <(mtkport completion zsh)` in ~/.zshrc\n" +
			"fish: `mtkport completion fish > ~/.config/fish/completions/mtkport.fish`",
		Action: showCompletion,
	}
}

func showCompletion(c *cli.Context) error {
	args, err := arity(c, "bash|zsh|fish")
	if err != nil {
		return err
	}
	e := envOf(c)
	switch args[0] {
	case "bash", "zsh":
		b, err := completionFS.ReadFile("completion/mtkport." + args[0])
		if err != nil {
			return err
		}
		e.printf("%s", b)
	case "fish":
		s, err := c.App.ToFishCompletion()
		if err != nil {
			return err
		}
		e.printf("%s", s)
	default:
		return usageError{"shell " + strings.TrimSpace(args[0]) + ": want bash, zsh or fish"}
	}
	return nil
}

func manCommand() *cli.Command {
	return &cli.Command{
		Name:        "man",
		Usage:       "print the manual page (troff)",
		Description: "`mtkport man | man -l -` shows it; `mtkport man > /usr/share/man/man1/mtkport.1` installs it.",
		Action: func(c *cli.Context) error {
			if _, err := arity(c); err != nil {
				return err
			}
			s, err := c.App.ToMan()
			if err != nil {
				return err
			}
			envOf(c).printf("%s", s+manExitCodes)
			return nil
		},
	}
}

const manExitCodes = `
.SH EXIT STATUS
.TP
0
done
.TP
1
failed
.TP
2
wrong command line
.TP
3
refused: identity, storage or boot loader would be harmed, or the result does not fit
.TP
4
the input is damaged, or not what it was taken for
.TP
5
interrupted; the same command goes on
.SH ENVIRONMENT
.TP
NO_COLOR
no colour
`
