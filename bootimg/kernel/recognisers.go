package kernel

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"mtkport"
)

//go:embed recognisers.yaml
var builtinYAML []byte

// Recognisers is the data by which drivers are told apart where the kernel's
// tables do not say it. It is made by [Builtin] or [ParseRecognisers].
type Recognisers struct {
	hooks   map[string]Kind
	names   []nameRule
	ignore  []*regexp.Regexp
	panel   *regexp.Regexp
	sensor  *regexp.Regexp
	symbols []symbolRule
	named   []namedRule
	strings []stringRule

	mu   sync.Mutex
	memo map[string]Kind
}

type nameRule struct {
	kind  Kind
	words []*regexp.Regexp
}

type symbolRule struct {
	Kind   Kind   `yaml:"kind"`
	Name   string `yaml:"name"`
	Prefix string `yaml:"prefix"`
	Min    int    `yaml:"min"`
}

type namedRule struct {
	Kind   Kind   `yaml:"kind"`
	Suffix string `yaml:"suffix"`
	Match  string `yaml:"match"`
	Not    string `yaml:"not"`
	match  *regexp.Regexp
	not    *regexp.Regexp // nil: nothing is left out
}

type stringRule struct {
	Kind  Kind   `yaml:"kind"`
	Name  string `yaml:"name"`
	Text  string `yaml:"text"`
	Match string `yaml:"match"`
	re    *regexp.Regexp
}

// recogniserFile is the YAML form.
type recogniserFile struct {
	Hooks map[string]Kind `yaml:"hooks"`
	Names []struct {
		Kind  Kind     `yaml:"kind"`
		Words []string `yaml:"words"`
	} `yaml:"names"`
	Ignored []string     `yaml:"ignored"`
	Panel   string       `yaml:"panel"`
	Sensor  string       `yaml:"sensor"`
	Symbols []symbolRule `yaml:"symbols"`
	Named   []namedRule  `yaml:"named"`
	Strings []stringRule `yaml:"strings"`
}

var builtin = sync.OnceValue(func() *Recognisers {
	r, err := ParseRecognisers(builtinYAML)
	if err != nil {
		return &Recognisers{} // a test parses the embedded file: this is not reached
	}
	return r
})

// Builtin returns the recognisers that come with the package.
func Builtin() *Recognisers { return builtin() }

// BuiltinYAML returns the file behind [Builtin], to be copied and added to.
func BuiltinYAML() []byte { return bytes.Clone(builtinYAML) }

