package kernel

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"io"
	"iter"
	"sort"

	lzo "github.com/anchore/go-lzo"
	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"
)

// The bounds of what is unpacked. ARM kernels of this age hold 6 to 13 MiB.
const (
	minUnpacked  = 1 << 20  // a payload that is smaller is not the kernel
	maxUnpacked  = 64 << 20 // and none is larger
	maxTried     = 32       // candidates that unpack to much and hold no kernel
	muchUnpacked = 64 << 10 // bytes that count as much
	lzopMaxBlock = 16 << 20
	lz4MaxBlock  = 8 << 20
)

// Payload says where the kernel lay in the file and how it was packed.
type Payload struct {
	Off      int64  `json:"offset"`   // from the kernel's start (behind any part header), bytes; 0 for a raw kernel
	Method   string `json:"method"`   // gzip, xz, lzma, lzo, lz4, bzip2, or none
	Packed   int64  `json:"packed"`   // bytes the packed stream takes in the file
	Unpacked int64  `json:"unpacked"` // bytes of the kernel in memory
}

// growth is told the front of what is unpacked, as it grows. What a front holds
// does not change any more.
type growth func(front []byte)

// method is one way of packing a kernel.
type method struct {
	name   string
	magic  string
	unpack func(b []byte, limit int, grown growth) (out []byte, used int, err error)
}

var methods = []method{
	{"gzip", "\x1f\x8b\x08", gunzip},
	{"xz", xzMagic, unxz},
	{"lzma", "\x5d\x00\x00", unlzma},
	{"lzo", "\x89LZO\x00\r\n\x1a\n", unlzop},
	{"lz4", "\x02\x21\x4c\x18", unlz4},
	{"bzip2", "BZh", unbzip2},
}

// candidate is a place in the file where a method's magic stands.
type candidate struct {
	off int
	m   *method
}

// candidates gives every magic in b, in file order. It looks at one window at a
// time, since the payload mostly stands in the first.
func candidates(b []byte) iter.Seq[candidate] {
	const window, overlap = 64 << 10, 16
	return func(yield func(candidate) bool) {
		for from := 0; from < len(b); from += window {
			for _, c := range inWindow(b[:min(len(b), from+window+overlap)], from, from+window) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// inWindow lists the magics that begin in b at from or later and before to.
func inWindow(b []byte, from, to int) []candidate {
	var c []candidate
	for i := range methods {
		m := &methods[i]
		for at := from; at < to; {
			n := bytes.Index(b[at:], []byte(m.magic))
			if n < 0 || at+n >= to {
				break
			}
			c = append(c, candidate{at + n, m})
			at += n + 1
		}
	}
	sort.SliceStable(c, func(i, j int) bool { return c[i].off < c[j].off })
	return c
}

// findPayload really unpacks each candidate and returns the first that is
// larger than 1 MiB and holds a Linux banner. The magic alone says little: the
// xz decompressor in front of the payload holds its own magic.
// The banner and the symbols are looked for meanwhile.
func findPayload(b []byte) (Payload, []byte, *search, error) {
	var last error
	tried := 0
	for c := range candidates(b) {
		s := &search{}
		f := follower{do: s.see}
		out, used, err := c.m.unpack(b[c.off:], maxUnpacked, f.grow)
		f.wait()
		if len(out) > muchUnpacked {
			tried++
		}
		if len(out) >= minUnpacked {
			s.see(out) // the last of it
		}
		if s.bannerSeen && len(out) >= minUnpacked {
			p := Payload{Off: int64(c.off), Method: c.m.name, Packed: int64(used), Unpacked: int64(len(out))}
			if err != nil {
				return p, nil, nil, &payloadError{p, err}
			}
			return p, out, s, nil
		}
		if err != nil && len(out) >= minUnpacked {
			last = &payloadError{Payload{Off: int64(c.off), Method: c.m.name}, err}
		}
		if tried > maxTried {
			break
		}
	}
	if last == nil {
		last = errNoPayload
	}
	return Payload{}, nil, nil, last
}

var errNoPayload = errors.New("no packed kernel found")

// payloadError is a payload that began well and is broken.
type payloadError struct {
	at  Payload
	err error
}

func (e *payloadError) Error() string { return e.at.Method + ": " + e.err.Error() }
func (e *payloadError) Unwrap() error { return e.err }

func gunzip(b []byte, limit int, grown growth) ([]byte, int, error) {
	if len(b) < 18 || b[3]&0xe0 != 0 {
		return nil, 0, gzip.ErrHeader
	}
	src := bytes.NewReader(b)
	z, err := gzip.NewReader(src)
	if err != nil {
		return nil, 0, err
	}
	z.Multistream(false)
	out, err := drain(z, limit, min(limit, 3*len(b)), grown)
	return out, len(b) - src.Len(), err
}

func unbzip2(b []byte, limit int, grown growth) ([]byte, int, error) {
	if len(b) < 10 || string(b[4:10]) != "1AY&SY" {
		return nil, 0, errEnd
	}
	src := bytes.NewReader(b)
	out, err := drain(bzip2.NewReader(src), limit, 0, grown)
	if len(out) >= minUnpacked {
		err = nil // what follows the stream is read as one more, and is none
	}
	return out, len(b) - src.Len(), err
}

// drain reads r whole, at most limit bytes. It keeps what came before an error.
func drain(r io.Reader, limit, hint int, grown growth) ([]byte, error) {
	out := make([]byte, 0, max(hint, 1<<16))
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):min(cap(out), limit+1)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return out[:limit], errBig
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, err
		}
		grown(out)
	}
}

