// Package ubifs reads and writes UBIFS, the file system of raw NAND phones,
// inside a UBI image or bare.
//
//	fs, err := ubifs.Open(r, size)
//	t := fs.Tree()                       // lazily read contents
//	err = ubifs.Write(ctx, out, t, fs.Layout())
//
// [Open] finds the volume, follows the committed index and replays the journal
// as the kernel does at mount. When the index cannot be followed it falls back
// to every good node in the image, the highest sequence number winning. What is
// lost is told in [FS.Problems]; reading a lost part of a file is an error of
// class ErrDamaged. Dumps with spare bytes are seen and looked through.
//
// [Write] makes a complete image: superblock, master, log, LEB property tree
// (small and big model), index and data, packed on all processors. The same
// tree and layout give the same bytes.
//
// Limits: format version 4 and 5 with simple keys and r5 hashes are read;
// encrypted files keep their place but have no contents; authentication is not
// checked. Written is version 4, which every kernel since 2.6.27 mounts.
// Inode numbers are 32 bits, a file has at most 2^41 bytes.
//
// Sources of the format: fs/ubifs/ubifs-media.h (on-flash structures) and the
// white paper "A Brief Introduction to the Design of UBIFS".
package ubifs

import (
	"fmt"
	"io"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/ubifs/ubi"
)

// FS is an opened file system.
type FS struct {
	src      source
	lebSize  int
	sb       superblock
	mst      *master
	st       *state
	img      *ubi.Image // nil for a bare image
	vol      *ubi.Volume
	tree     *tree.Tree
	problems []mtkport.Finding
}

// Open reads the file system in r, an image of size bytes: the first UBI volume
// that holds one, or a bare image. The error has class ErrFormat when there is
// none.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	if s, _, ok := openBare(r, size); ok {
		return open(&FS{src: s, lebSize: s.lebSize})
	}
	img, err := ubi.Open(r, size)
	if err != nil {
		return nil, err
	}
	for _, v := range img.Volumes() {
		if holdsUBIFS(v) {
			return OpenVolume(img, v)
		}
	}
	return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "UBI volumes", Found: fmt.Sprintf("%d without UBIFS", len(img.Volumes())),
		Want: "one with UBIFS", Err: mtkport.ErrFormat}
}

// Kind says by the first bytes what r holds: "ubi", "ubifs" or "" for neither.
// Blocks in the first 4 MiB are looked at, as the very first may be bad.
func Kind(r io.ReaderAt, size int64) string {
	if _, _, ok := openBare(r, size); ok {
		return "ubifs"
	}
	b := make([]byte, 64<<10)
	for off := int64(0); off < min(size, 4<<20); off += int64(len(b)) {
		n, err := r.ReadAt(b, off)
		for i := 0; i+4 <= n; i += 2048 {
			if string(b[i:i+4]) == "UBI#" {
				return "ubi"
			}
		}
		if err != nil {
			break
		}
	}
	return ""
}

// OpenVolume reads the file system in volume v of img.
func OpenVolume(img *ubi.Image, v *ubi.Volume) (*FS, error) {
	f := &FS{src: v, lebSize: v.LEBSize, img: img, vol: v}
	f.problems = append(f.problems, img.Problems()...)
	f.note(img.Volumes())
	return open(f)
}

