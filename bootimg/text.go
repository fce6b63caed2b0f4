package bootimg

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a byte string of a header in readable form: printable UTF-8 stands
// for itself, every other byte is \xNN and a backslash is \\, so any bytes
// survive YAML and JSON.
type Text string

// MarshalText escapes.
func (t Text) MarshalText() ([]byte, error) { return t.escape(), nil }

// UnmarshalText undoes the escapes; a wrong escape is an error.
func (t *Text) UnmarshalText(b []byte) error {
	s, err := unescape(string(b))
	*t = Text(s)
	return err
}

func (t Text) escape() []byte {
	var b []byte
	for s := string(t); s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\':
			b = append(b, `\\`...)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for i := range n {
				b = fmt.Appendf(b, `\x%02x`, s[i])
			}
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return b
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		switch {
		case strings.HasPrefix(s, `\\`):
			b.WriteByte('\\')
			s = s[2:]
		case strings.HasPrefix(s, `\x`) && len(s) >= 4:
			c, err := hex.DecodeString(s[2:4])
			if err != nil {
				return "", fmt.Errorf("escape %q: want \\xNN", s[:4])
			}
			b.Write(c)
			s = s[4:]
		default:
			return "", fmt.Errorf(`escape in %q: want \\ or \xNN`, s)
		}
	}
	return b.String(), nil
}
