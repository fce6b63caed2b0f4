package ramdisk

import (
	"encoding/hex"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"mtkport"
)

// The names in an unpacked folder.
const (
	SideFile   = "ramdisk.yaml" // what a disk cannot keep
	TreeFolder = "root"         // the files
	streamFile = "stream.bin"   // the original stream, for when nothing changed
	tailFile   = "tail.bin"     // what followed it
)

// side is the side file. All that is left out is as mkbootfs and minigzip have
// it, so that of a stock ramdisk little more than names and modes is listed.
type side struct {
	Version     int           `yaml:"mtkport-ramdisk"`
	Compression Compression   `yaml:"compression"`
	Level       int           `yaml:"level"`
	GzipHeader  string        `yaml:"gzip_header"` // hex, when it is not minigzip's
	Stream      string        `yaml:"stream"`      // file; it may be deleted
	Tail        string        `yaml:"tail"`        // file
	Hex         string        `yaml:"hex"`         // upper; lower when left out
	Archives    []sideArchive `yaml:"archives"`
	Rest        string        `yaml:"rest"` // hex
}

// sideArchive is one of the archives in a row.
type sideArchive struct {
	FirstIno *uint32     `yaml:"first_ino"`
	Entries  []sideEntry `yaml:"entries"`
	Trailer  *sideEntry  `yaml:"trailer"`
	None     bool        `yaml:"no_trailer"`
	Pad      *int64      `yaml:"pad"` // the gap fills up to this; 256 when left out
	Gap      string      `yaml:"gap"` // hex, or "N zeros"
}

// sideEntry is one entry. Fields that are left out: type file, owner 0:0, mtime
// 0, the next inode, one link, no device numbers.
type sideEntry struct {
	Path     string            `yaml:"path"`
	NameHex  string            `yaml:"name_hex"` // of a name that is no plain text, NUL included
	Type     string            `yaml:"type"`
	Mode     string            `yaml:"mode"` // octal
	UID      uint32            `yaml:"uid"`
	GID      uint32            `yaml:"gid"`
	MTime    uint32            `yaml:"mtime"`
	Rdev     []uint32          `yaml:"rdev"`
	Target   string            `yaml:"target"`
	DataHex  string            `yaml:"data_hex"` // content of what is neither file nor plain link
	Disk     string            `yaml:"disk"`     // path below root/, when it is not the entry's own
	HardLink string            `yaml:"hardlink"` // path of the name that carries the content
	Ino      *uint32           `yaml:"ino"`
	NLink    *uint32           `yaml:"nlink"`
	Dev      []uint32          `yaml:"dev"`
	Check    *uint32           `yaml:"check"`
	Magic    string            `yaml:"magic"`
	Raw      map[string]string `yaml:"raw"` // header fields whose digits are written otherwise
	NamePad  *string           `yaml:"name_pad"`
	DataPad  *string           `yaml:"data_pad"`
}

// maxSide bounds the side file: 20 times that of the largest recovery seen.
const maxSide = 16 << 20

func parseSide(b []byte) (*side, error) {
	s := &side{}
	if err := mtkport.ParseYAML(b, s); err != nil {
		return nil, &mtkport.Error{File: SideFile, Off: mtkport.NoOffset, Found: err.Error(),
			Want: "the form that `ramdisk unpack` writes", Err: mtkport.ErrDamaged}
	}
	if s.Version != 1 {
		return nil, &mtkport.Error{File: SideFile, Off: mtkport.NoOffset, Field: "mtkport-ramdisk", Found: fmt.Sprint(s.Version),
			Want: "1", Err: mtkport.ErrUnsupported}
	}
	return s, nil
}

const sideHead = `# What a disk cannot keep of this ramdisk. Edit it, and the files in root/, then
# make the ramdisk with "mtkport ramdisk pack". Links and device nodes are
# these lines: delete one to drop it. Left out: type file, owner 0:0, mtime 0.
`

