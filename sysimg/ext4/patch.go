package ext4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Patch is an image with changes laid over it: an io.ReaderAt of the same size,
// and tree.Placed. What was not changed is the source's own bytes.
type Patch struct {
	base   io.ReaderAt
	size   int64
	pieces []tree.Piece
}

// Patch changes the image to hold t and touches nothing that need not change:
// inodes keep their numbers, files their blocks. t is the tree of f, edited
// ([FS.Tree]); nodes that are still in it are the same inodes. f's image is not
// written: the result is read through the returned Patch.
//
// Errors: ErrUnsupported for images whose every block carries a checksum
// (metadata_csum), with inline data, clusters, a journal that waits for replay
// or damage: such trees are written anew. ErrTooBig when the free space does
// not do.
func (f *FS) Patch(t *tree.Tree) (*Patch, error) {
	if err := f.patchable(); err != nil {
		return nil, err
	}
	old, err := Open(f.r, f.size)
	if err != nil {
		return nil, err
	}
	p, err := newPatcher(f, old, t)
	if err != nil {
		return nil, err
	}
	if err := p.run(); err != nil {
		if errors.Is(err, errFull) {
			return nil, p.full()
		}
		return nil, err
	}
	return p.result(), nil
}

func (f *FS) patchable() error {
	s := f.sb
	no := func(why string) error {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "edit in place", Found: why, Want: "a clean image in Android's layout", Err: mtkport.ErrUnsupported}
	}
	switch {
	case s.FeatureROCompat&roMetadataCsum != 0:
		return no("metadata_csum")
	case s.FeatureROCompat&^(roSparseSuper|roLargeFile|roHugeFile|roGDTCsum|roDirNlink|roExtraIsize) != 0:
		return no(fmt.Sprint(names(2, s.FeatureROCompat)))
	case s.FeatureIncompat&^(incompatFiletype|incompatExtents|incompat64Bit|incompatFlexBG) != 0 || s.FeatureIncompat&incompatFiletype == 0:
		return no(fmt.Sprint(names(1, s.FeatureIncompat)))
	case s.groups > maxChecked || f.have < s.groups:
		return no(fmt.Sprintf("%d groups", s.groups))
	case s.RevLevel == 0:
		return no("revision 0")
	}
	for _, p := range f.Problems() {
		if p.Severity > mtkport.Note {
			return no(p.Text)
		}
	}
	return nil
}

// patcher is one run of [FS.Patch].
type patcher struct {
	f, old *FS
	b      *builder
	maps   bitmaps
	gdt    []byte
	meta   map[int64][]byte // changed blocks of tables, directories, attributes
	list   []*member
	before map[uint32]*tree.Node
	free   int64 // change in free blocks
	inodes int64 // change in free inodes
}

func newPatcher(f, old *FS, t *tree.Tree) (*patcher, error) {
	s := old.sb
	p := &patcher{f: f, old: old, gdt: bytes.Clone(old.gdt), meta: map[int64][]byte{}, before: map[uint32]*tree.Node{}}
	p.maps = bitmaps{f: old, blocks: map[int64][]byte{}, inodes: map[int64][]byte{}}
	for n, ino := range old.inos {
		p.before[ino] = n
	}
	l := old.Layout()
	c, err := survey(t)
	if err != nil {
		return nil, err
	}
	g := &geometry{Layout: l, first: int64(s.FirstDataBlock), blocks: s.blocks, groups: s.groups}
	p.b = &builder{geometry: g, c: c, alloc: p.alloc, inodes: map[uint32][]byte{}, dirs: make([]uint16, s.groups), shared: map[string]*sharedXattr{}}
	p.list = c.list
	return p, nil
}

// keeps reports whether a member is an inode of the image still, and which.
func (p *patcher) keeps(m *member) (uint32, bool) {
	ino, ok := p.f.inos[m.n]
	return ino, ok && p.before[ino] != nil && p.before[ino].Type() == m.n.Type()
}

func (p *patcher) run() error {
	kept := map[uint32]bool{}
	for _, m := range p.list {
		m.ino = 0
		if ino, ok := p.keeps(m); ok {
			m.ino, kept[ino] = ino, true
		}
	}
	for _, ino := range slices.Sorted(maps.Keys(p.before)) {
		if !kept[ino] {
			if err := p.drop(ino); err != nil {
				return err
			}
		}
	}
	for _, m := range p.list {
		if m.ino == 0 {
			if err := p.number(m); err != nil {
				return err
			}
		}
	}
	for _, m := range p.list {
		var err error
		if kept[m.ino] {
			err = p.rework(m)
		} else {
			err = p.b.member(m)
		}
		if err != nil {
			return err
		}
	}
	p.b.sharedBlocks()
	return p.pad()
}

