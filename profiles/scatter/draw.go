package scatter

import (
	"cmp"
	"slices"

	"mtkport/profiles/identity"
)

// Bar is one region of the layout as a row of cells.
type Bar struct {
	Region string
	Size   int64 // bytes from the first start to the last known end
	Cells  []Cell
}

// Cell is one partition, or a gap between two.
type Cell struct {
	Part  int // index into Layout.Partitions; -1 for a gap
	Width int // in units of the bar; 1 at least
	bytes int64
}

// Bars lays each region out over width units in proportion to its bytes. Every
// partition gets one unit at least, so small ones stay visible; where there are
// more partitions than units, the bar is as wide as they need. A partition to
// the end of the device, whose size no scatter tells, gets the mean of the rest.
func (l *Layout) Bars(width int) []Bar {
	var out []Bar
	for _, region := range l.regionsOf() {
		b := Bar{Region: region}
		for _, i := range l.inOrder(region) {
			p := l.Partitions[i]
			start := p.Linear
			if n := len(b.Cells); n > 0 && !p.FromEnd && b.Size > 0 {
				q := l.Partitions[b.Cells[n-1].Part]
				if end, ok := q.End(); ok && start > end {
					b.Cells = append(b.Cells, Cell{Part: -1, bytes: start - end})
					b.Size += start - end
				}
			}
			b.Cells = append(b.Cells, Cell{Part: i, bytes: p.Size})
			b.Size += p.Size
		}
		share(b.Cells, b.Size, width)
		out = append(out, b)
	}
	return out
}

// inOrder lists the partitions of a region by address, those from the end last.
func (l *Layout) inOrder(region string) []int {
	var idx []int
	for i, p := range l.Partitions {
		if p.Region == region {
			idx = append(idx, i)
		}
	}
	slices.SortStableFunc(idx, func(a, b int) int {
		p, q := &l.Partitions[a], &l.Partitions[b]
		if p.FromEnd != q.FromEnd {
			return cmp.Compare(b2i(p.FromEnd), b2i(q.FromEnd))
		}
		if p.FromEnd {
			return cmp.Compare(q.EndBlocks, p.EndBlocks)
		}
		return cmp.Compare(p.Linear, q.Linear)
	})
	return idx
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// share gives each cell one unit and the rest in proportion, the largest
// remainders first.
func share(cells []Cell, total int64, width int) {
	known := 0
	for _, c := range cells {
		known += b2i(c.bytes > 0)
	}
	weight := make([]float64, len(cells))
	sum := 0.0
	for i, c := range cells {
		weight[i] = float64(c.bytes)
		if c.bytes == 0 && known > 0 {
			weight[i] = float64(total) / float64(known)
		}
		sum += weight[i]
	}
	rest, left := max(0, width-len(cells)), max(0, width-len(cells))
	order := make([]int, len(cells))
	part := make([]float64, len(cells))
	for i := range cells {
		order[i], cells[i].Width = i, 1
		if sum > 0 {
			exact := weight[i] / sum * float64(rest)
			cells[i].Width += int(exact)
			part[i] = exact - float64(int(exact))
			left -= int(exact)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(part[b], part[a]) })
	for k := 0; k < left && k < len(order); k++ {
		cells[order[k]].Width++
	}
}

// Colors of the classes in drawings, as web colours.
var Colors = map[identity.Class]string{
	identity.Bootloader: "#c2410c", identity.Identity: "#be123c", identity.Firmware: "#1d6fb8",
	identity.Modem: "#7c3aed", identity.User: "#2f855a", identity.Reserved: "#64748b",
}
