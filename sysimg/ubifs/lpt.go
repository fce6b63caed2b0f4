package ubifs

import "fmt"

// The LEB property tree (LPT) says of each main LEB how much is free and how
// much dirty. Its leaves (pnodes) hold four LEBs, its inner nodes (nnodes) four
// branches. In the small model the whole tree fits one LEB; the big model adds
// node numbers and a table of LEBs worth loading (lsave). All nodes are packed
// bit by bit, lowest bit first, behind a CRC-16 and a type of 4 bits.

const (
	lptCRCBits  = 16
	lptTypeBits = 4

	lptPnode = 0
	lptNnode = 1
	lptLtab  = 2
	lptLsave = 3
)

// lptGeometry holds widths of fields in bits and sizes of nodes in bytes.
type lptGeometry struct {
	height                                           int
	spaceBits, lnumBits, offsBits, spcBits, pcntBits int
	mainBits                                         int
	pnode, nnode, ltab, lsave                        int
}

// planLPT finds the number of LEBs for the LPT: four times what the tree takes,
// so that it can be rewritten in place.
func (a *areas) planLPT() error {
	a.lptLEBs = minLPTLEBs
	fixed := a.lptFirst + a.OrphanLEBs
	if a.measureLPT(a.MaxLEBs-fixed-a.lptLEBs) > int64(a.LEBSize) {
		a.big = true
	}
	for range 64 {
		sz := a.measureLPT(a.MaxLEBs - fixed - a.lptLEBs)
		need := int((4*sz + int64(a.LEBSize) - 1) / int64(a.LEBSize))
		if need <= a.lptLEBs {
			if a.lpt.ltab > a.LEBSize {
				break
			}
			return nil
		}
		a.lptLEBs = need
	}
	return refused("LEBs", fmt.Sprint(a.MaxLEBs), "fewer: the LEB property tree does not fit")
}

// measureLPT computes the geometry for mainLEBs and returns the size of the tree
// with its tables, slack at the ends of LEBs counted.
func (a *areas) measureLPT(mainLEBs int) int64 {
	g := &a.lpt
	pnodes := (max(mainLEBs, 1) + lptFanout - 1) / lptFanout
	g.height = 1
	for n := lptFanout; n < pnodes; n *= lptFanout {
		g.height++
	}
	nnodes := 0
	for i, n := 0, pnodes; i < g.height; i++ {
		n = (n + lptFanout - 1) / lptFanout
		nnodes += n
	}
	g.spaceBits = fls(a.LEBSize) - 3
	g.lnumBits = fls(a.lptLEBs)
	g.offsBits = fls(a.LEBSize - 1)
	g.spcBits = fls(a.LEBSize)
	g.pcntBits = fls((a.MaxLEBs+lptFanout-1)/lptFanout - 1)
	g.mainBits = fls(a.MaxLEBs - 1)
	head := lptCRCBits + lptTypeBits
	num := 0
	if a.big {
		num = g.pcntBits
	}
	g.pnode = (head + num + (2*g.spaceBits+1)*lptFanout + 7) / 8
	g.nnode = (head + num + (g.lnumBits+g.offsBits)*lptFanout + 7) / 8
	g.ltab = (head + a.lptLEBs*g.spcBits*2 + 7) / 8
	g.lsave = (head + g.mainBits*defaultLsave + 7) / 8
	sz := int64(pnodes)*int64(g.pnode) + int64(nnodes)*int64(g.nnode) + int64(g.ltab)
	if a.big {
		sz += int64(g.lsave)
	}
	each := int64(max(g.pnode, g.nnode))
	total := sz + each
	for rest := total; rest > int64(a.LEBSize); rest += each - int64(a.LEBSize) {
		total += each
	}
	return (total + int64(a.MinIO) - 1) / int64(a.MinIO) * int64(a.MinIO)
}

// bitWriter packs fields, lowest bit first.
type bitWriter struct {
	b   []byte
	pos int // bit
}

func (w *bitWriter) put(v uint32, n int) {
	for i := range n {
		if v>>i&1 != 0 {
			w.b[w.pos>>3] |= 1 << (w.pos & 7)
		}
		w.pos++
	}
}

// lptNode packs a node of the given size and type; fill adds its fields.
func lptNode(size int, typ uint32, fill func(w *bitWriter)) []byte {
	w := &bitWriter{b: make([]byte, size), pos: lptCRCBits}
	w.put(typ, lptTypeBits)
	fill(w)
	le.PutUint16(w.b, crc16(w.b[2:]))
	return w.b
}

