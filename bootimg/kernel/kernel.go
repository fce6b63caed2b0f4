package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"sync"

	"mtkport"
)

// Form is how the kernel lay in the file.
type Form string

// The forms that [Open] knows.
const (
	ZImage  Form = "zImage"  // self-unpacking: decompressor, packed kernel
	Packed  Form = "packed"  // a packed kernel without the zImage head
	Image   Form = "Image"   // the bare kernel as it lies in memory
	VMLinux Form = "vmlinux" // an ELF file
)

// Bounds and marks of the file around the kernel.
const (
	maxFile      = 64 << 20
	partMagic    = 0x58881688 // MediaTek part header, 512 bytes
	partHeader   = 512
	zImageMagic  = 0x016f2818
	zImageOff    = 0x24
	bootMagic    = "ANDROID!"
	fdtMagic     = 0xd00dfeed
	defaultBase  = 0xc0008000 // address of the first byte of an ARM kernel
	bannerPrefix = "Linux version "
)

// Kernel is one opened kernel. All of it is in memory; its methods may be
// called from several goroutines.
type Kernel struct {
	form     Form
	part     string // name in the MediaTek part header, or ""
	partSize int64  // what that header counts, 0 without one
	start    int64  // where the kernel begins in the file, behind that header
	zstart   uint32
	zend     uint32
	loadAddr uint32
	payload  Payload
	dtbs     []DTB
	image    view
	banner   Build
	vermagic string
	notes    []mtkport.Finding
	elfSyms  []Symbol

	search   search // what was found while unpacking
	symsOnce sync.Once
	syms     *Symbols
	symsErr  error
	expOnce  sync.Once
	exports  *Exports
	cfgOnce  sync.Once
	config   *Config
}

// DTB is a device tree appended to a zImage.
type DTB struct {
	Off  int64 `json:"offset"` // in the file, bytes
	Size int64 `json:"size"`   // bytes, as its header says
}

// Open finds the kernel in r: a zImage with or without a MediaTek part header
// and with or without device trees behind it, a bare packed kernel, a bare
// Image, or a vmlinux. Boot images are not opened here: hand in their kernel
// section. The kernel is unpacked at once, at most 64 MiB.
//
// The error is [mtkport.ErrFormat] when there is no kernel in r, and
// [mtkport.ErrDamaged] when there is one that does not unpack.
func Open(r io.ReaderAt, size int64) (*Kernel, error) {
	if size > maxFile {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprint(size),
			Want: fmt.Sprintf("at most %d", maxFile), Err: mtkport.ErrFormat}
	}
	b := make([]byte, max(size, 0))
	if n, err := r.ReadAt(b, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
		return nil, err
	}
	k := &Kernel{image: view{base: defaultBase}}
	if bytes.HasPrefix(b, []byte(bootMagic)) {
		return nil, &mtkport.Error{Off: 0, Field: "magic", Found: "an Android boot image", Want: "its kernel",
			Hint: "open the image with package bootimg and hand in its kernel section", Err: mtkport.ErrFormat}
	}
	skip := k.skipPart(b)
	if err := k.unpack(b[skip:]); err != nil {
		return nil, locate(err, int64(skip))
	}
	k.start = int64(skip)
	for i := range k.dtbs {
		k.dtbs[i].Off += int64(skip)
	}
	k.findBase()
	return k, nil
}

// locate moves the offset of err by the header that was skipped.
func locate(err error, skip int64) error {
	var e *mtkport.Error
	if errors.As(err, &e) && e.Off >= 0 {
		e.Off += skip
	}
	return err
}

// skipPart reads a MediaTek part header and returns its size, or 0.
func (k *Kernel) skipPart(b []byte) int {
	if len(b) < partHeader || le32(b) != partMagic {
		return 0
	}
	k.partSize = int64(le32(b[4:]))
	k.part, _ = field(b[8:40])
	if got := int64(len(b) - partHeader); got < k.partSize {
		k.note("kernel-part-short", "part header counts more bytes than the file has",
			4, fmt.Sprintf("%d counted, %d there", k.partSize, got))
	}
	return partHeader
}

func (k *Kernel) note(code, text string, off int64, value string) {
	k.notes = append(k.notes, mtkport.Finding{Code: code, Text: text,
		Evidence: []mtkport.Evidence{{Off: mtkport.At(off), Value: value}}})
}

// unpack finds the kernel in b, which begins behind any part header.
func (k *Kernel) unpack(b []byte) error {
	if bytes.HasPrefix(b, []byte(elf.ELFMAG)) {
		return k.openELF(b)
	}
	k.form = Packed
	if len(b) > zImageOff+12 && le32(b[zImageOff:]) == zImageMagic {
		k.form = ZImage
		k.zstart, k.zend = le32(b[zImageOff+4:]), le32(b[zImageOff+8:])
		k.findLoad(b)
		k.findDTBs(b)
		k.checkEnd(b)
	}
	p, out, seen, err := findPayload(b)
	if err == nil {
		k.payload, k.search = p, *seen
		return k.take(out)
	}
	if k.form != ZImage && len(b) >= minUnpacked && bytes.Contains(b, []byte(bannerPrefix)) {
		k.form, k.payload = Image, Payload{Method: "none", Packed: int64(len(b)), Unpacked: int64(len(b))}
		return k.take(b)
	}
	return openError(err)
}

