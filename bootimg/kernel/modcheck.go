package kernel

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
)

// Verdict is whether a kernel would take a module.
type Verdict string

// The three verdicts.
const (
	Loads   Verdict = "loads"
	Refuses Verdict = "refuses"
	Unknown Verdict = "unknown"
)

// ModuleFile is a module with the name of its file.
type ModuleFile struct {
	File   string
	Module *Module // nil when it could not be read
	Err    error   // why not
}

// ModuleVerdict is what a kernel would do with one module.
type ModuleVerdict struct {
	File    string   `json:"file"`
	Name    string   `json:"name"`
	Verdict Verdict  `json:"verdict"`
	Why     []string `json:"why,omitempty"`     // each reason, the loader's order
	Needs   []string `json:"needs,omitempty"`   // modules that must be loaded before, the whole closure
	Notes   []string `json:"notes,omitempty"`   // what the loader does not check and may still break
	Symbols int      `json:"symbols"`           // undefined symbols in all
	Missing []string `json:"missing,omitempty"` // those that nothing exports
}

// CheckModules decides for every module whether k would load it, given the
// others. The rules are those of kernel/module.c without MODVERSIONS: equal
// version magic, every symbol exported by the kernel or by a module that loads,
// symbols for GPL modules only used by such.
func CheckModules(k *Kernel, mods []ModuleFile) []ModuleVerdict {
	c := &modCheck{k: k, exports: k.Exports(), mods: mods, by: map[string]int{}, provider: map[string]int{}, done: map[int]*ModuleVerdict{}}
	for i, m := range mods {
		if m.Module == nil {
			continue
		}
		c.by[moduleKey(m)] = i
		for _, e := range m.Module.Exports {
			c.provider[e.Name] = i
		}
	}
	out := make([]ModuleVerdict, len(mods))
	for i := range mods {
		out[i] = *c.verdict(i)
	}
	return out
}

type modCheck struct {
	k        *Kernel
	exports  *Exports
	mods     []ModuleFile
	by       map[string]int
	provider map[string]int
	done     map[int]*ModuleVerdict
}

// moduleKey is the name that `depends` uses: the kernel takes - for _.
func moduleKey(m ModuleFile) string {
	name := m.Module.Name
	if name == "" {
		name = strings.TrimSuffix(path.Base(m.File), ".ko")
	}
	return strings.ReplaceAll(name, "-", "_")
}

func (c *modCheck) verdict(i int) *ModuleVerdict {
	if v := c.done[i]; v != nil {
		return v
	}
	m := c.mods[i]
	v := &ModuleVerdict{File: m.File, Verdict: Loads}
	c.done[i] = v // a ring of dependencies ends here
	if m.Module == nil {
		v.Verdict, v.Why = Unknown, []string{fmt.Sprintf("cannot be read: %v", m.Err)}
		return v
	}
	v.Name, v.Symbols = moduleKey(m), len(m.Module.Needs)
	c.checkMagic(m.Module, v)
	c.checkSymbols(i, m.Module, v)
	c.checkDepends(m.Module, v)
	c.remark(m.Module, v)
	sort.Strings(v.Needs)
	return v
}

func (v *ModuleVerdict) refuse(format string, args ...any) {
	v.Verdict = Refuses
	v.Why = append(v.Why, fmt.Sprintf(format, args...))
}

// unknown lowers a verdict of loads; a refusal stands.
func (v *ModuleVerdict) unknown(format string, args ...any) {
	if v.Verdict == Loads {
		v.Verdict = Unknown
	}
	v.Why = append(v.Why, fmt.Sprintf(format, args...))
}

func (c *modCheck) checkMagic(m *Module, v *ModuleVerdict) {
	switch want := c.k.Vermagic(); {
	case want == "" && len(c.exports.List) == 0:
		v.refuse("the kernel was built without module support")
	case want == "":
		v.unknown("the kernel's version magic was not found")
	case m.Vermagic != want:
		v.refuse("version magic %q, the kernel wants %q", m.Vermagic, want)
	}
}