// ParseRecognisers reads a recogniser file. Unknown keys and kinds are errors.
func ParseRecognisers(b []byte) (*Recognisers, error) {
	var f recogniserFile
	if err := mtkport.ParseYAML(b, &f); err != nil {
		return nil, fmt.Errorf("recognisers: %w", err)
	}
	r := &Recognisers{hooks: f.Hooks, symbols: f.Symbols, named: f.Named, strings: f.Strings, memo: map[string]Kind{}}
	var err error
	compile := func(s string) *regexp.Regexp {
		re, e := regexp.Compile(s)
		if e != nil && err == nil {
			err = fmt.Errorf("recognisers: %w", e)
		}
		return re
	}
	for _, n := range f.Names {
		rule := nameRule{kind: n.Kind}
		for _, w := range n.Words {
			rule.words = append(rule.words, compile("(?i)^(?:"+w+")"))
		}
		r.names = append(r.names, rule)
	}
	for _, w := range f.Ignored {
		r.ignore = append(r.ignore, compile("(?i)^(?:"+w+")"))
	}
	r.panel, r.sensor = compile(f.Panel), compile(f.Sensor)
	for i := range r.named {
		n := &r.named[i]
		n.match = compile(n.Match)
		if n.Not != "" {
			n.not = compile(n.Not)
		}
	}
	for i := range r.strings {
		r.strings[i].re = compile(r.strings[i].Match)
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// check refuses kinds that do not exist and prefixes too short to index.
func (r *Recognisers) check() error {
	known := map[Kind]bool{}
	for _, k := range Kinds() {
		known[k] = true
	}
	var kinds []Kind
	for _, k := range r.hooks {
		kinds = append(kinds, k)
	}
	for _, n := range r.names {
		kinds = append(kinds, n.kind)
	}
	for _, s := range r.symbols {
		kinds = append(kinds, s.Kind)
		if len(s.Prefix) < minPrefix || s.Min < 1 || s.Name == "" {
			return fmt.Errorf("recognisers: symbol rule %+v: want a name, a prefix of %d letters and a min above 0", s, minPrefix)
		}
	}
	for _, n := range r.named {
		kinds = append(kinds, n.Kind)
	}
	for _, s := range r.strings {
		kinds = append(kinds, s.Kind)
	}
	for _, k := range kinds {
		if !known[k] {
			return fmt.Errorf("recognisers: kind %q: want one of %v", k, Kinds())
		}
	}
	return nil
}

// hookKind is what the registration function name makes of its object, or "".
func (r *Recognisers) hookKind(name string) Kind { return r.hooks[name] }

// byName is the kind of the chip called name, or "".
func (r *Recognisers) byName(name string) Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k, ok := r.memo[name]; ok {
		return k
	}
	k := r.matchName(name)
	if r.memo != nil {
		r.memo[name] = k
	}
	return k
}

func (r *Recognisers) matchName(name string) Kind {
	for _, n := range r.names {
		for _, w := range n.words {
			if w.MatchString(name) {
				return n.kind
			}
		}
	}
	return ""
}

func (r *Recognisers) ignored(name string) bool {
	for _, w := range r.ignore {
		if w.MatchString(name) {
			return true
		}
	}
	return false
}

func (r *Recognisers) isPanel(name string) bool { return r.panel != nil && r.panel.MatchString(name) }

func (r *Recognisers) isSensor(name string) bool {
	return r.sensor != nil && r.sensor.MatchString(name)
}

// minPrefix is how many letters symbol rules are indexed by.
const minPrefix = 3

// findByRules applies the rules that only symbols and strings satisfy; hits are
// those of the string rules.
func (f *finder) findByRules(hits [][]stringHit) {
	from, what, scale := FromSymbol, "functions", 1
	if len(f.syms.List) == 0 {
		from, what, scale = FromString, "names", stringScale
	}
	for i, n := range f.countPrefixes() {
		r := f.rec.symbols[i]
		if n >= (r.Min+scale-1)/scale && !f.has(r.Kind, r.Name) {
			f.add(r.Kind, r.Name, "", Compiled, Evidence{from, -1, fmt.Sprintf("%d %s %s*", n, what, r.Prefix)})
		}
	}
	f.findNamed()
	for i := range f.rec.strings {
		seen := map[string]bool{}
		for _, h := range hits[i] {
			f.addString(&f.rec.strings[i], h.match, h.at, seen)
		}
	}
}

// stringScale is how many functions a driver has for one whose name stands in
// the kernel as text: in messages, parameters and exports.
const stringScale = 10

// names calls do with every function name; in a kernel without symbols with
// every name that stands in it as a string.
func (f *finder) names(do func(name string)) {
	for _, s := range f.syms.List {
		if s.Func() {
			do(s.Name)
		}
	}
	if len(f.syms.List) > 0 {
		return
	}
	b := f.v.data
	for at := 0; at < len(b); {
		n := bytes.IndexByte(b[at:], 0)
		if n < 0 {
			return
		}
		if n >= minPrefix && n < maxExport && identifier(string(b[at:at+n])) {
			do(string(b[at : at+n]))
		}
		at += n + 1
	}
}

// countPrefixes counts for each symbol rule the names with its prefix.
func (f *finder) countPrefixes() []int {
	index := map[string][]int{}
	for i, r := range f.rec.symbols {
		index[r.Prefix[:minPrefix]] = append(index[r.Prefix[:minPrefix]], i)
	}
	counts := make([]int, len(f.rec.symbols))
	f.names(func(name string) {
		if len(name) < minPrefix {
			return
		}
		for _, i := range index[name[:minPrefix]] {
			if strings.HasPrefix(name, f.rec.symbols[i].Prefix) {
				counts[i]++
			}
		}
	})
	return counts
}

func (f *finder) has(kind Kind, name string) bool {
	for _, d := range f.out {
		if d.Kind == kind && d.State == Compiled && fold(d.Name) == fold(name) {
			return true
		}
	}
	return false
}

// findNamed takes names out of function names.
func (f *finder) findNamed() {
	for _, s := range f.syms.List {
		if !s.Func() {
			continue
		}
		for _, r := range f.rec.named {
			name, ok := strings.CutSuffix(s.Name, r.Suffix)
			if ok && r.match.MatchString(name) && (r.not == nil || !r.not.MatchString(name)) && !f.has(r.Kind, name) {
				f.add(r.Kind, name, "", Compiled, Evidence{FromSymbol, -1, "function " + s.Name})
			}
		}
	}
}

// stringHit is a string that a rule matches.
type stringHit struct {
	at    int      // in the image
	match []string // the match and its groups
}

// stringHits lists for each string rule the strings that it matches.
func (k *Kernel) stringHits(rules []stringRule) [][]stringHit {
	hits := make([][]stringHit, len(rules))
	for i := range rules {
		hits[i] = rules[i].find(k.image.data, k.stringsFrom())
	}
	return hits
}

// find looks for the rule's text from at on and reads the string around it.
func (r *stringRule) find(b []byte, at int) (hits []stringHit) {
	for {
		n := bytes.Index(b[at:], []byte(r.Text))
		if n < 0 {
			return hits
		}
		at += n
		s := printable(b, at, 512)
		if at > 0 && b[at-1] >= ' ' && b[at-1] <= '~' {
			at++
			continue
		}
		if m := r.re.FindStringSubmatch(s); m != nil {
			hits = append(hits, stringHit{at, m})
		}
		at += len(s)
	}
}

// printable returns the printable bytes from off on, at most limit.
func printable(b []byte, off, limit int) string {
	end := off
	for end < len(b) && end-off < limit && b[end] >= ' ' && b[end] <= '~' {
		end++
	}
	return string(b[off:end])
}

// addString adds what a string tells: an id to the driver already found, or a
// driver of its own.
func (f *finder) addString(r *stringRule, m []string, at int, seen map[string]bool) {
	id := m[len(m)-1]
	if seen[id] {
		return
	}
	seen[id] = true
	ev := Evidence{FromString, int64(at), m[0]}
	for i := range f.out {
		d := &f.out[i]
		if d.Kind == r.Kind && d.State == Compiled && d.Name == r.Name && d.ID == "" {
			d.ID, d.Evidence = id, append(d.Evidence, ev)
			return
		}
	}
	f.add(r.Kind, r.Name, id, Compiled, ev)
}
