package labels

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"mtkport"
	"mtkport/sysimg/tree"
)

// maxRules bounds a file_contexts file: the largest of Android 4–5 has some 400.
const maxRules = 20000

// Contexts are the rules of a file_contexts file.
type Contexts struct{ rules []contextRule }

type contextRule struct {
	line  int
	text  string // the pattern as written
	re    *regexp.Regexp
	stem  string // what every match begins with: most rules are told apart by it
	exact bool   // no regular expression in it
	typ   uint32 // st_mode type bits; 0 for any
	label string // "" for <<none>>
}

// ParseContexts reads the text form: "pattern [-type] label" a line. It returns
// ErrFormat for the binary form, and ErrDamaged with the line for a rule that
// cannot be read. name is for errors.
func ParseContexts(b []byte, name string) (*Contexts, error) {
	if bytes.HasPrefix(b, []byte{0x8a, 0xff, 0x7c, 0xf9}) {
		return nil, &mtkport.Error{File: name, Off: 0, Field: "file_contexts", Found: "the binary form of Android 7", Want: "text",
			Err: mtkport.ErrFormat}
	}
	c := &Contexts{}
	for i, l := range strings.Split(string(b), "\n") {
		f := strings.Fields(l)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		r, err := readRule(f)
		if err != nil || len(c.rules) >= maxRules {
			if err == nil {
				err = fmt.Errorf("more than %d rules", maxRules)
			}
			return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: fmt.Sprintf("line %d", i+1), Found: err.Error(),
				Want: "pattern [-type] label", Err: mtkport.ErrDamaged}
		}
		r.line = i + 1
		c.rules = append(c.rules, r)
	}
	return c, nil
}

var typeLetters = map[string]uint32{
	"-b": tree.BlockDev, "-c": tree.CharDev, "-d": tree.Dir, "-p": tree.FIFO, "-l": tree.Symlink, "-s": tree.Socket, "--": tree.Regular,
}

func readRule(f []string) (contextRule, error) {
	r := contextRule{text: f[0], stem: stem(f[0]), exact: !strings.ContainsAny(f[0], meta)}
	if len(f) == 3 {
		var ok bool
		if r.typ, ok = typeLetters[f[1]]; !ok {
			return r, fmt.Errorf("type %q", f[1])
		}
		f = []string{f[0], f[2]}
	}
	if len(f) != 2 {
		return r, fmt.Errorf("%d words", len(f))
	}
	if r.label = f[1]; r.label == "<<none>>" {
		r.label = ""
	}
	var err error
	r.re, err = regexp.Compile("^(?:" + f[0] + ")$")
	return r, err
}

const meta = `.^$?*+|[({\`

// stem is the literal begin of a pattern: up to the first special character,
// less one when that makes the character before it optional, and nothing when
// there are alternatives.
func stem(pattern string) string {
	i := strings.IndexAny(pattern, meta)
	if i < 0 {
		return pattern
	}
	if strings.Contains(pattern, "|") {
		return ""
	}
	if i > 0 && strings.ContainsRune("?*{", rune(pattern[i])) {
		i--
	}
	return pattern[:i]
}

// Label returns the label of an absolute path of the phone ("/system/bin/sh").
// typ is the node's st_mode type bits. Of the rules that match, an exact path
// counts more than a pattern, and a later one more than an earlier. ok is false
// when no rule matches, or the one that does says <<none>>.
func (c *Contexts) Label(path string, typ uint32) (label string, ok bool) {
	best := -1
	for i, r := range c.rules {
		if r.typ != 0 && r.typ != typ&tree.TypeMask || !strings.HasPrefix(path, r.stem) || !r.re.MatchString(path) {
			continue
		}
		if best >= 0 && c.rules[best].exact && !r.exact {
			continue
		}
		best = i
	}
	if best < 0 || c.rules[best].label == "" {
		return "", false
	}
	return c.rules[best].label, true
}

// Xattr is the label as Android images hold it in security.selinux: with a NUL
// at its end.
func Xattr(label string) []byte { return append([]byte(label), 0) }

// SELinux is the name of the label's extended attribute.
const SELinux = "security.selinux"

// Capability is the name of the capabilities' extended attribute.
const Capability = "security.capability"
