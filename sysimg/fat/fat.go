// Package fat reads the FAT volumes of a phone (the FAT partition, a memory
// card's image) into a tree. It only reads.
//
//	v, err := fat.Open(r, size)
//	v.Tree().Lookup("DCIM")
//
// The file system itself is read by github.com/diskfs/go-diskfs, which serves
// well for FAT12, FAT16 and FAT32. What is added here is care with hostile
// images, which that library trusts: the boot record's sizes are held against
// the image before anything is allocated, cluster chains that run in a circle
// are found first, and a panic inside becomes an error.
//
// FAT knows no owners and modes: every node gets what Android's vold mounts a
// card with (root, media_rw, 0775 and 0664). Limits: FAT32 volumes whose two
// tables differ are refused; at most 100,000 names, 64 folders deep.
package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"mtkport"
	"mtkport/sysimg/tree"
)

const (
	maxNames = 100_000
	maxDepth = 64
	maxTable = 64 << 20 // bytes: a FAT32 of 16 million clusters
	mediaRW  = 1023     // Android's group of memory cards
)

// Volume is an opened FAT volume.
type Volume struct {
	kind  string
	label string
	tree  *tree.Tree
	notes []mtkport.Finding
}

// Kind is FAT12, FAT16 or FAT32.
func (v *Volume) Kind() string { return v.kind }

// Label is the volume's label, "" where it has none.
func (v *Volume) Label() string { return v.label }

// Tree is what the volume holds.
func (v *Volume) Tree() *tree.Tree { return v.tree }

// Problems lists what could not be read.
func (v *Volume) Problems() []mtkport.Finding { return v.notes }

// Is tells whether the first 512 bytes or more are a FAT boot record.
func Is(b []byte) bool {
	return len(b) >= 512 && b[510] == 0x55 && b[511] == 0xaa && (b[0] == 0xeb || b[0] == 0xe9) &&
		(bytes.HasPrefix(b[0x36:], []byte("FAT12   ")) || bytes.HasPrefix(b[0x36:], []byte("FAT16   ")) || bytes.HasPrefix(b[0x52:], []byte("FAT32   ")))
}

// Open reads a volume of size bytes. Errors: ErrFormat when it is none,
// ErrDamaged when sizes or cluster chains make no sense.
func Open(r io.ReaderAt, size int64) (v *Volume, err error) {
	head := make([]byte, min(512, max(0, size)))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if !Is(head) {
		return nil, &mtkport.Error{Off: 0, Field: "boot record", Found: "no FAT", Want: "FAT12, FAT16 or FAT32", Err: mtkport.ErrFormat}
	}
	g, err := readGeometry(head, size)
	if err == nil {
		err = g.check(r)
	}
	if err != nil {
		return nil, err
	}
	defer func() { // the library trusts what it reads
		if p := recover(); p != nil {
			v, err = nil, &mtkport.Error{Off: mtkport.NoOffset, Field: g.kind, Found: fmt.Sprint(p), Want: "a volume that can be read", Err: mtkport.ErrDamaged}
		}
	}()
	st := &store{SectionReader: io.NewSectionReader(r, 0, size)}
	vol, label, err := g.open(st, size)
	if err != nil {
		return nil, &mtkport.Error{Off: 0, Field: g.kind, Found: err.Error(), Want: "a volume that can be read", Err: mtkport.ErrDamaged}
	}
	v = &Volume{kind: g.kind, label: label, tree: tree.New()}
	v.tree.Root.GID, v.tree.Root.Mode = mediaRW, tree.Dir|0o775
	w := walker{v: v, vol: vol, r: r, left: maxNames}
	if err := w.dir(".", 0); err != nil {
		return nil, err
	}
	return v, nil
}

// volume is what the library's three kinds have in common.
type volume interface {
	ReadDir(p string) ([]fs.DirEntry, error)
	OpenFile(p string, flag int) (filesystem.File, error)
	Label() string
}

func (g geometry) open(st backend.Storage, size int64) (volume, string, error) {
	var v volume
	var err error
	switch g.kind {
	case "FAT12":
		v, err = fat12.Read(st, size, 0, 0)
	case "FAT16":
		v, err = fat16.Read(st, size, 0, 0)
	default:
		v, err = fat32.Read(st, size, 0, 0)
	}
	if err != nil {
		return nil, "", err
	}
	return v, v.Label(), nil
}

type walker struct {
	v    *Volume
	vol  volume
	r    io.ReaderAt
	left int
}

