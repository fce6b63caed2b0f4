package sparse

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Options say how to encode. The zero value is what img2simg does.
type Options struct {
	BlockSize int64 // bytes, 4096 when 0
	// Free lists the ranges of the image that no one uses (the file system's own
	// bitmap says so). Blocks wholly inside become DONT_CARE: they keep on the
	// phone what was there. Sorted, no overlap. Nil: none.
	Free     []tree.Range
	CRC      bool // write the CRC-32 of the expanded image into the header
	Progress mtkport.Progress
}

// maxRaw bounds one RAW chunk, blocks, so that its 32-bit length holds at any
// block size up to 16 KiB.
const maxRaw = 1 << 16

// Encoded is an image ready to be written in sparse form.
type Encoded struct {
	pieces []tree.Piece
	size   int64
	chunks int
}

// Size is the length of the sparse file, bytes.
func (e *Encoded) Size() int64 { return e.size }

// Chunks is how many chunks the sparse file has.
func (e *Encoded) Chunks() int { return e.chunks }

// chunkRun is a run of blocks of one kind.
type chunkRun struct {
	kind  uint16
	block int64
	n     int64
	fill  uint32
}

// Write encodes size bytes of src and writes the sparse image to w. A length
// that is no multiple of the block size is padded with zeros. When w is also an
// io.WriterAt (a file), the data is copied by two goroutines.
func Write(ctx context.Context, w io.Writer, src io.ReaderAt, size int64, opt Options) error {
	e, err := Encode(ctx, src, size, opt)
	if err != nil {
		return err
	}
	task := mtkport.Begin(opt.Progress, "write sparse image", e.size)
	err = e.Write(ctx, w, task)
	task.Done(err)
	return err
}

// Encode reads src once to find what is zero, filled and raw, and returns the
// plan of the sparse file. The raw data is read again when it is written.
func Encode(ctx context.Context, src io.ReaderAt, size int64, opt Options) (*Encoded, error) {
	runs, err := scan(ctx, src, size, &opt)
	if err != nil {
		return nil, err
	}
	var crc uint32
	if opt.CRC {
		if crc, err = sum(ctx, src, size, runs, opt.BlockSize); err != nil {
			return nil, err
		}
	}
	return layout(src, size, runs, opt, crc)
}

// Write writes the sparse file to w, from its current position.
func (e *Encoded) Write(ctx context.Context, w io.Writer, task mtkport.Task) error {
	if at, ok := w.(io.WriterAt); ok {
		return tree.CopyPieces(ctx, at, e.pieces, 2, task)
	}
	buf := make([]byte, 1<<20)
	for _, p := range e.pieces {
		for done := int64(0); done < p.Len; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(int64(len(buf)), p.Len-done)]
			if err := tree.ReadFull(p.Src, b, p.At+done); err != nil {
				return err
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
			done += int64(len(b))
			if task != nil {
				task.Add(int64(len(b)))
			}
		}
	}
	return nil
}

// layout places header, chunk headers and data.
func layout(src io.ReaderAt, size int64, runs []chunkRun, opt Options, crc uint32) (*Encoded, error) {
	blocks := (size + opt.BlockSize - 1) / opt.BlockSize
	e := &Encoded{chunks: len(runs)}
	e.add(rawHeader{Magic, 1, 0, headerSize, chunkSize, uint32(opt.BlockSize), uint32(blocks), uint32(len(runs)), crc}.bytes())
	for _, r := range runs {
		c := rawChunk{Type: r.kind, Blocks: uint32(r.n), Total: chunkSize}
		switch r.kind {
		case fill:
			c.Total += 4
			e.add(binary.LittleEndian.AppendUint32(c.bytes(), r.fill))
		case dontCare:
			e.add(c.bytes())
		case raw:
			c.Total += uint32(r.n * opt.BlockSize)
			e.add(c.bytes())
			if err := e.addRaw(src, size, r.block*opt.BlockSize, r.n*opt.BlockSize); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

// add appends bytes; small ones are joined, so that they cost one write.
func (e *Encoded) add(b []byte) {
	e.pieces = append(e.pieces, tree.Piece{Off: e.size, Len: int64(len(b)), Src: bytes.NewReader(b)})
	e.size += int64(len(b))
}

// addRaw appends n bytes of src at off, zeros where src has gaps or ends.
func (e *Encoded) addRaw(src io.ReaderAt, size, off, n int64) error {
	ps, err := tree.Pieces(src, off, min(n, size-off))
	if err != nil {
		return err
	}
	pos := off
	zeros := func(to int64) {
		if to > pos {
			e.pieces = append(e.pieces, tree.Piece{Off: e.size + pos - off, Len: to - pos, Src: pattern(0)})
			pos = to
		}
	}
	for _, p := range ps {
		zeros(p.Off)
		p.Off += e.size - off
		e.pieces = append(e.pieces, p)
		pos += p.Len
	}
	zeros(off + n)
	e.size += n
	return nil
}

// unit is how much one goroutine classifies at a time, bytes.
const unit = 4 << 20

// scan classifies every block.
func scan(ctx context.Context, src io.ReaderAt, size int64, opt *Options) ([]chunkRun, error) {
	if opt.BlockSize == 0 {
		opt.BlockSize = 4096
	}
	if opt.BlockSize < 512 || opt.BlockSize > 16384 || opt.BlockSize&(opt.BlockSize-1) != 0 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "block size", Found: fmt.Sprint(opt.BlockSize), Want: "a power of two, 512 to 16384", Err: mtkport.ErrUnsupported}
	}
	if size < 0 || size > maxExpanded {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprint(size), Want: fmt.Sprintf("at most %d", int64(maxExpanded)), Err: mtkport.ErrTooBig}
	}
	ps, err := tree.Pieces(src, 0, size)
	if err != nil {
		return nil, err
	}
	parts := make([][]chunkRun, (size+unit-1)/unit)
	task := mtkport.Begin(opt.Progress, "scan image", size)
	err = parallel(ctx, len(parts), func(i int, buf []byte) error {
		off := int64(i) * unit
		n := min(unit, size-off)
		task.Add(n)
		runs, err := classify(ps, off, n, buf, opt)
		parts[i] = runs
		return err
	})
	task.Done(err)
	return merge(parts), err
}

// parallel runs fn for 0…n-1 on two goroutines, each with a buffer.
func parallel(ctx context.Context, n int, fn func(i int, buf []byte) error) error {
	var next atomic.Int64
	var first atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(2, n) {
		wg.Go(func() {
			buf := make([]byte, unit)
			for i := int(next.Add(1)) - 1; i < n && first.Load() == nil; i = int(next.Add(1)) - 1 {
				err := ctx.Err()
				if err == nil {
					err = fn(i, buf)
				}
				if err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}
