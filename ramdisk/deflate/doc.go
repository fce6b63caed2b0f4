// Package deflate writes raw deflate streams (RFC 1951) as zlib 1.2 and GNU gzip
// write them, bit for bit.
//
//	z, err := deflate.NewWriter(w, deflate.Zlib, 6)
//	_, err = z.Write(cpio)
//	err = z.Close()
//
// Decoders accept what any encoder writes; this package is for those who want
// the bytes of one particular encoder: a ramdisk that was taken apart and put
// together unchanged is then the stock file again, and an edited one is as small
// as its maker's (the encoders of Go's library come out 3.5 to 5 % larger).
//
// # Flavours
//
// [Zlib] is zlib 1.2 at the default strategy, 32 KiB window and memory level 8:
// Android's minigzip, Python, most programs that link zlib (checked against
// 1.2.11 and 1.2.13). [ZlibMem9] is the same with memory level 9, which some
// archivers ask for. [GNU] is the program gzip from 1.5 on (checked against 1.12),
// and [GNUOld] gzip before 1.5, which differs in what it takes for content behind
// the end of a file. Levels are 1 to 9; all write the streams that a program gets
// that hands over its whole input at once, however it is handed over here.
//
// # What decides the bytes
//
// The configuration of each level (how long chains are followed, when a match
// is good enough), the hash that builds the chains, the positions that enter
// it, the moment at which the window of 64 KiB is moved (position 0 of it can
// never be matched), when a block ends (a full symbol buffer; GNU gzip also
// asks each 4096 symbols whether it pays), the order in which equal frequencies
// enter a Huffman tree, and the choice between a stored, a static and a dynamic
// block. Speed may come from anywhere else: matches are compared eight bytes
// at a time here, symbols are written through a 64-bit register. (The race
// detector is told to pass by the innermost functions: a Writer shares nothing,
// and they are ten times slower under it.)
//
// # Limits
//
// No preset dictionary, no other strategies than the default, level 0 (stored
// blocks) is refused, gzip's --rsyncable is not written. A [Writer] takes 700
// KiB.
//
// # Sources
//
// Ported from zlib's deflate algorithm (deflate.c and trees.c of zlib 1.2 and
// 1.3; what GNU gzip does otherwise is described in the functions that do it).
// This is an altered version, in another language; the notice of the original:
//
//	Copyright (C) 1995-2024 Jean-loup Gailly and Mark Adler
//
//	This software is provided 'as-is', without any express or implied
//	warranty.  In no event will the authors be held liable for any damages
//	arising from the use of this software.
//
//	Permission is granted to anyone to use this software for any purpose,
//	including commercial applications, and to alter it and redistribute it
//	freely, subject to the following restrictions:
//
//	1. The origin of this software must not be misrepresented; you must not
//	   claim that you wrote the original software. If you use this software
//	   in a product, an acknowledgment in the product documentation would be
//	   appreciated but is not required.
//	2. Altered source versions must be plainly marked as such, and must not be
//	   misrepresented as being the original software.
//	3. This notice may not be removed or altered from any source distribution.
//
//	Jean-loup Gailly        Mark Adler
//	jloup@gzip.org          madler@alumni.caltech.edu
package deflate
