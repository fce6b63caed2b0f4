package ubifs

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"mtkport"
	"mtkport/sysimg/ubifs/ubi"
)

// Defaults that the kernel's own formatter and mkfs.ubifs use too.
const (
	defaultFanout  = 8
	defaultJournal = 8 << 20
	defaultLsave   = 256
	minBuds        = 4
	minLogLEBs     = 2
	minLPTLEBs     = 2
	minMainLEBs    = 9 // three journal heads, three for the index, the collector's, one for deletions, one for data
	lptFanout      = 4
)

func refused(field, found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrRefused}
}

// settled fills in what l leaves open, but for the counts of LEBs, and checks it.
func (l Layout) settled() (Layout, error) {
	if l.MinIO == 0 {
		l.MinIO = 2048
	}
	if l.UBI != nil {
		v := *l.UBI
		if v.PEBSize == 0 {
			v.PEBSize = 64 * l.MinIO
		}
		if v.VIDOffset == 0 {
			v.VIDOffset = l.MinIO
		}
		if v.DataOffset == 0 {
			v.DataOffset = alignTo(v.VIDOffset+64, l.MinIO)
		}
		if v.Name == "" {
			v.Name = "system"
		}
		v.Spare = ubi.Spare{}
		l.UBI, l.LEBSize = &v, v.LEBSize()
	}
	if l.LEBSize == 0 {
		l.LEBSize = 62 * l.MinIO
	}
	if l.OrphanLEBs == 0 {
		l.OrphanLEBs = 1
	}
	if l.Fanout == 0 {
		l.Fanout = defaultFanout
	}
	if err := l.check(); err != nil {
		return l, err
	}
	if l.UUID == [16]byte{} {
		l.UUID = l.deriveUUID()
	}
	if l.UBI != nil && l.UBI.ImageSeq == 0 {
		l.UBI.ImageSeq = le.Uint32(l.UUID[:])
	}
	return l, nil
}

func (l Layout) check() error {
	switch {
	case l.MinIO < 512 || l.MinIO > 16384 || bits.OnesCount(uint(l.MinIO)) != 1:
		return refused("page size", fmt.Sprint(l.MinIO), "a power of two, 512 to 16384")
	case l.LEBSize < minLEBSize || l.LEBSize > maxLEBSize || l.LEBSize%l.MinIO != 0:
		return refused("LEB size", fmt.Sprint(l.LEBSize), "whole pages, 15360 bytes to 16 MiB")
	case l.Compression > Zstd:
		return refused("compression", l.Compression.String(), "none, lzo, zlib or zstd")
	case l.Fanout < 3 || l.Fanout > 256:
		return refused("fanout", fmt.Sprint(l.Fanout), "3 to 256")
	case l.LEBs < 0 || l.MaxLEBs < 0 || l.LogLEBs < 0 || l.OrphanLEBs < 1 || l.MaxBudBytes < 0 || l.Reserved < 0:
		return refused("layout", "a negative number", "counts and sizes")
	case l.LEBs > maxLEBCount || l.MaxLEBs > maxLEBCount || l.LogLEBs > 1<<12 || l.OrphanLEBs > 1<<12:
		return refused("layout", "too many LEBs", fmt.Sprintf("at most %d", maxLEBCount))
	}
	return nil
}

// maxLEBCount bounds the volume, and with it the tables in memory.
const maxLEBCount = 1 << 20

func (l Layout) deriveUUID() (id [16]byte) {
	name := ""
	if l.UBI != nil {
		name = l.UBI.Name
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "ubifs %d %d %d %q", l.MinIO, l.LEBSize, l.MaxLEBs, name))
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80 // version 5, by name
	return id
}

// LEBsIn is how many LEBs a partition of size bytes has for a file system of this
// layout: UBI keeps two blocks for its table, one to move blocks and one to
// change a block whole.
func (l Layout) LEBsIn(size int64) int {
	l, err := l.settled()
	switch {
	case err != nil:
		return 0
	case l.UBI == nil:
		return int(min(size/int64(l.LEBSize), maxLEBCount))
	}
	return int(max(0, min(size/int64(l.UBI.PEBSize)-4, maxLEBCount)))
}

// areas is where the areas of a file system lie, and the sizes of what is in
// them. All but main follows from the layout and the largest count of LEBs.
type areas struct {
	Layout
	lptFirst, orphFirst, mainFirst int
	lptLEBs                        int
	big                            bool // LPT model
	lpt                            lptGeometry
}

// plan lays the areas out for a file system of at most maxLEBs.
func plan(l Layout) (*areas, error) {
	a := &areas{Layout: l}
	if a.MaxBudBytes == 0 {
		lebs := max(0, l.MaxLEBs-logLNum-l.OrphanLEBs-minLogLEBs-minLPTLEBs)
		a.MaxBudBytes = min(int64(lebs/8)*int64(l.LEBSize), defaultJournal)
	}
	a.MaxBudBytes = max(a.MaxBudBytes, minBuds*int64(l.LEBSize))
	if least := a.minLog(); a.LogLEBs == 0 {
		a.LogLEBs = least + 2
	} else if a.LogLEBs < least {
		return nil, refused("log", fmt.Sprintf("%d LEBs", a.LogLEBs), fmt.Sprintf("at least %d for a journal of %d bytes", least, a.MaxBudBytes))
	}
	a.lptFirst = logLNum + a.LogLEBs
	if err := a.planLPT(); err != nil {
		return nil, err
	}
	a.orphFirst = a.lptFirst + a.lptLEBs
	a.mainFirst = a.orphFirst + a.OrphanLEBs
	if a.MaxLEBs < a.mainFirst+minMainLEBs {
		return nil, refused("LEBs", fmt.Sprint(a.MaxLEBs), fmt.Sprintf("at least %d for a file system", a.mainFirst+minMainLEBs))
	}
	return a, nil
}

// minLog is how many LEBs the log needs for a reference to every LEB of the
// journal, and one more.
func (a *areas) minLog() int {
	buds := int((a.MaxBudBytes + int64(a.LEBSize) - 1) / int64(a.LEBSize))
	return (buds*alignTo(refSize, a.MinIO)+a.LEBSize-1)/a.LEBSize + 1
}

// minMain is the least main area that the kernel mounts: it must be able to hold
// the journal.
func (a *areas) minMain() int {
	return max(minMainLEBs, int((a.MaxBudBytes+int64(a.LEBSize)-1)/int64(a.LEBSize)))
}
