package ramdisk

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"

	"mtkport"
)

// lz4Block is how many bytes a block of the legacy frame unpacks to; only the
// last holds less (lib/decompress_unlz4.c).
const lz4Block = 8 << 20

// decodeLZ4 reads the legacy frame: magic, then blocks of a length and data. It
// has no end mark: a block that is not full, a length that cannot be one, or
// the end of the input ends it.
func decodeLZ4(src *io.SectionReader, w io.Writer) (int64, error) {
	pos := int64(4)
	plain := make([]byte, 0)
	for {
		var l [4]byte
		if n, _ := src.ReadAt(l[:], pos); n < 4 {
			return pos, nil
		}
		size := int64(binary.LittleEndian.Uint32(l[:]))
		if size == 0 || size > int64(lz4.CompressBlockBound(lz4Block)) {
			if pos == 4 {
				return pos, &mtkport.Error{Off: pos, Field: "lz4 block size", Found: fmt.Sprint(size),
					Want: "1 to 8 MiB", Err: mtkport.ErrDamaged}
			}
			return pos, nil
		}
		if size > src.Size()-pos-4 {
			return pos, io.ErrUnexpectedEOF
		}
		packed := make([]byte, size)
		if _, err := src.ReadAt(packed, pos+4); err != nil && err != io.EOF {
			return pos, err
		}
		if plain = plain[:cap(plain)]; len(plain) == 0 {
			plain = make([]byte, lz4Block)
		}
		n, err := lz4.UncompressBlock(packed, plain)
		if err != nil {
			return pos, err
		}
		pos += 4 + size
		if _, err := w.Write(plain[:n]); err != nil {
			return pos, err
		}
		if n < lz4Block {
			return pos, nil
		}
	}
}

func encodeLZ4(w io.Writer, b []byte, _ settings) error {
	if _, err := w.Write([]byte(lz4Magic)); err != nil {
		return err
	}
	hc := lz4.CompressorHC{Level: lz4.Level9}
	for len(b) > 0 {
		block := b[:min(len(b), lz4Block)]
		b = b[len(block):]
		out := make([]byte, 4+lz4.CompressBlockBound(len(block)))
		n, err := hc.CompressBlock(block, out[4:])
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(out, uint32(n))
		if _, err := w.Write(out[:4+n]); err != nil {
			return err
		}
	}
	return nil
}

const lz4Magic = "\x02\x21\x4c\x18"
