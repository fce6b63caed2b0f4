package sysimg

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"slices"
	"strings"

	"mtkport/sysimg/tree"
)

// maxELF bounds the files that elfNote looks into, bytes: a library is some MiB.
const maxELF = 64 << 20

// elfNote says what is the same in two ELF files that differ: nothing but the
// build id, or all code. It is "" when there is nothing to say.
func elfNote(x, y tree.Content) string {
	if x == nil || y == nil || x.Size() > maxELF || y.Size() > maxELF {
		return ""
	}
	a, b := sections(x), sections(y)
	if a == nil || b == nil {
		return ""
	}
	var differ []string
	for name := range union2(a, b) {
		if !bytes.Equal(a[name], b[name]) {
			differ = append(differ, name)
		}
	}
	slices.Sort(differ)
	switch {
	case len(differ) == 0:
		return "the same sections; only the file's padding or section table differs"
	case slices.Equal(differ, []string{".note.gnu.build-id"}):
		return "the same code and data, another build id"
	case !slices.ContainsFunc(differ, func(s string) bool { return loaded[s] }):
		return fmt.Sprintf("the same code; other %s", strings.Join(differ, ", "))
	}
	return ""
}

// loaded are the sections that make a library what it does.
var loaded = map[string]bool{".text": true, ".plt": true, ".rodata": true, ".data": true, ".data.rel.ro": true, ".dynsym": true, ".dynstr": true, ".dynamic": true, ".init_array": true, ".fini_array": true, ".got": true}

func union2(a, b map[string][]byte) map[string]bool {
	m := map[string]bool{}
	for k := range a {
		m[k] = true
	}
	for k := range b {
		m[k] = true
	}
	return m
}

// sections reads the sections of an ELF file, nil when it is none.
func sections(c tree.Content) map[string][]byte {
	head := make([]byte, 4)
	if tree.ReadFull(c, head, 0) != nil || string(head) != elf.ELFMAG {
		return nil
	}
	f, err := elf.NewFile(c)
	if err != nil {
		return nil
	}
	out := map[string][]byte{}
	var sum uint64
	for _, s := range f.Sections {
		if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
			continue
		}
		if sum += s.FileSize; sum > maxELF {
			return nil
		}
		b, err := io.ReadAll(io.NewSectionReader(c, int64(s.Offset), int64(s.FileSize)))
		if err != nil {
			return nil
		}
		out[s.Name] = b
	}
	return out
}
