package ext4

import (
	"encoding/binary"
	"math"
)

// mapBlocks writes the map of a file's blocks, as extents or as pointers.
func (b *builder) mapBlocks(in *rawInode, ext []extent) error {
	for _, e := range ext {
		b.charge(in, e.n)
	}
	if b.Incompat&incompatExtents != 0 {
		return b.extentTree(in, ext)
	}
	return b.pointerMap(in, ext)
}

// extentTree fills i_block; what does not fit goes into leaf blocks, and their
// index into further levels, until four entries are left.
func (b *builder) extentTree(in *rawInode, ext []extent) error {
	in.Flags |= flagExtents
	var level [][]byte // entries of 12 bytes
	var first []uint32 // the first file block of each
	for _, e := range ext {
		for e.n > 0 {
			n := min(e.n, 32768)
			level, first = append(level, leafEntry(e.file, e.disk, n)), append(first, uint32(e.file))
			e.file, e.disk, e.n = e.file+n, e.disk+n, e.n-n
		}
	}
	depth := 0
	per := int((b.BlockSize - 12) / 12)
	for ; len(level) > 4; depth++ {
		var up [][]byte
		var upFirst []uint32
		for i := 0; i < len(level); i += per {
			end := min(i+per, len(level))
			at, err := b.takeOne(extentNode(level[i:end], per, depth, int(b.BlockSize)))
			if err != nil {
				return err
			}
			b.charge(in, 1)
			up, upFirst = append(up, indexEntry(first[i], at)), append(upFirst, first[i])
		}
		level, first = up, upFirst
	}
	copy(in.Block[:], extentNode(level, 4, depth, len(in.Block)))
	return nil
}

func leafEntry(file, disk, n int64) []byte {
	e := make([]byte, 12)
	binary.LittleEndian.PutUint32(e, uint32(file))
	binary.LittleEndian.PutUint16(e[4:], uint16(n))
	binary.LittleEndian.PutUint16(e[6:], uint16(disk>>32))
	binary.LittleEndian.PutUint32(e[8:], uint32(disk))
	return e
}

func indexEntry(file uint32, disk int64) []byte {
	e := make([]byte, 12)
	binary.LittleEndian.PutUint32(e, file)
	binary.LittleEndian.PutUint32(e[4:], uint32(disk))
	binary.LittleEndian.PutUint16(e[8:], uint16(disk>>32))
	return e
}

func extentNode(entries [][]byte, room, depth, size int) []byte {
	b := make([]byte, 12, size)
	binary.LittleEndian.PutUint16(b, extentMagic)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(entries)))
	binary.LittleEndian.PutUint16(b[4:], uint16(room))
	binary.LittleEndian.PutUint16(b[6:], uint16(depth))
	for _, e := range entries {
		b = append(b, e...)
	}
	return b[:size]
}

// pointerMap writes 12 direct pointers and up to three levels of blocks.
func (b *builder) pointerMap(in *rawInode, ext []extent) error {
	per := b.BlockSize / 4
	blocks := map[int64]uint32{}
	for _, e := range ext {
		if e.disk+e.n > math.MaxUint32 {
			return badLayout("block number", e.disk+e.n, "32 bits")
		}
		for i := range e.n {
			blocks[e.file+i] = uint32(e.disk + i)
		}
	}
	for i := range int64(12) {
		binary.LittleEndian.PutUint32(in.Block[4*i:], blocks[i])
	}
	if len(ext) == 0 {
		return nil
	}
	last := ext[len(ext)-1].file + ext[len(ext)-1].n
	base, span := int64(12), int64(1)
	for level := range 3 {
		span *= per
		if base >= last {
			break
		}
		at, err := b.indirectBlock(in, blocks, base, span, last)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(in.Block[48+4*level:], at)
		base += span
	}
	if base < last {
		return badLayout("file of blocks", last, base)
	}
	return nil
}

// indirectBlock writes the block of pointers for span file blocks from base, and
// those below it; 0 when all of it is a hole. Its depth is at most three.
func (b *builder) indirectBlock(in *rawInode, blocks map[int64]uint32, base, span, last int64) (uint32, error) {
	per := b.BlockSize / 4
	step := span / per
	buf, used := make([]byte, b.BlockSize), false
	for i := int64(0); i < per && base+i*step < last; i++ {
		p := blocks[base+i*step]
		if step > 1 {
			var err error
			if p, err = b.indirectBlock(in, blocks, base+i*step, step, last); err != nil {
				return 0, err
			}
		}
		binary.LittleEndian.PutUint32(buf[4*i:], p)
		used = used || p != 0
	}
	if !used {
		return 0, nil
	}
	at, err := b.takeOne(buf)
	b.charge(in, 1)
	return uint32(at), err
}
