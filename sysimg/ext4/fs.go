package ext4

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"mtkport"
	"mtkport/sysimg/tree"
)

// FS is an opened image.
type FS struct {
	r    io.ReaderAt // with the journal replayed over it
	size int64       // bytes of the image
	sb   *super
	gdt  []byte
	have int64 // groups whose descriptors could be read
	tree *tree.Tree
	inos map[*tree.Node]uint32 // as opened

	mu       sync.Mutex
	problems []mtkport.Finding
	more     int // problems past maxProblems
	meta     map[int64][]byte
	cached   int // extents held by contents

	replayed int // journal transactions
}

// Open reads the superblock, the descriptors and every directory and inode in
// use of an image of size bytes. Contents are read when they are asked for.
// When the first superblock is broken a backup serves, and the fault is listed.
//
// Errors: ErrFormat when it is no ext file system, ErrDamaged when so much is
// broken that not even the root directory can be read.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size, meta: map[int64][]byte{}}
	if err := f.findSuper(); err != nil {
		return nil, err
	}
	if f.sb.FeatureCompat&compatJournal != 0 && f.sb.FeatureIncompat&incompatRecover != 0 {
		f.loadGroups()
		f.replay()
	}
	f.loadGroups()
	f.checkSuper()
	if err := f.walk(); err != nil {
		return nil, err
	}
	f.meta = nil
	return f, nil
}

// Tree is the file system's tree. It is the caller's to change: the image stays.
func (f *FS) Tree() *tree.Tree { return f.tree }

// Problems lists what is broken or lost, the worst kinds as risks, checksum
// faults as notes. Reading contents may add to it.
func (f *FS) Problems() []mtkport.Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := append([]mtkport.Finding(nil), f.problems...)
	if f.more > 0 {
		out = append(out, mtkport.Finding{Code: "ext4-more", Severity: mtkport.Note, Text: fmt.Sprintf("%d further problems are not listed", f.more)})
	}
	return out
}

// problem adds to the list. off is a byte of the image, or NoOffset.
func (f *FS) problem(code string, sev mtkport.Severity, subject string, off int64, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.problems) >= maxProblems {
		f.more++
		return
	}
	p := mtkport.Finding{Code: code, Severity: sev, Subject: subject, Text: fmt.Sprintf(format, args...)}
	if off >= 0 {
		p.Evidence = []mtkport.Evidence{{Off: mtkport.At(off), Value: p.Text}}
	}
	f.problems = append(f.problems, p)
}

// backups are where mke2fs and make_ext4fs put the first copies, bytes, by
// block size: group 1 (4 KiB, 1 KiB, 2 KiB blocks).
var backups = []int64{32768 * 4096, 8193 * 1024, 16384 * 2048}

func (f *FS) findSuper() error {
	sb, err := readSuper(f.r, superOffset)
	if err == nil {
		f.sb = sb
		return nil
	}
	for _, off := range backups {
		copied, err2 := readSuper(f.r, off)
		if err2 == nil && copied.blockSize*(int64(copied.BlocksPerGroup)+int64(copied.FirstDataBlock)) == off {
			f.sb = copied
			f.problem("ext4-superblock", mtkport.Risk, "", superOffset, "the superblock is broken (%v); its copy at 0x%x is used", err, off)
			return nil
		}
	}
	return err
}

func (f *FS) loadGroups() {
	f.gdt, f.have = f.sb.readGDT(f.r)
	f.meta = map[int64][]byte{}
}

