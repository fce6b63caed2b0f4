package rom

import (
	"fmt"
	"strconv"
	"strings"

	"mtkport"
)

// Edify is the language of an OTA package's updater-script. This is a reader of
// it: strings, bare words, calls, + && || ! == !=, if/then/else/endif, comments.
// Grammar after bootable/recovery/edify (Android 4.2 to 5.1).

const (
	maxScript = 4 << 20 // bytes; real scripts stay under 200 KiB
	maxNest   = 200     // depth of calls and parentheses
)

// expr is a node of a script. Kind is one of: "str" (text), "call" (text is the
// function), an operator, "if", ";".
type expr struct {
	kind string
	text string
	args []expr
	line int
}

type token struct {
	kind string // "str", "word", or the operator itself; "" at the end
	text string
	line int
}

type edifyParser struct {
	src  string
	pos  int
	line int
	tok  token
	nest int
	name string
}

// parseScript reads a whole script.
func parseScript(src, name string) (expr, error) {
	p := &edifyParser{src: src, line: 1, name: name}
	if len(src) > maxScript {
		return expr{}, p.fault(fmt.Sprintf("%d bytes", len(src)), fmt.Sprintf("at most %d", maxScript))
	}
	if err := p.next(); err != nil {
		return expr{}, err
	}
	e, err := p.sequence()
	if err == nil && p.tok.kind != "" {
		err = p.fault(quoteToken(p.tok), "an operator or the end")
	}
	return e, err
}

func quoteToken(t token) string {
	if t.kind == "" {
		return "the end"
	}
	return strconv.Quote(t.text)
}

func (p *edifyParser) fault(found, want string) error {
	return &mtkport.Error{File: p.name, Off: mtkport.NoOffset, Field: fmt.Sprintf("line %d", p.line), Found: found, Want: want, Err: mtkport.ErrDamaged}
}

func (p *edifyParser) next() error {
	p.skipBlanks()
	p.tok = token{line: p.line}
	if p.pos >= len(p.src) {
		return nil
	}
	if p.src[p.pos] == '"' {
		return p.str()
	}
	for _, op := range []string{"==", "!=", "&&", "||", "!", "+", "(", ")", ",", ";"} {
		if strings.HasPrefix(p.src[p.pos:], op) {
			p.pos += len(op)
			p.tok.kind, p.tok.text = op, op
			return nil
		}
	}
	start := p.pos
	for p.pos < len(p.src) && isWord(p.src[p.pos]) {
		p.pos++
	}
	if p.pos == start {
		return p.fault(strconv.Quote(p.src[p.pos:p.pos+1]), "a string, a word or an operator")
	}
	p.tok.kind, p.tok.text = "word", p.src[start:p.pos]
	return nil
}

func isWord(c byte) bool {
	return c == '_' || c == ':' || c == '/' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *edifyParser) skipBlanks() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '\n':
			p.line++
			p.pos++
		case c == ' ' || c == '\t' || c == '\r' || c == 0xef || c == 0xbb || c == 0xbf: // a BOM too
			p.pos++
		case c == '#':
			for p.pos < len(p.src) && p.src[p.pos] != '\n' {
				p.pos++
			}
		default:
			return
		}
	}
}

