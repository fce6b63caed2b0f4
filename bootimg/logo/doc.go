// Package logo reads and rebuilds MediaTek's logo.bin: the pictures that lk and
// the charger show before Android draws anything.
//
//	l, err := logo.Open(f, size)
//	raw, err := l.Picture(0).Raw()
//	shape, ok := logo.Guess(len(raw))
//	img, err := logo.Decode(raw, shape)
//
// A rebuilt file is the original plus replacements: a picture whose pixels did
// not change keeps its zlib stream byte for byte, whatever compressed it. Only
// changed pictures are compressed anew, at level 9.
//
// # Format
//
// A MediaTek part named LOGO (in any case); its payload is u32 count, u32 total
// (the payload's size), count × u32 offset from the payload's start, then zlib
// streams, each filling the slot up to the next offset. Measured on ten files of
// MT6572, MT6577, MT6589, MT6592 and MT6735.
//
// # Limits
//
// The file does not say how wide a picture is, nor how its pixels are stored.
// Full screens are recognised by their size from a table of screens, RGB565
// first; smaller pictures (digits, the battery) stay raw unless the caller
// knows their shape. lk shows picture 0 and the kernel the last one of the
// 39-picture form, and the system image keeps a copy of both
// (media/images/boot_logo): a new logo must replace all three.
package logo
