package ramdisk

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	zlib "modernc.org/z/lib"
)

// zlib's own constants (zlib.h).
const (
	zDeflated = 8
	zNoFlush  = 0
	zFinish   = 4
	zBufError = -5  // no progress was possible: more input is due
	rawWindow = -15 // 32 KiB window, no wrapper
	memLevel  = 8   // zlib's default, hence minigzip's
)

// zVersion begins with the digit that zlib compares.
const zVersion = "1.2.11\x00"

// zBuffer is the size of each of the two buffers between Go and zlib.
const zBuffer = 64 << 10

// deflate packs b as zlib 1.2 does, byte for byte. That is what Android's
// minigzip calls, so stock streams are reproduced, and an edited ramdisk is no
// larger than the maker's; the encoders of Go come out 3.5 to 5 % larger. The
// library is zlib itself, transpiled, with C's interface and C's memory; both
// stay in this file.
func deflate(w io.Writer, b []byte, level int) error {
	tls := libc.NewTLS()
	defer tls.Close()
	size := int(unsafe.Sizeof(zlib.Z_stream{}))
	mem := libc.Xcalloc(tls, 1, types.Size_t(size+2*zBuffer+len(zVersion)))
	if mem == 0 {
		return errors.New("zlib: out of memory")
	}
	defer libc.Xfree(tls, mem)
	s := (*zlib.Z_stream)(unsafe.Pointer(&libc.GoBytes(mem, size)[0]))
	in, out := mem+uintptr(size), mem+uintptr(size+zBuffer)
	version := out + zBuffer
	copy(libc.GoBytes(version, len(zVersion)), zVersion)
	if rc := zlib.XdeflateInit2_(tls, mem, int32(level), zDeflated, rawWindow, memLevel, 0, version, int32(size)); rc != 0 {
		return fmt.Errorf("zlib: deflateInit2 level %d: code %d", level, rc)
	}
	defer zlib.XdeflateEnd(tls, mem)
	for flush := int32(zNoFlush); flush != zFinish; {
		n := copy(libc.GoBytes(in, zBuffer), b)
		if b = b[n:]; len(b) == 0 {
			flush = zFinish
		}
		s.Fnext_in, s.Favail_in = in, uint32(n)
		for full := true; full; {
			s.Fnext_out, s.Favail_out = out, zBuffer
			rc := zlib.Xdeflate(tls, mem, flush)
			if rc < 0 && rc != zBufError {
				return fmt.Errorf("zlib: deflate: code %d", rc)
			}
			full = s.Favail_out == 0
			if _, err := w.Write(libc.GoBytes(out, zBuffer-int(s.Favail_out))); err != nil {
				return err
			}
		}
	}
	return nil
}