// writeTo writes the side file, one entry a line, for people to edit.
func (s *side) writeTo(w io.Writer) error {
	p := &posWriter{w: w}
	fmt.Fprintf(p, "%smtkport-ramdisk: %d\ncompression: %s\n", sideHead, s.Version, s.Compression)
	if s.Level > 0 {
		fmt.Fprintf(p, "level: %d\n", s.Level)
	}
	for _, f := range []struct{ key, v string }{{"gzip_header", s.GzipHeader}, {"stream", s.Stream}, {"tail", s.Tail}, {"hex", s.Hex}, {"rest", s.Rest}} {
		if f.v != "" {
			fmt.Fprintf(p, "%s: %q\n", f.key, f.v)
		}
	}
	fmt.Fprintf(p, "archives:\n")
	for _, a := range s.Archives {
		a.write(p)
	}
	return p.err
}

func (a *sideArchive) write(w io.Writer) {
	lead := "- "
	line := func(format string, args ...any) {
		fmt.Fprintf(w, lead+format+"\n", args...)
		lead = "  "
	}
	if a.FirstIno != nil {
		line("first_ino: %d", *a.FirstIno)
	}
	switch {
	case a.None:
		line("no_trailer: true")
	case a.Trailer != nil:
		line("trailer: %s", a.Trailer)
	}
	if a.Pad != nil {
		line("pad: %d", *a.Pad)
	}
	if a.Gap != "" {
		line("gap: %q", a.Gap)
	}
	if len(a.Entries) == 0 {
		line("entries: []")
		return
	}
	line("entries:")
	for _, e := range a.Entries {
		line("- %s", &e)
	}
}

// String is the entry as a YAML flow map.
func (e *sideEntry) String() string {
	var f []string
	text := func(key, v string) {
		if v != "" {
			f = append(f, key+": "+quote(v))
		}
	}
	num := func(key string, v *uint32) {
		if v != nil {
			f = append(f, fmt.Sprintf("%s: %d", key, *v))
		}
	}
	pair := func(key string, v []uint32) {
		if v != nil {
			f = append(f, fmt.Sprintf("%s: [%d, %d]", key, v[0], v[1]))
		}
	}
	text("path", e.Path)
	text("name_hex", e.NameHex)
	text("type", e.Type)
	text("mode", e.Mode)
	for _, o := range []struct {
		key string
		v   uint32
	}{{"uid", e.UID}, {"gid", e.GID}, {"mtime", e.MTime}} {
		if o.v != 0 {
			num(o.key, &o.v)
		}
	}
	pair("rdev", e.Rdev)
	text("target", e.Target)
	text("data_hex", e.DataHex)
	text("disk", e.Disk)
	text("hardlink", e.HardLink)
	num("ino", e.Ino)
	num("nlink", e.NLink)
	pair("dev", e.Dev)
	num("check", e.Check)
	text("magic", e.Magic)
	if len(e.Raw) > 0 {
		f = append(f, "raw: "+flowMap(e.Raw))
	}
	pad := func(key string, v *string) {
		if v != nil {
			f = append(f, key+": "+strconv.Quote(*v))
		}
	}
	pad("name_pad", e.NamePad)
	pad("data_pad", e.DataPad)
	return "{" + strings.Join(f, ", ") + "}"
}

func flowMap(m map[string]string) string {
	var f []string
	for k, v := range m {
		f = append(f, k+": "+strconv.Quote(v))
	}
	sort.Strings(f)
	return "{" + strings.Join(f, ", ") + "}"
}

// quote writes a string plain when YAML cannot take it for anything else.
func quote(s string) string {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789._/-+", c)) {
			return strconv.Quote(s)
		}
	}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return strconv.Quote(s)
	}
	return s
}

// plain reports whether YAML and a terminal can show s as it is.
func plain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0
}

// hexField decodes a hex string of the side file.
func hexField(key, s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, sideError(key, strconv.Quote(s), "pairs of hex digits")
	}
	return b, nil
}

func sideError(field, found, want string) error {
	return &mtkport.Error{File: SideFile, Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrDamaged}
}
