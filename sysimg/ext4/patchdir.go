package ext4

import (
	"encoding/binary"

	"mtkport/sysimg/tree"
)

// want is a record that a directory is to have.
type want struct {
	ino  uint32
	kind byte
}

// directory changes the records of a kept directory that are to change: a name
// goes by joining its record to the one before, a new one takes the first gap.
func (p *patcher) directory(m *member, was *tree.Node, in *inode, out *rawInode) error {
	wants, changed := map[string]want{"..": {m.parent.ino, 2}}, false
	for _, name := range m.n.Names() {
		c := m.n.Child(name)
		w := want{p.b.c.of[c].ino, fileType(c)}
		wants[name] = w
		if o := was.Child(name); o == nil || p.old.inos[o] != w.ino || o.Type() != c.Type() {
			changed = true
		}
	}
	if m.ino == inoRoot && m.n.Child("lost+found") == nil {
		wants["lost+found"], changed = want{p.b.c.lost.ino, 2}, true
	}
	for _, name := range was.Names() {
		changed = changed || m.n.Child(name) == nil
	}
	ext, err := p.old.extents(in.Flags, in.Block[:], in.size())
	if err != nil {
		return err
	}
	if !changed && p.parentOf(ext) == m.parent.ino {
		return nil
	}
	d := dirPatch{p: p, wants: wants}
	if err := d.load(ext); err != nil {
		return err
	}
	d.prune()
	d.fill()
	return d.store(m, ext, out)
}

// parentOf reads the inode of "..", the second record of the first block.
func (p *patcher) parentOf(ext []extent) uint32 {
	if len(ext) == 0 {
		return 0
	}
	b, err := p.old.readBlock(ext[0].disk)
	if err != nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b[12:])
}

// dirPatch is a directory being changed.
type dirPatch struct {
	p      *patcher
	wants  map[string]want // what is not there yet
	blocks [][]byte
	added  bool
	more   dirBlocks // records that found no gap
}

func (d *dirPatch) load(ext []extent) error {
	for _, e := range ext {
		for i := range e.n {
			b, err := d.p.block(e.disk + i)
			if err != nil {
				return err
			}
			d.blocks = append(d.blocks, b)
		}
	}
	return nil
}

// prune sets the records whose name stays to what they should be and takes the
// others out.
func (d *dirPatch) prune() {
	for _, b := range d.blocks {
		prev := -1
		for pos := 0; pos+8 <= len(b); {
			n := int(binary.LittleEndian.Uint16(b[pos+4:]))
			if n < 8 || n > len(b)-pos {
				break
			}
			name := string(b[pos+8 : pos+8+int(b[pos+6])])
			w, ok := d.wants[name]
			switch ino := binary.LittleEndian.Uint32(b[pos:]); {
			case ino == 0 || name == ".":
				prev = pos
			case ok:
				binary.LittleEndian.PutUint32(b[pos:], w.ino)
				b[pos+7] = w.kind
				delete(d.wants, name)
				prev = pos
			case prev >= 0:
				joined := int(binary.LittleEndian.Uint16(b[prev+4:])) + n
				binary.LittleEndian.PutUint16(b[prev+4:], uint16(joined))
				clear(b[pos : pos+8+int(b[pos+6])])
			default:
				clear(b[pos : pos+4])
				prev = pos
			}
			pos += n
		}
	}
}

// fill puts new names into gaps, in order of their names.
func (d *dirPatch) fill() {
	d.more.size = int(d.p.old.sb.blockSize)
	for _, name := range sortedWants(d.wants) {
		w := d.wants[name]
		d.added = true
		if !d.fit(name, w) {
			d.more.add(name, w.ino, w.kind)
		}
	}
}

func sortedWants(m map[string]want) []string {
	var n tree.Node
	for name := range m {
		n.SetChild(name, &n)
	}
	return n.Names()
}

func (d *dirPatch) fit(name string, w want) bool {
	need := (8 + len(name) + 3) &^ 3
	for _, b := range d.blocks {
		for pos := 0; pos+8 <= len(b); {
			n := int(binary.LittleEndian.Uint16(b[pos+4:]))
			if n < 8 || n > len(b)-pos {
				break
			}
			used := 0
			if binary.LittleEndian.Uint32(b[pos:]) != 0 {
				used = (8 + int(b[pos+6]) + 3) &^ 3
			}
			if n-used >= need {
				if used > 0 {
					binary.LittleEndian.PutUint16(b[pos+4:], uint16(used))
				}
				record(b[pos+used:pos+n], name, w)
				return true
			}
			pos += n
		}
	}
	return false
}

// record fills b with one record, which reaches to its end.
func record(b []byte, name string, w want) {
	clear(b)
	binary.LittleEndian.PutUint32(b, w.ino)
	binary.LittleEndian.PutUint16(b[4:], uint16(len(b)))
	b[6], b[7] = byte(len(name)), w.kind
	copy(b[8:], name)
}

// store adds blocks for what found no gap. A hashed directory that got names
// becomes a plain one: the kernel reads both.
func (d *dirPatch) store(m *member, ext []extent, out *rawInode) error {
	if d.added {
		out.Flags &^= flagIndex
	}
	data := d.more.bytes()
	if len(data) == 0 {
		return nil
	}
	bs := d.p.old.sb.blockSize
	runs, err := d.p.alloc(int64(len(data)) / bs)
	if err != nil {
		return err
	}
	for _, e := range runs {
		d.p.b.put(e.disk, data[e.file*bs:][:e.n*bs])
	}
	in, err := d.p.old.inode(m.ino)
	if err != nil {
		return err
	}
	if err := d.p.remap(in, out, ext, runs); err != nil {
		return err
	}
	size := in.size() + int64(len(data))
	out.SizeLo, out.SizeHi = uint32(size), uint32(size>>32)
	return nil
}

// remap writes the map of a file anew for its blocks and some more behind them.
// Its old map's blocks go, the contents stay.
func (p *patcher) remap(in *inode, out *rawInode, ext, more []extent) error {
	_, nodes, err := p.old.owned(in.Flags, in.Block[:])
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := p.release(n, 1); err != nil {
			return err
		}
	}
	end := ceil(in.size(), p.old.sb.blockSize)
	for _, e := range more {
		e.file += end
		ext = append(ext, e)
	}
	out.Block, out.BlocksLo, out.BlocksHi = [60]byte{}, 0, 0
	out.Flags &^= flagExtents
	if out.FileACLLo != 0 {
		p.b.charge(out, 1)
	}
	return p.b.mapBlocks(out, ext)
}
