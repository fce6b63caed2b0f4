package ext4

import (
	"encoding/binary"
	"errors"
	"io"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Journal block types and flags (big-endian; fs/jbd2, Documentation/filesystems/ext4/journal.rst).
const (
	jbdMagic      = 0xC03B3998
	jbdDescriptor = 1
	jbdCommit     = 2
	jbdSuperV1    = 3
	jbdSuperV2    = 4
	jbdRevoke     = 5

	tagEscape = 1
	tagSame   = 2
	tagLast   = 8

	jbd64Bit  = 2
	jbdCsumV2 = 8
	jbdCsumV3 = 16
)

// overlay shows blocks of the journal in the place where they belong.
type overlay struct {
	r         io.ReaderAt
	blockSize int64
	blocks    map[int64]placed
}

// placed is where the newest committed form of a block lies.
type placed struct {
	at      int64 // byte offset in the image
	escaped bool  // its first word is the journal's magic, written as 0
}

// ReadAt implements io.ReaderAt.
func (o *overlay) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.r.ReadAt(p, off)
	end := off + int64(n)
	for b := off / o.blockSize; b*o.blockSize < end; b++ {
		pl, ok := o.blocks[b]
		if !ok {
			continue
		}
		whole := make([]byte, o.blockSize)
		if e := tree.ReadFull(o.r, whole, pl.at); e != nil {
			return 0, e
		}
		if pl.escaped {
			binary.BigEndian.PutUint32(whole, jbdMagic)
		}
		from, to := max(off, b*o.blockSize), min(end, (b+1)*o.blockSize)
		copy(p[from-off:to-off], whole[from-b*o.blockSize:to-b*o.blockSize])
	}
	return n, err
}

// journal is an opened log.
type journal struct {
	f      *FS
	log    content // inode 8
	size   int64   // blocks
	first  int64
	start  int64
	seq    uint32
	tag    int64 // bytes of one tag
	compat uint32

	revoked map[int64]uint32 // block → the last transaction that revoked it
	found   map[int64]placed
}

// replay puts the committed transactions of the journal over the image.
func (f *FS) replay() {
	j, err := f.openJournal()
	if err != nil {
		f.problem("ext4-journal", mtkport.Risk, "", mtkport.NoOffset, "the journal cannot be replayed, the last changes may be missing: %v", err)
		return
	}
	if j.start == 0 {
		return // clean
	}
	last := j.scan(j.seq+uint32(j.size), j.count)
	j.scan(last, j.revokes)
	j.scan(last, j.blocks)
	f.replayed = int(last - j.seq)
	if len(j.found) > 0 {
		f.r = &overlay{f.r, f.sb.blockSize, j.found}
		f.problem("ext4-journal", mtkport.Note, "", mtkport.NoOffset, "%d transactions were replayed from the journal", f.replayed)
		if sb, err := readSuper(f.r, superOffset); err == nil {
			f.sb = sb
		}
	}
}

func (f *FS) openJournal() (*journal, error) {
	if f.sb.JournalInum == 0 {
		return nil, errors.New("it lies on another device")
	}
	in, err := f.inode(f.sb.JournalInum)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f, revoked: map[int64]uint32{}, found: map[int64]placed{}}
	j.log.fs, j.log.ino, j.log.size, j.log.flags, j.log.block = f, in.ino, max(0, in.size()), in.Flags, in.Block
	b, err := j.block(0)
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if kind := be.Uint32(b[4:]); be.Uint32(b) != jbdMagic || kind != jbdSuperV1 && kind != jbdSuperV2 {
		return nil, damaged(mtkport.NoOffset, "journal superblock", be.Uint32(b), jbdMagic)
	}
	j.size, j.first, j.seq, j.start = int64(be.Uint32(b[0x10:])), int64(be.Uint32(b[0x14:])), be.Uint32(b[0x18:]), int64(be.Uint32(b[0x1C:]))
	if be.Uint32(b[4:]) == jbdSuperV2 {
		j.compat = be.Uint32(b[0x28:])
	}
	if int64(be.Uint32(b[0xC:])) != f.sb.blockSize || j.first < 1 || j.first >= j.size || j.start >= j.size || j.size > j.log.size/f.sb.blockSize {
		return nil, damaged(mtkport.NoOffset, "journal superblock", "its sizes", "those of the file system")
	}
	switch {
	case j.compat&jbdCsumV3 != 0:
		j.tag = 16
	case j.compat&jbd64Bit != 0:
		j.tag = 12
	default:
		j.tag = 8
	}
	if j.compat&jbdCsumV2 != 0 {
		j.tag += 2
	}
	return j, nil
}

