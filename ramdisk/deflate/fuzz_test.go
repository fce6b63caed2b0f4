package deflate

import (
	"bytes"
	"testing"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	zlib "modernc.org/z/lib"
)

// transpiled packs by zlib 1.2.11 itself, transpiled to Go: the witness that
// needs no other program.
func transpiled(t testing.TB, level, memLevel int, b []byte) []byte {
	tls := libc.NewTLS()
	defer tls.Close()
	size := int(unsafe.Sizeof(zlib.Z_stream{}))
	room := len(b) + len(b)/8 + 1024
	const version = "1.2.11\x00"
	mem := libc.Xcalloc(tls, 1, types.Size_t(size+len(b)+room+len(version)))
	defer libc.Xfree(tls, mem)
	s := (*zlib.Z_stream)(unsafe.Pointer(&libc.GoBytes(mem, size)[0]))
	in := mem + uintptr(size)
	out := in + uintptr(len(b))
	copy(libc.GoBytes(out+uintptr(room), len(version)), version)
	copy(libc.GoBytes(in, len(b)), b)
	if rc := zlib.XdeflateInit2_(tls, mem, int32(level), 8, -15, int32(memLevel), 0, out+uintptr(room), int32(size)); rc != 0 {
		t.Fatalf("deflateInit2: %d", rc)
	}
	defer zlib.XdeflateEnd(tls, mem)
	s.Fnext_in, s.Favail_in, s.Fnext_out, s.Favail_out = in, uint32(len(b)), out, uint32(room)
	if rc := zlib.Xdeflate(tls, mem, 4); rc != 1 {
		t.Fatalf("deflate: %d", rc)
	}
	return bytes.Clone(libc.GoBytes(out, room-int(s.Favail_out)))
}

// FuzzZlib: whatever is packed, the bytes are zlib's, and it comes back. The
// input is a recipe, so that a few bytes reach what lies beyond the window.
func FuzzZlib(f *testing.F) {
	f.Add([]byte("\x00hello hello hello"), uint8(6))
	f.Add([]byte("\x05abcdefgh\x01\xff\x80\x02\x40\x03\xff\xff\x07"), uint8(1))
	f.Add(bytes.Repeat([]byte("\x03\xff\x10\xf7ab\x02\x91"), 30), uint8(9))
	f.Add(bytes.Repeat([]byte("\x01\xff\xffxyz\x03\x03\x02"), 60), uint8(12))
	f.Fuzz(func(t *testing.T, recipe []byte, how uint8) {
		b := cook(recipe)
		level, flavour, mem := int(how%9)+1, Zlib, 8
		if how/9%2 == 1 {
			flavour, mem = ZlibMem9, 9
		}
		got := pack(t, flavour, level, b)
		if want := transpiled(t, level, mem, b); !bytes.Equal(got, want) {
			t.Fatalf("level %d of %s: %d bytes, zlib writes %d others", level, flavour, len(got), len(want))
		}
		if !bytes.Equal(unpack(t, got), b) {
			t.Fatal("comes back as something else")
		}
		for _, gnu := range []Flavour{GNU, GNUOld} {
			if !bytes.Equal(unpack(t, pack(t, gnu, level, b)), b) {
				t.Fatalf("%s: comes back as something else", gnu)
			}
		}
	})
}

// cook makes up to 300,000 bytes of a recipe: literals, runs, copies, and bytes
// that follow a rule no match can use.
func cook(recipe []byte) []byte {
	var out []byte
	x := uint32(1)
	for i := 0; i+2 < len(recipe) && len(out) < 300_000; i += 3 {
		a, n := recipe[i+1], int(recipe[i+2])
		switch recipe[i] % 4 {
		case 0:
			out = append(out, recipe[i:i+3]...)
		case 1:
			out = append(out, bytes.Repeat([]byte{a}, n*n)...)
		case 2:
			if d := 1 + int(a)*int(a)/2; d <= len(out) {
				for range n + 2 {
					out = append(out, out[len(out)-d])
				}
			}
		case 3:
			for range n * 64 {
				x = x*1664525 + 1013904223
				out = append(out, byte(x>>24)&a)
			}
		}
	}
	return out
}
