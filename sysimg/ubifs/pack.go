package ubifs

import (
	"bytes"
	"context"
	"runtime"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/ubifs/lzo"
)

const (
	minPacked  = 128     // shorter data are not packed
	minSaving  = 64      // packed data must be so much shorter to be kept
	jobBlocks  = 32      // blocks that one goroutine packs at a time
	zlibWindow = 2 << 10 // the kernel inflates with a window of 11 bits
)

// run is n blocks of a file.
type run struct {
	first int64
	n     int
}

// job is a run to be packed into data nodes.
type job struct {
	run
	item  *item
	nodes []packed
	err   error
	done  chan struct{}
}

// packed is a data node without header, nil when its block is a hole.
type packed []byte

// packer packs blocks; each goroutine has its own.
type packer struct {
	c     Compression
	lzo   *lzo.Compressor
	flate *flate.Writer
	zstd  *zstd.Encoder
	raw   []byte
	out   bytes.Buffer
	buf   []byte
}

func newPacker(c Compression) (*packer, error) {
	p := &packer{c: c, raw: make([]byte, jobBlocks*blockSize)}
	var err error
	switch c {
	case LZO:
		p.lzo = lzo.NewCompressor()
	case Zlib:
		p.flate, err = flate.NewWriterWindow(&p.out, zlibWindow)
	case Zstd:
		p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
			zstd.WithWindowSize(blockSize), zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false))
	}
	return p, err
}

// work reads and packs the blocks of j.
func (p *packer) work(j *job) {
	size := j.item.node.Data.Size()
	off := j.first * blockSize
	raw := p.raw[:min(int64(j.n)*blockSize, size-off)]
	if err := tree.ReadFull(j.item.node.Data, raw, off); err != nil {
		j.err = mtkport.InFile(err, j.item.path)
		return
	}
	for i := 0; len(raw) > 0; i++ {
		b := raw[:min(blockSize, len(raw))]
		raw = raw[len(b):]
		node, err := p.node(makeKey(j.item.ino, dataNode, uint32(j.first)+uint32(i)), b)
		if err != nil {
			j.err = mtkport.InFile(err, j.item.path)
			return
		}
		j.nodes = append(j.nodes, node)
	}
}

var zeros [blockSize]byte

// node makes the data node for the block b, nil when b is all zeros.
func (p *packer) node(k key, b []byte) (packed, error) {
	if bytes.Equal(b, zeros[:len(b)]) {
		return nil, nil
	}
	how := None
	if len(b) >= minPacked && p.c != None {
		if err := p.pack(b); err != nil {
			return nil, err
		}
		if len(p.buf)+minSaving <= len(b) {
			how = p.c
		}
	}
	data := b
	if how != None {
		data = p.buf
	}
	n := make([]byte, dataSize+len(data))
	k.put(n[chSize:])
	le.PutUint32(n[40:], uint32(len(b)))
	le.PutUint16(n[44:], uint16(how))
	copy(n[dataSize:], data)
	return n, nil
}

// pack leaves b packed in p.buf.
func (p *packer) pack(b []byte) error {
	switch p.c {
	case LZO:
		p.buf = p.lzo.Append(p.buf[:0], b)
	case Zstd:
		p.buf = p.zstd.EncodeAll(b, p.buf[:0])
	case Zlib:
		p.out.Reset()
		p.flate.Reset(&p.out)
		if _, err := p.flate.Write(b); err != nil {
			return err
		}
		if err := p.flate.Close(); err != nil {
			return err
		}
		p.buf = p.out.Bytes()
	}
	return nil
}

// pipeline packs the files among items on all processors and hands the jobs out
// in order. The channel is closed at the end, or when ctx is.
func pipeline(ctx context.Context, items []*item, c Compression) (<-chan *job, error) {
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *job, workers)
	ordered := make(chan *job, 4*workers)
	for range workers {
		p, err := newPacker(c)
		if err != nil {
			return nil, err
		}
		go func() {
			for j := range todo {
				p.work(j)
				close(j.done)
			}
		}()
	}
	go func() {
		defer close(ordered)
		defer close(todo)
		for _, it := range items {
			for _, r := range it.runs() {
				j := &job{run: r, item: it, done: make(chan struct{})}
				select {
				case ordered <- j:
				case <-ctx.Done():
					return
				}
				select {
				case todo <- j:
				case <-ctx.Done():
					close(j.done) // nobody will pack it
					return
				}
			}
		}
	}()
	return ordered, nil
}

// runs cuts the data of a file into runs of blocks, leaving holes out.
func (it *item) runs() []run {
	if !it.hasData() {
		return nil
	}
	size := it.node.Data.Size()
	var out []run
	next := int64(0) // first block that no run covers
	for _, r := range tree.DataRanges(it.node.Data) {
		first := max(next, r.Off/blockSize)
		end := (min(r.Off+r.Len, size) + blockSize - 1) / blockSize
		for ; first < end; first += jobBlocks {
			out = append(out, run{first, int(min(jobBlocks, end-first))})
		}
		next = max(next, end)
	}
	return out
}
