package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"mtkport"
	"mtkport/port/flash/da"
)

// yaffsHead is how a YAFFS2 image begins: the header of a directory, its parent
// the root, no checksum of a name.
var yaffsHead = []byte{3, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0xFF}

func yaffs2(r io.ReaderAt) bool {
	b := make([]byte, len(yaffsHead))
	n, _ := r.ReadAt(b, 0)
	return n == len(b) && bytes.Equal(b, yaffsHead)
}

// spareForm tells an image of whole pages, each with its spare bytes, from one of
// data only: what YAFFS2 needs lies in the spare bytes. It returns 0, 0 for data.
func spareForm(n da.NANDInfo, im Image) (page, spare int64, err error) {
	if !n.Found() || !yaffs2(im.R) {
		return 0, 0, nil
	}
	page, spare = int64(n.Page), int64(n.Spare)
	if im.Size%(page+spare) != 0 {
		return 0, 0, &mtkport.Error{File: im.File, Off: mtkport.NoOffset, Field: im.Partition, Found: fmt.Sprintf("a YAFFS2 image of %d bytes", im.Size), Want: fmt.Sprintf("pages of %d and %d spare bytes, as this phone's NAND has them", page, spare), Err: mtkport.ErrRefused,
			Hint: "the image is for another NAND; nothing was written"}
	}
	return page, spare, nil
}

// raw is the number of bytes sent for n data bytes; data is the reverse.
func (e Extent) raw(n int64) int64 {
	if e.Spare == 0 {
		return n
	}
	return n / e.Page * (e.Page + e.Spare)
}

func (e Extent) data(n int64) int64 {
	if e.Spare == 0 {
		return n
	}
	return n / (e.Page + e.Spare) * e.Page
}

// read reads n data bytes of an extent from off on, in the form of its image.
func (d *Device) read(ctx context.Context, e Extent, off, n int64, sink da.Sink) error {
	if e.Spare > 0 {
		return d.Agent.ReadPages(ctx, e.Off+off, n, sink)
	}
	return d.Agent.Read(ctx, e.Region, e.Off+off, n, sink)
}

// differ returns where what was read is not what was wanted, -1 if nowhere; at
// is where both begin in the extent's form. Spare bytes that the image leaves FF
// are the controller's: it puts its error correction there.
func (e Extent) differ(got, want []byte, at int64) int {
	for i := range got {
		if got[i] == want[i] || (e.Spare > 0 && want[i] == 0xFF && (at+int64(i))%(e.Page+e.Spare) >= e.Page) {
			continue
		}
		return i
	}
	return -1
}

// holds reads back and says whether the phone has buf at off of the extent, whose
// SHA-256 is want.
func (d *Device) holds(ctx context.Context, e Extent, off int64, buf []byte, want string) (bool, error) {
	if e.Spare == 0 {
		got, err := d.hash(ctx, e.Region, e.Off+off, int64(len(buf)), nil)
		return err == nil && got == want, err
	}
	h := sha256.New()
	at := 0
	err := d.read(ctx, e, off, e.data(int64(len(buf))), func(b []byte) error {
		w := buf[at : at+len(b)]
		if e.differ(b, w, int64(at)) < 0 {
			b = w
		}
		at += len(b)
		h.Write(b)
		return nil
	})
	return err == nil && hex.EncodeToString(h.Sum(nil)) == want, err
}
