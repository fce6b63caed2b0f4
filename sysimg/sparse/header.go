package sparse

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Magic is the first word of a sparse image.
const Magic = 0xED26FF3A

// Chunk types.
const (
	raw       = 0xCAC1
	fill      = 0xCAC2
	dontCare  = 0xCAC3
	crc32Type = 0xCAC4
)

const (
	headerSize = 28
	chunkSize  = 12

	maxExpanded = 1 << 44 // bytes: what ext4 with 4 KiB blocks and 32-bit numbers can hold
	maxChunks   = 1 << 20 // img2simg makes some dozens; this bounds the index to 40 MiB
	maxHeader   = 4096    // bytes: a header larger than a block is no header
)

// rawHeader is the file header as it lies on disk.
type rawHeader struct {
	Magic      uint32
	Major      uint16
	Minor      uint16
	HeaderSize uint16
	ChunkSize  uint16
	BlockSize  uint32
	Blocks     uint32
	Chunks     uint32
	CRC        uint32
}

// rawChunk is a chunk header as it lies on disk.
type rawChunk struct {
	Type     uint16
	Reserved uint16
	Blocks   uint32
	Total    uint32 // bytes with this header
}

func (h rawHeader) bytes() []byte {
	b, _ := binary.Append(nil, binary.LittleEndian, h) // fixed-size struct: no error
	return b
}

func (c rawChunk) bytes() []byte {
	b, _ := binary.Append(nil, binary.LittleEndian, c)
	return b
}

// Is reports whether b, the first bytes of a file, begins a sparse image.
func Is(b []byte) bool { return len(b) >= 4 && binary.LittleEndian.Uint32(b) == Magic }

func damaged(off int64, field string, found, want any) error {
	return &mtkport.Error{Off: off, Field: field, Found: fmt.Sprint(found), Want: fmt.Sprint(want), Err: mtkport.ErrDamaged}
}

func readHeader(r io.ReaderAt) (rawHeader, error) {
	var h rawHeader
	b := make([]byte, headerSize)
	if err := tree.ReadFull(r, b, 0); err != nil {
		return h, &mtkport.Error{Off: 0, Field: "sparse header", Found: "a shorter file", Want: "28 bytes", Err: mtkport.ErrFormat}
	}
	_, _ = binary.Decode(b, binary.LittleEndian, &h)
	switch {
	case h.Magic != Magic:
		return h, &mtkport.Error{Off: 0, Field: "magic", Found: fmt.Sprintf("0x%08x", h.Magic), Want: "0xed26ff3a", Err: mtkport.ErrFormat}
	case h.Major != 1:
		return h, &mtkport.Error{Off: 4, Field: "major_version", Found: fmt.Sprint(h.Major), Want: "1", Err: mtkport.ErrUnsupported}
	case h.HeaderSize < headerSize || h.HeaderSize > maxHeader:
		return h, damaged(8, "file_hdr_sz", h.HeaderSize, "28 to 4096")
	case h.ChunkSize < chunkSize || h.ChunkSize > maxHeader:
		return h, damaged(10, "chunk_hdr_sz", h.ChunkSize, "12 to 4096")
	case h.BlockSize == 0 || h.BlockSize%4 != 0 || h.BlockSize > math.MaxInt32/2:
		return h, damaged(12, "blk_sz", h.BlockSize, "a multiple of 4")
	case int64(h.Blocks)*int64(h.BlockSize) > maxExpanded:
		return h, damaged(16, "total_blks", h.Blocks, fmt.Sprintf("at most %d", maxExpanded/int64(h.BlockSize)))
	case h.Chunks > maxChunks:
		return h, damaged(20, "total_chunks", h.Chunks, fmt.Sprintf("at most %d", maxChunks))
	}
	return h, nil
}
