package sparse

import (
	"context"
	"fmt"
	"io"

	"mtkport"
)

// Split encodes src into several sparse files of at most limit bytes each, as
// img2simg's sparse_split does: every file stands for the whole image and
// leaves the others' blocks as DONT_CARE. It returns one plan a file.
func Split(ctx context.Context, src io.ReaderAt, size, limit int64, opt Options) ([]*Encoded, error) {
	runs, err := scan(ctx, src, size, &opt)
	if err != nil {
		return nil, err
	}
	if least := headerSize + 3*chunkSize + opt.BlockSize; limit < least {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "split size", Found: fmt.Sprint(limit), Want: fmt.Sprintf("at least %d", least), Err: mtkport.ErrTooBig}
	}
	opt.CRC = false // a part's CRC would be of the part, which no reader expects
	blocks := (size + opt.BlockSize - 1) / opt.BlockSize
	var out []*Encoded
	for _, part := range cut(runs, limit, opt.BlockSize) {
		e, err := layout(src, size, framed(part, blocks), opt, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// cut distributes the runs over files, splitting raw ones where a file is full.
func cut(runs []chunkRun, limit, blockSize int64) [][]chunkRun {
	const frame = headerSize + 2*chunkSize // header and the two DONT_CARE around
	var out [][]chunkRun
	var part []chunkRun
	used := int64(frame)
	flush := func() {
		out = append(out, part)
		part, used = nil, frame
	}
	for _, r := range runs {
		for r.n > 0 {
			head, n := int64(chunkSize), r.n
			switch r.kind {
			case fill:
				head += 4
			case raw:
				n = min(n, (limit-used-head)/blockSize)
			}
			if n <= 0 || used+head > limit {
				flush()
				continue
			}
			one := r
			one.n = n
			part = append(part, one)
			used += head
			if r.kind == raw {
				used += n * blockSize
			}
			r.block, r.n = r.block+n, r.n-n
		}
	}
	if len(part) > 0 || len(out) == 0 {
		flush()
	}
	return out
}

// framed puts DONT_CARE before and after, so that the chunks add up to blocks.
func framed(part []chunkRun, blocks int64) []chunkRun {
	if len(part) == 0 {
		return []chunkRun{{dontCare, 0, blocks, 0}}
	}
	var out []chunkRun
	if part[0].block > 0 {
		out = append(out, chunkRun{dontCare, 0, part[0].block, 0})
	}
	out = append(out, part...)
	last := part[len(part)-1]
	if end := last.block + last.n; end < blocks {
		out = append(out, chunkRun{dontCare, end, blocks - end, 0})
	}
	return out
}
