package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestPermute(t *testing.T) {
	app := &cli.App{
		Flags: globalFlags(),
		Commands: []*cli.Command{{
			Name: "boot",
			Subcommands: []*cli.Command{{
				Name: "unpack",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "output", Aliases: []string{"o"}},
					&cli.BoolFlag{Name: "force"},
				},
			}},
		}},
	}
	for _, tt := range []struct{ in, want string }{
		{"boot unpack a.img -o out", "boot unpack -o out a.img"},
		{"boot unpack -o out a.img", "boot unpack -o out a.img"},
		{"boot unpack a.img --output=out --force", "boot unpack --output=out --force a.img"},
		{"boot unpack a.img --json -o out", "--json boot unpack -o out a.img"},
		{"--json boot --quiet unpack a.img", "--json --quiet boot unpack a.img"},
		{"boot unpack -o out -- -odd.img", "boot unpack -o out -- -odd.img"},
		{"boot unpack - -o -", "boot unpack -o - -"},
		{"boot unpack boot unpack", "boot unpack boot unpack"},
		{"boot unpack a.img --nonsense", "boot unpack --nonsense a.img"},
		{"boot unpack a.img --help", "boot unpack --help a.img"},
		{"help boot", "help boot"},
	} {
		got, err := permute(app, append([]string{"mtkport"}, strings.Fields(tt.in)...))
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if want := strings.Fields(tt.want); !slices.Equal(got[1:], want) {
			t.Errorf("%s: got %q, want %q", tt.in, got[1:], want)
		}
	}
	if _, err := permute(app, []string{"mtkport", "boot", "unpack", "a.img", "-o"}); codeOf(err) != exitUsage {
		t.Errorf("flag without value: %v, want a usage error", err)
	}
}
