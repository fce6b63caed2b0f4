package kernel

import "encoding/binary"

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// view is a flat piece of memory: bytes and the address of the first of them.
// Kernels and little kernels (lk) are both read through it.
type view struct {
	data []byte
	base uint32 // address of data[0]
}

// off turns an address into an offset in data.
func (v *view) off(addr uint32) (int, bool) {
	if addr < v.base || uint64(addr-v.base) >= uint64(len(v.data)) {
		return 0, false
	}
	return int(addr - v.base), true
}

func (v *view) addr(off int) uint32 { return v.base + uint32(off) }

// word reads the little endian word at off, or 0 beyond the end.
func (v *view) word(off int) uint32 {
	if off < 0 || off+4 > len(v.data) {
		return 0
	}
	return le32(v.data[off:])
}

// text returns the printable ASCII string at addr: 1 to limit bytes, NUL ended.
func (v *view) text(addr uint32, limit int) (string, bool) {
	off, ok := v.off(addr)
	if !ok {
		return "", false
	}
	return textAt(v.data, off, limit)
}

// textAt is text by offset.
func textAt(data []byte, off, limit int) (string, bool) {
	end := min(len(data), off+limit+1)
	for i := off; i < end; i++ {
		switch c := data[i]; {
		case c == 0:
			return string(data[off:i]), i > off
		case c < ' ' || c > '~':
			return "", false
		}
	}
	return "", false
}

// field returns the printable string in a NUL padded field; every byte behind
// the first NUL must be NUL.
func field(b []byte) (string, bool) {
	n := 0
	for n < len(b) && b[n] != 0 {
		if b[n] < ' ' || b[n] > '~' {
			return "", false
		}
		n++
	}
	for _, c := range b[n:] {
		if c != 0 {
			return "", false
		}
	}
	return string(b[:n]), n > 0
}