func (c *modCheck) checkSymbols(self int, m *Module, v *ModuleVerdict) {
	if len(c.exports.List) == 0 {
		if c.k.Vermagic() != "" {
			v.unknown("the kernel's export tables were not found")
		}
		return
	}
	for _, name := range m.Needs {
		e, ok := c.exports.Lookup(name)
		if !ok {
			var p int
			if p, ok = c.provider[name]; !ok || p == self {
				v.Missing = append(v.Missing, name)
				continue
			}
			e = c.fromModule(p, name, v)
		}
		if (e.Licence == ForGPL || e.Licence == ForGPLUnused) && !m.GPL() {
			v.refuse("symbol %s is for GPL modules only, licence is %q", name, m.Licence)
		}
	}
	if n := len(v.Missing); n > 0 {
		v.refuse("unknown symbol: %s%s", strings.Join(v.Missing[:min(n, 4)], ", "), more(n-4))
	}
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// fromModule takes name from module p, which then must load first.
func (c *modCheck) fromModule(p int, name string, v *ModuleVerdict) Export {
	c.require(p, v)
	for _, e := range c.mods[p].Module.Exports {
		if e.Name == name {
			return e
		}
	}
	return Export{}
}

// require makes module p and all that it needs load before v.
func (c *modCheck) require(p int, v *ModuleVerdict) {
	w := c.verdict(p)
	for _, need := range append([]string{w.Name}, w.Needs...) {
		if need == v.Name || contains(v.Needs, need) {
			continue
		}
		v.Needs = append(v.Needs, need)
	}
	why := fmt.Sprintf("needs module %s, which %s", w.Name, verdictWord(w.Verdict))
	if w.Verdict != Loads && !contains(v.Why, why) {
		if w.Verdict == Refuses {
			v.refuse("%s", why)
		} else {
			v.unknown("%s", why)
		}
	}
}

func verdictWord(v Verdict) string {
	if v == Refuses {
		return "the kernel refuses"
	}
	return "cannot be judged"
}

func (c *modCheck) checkDepends(m *Module, v *ModuleVerdict) {
	for _, d := range m.Depends {
		p, ok := c.by[strings.ReplaceAll(d, "-", "_")]
		if !ok {
			v.Notes = append(v.Notes, fmt.Sprintf("depends on module %s, which is not among the files", d))
			continue
		}
		c.require(p, v)
	}
}

// remark adds what the loader lets pass.
func (c *modCheck) remark(m *Module, v *ModuleVerdict) {
	if v.Verdict == Loads && m.Versions == 0 {
		v.Notes = append(v.Notes, "carries no symbol versions: a module from another build loads, and may still crash")
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Insmod is a line of a script that loads a module.
type Insmod struct {
	Script string   `json:"script"` // the script's name
	Line   int      `json:"line"`   // from 1
	Path   string   `json:"path"`   // as written
	Args   []string `json:"args,omitempty"`
}

// InsmodLines finds the insmod commands of an init.rc or a shell script.
func InsmodLines(script string, r io.Reader) ([]Insmod, error) {
	const maxLine = 64 << 10
	var out []Insmod
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		words := strings.Fields(s.Text())
		for i, w := range words {
			if strings.HasPrefix(w, "#") {
				break
			}
			if path.Base(w) != "insmod" {
				continue
			}
			rest := words[i+1:]
			for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
				rest = rest[1:]
			}
			if len(rest) > 0 {
				out = append(out, Insmod{Script: script, Line: n, Path: strings.Trim(rest[0], `"';`), Args: rest[1:]})
			}
			break
		}
	}
	return out, s.Err()
}

// MissingInsmods returns the lines whose file does not exist. Paths with shell
// variables are left out: they cannot be judged.
func MissingInsmods(lines []Insmod, exists func(path string) bool) []Insmod {
	var out []Insmod
	for _, l := range lines {
		if !strings.Contains(l.Path, "$") && !exists(l.Path) {
			out = append(out, l)
		}
	}
	return out
}
