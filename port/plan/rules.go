package plan

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"

	"github.com/bmatcuk/doublestar/v4"

	"mtkport"
)

//go:embed rules/*.yaml
var embedded embed.FS

// Take says which side a path comes from.
type Take string

// The words of a rule. The compound ones say what happens when the side that is
// named has no such file; [Take.Side] reduces them to the four words of a plan.
const (
	Target        Take = "target"          // the target's; the donor's where the target has none
	TargetOnly    Take = "target-only"     // the target's; nothing where the target has none
	Donor         Take = "donor"           // the donor's; nothing where the donor has none
	DonorOrTarget Take = "donor-or-target" // the donor's; the target's where the donor has none
	Merge         Take = "merge"           // made of both, see Rule.Merge
	Drop          Take = "drop"            // from neither
)

var takes = []Take{Target, TargetOnly, Donor, DonorOrTarget, Merge, Drop}

// Side is target, donor, merge or drop.
func (t Take) Side() Take {
	switch t {
	case TargetOnly:
		return Target
	case DonorOrTarget:
		return Donor
	}
	return t
}

// Style is one of the two ways to port.
type Style string

// The two styles.
const (
	Drivers Style = "drivers" // the target's drivers into the donor's system
	Look    Style = "look"    // the donor's look into the target's system
)

// ParseStyle reads the name of a style; "" is drivers.
func ParseStyle(s string) (Style, error) {
	switch st := Style(s); st {
	case "":
		return Drivers, nil
	case Drivers, Look:
		return st, nil
	}
	return "", fmt.Errorf("style %q: want drivers or look", s)
}

// The ways to merge.
const (
	MergeProps     = "props"         // build.prop key by key, see PropRule
	MergeBCP       = "bootclasspath" // an rc file with the donor's BOOTCLASSPATH
	MergePerms     = "permissions"   // the union of two permission files
	MergeByHand    = "by-hand"       // no tool can: the style's base file is kept and a finding says so
	maxRulesFile   = 1 << 20         // bytes; the embedded files are under 16 KiB each
	maxRules       = 10_000
	noSuchRuleHint = "`mtkport rules list` shows every rule"
)

var (
	merges = []string{MergeProps, MergeBCP, MergePerms, MergeByHand}
	// Kinds are the words that a rule's kind may be.
	Kinds = []string{
		"identity", "boot", "ramdisk", "module", "firmware", "gpu", "camera", "audio", "radio", "nvram",
		"wifi", "bluetooth", "gps", "fm", "thermal", "hal", "keys", "permission", "storage", "codec",
		"drm", "framework", "app", "look", "config", "system",
	}
	confidences = []string{"high", "medium", "low"}
)

// Rule is one entry of the rule table.
type Rule struct {
	ID         string   `yaml:"id" json:"id"`
	Kind       string   `yaml:"kind" json:"kind"`                         // one of Kinds
	Group      string   `yaml:"group,omitempty" json:"group,omitempty"`   // rules of one group take the same side
	Paths      []string `yaml:"paths" json:"paths"`                       // patterns
	Except     []string `yaml:"except,omitempty" json:"except,omitempty"` // patterns that are not meant
	When       string   `yaml:"when,omitempty" json:"when,omitempty"`     // an evidence the rule needs, see Evidence
	Drivers    Take     `yaml:"drivers" json:"drivers"`                   // what to take in each style
	Look       Take     `yaml:"look" json:"look"`
	Merge      string   `yaml:"merge,omitempty" json:"merge,omitempty"` // how, when a style says merge
	Why        string   `yaml:"why" json:"why"`
	Symptom    string   `yaml:"symptom" json:"symptom"` // what a user sees when it is done otherwise
	Confidence string   `yaml:"confidence" json:"confidence"`
	Source     string   `yaml:"source" json:"source"`
	Example    string   `yaml:"example" json:"example"` // a path for which this rule holds
}

// Take is what the rule says in a style.
func (r *Rule) Take(s Style) Take {
	if s == Look {
		return r.Look
	}
	return r.Drivers
}

// Matches reports whether the rule is about a canonical path, if its evidence
// is there.
func (r *Rule) Matches(path string) bool {
	return matchAny(r.Paths, path) && !matchAny(r.Except, path)
}

func matchAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if ok, _ := doublestar.Match(p, path); ok {
			return true
		}
	}
	return false
}

// PropRule says which side some keys of build.prop come from.
type PropRule struct {
	ID      string   `yaml:"id" json:"id"`
	Keys    []string `yaml:"keys" json:"keys"` // patterns with *
	Drivers Take     `yaml:"drivers" json:"drivers"`
	Look    Take     `yaml:"look" json:"look"`
	Why     string   `yaml:"why" json:"why"`
}

// Take is what the rule says in a style.
func (r *PropRule) Take(s Style) Take {
	if s == Look {
		return r.Look
	}
	return r.Drivers
}

// Rules is a rule table in the order in which it is tried.
type Rules struct {
	Rules []*Rule
	Props []*PropRule
}

type rulesFile struct {
	Rules []*Rule     `yaml:"rules"`
	Props []*PropRule `yaml:"props"`
}

