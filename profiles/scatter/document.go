package scatter

import (
	"bytes"
	"strings"
)

// document is the file as lines, each with its own line end, so that one value
// can change while every other byte stays.
type document struct {
	lines [][]byte
	start []int64           // offset of each line
	info  map[string]slot   // the general section
	parts []map[string]slot // beside Layout.Partitions
}

// slot is where a value stands: lines[line][start:end]. The brace form has slots
// for name and linear_start_addr.
type slot struct{ line, start, end int }

func newDocument(b []byte) *document {
	d := &document{info: map[string]slot{}}
	for at := int64(0); len(b) > 0; {
		n := lineLen(b)
		d.lines, d.start = append(d.lines, bytes.Clone(b[:n])), append(d.start, at)
		b, at = b[n:], at+int64(n)
	}
	return d
}

// lineLen counts the bytes of the first line with its end: LF, CRLF or a lone CR.
func lineLen(b []byte) int {
	for i, c := range b {
		if c == '\n' || (c == '\r' && (i+1 == len(b) || b[i+1] != '\n')) {
			return i + 1
		}
	}
	return len(b)
}

func (d *document) bytes() []byte { return bytes.Join(d.lines, nil) }

func (d *document) text(s slot) string { return string(d.lines[s.line][s.start:s.end]) }

// offset is the byte offset of a slot in the file as it was read.
func (d *document) offset(s slot) int64 { return d.start[s.line] + int64(s.start) }

func (d *document) lineOffset(line int) int64 { return d.offset(slot{line: line}) }

// replace puts text in place of a value. No other value may share the line
// after it; the forms have one value a line, but for the brace form's name, whose
// address moves along.
func (d *document) replace(s slot, text string) slot {
	l := d.lines[s.line]
	out := make([]byte, 0, len(l)+len(text))
	out = append(append(append(out, l[:s.start]...), text...), l[s.end:]...)
	d.lines[s.line] = out
	return slot{s.line, s.start, s.start + len(text)}
}

// keyLine reads `  - key: value  # comment`. at is the slot of the value, dash
// tells whether the line begins a list item.
func (d *document) keyLine(i int) (key string, at slot, dash, ok bool) {
	line := string(d.lines[i])
	body := strings.TrimRight(line, " \t\r\n")
	p := skipBlank(body, 0)
	if i == 0 && strings.HasPrefix(body, bom) {
		p = skipBlank(body, len(bom))
	}
	if p < len(body) && body[p] == '-' {
		dash, p = true, skipBlank(body, p+1)
	}
	k := p
	for k < len(body) && isKeyByte(body[k]) {
		k++
	}
	colon := skipBlank(body, k)
	if k == p || colon >= len(body) || body[colon] != ':' {
		return "", slot{}, dash, false
	}
	start := skipBlank(body, colon+1)
	end := len(body)
	if c := strings.Index(body[start:], " #"); c >= 0 {
		end = start + len(strings.TrimRight(body[start:start+c], " \t"))
	}
	if strings.HasPrefix(body[start:end], "#") {
		end = start
	}
	if start == end { // an empty value: one blank after the colon, where there is one
		start = min(colon+2, len(strings.TrimRight(line, "\r\n")))
		end = start
	}
	return strings.ToLower(body[p:k]), unquote(body, slot{i, start, end}), dash, true
}

func unquote(body string, s slot) slot {
	if s.end-s.start >= 2 && (body[s.start] == '"' || body[s.start] == '\'') && body[s.end-1] == body[s.start] {
		return slot{s.line, s.start + 1, s.end - 1}
	}
	return s
}

func skipBlank(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

func isKeyByte(c byte) bool {
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

const bom = "\xef\xbb\xbf"
