package scatter

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
)

// Limits of what is read.
const (
	MaxFile       = 1 << 20 // bytes; real files have 64 KiB at most
	MaxPartitions = 1024    // real files have 57 at most
	maxAddress    = 1 << 60 // bytes; keeps sums of two addresses inside int64
)

// Parse reads a scatter file. name is its file name: errors and findings show
// it, and the brace form takes chip and storage from it. Oddities are no errors,
// they are kept for [Check]. The error is of class ErrFormat where the bytes are
// no scatter, and ErrDamaged where an address cannot be read.
func Parse(b []byte, name string) (*Layout, error) {
	fail := func(off int64, found, want string) (*Layout, error) {
		return nil, &mtkport.Error{File: name, Off: off, Field: "scatter", Found: found, Want: want, Err: mtkport.ErrFormat}
	}
	switch {
	case len(b) > MaxFile:
		return fail(mtkport.NoOffset, fmt.Sprintf("%d bytes", len(b)), fmt.Sprintf("at most %d", MaxFile))
	case bytes.HasPrefix(bytes.TrimLeft(b, bom+" \r\n\t"), []byte("<?xml")):
		return fail(0, "XML, the form of chips after MT6572's time", "the form with braces, or V1.1")
	case bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")):
		return fail(0, "UTF-16 text", "plain text (save it as UTF-8 or ASCII)")
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return fail(int64(i), "a zero byte", "text")
	}
	l := &Layout{File: name, doc: newDocument(b)}
	read := l.readBraces
	if l.isKeyed() {
		read = l.readKeys
	}
	if err := read(); err != nil {
		return nil, mtkport.InFile(err, name)
	}
	if len(l.Partitions) == 0 {
		return fail(0, "no partition", "a scatter file: partition_index entries, or NAME 0x… { }")
	}
	l.nameSays()
	l.finish()
	return l, nil
}

func (l *Layout) isKeyed() bool {
	for i := range l.doc.lines {
		if key, _, _, ok := l.doc.keyLine(i); ok && (key == "partition_index" || key == "partition_name" || key == "general") {
			return true
		}
	}
	return false
}

// infoKeys are the keys of the general section.
var infoKeys = map[string]bool{"general": true, "info": true, "config_version": true, "platform": true, "project": true, "boot_channel": true, "block_size": true}

// section is one layout of a V2 file, which holds one for each storage that the
// board may bear.
type section struct {
	storage     string
	first, last int // lines; last is the one after
}

func (l *Layout) sections() (out []section) {
	for i := range l.doc.lines {
		if key, at, _, ok := l.doc.keyLine(i); ok && key == "storage_type" {
			if len(out) > 0 {
				out[len(out)-1].last = i
			}
			out = append(out, section{strings.ToUpper(l.doc.text(at)), i, len(l.doc.lines)})
		}
	}
	return out
}

// chooseSection takes the layout that this package knows, else the first. It
// returns what to skip.
func (l *Layout) chooseSection() func(line int) bool {
	all := l.sections()
	use := max(0, slices.IndexFunc(all, func(s section) bool { return s.storage == EMMC || s.storage == NAND }))
	if len(all) == 0 {
		return func(int) bool { return false }
	}
	for i, s := range all {
		if i != use && len(l.others) < maxOthers && !slices.Contains(l.others, s.storage) {
			l.others = append(l.others, s.storage)
		}
	}
	in := all[use]
	return func(line int) bool { return line >= all[0].first && (line <= in.first || line >= in.last) }
}

// maxOthers bounds what is told of further layouts; real files have one.
const maxOthers = 8

