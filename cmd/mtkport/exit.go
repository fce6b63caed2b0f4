package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mtkport"
)

// The exit codes. README and the man page document them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3 // a law of the house, or the result does not fit
	exitDamaged     = 4 // the input is damaged, or not what it was taken for
	exitInterrupted = 5 // stopped half way; the same command goes on
)

// usageError is a wrong command line.
type usageError struct{ msg string }

func (u usageError) Error() string { return u.msg }

// codeError carries an exit code with nothing more to print, for commands whose
// report has said it all (`--fail-on`).
type codeError int

func (c codeError) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func codeOf(err error) int {
	var u usageError
	var c codeError
	var ofCLI cli.ExitCoder // `help NOPE`
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return int(c)
	case errors.As(err, &u), errors.As(err, &ofCLI):
		return exitUsage
	case errors.Is(err, context.Canceled), errors.Is(err, mtkport.ErrInterrupted):
		return exitInterrupted
	case errors.Is(err, mtkport.ErrRefused), errors.Is(err, mtkport.ErrTooBig):
		return exitRefused
	case errors.Is(err, mtkport.ErrDamaged), errors.Is(err, mtkport.ErrFormat):
		return exitDamaged
	}
	return exitFailed
}

// report prints an error with its hint and returns the exit code.
func (e *env) report(err error) int {
	code := codeOf(err)
	var silent codeError
	if err == nil || errors.As(err, &silent) {
		return code
	}
	text := strings.TrimSpace(err.Error())
	if errors.Is(err, context.Canceled) {
		text = "interrupted; nothing half-written is left"
	}
	if errors.Is(err, mtkport.ErrInterrupted) {
		text = strings.TrimSpace(err.Error())
	}
	fmt.Fprintf(e.stderr, "mtkport: error: %s\n", text)
	hint := mtkport.HintOf(err)
	if hint == "" && code == exitUsage {
		hint = "`mtkport help` lists the commands, `mtkport COMMAND --help` explains one"
	}
	if hint != "" {
		fmt.Fprintf(e.stderr, "mtkport: hint: %s\n", hint)
	}
	return code
}
