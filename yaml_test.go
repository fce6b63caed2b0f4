package mtkport_test

import (
	"strings"
	"testing"

	"mtkport"
)

type yamlDoc struct {
	Name  string `yaml:"name"`
	Lists []struct {
		Words []string          `yaml:"words"`
		Paths map[string]string `yaml:"paths"`
	} `yaml:"lists"`
}

func TestParseYAML(t *testing.T) {
	var d yamlDoc
	if err := mtkport.ParseYAML([]byte("name: a\nlists:\n  - words: [b, c]\n"), &d); err != nil || d.Name != "a" || d.Lists[0].Words[1] != "c" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := mtkport.ParseYAML(nil, &d); err != nil {
		t.Errorf("an empty document: %v", err)
	}
}

// TestParseYAMLRefuses: one line, and never a panic, for documents that are not
// ours. Some of them make the library panic.
func TestParseYAMLRefuses(t *testing.T) {
	for _, s := range []string{
		"nonsense: 1\n",
		"name: [\n",
		"name: [a]\n",
		"lists: 3\n",
		"lists: *none\n",
		"lists: !!seq\n",
		"name: " + strings.Repeat("[", 1<<20),
		"name: " + strings.Repeat("{a: ", 1<<18),
		"name: " + strings.Repeat("[\n", 1<<18),
		"name: " + strings.Repeat("[a, ", 1<<18),
		"lists:\n" + strings.Repeat("- ", 1<<18),
		strings.Repeat("? ", 1<<18),
		"name: " + strings.Repeat("&a ", 1<<18),
		"name: " + strings.Repeat("!!x ", 1<<18),
	} {
		var d yamlDoc
		err := mtkport.ParseYAML([]byte(s), &d)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v, want an error of one line", s, err)
		}
	}
}

func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{"name: a\nlists:\n  - words: [b, c]\n    paths: {a: b}\n", "lists: &a\n  - words: *a\n", "lists: !!seq\n", "a: &x\nb: *x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d yamlDoc
		_ = mtkport.ParseYAML(b, &d)
	})
}
