package ubifs

import (
	"mtkport/sysimg/ubifs/ubi"
)

// Compression is how data nodes are packed.
type Compression uint16

// The compressions of UBIFS. Zstd needs Linux 5.3 or newer, so no phone of this
// age reads it.
const (
	None Compression = iota
	LZO
	Zlib // raw deflate
	Zstd
)

var compressionNames = []string{"none", "lzo", "zlib", "zstd"}

// String returns none, lzo, zlib or zstd.
func (c Compression) String() string {
	if int(c) < len(compressionNames) {
		return compressionNames[c]
	}
	return "unknown"
}

// ParseCompression is the inverse of String.
func ParseCompression(s string) (Compression, bool) {
	for i, n := range compressionNames {
		if n == s {
			return Compression(i), true
		}
	}
	return 0, false
}

// Layout is the shape of an image, apart from the files in it. The zero value of
// each field that says so lets [Write] choose. Sizes in bytes.
type Layout struct {
	MinIO       int         // page size: 512 to 16384; 0 is 2048
	LEBSize     int         // 0 is 62 or 60 pages, or what the UBI geometry leaves
	LEBs        int         // that the file system uses; 0 is as many as it needs; more grow to it
	MaxLEBs     int         // to which it may grow at the first read-write mount; 0 is twice the need
	Compression Compression // of data written
	LogLEBs     int         // 0 follows the journal's size
	OrphanLEBs  int         // 0 is 1
	Fanout      int         // children of an index node; 0 is 8
	MaxBudBytes int64       // journal size; 0 is an eighth, at most 8 MiB
	ReservedUID uint32      // who may use the reserved pool
	ReservedGID uint32
	Reserved    int64    // pool size
	SpaceFixup  bool     // let the first read-write mount free pages that a flasher programmed with 0xff
	UUID        [16]byte // of the file system; zero is derived from the layout
	UBI         *Volume  // the UBI volume around it; nil for a bare image
}

// Volume is the UBI volume that holds a file system, with what else is in the
// image.
type Volume struct {
	ubi.Geometry
	ID         int
	Name       string // "" is "system"
	LEBs       int    // reserved; 0 is what the file system needs
	Autoresize bool
	Others     []*ubi.Volume // copied as they are
}
