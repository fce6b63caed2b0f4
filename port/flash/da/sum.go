package da

import "encoding/binary"

// Sum is the checksum of a packet: the sum of its bytes. Both ends of the wire
// sum everything that moves, so its cost shows in the rate.
func Sum(b []byte) uint16 {
	var s uint64
	if n := len(b) &^ 63; n > 0 {
		s = sum64(b[:n])
		b = b[n:]
	}
	for _, c := range b {
		s += uint64(c)
	}
	return uint16(s)
}

// sumWords adds the bytes of b, whose length is a multiple of 64, in plain Go:
// four lanes of 16 bits in a word, each taking at most 16 bytes a turn, so that
// 16 turns fit.
func sumWords(b []byte) uint64 {
	const even = 0x00ff00ff00ff00ff
	var s uint64
	for len(b) >= 64 {
		n := min(len(b), 16*64)
		var lanes uint64
		for c := b[:n]; len(c) >= 64; c = c[64:] {
			for i := 0; i < 64; i += 8 {
				v := binary.LittleEndian.Uint64(c[i:])
				lanes += v&even + v>>8&even
			}
		}
		s += lanes&0xffff + lanes>>16&0xffff + lanes>>32&0xffff + lanes>>48
		b = b[n:]
	}
	return s
}
