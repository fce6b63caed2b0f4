package ramdisk

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"mtkport"
)

// headerSize is the length of a newc header: the magic and thirteen fields.
const headerSize = 110

// Header is what a newc header says of an entry, except the two lengths, which
// follow from the entry's name and content.
type Header struct {
	Ino       uint32 // inode number
	Mode      uint32 // Linux st_mode: type and permission bits
	UID, GID  uint32 // owner
	NLink     uint32 // number of links
	MTime     uint32 // seconds since 1970
	DevMajor  uint32 // device that held the file
	DevMinor  uint32
	RdevMajor uint32 // device that a node stands for
	RdevMinor uint32
	Check     uint32 // sum of the content's bytes when the magic is 070702, else 0
}

// The fields in the order of the header. File and name sizes sit among them.
const (
	fieldIno = iota
	fieldMode
	fieldUID
	fieldGID
	fieldNLink
	fieldMTime
	fieldFileSize
	fieldDevMajor
	fieldDevMinor
	fieldRdevMajor
	fieldRdevMinor
	fieldNameSize
	fieldCheck
	fieldCount
)

var fieldNames = [fieldCount]string{"ino", "mode", "uid", "gid", "nlink", "mtime",
	"filesize", "devmajor", "devminor", "rdevmajor", "rdevminor", "namesize", "check"}

// The two magics of newc, without and with checksum.
const (
	magicNewc = "070701"
	magicCRC  = "070702"
)

// rawHeader is a header as it lies in the archive.
type rawHeader [headerSize]byte

func (r *rawHeader) magic() string { return string(r[:6]) }

func (r *rawHeader) field(i int) []byte { return r[6+8*i : 14+8*i] }

// value decodes field i; ok is false when it is not eight hex digits.
func (r *rawHeader) value(i int) (v uint32, ok bool) {
	var b [4]byte
	if _, err := hex.Decode(b[:], r.field(i)); err != nil {
		return 0, false
	}
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), true
}

// values decodes all fields; off is where the header lies.
func (r *rawHeader) values(off int64) (v [fieldCount]uint32, err error) {
	for i := range v {
		n, ok := r.value(i)
		if !ok {
			return v, &mtkport.Error{Off: off + 6 + 8*int64(i), Field: "cpio " + fieldNames[i],
				Found: strconv.Quote(string(r.field(i))), Want: "eight hex digits", Err: mtkport.ErrDamaged}
		}
		v[i] = n
	}
	return v, nil
}

// hasMagic reports whether b begins with the magic of a newc header.
func hasMagic(b []byte) bool {
	return len(b) >= 6 && (string(b[:6]) == magicNewc || string(b[:6]) == magicCRC)
}

func headerOf(v [fieldCount]uint32) Header {
	return Header{Ino: v[fieldIno], Mode: v[fieldMode], UID: v[fieldUID], GID: v[fieldGID],
		NLink: v[fieldNLink], MTime: v[fieldMTime], DevMajor: v[fieldDevMajor], DevMinor: v[fieldDevMinor],
		RdevMajor: v[fieldRdevMajor], RdevMinor: v[fieldRdevMinor], Check: v[fieldCheck]}
}

func (h Header) values(fileSize, nameSize int) [fieldCount]uint32 {
	return [fieldCount]uint32{h.Ino, h.Mode, h.UID, h.GID, h.NLink, h.MTime, uint32(fileSize),
		h.DevMajor, h.DevMinor, h.RdevMajor, h.RdevMinor, uint32(nameSize), h.Check}
}

// encode writes v, taking from old each field that still means the same, so
// that the way its digits were written survives.
func encode(magic string, v [fieldCount]uint32, old *rawHeader, upper bool) rawHeader {
	form := "%08x"
	if upper {
		form = "%08X"
	}
	var r rawHeader
	copy(r[:], magic)
	for i, n := range v {
		if old != nil {
			if o, ok := old.value(i); ok && o == n {
				copy(r.field(i), old.field(i))
				continue
			}
		}
		copy(r.field(i), fmt.Sprintf(form, n))
	}
	return r
}

// letters counts the hex digits of r written as lower and upper case letters.
func (r *rawHeader) letters() (lower, upper int) {
	for _, c := range r[6:] {
		switch {
		case c >= 'a' && c <= 'f':
			lower++
		case c >= 'A' && c <= 'F':
			upper++
		}
	}
	return lower, upper
}
