package ext4

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c is ext4's: no inversion at either end.
func crc32c(seed uint32, p []byte) uint32 { return ^crc32.Update(^seed, castagnoli, p) }

var crc16Table = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		t[i] = c
	}
	return t
}()

// crc16 is the reflected CRC of polynomial 0x8005, as uninit_bg uses it.
func crc16(c uint16, p []byte) uint16 {
	for _, b := range p {
		c = c>>8 ^ crc16Table[byte(c)^b]
	}
	return c
}

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// groupSum is the checksum of descriptor b (its own field at 0x1E left out).
func (s *super) groupSum(g uint32, b []byte) uint16 {
	switch {
	case s.FeatureROCompat&roMetadataCsum != 0:
		c := crc32c(s.seed, le32(g))
		c = crc32c(c, b[:0x1E])
		c = crc32c(c, []byte{0, 0})
		return uint16(crc32c(c, b[0x20:]))
	case s.FeatureROCompat&roGDTCsum != 0:
		c := crc16(0xFFFF, s.UUID[:])
		c = crc16(c, le32(g))
		c = crc16(c, b[:0x1E])
		return crc16(c, b[0x20:])
	}
	return binary.LittleEndian.Uint16(b[0x1E:])
}

// inodeSumOK compares the checksum in the raw inode b with its bytes.
func (s *super) inodeSumOK(ino uint32, b []byte) bool {
	if s.FeatureROCompat&roMetadataCsum == 0 {
		return true
	}
	c := crc32c(s.seed, le32(ino))
	c = crc32c(c, b[0x64:0x68])
	c = crc32c(c, b[:0x7C])
	c = crc32c(c, []byte{0, 0})
	want := uint32(binary.LittleEndian.Uint16(b[0x7C:]))
	if len(b) <= oldInode {
		return uint16(crc32c(c, b[0x7E:])) == uint16(want)
	}
	if binary.LittleEndian.Uint16(b[0x80:]) >= 4 {
		c = crc32c(c, b[0x7E:0x82])
		c = crc32c(c, []byte{0, 0})
		want |= uint32(binary.LittleEndian.Uint16(b[0x82:])) << 16
		return crc32c(c, b[0x84:]) == want
	}
	return uint16(crc32c(c, b[0x7E:])) == uint16(want)
}