// readKeys reads the YAML-like forms line by line, as the flash tool does, so
// broken indentation does not matter.
func (l *Layout) readKeys() error {
	seen, skip := map[string]bool{}, l.chooseSection()
	for i := range l.doc.lines {
		if skip(i) {
			continue
		}
		key, at, dash, ok := l.doc.keyLine(i)
		if !ok {
			l.oddLine(i)
			continue
		}
		inPart := len(l.doc.parts) > 0
		switch {
		case !inPart && (key == "general" || key == "info") && strings.HasPrefix(l.Version, "V2"): // again, at the head of a layout
			continue
		case infoKeys[key] || (key == "storage" && !inPart) || (!inPart && !dash && !strings.HasPrefix(key, "partition_")):
			if err := l.setInfo(key, at); err != nil {
				return err
			}
			continue
		case key == "partition_index" && seen[key], dash && (seen["linear_start_addr"] || strings.HasPrefix(key, "partition_")), !inPart:
			if len(l.doc.parts) == MaxPartitions {
				return &mtkport.Error{Off: l.doc.offset(at), Field: key, Found: "one more partition", Want: fmt.Sprintf("at most %d", MaxPartitions), Err: mtkport.ErrFormat}
			}
			l.doc.parts = append(l.doc.parts, map[string]slot{})
			seen = map[string]bool{}
		}
		if seen[key] {
			l.problem("key-twice", mtkport.Risk, at, fmt.Sprintf("%s stands twice in one entry; the first counts", key))
			continue
		}
		seen[key] = true
		l.doc.parts[len(l.doc.parts)-1][key] = at
	}
	return l.fillPartitions()
}

func (l *Layout) setInfo(key string, at slot) error {
	if _, twice := l.doc.info[key]; twice {
		l.problem("key-twice", mtkport.Risk, at, key+" stands twice in the general section; the first counts")
		return nil
	}
	l.doc.info[key] = at
	v := l.doc.text(at)
	switch key {
	case "config_version":
		l.Version = v
	case "platform":
		l.Platform = strings.ToUpper(v)
	case "project":
		l.Project = v
	case "storage":
		l.Storage = strings.TrimPrefix(strings.ToUpper(v), "HW_STORAGE_")
	case "boot_channel":
		l.BootChannel = v
	case "block_size":
		n, err := number(v)
		if err != nil {
			l.problem("number-unreadable", mtkport.Risk, at, fmt.Sprintf("block_size %q is no number", v))
		}
		l.BlockSize = n
	}
	return nil
}

// oddLine reports text that is neither comment nor key.
func (l *Layout) oddLine(i int) {
	t := strings.TrimPrefix(string(l.doc.lines[i]), bom)
	if t = strings.TrimSpace(t); t != "" && !strings.HasPrefix(t, "#") && !strings.HasPrefix(t, "//") && t != "---" && t != "..." {
		l.problem("line-unread", mtkport.Risk, slot{line: i, end: len(l.doc.lines[i])}, fmt.Sprintf("line %d is neither a comment nor a key: %.60q", i+1, t))
	}
}

func (l *Layout) problem(code string, s mtkport.Severity, at slot, text string) {
	l.problems = append(l.problems, mtkport.Finding{Code: code, Severity: s, Text: text,
		Evidence: []mtkport.Evidence{{File: l.File, Off: mtkport.At(l.doc.offset(at)), Value: strings.TrimSpace(l.doc.text(at))}}})
}

func (l *Layout) fillPartitions() error {
	for i := range l.doc.parts {
		p, err := l.partition(i)
		if err != nil {
			return err
		}
		l.Partitions = append(l.Partitions, p)
	}
	if l.Storage == "" {
		for _, p := range l.Partitions {
			if s := strings.TrimPrefix(strings.ToUpper(p.Storage), "HW_STORAGE_"); s != "" && s != "NONE" {
				l.Storage = s
				break
			}
		}
	}
	return nil
}

// partition reads the values of entry i.
func (l *Layout) partition(i int) (Partition, error) {
	f := fields{l: l, slots: l.doc.parts[i]}
	p := Partition{
		Index: f.text("partition_index"), Name: f.text("partition_name"), RawRegion: f.text("region"),
		Type: f.text("type"), Storage: f.text("storage"), Operation: f.text("operation_type"),
		Linear: f.address("linear_start_addr", true), Physical: f.address("physical_start_addr", false), Size: f.address("partition_size", true),
		Download: f.truth("is_download", true), Boundary: f.truth("boundary_check", false), Reserved: f.truth("is_reserved", false),
	}
	_, p.HasFileName = f.slots["file_name"]
	if p.File = f.text("file_name"); strings.EqualFold(p.File, "NONE") {
		p.File = ""
	}
	for _, key := range l.keysOf(i) {
		if !fieldKeys[key] {
			p.Extra = append(p.Extra, KeyValue{key, f.text(key)})
		}
	}
	return p, f.err
}