// pad sets the bits past the last inode in the bitmaps of an image that is being
// changed anyway: make_ext4fs leaves them 0, and e2fsck complains.
func (p *patcher) pad() error {
	if len(p.b.inodes) == 0 {
		return nil
	}
	for g := range p.old.sb.groups {
		if binary.LittleEndian.Uint16(p.desc(g)[0x12:])&groupInodeUninit != 0 {
			continue
		}
		bits, err := p.maps.inode(g)
		if err != nil {
			return err
		}
		for i := int64(p.old.sb.InodesPerGroup); i < 8*p.old.sb.blockSize; i++ {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return nil
}

// number gives a new inode its number: the first free one after the reserved.
func (p *patcher) number(m *member) error {
	s := p.old.sb
	for g := range s.groups {
		if binary.LittleEndian.Uint16(p.desc(g)[0xE:]) == 0 {
			continue
		}
		bits, err := p.maps.inode(g)
		if err != nil {
			return err
		}
		for i := range int64(s.InodesPerGroup) {
			ino := g*int64(s.InodesPerGroup) + i + 1
			if ino < inoFirst || isSet(bits, i) {
				continue
			}
			bits[i/8] |= 1 << (i % 8)
			m.ino = uint32(ino)
			return p.tookInode(g, i, m.n.IsDir())
		}
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "inodes", Found: fmt.Sprintf("all %d in use", s.InodesCount), Err: mtkport.ErrTooBig}
}

// tookInode counts a new inode to its group; slots before it that were never
// written become zeros.
func (p *patcher) tookInode(g, i int64, dir bool) error {
	d := p.desc(g)
	p.addTo(d, 0xE, 0x2E, -1)
	if dir {
		p.addTo(d, 0x10, 0x30, 1)
	}
	p.inodes--
	flags := binary.LittleEndian.Uint16(d[0x12:])
	binary.LittleEndian.PutUint16(d[0x12:], flags&^groupInodeUninit)
	if p.old.sb.FeatureROCompat&roGDTCsum == 0 {
		return nil
	}
	per := int64(p.old.sb.InodesPerGroup)
	touched := per - p.get(d, 0x1C, 0x32)
	if flags&groupInodeUninit != 0 {
		touched = 0
	}
	for k := touched; k <= i; k++ {
		p.b.inodes[uint32(g*per+k+1)] = make([]byte, p.old.sb.inodeSize)
	}
	if i >= touched {
		p.addTo(d, 0x1C, 0x32, touched-i-1)
		if flags&groupInodeUninit != 0 {
			p.set(d, 0x1C, 0x32, per-i-1)
		}
	}
	return nil
}

func (p *patcher) desc(g int64) []byte { return p.gdt[g*p.old.sb.descSize:][:p.old.sb.descSize] }

// get, set and addTo handle a count whose high half the 64-byte form has apart.
func (p *patcher) get(d []byte, lo, hi int) int64 {
	v := int64(binary.LittleEndian.Uint16(d[lo:]))
	if len(d) >= 64 {
		v |= int64(binary.LittleEndian.Uint16(d[hi:])) << 16
	}
	return v
}

func (p *patcher) set(d []byte, lo, hi int, v int64) {
	binary.LittleEndian.PutUint16(d[lo:], uint16(v))
	if len(d) >= 64 {
		binary.LittleEndian.PutUint16(d[hi:], uint16(v>>16))
	}
}

func (p *patcher) addTo(d []byte, lo, hi int, n int64) { p.set(d, lo, hi, p.get(d, lo, hi)+n) }

// alloc takes n blocks: one run when there is one, else the first free ones.
func (p *patcher) alloc(n int64) ([]extent, error) {
	if n <= 0 {
		return nil, nil
	}
	runs, err := p.freeRuns(n)
	if err != nil {
		return nil, err
	}
	var out []extent
	var file int64
	for _, r := range runs {
		k := min(r.n, n-file)
		g, bit := p.old.group(r.disk)
		for i := bit; i < bit+k; i++ {
			p.maps.blocks[g][i/8] |= 1 << (i % 8)
		}
		p.took(g, k)
		out = append(out, extent{file, r.disk, k})
		if file += k; file == n {
			return out, nil
		}
	}
	return nil, errFull
}

func (p *patcher) took(g, k int64) {
	d := p.desc(g)
	p.addTo(d, 0xC, 0x2C, -k)
	p.free -= k
	binary.LittleEndian.PutUint16(d[0x12:], binary.LittleEndian.Uint16(d[0x12:])&^groupBlockUninit)
}

// freeRuns lists free runs: only the first that holds n when there is one.
func (p *patcher) freeRuns(n int64) ([]extent, error) {
	var out []extent
	for g := range p.old.sb.groups {
		if p.get(p.desc(g), 0xC, 0x2C) == 0 {
			continue
		}
		bits, err := p.maps.block(g)
		if err != nil {
			return nil, err
		}
		start, count := p.old.groupStart(g), p.old.groupBlocks(g)
		for i := int64(0); i < count; i++ {
			if isSet(bits, i) {
				continue
			}
			from := i
			for i < count && !isSet(bits, i) {
				i++
			}
			run := extent{disk: start + from, n: i - from}
			if run.n >= n {
				return []extent{run}, nil
			}
			out = append(out, run)
		}
	}
	return out, nil
}

func (p *patcher) full() error {
	s := p.old.sb
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "free space in the image", Found: fmt.Sprintf("%d bytes", max(0, int64(s.FreeBlocksCountLo)+p.free)*s.blockSize),
		Want: "more than that for what is to be added", Err: mtkport.ErrTooBig, Hint: "take files out first, or build with a larger --size"}
}

// release gives blocks back.
func (p *patcher) release(from, n int64) error {
	for i := from; i < from+n; i++ {
		g, bit := p.old.group(i)
		bits, err := p.maps.block(g)
		if err != nil {
			return err
		}
		bits[bit/8] &^= 1 << (bit % 8)
		p.addTo(p.desc(g), 0xC, 0x2C, 1)
		p.free++
	}
	return nil
}

// result gathers all changed bytes.
func (p *patcher) result() *Patch {
	s, bs := p.old.sb, p.old.sb.blockSize
	for ino, raw := range p.b.inodes {
		p.store(ino, raw)
	}
	for g, b := range p.maps.blocks {
		p.meta[p.old.wide(p.desc(g), 0)] = b
	}
	for g, b := range p.maps.inodes {
		if binary.LittleEndian.Uint16(p.desc(g)[0x12:])&groupInodeUninit == 0 {
			p.meta[p.old.wide(p.desc(g), 4)] = b
		}
	}
	for g := range s.groups {
		d := p.desc(g)
		binary.LittleEndian.PutUint16(d[0x1E:], s.groupSum(uint32(g), d))
	}
	out := &Patch{base: p.f.r, size: p.f.size, pieces: p.b.pieces}
	add := func(off int64, b []byte) {
		out.pieces = append(out.pieces, tree.Piece{Off: off, Len: int64(len(b)), Src: bytes.NewReader(b)})
	}
	for n, b := range p.meta {
		add(n*bs, b)
	}
	add((int64(s.FirstDataBlock)+1)*bs, p.gdt)
	sb := bytes.Clone(s.raw)
	binary.LittleEndian.PutUint32(sb[0xC:], uint32(int64(s.FreeBlocksCountLo)+p.free))
	binary.LittleEndian.PutUint32(sb[0x10:], uint32(int64(s.FreeInodesCount)+p.inodes))
	add(superOffset, sb)
	slices.SortFunc(out.pieces, func(x, y tree.Piece) int { return int(min(max(x.Off-y.Off, -1), 1)) })
	return out
}

// store puts an inode into its table block.
func (p *patcher) store(ino uint32, raw []byte) {
	off, err := p.old.inodeAt(ino)
	if err != nil {
		return
	}
	b, err := p.block(off / p.old.sb.blockSize)
	if err == nil {
		copy(b[off%p.old.sb.blockSize:], raw)
	}
}

// block is a block of metadata to change.
func (p *patcher) block(n int64) ([]byte, error) {
	if b := p.meta[n]; b != nil {
		return b, nil
	}
	b, err := p.old.readBlock(n)
	if err == nil {
		p.meta[n] = b
	}
	return b, err
}

// Size is the image's length, bytes.
func (p *Patch) Size() int64 { return p.size }

// Changed is how many bytes differ in place from the source, at most.
func (p *Patch) Changed() int64 {
	var n int64
	for _, q := range p.pieces {
		n += q.Len
	}
	return n
}

// largeRun is from how many bytes on the source is asked for its holes: when the
// image is copied, not when a block of it is read.
const largeRun = 1 << 20

// Pieces implements tree.Placed.
func (p *Patch) Pieces(off, n int64) ([]tree.Piece, error) {
	end := min(off+n, p.size)
	i := sort.Search(len(p.pieces), func(i int) bool { return p.pieces[i].Off+p.pieces[i].Len > off })
	var out []tree.Piece
	for pos := off; pos < end; i++ {
		next := end
		if i < len(p.pieces) {
			next = min(end, max(pos, p.pieces[i].Off))
		}
		if next > pos {
			base := []tree.Piece{{Off: pos, Len: next - pos, Src: p.base, At: pos}}
			if next-pos >= largeRun {
				var err error
				if base, err = tree.Pieces(p.base, pos, next-pos); err != nil {
					return nil, err
				}
			}
			out, pos = append(out, base...), next
		}
		if i < len(p.pieces) && pos < end {
			q := p.pieces[i]
			to := min(end, q.Off+q.Len)
			out = append(out, tree.Piece{Off: pos, Len: to - pos, Src: q.Src, At: q.At + pos - q.Off})
			pos = to
		}
	}
	return out, nil
}

// ReadAt implements io.ReaderAt.
func (p *Patch) ReadAt(b []byte, off int64) (int, error) {
	if off >= p.size {
		return 0, io.EOF
	}
	n := min(int64(len(b)), p.size-off)
	ps, err := p.Pieces(off, n)
	if err != nil {
		return 0, err
	}
	if err := tree.ReadPieces(ps, b[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}
