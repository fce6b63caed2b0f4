package kernel

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Build is the kernel's banner, taken apart. Empty fields are not in it.
type Build struct {
	Text     string    `json:"text"`     // the whole line, without the newline
	Off      int64     `json:"offset"`   // in the unpacked kernel, bytes
	Release  string    `json:"release"`  // 3.4.67; it may hold spaces
	User     string    `json:"user"`     // who built it
	Host     string    `json:"host"`     // and where
	Compiler string    `json:"compiler"` // gcc version …
	Number   int       `json:"number"`   // the N of #N
	SMP      bool      `json:"smp"`
	Preempt  bool      `json:"preempt"`
	Time     string    `json:"time"` // as written
	When     time.Time `json:"when"` // zero when the zone or the form is unknown
}

// maxBanner is more than any banner: releases end at 64 bytes, the rest of the
// line is a compiler's name and a date.
const maxBanner = 512

// findBanner returns the first whole banner in b that begins at at or behind it.
func findBanner(b []byte, at int) (Build, bool) {
	for {
		n := bytes.Index(b[at:], []byte(bannerPrefix))
		if n < 0 {
			return Build{}, false
		}
		at += n
		line := b[at:min(len(b), at+maxBanner)]
		if end := bytes.IndexAny(line, "\n\x00"); end >= 0 {
			if build, ok := parseBanner(string(line[:end])); ok {
				build.Off = int64(at)
				return build, true
			}
		}
		at += len(bannerPrefix)
	}
}

// bannerForm is `Linux version R (user@host) (compiler) #N … date`. R may hold
// spaces and an @, user may hold spaces.
var bannerForm = regexp.MustCompile(`^Linux version ([0-9].*?) \(([^()]*?)@([^()]*)\) \((.*)\) #(.*)$`)

// bannerOdd is the same with brackets in the names: R ends at the last ` (`
// before the first @.
var bannerOdd = regexp.MustCompile(`^Linux version ([0-9][^@]*) \(([^@]*)@(.*?)\) \((.*)\) #(.*)$`)

// parseBanner takes a banner apart.
func parseBanner(text string) (Build, bool) {
	for _, form := range []*regexp.Regexp{bannerForm, bannerOdd} {
		if m := form.FindStringSubmatch(text); m != nil {
			b := Build{Text: text, Release: m[1], User: m[2], Host: m[3], Compiler: strings.TrimSpace(m[4])}
			b.parseVersion(m[5])
			return b, true
		}
	}
	return Build{}, false
}

// parseVersion reads what follows the `#`: number, SMP, PREEMPT, date.
func (b *Build) parseVersion(s string) {
	num, rest, _ := strings.Cut(s, " ")
	b.Number, _ = strconv.Atoi(num)
	for {
		word, after, _ := strings.Cut(rest, " ")
		switch word {
		case "SMP":
			b.SMP = true
		case "PREEMPT":
			b.Preempt = true
		default:
			b.Time = rest
			b.When = parseBuildTime(rest)
			return
		}
		rest = after
	}
}

// parseBuildTime knows the form of date(1) and the zones whose offset is plain.
// CST is China's on these kernels, not Chicago's: all of them were built there.
func parseBuildTime(s string) time.Time {
	zones := map[string]int{"UTC": 0, "GMT": 0, "CST": 8, "CET": 1, "CEST": 2, "MSK": 3, "EET": 2, "EEST": 3, "IST": 0, "EDT": -4, "EST": -5, "AST": -4}
	f := strings.Fields(s)
	if len(f) != 6 {
		return time.Time{}
	}
	hours, ok := zones[f[4]]
	if !ok {
		return time.Time{}
	}
	offset := time.Duration(hours) * time.Hour
	if f[4] == "IST" { // India, not Israel or Ireland
		offset = 5*time.Hour + 30*time.Minute
	}
	t, err := time.Parse("Jan 2 15:04:05 2006", strings.Join([]string{f[1], f[2], f[3], f[5]}, " "))
	if err != nil {
		return time.Time{}
	}
	return t.Add(-offset).UTC()
}

// findVermagic returns the string that every module of this kernel carries.
// It stands at at or behind it.
func findVermagic(b []byte, at int) string {
	for {
		n := bytes.Index(b[at:], []byte("mod_unload "))
		if n < 0 {
			return ""
		}
		at += n
		start := at
		for start > 0 && at-start < 128 && b[start-1] >= ' ' && b[start-1] <= '~' {
			start--
		}
		if s, ok := textAt(b, start, 192); ok && s[0] >= '0' && s[0] <= '9' && strings.Contains(s, ".") {
			return s
		}
		at++
	}
}