// ptgenKeys is the order in which the generator writes an entry, and the flash
// tool wants to read it.
var ptgenKeys = []string{"partition_index", "partition_name", "file_name", "is_download", "type", "linear_start_addr", "physical_start_addr",
	"partition_size", "region", "storage", "boundary_check", "is_reserved", "operation_type", "reserve"}

var fieldKeys = func() map[string]bool {
	m := map[string]bool{}
	for _, k := range ptgenKeys {
		m[k] = true
	}
	return m
}()

// keysOf lists the keys of entry i as they stand in the file.
func (l *Layout) keysOf(i int) []string {
	slots := l.doc.parts[i]
	keys := make([]string, 0, len(slots))
	for k := range slots {
		keys = append(keys, k)
	}
	sortBy(keys, func(k string) int { return slots[k].line })
	return keys
}

type fields struct {
	l     *Layout
	slots map[string]slot
	err   error
}

func (f *fields) text(key string) string {
	if s, ok := f.slots[key]; ok {
		return f.l.doc.text(s)
	}
	return ""
}

// address reads a number. Without a required one nothing can be said of the
// entry, so that is an error; others are reported and read as 0.
func (f *fields) address(key string, required bool) int64 {
	s, ok := f.slots[key]
	n, err := number(f.text(key))
	switch {
	case ok && err == nil:
		return n
	case !required && !ok:
		return 0
	case !required:
		f.l.problem("number-unreadable", mtkport.Risk, s, fmt.Sprintf("%s of %s is no address: %q", key, f.text("partition_name"), f.text(key)))
		return 0
	case f.err != nil:
		return 0
	case !ok:
		f.err = &mtkport.Error{Off: f.l.doc.lineOffset(f.firstLine()), Field: f.text("partition_name") + " " + key, Found: "no such key", Want: "an address in bytes", Err: mtkport.ErrDamaged}
	default:
		f.err = &mtkport.Error{Off: f.l.doc.offset(s), Field: f.text("partition_name") + " " + key, Found: fmt.Sprintf("%.40q", f.text(key)),
			Want: "a number below 0x1000000000000000", Err: mtkport.ErrDamaged}
	}
	return 0
}

func (f *fields) firstLine() int {
	first := -1
	for _, s := range f.slots {
		if first < 0 || s.line < first {
			first = s.line
		}
	}
	return max(first, 0)
}

func (f *fields) truth(key string, doubt bool) bool {
	s, ok := f.slots[key]
	switch strings.ToLower(f.text(key)) {
	case "true", "yes", "1":
		return true
	case "false", "no", "0":
		return false
	}
	if ok {
		f.l.problem("value-unreadable", mtkport.Risk, s, fmt.Sprintf("%s of %s is neither true nor false: %q; taken as %v", key, f.text("partition_name"), f.text(key), doubt))
		return doubt
	}
	return false
}

// number reads hex with 0x, or decimal.
func number(s string) (int64, error) {
	if strings.ContainsAny(s, "_+-") {
		return 0, strconv.ErrSyntax
	}
	base, digits := 10, s
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		base, digits = 16, s[2:]
	}
	n, err := strconv.ParseInt(digits, base, 64)
	if err == nil && n >= maxAddress {
		err = strconv.ErrRange
	}
	return n, err
}

var chipName = regexp.MustCompile(`(?i)MT\d{4}`)

// nameSays takes chip and storage from the file name where the text has none.
func (l *Layout) nameSays() {
	base := strings.ToLower(filepath.Base(strings.ReplaceAll(l.File, `\`, "/")))
	if l.Platform == "" {
		l.Platform = strings.ToUpper(chipName.FindString(base))
	}
	if l.Storage != "" {
		return
	}
	l.Storage = NAND
	for _, p := range l.Partitions {
		switch c, _ := identity.Classify(p.Name); c { // no NAND has such a table
		case "mbr", "ebr1", "pgpt", "sgpt":
			l.Storage = EMMC
		}
	}
	if strings.Contains(base, "emmc") {
		l.Storage = EMMC
	}
}
