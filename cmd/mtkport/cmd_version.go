package main

import (
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:   "version",
		Usage:  "print the version, the commit it was built from, and the Go that built it",
		Action: showVersion,
	}
}

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func showVersion(c *cli.Context) error {
	if _, err := arity(c); err != nil {
		return err
	}
	e := envOf(c)
	v := versionInfo{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Dirty = s.Value == "true"
			}
		}
	}
	if e.json {
		return e.printJSON(v)
	}
	e.printf("mtkport %s\n", v.Version)
	if v.Commit != "" {
		e.printf("commit  %s%s\n", v.Commit, map[bool]string{true: " (with local changes)"}[v.Dirty])
	}
	e.printf("built   %s %s/%s\n", v.Go, v.OS, v.Arch)
	return nil
}
