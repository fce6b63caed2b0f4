package scatter

import (
	"fmt"
	"regexp"
	"strings"

	"mtkport"
)

// braceEntry is `NAME 0xADDRESS`, with the braces on lines of their own or behind.
var braceEntry = regexp.MustCompile(`^(?:\xef\xbb\xbf)?[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]+(0[xX][0-9A-Fa-f]+)[ \t]*(\{?[ \t]*\}?)[ \t\r\n]*$`)

// readBraces reads the form of MT6573 to MT6589, names and starts only, and the
// list of OTA packages, which is the same without braces.
func (l *Layout) readBraces() error {
	l.Version = ListVersion
	for i, line := range l.doc.lines {
		m := braceEntry.FindSubmatchIndex(line)
		if m == nil {
			switch t := strings.Trim(string(line), "{} \t\r\n"); {
			case t != "":
				l.oddLine(i)
			case strings.ContainsAny(string(line), "{}"):
				l.Version = BraceVersion
			}
			continue
		}
		if m[6] < m[7] {
			l.Version = BraceVersion
		}
		if len(l.Partitions) == MaxPartitions {
			return &mtkport.Error{Off: l.doc.lineOffset(i), Field: "scatter", Found: "one more partition", Want: fmt.Sprintf("at most %d", MaxPartitions), Err: mtkport.ErrFormat}
		}
		name, addr := slot{i, m[2], m[3]}, slot{i, m[4], m[5]}
		l.doc.parts = append(l.doc.parts, map[string]slot{"partition_name": name, "linear_start_addr": addr})
		n, err := number(l.doc.text(addr))
		if err != nil {
			return &mtkport.Error{Off: l.doc.offset(addr), Field: l.doc.text(name), Found: l.doc.text(addr), Want: "a number below 0x1000000000000000", Err: mtkport.ErrDamaged}
		}
		l.Partitions = append(l.Partitions, bracePartition(l.doc.text(name), n))
	}
	if l.IsList() {
		return l.finishList()
	}
	return nil
}

// finishList: a list marks nothing for download. Other text that happens to hold
// a word and a number is no list.
func (l *Layout) finishList() error {
	if odd := len(l.problems); odd > len(l.Partitions) && len(l.Partitions) > 0 {
		return &mtkport.Error{Field: "scatter", Found: fmt.Sprintf("%d lines that are no partitions", odd), Want: "NAME 0x… lines, or partition_index entries", Err: mtkport.ErrFormat}
	}
	for i := range l.Partitions {
		l.Partitions[i].Download = false
	}
	return nil
}

const (
	noDownload = "__NODL_"
	reserved   = "__NODL_RSV_"
)

func bracePartition(name string, start int64) Partition {
	upper := strings.ToUpper(name)
	return Partition{Name: name, Linear: start, Download: !strings.HasPrefix(upper, noDownload),
		Reserved: strings.HasPrefix(upper, reserved) || upper == noDownload+"BMTPOOL", Boundary: true}
}
