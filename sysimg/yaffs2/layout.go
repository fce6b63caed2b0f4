package yaffs2

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tags says where in the spare bytes the tags lie.
type Tags int

// The placements seen in images and dumps.
const (
	TagsAt2   Tags = iota // after a bad-block mark: yaffs2utils, the Linux MTD default
	TagsAt0               // Android's mkyaffs2image
	TagsAt1               // after a mark of one byte
	TagsInFDM             // MediaTek: the seven bytes behind the first of each group of eight
)

var tagNames = []string{"at-2", "at-0", "at-1", "fdm"}

// MarshalText writes the name of the placement.
func (t Tags) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the name back.
func (t *Tags) UnmarshalText(b []byte) error {
	i := slices.Index(tagNames, string(b))
	if i < 0 {
		return fmt.Errorf("tags %q: want one of %v", b, tagNames)
	}
	*t = Tags(i)
	return nil
}

// String names the placement: at-2, at-0, at-1 or fdm.
func (t Tags) String() string {
	if t >= 0 && int(t) < len(tagNames) {
		return tagNames[t]
	}
	return fmt.Sprintf("tags(%d)", int(t))
}

// positions lists where in the spare bytes n bytes of tags lie.
func (t Tags) positions(n int) []int {
	out := make([]int, n)
	for i := range out {
		switch t {
		case TagsInFDM:
			out[i] = i/7*8 + 1 + i%7
		default:
			out[i] = i + [...]int{2, 0, 1}[t]
		}
	}
	return out
}

// Layout is the shape of an image. Sizes in bytes.
type Layout struct {
	Page   int  `json:"page"`             // data in a page: 512 to 16384
	Spare  int  `json:"spare"`            // spare bytes in a page
	Sector int  `json:"sector,omitempty"` // when not 0, the spare bytes are dealt out behind sectors of this size
	Tags   Tags `json:"tags"`             // where the tags lie
	ECC    bool `json:"ecc,omitempty"`    // the tags have a code behind them

	// Partition is the name that MediaTek's builder puts into the spare bytes of
	// every page, "system" or "data", before the word "yaffs2"; "" for neither.
	Partition string `json:"partition,omitempty"`
}

// MediaTek is the layout of the images that MediaTek's build makes for SP Flash
// Tool, which deals the tags out to where its NAND driver looks for them. partition
// is "system", "data" …
func MediaTek(partition string) Layout {
	return Layout{Page: 2048, Spare: 64, Tags: TagsAt0, ECC: true, Partition: partition}
}

// MediaTek's marks end the spare bytes: a name of up to 15 bytes with a NUL, and
// the word.
const (
	nameFromEnd = 24
	wordFromEnd = 8
	word        = "yaffs2\x00"
)

// blank is the spare bytes of a page without its tags, in their own order.
func (l Layout) blank() []byte {
	b := bytes.Repeat([]byte{0xff}, l.Spare)
	if l.Partition != "" {
		copy(b[l.Spare-nameFromEnd:], l.Partition+"\x00")
		copy(b[l.Spare-wordFromEnd:], word)
	}
	return b
}

// partition reads the mark in the spare bytes b.
func partition(b []byte) string {
	if len(b) < nameFromEnd+tagSize || string(b[len(b)-wordFromEnd:][:len(word)]) != word {
		return ""
	}
	name, _, ok := strings.Cut(string(b[len(b)-nameFromEnd:len(b)-wordFromEnd]), "\x00")
	if !ok {
		return ""
	}
	return name
}

// Default is the layout of mkyaffs2 for pages of 2048 bytes.
var Default = Layout{Page: 2048, Spare: 64, ECC: true}

// candidates are the layouts that [Open] tries, likelier ones first.
func candidates() []Layout {
	var out []Layout
	for _, g := range []Layout{
		{Page: 2048, Spare: 64}, {Page: 4096, Spare: 128}, {Page: 2048, Spare: 128}, {Page: 4096, Spare: 64},
		{Page: 4096, Spare: 224}, {Page: 4096, Spare: 256}, {Page: 8192, Spare: 256}, {Page: 1024, Spare: 32},
		{Page: 512, Spare: 16}, {Page: 16384, Spare: 512},
		{Page: 2048, Spare: 64, Sector: 512}, {Page: 4096, Spare: 128, Sector: 512},
	} {
		for _, t := range []Tags{TagsAt2, TagsAt0, TagsAt1, TagsInFDM} {
			g.Tags = t
			if t.positions(tagSize)[tagSize-1] < g.Spare {
				out = append(out, g)
			}
		}
	}
	return out
}

func (l Layout) unit() int { return l.Page + l.Spare }

// valid reports what is wrong with a layout to write, "" for nothing.
func (l Layout) valid() string {
	n := tagSize
	if l.ECC {
		n += eccSize
	}
	switch {
	case l.Page < headerSize || l.Page > 16384 || l.Page%headerSize != 0:
		return fmt.Sprintf("pages of %d bytes", l.Page)
	case l.Tags < 0 || int(l.Tags) >= len(tagNames):
		return fmt.Sprintf("tags placement %d", l.Tags)
	case l.Spare > 4096 || l.Tags.positions(n)[n-1] >= l.Spare:
		return fmt.Sprintf("%d bytes of tags %s of %d spare bytes", n, l.Tags, l.Spare)
	case l.Partition != "" && (len(l.Partition) >= nameFromEnd-wordFromEnd || strings.Contains(l.Partition, "\x00") ||
		l.Sector != 0 || l.Tags.positions(n)[n-1] >= l.Spare-nameFromEnd):
		return fmt.Sprintf("partition %q in %d spare bytes", l.Partition, l.Spare)
	case l.Sector != 0 && (l.Sector < 0 || l.Page%l.Sector != 0 || l.Spare%(l.Page/l.Sector) != 0 || l.Spare/(l.Page/l.Sector) < fdm):
		return fmt.Sprintf("sectors of %d bytes", l.Sector)
	}
	return ""
}

// fdm is how many of the spare bytes behind a sector carry data; error
// correction follows.
const fdm = 8

// spareAt is where spare byte j lies in a page with its spare bytes.
func (l Layout) spareAt(j int) int {
	if l.Sector == 0 {
		return l.Page + j
	}
	sectors := l.Page / l.Sector
	each := l.Spare / sectors
	if j < fdm*sectors {
		return j/fdm*(l.Sector+each) + l.Sector + j%fdm
	}
	j -= fdm * sectors
	return j/(each-fdm)*(l.Sector+each) + l.Sector + fdm + j%(each-fdm)
}

// gather copies the data bytes of a page from from on out of unit.
func (l Layout) gather(dst, unit []byte, from int) {
	if l.Sector == 0 {
		copy(dst, unit[from:l.Page])
		return
	}
	step := l.Sector + l.Spare/(l.Page/l.Sector)
	for n := 0; n < len(dst) && from < l.Page; {
		in := from % l.Sector
		k := copy(dst[n:], unit[from/l.Sector*step+in:][:l.Sector-in])
		n += k
		from += k
	}
}

// scatter is the inverse of gather for a whole page.
func (l Layout) scatter(unit, page []byte) {
	if l.Sector == 0 {
		copy(unit, page)
		return
	}
	step := l.Sector + l.Spare/(l.Page/l.Sector)
	for i := 0; i*l.Sector < l.Page; i++ {
		copy(unit[i*step:], page[i*l.Sector:(i+1)*l.Sector])
	}
}

// places lists where in a page with its spare bytes n bytes of tags lie.
func (l Layout) places(n int) []int {
	out := l.Tags.positions(n)
	for i, j := range out {
		out[i] = l.spareAt(j)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
