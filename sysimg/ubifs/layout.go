package ubifs

import (
	"fmt"
	"slices"

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
	return fmt.Sprintf("compression(%d)", uint16(c))
}

// MarshalText writes the name.
func (c Compression) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name back.
func (c *Compression) UnmarshalText(b []byte) error {
	i := slices.Index(compressionNames, string(b))
	if i < 0 {
		return fmt.Errorf("compression %q: want one of %v", b, compressionNames)
	}
	*c = Compression(i)
	return nil
}

// Layout is the shape of an image, apart from the files in it. The zero value of
// each field that says so lets [Write] choose. Sizes in bytes.
type Layout struct {
	MinIO       int         `json:"min_io"`                  // page size: 512 to 16384; 0 is 2048
	LEBSize     int         `json:"leb_size"`                // 0 is what a PEB of 64 pages leaves, or the UBI geometry
	LEBs        int         `json:"lebs"`                    // that the file system spans; 0 is as many as it needs
	MaxLEBs     int         `json:"max_lebs"`                // to which it may grow at a mount; 0 is four times the need, or what the volume has
	Compression Compression `json:"compression"`             // of data written
	LogLEBs     int         `json:"log_lebs,omitempty"`      // 0 follows the journal's size
	OrphanLEBs  int         `json:"orphan_lebs,omitempty"`   // 0 is 1
	Fanout      int         `json:"fanout,omitempty"`        // children of an index node, 3 to 256; 0 is 8
	MaxBudBytes int64       `json:"max_bud_bytes,omitempty"` // journal size; 0 is an eighth, at most 8 MiB
	ReservedUID uint32      `json:"reserved_uid,omitempty"`  // who may use the reserved pool
	ReservedGID uint32      `json:"reserved_gid,omitempty"`
	Reserved    int64       `json:"reserved,omitempty"`    // size of the pool
	SpaceFixup  bool        `json:"space_fixup,omitempty"` // let the first read-write mount free pages that a flasher programmed with 0xff
	UUID        [16]byte    `json:"uuid"`                  // of the file system; zero is derived from the layout
	UBI         *Volume     `json:"ubi,omitempty"`         // the UBI volume around it; nil for a bare image
}

// Volume is the UBI volume that holds a file system, with what else is in the
// image.
type Volume struct {
	ubi.Geometry
	ID         int           `json:"id"`
	Name       string        `json:"name"`           // "" is "system"
	LEBs       int           `json:"lebs,omitempty"` // reserved; 0 is what the file system needs
	Autoresize bool          `json:"autoresize,omitempty"`
	Others     []*ubi.Volume `json:"-"` // copied as they are
}
