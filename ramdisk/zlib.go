package ramdisk

import (
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"modernc.org/libc"
	zlib "modernc.org/z/lib"
)

// zlib's own constants (zlib.h).
const (
	zDeflated = 8
	zFinish   = 4
	zEnd      = 1   // Z_STREAM_END
	rawWindow = -15 // 32 KiB window, no wrapper
	memLevel  = 8   // zlib's default, hence minigzip's
)

// deflate packs b as zlib 1.2 does, byte for byte. That is what Android's
// minigzip calls, so stock streams are reproduced, and an edited ramdisk is no
// larger than the maker's; the encoders of Go come out 3.5 to 5 % larger. The
// library is zlib itself, transpiled, with C's interface; it stays in this file.
func deflate(w io.Writer, b []byte, level int) error {
	tls := libc.NewTLS()
	defer tls.Close()
	var pin runtime.Pinner
	defer pin.Unpin()
	s, out := new(zlib.Z_stream), make([]byte, 64<<10)
	pin.Pin(s)
	pin.Pin(&out[0])
	version := []byte("1.2.11\x00")
	pin.Pin(&version[0])
	strm := uintptr(unsafe.Pointer(s))
	if rc := zlib.XdeflateInit2_(tls, strm, int32(level), zDeflated, rawWindow, memLevel, 0,
		uintptr(unsafe.Pointer(&version[0])), int32(unsafe.Sizeof(*s))); rc != 0 {
		return fmt.Errorf("zlib: deflateInit2 level %d: code %d", level, rc)
	}
	defer zlib.XdeflateEnd(tls, strm)
	if len(b) > 0 {
		pin.Pin(&b[0])
		s.Fnext_in, s.Favail_in = uintptr(unsafe.Pointer(&b[0])), uint32(len(b))
	}
	for {
		s.Fnext_out, s.Favail_out = uintptr(unsafe.Pointer(&out[0])), uint32(len(out))
		rc := zlib.Xdeflate(tls, strm, zFinish)
		if rc < 0 {
			return fmt.Errorf("zlib: deflate: code %d", rc)
		}
		if _, err := w.Write(out[:len(out)-int(s.Favail_out)]); err != nil {
			return err
		}
		if rc == zEnd {
			return nil
		}
	}
}
