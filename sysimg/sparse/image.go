package sparse

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sort"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Image is the expanded view of a sparse image: an io.ReaderAt of Size bytes.
type Image struct {
	size      int64
	blockSize int64
	runs      []run // sorted, DONT_CARE left out
	checks    []check
	chunks    int
	files     int
}

// run is a part of the expanded image that is not DONT_CARE.
type run struct {
	off, n int64 // bytes, expanded
	src    io.ReaderAt
	at     int64  // in src, of raw data
	fill   uint32 // when src is nil
}

// check is a CRC of the first n bytes of the expanded image.
type check struct {
	n   int64
	crc uint32
	at  int64 // where the CRC stands in the file
}

// Open reads the chunk index of a sparse image of size bytes. The data stays
// where it is. Errors: ErrFormat when it is no sparse image, ErrDamaged when a
// chunk contradicts the header or the file ends early.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	m := &Image{size: int64(h.Blocks) * int64(h.BlockSize), blockSize: int64(h.BlockSize), chunks: int(h.Chunks), files: 1}
	p := parser{r: r, size: size, h: h, m: m, pos: int64(h.HeaderSize)}
	for i := range h.Chunks {
		if err := p.chunk(); err != nil {
			return nil, mtkport.InFile(err, fmt.Sprintf("chunk %d", i))
		}
	}
	if p.done != m.size {
		return nil, damaged(16, "total_blks", h.Blocks, fmt.Sprintf("%d, the sum of the chunks", p.done/m.blockSize))
	}
	if h.CRC != 0 {
		m.checks = append(m.checks, check{m.size, h.CRC, 24})
	}
	return m, nil
}

type parser struct {
	r    io.ReaderAt
	size int64
	h    rawHeader
	m    *Image
	pos  int64 // in the file
	done int64 // in the expanded image
}

func (p *parser) chunk() error {
	b := make([]byte, chunkSize)
	if err := tree.ReadFull(p.r, b, p.pos); err != nil {
		return damaged(p.pos, "chunk header", "the end of the file", "12 bytes")
	}
	var c rawChunk
	_, _ = binary.Decode(b, binary.LittleEndian, &c)
	data, n := p.pos+int64(p.h.ChunkSize), int64(c.Blocks)*p.m.blockSize
	payload := int64(c.Total) - int64(p.h.ChunkSize)
	want, ok := map[uint16]int64{raw: n, fill: 4, dontCare: 0, crc32Type: 4}[c.Type]
	switch {
	case !ok:
		return damaged(p.pos, "chunk_type", fmt.Sprintf("0x%04x", c.Type), "0xcac1 to 0xcac4")
	case payload != want:
		return damaged(p.pos+8, "total_sz", c.Total, want+int64(p.h.ChunkSize))
	case n > p.m.size-p.done:
		return damaged(p.pos+4, "chunk_sz", c.Blocks, fmt.Sprintf("at most %d", (p.m.size-p.done)/p.m.blockSize))
	case payload > p.size-data:
		return damaged(data, "chunk data", fmt.Sprintf("%d bytes", max(0, p.size-data)), fmt.Sprintf("%d bytes", payload))
	case c.Type == crc32Type && c.Blocks != 0:
		return damaged(p.pos+4, "chunk_sz", c.Blocks, "0 in a CRC32 chunk")
	}
	if err := p.take(c.Type, data, n); err != nil {
		return err
	}
	p.pos = data + payload
	p.done += n
	return nil
}

func (p *parser) take(kind uint16, data, n int64) error {
	r := run{off: p.done, n: n}
	switch kind {
	case raw:
		r.src, r.at = p.r, data
	case fill, crc32Type:
		b := make([]byte, 4)
		if err := tree.ReadFull(p.r, b, data); err != nil {
			return damaged(data, "chunk data", "the end of the file", "4 bytes")
		}
		r.fill = binary.LittleEndian.Uint32(b)
	}
	switch {
	case kind == crc32Type:
		p.m.checks = append(p.m.checks, check{p.done, r.fill, data})
	case kind != dontCare && n > 0:
		p.m.runs = append(p.m.runs, r)
	}
	return nil
}

// Join makes one image of the split files that together hold it, in any order.
// Each of them is a whole sparse image that leaves the others' blocks as
// DONT_CARE. ErrDamaged when two of them hold the same block.
func Join(parts []*Image) (*Image, error) {
	if len(parts) == 0 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "split image", Found: "no file", Want: "one at least", Err: mtkport.ErrFormat}
	}
	m := &Image{blockSize: parts[0].blockSize, files: len(parts)}
	for _, p := range parts {
		m.size, m.chunks = max(m.size, p.size), m.chunks+p.chunks
		m.runs = append(m.runs, p.runs...)
	}
	sort.SliceStable(m.runs, func(i, j int) bool { return m.runs[i].off < m.runs[j].off })
	for i := 1; i < len(m.runs); i++ {
		if prev := m.runs[i-1]; prev.off+prev.n > m.runs[i].off {
			return nil, damaged(m.runs[i].off, "split image", "a block in two files", "each block in one file")
		}
	}
	return m, nil
}

