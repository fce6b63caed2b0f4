package ramdisk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	xzdec "github.com/therootcompany/xz"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"mtkport"
)

// encDict is the dictionary of what is packed here, in bytes: that of xz -6,
// larger than nearly every ramdisk.
const encDict = 8 << 20

// lzmaHead is the length of a .lzma header: properties, dictionary, size.
const lzmaHead = 13

func dictTooLarge(off, n int64, what string) error {
	return &mtkport.Error{Off: off, Field: what + " dictionary", Found: fmt.Sprintf("%d bytes", n),
		Want: fmt.Sprintf("at most %d", maxDict), Err: mtkport.ErrTooBig, Hint: "no ramdisk needs so much; the header is damaged or hostile"}
}

func decodeLZMA(src *io.SectionReader, w io.Writer) (int64, error) {
	var h [lzmaHead]byte
	if n, _ := src.ReadAt(h[:], 0); n < lzmaHead {
		return int64(n), io.ErrUnexpectedEOF
	}
	if dict := int64(binary.LittleEndian.Uint32(h[1:])); dict > maxDict {
		return 1, dictTooLarge(1, dict, "lzma")
	}
	c := &counter{r: bufio.NewReaderSize(src, 64<<10)}
	r, err := lzma.ReaderConfig{DictCap: maxDict}.NewReader(c)
	if err != nil {
		return c.n, err
	}
	_, err = io.Copy(w, r)
	return c.n, err
}

func encodeLZMA(w io.Writer, b []byte, _ settings) error {
	enc, err := lzma.WriterConfig{DictCap: encDict, SizeInHeader: true, Size: int64(len(b))}.NewWriter(w)
	if err != nil {
		return err
	}
	if _, err := enc.Write(b); err != nil {
		return err
	}
	return enc.Close()
}

// decodeXZ uses a reader that knows the ARM filter of kernels. It is fed byte by
// byte, because it tells only by what it took where the stream ends.
func decodeXZ(src *io.SectionReader, w io.Writer) (int64, error) {
	c := &counter{r: bufio.NewReaderSize(src, 64<<10), single: true}
	r, err := xzdec.NewReader(c, maxDict)
	if err == nil {
		r.Multistream(false)
		_, err = io.Copy(w, r)
	}
	if errors.Is(err, xzdec.ErrMemlimit) {
		return c.n, dictTooLarge(c.n, maxDict+1, "xz")
	}
	if end, ok := xzEnd(src, c.n); ok {
		return end, nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, xzdec.ErrBuf) {
		err = io.ErrUnexpectedEOF
	}
	return c.n, err
}

// xzEnd finds the footer that ended at or before n, where a reader that was
// looking for padding stopped: the last byte may be one of what follows.
func xzEnd(src io.ReaderAt, n int64) (int64, bool) {
	for _, end := range []int64{n, n - 1} {
		end = trimZeros(src, end)
		var f [12]byte
		if end < 32 || end%4 != 0 {
			continue
		}
		if _, err := src.ReadAt(f[:], end-12); err != nil && err != io.EOF {
			continue
		}
		if f[10] == 'Y' && f[11] == 'Z' && crc32.ChecksumIEEE(f[4:10]) == binary.LittleEndian.Uint32(f[:]) {
			return end, true
		}
	}
	return 0, false
}

// trimZeros returns the end of what lies before n and is not zero.
func trimZeros(src io.ReaderAt, n int64) int64 {
	buf := make([]byte, 4096)
	for n > 0 {
		b := buf[:min(n, int64(len(buf)))]
		if _, err := src.ReadAt(b, n-int64(len(b))); err != nil && err != io.EOF {
			return n
		}
		kept := len(bytes.TrimRight(b, "\x00"))
		n -= int64(len(b) - kept)
		if kept > 0 {
			return n
		}
	}
	return n
}

func encodeXZ(w io.Writer, b []byte, _ settings) error {
	enc, err := xz.WriterConfig{DictCap: encDict, CheckSum: xz.CRC32}.NewWriter(w)
	if err != nil {
		return err
	}
	if _, err := enc.Write(b); err != nil {
		return err
	}
	return enc.Close()
}
