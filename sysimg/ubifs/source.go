package ubifs

import (
	"io"

	"mtkport"
	"mtkport/sysimg/ubifs/ubi"
)

// source is a row of LEBs; *ubi.Volume is one.
type source interface {
	ReadLEB(p []byte, lnum, off int) error
	Has(lnum int) bool
	Mapped() []int
}

// bare is an image without UBI: LEB after LEB.
type bare struct {
	r       io.ReaderAt
	size    int64
	lebSize int
}

// ReadLEB implements source.
func (s *bare) ReadLEB(p []byte, lnum, off int) error {
	if off < 0 || len(p) > s.lebSize-off {
		return damage(int64(off), "LEB range", "a range beyond the block", "")
	}
	at := int64(lnum)*int64(s.lebSize) + int64(off)
	if n, err := s.r.ReadAt(p, at); n < len(p) {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = mtkport.ErrDamaged
		}
		return &mtkport.Error{Off: at, Field: "LEB", Found: "the end of the image", Err: err}
	}
	return nil
}

// Has implements source.
func (s *bare) Has(lnum int) bool { return int64(lnum)*int64(s.lebSize) < s.size }

// Mapped implements source.
func (s *bare) Mapped() []int {
	all := make([]int, (s.size+int64(s.lebSize)-1)/int64(s.lebSize))
	for i := range all {
		all[i] = i
	}
	return all
}

// openBare finds a superblock at the start of r, with and without spare bytes.
func openBare(r io.ReaderAt, size int64) (*bare, ubi.Spare, bool) {
	for _, s := range append([]ubi.Spare{{}}, ubi.Spares()...) {
		main, n := s.Strip(r, size)
		b := make([]byte, sbSize)
		if _, err := main.ReadAt(b, 0); err != nil {
			continue
		}
		nd, ok := parseNode(b)
		if !ok || nd.typ != sbNode {
			continue
		}
		if sb := parseSuperblock(b); sb.lebSize >= minLEBSize && sb.lebSize <= maxLEBSize {
			return &bare{main, n, int(sb.lebSize)}, s, true
		}
	}
	return nil, ubi.Spare{}, false
}

func damage(off int64, field, found, want string) error {
	return &mtkport.Error{Off: off, Field: field, Found: found, Want: want, Err: mtkport.ErrDamaged}
}
