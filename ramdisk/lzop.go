package ramdisk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/anchore/go-lzo"

	"mtkport"
)

const lzopMagic = "\x89LZO\x00\r\n\x1a\n"

// lzopBlock is the largest block that kernels take (lib/decompress_unlzo.c); the
// program lzop writes blocks of this size.
const lzopBlock = 256 << 10

// lzopMaxBlock bounds the blocks that are read; no lzop writes larger ones unasked.
const lzopMaxBlock = 8 << 20

// Flags of an lzop header (conf.h of lzop).
const (
	lzopAdlerPlain  = 1 << 0
	lzopAdlerPacked = 1 << 1
	lzopExtra       = 1 << 6
	lzopCRCPlain    = 1 << 8
	lzopCRCPacked   = 1 << 9
	lzopFilter      = 1 << 11
	lzopUnix        = 3 << 24
)

// lzopReader reads big endian fields.
type lzopReader struct {
	r   io.ReaderAt
	pos int64
	err error
}

func (l *lzopReader) bytes(n int64) []byte {
	b := make([]byte, n)
	if l.err != nil {
		return b
	}
	if m, err := l.r.ReadAt(b, l.pos); int64(m) < n {
		if l.err = err; err == io.EOF {
			l.err = io.ErrUnexpectedEOF
		}
	}
	l.pos += n
	return b
}

func (l *lzopReader) u8() byte    { return l.bytes(1)[0] }
func (l *lzopReader) u16() uint16 { return binary.BigEndian.Uint16(l.bytes(2)) }
func (l *lzopReader) u32() uint32 { return binary.BigEndian.Uint32(l.bytes(4)) }

// header reads the file header and returns its flags.
func (l *lzopReader) header() (flags uint32, err error) {
	l.pos = int64(len(lzopMagic))
	version := l.u16()
	l.u16() // of the library
	if version >= 0x0940 {
		l.u16() // needed to extract
	}
	if m := l.u8(); l.err == nil && (m < 1 || m > 3) {
		return 0, &mtkport.Error{Off: l.pos - 1, Field: "lzop method", Found: fmt.Sprint(m), Want: "1 to 3 (LZO1X)", Err: mtkport.ErrUnsupported}
	}
	if version >= 0x0940 {
		l.u8() // level
	}
	flags = l.u32()
	if flags&lzopFilter != 0 {
		return 0, &mtkport.Error{Off: l.pos - 4, Field: "lzop filter", Found: "one", Want: "none", Err: mtkport.ErrUnsupported}
	}
	l.bytes(8) // mode, time
	if version >= 0x0940 {
		l.u32()
	}
	l.bytes(int64(l.u8())) // name
	l.u32()                // checksum of the header
	if flags&lzopExtra != 0 {
		n := l.u32()
		if n > 1<<20 {
			return 0, &mtkport.Error{Off: l.pos - 4, Field: "lzop extra field", Found: fmt.Sprint(n), Want: "at most 1 MiB", Err: mtkport.ErrDamaged}
		}
		l.bytes(int64(n) + 4)
	}
	return flags, l.err
}

func decodeLZOP(src *io.SectionReader, w io.Writer) (int64, error) {
	l := &lzopReader{r: src}
	flags, err := l.header()
	if err != nil {
		return l.pos, err
	}
	for {
		plain, err := l.block(flags)
		if err != nil {
			return min(l.pos, src.Size()), err
		}
		if plain == nil {
			return l.pos, nil
		}
		if _, err := w.Write(plain); err != nil {
			return l.pos, err
		}
	}
}

// block reads a block; nil is the end.
func (l *lzopReader) block(flags uint32) ([]byte, error) {
	off := l.pos
	size := int64(l.u32())
	if size == 0 || l.err != nil {
		return nil, l.err
	}
	packed := int64(l.u32())
	if l.err == nil && (size > lzopMaxBlock || packed > size || packed == 0) {
		return nil, &mtkport.Error{Off: off, Field: "lzop block", Found: fmt.Sprintf("%d bytes packed to %d", size, packed),
			Want: fmt.Sprintf("at most %d, packed to no more", lzopMaxBlock), Err: mtkport.ErrDamaged}
	}
	var adler, crc *uint32
	sum := func(bit uint32) *uint32 {
		if flags&bit == 0 {
			return nil
		}
		v := l.u32()
		return &v
	}
	adler, crc = sum(lzopAdlerPlain), sum(lzopCRCPlain)
	if packed < size {
		sum(lzopAdlerPacked)
		sum(lzopCRCPacked)
	}
	if l.err != nil {
		return nil, l.err
	}
	b := l.bytes(packed)
	if l.err != nil {
		return nil, l.err
	}
	if packed < size {
		out := make([]byte, size)
		n, err := lzo.Decompress(b, out)
		if err != nil || int64(n) != size {
			return nil, errors.Join(fmt.Errorf("block at 0x%x unpacks to %d bytes, want %d", off, n, size), err)
		}
		b = out
	}
	if adler != nil && *adler != adler32.Checksum(b) || crc != nil && *crc != crc32.ChecksumIEEE(b) {
		return nil, &mtkport.Error{Off: off, Field: "lzop checksum", Found: "another than the block's", Err: mtkport.ErrDamaged}
	}
	return b, nil
}

// lzopHead is the header as lzop writes it for a file without name and time.
func lzopHead() []byte {
	be := binary.BigEndian
	h := []byte(lzopMagic)
	h = be.AppendUint16(h, 0x1030) // version
	h = be.AppendUint16(h, 0x20a0) // of the library
	h = be.AppendUint16(h, 0x0940) // needed to extract
	h = append(h, 1, 5)            // LZO1X-1, level
	h = be.AppendUint32(h, lzopUnix|lzopAdlerPlain)
	h = be.AppendUint32(h, 0o100644)
	h = append(h, make([]byte, 8)...) // time
	h = append(h, 0)                  // no name
	return be.AppendUint32(h, adler32.Checksum(h[len(lzopMagic):]))
}

func encodeLZOP(w io.Writer, b []byte, _ settings) error {
	if _, err := w.Write(lzopHead()); err != nil {
		return err
	}
	for len(b) > 0 {
		block := b[:min(len(b), lzopBlock)]
		b = b[len(block):]
		packed := lzo1x(block)
		if len(packed) >= len(block) {
			packed = block // stored
		}
		h := binary.BigEndian.AppendUint32(nil, uint32(len(block)))
		h = binary.BigEndian.AppendUint32(h, uint32(len(packed)))
		h = binary.BigEndian.AppendUint32(h, adler32.Checksum(block))
		if _, err := w.Write(append(h, packed...)); err != nil {
			return err
		}
	}
	_, err := w.Write(make([]byte, 4))
	return err
}
