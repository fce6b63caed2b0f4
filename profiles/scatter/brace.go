package scatter

import (
	"fmt"
	"regexp"
	"strings"

	"mtkport"
)

// braceEntry is `NAME 0xADDRESS`, with the braces on lines of their own or behind.
var braceEntry = regexp.MustCompile(`^(?:\xef\xbb\xbf)?[ \t]*([A-Za-z_][A-Za-z0-9_.-]*)[ \t]+(0[xX][0-9A-Fa-f]+)[ \t]*(\{?[ \t]*\}?)[ \t\r\n]*$`)

// readBraces reads the form of MT6573 to MT6589: names and starts only.
func (l *Layout) readBraces() error {
	l.Version = BraceVersion
	for i, line := range l.doc.lines {
		m := braceEntry.FindSubmatchIndex(line)
		if m == nil {
			if t := strings.Trim(string(line), "{} \t\r\n"); t != "" {
				l.oddLine(i)
			}
			continue
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
