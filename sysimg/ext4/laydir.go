package ext4

import (
	"encoding/binary"
	"slices"

	"mtkport/sysimg/tree"
)

// fileType is the type byte of a directory record.
func fileType(n *tree.Node) byte {
	switch n.Type() {
	case tree.Regular:
		return 1
	case tree.Dir:
		return 2
	case tree.CharDev:
		return 3
	case tree.BlockDev:
		return 4
	case tree.FIFO:
		return 5
	case tree.Socket:
		return 6
	case tree.Symlink:
		return 7
	}
	return 0
}

// directory writes the records of a directory: a plain list, names sorted.
func (b *builder) directory(in *rawInode, m *member) error {
	d := dirBlocks{size: int(b.BlockSize)}
	d.add(".", m.ino, 2)
	d.add("..", m.parent.ino, 2)
	names := m.n.Names()
	if m.ino == inoRoot && b.c.lost != nil {
		names = append(names, "lost+found")
		slices.Sort(names)
	}
	for _, name := range names {
		if c := m.n.Child(name); c != nil {
			d.add(name, b.c.of[c].ino, fileType(c))
		} else {
			d.add(name, b.c.lost.ino, 2)
		}
	}
	data := d.bytes()
	in.SizeLo = uint32(len(data))
	runs, err := b.take(int64(len(data)) / b.BlockSize)
	if err != nil {
		return err
	}
	for _, e := range runs {
		b.put(e.disk, data[e.file*b.BlockSize:][:e.n*b.BlockSize])
	}
	return b.mapBlocks(in, runs)
}

// dirBlocks packs records into blocks; the last record of a block reaches to
// its end.
type dirBlocks struct {
	size int
	out  []byte
	used int // in the last block
	last int // offset of the last record in out
}

func (d *dirBlocks) add(name string, ino uint32, kind byte) {
	n := (8 + len(name) + 3) &^ 3
	if len(d.out) == 0 || d.used+n > d.size {
		d.close()
		d.out = append(d.out, make([]byte, d.size)...)
		d.used = 0
	}
	d.last = len(d.out) - d.size + d.used
	r := d.out[d.last:]
	binary.LittleEndian.PutUint32(r, ino)
	binary.LittleEndian.PutUint16(r[4:], uint16(n))
	r[6], r[7] = byte(len(name)), kind
	copy(r[8:], name)
	d.used += n
}

// close stretches the last record to the end of its block.
func (d *dirBlocks) close() {
	if len(d.out) > 0 {
		binary.LittleEndian.PutUint16(d.out[d.last+4:], uint16(len(d.out)-d.last))
	}
}

func (d *dirBlocks) bytes() []byte {
	d.close()
	return d.out
}
