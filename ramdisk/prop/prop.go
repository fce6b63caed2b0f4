// Package prop reads and edits Android property files (default.prop,
// build.prop) line by line: comments, order, empty values, values that hold
// "=", repeated keys and each line's own ending stay as they are.
//
//	f := prop.Parse(b)
//	f.Set("ro.sf.lcd_density", "240")
//	os.Stdout.Write(f.Bytes())
//
// What real files hold (measured on MT6572 ones): UTF-8 values, CRLF and LF
// mixed in one file, a value that contains a whole second assignment.
package prop

import (
	"bytes"
	"strings"
)

// File is a property file.
type File struct{ lines []line }

type line struct {
	raw      string // the whole line without its ending
	end      string // "\n", "\r\n" or ""
	key, val string // key "" for a comment or blank line
}

// Parse reads a property file. Nothing is refused: a line without "=" is kept
// as a comment is.
func Parse(b []byte) *File {
	f := &File{}
	for len(b) > 0 {
		l := line{}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.raw, b = string(b), nil
		} else {
			l.raw, l.end, b = string(b[:i]), "\n", b[i+1:]
		}
		if s, ok := strings.CutSuffix(l.raw, "\r"); ok && l.end != "" {
			l.raw, l.end = s, "\r\n"
		}
		l.key, l.val = assignment(l.raw)
		f.lines = append(f.lines, l)
	}
	return f
}

func assignment(s string) (key, val string) {
	t := strings.TrimLeft(s, " \t")
	if strings.HasPrefix(t, "#") {
		return "", ""
	}
	k, v, ok := strings.Cut(t, "=")
	if !ok {
		return "", ""
	}
	return strings.TrimSpace(k), strings.TrimSpace(v)
}

// Bytes returns the file, byte for byte what was parsed where nothing was set.
func (f *File) Bytes() []byte {
	var b bytes.Buffer
	for _, l := range f.lines {
		b.WriteString(l.raw + l.end)
	}
	return b.Bytes()
}

// Get returns the value that counts: the first assignment of a read-only key
// ("ro."), because the property service refuses a second one, else the last.
func (f *File) Get(key string) (string, bool) {
	if i := f.index(key); i >= 0 {
		return f.lines[i].val, true
	}
	return "", false
}

func (f *File) index(key string) int {
	found := -1
	for i, l := range f.lines {
		if l.key != key || key == "" {
			continue
		}
		if found = i; strings.HasPrefix(key, "ro.") {
			break
		}
	}
	return found
}

// Keys lists the keys in the order of their first appearance.
func (f *File) Keys() []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range f.lines {
		if l.key != "" && !seen[l.key] {
			seen[l.key] = true
			out = append(out, l.key)
		}
	}
	return out
}

// Set gives key a value: in the assignment that counts, or in a new last line
// with the ending that most lines have. A value that is already there changes
// nothing.
func (f *File) Set(key, val string) {
	if i := f.index(key); i >= 0 {
		l := &f.lines[i]
		if l.val != val {
			l.raw, l.val = l.raw[:strings.IndexByte(l.raw, '=')+1]+val, val
		}
		return
	}
	end := f.ending()
	if n := len(f.lines); n > 0 && f.lines[n-1].end == "" {
		f.lines[n-1].end = end
	}
	f.lines = append(f.lines, line{raw: key + "=" + val, end: end, key: key, val: val})
}

func (f *File) ending() string {
	crlf := 0
	for _, l := range f.lines {
		if l.end == "\r\n" {
			crlf++
		}
	}
	if 2*crlf > len(f.lines) {
		return "\r\n"
	}
	return "\n"
}

// Remove drops every assignment of key and reports whether there was one.
func (f *File) Remove(key string) bool {
	n := len(f.lines)
	kept := f.lines[:0]
	for _, l := range f.lines {
		if l.key != key || key == "" {
			kept = append(kept, l)
		}
	}
	f.lines = kept
	return len(kept) < n
}
