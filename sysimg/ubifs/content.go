package ubifs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/ubifs/lzo"
)

// file is the content of a regular file: its data nodes, unpacked as they are
// read. It may be read from several goroutines.
type file struct {
	fs     *FS
	ino    uint32
	size   int64
	pieces []piece
}

// Size implements tree.Content.
func (f *file) Size() int64 { return f.size }

// Data implements tree.Sparse: blocks without a node are holes.
func (f *file) Data() []tree.Range {
	var out []tree.Range
	for _, p := range f.pieces {
		off := int64(p.block) * blockSize
		n := min(blockSize, f.size-off)
		if n <= 0 {
			break
		}
		if k := len(out) - 1; k >= 0 && out[k].Off+out[k].Len == off {
			out[k].Len += n
			continue
		}
		out = append(out, tree.Range{Off: off, Len: n})
	}
	return out
}

// Pieces implements tree.Placed: the data without the holes. They lie nowhere as
// they are, so the file itself is their source.
func (f *file) Pieces(off, n int64) ([]tree.Piece, error) {
	var out []tree.Piece
	for _, r := range f.Data() {
		from, to := max(off, r.Off), min(off+n, r.Off+r.Len)
		if from < to {
			out = append(out, tree.Piece{Off: from, Len: to - from, Src: unplaced{f}, At: from})
		}
	}
	return out, nil
}

// unplaced is a file that is read and not asked where it lies.
type unplaced struct{ io.ReaderAt }

// maxRead bounds how many bytes of packed nodes are read at a time.
const maxRead = 64 << 10

type scratch struct {
	packed [maxRead]byte
	block  [blockSize]byte
	raw    bytes.Reader
	flate  io.ReadCloser
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// ReadAt implements io.ReaderAt. A data node that is missing or broken is an
// error of class ErrDamaged.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), f.size-off)
	clear(p[:want])
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	i, _ := slices.BinarySearchFunc(f.pieces, off/blockSize, func(p piece, b int64) int { return cmp.Compare(int64(p.block), b) })
	for i < len(f.pieces) && int64(f.pieces[i].block)*blockSize < off+want {
		run := f.run(i, off+want)
		if err := f.readRun(s, f.pieces[i:run], p[:want], off); err != nil {
			return 0, err
		}
		i = run
	}
	if want < int64(len(p)) {
		return int(want), io.EOF
	}
	return int(want), nil
}

// run extends from piece i over those that lie close behind it on the flash and
// are wanted too, so that one read fetches them all.
func (f *file) run(i int, end int64) int {
	first := f.pieces[i]
	last := first
	for i++; i < len(f.pieces); i++ {
		p := f.pieces[i]
		if int64(p.block)*blockSize >= end || p.lnum != first.lnum || p.offs < last.offs+last.length ||
			int64(p.offs)+int64(p.length)-int64(first.offs) > maxRead {
			break
		}
		last = p
	}
	return i
}

// readRun unpacks pieces into p, which holds the bytes of the file from off.
func (f *file) readRun(s *scratch, pieces []piece, p []byte, off int64) error {
	base, last := pieces[0].offs, pieces[len(pieces)-1]
	n := int64(last.offs) + int64(last.length) - int64(base)
	if n > maxRead {
		return f.bad(pieces[0], "a node of %d bytes", n)
	}
	raw := s.packed[:n]
	if err := f.fs.src.ReadLEB(raw, int(last.lnum), int(base)); err != nil {
		return err
	}
	for _, pc := range pieces {
		at := int64(pc.block)*blockSize - off
		dst := s.block[:]
		direct := at >= 0 && at+blockSize <= int64(len(p))
		if direct {
			dst = p[at : at+blockSize]
		}
		got, err := f.unpack(s, pc, raw[pc.offs-base:][:pc.length], dst)
		if err != nil {
			return err
		}
		if direct {
			clear(dst[got:])
			continue
		}
		from := max(0, -at)
		if from < int64(got) {
			copy(p[at+from:], dst[from:got])
		}
	}
	return nil
}

func (f *file) bad(p piece, format string, args ...any) error {
	return &mtkport.Error{Off: int64(p.offs), Field: fmt.Sprintf("data node in block %d", p.lnum),
		Found: fmt.Sprintf(format, args...), Err: mtkport.ErrDamaged,
		Hint: fmt.Sprintf("bytes 0x%x to 0x%x of the file are lost", int64(p.block)*blockSize, int64(p.block+1)*blockSize)}
}

// unpack checks the data node raw and unpacks it into dst, 4096 bytes.
func (f *file) unpack(s *scratch, pc piece, raw, dst []byte) (int, error) {
	n, ok := parseNode(raw)
	if !ok || n.typ != dataNode {
		return 0, f.bad(pc, "a broken or missing node")
	}
	if k := parseKey(n.b[chSize:]); k != makeKey(f.ino, dataNode, pc.block) {
		return 0, f.bad(pc, "block %d of inode %d", k.value(), k.ino)
	}
	size := int(le.Uint32(n.b[40:]))
	if size <= 0 || size > blockSize {
		return 0, f.bad(pc, "%d bytes of data", size)
	}
	got, err := s.decompress(dst[:size], n.b[dataSize:], Compression(le.Uint16(n.b[44:])))
	if err == nil && got != size {
		err = fmt.Errorf("%d bytes instead of %d", got, size)
	}
	if err != nil {
		return 0, f.bad(pc, "data that do not unpack: %v", err)
	}
	return size, nil
}

func (s *scratch) decompress(dst, src []byte, c Compression) (int, error) {
	switch c {
	case None:
		if len(src) > len(dst) {
			return 0, fmt.Errorf("%d bytes", len(src))
		}
		return copy(dst, src), nil
	case LZO:
		return lzo.Decompress(dst, src)
	case Zlib:
		return s.inflate(dst, src)
	case Zstd:
		return unzstd(dst, src)
	}
	return 0, fmt.Errorf("compression %d", c)
}

func (s *scratch) inflate(dst, src []byte) (int, error) {
	s.raw.Reset(src)
	if s.flate == nil {
		s.flate = flate.NewReader(&s.raw)
	} else if err := s.flate.(flate.Resetter).Reset(&s.raw, nil); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.flate, dst)
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

// zstdReader makes the one decoder that all files share; its use is stateless.
var zstdReader = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<20), zstd.WithDecoderLowmem(true))
})

func unzstd(dst, src []byte) (int, error) {
	d, err := zstdReader()
	if err != nil {
		return 0, err
	}
	out, err := d.DecodeAll(src, make([]byte, 0, len(dst)))
	if err != nil {
		return 0, err
	}
	if len(out) > len(dst) {
		return 0, fmt.Errorf("%d bytes", len(out))
	}
	return copy(dst, out), nil
}
