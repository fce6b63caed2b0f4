// Package sparse reads and writes Android sparse images, the form in which
// fastboot and SP Flash Tool take large ext4 images.
//
// [Open] gives random access to the expanded image without a temporary file:
//
//	img, err := sparse.Open(f, size)   // f is an io.ReaderAt
//	fs, err := ext4.Open(img, img.Size())
//
// [Join] does the same for a set of split files (system.img_sparsechunk.0 …).
// [OpenData] reads the other shape of the same idea, system.new.dat with its
// transfer.list. [Write] encodes, [Split] encodes into several files.
//
// The format, little-endian: a 28-byte header (magic 0xED26FF3A, version 1.0,
// header sizes, block size, blocks, chunks, CRC-32 of the expanded image or 0),
// then chunks of a 12-byte header (type, blocks, bytes with header) and their
// data: RAW, FILL (four bytes repeated), DONT_CARE (nothing), CRC32 (the CRC of
// everything so far). Larger headers are skipped over. Source: the public
// libsparse header sparse_format.h, measured against img2simg 29.
//
// DONT_CARE reads as zeros here; on the phone it leaves what was there before.
// So the writer makes zero blocks FILL 0, as img2simg does, and DONT_CARE only
// of the blocks that the caller calls free ([Options].Free).
//
// Limits: expanded size up to 16 TiB, 1,048,576 chunks.
package sparse