func (w *walker) dir(p string, depth int) error {
	if depth > maxDepth {
		return w.damaged(p, fmt.Sprintf("folders more than %d deep", maxDepth))
	}
	ents, err := w.vol.ReadDir(p)
	if err != nil {
		w.lost(p, err)
		return nil
	}
	seen := map[string]bool{}
	for _, e := range ents {
		if tree.CheckName(e.Name()) != nil {
			continue // the entries . and ..
		}
		if seen[e.Name()] { // the library opens by name, so only one of them can be had
			w.lost(path.Join(p, e.Name()), errors.New("the name stands twice in its folder"))
			continue
		}
		seen[e.Name()] = true
		if w.left--; w.left < 0 {
			return w.damaged(p, fmt.Sprintf("more than %d names", maxNames))
		}
		name := path.Join(p, e.Name())
		n, err := w.node(name, e)
		if err == nil {
			err = w.v.tree.Put(name, n)
		}
		if err != nil {
			w.lost(name, err)
			continue
		}
		if n.IsDir() {
			if err := w.dir(name, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) node(name string, e fs.DirEntry) (*tree.Node, error) {
	info, err := e.Info()
	if err != nil {
		return nil, err
	}
	n := &tree.Node{Mode: tree.Regular | 0o664, GID: mediaRW, MTime: info.ModTime().UTC()}
	if e.IsDir() {
		n.Mode = tree.Dir | 0o775
		return n, nil
	}
	if info.Size() > 0 {
		n.Data, err = w.content(name, info.Size())
	}
	return n, err
}

// placer is the library's file that tells where its bytes lie.
type placer interface {
	GetDiskRanges() ([]fat12.DiskRange, error)
}

func (w *walker) content(name string, size int64) (tree.Content, error) {
	f, err := w.vol.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, ok := f.(placer)
	if !ok {
		return nil, fmt.Errorf("%T does not tell where it lies", f)
	}
	ranges, err := p.GetDiskRanges()
	if err != nil {
		return nil, err
	}
	c := &content{r: w.r, size: size}
	var at int64
	for _, d := range ranges {
		c.runs = append(c.runs, run{at, int64(d.Offset), int64(d.Length)})
		at += int64(d.Length)
	}
	if at < size {
		return nil, fmt.Errorf("clusters for %d of %d bytes", at, size)
	}
	return c, nil
}

func (w *walker) lost(name string, err error) {
	w.v.notes = append(w.v.notes, mtkport.Finding{Code: "fat-unreadable", Severity: mtkport.Risk, Subject: name, Text: name + " cannot be read: " + err.Error()})
}

func (w *walker) damaged(p, found string) error {
	return &mtkport.Error{File: p, Off: mtkport.NoOffset, Field: w.v.kind, Found: found, Want: "a volume of a phone", Err: mtkport.ErrDamaged}
}

// run is length bytes of a content at off that lie at pos in the image.
type run struct{ off, pos, length int64 }

type content struct {
	r    io.ReaderAt
	runs []run
	size int64
}

// Size implements tree.Content.
func (c *content) Size() int64 { return c.size }

// ReadAt implements tree.Content.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= c.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), c.size-off)
	done := int64(0)
	for _, r := range c.runs {
		at := off + done
		if done == want || at < r.off || at >= r.off+r.length {
			continue
		}
		n := min(want-done, r.off+r.length-at)
		if m, err := c.r.ReadAt(p[done:done+n], r.pos+at-r.off); err != nil && (err != io.EOF || int64(m) < n) {
			return int(done) + m, err
		}
		done += n
	}
	if done < int64(len(p)) {
		return int(done), io.EOF
	}
	return int(done), nil
}

// geometry is what the boot record says, bytes.
type geometry struct {
	kind      string
	fatOff    int64
	fatLen    int64 // of one table
	clusters  int64 // highest number + 1
	entryBits int
}

// readGeometry holds the boot record against the size of the image, before the
// library allocates by it.
func readGeometry(b []byte, size int64) (geometry, error) {
	le := binary.LittleEndian
	sector, perCluster, reserved := int64(le.Uint16(b[11:])), int64(b[13]), int64(le.Uint16(b[14:]))
	fats, rootEntries, perFAT := int64(b[16]), int64(le.Uint16(b[17:])), int64(le.Uint16(b[22:]))
	total := int64(le.Uint16(b[19:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	if perFAT == 0 {
		perFAT = int64(le.Uint32(b[36:]))
	}
	bad := func(off int64, field, found, want string) (geometry, error) {
		return geometry{}, &mtkport.Error{Off: off, Field: field, Found: found, Want: want, Err: mtkport.ErrDamaged}
	}
	switch {
	case sector != 512 && sector != 1024 && sector != 2048 && sector != 4096:
		return bad(11, "bytes per sector", fmt.Sprint(sector), "512, 1024, 2048 or 4096")
	case perCluster == 0 || perCluster&(perCluster-1) != 0:
		return bad(13, "sectors per cluster", fmt.Sprint(perCluster), "a power of two")
	case fats != 2:
		return bad(16, "number of tables", fmt.Sprint(fats), "2")
	case perFAT == 0 || perFAT*sector > maxTable:
		return bad(22, "table size", fmt.Sprint(perFAT*sector), fmt.Sprintf("1 to %d bytes", maxTable))
	}
	data := total - reserved - fats*perFAT - (rootEntries*32+sector-1)/sector
	g := geometry{fatOff: reserved * sector, fatLen: perFAT * sector, clusters: data/perCluster + 2}
	if reserved == 0 || data < perCluster || total*sector > size {
		return bad(32, "volume size", fmt.Sprintf("%d sectors of %d bytes", total, sector), fmt.Sprintf("a volume inside %d bytes", size))
	}
	switch { // Microsoft's rule: the count of clusters alone decides
	case g.clusters-2 < 4085:
		g.kind, g.entryBits = "FAT12", 12
	case g.clusters-2 < 65525:
		g.kind, g.entryBits = "FAT16", 16
	default:
		g.kind, g.entryBits = "FAT32", 32
	}
	if need := (g.clusters*int64(g.entryBits) + 7) / 8; need > g.fatLen {
		return bad(22, "table size", fmt.Sprint(g.fatLen), fmt.Sprintf("at least %d bytes for %d clusters", need, g.clusters-2))
	}
	return g, nil
}

// check refuses a table in which two chains meet or one runs in a circle: the
// library would follow it without end. Where every cluster has one predecessor
// at most, a circle has no way in, so a walk from a chain's first cluster ends;
// circles apart are looked for by taking every chain off its beginning.
func (g geometry) check(r io.ReaderAt) error {
	b := make([]byte, g.fatLen)
	if err := tree.ReadFull(r, b, g.fatOff); err != nil {
		return &mtkport.Error{Off: g.fatOff, Field: g.kind + " table", Found: "the end of the image", Want: fmt.Sprintf("%d bytes", g.fatLen), Err: mtkport.ErrDamaged}
	}
	pointed := make([]bool, g.clusters)
	for c := int64(2); c < g.clusters; c++ {
		next := int64(g.entry(b, c))
		if next < 2 || next >= g.clusters {
			continue
		}
		if pointed[next] {
			return g.circular(c, next)
		}
		pointed[next] = true
	}
	reached := make([]bool, g.clusters)
	for c := int64(2); c < g.clusters; c++ {
		if pointed[c] {
			continue
		}
		for at := c; at >= 2 && at < g.clusters && !reached[at]; at = int64(g.entry(b, at)) {
			reached[at] = true
		}
	}
	for c := int64(2); c < g.clusters; c++ {
		if pointed[c] && !reached[c] {
			return g.circular(c, int64(g.entry(b, c)))
		}
	}
	return nil
}

func (g geometry) circular(from, to int64) error {
	return &mtkport.Error{Off: g.fatOff + from*int64(g.entryBits)/8, Field: g.kind + " table", Found: fmt.Sprintf("cluster %d leads to %d, which is taken or leads back", from, to),
		Want: "chains that end", Err: mtkport.ErrDamaged, Hint: "fsck.vfat on a copy may mend it"}
}

func (g geometry) entry(b []byte, c int64) uint32 {
	switch g.entryBits {
	case 12:
		v := uint32(binary.LittleEndian.Uint16(b[c+c/2:]))
		if c%2 == 1 {
			return v >> 4
		}
		return v & 0xfff
	case 16:
		return uint32(binary.LittleEndian.Uint16(b[2*c:]))
	}
	return binary.LittleEndian.Uint32(b[4*c:]) & 0x0fffffff
}

// store is a read-only backend over any io.ReaderAt.
type store struct {
	*io.SectionReader
}

// Stat implements fs.File.
func (s *store) Stat() (fs.FileInfo, error) { return storeInfo(s.Size()), nil }

// Close implements fs.File.
func (s *store) Close() error { return nil }

// Sys implements backend.Storage: there is no file of the system.
func (s *store) Sys() (*os.File, error) { return nil, backend.ErrNotSuitable }

// Writable implements backend.Storage: never.
func (s *store) Writable() (backend.WritableFile, error) { return nil, backend.ErrIncorrectOpenMode }

// Path implements backend.Storage: there is none.
func (s *store) Path() string { return "" }

type storeInfo int64

func (i storeInfo) Name() string     { return "volume" }
func (i storeInfo) Size() int64      { return int64(i) }
func (storeInfo) Mode() fs.FileMode  { return 0o444 }
func (storeInfo) ModTime() time.Time { return time.Time{} }
func (storeInfo) IsDir() bool        { return false }
func (storeInfo) Sys() any           { return nil }
