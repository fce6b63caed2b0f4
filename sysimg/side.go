package sysimg

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Names in an extracted folder.
const (
	SideName  = "sysimg.json" // what a disk cannot keep
	FilesName = "files"       // the tree
)

const (
	sideVersion = 1
	maxSide     = 512 << 20 // bytes of a side file that is read: a million entries
)

// sideFile is sysimg.json.
type sideFile struct {
	Version int     `json:"version"`
	Format  string  `json:"format"` // the container that the tree came from
	Layout  Layout  `json:"layout"`
	Links   string  `json:"links"` // "made": symlinks and hard links are on disk too; "listed": only here
	Entries []entry `json:"entries"`
}

// entry is one name in the tree. Bytes of names that are not text are %XX, and
// so is % itself.
type entry struct {
	Path   string            `json:"path"`
	Disk   string            `json:"disk,omitempty"` // its path on disk, when that differs
	Type   string            `json:"type"`           // dir, file, symlink, char, block, fifo, socket
	Mode   string            `json:"mode"`           // permission bits, octal
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	MTime  string            `json:"mtime"`            // RFC 3339
	Xattrs map[string]string `json:"xattrs,omitempty"` // text, or "base64:…"
	Target string            `json:"target,omitempty"` // of a link
	Major  uint32            `json:"major,omitempty"`
	Minor  uint32            `json:"minor,omitempty"`
	Same   string            `json:"same,omitempty"`  // path of the file that this is another name of
	Size   int64             `json:"size,omitempty"`  // bytes
	Holes  bool              `json:"holes,omitempty"` // it has holes
	Data   [][2]int64        `json:"data,omitempty"`  // then: offset and length of what is none
	Lost   string            `json:"lost,omitempty"`  // why the contents could not be read
}

var typeNames = map[uint32]string{
	tree.Dir: "dir", tree.Regular: "file", tree.Symlink: "symlink", tree.CharDev: "char", tree.BlockDev: "block", tree.FIFO: "fifo", tree.Socket: "socket",
}

func typeOf(name string) (uint32, bool) {
	for t, n := range typeNames {
		if n == name {
			return t, true
		}
	}
	return 0, false
}

// TypeName is the word for a node's type: dir, file, symlink, char, block, fifo, socket.
func TypeName(n *tree.Node) string { return typeNames[n.Type()] }

func entryOf(path string, n *tree.Node) entry {
	e := entry{
		Path: escape(path, ""), Type: TypeName(n), Mode: fmt.Sprintf("%04o", n.Mode&0o7777), UID: n.UID, GID: n.GID,
		MTime: n.MTime.UTC().Format(time.RFC3339Nano), Target: escape(n.Target, ""), Major: n.Major, Minor: n.Minor, Xattrs: textXattrs(n.Xattrs),
	}
	if n.Type() == tree.Regular {
		e.Size = n.Size()
	}
	return e
}

// node makes the node of an entry, without contents.
func (e entry) node() (*tree.Node, error) {
	bad := func(field, found string) error {
		return &mtkport.Error{File: e.Path, Off: mtkport.NoOffset, Field: field, Found: strconv.Quote(found), Err: mtkport.ErrDamaged}
	}
	t, ok := typeOf(e.Type)
	if !ok {
		return nil, bad("type", e.Type)
	}
	mode, err := strconv.ParseUint(e.Mode, 8, 16)
	if err != nil || mode > 0o7777 {
		return nil, bad("mode", e.Mode)
	}
	when, err := time.Parse(time.RFC3339Nano, e.MTime)
	if err != nil {
		return nil, bad("mtime", e.MTime)
	}
	n := &tree.Node{Mode: t | uint32(mode), UID: e.UID, GID: e.GID, MTime: when.UTC(), Target: unescape(e.Target), Major: e.Major, Minor: e.Minor}
	if n.Xattrs, err = rawXattrs(e.Xattrs); err != nil {
		return nil, bad("xattrs", err.Error())
	}
	return n, nil
}

const base64Mark = "base64:"

// textXattrs keeps text as text (labels end in NUL, which JSON can say) and the
// rest as base64.
func textXattrs(x map[string][]byte) map[string]string {
	if len(x) == 0 {
		return nil
	}
	out := make(map[string]string, len(x))
	for k, v := range x {
		s := string(v)
		if !utf8.ValidString(s) || strings.HasPrefix(s, base64Mark) || strings.ContainsFunc(strings.TrimSuffix(s, "\x00"), func(r rune) bool { return r < ' ' }) {
			s = base64Mark + base64.StdEncoding.EncodeToString(v)
		}
		out[escape(k, "")] = s
	}
	return out
}

func rawXattrs(x map[string]string) (map[string][]byte, error) {
	if len(x) == 0 {
		return nil, nil
	}
	out := make(map[string][]byte, len(x))
	for k, s := range x {
		v := []byte(s)
		if enc, ok := strings.CutPrefix(s, base64Mark); ok {
			var err error
			if v, err = base64.StdEncoding.DecodeString(enc); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
		out[unescape(k)] = v
	}
	return out, nil
}

// write writes the side file: the head indented, one line an entry.
func (s *sideFile) write(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	head := *s
	head.Entries = nil
	h, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	text := strings.TrimSuffix(string(h), "null\n}")
	b.WriteString(text + "[\n")
	enc := json.NewEncoder(&lineWriter{b, len(s.Entries)})
	enc.SetEscapeHTML(false)
	for _, e := range s.Entries {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	b.WriteString("  ]\n}\n")
	return b.Flush()
}

// lineWriter puts a comma after every line but the last.
type lineWriter struct {
	w    io.Writer
	left int
}

// Write takes one encoded line with its line end.
func (l *lineWriter) Write(p []byte) (int, error) {
	tail := ",\n"
	if l.left--; l.left == 0 {
		tail = "\n"
	}
	_, err := io.WriteString(l.w, "    "+strings.TrimSuffix(string(p), "\n")+tail)
	return len(p), err
}

func readSide(r io.Reader) (*sideFile, error) {
	var s sideFile
	if err := json.NewDecoder(io.LimitReader(r, maxSide)).Decode(&s); err != nil {
		return nil, &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Field: "json", Found: err.Error(), Err: mtkport.ErrDamaged}
	}
	if s.Version != sideVersion {
		return nil, &mtkport.Error{File: SideName, Off: mtkport.NoOffset, Field: "version", Found: fmt.Sprint(s.Version), Want: fmt.Sprint(sideVersion), Err: mtkport.ErrUnsupported}
	}
	return &s, nil
}
