package rom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/sysimg/tree"
)

// maxBootParts bounds the parts of a boot image together: its partition has
// 6 to 20 MiB.
const maxBootParts = 64 << 20

// bootParts puts a boot image together from the parts that the usual unpackers
// leave: the header (image.hdr), kernel and ramdisk, and beside them the
// MediaTek headers that were cut off (NAME.mtkhdr). Sizes in the headers are set
// to those of the parts.
func (r *ROM) bootParts() error {
	for _, n := range r.src.list() {
		dir := path.Dir(n)
		if path.Base(n) != "image.hdr" || path.Base(dir) == "recovery" {
			continue
		}
		b, err := r.joinParts(dir)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		f := &File{Name: path.Join(dir, "boot.img"), R: bytes.NewReader(b), Size: int64(len(b))}
		m, err := bootimg.Open(f.R, f.Size)
		if err != nil {
			return mtkport.InFile(err, path.Join(r.Path, dir))
		}
		r.Boot, r.BootFile = m, f
		r.Notes = append(r.Notes, mtkport.Finding{Code: "boot-from-parts", Severity: mtkport.Note, Subject: dir,
			Text: "the boot image was put together from its parts"})
		return nil
	}
	return nil
}

func (r *ROM) joinParts(dir string) ([]byte, error) {
	hdr, err := r.part(dir, "image.hdr")
	if err != nil || len(hdr) < 48 {
		return nil, err
	}
	page := int(uint32(hdr[36]) | uint32(hdr[37])<<8 | uint32(hdr[38])<<16) // page_size of the header
	if page < 1024 || page > 1<<17 || page&(page-1) != 0 || len(hdr) > page {
		return nil, nil
	}
	out := pad(hdr, page)
	for i, names := range [][]string{{"zImage", "kernel"}, {"ram_disk.gz", "ramdisk.gz", "ramdisk.cpio.gz"}, {"second"}} {
		for _, n := range names {
			head, err := r.part(dir, n+".mtkhdr")
			if err != nil {
				return nil, err
			}
			body, err := r.part(dir, n)
			if err != nil {
				return nil, err
			}
			if len(body) == 0 {
				continue
			}
			if len(head) >= 8 { // whoever changed the part left the sizes to the packer
				binary.LittleEndian.PutUint32(head[4:], uint32(len(body)))
			}
			binary.LittleEndian.PutUint32(out[8+8*i:], uint32(len(head)+len(body)))
			out = pad(append(append(out, head...), body...), page)
			break
		}
	}
	return out, nil
}

func (r *ROM) part(dir, name string) ([]byte, error) {
	c, ok := r.src.entry(path.Join(dir, name))
	if !ok || c.Size() > maxBootParts {
		return nil, nil
	}
	return readAll(c)
}

func readAll(c tree.Content) ([]byte, error) {
	b := make([]byte, c.Size())
	if _, err := c.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

func pad(b []byte, page int) []byte {
	return append(b, make([]byte, -len(b)&(page-1))...)
}