// note tells of the volumes beside the file system.
func (f *FS) note(vols []*ubi.Volume) {
	var names []string
	for _, v := range vols {
		if v != f.vol {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	f.problems = append(f.problems, mtkport.Finding{
		Code: "ubi-volumes", Severity: mtkport.Note, Subject: f.vol.Name,
		Text: fmt.Sprintf("beside the file system lie the volumes %q: a new UBI image with the same eraseblocks keeps them, nothing else does", names),
	})
}

// holdsUBIFS looks for a node at the start of the first blocks of v.
func holdsUBIFS(v *ubi.Volume) bool {
	if v.Static || v.LEBSize < minLEBSize || v.LEBSize > maxLEBSize {
		return false
	}
	b := make([]byte, chSize)
	for i, lnum := range v.Mapped() {
		if i == 16 {
			break
		}
		if v.ReadLEB(b, lnum, 0) == nil && le.Uint32(b) == nodeMagic {
			return true
		}
	}
	return false
}

func open(f *FS) (*FS, error) {
	whole := f.readSuperblock()
	if f.mst = f.lastMaster(); f.mst == nil {
		f.problem("ubifs-no-master", masterLNum, "", "no good master node in blocks 1 and 2")
		whole = false
	}
	if whole {
		whole = f.commit()
	}
	if !whole {
		f.problem("ubifs-rescued", 0, "", "the index cannot be followed: files were gathered from all blocks, and deleted ones may be among them")
		f.rescue()
	}
	f.build()
	f.st = nil
	return f, nil
}

// commit reads index and journal.
func (f *FS) commit() bool {
	f.st = newState()
	if err := f.walkIndex(); err != nil {
		f.problem("ubifs-bad-index", 0, "", "%v", err)
		return false
	}
	f.replay()
	return true
}

func (f *FS) readSuperblock() bool {
	b := make([]byte, sbSize)
	if f.src.Has(sbLNum) && f.src.ReadLEB(b, sbLNum, 0) == nil {
		if n, ok := parseNode(b); ok && n.typ == sbNode {
			f.sb = parseSuperblock(b)
		}
	}
	switch {
	case f.sb.lebSize == 0:
		f.problem("ubifs-no-superblock", 0, "", "the superblock is missing or broken")
	case int(f.sb.lebSize) != f.lebSize:
		f.problem("ubifs-leb-size", 0, "", "the superblock has blocks of %d bytes, the volume of %d", f.sb.lebSize, f.lebSize)
	case f.sb.keyFormat != 0 || f.sb.format > 5:
		f.problem("ubifs-format", 0, "", "format version %d with keys of kind %d: read as far as it is understood", f.sb.format, f.sb.keyFormat)
		return true
	default:
		return true
	}
	f.sb.logLEBs, f.sb.lptLEBs, f.sb.orphLEBs = 0, 0, 0
	return false
}

// Tree returns the files. Contents are read from the image when they are asked
// for.
func (f *FS) Tree() *tree.Tree { return f.tree }

// Problems lists what is broken or lost, in the order it was met.
func (f *FS) Problems() []mtkport.Finding { return f.problems }

// UBI returns the image around the file system, nil for a bare one.
func (f *FS) UBI() *ubi.Image { return f.img }

// maxProblems keeps a hostile image from filling memory with complaints.
const maxProblems = 10000

func (f *FS) problem(code string, off int64, path, format string, args ...any) {
	if len(f.problems) >= maxProblems {
		return
	}
	f.problems = append(f.problems, mtkport.Finding{
		Code: code, Severity: mtkport.Risk, Subject: path, Text: fmt.Sprintf(format, args...),
		Evidence: []mtkport.Evidence{{Value: fmt.Sprintf("LEB %d", off)}},
	})
}

// Layout returns the shape of the image, for writing another like it.
func (f *FS) Layout() Layout {
	l := Layout{
		MinIO: int(f.sb.minIO), LEBSize: f.lebSize, LEBs: int(f.sb.lebCnt), MaxLEBs: int(f.sb.maxLEBCnt),
		Compression: Compression(f.sb.compression), LogLEBs: int(f.sb.logLEBs), OrphanLEBs: int(f.sb.orphLEBs),
		Fanout: int(f.sb.fanout), MaxBudBytes: int64(f.sb.maxBudBytes), ReservedUID: f.sb.rpUID, ReservedGID: f.sb.rpGID,
		Reserved: int64(f.sb.rpSize), SpaceFixup: f.sb.flags&sbSpaceFixup != 0, UUID: f.sb.uuid,
	}
	if f.img == nil {
		return l
	}
	g := f.img.Geometry()
	g.Spare = ubi.Spare{}
	l.UBI = &Volume{Geometry: g, ID: f.vol.ID, Name: f.vol.Name, LEBs: f.vol.LEBs, Autoresize: f.vol.Autoresize}
	for _, v := range f.img.Volumes() {
		if v != f.vol {
			l.UBI.Others = append(l.UBI.Others, v)
		}
	}
	return l
}
