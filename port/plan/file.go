package plan

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"mtkport"
)

// Format is the first line's word of a plan file.
const Format = "mtkport-plan/1"

// maxPlan bounds a plan file; one line a path makes some 200 KiB.
const maxPlan = 4 << 20

const header = `# Where each path of the ported ROM comes from. Change a word and give the file
# back with --plan: target, donor, merge or drop. A line that is removed goes back
# to what the rules say. Paths that are the same on both sides are not listed
# unless you add them.
`

// WriteTo writes the plan as YAML: sections in the order of the rules, in each
// the reason, what would be seen otherwise, and a line a path. Equal files are
// counted, not listed.
func (p *Plan) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	b.WriteString(header)
	fmt.Fprintf(&b, "format: %s\nstyle: %s\ndonor: %s\ntarget: %s\n", Format, p.Style, scalar(p.Donor), scalar(p.Target))
	fmt.Fprintf(&b, "# %d paths from the target, %d from the donor, %d merged, %d left out; %d more are the same on both sides\n",
		p.Count(Target), p.Count(Donor), p.Count(Merge), p.Count(Drop), p.Equal())
	for i, g := range p.Groups {
		if i == 0 {
			b.WriteString("\n# Files that move together\n")
		}
		fmt.Fprintf(&b, "# %s: %s (%d files on the donor's side, %d on the target's)\n", g.Name, g.Why, g.Donor, g.Target)
	}
	for i, f := range p.Findings {
		if i == 0 {
			b.WriteString("\n# Worth knowing first\n")
		}
		fmt.Fprintf(&b, "# %s %s: %s\n", f.Severity, f.Code, oneLine(f.Text))
	}
	b.WriteString("\ndecisions:\n")
	for _, s := range p.sections() {
		fmt.Fprintf(&b, "  - rule: %s\n    why: %s\n", scalar(s.rule), scalar(s.why))
		if s.symptom != "" {
			fmt.Fprintf(&b, "    otherwise: %s\n", scalar(s.symptom))
		}
		b.WriteString("    paths:\n")
		for _, d := range s.list {
			fmt.Fprintf(&b, "      %s: %s  # %s\n", scalar(d.Path), d.Take, d.evidence())
		}
	}
	n, err := w.Write(b.Bytes())
	return int64(n), err
}

type section struct {
	rule, why, symptom string
	list               []Decision
}

// sections groups the decisions that a person should see by rule and reason.
func (p *Plan) sections() []*section {
	var out []*section
	for _, d := range p.Decisions {
		if d.Same && d.Rule != edited {
			continue
		}
		i := slices.IndexFunc(out, func(s *section) bool { return s.rule == d.Rule && s.why == d.Why })
		if i < 0 {
			i = len(out)
			out = append(out, &section{rule: d.Rule, why: d.Why, symptom: d.Symptom})
		}
		out[i].list = append(out[i].list, d)
	}
	weight := func(s *section) int { // what differs from the base first
		for _, d := range s.list {
			if d.Take != p.Base() && d.Take != Drop {
				return 0
			}
		}
		return 1
	}
	sort.SliceStable(out, func(i, j int) bool { return weight(out[i]) < weight(out[j]) })
	return out
}

func (d Decision) evidence() string {
	switch {
	case d.Same:
		return "the same on both sides"
	case d.Target < 0:
		return fmt.Sprintf("only the donor has it, %d bytes", d.Donor)
	case d.Donor < 0:
		return fmt.Sprintf("only the target has it, %d bytes", d.Target)
	}
	return fmt.Sprintf("differs: %d bytes in the donor, %d in the target", d.Donor, d.Target)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// scalar writes s as a YAML scalar on one line, quoted where it must be.
func scalar(s string) string {
	plain := s != "" && strings.Trim(s, " ") == s
	for i, c := range s {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/' || c == '_' ||
			i > 0 && (c >= '0' && c <= '9' || strings.ContainsRune(".-+ ();'", c))
		plain = plain && ok
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

const edited = "edited"

// Edits is a plan file that a person gave back.
type Edits struct {
	Style  Style
	Donor  string
	Target string
	Takes  map[string]Take // canonical path → target, donor, merge or drop
}

type planFile struct {
	Format    string `yaml:"format"`
	Style     string `yaml:"style"`
	Donor     string `yaml:"donor"`
	Target    string `yaml:"target"`
	Decisions []struct {
		Rule      string            `yaml:"rule"`
		Why       string            `yaml:"why"`
		Otherwise string            `yaml:"otherwise"`
		Paths     map[string]string `yaml:"paths"`
	} `yaml:"decisions"`
}

// Parse reads a plan file. Name is for messages.
func Parse(r io.Reader, name string) (*Edits, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxPlan {
		return nil, planFault(name, "size", fmt.Sprintf("more than %d bytes", maxPlan), "a plan")
	}
	var f planFile
	if err := mtkport.ParseYAML(b, &f); err != nil {
		return nil, yamlError(err, name)
	}
	if f.Format != Format {
		return nil, planFault(name, "format", quote(f.Format), Format)
	}
	e := &Edits{Donor: f.Donor, Target: f.Target, Takes: map[string]Take{}}
	if e.Style, err = ParseStyle(f.Style); err != nil {
		return nil, planFault(name, "style", quote(f.Style), "drivers or look")
	}
	for _, s := range f.Decisions {
		for p, t := range s.Paths {
			take, c := Take(t), Canonical(p)
			if take.Side() != take || !slices.Contains(takes, take) {
				return nil, planFault(name, p, quote(t), "target, donor, merge or drop")
			}
			if _, twice := e.Takes[c]; twice {
				return nil, planFault(name, p, "it twice", "each path once")
			}
			e.Takes[c] = take
		}
	}
	return e, nil
}

func planFault(name, field, found, want string) error {
	return &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrFormat}
}

// Apply puts a person's words over what the rules said. A path that neither side
// has, a side that has no such file, or a merge that has no way is refused.
func (p *Plan) Apply(e *Edits, name string) error {
	if e.Style != p.Style {
		return planFault(name, "style", string(e.Style), "the plan's own style, "+string(p.Style))
	}
	at := map[string]int{}
	for i, d := range p.Decisions {
		at[d.Path] = i
	}
	paths := make([]string, 0, len(e.Takes))
	for path := range e.Takes {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		i, ok := at[path]
		if !ok {
			return planFault(name, path, "a path that neither ROM has", "a path of the donor or the target")
		}
		if err := p.Decisions[i].edit(e.Takes[path], name); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decision) edit(t Take, name string) error {
	if t == d.Take {
		return nil
	}
	switch {
	case t == Donor && d.Donor < 0:
		return planFault(name, d.Path, "donor", "target or drop: the donor has no such file")
	case t == Target && d.Target < 0:
		return planFault(name, d.Path, "target", "donor or drop: the target has no such file")
	case t == Merge:
		return planFault(name, d.Path, "merge", "target, donor or drop: this path cannot be merged here")
	}
	d.Take, d.Rule, d.Why, d.Symptom, d.Merge = t, edited, "changed by hand in the plan", "", ""
	return nil
}