// Default returns the embedded rules.
func Default() (*Rules, error) {
	all := &Rules{}
	names, err := fs.Glob(embedded, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names { // Glob sorts
		b, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parseRules(b, name)
		if err != nil {
			return nil, err
		}
		all.Rules = append(all.Rules, f.Rules...)
		all.Props = append(all.Props, f.Props...)
	}
	return all, all.check("embedded rules")
}

// Override puts a user's file of rules over r and returns the result; r stays.
// Name is for messages.
func (r *Rules) Override(src io.Reader, name string) (*Rules, error) {
	b, err := io.ReadAll(io.LimitReader(src, maxRulesFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxRulesFile {
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "size", Found: "more than 1048576 bytes",
			Want: "a rules file", Err: mtkport.ErrFormat}
	}
	f, err := parseRules(b, name)
	if err != nil {
		return nil, err
	}
	out := &Rules{Rules: slices.Clone(r.Rules), Props: slices.Clone(r.Props)}
	out.Rules = overlay(out.Rules, f.Rules, func(r *Rule) string { return r.ID })
	out.Props = overlay(out.Props, f.Props, func(r *PropRule) string { return r.ID })
	return out, out.check(name)
}

func overlay[R any](base, over []R, id func(R) string) []R {
	var first []R
	for _, o := range over {
		if i := slices.IndexFunc(base, func(b R) bool { return id(b) == id(o) }); i >= 0 {
			base[i] = o
		} else {
			first = append(first, o)
		}
	}
	return append(first, base...)
}

func parseRules(b []byte, name string) (rulesFile, error) {
	var f rulesFile
	if err := mtkport.ParseYAML(b, &f); err != nil {
		return f, yamlError(err, name)
	}
	return f, nil
}

// yamlError says that a file is no YAML of ours.
func yamlError(err error, name string) error {
	return &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "yaml", Found: err.Error(), Err: mtkport.ErrFormat}
}

// check refuses unknown words, bad patterns and ids that occur twice.
func (r *Rules) check(name string) error {
	bad := func(id, field, found, want string) error {
		return &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "rule " + id + ": " + field, Found: found, Want: want, Err: mtkport.ErrFormat}
	}
	if len(r.Rules) > maxRules {
		return bad("table", "rules", fmt.Sprint(len(r.Rules)), fmt.Sprintf("at most %d", maxRules))
	}
	seen := map[string]bool{}
	for _, x := range r.Rules {
		if field, found, want := x.fault(); field != "" {
			return bad(x.ID, field, found, want)
		}
		if seen[x.ID] {
			return bad(x.ID, "id", "it twice", "each id once")
		}
		seen[x.ID] = true
	}
	for _, x := range r.Props {
		for _, t := range []Take{x.Drivers, x.Look} {
			if t != Target && t != Donor {
				return bad(x.ID, "take", quote(string(t)), "target or donor")
			}
		}
		if x.ID == "" || len(x.Keys) == 0 || seen[x.ID] {
			return bad(x.ID, "id and keys", "one missing or twice", "a new id and keys")
		}
		seen[x.ID] = true
	}
	return nil
}

func (r *Rule) fault() (field, found, want string) {
	for _, t := range []Take{r.Drivers, r.Look} {
		if !slices.Contains(takes, t) {
			return "take", quote(string(t)), fmt.Sprint(takes)
		}
		if t == Merge && !slices.Contains(merges, r.Merge) {
			return "merge", quote(r.Merge), fmt.Sprint(merges)
		}
	}
	switch {
	case r.ID == "":
		return "id", "none", "a name"
	case !slices.Contains(Kinds, r.Kind):
		return "kind", quote(r.Kind), fmt.Sprint(Kinds)
	case !slices.Contains(confidences, r.Confidence):
		return "confidence", quote(r.Confidence), fmt.Sprint(confidences)
	case r.When != "" && Evidence(r.When) != TargetService:
		return "when", quote(r.When), string(TargetService)
	case len(r.Paths) == 0:
		return "paths", "none", "at least one pattern"
	case r.Why == "" || r.Symptom == "" || r.Source == "":
		return "why, symptom, source", "one missing", "all three"
	}
	for _, p := range append(slices.Clone(r.Paths), r.Except...) {
		if !doublestar.ValidatePattern(p) {
			return "paths", quote(p), "a pattern"
		}
	}
	return "", "", ""
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// Evidence is what can be known of a path only by looking into both ROMs. A rule
// whose When names one holds only where it is there.
type Evidence string

// TargetService: an init file of the target starts this program, and the donor
// has no file of that path.
const TargetService Evidence = "target-service"

// Find returns the rule that holds for a canonical path of which the given
// evidence is known, or nil when the table has no rule for everything.
func (r *Rules) Find(path string, known ...Evidence) *Rule {
	for _, x := range r.Rules {
		if x.When != "" && !slices.Contains(known, Evidence(x.When)) {
			continue
		}
		if x.Matches(path) {
			return x
		}
	}
	return nil
}

// Prop returns the rule for a key of build.prop, or nil: then the base file of
// the style decides.
func (r *Rules) Prop(key string) *PropRule {
	for _, x := range r.Props {
		if matchAny(x.Keys, key) {
			return x
		}
	}
	return nil
}

// ByID returns the rule of that id.
func (r *Rules) ByID(id string) (*Rule, *PropRule, error) {
	for _, x := range r.Rules {
		if x.ID == id {
			return x, nil, nil
		}
	}
	for _, x := range r.Props {
		if x.ID == id {
			return nil, x, nil
		}
	}
	return nil, nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "rule " + quote(id), Found: "none of that id", Err: fs.ErrNotExist, Hint: noSuchRuleHint}
}

// Groups lists the names of the groups, sorted.
func (r *Rules) Groups() []string {
	var names []string
	for _, x := range r.Rules {
		if x.Group != "" && !slices.Contains(names, x.Group) {
			names = append(names, x.Group)
		}
	}
	sort.Strings(names)
	return names
}
