package sparse

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sort"

	"mtkport/sysimg/tree"
)

// classify tells the kinds of the blocks in n bytes at off. What ps leaves out
// is zero without being read.
func classify(ps []tree.Piece, off, n int64, buf []byte, opt *Options) ([]chunkRun, error) {
	first := sort.Search(len(ps), func(i int) bool { return ps[i].Off+ps[i].Len > off })
	last := first
	for last < len(ps) && ps[last].Off < off+n {
		last++
	}
	padded := (n + opt.BlockSize - 1) / opt.BlockSize * opt.BlockSize
	b := buf[:padded]
	if first == last {
		return zeroRun(off, padded, opt), nil
	}
	clear(b[n:])
	if err := tree.ReadPieces(ps[first:last], b[:n], off); err != nil {
		return nil, err
	}
	var out []chunkRun
	for pos := int64(0); pos < padded; pos += opt.BlockSize {
		out = push(out, kindOf(b[pos:pos+opt.BlockSize], off+pos, opt))
	}
	return out, nil
}

// zeroRun is a run of zero blocks, of which some may be free.
func zeroRun(off, n int64, opt *Options) []chunkRun {
	if len(opt.Free) == 0 {
		return []chunkRun{{fill, off / opt.BlockSize, n / opt.BlockSize, 0}}
	}
	var out []chunkRun
	for pos := off; pos < off+n; pos += opt.BlockSize {
		r := chunkRun{fill, pos / opt.BlockSize, 1, 0}
		if free(opt.Free, pos, opt.BlockSize) {
			r.kind = dontCare
		}
		out = push(out, r)
	}
	return out
}

func free(ranges []tree.Range, off, n int64) bool {
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].Off+ranges[i].Len > off })
	return i < len(ranges) && ranges[i].Off <= off && off+n <= ranges[i].Off+ranges[i].Len
}

// kindOf tells the kind of one block. A block of one repeated word equals
// itself shifted by 8 bytes; that compare runs at memory speed.
func kindOf(b []byte, off int64, opt *Options) chunkRun {
	r := chunkRun{raw, off / opt.BlockSize, 1, 0}
	w := binary.LittleEndian.Uint32(b)
	switch {
	case len(opt.Free) > 0 && free(opt.Free, off, opt.BlockSize):
		r.kind = dontCare
	case len(b) == 4, w == binary.LittleEndian.Uint32(b[4:]) && bytes.Equal(b[4:], b[:len(b)-4]):
		r.kind, r.fill = fill, w
	}
	return r
}

// push appends r, joined with the last run where the format can.
func push(runs []chunkRun, r chunkRun) []chunkRun {
	if len(runs) > 0 {
		last := &runs[len(runs)-1]
		same := last.kind == r.kind && last.fill == r.fill
		if same && (r.kind != raw || last.n+r.n <= maxRaw) {
			last.n += r.n
			return runs
		}
	}
	return append(runs, r)
}

func merge(parts [][]chunkRun) []chunkRun {
	var out []chunkRun
	for _, p := range parts {
		for _, r := range p {
			out = push(out, r)
		}
	}
	return out
}

// sum is the CRC-32 of what a reader of runs will see.
func sum(ctx context.Context, src io.ReaderAt, size int64, runs []chunkRun, blockSize int64) (uint32, error) {
	buf, crc := make([]byte, 1<<20), uint32(0)
	for _, r := range runs {
		from, to := r.block*blockSize, (r.block+r.n)*blockSize
		for pos := from; pos < to; {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			b := buf[:min(int64(len(buf)), to-pos)]
			pattern(r.fill).fill(b, pos-from)
			if r.kind == raw {
				if err := tree.ReadFull(src, b[:min(int64(len(b)), size-pos)], pos); err != nil {
					return 0, err
				}
			}
			crc = crc32.Update(crc, crc32.IEEETable, b)
			pos += int64(len(b))
		}
	}
	return crc, nil
}