// checkSuper lists what the superblock and the descriptors say that is not so.
func (f *FS) checkSuper() {
	s := f.sb
	if want := s.blocks * s.blockSize; want > f.size {
		f.problem("ext4-truncated", mtkport.Risk, "", f.size, "the image ends at %d bytes, the file system is %d bytes long", f.size, want)
	}
	if f.have < s.groups {
		f.problem("ext4-groups", mtkport.Risk, "", mtkport.NoOffset, "%d of %d group descriptors lie past the end of the image", s.groups-f.have, s.groups)
	}
	if s.FeatureROCompat&roMetadataCsum != 0 {
		if got := crc32c(^uint32(0), s.raw[:0x3FC]); got != s.Checksum {
			f.problem("ext4-checksum", mtkport.Note, "", superOffset+0x3FC, "superblock checksum: found 0x%08x, want 0x%08x", s.Checksum, got)
		}
	}
	if f.replayed == 0 && s.FeatureIncompat&incompatRecover != 0 {
		f.problem("ext4-journal", mtkport.Note, "", mtkport.NoOffset, "the file system was not unmounted cleanly, and its journal holds nothing to replay")
	}
	if s.State&2 != 0 {
		f.problem("ext4-errors", mtkport.Note, "", superOffset+0x3A, "the file system says of itself that it has errors")
	}
	for g := range f.have {
		d := f.desc(g)
		if want := s.groupSum(uint32(g), d); want != binary.LittleEndian.Uint16(d[0x1E:]) {
			f.problem("ext4-checksum", mtkport.Note, fmt.Sprintf("group %d", g), mtkport.NoOffset, "group descriptor checksum: found 0x%04x, want 0x%04x", binary.LittleEndian.Uint16(d[0x1E:]), want)
		}
	}
}

func (f *FS) desc(g int64) []byte { return f.gdt[g*f.sb.descSize:][:f.sb.descSize] }

// wide joins the halves of a block number in descriptor d: lo at the given
// offset, hi 32 bytes behind it in the 64-byte form.
func (f *FS) wide(d []byte, off int) int64 {
	v := int64(binary.LittleEndian.Uint32(d[off:]))
	if len(d) >= 64 {
		v |= int64(binary.LittleEndian.Uint32(d[off+32:])) << 32
	}
	return v
}

// block reads one block of metadata through a small cache. The result must not
// be changed.
func (f *FS) block(n int64) ([]byte, error) {
	if b, ok := f.meta[n]; ok {
		return b, nil
	}
	b, err := f.readBlock(n)
	if err != nil {
		return nil, err
	}
	if f.meta != nil {
		if int64(len(f.meta))*f.sb.blockSize > 8<<20 {
			clear(f.meta)
		}
		f.meta[n] = b
	}
	return b, nil
}

func (f *FS) readBlock(n int64) ([]byte, error) {
	if n <= 0 && f.sb.blockSize > 1024 || n < 0 || n >= f.sb.blocks {
		return nil, damaged(mtkport.NoOffset, "block number", n, fmt.Sprintf("1 to %d", f.sb.blocks-1))
	}
	b := make([]byte, f.sb.blockSize)
	if err := tree.ReadFull(f.r, b, n*f.sb.blockSize); err != nil {
		return nil, damaged(n*f.sb.blockSize, "block", "the end of the image", fmt.Sprintf("%d bytes", f.sb.blockSize))
	}
	return b, nil
}

// Free lists what the block bitmaps call free, bytes of the image: what a
// sparse writer may leave out.
func (f *FS) Free() ([]tree.Range, error) {
	var out []tree.Range
	s := f.sb
	if s.FeatureROCompat&0x200 != 0 {
		return nil, nil // bigalloc: the bits are clusters; nothing is called free
	}
	for g := range f.have {
		d := f.desc(g)
		first := int64(s.FirstDataBlock) + g*int64(s.BlocksPerGroup)
		n := min(int64(s.BlocksPerGroup), s.blocks-first)
		if binary.LittleEndian.Uint16(d[0x12:])&groupBlockUninit != 0 {
			continue // the bitmap is not there: call nothing free
		}
		bits, err := f.readBlock(f.wide(d, 0))
		if err != nil {
			return nil, err
		}
		for i := int64(0); i < n; i++ {
			if bits[i/8]&(1<<(i%8)) != 0 {
				continue
			}
			at := (first + i) * s.blockSize
			if k := len(out) - 1; k >= 0 && out[k].Off+out[k].Len == at {
				out[k].Len += s.blockSize
			} else {
				out = append(out, tree.Range{Off: at, Len: s.blockSize})
			}
		}
	}
	return out, nil
}