func (j *journal) block(n int64) ([]byte, error) {
	b := make([]byte, j.f.sb.blockSize)
	if err := tree.ReadFull(&j.log, b, n*j.f.sb.blockSize); err != nil {
		return nil, damaged(mtkport.NoOffset, "journal block", n, "inside the journal")
	}
	return b, nil
}

// next is the log block after n; the log is a ring.
func (j *journal) next(n int64) int64 {
	if n++; n >= j.size {
		return j.first
	}
	return n
}

// scan visits the log's blocks up to transaction last and returns the first
// transaction that is not committed. visit hears of each descriptor and revoke
// block, and returns how many data blocks follow.
func (j *journal) scan(last uint32, visit func(kind uint32, b []byte, seq uint32, at int64) int64) uint32 {
	seq, pos := j.seq, j.start
	for steps := int64(0); steps < j.size && seq != last; {
		b, err := j.block(pos)
		if err != nil || binary.BigEndian.Uint32(b) != jbdMagic || binary.BigEndian.Uint32(b[8:]) != seq {
			break
		}
		kind := binary.BigEndian.Uint32(b[4:])
		skip := int64(0)
		switch kind {
		case jbdCommit:
			seq++
		case jbdDescriptor, jbdRevoke:
			skip = visit(kind, b, seq, pos)
		default:
			return seq
		}
		for range skip + 1 {
			pos = j.next(pos)
			steps++
		}
	}
	return seq
}

// count is the first pass: how far the committed transactions go.
func (j *journal) count(kind uint32, b []byte, _ uint32, _ int64) int64 {
	if kind == jbdDescriptor {
		return int64(len(j.tags(b)))
	}
	return 0
}

// revokes is the second pass: which blocks later transactions took back.
func (j *journal) revokes(kind uint32, b []byte, seq uint32, at int64) int64 {
	if kind == jbdDescriptor {
		return j.count(kind, b, seq, at)
	}
	n, width := int64(binary.BigEndian.Uint32(b[12:])), int64(4)
	if j.compat&jbd64Bit != 0 {
		width = 8
	}
	for i := int64(16); i+width <= min(n, int64(len(b))); i += width {
		blk := int64(binary.BigEndian.Uint32(b[i:]))
		if width == 8 {
			blk = blk<<32 | int64(binary.BigEndian.Uint32(b[i+4:]))
		}
		if old, ok := j.revoked[blk]; !ok || int32(seq-old) > 0 {
			j.revoked[blk] = seq
		}
	}
	return 0
}

// blocks is the third pass: where the newest form of each block lies.
func (j *journal) blocks(kind uint32, b []byte, seq uint32, at int64) int64 {
	if kind != jbdDescriptor {
		return 0
	}
	tags := j.tags(b)
	for _, t := range tags {
		at = j.next(at)
		if by, ok := j.revoked[t.block]; ok && int32(seq-by) <= 0 {
			continue
		}
		ps, err := j.log.Pieces(at*j.f.sb.blockSize, j.f.sb.blockSize)
		if err != nil || len(ps) != 1 || ps[0].Len != j.f.sb.blockSize || t.block >= j.f.sb.blocks {
			continue
		}
		j.found[t.block] = placed{ps[0].At, t.flags&tagEscape != 0}
	}
	return int64(len(tags))
}

type tag struct {
	block int64
	flags uint32
}

// tags reads the list in a descriptor block.
func (j *journal) tags(b []byte) []tag {
	var out []tag
	be, end := binary.BigEndian, int64(len(b))
	if j.compat&(jbdCsumV2|jbdCsumV3) != 0 {
		end -= 4
	}
	for pos := int64(12); pos+j.tag <= end; {
		t := tag{block: int64(be.Uint32(b[pos:])), flags: uint32(be.Uint16(b[pos+6:]))}
		if j.compat&jbdCsumV3 != 0 {
			t.flags = be.Uint32(b[pos+4:])
		}
		if j.compat&jbd64Bit != 0 {
			t.block |= int64(be.Uint32(b[pos+8:])) << 32
		}
		out = append(out, t)
		pos += j.tag
		if t.flags&tagSame == 0 {
			pos += 16
		}
		if t.flags&tagLast != 0 {
			break
		}
	}
	return out
}
