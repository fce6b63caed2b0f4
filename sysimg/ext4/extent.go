package ext4

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"mtkport"
)

// extent is a run of blocks of a file. Uninitialised ones are left out: they
// read as zeros, like holes.
type extent struct{ file, disk, n int64 } // blocks

// extents lists where the blocks of a file lie, in order. What is broken is left
// out and comes back as an error beside what could be read.
func (f *FS) extents(flags uint32, block []byte, size int64) ([]extent, error) {
	m := mapper{f: f, seen: map[int64]bool{}, last: (size + f.sb.blockSize - 1) / f.sb.blockSize}
	if flags&flagExtents != 0 {
		m.extentTree(block)
	} else {
		m.pointers(block)
	}
	return m.out, m.err
}

// mapper collects extents. Each tree block is read at most once a file, so that
// a tree that points into itself ends.
type mapper struct {
	f     *FS
	out   []extent
	seen  map[int64]bool
	last  int64 // blocks that the file's size has room for
	total int64 // blocks listed
	all   bool  // uninitialised extents too: what the file owns, not what it reads
	err   error // the first fault
}

// owned lists all blocks that an inode owns: those of its contents and those of
// the map.
func (f *FS) owned(flags uint32, block []byte) ([]extent, []int64, error) {
	m := mapper{f: f, seen: map[int64]bool{}, last: 1 << 32, all: true}
	if flags&flagExtents != 0 {
		m.extentTree(block)
	} else {
		m.pointers(block)
	}
	return m.out, slices.Sorted(maps.Keys(m.seen)), m.err
}

func (m *mapper) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// add appends a run, joined to the one before where it goes on.
func (m *mapper) add(file, disk, n int64) {
	if file >= m.last {
		return // blocks past the end of the file are not part of it
	}
	n = min(n, m.last-file)
	switch end := m.end(); {
	case file < end:
		m.fail(damaged(mtkport.NoOffset, "extent", fmt.Sprintf("file block %d", file), fmt.Sprintf("at least %d", end)))
		return
	case disk <= 0 || n <= 0 || disk > m.f.sb.blocks-n:
		m.fail(damaged(mtkport.NoOffset, "extent", fmt.Sprintf("blocks %d and on", disk), fmt.Sprintf("below %d", m.f.sb.blocks)))
		return
	case m.total+n > m.f.sb.blocks: // blocks used over and over: a small image that reads as a huge file
		m.fail(damaged(mtkport.NoOffset, "extents", "more blocks than the file system has", m.f.sb.blocks))
		return
	case len(m.out) >= maxExtents:
		m.fail(damaged(mtkport.NoOffset, "extents", "more", maxExtents))
		return
	}
	m.total += n
	if k := len(m.out) - 1; k >= 0 && m.out[k].file+m.out[k].n == file && m.out[k].disk+m.out[k].n == disk {
		m.out[k].n += n
		return
	}
	m.out = append(m.out, extent{file, disk, n})
}

func (m *mapper) end() int64 {
	if len(m.out) == 0 {
		return 0
	}
	e := m.out[len(m.out)-1]
	return e.file + e.n
}

// node reads a tree block once.
func (m *mapper) node(n int64) []byte {
	if m.seen[n] {
		m.fail(damaged(n*m.f.sb.blockSize, "extent tree", "a block used twice", "a tree"))
		return nil
	}
	m.seen[n] = true
	b, err := m.f.readBlock(n)
	if err != nil {
		m.fail(err)
	}
	return b
}

// extentTree walks the tree depth first with a stack of block numbers.
func (m *mapper) extentTree(root []byte) {
	type item struct {
		block int64 // 0 for the root
		depth int   // that its header must state, -1 for any
	}
	stack := []item{{0, -1}}
	for len(stack) > 0 && len(m.out) < maxExtents {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		b := root
		if it.block != 0 {
			if b = m.node(it.block); b == nil {
				continue
			}
		}
		entries, depth, err := header(b)
		if err == nil && it.depth >= 0 && depth != it.depth {
			err = damaged(it.block*m.f.sb.blockSize, "eh_depth", depth, it.depth)
		}
		if err != nil {
			m.fail(err)
			continue
		}
		if depth == 0 {
			m.leaf(entries)
			continue
		}
		for i := len(entries) - 12; i >= 0; i -= 12 {
			lo, hi := binary.LittleEndian.Uint32(entries[i+4:]), binary.LittleEndian.Uint16(entries[i+8:])
			if n := int64(hi)<<32 | int64(lo); n > 0 {
				stack = append(stack, item{n, depth - 1})
			}
		}
	}
}

// header checks an extent node and returns its entries.
func header(b []byte) ([]byte, int, error) {
	magic, n, depth := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:])), int(binary.LittleEndian.Uint16(b[6:]))
	switch {
	case magic != extentMagic:
		return nil, 0, damaged(mtkport.NoOffset, "eh_magic", fmt.Sprintf("0x%04x", magic), "0xf30a")
	case n > (len(b)-12)/12:
		return nil, 0, damaged(mtkport.NoOffset, "eh_entries", n, fmt.Sprintf("at most %d", (len(b)-12)/12))
	case depth > maxDepth:
		return nil, 0, damaged(mtkport.NoOffset, "eh_depth", depth, fmt.Sprintf("at most %d", maxDepth))
	}
	return b[12 : 12+12*n], depth, nil
}

func (m *mapper) leaf(entries []byte) {
	for ; len(entries) > 0; entries = entries[12:] {
		file := int64(binary.LittleEndian.Uint32(entries))
		n := int64(binary.LittleEndian.Uint16(entries[4:]))
		hi, lo := binary.LittleEndian.Uint16(entries[6:]), binary.LittleEndian.Uint32(entries[8:])
		if n > 32768 { // uninitialised: reads as zeros
			if !m.all {
				continue
			}
			n -= 32768
		}
		m.add(file, int64(hi)<<32|int64(lo), n)
	}
}

// pointers reads the classic map: 12 direct blocks, then one, two and three
// levels of blocks of pointers.
func (m *mapper) pointers(b []byte) {
	per := m.f.sb.blockSize / 4
	for i := range int64(12) {
		m.pointer(i, b[4*i:])
	}
	base, span := int64(12), int64(1)
	for level := range 3 {
		root := int64(binary.LittleEndian.Uint32(b[48+4*level:]))
		span *= per
		m.indirect(root, base, level)
		base += span
	}
}

func (m *mapper) pointer(file int64, b []byte) {
	if disk := int64(binary.LittleEndian.Uint32(b)); disk != 0 {
		m.add(file, disk, 1)
	}
}

// indirect walks one block of pointers, levels deep, with a stack.
func (m *mapper) indirect(root, base int64, levels int) {
	type item struct {
		block, base int64
		level       int
	}
	per := m.f.sb.blockSize / 4
	stack := []item{{root, base, levels}}
	for len(stack) > 0 && len(m.out) < maxExtents {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if it.block == 0 || it.base >= m.last {
			continue
		}
		b := m.node(it.block)
		if b == nil {
			continue
		}
		span := int64(1)
		for range it.level {
			span *= per
		}
		for i := per - 1; i >= 0; i-- {
			if it.level == 0 {
				m.pointer(it.base+per-1-i, b[4*(per-1-i):])
			} else if n := binary.LittleEndian.Uint32(b[4*i:]); n != 0 {
				stack = append(stack, item{int64(n), it.base + i*span, it.level - 1})
			}
		}
	}
}