// unlz4 reads the legacy frame that kernels use: blocks of at most 8 MiB, each
// behind its packed size. The word behind the last is the unpacked size.
func unlz4(b []byte, limit int, grown growth) ([]byte, int, error) {
	var out []byte
	block := make([]byte, lz4MaxBlock)
	pos := 4
	for pos+4 <= len(b) {
		n := int(le32(b[pos:]))
		if n == 0 || n > lz4MaxBlock+lz4MaxBlock/255+16 || n > len(b)-pos-4 {
			break
		}
		m, err := lz4.UncompressBlock(b[pos+4:pos+4+n], block)
		if err != nil {
			return out, pos, ended(out, err)
		}
		if len(out)+m > limit {
			return out, pos, errBig
		}
		out = append(out, block[:m]...)
		grown(out)
		pos += 4 + n
		if m < lz4MaxBlock {
			break
		}
	}
	if len(out) == 0 {
		return nil, pos, errEnd
	}
	return out, pos, nil
}

// ended forgives an error behind whole blocks: it is the size word read as one.
func ended(out []byte, err error) error {
	if len(out) > 0 && len(out)%lz4MaxBlock == 0 {
		return nil
	}
	return err
}

// Flags of the lzop header (lzop 1.04, conf.h).
const (
	lzopAdlerD, lzopAdlerC = 1, 2
	lzopCRCD, lzopCRCC     = 0x100, 0x200
	lzopFilter             = 0x800
)

// unlzop reads an lzop file: header, then blocks of LZO1X until one of size 0.
func unlzop(b []byte, limit int, grown growth) ([]byte, int, error) {
	pos, flags := lzopHeader(b)
	if pos == 0 {
		return nil, 0, errEnd
	}
	var out []byte
	for {
		if len(b)-pos < 4 {
			return out, pos, errEnd
		}
		size := int(be32(b[pos:]))
		if size == 0 {
			return out, pos + 4, nil
		}
		next, err := lzopBlock(b, pos, size, flags, limit, &out)
		if err != nil {
			return out, pos, err
		}
		pos = next
		grown(out)
	}
}

// lzopHeader returns where the blocks begin (0: not whole) and the flags.
func lzopHeader(b []byte) (pos int, flags uint32) {
	const fixed = 64
	if len(b) < fixed {
		return 0, 0
	}
	version := be16(b[9:])
	pos = 9 + 7
	if version >= 0x0940 {
		pos++
	}
	flags = be32(b[pos:])
	pos += 4
	if flags&lzopFilter != 0 {
		pos += 4
	}
	pos += 8
	if version >= 0x0940 {
		pos += 4
	}
	pos += 1 + int(b[pos]) + 4
	if pos >= len(b) {
		return 0, 0
	}
	return pos, flags
}

func lzopBlock(b []byte, pos, size int, flags uint32, limit int, out *[]byte) (int, error) {
	if size > lzopMaxBlock || len(*out)+size > limit {
		return 0, errBig
	}
	if len(b)-pos < 8 {
		return 0, errEnd
	}
	packed := int(be32(b[pos+4:]))
	pos += 8
	for _, f := range []uint32{lzopAdlerD, lzopCRCD} {
		if flags&f != 0 {
			pos += 4
		}
	}
	for _, f := range []uint32{lzopAdlerC, lzopCRCC} {
		if flags&f != 0 && packed < size {
			pos += 4
		}
	}
	if packed <= 0 || packed > size || packed > len(b)-pos {
		return 0, errEnd
	}
	src := b[pos : pos+packed]
	if packed == size {
		*out = append(*out, src...)
		return pos + packed, nil
	}
	dst := make([]byte, size)
	n, err := lzo.Decompress(src, dst)
	if err != nil || n != size {
		return 0, errors.Join(errEnd, err)
	}
	*out = append(*out, dst...)
	return pos + packed, nil
}