func (p *edifyParser) str() error {
	var b strings.Builder
	start := p.line
	for i := p.pos + 1; i < len(p.src); i++ {
		switch c := p.src[i]; c {
		case '"':
			p.pos = i + 1
			p.tok = token{kind: "str", text: b.String(), line: start}
			return nil
		case '\\':
			n := unescape(&b, p.src[i+1:])
			if n == 0 {
				return p.fault("a bad escape", `\n, \t, \", \\ or \xNN`)
			}
			i += n
		case '\n':
			p.line++
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	p.line = start
	return p.fault("a string without end", `"`)
}

// unescape writes what follows a backslash and says how many bytes it took.
func unescape(b *strings.Builder, s string) int {
	if s == "" {
		return 0
	}
	if c, ok := map[byte]byte{'n': '\n', 't': '\t', '"': '"', '\\': '\\'}[s[0]]; ok {
		b.WriteByte(c)
		return 1
	}
	if s[0] == 'x' && len(s) >= 3 {
		if v, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			b.WriteByte(byte(v))
			return 3
		}
	}
	return 0
}

// sequence: expr ; expr ; …
func (p *edifyParser) sequence() (expr, error) {
	seq := expr{kind: ";", line: p.tok.line}
	for {
		for p.tok.kind == ";" {
			if err := p.next(); err != nil {
				return seq, err
			}
		}
		if p.tok.kind == "" || p.tok.kind == ")" || p.tok.kind == "word" && isKeyword(p.tok.text) && p.tok.text != "if" {
			return seq, nil
		}
		e, err := p.binary(0)
		if err != nil {
			return seq, err
		}
		seq.args = append(seq.args, e)
		if p.tok.kind != ";" {
			return seq, nil
		}
	}
}

func isKeyword(s string) bool { return s == "if" || s == "then" || s == "else" || s == "endif" }

// Operators from the loosest to the tightest.
var precedence = [][]string{{"||"}, {"&&"}, {"==", "!="}, {"+"}}

func (p *edifyParser) binary(level int) (expr, error) {
	if level == len(precedence) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil && oneOf(p.tok.kind, precedence[level]) {
		op := p.tok
		if err = p.next(); err != nil {
			break
		}
		var right expr
		right, err = p.binary(level + 1)
		left = expr{kind: op.kind, args: []expr{left, right}, line: op.line}
	}
	return left, err
}

func oneOf(s string, list []string) bool {
	for _, x := range list {
		if s == x {
			return true
		}
	}
	return false
}

func (p *edifyParser) unary() (expr, error) {
	if p.nest++; p.nest > maxNest {
		return expr{}, p.fault("calls nested too deep", fmt.Sprintf("at most %d", maxNest))
	}
	defer func() { p.nest-- }()
	t := p.tok
	if err := p.next(); err != nil {
		return expr{}, err
	}
	switch {
	case t.kind == "!":
		e, err := p.unary()
		return expr{kind: "!", args: []expr{e}, line: t.line}, err
	case t.kind == "(":
		e, err := p.sequence()
		if err == nil {
			err = p.expect(")")
		}
		return e, err
	case t.kind == "word" && t.text == "if":
		return p.conditional(t.line)
	case t.kind == "word" && p.tok.kind == "(":
		return p.call(t)
	case t.kind == "str" || t.kind == "word" && !isKeyword(t.text):
		return expr{kind: "str", text: t.text, line: t.line}, nil
	}
	return expr{}, p.fault(quoteToken(t), "an expression")
}

func (p *edifyParser) expect(kind string) error {
	if p.tok.kind != kind && !(p.tok.kind == "word" && p.tok.text == kind) {
		return p.fault(quoteToken(p.tok), strconv.Quote(kind))
	}
	return p.next()
}

func (p *edifyParser) call(name token) (expr, error) {
	e := expr{kind: "call", text: name.text, line: name.line}
	if err := p.next(); err != nil { // (
		return e, err
	}
	for p.tok.kind != ")" {
		a, err := p.sequence()
		if err != nil {
			return e, err
		}
		e.args = append(e.args, a)
		if p.tok.kind == "," {
			if err := p.next(); err != nil {
				return e, err
			}
			continue
		}
		if p.tok.kind != ")" {
			return e, p.fault(quoteToken(p.tok), `"," or ")"`)
		}
	}
	return e, p.next()
}

func (p *edifyParser) conditional(line int) (expr, error) {
	e := expr{kind: "if", line: line}
	for _, end := range []string{"then", "else"} {
		a, err := p.sequence()
		if err != nil {
			return e, err
		}
		e.args = append(e.args, a)
		if end == "else" && p.tok.text == "endif" {
			return e, p.expect("endif")
		}
		if err := p.expect(end); err != nil {
			return e, err
		}
	}
	a, err := p.sequence()
	if err != nil {
		return e, err
	}
	e.args = append(e.args, a)
	return e, p.expect("endif")
}
