package sysimg

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"
)

// reserved reports whether Windows keeps a name for a device; an extension does
// not free it.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '1' && stem[3] <= '9'
}

// escape writes bytes that are not text, and those in special, as %XX.
func escape(s, special string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r < 0x20 || r == 0x7F || r == '%' || strings.ContainsRune(special, r) {
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// unescape undoes escape; what is no %XX stays.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// diskName is the form of a name that every system's disks take.
func diskName(name string) string {
	s := escape(name, `<>:"|?*\/`)
	if last := s[len(s)-1]; last == '.' || last == ' ' {
		s = s[:len(s)-1] + fmt.Sprintf("%%%02X", last)
	}
	if reserved(s) {
		s = fmt.Sprintf("%%%02X", s[0]) + s[1:]
	}
	if len(s) > 255 {
		s = fmt.Sprintf("%s%%~%08x", cutText(s, 200), crc32.ChecksumIEEE([]byte(name)))
	}
	return s
}

// cutText shortens s to at most n bytes, not inside a letter.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// diskNames gives each name of a directory its own name on a disk that knows no
// case.
func diskNames(names []string) map[string]string {
	out, used := make(map[string]string, len(names)), make(map[string]bool, len(names))
	for _, name := range names {
		s := diskName(name)
		free := s
		for i := 1; used[strings.ToLower(free)]; i++ {
			tail := fmt.Sprintf("%%~%d", i)
			free = cutText(s, 255-len(tail)) + tail
		}
		used[strings.ToLower(free)] = true
		out[name] = free
	}
	return out
}

// Printable is a path fit for JSON and terminals: bytes that are no text, and %,
// become %XX.
func Printable(path string) string { return escape(path, "") }
