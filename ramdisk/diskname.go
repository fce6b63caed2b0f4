package ramdisk

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// namer gives each entry a place in a folder that any system can keep: every
// part of its path is one plain name, and no two differ only in case. Archives
// name what they like; what a disk cannot keep is written otherwise, and the
// side file says which is which.
type namer struct {
	dirs map[string]string // folder on disk + "\x00" + part as archived → part on disk
	used map[string]bool   // lower-cased paths on disk
}

func newNamer() *namer {
	return &namer{dirs: map[string]string{}, used: map[string]bool{}}
}

// place returns the path on disk for an entry, "." for the root itself. A file
// that has the root's name lies in it.
func (n *namer) place(name string, dir bool) string {
	var parts []string
	for _, p := range strings.Split(name, "/") {
		if p != "" && p != "." {
			parts = append(parts, p)
		}
	}
	at := "."
	for i, p := range parts {
		at = n.child(at, p, dir || i < len(parts)-1)
	}
	if at == "." && !dir {
		return n.child(at, "%2e", false)
	}
	return at
}

// child returns the path of part in the folder at. A folder is the same place
// each time; a file takes a new one.
func (n *namer) child(at, part string, dir bool) string {
	key := at + "\x00" + part
	if d, ok := n.dirs[key]; ok && dir {
		return d
	}
	safe := safePart(part)
	path := join(at, safe)
	for i := 2; n.used[strings.ToLower(path)]; i++ {
		path = join(at, fmt.Sprintf("%s~%d", safe, i))
	}
	n.used[strings.ToLower(path)] = true
	if dir {
		n.dirs[key] = path
	}
	return path
}

func join(at, part string) string {
	if at == "." {
		return part
	}
	return at + "/" + part
}

// maxPart keeps names on disk below the 255 bytes of all file systems, with room
// for a suffix.
const maxPart = 200

// safePart writes one part of a path so that Windows, macOS and Linux keep it:
// what one of them cannot keep becomes %XX.
func safePart(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f, strings.ContainsRune(`<>:"|?*\`, r),
			(r == '.' || r == ' ') && i+n == len(s), i == 0 && reserved(s):
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, "%%%02x", c)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	if out := b.String(); len(out) <= maxPart {
		return out
	}
	cut := strings.ToValidUTF8(b.String()[:maxPart-9], "")
	return fmt.Sprintf("%s~%08x", cut, sum32(s))
}

// sum32 is FNV-1a: it tells cut names apart.
func sum32(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// reserved reports whether Windows takes s for a device, whatever its extension.
func reserved(s string) bool {
	base, _, _ := strings.Cut(strings.ToUpper(s), ".")
	base = strings.TrimRight(base, " ")
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	return len(base) == 4 && (base[:3] == "COM" || base[:3] == "LPT") && base[3] >= '0' && base[3] <= '9'
}