// Size is the length of the expanded image, bytes.
func (m *Image) Size() int64 { return m.size }

// BlockSize is the sparse format's block size, bytes.
func (m *Image) BlockSize() int64 { return m.blockSize }

// Chunks is how many chunks the file holds (all files, when joined).
func (m *Image) Chunks() int { return m.chunks }

// Files is how many split files were joined, 1 for one file.
func (m *Image) Files() int { return m.files }

// Checksummed reports whether the image carries a CRC that [Image.Verify] can check.
func (m *Image) Checksummed() bool { return len(m.checks) > 0 }

// find is the index of the first run that ends past off.
func (m *Image) find(off int64) int {
	return sort.Search(len(m.runs), func(i int) bool { return m.runs[i].off+m.runs[i].n > off })
}

// ReadAt reads the expanded image; DONT_CARE is zeros.
func (m *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= m.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), m.size-off))
	clear(p[:n])
	end := off + int64(n)
	for i := m.find(off); i < len(m.runs) && m.runs[i].off < end; i++ {
		r := m.runs[i]
		from, to := max(off, r.off), min(end, r.off+r.n)
		if err := r.read(p[from-off:to-off], from); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r run) read(p []byte, off int64) error {
	if r.src != nil {
		return tree.ReadFull(r.src, p, r.at+off-r.off)
	}
	if r.fill != 0 {
		pattern(r.fill).fill(p, off-r.off)
	}
	return nil
}

// Pieces implements tree.Placed: raw runs where they lie in the file, other
// fills as patterns, FILL 0 and DONT_CARE as gaps.
func (m *Image) Pieces(off, n int64) ([]tree.Piece, error) {
	var out []tree.Piece
	end := min(off+n, m.size)
	for i := m.find(off); i < len(m.runs) && m.runs[i].off < end; i++ {
		r := m.runs[i]
		from, to := max(off, r.off), min(end, r.off+r.n)
		switch {
		case r.src != nil:
			out = append(out, tree.Piece{Off: from, Len: to - from, Src: r.src, At: r.at + from - r.off})
		case r.fill != 0:
			out = append(out, tree.Piece{Off: from, Len: to - from, Src: pattern(r.fill), At: from - r.off})
		}
	}
	return out, nil
}

// pattern is an endless reader of one word.
type pattern uint32

func (f pattern) fill(p []byte, off int64) {
	var w [4]byte
	binary.LittleEndian.PutUint32(w[:], uint32(f))
	for i := range p {
		p[i] = w[(off+int64(i))%4]
		if i == 63 { // then double what is there
			for n := 64; n < len(p); n *= 2 {
				copy(p[n:], p[:n])
			}
			return
		}
	}
}

// ReadAt implements io.ReaderAt without an end.
func (f pattern) ReadAt(p []byte, off int64) (int, error) {
	f.fill(p, off)
	return len(p), nil
}

// Free lists the DONT_CARE ranges, bytes of the expanded image.
func (m *Image) Free() []tree.Range {
	var out []tree.Range
	var pos int64
	for _, r := range append(m.runs[:len(m.runs):len(m.runs)], run{off: m.size}) {
		if r.off > pos {
			out = append(out, tree.Range{Off: pos, Len: r.off - pos})
		}
		pos = r.off + r.n
	}
	return out
}

// Expand writes the expanded image to w, which must be new (what is zero is not
// written) and be given its length by the caller.
func (m *Image) Expand(ctx context.Context, w io.WriterAt, task mtkport.Task) error {
	ps, err := tree.Pieces(m, 0, m.size)
	if err != nil {
		return err
	}
	return tree.CopyPieces(ctx, w, ps, 2, task)
}

// Verify reads the image through and compares every CRC it carries; without
// any it does nothing. ErrDamaged names the first that is wrong.
func (m *Image) Verify(ctx context.Context) error {
	buf, crc, pos := make([]byte, 1<<20), uint32(0), int64(0)
	for _, c := range m.checks {
		for pos < c.n {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(int64(len(buf)), c.n-pos)]
			if err := tree.ReadFull(m, b, pos); err != nil {
				return err
			}
			crc = crc32.Update(crc, crc32.IEEETable, b)
			pos += int64(len(b))
		}
		if crc != c.crc {
			return damaged(c.at, "crc32", fmt.Sprintf("0x%08x over the data", crc), fmt.Sprintf("0x%08x as written here", c.crc))
		}
	}
	return nil
}
