package scatter

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// TestBars: every partition is visible, in proportion, in bars of the width asked.
func TestBars(t *testing.T) {
	l, err := Parse(small(t), "s.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1, 20, 80, 1000} {
		seen := map[int]bool{}
		for _, b := range l.Bars(width) {
			sum, system, user := 0, 0, 0
			for _, c := range b.Cells {
				if c.Width < 1 {
					t.Errorf("width %d: a cell of %d", width, c.Width)
				}
				sum += c.Width
				seen[c.Part] = true
				switch l.Partitions[c.Part].Canonical {
				case "system":
					system = c.Width
				case "userdata":
					user = c.Width
				}
			}
			if sum != max(width, len(b.Cells)) {
				t.Errorf("width %d: %s is %d wide", width, b.Region, sum)
			}
			if width >= 80 && b.Region == "EMMC_USER" && (user < system*17/10 || user > system*23/10) { // 512 and 256 MiB
				t.Errorf("width %d: userdata %d, system %d", width, user, system)
			}
		}
		if len(seen) != len(l.Partitions) {
			t.Errorf("width %d: %d of %d partitions visible", width, len(seen), len(l.Partitions))
		}
	}
}

func TestGapIsDrawn(t *testing.T) {
	l, err := Parse([]byte(strings.Replace(string(small(t)), "partition_size: 0x500000", "partition_size: 0x400000", 1)), "s.txt")
	if err != nil {
		t.Fatal(err)
	}
	gaps := 0
	for _, b := range l.Bars(80) {
		for _, c := range b.Cells {
			if c.Part < 0 {
				gaps++
			}
		}
	}
	if gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
}

// TestSVG: well-formed, self-contained, the same each time, and no name of a
// partition breaks out of it.
func TestSVG(t *testing.T) {
	text := strings.Replace(string(small(t)), "partition_name: BOOTIMG", "partition_name: <script>\"&", 1)
	l, err := Parse([]byte(text), "s.txt")
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := l.WriteSVG(&a); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteSVG(&b); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("two drawings differ, %v", err)
	}
	svg := a.String()
	dec := xml.NewDecoder(&a)
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && (e.Name.Local == "script" || e.Name.Local == "image" || e.Name.Local == "use") {
			t.Errorf("element %s", e.Name.Local)
		}
	}
	for _, want := range []string{">ANDROID<", ">NVRAM<", "256 MiB", "end - 168 blocks", ">identity<", "system.img", "&lt;script&gt;"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is not in the drawing", want)
		}
	}
}
