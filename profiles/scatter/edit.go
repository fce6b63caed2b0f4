package scatter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mtkport"
)

func sortBy[T any](s []T, key func(T) int) {
	slices.SortStableFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

// SetDownload sets is_download of a partition, found as by [Layout.Find]. In the
// brace form it puts __NODL_ before the name, or takes it away.
func (l *Layout) SetDownload(name string, on bool) error {
	i, err := l.must(name)
	if err != nil {
		return err
	}
	if !l.IsBrace() {
		return l.Set(i, "is_download", fmt.Sprint(on))
	}
	p := l.Partitions[i]
	switch {
	case p.Download == on:
		return nil
	case l.IsList():
		return &mtkport.Error{File: l.File, Off: mtkport.NoOffset, Field: p.Name, Found: "a list, which marks nothing for download", Want: "the form with braces, or V1.1", Err: mtkport.ErrUnsupported}
	case on:
		return l.Set(i, "partition_name", p.Name[len(noDownload):])
	}
	return l.Set(i, "partition_name", noDownload+p.Name)
}

// SetFile sets file_name of a partition, found as by [Layout.Find]; "" writes
// NONE.
func (l *Layout) SetFile(name, file string) error {
	i, err := l.must(name)
	if err != nil {
		return err
	}
	return l.Set(i, "file_name", cmp.Or(file, "NONE"))
}

// SetSize sets partition_size in bytes of a partition, found as by [Layout.Find].
func (l *Layout) SetSize(name string, bytes int64) error {
	i, err := l.must(name)
	if err != nil {
		return err
	}
	return l.Set(i, "partition_size", fmt.Sprintf("0x%x", bytes))
}

func (l *Layout) must(name string) (int, error) {
	if i := l.index(name); i >= 0 {
		return i, nil
	}
	return -1, &mtkport.Error{File: l.File, Off: mtkport.NoOffset, Field: name, Found: "no such partition", Want: "one of " + l.names(), Err: mtkport.ErrFormat}
}

func (l *Layout) names() string {
	var n []string
	for _, p := range l.Partitions {
		n = append(n, p.DisplayName())
	}
	return strings.Join(n, " ")
}

// Set replaces the value of a key that entry i has, and leaves every other byte
// as it is. What follows from the value (class, sizes of neighbours) follows. An
// error leaves the layout unchanged.
func (l *Layout) Set(i int, key, value string) error {
	if i < 0 || i >= len(l.Partitions) {
		return &mtkport.Error{File: l.File, Off: mtkport.NoOffset, Field: "entry", Found: fmt.Sprint(i), Want: fmt.Sprintf("0 to %d", len(l.Partitions)-1), Err: mtkport.ErrFormat}
	}
	s, ok := l.doc.parts[i][key]
	if !ok {
		return &mtkport.Error{File: l.File, Off: mtkport.NoOffset, Field: l.Partitions[i].DisplayName() + " " + key, Found: "no such key", Want: "a key of the entry", Err: mtkport.ErrUnsupported}
	}
	if strings.ContainsAny(value, "\r\n#\x00") || value != strings.TrimSpace(value) || value == "" {
		return &mtkport.Error{File: l.File, Off: l.doc.offset(s), Field: key, Found: fmt.Sprintf("%q", value), Want: "one word", Err: mtkport.ErrFormat}
	}
	old := l.doc.lines[s.line]
	if s.start == s.end && s.start > 0 && old[s.start-1] == ':' { // `key:` without a blank
		value = " " + value
	}
	l.doc.replace(s, value)
	fresh, err := Parse(l.doc.bytes(), l.File)
	if err == nil && len(fresh.Partitions) != len(l.Partitions) {
		err = &mtkport.Error{File: l.File, Off: l.doc.offset(s), Field: key, Found: fmt.Sprintf("%q", value), Want: "a value that stays one", Err: mtkport.ErrFormat}
	}
	if err != nil {
		l.doc.lines[s.line] = old
		return err
	}
	*l = *fresh
	return nil
}