// crc16 is the reflected CRC-16 with polynomial 0xA001 and all ones at the start.
func crc16(b []byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xA001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// lptWriter lays the nodes of the LPT into its LEBs.
type lptWriter struct {
	a    *areas
	sink sink
	lnum int // counted from the first LEB of the area
	buf  []byte
	ltab [][2]uint32 // free, dirty of each LEB
	err  error
}

// place appends a node, in the next LEB when it does not fit, and says where.
func (w *lptWriter) place(b []byte) place {
	if len(w.buf)+len(b) > w.a.LEBSize {
		w.close()
	}
	at := place{lnum: uint32(w.lnum), offs: uint32(len(w.buf))}
	w.buf = append(w.buf, b...)
	return at
}

// account notes what the LEB that is being filled will have left over when it
// ends at n bytes.
func (w *lptWriter) account(n int) {
	aligned := alignTo(n, w.a.MinIO)
	w.ltab[w.lnum] = [2]uint32{uint32(w.a.LEBSize - aligned), uint32(aligned - n)}
}

func (w *lptWriter) close() {
	w.account(len(w.buf))
	if w.err == nil {
		w.err = w.sink.WriteLEB(w.a.lptFirst+w.lnum, w.buf)
	}
	w.buf = w.buf[:0]
	w.lnum++
}

// writeLPT writes the tree over props, the main LEBs, and its tables, and fills
// in the master's pointers.
func (a *areas) writeLPT(s sink, props []leb, m *master) error {
	w := &lptWriter{a: a, sink: s, ltab: make([][2]uint32, a.lptLEBs)}
	for i := range w.ltab {
		w.ltab[i][0] = uint32(a.LEBSize)
	}
	level := w.pnodes(props)
	for row := a.lpt.height - 1; row >= 0; row-- {
		level = w.nnodes(level, row)
	}
	root := level[0]
	m.lptLNum, m.lptOffs = uint32(a.lptFirst)+root.lnum, root.offs
	if a.big {
		at := w.place(w.lsave(len(props)))
		m.lsaveLNum, m.lsaveOffs = uint32(a.lptFirst)+at.lnum, at.offs
	}
	if len(w.buf)+a.lpt.ltab > a.LEBSize {
		w.close()
	}
	w.account(len(w.buf) + a.lpt.ltab)
	at := w.place(lptNode(a.lpt.ltab, lptLtab, func(b *bitWriter) {
		for _, e := range w.ltab {
			b.put(e[0], a.lpt.spcBits)
			b.put(e[1], a.lpt.spcBits)
		}
	}))
	m.ltabLNum, m.ltabOffs = uint32(a.lptFirst)+at.lnum, at.offs
	m.nheadLNum, m.nheadOffs = uint32(a.lptFirst+w.lnum), uint32(alignTo(len(w.buf), a.MinIO))
	w.close()
	return w.err
}

func (w *lptWriter) pnodes(props []leb) []place {
	var out []place
	g := w.a.lpt
	for i := 0; i < len(props); i += lptFanout {
		out = append(out, w.place(lptNode(g.pnode, lptPnode, func(b *bitWriter) {
			if w.a.big {
				b.put(uint32(i/lptFanout), g.pcntBits)
			}
			for j := i; j < i+lptFanout; j++ {
				p := leb{free: w.a.LEBSize}
				if j < len(props) {
					p = props[j]
				}
				b.put(uint32(p.free>>3), g.spaceBits)
				b.put(uint32(p.dirty>>3), g.spaceBits)
				b.put(p.indexBit(), 1)
			}
		})))
	}
	return out
}

// nnodes writes the row of inner nodes over level; row 0 is the root.
func (w *lptWriter) nnodes(level []place, row int) []place {
	var out []place
	g := w.a.lpt
	for i := 0; i < len(level); i += lptFanout {
		out = append(out, w.place(lptNode(g.nnode, lptNnode, func(b *bitWriter) {
			if w.a.big {
				b.put(nnodeNumber(row, i/lptFanout), g.pcntBits)
			}
			for j := i; j < i+lptFanout; j++ {
				p := place{lnum: uint32(w.a.lptLEBs)} // no such branch
				if j < len(level) {
					p = level[j]
				}
				b.put(p.lnum, g.lnumBits)
				b.put(p.offs, g.offsBits)
			}
		})))
	}
	return out
}

// nnodeNumber numbers the inner nodes: a leading one, then the branches taken,
// the last one highest.
func nnodeNumber(row, col int) uint32 {
	num := uint32(1)
	for range row {
		num = num<<2 | uint32(col&(lptFanout-1))
		col >>= 2
	}
	return num
}

// lsave lists LEBs to load at mount; the first main ones are as good as any.
func (w *lptWriter) lsave(mainLEBs int) []byte {
	return lptNode(w.a.lpt.lsave, lptLsave, func(b *bitWriter) {
		for i := range defaultLsave {
			n := w.a.mainFirst
			if i < mainLEBs {
				n += i
			}
			b.put(uint32(n), w.a.lpt.mainBits)
		}
	})
}
