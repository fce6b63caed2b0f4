package ramdisk

import (
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"mtkport"
)

// decodeZstd reads the frames that src begins with.
func decodeZstd(src *io.SectionReader, w io.Writer) (int64, error) {
	end, err := zstdEnd(src)
	if err != nil {
		return end, err
	}
	r, err := zstd.NewReader(io.NewSectionReader(src, 0, end), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxDict), zstd.WithDecoderLowmem(true))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return 4, &mtkport.Error{Off: 4, Field: "zstd window", Found: err.Error(), Want: "at most 64 MiB", Err: mtkport.ErrTooBig}
	}
	return end, err
}

// zstdEnd walks over frames by their block headers (RFC 8878, 3.1.1).
func zstdEnd(src io.ReaderAt) (pos int64, err error) {
	for {
		var b [14]byte
		n, _ := src.ReadAt(b[:], pos)
		if n < 6 || string(b[:4]) != "\x28\xb5\x2f\xfd" {
			if pos == 0 {
				return pos, io.ErrUnexpectedEOF
			}
			return pos, nil
		}
		d := b[4]
		single := int64(d>>5) & 1
		size := []int64{single, 2, 4, 8}[d>>6]
		dict := []int64{0, 1, 2, 4}[d&3]
		pos += 5 + (1 - single) + dict + size
		for last := false; !last; {
			var h [3]byte
			if n, _ := src.ReadAt(h[:], pos); n < 3 {
				return pos, io.ErrUnexpectedEOF
			}
			v := int64(h[0]) | int64(h[1])<<8 | int64(h[2])<<16
			last = v&1 == 1
			if pos += 3; v>>1&3 == 1 { // a run: one byte
				pos++
			} else {
				pos += v >> 3
			}
		}
		pos += int64(d>>2&1) * 4
	}
}

func encodeZstd(w io.Writer, b []byte, _ settings) error {
	enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	if _, err := enc.Write(b); err != nil {
		return errors.Join(err, enc.Close())
	}
	return enc.Close()
}
