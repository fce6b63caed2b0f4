package bootimg

import (
	"bytes"
	"encoding/binary"
	"io"
)

const secroMagic = "AND_AC_REGION"

// magics are the starts by which contents are named; ext is what a file of them
// is called by.
var magics = []struct{ magic, is, ext string }{
	{"\x1f\x8b", "gzip", ".gz"},
	{"\xfd7zXZ\x00", "xz", ".xz"},
	{"\x02\x21\x4c\x18", "lz4 legacy", ".lz4"},
	{"\x04\x22\x4d\x18", "lz4", ".lz4"},
	{"\x89LZO\x00\r\n\x1a\n", "lzop", ".lzo"},
	{"BZh", "bzip2", ".bz2"},
	{"\x28\xb5\x2f\xfd", "zstd", ".zst"},
	{"\x5d\x00\x00", "lzma", ".lzma"},
	{"070701", "cpio newc", ""},
	{"070702", "cpio newc with checksums", ""},
	{"\x7fELF", "ELF", ".elf"},
	{"\xd0\x0d\xfe\xed", "flattened device tree", ".dtb"},
	{"\xd7\xb7\xab\x1e", "device tree table", ".img"},
	{"QCDT", "device tree table (QCDT)", ".img"},
	{Magic, "Android boot image", ".img"},
	{"\x88\x16\x88\x58", "MediaTek part", ".bin"},
	{secroMagic, "secro", ".img"},
}

// Sniff names what r holds by its first bytes: "gzip", "zImage", "ELF", …, or
// "data". Names of files lie, contents do not.
func Sniff(r io.ReaderAt, size int64) string {
	is, _ := sniff(r, size)
	return is
}

func sniff(r io.ReaderAt, size int64) (is, ext string) {
	b := peek(r, 64, size)
	for _, m := range magics {
		if bytes.HasPrefix(b, []byte(m.magic)) {
			return m.is, m.ext
		}
	}
	switch {
	case len(b) >= 40 && binary.LittleEndian.Uint32(b[36:]) == 0x016f2818:
		return "zImage", ""
	case len(b) >= 60 && string(b[56:60]) == "ARM\x64":
		return "arm64 Image", ""
	}
	return "data", ""
}
