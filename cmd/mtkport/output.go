package main

import (
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"mtkport"
)

// outFlag is -o, which every writing command demands; what says where it writes.
func outFlag(what string) cli.Flag {
	return &cli.StringFlag{Name: "o", Aliases: []string{"output"}, Usage: what}
}

// output takes -o.
func output(c *cli.Context) (string, error) {
	if out := c.String("o"); out != "" {
		return out, nil
	}
	return "", usageError{fullName(c) + ": no output given, want -o NAME"}
}

// inOut takes the only argument, called name in messages, and -o.
func inOut(c *cli.Context, name string) (in, out string, err error) {
	args, err := arity(c, name)
	if err != nil {
		return "", "", err
	}
	out, err = output(c)
	return args[0], out, err
}

// newFolder makes a folder that is there with all that fill puts into it, or
// not at all.
func newFolder(name string, fill func(root *os.Root) error) error {
	d, err := mtkport.CreateDir(name)
	if err != nil {
		return err
	}
	defer d.Abort()
	if err := fill(d.Root); err != nil {
		return err
	}
	return d.Commit()
}

// writeOut writes a file whole or not at all.
func writeOut(name string, from io.WriterTo) (n int64, err error) {
	err = mtkport.WriteFile(name, 0o644, func(w io.Writer) error {
		n, err = from.WriteTo(w)
		return err
	})
	return n, mtkport.InFile(err, name)
}
