package kernel

import (
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"
	"sync"

	"mtkport"
)

//go:embed groups.yaml
var groupsYAML []byte

// group is a family of options and what they mean to a phone.
type group struct {
	Name  string   `yaml:"name"`
	Means string   `yaml:"means"`
	Match []string `yaml:"match"`
	re    *regexp.Regexp
}

// otherGroup takes what no group of the file does.
const otherGroup = "other"

var groups = sync.OnceValue(func() []group {
	g, err := parseGroups(groupsYAML)
	if err != nil {
		return nil // a test parses the embedded file: this is not reached
	}
	return g
})

func parseGroups(b []byte) ([]group, error) {
	var f struct {
		Groups []group `yaml:"groups"`
	}
	if err := mtkport.ParseYAML(b, &f); err != nil {
		return nil, fmt.Errorf("option groups: %w", err)
	}
	for i := range f.Groups {
		re, err := regexp.Compile("^(?:" + strings.Join(f.Groups[i].Match, "|") + ")")
		if err != nil {
			return nil, fmt.Errorf("option groups: %s: %w", f.Groups[i].Name, err)
		}
		f.Groups[i].re = re
	}
	return f.Groups, nil
}

func groupOf(name string) int {
	name = strings.TrimPrefix(name, "CONFIG_")
	for i, g := range groups() {
		if g.re.MatchString(name) {
			return i
		}
	}
	return len(groups())
}

// Change is one option that differs. An empty side does not know the option.
type Change struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// ConfigGroup is the differences of one family.
type ConfigGroup struct {
	Name    string   `json:"group"`
	Means   string   `json:"means"`
	Added   []Change `json:"added"`   // only B has it
	Removed []Change `json:"removed"` // only A has it
	Changed []Change `json:"changed"`
}

// ConfigDiff is what differs between two configurations.
type ConfigDiff struct {
	A, B     ConfigSource
	Compared int           // options that were compared
	Groups   []ConfigGroup // only those with a difference, in the order of the data file
}

// DiffConfig compares two configurations as scripts/diffconfig of Linux does:
// `is not set` is the value n, and an option that one side does not name is
// added or removed. An inferred side knows only what it could read, so then
// only the options it knows are compared, and a missing one on the other side
// counts as n.
func DiffConfig(a, b *Config) *ConfigDiff {
	d := &ConfigDiff{A: a.Source, B: b.Source}
	all := make([]ConfigGroup, len(groups())+1)
	inferred := a.Source == InferredFrom || b.Source == InferredFrom
	put := func(name, va, vb string) {
		g := &all[groupOf(name)]
		c := Change{name, va, vb}
		switch {
		case va == "":
			g.Added = append(g.Added, c)
		case vb == "":
			g.Removed = append(g.Removed, c)
		default:
			g.Changed = append(g.Changed, c)
		}
	}
	for _, o := range union(a, b) {
		oa, inA := a.Lookup(o)
		ob, inB := b.Lookup(o)
		if inferred {
			if !knows(a, o) || !knows(b, o) {
				continue
			}
			oa.Value, ob.Value = orN(oa.Value), orN(ob.Value)
			inA, inB = true, true
		}
		d.Compared++
		if inA != inB || oa.Value != ob.Value {
			put(o, oa.Value, ob.Value)
		}
	}
	for i, g := range all {
		if len(g.Added)+len(g.Removed)+len(g.Changed) == 0 {
			continue
		}
		g.Name = otherGroup
		if i < len(groups()) {
			g.Name, g.Means = groups()[i].Name, groups()[i].Means
		}
		d.Groups = append(d.Groups, g)
	}
	return d
}

// knows tells whether c can say anything of the option: a whole configuration
// knows all, an inferred one what it read.
func knows(c *Config, name string) bool {
	_, ok := c.Lookup(name)
	return ok || c.Source != InferredFrom
}

func orN(v string) string {
	if v == "" || v == "m" {
		return "n" // in the kernel itself a module's code is not there
	}
	return v
}

// union lists the names of both sides, sorted, each once.
func union(a, b *Config) []string {
	var out []string
	x, y := a.sorted(), b.sorted()
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Name < y[0].Name:
			out = appendNew(out, x[0].Name)
			x = x[1:]
		case len(x) == 0 || y[0].Name < x[0].Name:
			out = appendNew(out, y[0].Name)
			y = y[1:]
		default:
			out = appendNew(out, x[0].Name)
			x, y = x[1:], y[1:]
		}
	}
	return out
}

func appendNew(list []string, s string) []string {
	if n := len(list); n > 0 && list[n-1] == s {
		return list
	}
	return append(list, s)
}

// WriteDiffconfig writes the differences in the form of scripts/diffconfig:
// removed, changed and added options, each part by name, without CONFIG_.
func (d *ConfigDiff) WriteDiffconfig(w io.Writer) error {
	var removed, changed, added []Change
	for _, g := range d.Groups {
		removed, changed, added = append(removed, g.Removed...), append(changed, g.Changed...), append(added, g.Added...)
	}
	for _, part := range []struct {
		list   []Change
		format func(name string, c Change) string
	}{
		{removed, func(n string, c Change) string { return fmt.Sprintf("-%s %s\n", n, c.A) }},
		{changed, func(n string, c Change) string { return fmt.Sprintf(" %s %s -> %s\n", n, c.A, c.B) }},
		{added, func(n string, c Change) string { return fmt.Sprintf("+%s %s\n", n, c.B) }},
	} {
		sortChanges(part.list)
		for _, c := range part.list {
			if _, err := io.WriteString(w, part.format(strings.TrimPrefix(c.Name, "CONFIG_"), c)); err != nil {
				return err
			}
		}
	}
	return nil
}

func sortChanges(list []Change) {
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
}