func openError(err error) error {
	var bad *payloadError
	if errors.As(err, &bad) {
		return &mtkport.Error{Off: bad.at.Off, Field: bad.at.Method + " payload", Found: bad.err.Error(), Want: "a whole kernel",
			Hint: "the file is cut or damaged: read it from the phone or the package again", Err: mtkport.ErrDamaged}
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "kernel", Found: "no payload that unpacks to a Linux kernel",
		Want: "zImage, Image or vmlinux", Err: mtkport.ErrFormat}
}

// take accepts out as the kernel, if it carries a banner.
func (k *Kernel) take(out []byte) error {
	k.image.data = out
	k.search.see(out)
	build, ok := findBanner(out, k.search.banner)
	if !ok {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "banner", Found: "none", Want: "Linux version …", Err: mtkport.ErrFormat}
	}
	k.banner = build
	k.vermagic = findVermagic(out, k.stringsFrom())
	return nil
}

// checkEnd notes a zImage whose header counts more or fewer bytes than there are.
func (k *Kernel) checkEnd(b []byte) {
	size := int64(k.zend) - int64(k.zstart)
	have := int64(len(b))
	switch {
	case k.zend < k.zstart || size > have:
		k.note("zimage-end", "zImage header counts more bytes than the file has", zImageOff+8, fmt.Sprintf("start 0x%x end 0x%x, %d bytes there", k.zstart, k.zend, have))
	case len(k.dtbs) == 0 && size < have:
		k.note("zimage-tail", "bytes follow the end that the zImage header gives", size, fmt.Sprintf("%d bytes", have-size))
	}
}

// findDTBs lists the device trees appended to the zImage.
func (k *Kernel) findDTBs(b []byte) {
	size := int64(k.zend) - int64(k.zstart)
	for at := size; at >= 0 && at+8 <= int64(len(b)); {
		if be32(b[at:]) != fdtMagic {
			return
		}
		n := int64(be32(b[at+4:]))
		if n < 40 || at+n > int64(len(b)) {
			return
		}
		k.dtbs = append(k.dtbs, DTB{Off: at, Size: n})
		at += n
	}
}

// findLoad looks for the physical load address (ZRELADDR) among the constants
// of the decompressor's head: memory base plus 0x8000. Kernels built with
// AUTO_ZRELADDR have none.
func (k *Kernel) findLoad(b []byte) {
	const head, textOff, memAlign = 0x800, 0x8000, 0x07ffffff
	for i := 0x30; i+4 <= min(len(b), head); i += 4 {
		if w := le32(b[i:]); w&memAlign == textOff && w >= 0x10000000 && w < 0xe0000000 {
			k.loadAddr = w
			return
		}
	}
}

// findBase corrects the address of the first byte by the banner's own symbol.
func (k *Kernel) findBase() {
	if k.form == VMLinux {
		return
	}
	syms := k.Symbols()
	if s, ok := syms.first("linux_banner"); ok {
		base := s.Addr - uint32(k.banner.Off)
		if base&0xfff == 0 && base != k.image.base {
			k.note("kernel-base", "kernel is linked to an unusual address", k.banner.Off, fmt.Sprintf("0x%08x", base))
			k.image.base = base
		}
	}
}

// Form says how the kernel lay in the file.
func (k *Kernel) Form() Form { return k.form }

// Part returns the name and size in the MediaTek part header in front of the
// kernel; the name is empty when there is none.
func (k *Kernel) Part() (name string, size int64) { return k.part, k.partSize }

// Start is where the kernel begins in the file: behind any part header, bytes.
func (k *Kernel) Start() int64 { return k.start }

// Payload says where the kernel was found and how it was packed.
func (k *Kernel) Payload() Payload { return k.payload }

// DTBs lists the device trees appended to a zImage.
func (k *Kernel) DTBs() []DTB { return k.dtbs }

// Image returns the unpacked kernel. It must not be changed.
func (k *Kernel) Image() []byte { return k.image.data }

// Base is the virtual address of the first byte of [Kernel.Image].
func (k *Kernel) Base() uint32 { return k.image.base }

// LoadAddr is the physical address that the decompressor unpacks to, or 0 when
// it works it out at run time.
func (k *Kernel) LoadAddr() uint32 { return k.loadAddr }

// ZImageRange returns the start and end fields of the zImage header.
func (k *Kernel) ZImageRange() (start, end uint32) { return k.zstart, k.zend }

// Version is the release, as `uname -r` would say it: 3.4.67.
func (k *Kernel) Version() string { return k.banner.Release }

// Banner is the whole line that the kernel prints first.
func (k *Kernel) Banner() string { return k.banner.Text }

// Build is the banner, taken apart.
func (k *Kernel) Build() Build { return k.banner }

// Vermagic is the string that modules must carry to be loaded, trailing space
// included; empty when the kernel loads no modules.
func (k *Kernel) Vermagic() string { return k.vermagic }

// Notes lists oddities of the file: never reasons to refuse it.
func (k *Kernel) Notes() []mtkport.Finding { return k.notes }
