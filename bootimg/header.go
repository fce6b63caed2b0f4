package bootimg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"mtkport"
)

// Magic opens every Android boot image.
const Magic = "ANDROID!"

// Page sizes that mkbootimg makes and [Editor.SetHeader] takes: powers of two
// between these two. abootimg writes any number, so [Open] reads powers of two
// from 1024 (where the page cuts extra_cmdline off) to 128 KiB, with a note.
const (
	MinPageSize = 2048
	MaxPageSize = 16384

	minReadPage = 1024
	maxReadPage = 128 << 10
)

// Offsets in the header, as in AOSP's bootimg.h.
const (
	offKernelSize   = 8
	offKernelAddr   = 12
	offRamdiskSize  = 16
	offRamdiskAddr  = 20
	offSecondSize   = 24
	offSecondAddr   = 28
	offTagsAddr     = 32
	offPageSize     = 36
	offVersion      = 40 // header_version; in the dt flavour dt_size
	offOSVersion    = 44
	offName         = 48
	lenName         = 16
	offCmdline      = 64
	lenCmdline      = 512
	offID           = 576
	lenID           = 32
	offExtra        = 608
	lenExtra        = 1024
	sizeV0          = 1632
	offDTBOSize     = 1632 // from version 1
	offDTBOOffset   = 1636
	offHeaderSize   = 1644
	sizeV1          = 1648
	offDTBSize      = 1648 // from version 2
	offDTBAddr      = 1652
	sizeV2          = 1660
	lastVersion     = 4  // highest that AOSP has defined
	minDT           = 40 // a device tree blob's own header; a smaller dt_size would read as a version
	maxSupportedVer = 2
)

// Header is what the boot header says. Strings are the bytes up to the first
// NUL. The sizes are those of the sections, part headers included, in bytes;
// [Editor.SetHeader] ignores them because the sections decide.
type Header struct {
	Version  int  // 0, 1 or 2
	DT       bool // old flavour of version 0: byte 40 holds the size of a device tree section
	PageSize int  // bytes, power of two, 2048 … 16384

	KernelAddr  uint32 // load addresses; lk of this SoC ignores them, so never "correct" them
	RamdiskAddr uint32
	SecondAddr  uint32
	TagsAddr    uint32
	DTBAddr     uint64 // version 2

	OSVersion  string // "4.4.2"; empty when the field is 0
	PatchLevel string // "2018-05"; empty when the field is 0

	Name         string // board name, at most 16 bytes
	Cmdline      string // at most 512 bytes
	ExtraCmdline string // what follows Cmdline, at most 1024 bytes
	ID           [lenID]byte

	KernelSize       uint32
	RamdiskSize      uint32
	SecondSize       uint32
	DTSize           uint32 // dt flavour
	RecoveryDTBOSize uint32 // from version 1
	RecoveryDTBOOff  uint64 // from version 1: where the header says it lies
	HeaderSize       uint32 // from version 1
	DTBSize          uint32 // version 2
}

// rawHeader is page 0 as it is on the disk; everything unknown stays in it.
type rawHeader []byte

func (r rawHeader) u32(off int) uint32       { return binary.LittleEndian.Uint32(r[off:]) }
func (r rawHeader) u64(off int) uint64       { return binary.LittleEndian.Uint64(r[off:]) }
func (r rawHeader) setU32(off int, v uint32) { binary.LittleEndian.PutUint32(r[off:], v) }
func (r rawHeader) setU64(off int, v uint64) { binary.LittleEndian.PutUint64(r[off:], v) }

func (r rawHeader) str(off, n int) string { return cstr(r[off : off+n]) }

// setStr replaces a whole string field; bytes behind the old NUL go with it.
func (r rawHeader) setStr(off, n int, s string) {
	clear(r[off : off+n])
	copy(r[off:off+n], s)
}

func cstr(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// headerOf reads the meaning out of page 0; the version was checked before.
func headerOf(r rawHeader) Header {
	h := Header{
		PageSize:    int(r.u32(offPageSize)),
		KernelAddr:  r.u32(offKernelAddr),
		RamdiskAddr: r.u32(offRamdiskAddr),
		SecondAddr:  r.u32(offSecondAddr),
		TagsAddr:    r.u32(offTagsAddr),
		KernelSize:  r.u32(offKernelSize),
		RamdiskSize: r.u32(offRamdiskSize),
		SecondSize:  r.u32(offSecondSize),

		Name:    r.str(offName, lenName),
		Cmdline: r.str(offCmdline, lenCmdline),
		ID:      [lenID]byte(r[offID : offID+lenID]),
	}
	if len(r) >= sizeV0 {
		h.ExtraCmdline = r.str(offExtra, lenExtra)
	}
	h.OSVersion, h.PatchLevel = osVersion(r.u32(offOSVersion))
	switch v := r.u32(offVersion); {
	case v >= minDT:
		h.DT, h.DTSize = true, v
	default:
		h.Version = int(v)
	}
	if h.Version >= 1 {
		h.RecoveryDTBOSize = r.u32(offDTBOSize)
		h.RecoveryDTBOOff = r.u64(offDTBOOffset)
		h.HeaderSize = r.u32(offHeaderSize)
	}
	if h.Version >= 2 {
		h.DTBSize = r.u32(offDTBSize)
		h.DTBAddr = r.u64(offDTBAddr)
	}
	return h
}

// osVersion splits os_version<<11 | patch level as mkbootimg packs them.
func osVersion(v uint32) (version, patch string) {
	if os := v >> 11; os != 0 {
		version = fmt.Sprintf("%d.%d.%d", os>>14&0x7f, os>>7&0x7f, os&0x7f)
	}
	if p := v & 0x7ff; p != 0 {
		patch = fmt.Sprintf("%04d-%02d", 2000+p>>4, p&0xf)
	}
	return version, patch
}

func packOSVersion(s string) (uint32, error) {
	if s == "" {
		return 0, nil
	}
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return 0, badValue("os_version", s, "A.B.C, each at most 127")
	}
	var v uint32
	for i := range 3 {
		n := uint64(0)
		if i < len(parts) {
			var err error
			if n, err = strconv.ParseUint(parts[i], 10, 7); err != nil {
				return 0, badValue("os_version", s, "A.B.C, each at most 127")
			}
		}
		v = v<<7 | uint32(n)
	}
	return v, nil
}

func packPatchLevel(s string) (uint32, error) {
	if s == "" {
		return 0, nil
	}
	const want = "YYYY-MM from 2000-01 to 2127-12"
	year, month, ok := strings.Cut(s, "-")
	y, errY := strconv.ParseUint(year, 10, 16)
	m, errM := strconv.ParseUint(month, 10, 8)
	if !ok || errY != nil || errM != nil || y < 2000 || y > 2127 || m > 15 {
		return 0, badValue("os_patch_level", s, want)
	}
	return uint32(y-2000)<<4 | uint32(m), nil
}

func badValue(field, found, want string) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: field, Found: strconv.Quote(found), Want: want, Err: mtkport.ErrRefused}
}

// SetCommandLine puts s into Cmdline and what does not fit there into
// ExtraCmdline; lk joins the two. It fails when s is longer than both.
func (h *Header) SetCommandLine(s string) error {
	// One byte of the first field stays NUL: lk reads it as a C string.
	const first = lenCmdline - 1
	if len(s) > first+lenExtra-1 {
		return &mtkport.Error{Off: offCmdline, Field: "cmdline", Found: fmt.Sprintf("%d bytes", len(s)),
			Want: fmt.Sprintf("at most %d", first+lenExtra-1), Err: mtkport.ErrTooBig}
	}
	h.Cmdline, h.ExtraCmdline = s, ""
	if len(s) > first {
		h.Cmdline, h.ExtraCmdline = s[:first], s[first:]
	}
	return nil
}

// CommandLine is Cmdline and ExtraCmdline joined, as lk joins them.
func (h Header) CommandLine() string { return h.Cmdline + h.ExtraCmdline }

// patch writes into raw the fields in which want differs from have, and leaves
// every other byte of raw as it is.
func (r rawHeader) patch(have, want Header) error {
	if err := checkHeader(have, want); err != nil {
		return err
	}
	for _, f := range []struct {
		off        int
		have, want uint32
	}{
		{offKernelAddr, have.KernelAddr, want.KernelAddr},
		{offRamdiskAddr, have.RamdiskAddr, want.RamdiskAddr},
		{offSecondAddr, have.SecondAddr, want.SecondAddr},
		{offTagsAddr, have.TagsAddr, want.TagsAddr},
		{offPageSize, uint32(have.PageSize), uint32(want.PageSize)},
	} {
		if f.have != f.want {
			r.setU32(f.off, f.want)
		}
	}
	for _, f := range []struct {
		off, n     int
		have, want string
	}{
		{offName, lenName, have.Name, want.Name},
		{offCmdline, lenCmdline, have.Cmdline, want.Cmdline},
		{offExtra, lenExtra, have.ExtraCmdline, want.ExtraCmdline},
	} {
		if f.have != f.want {
			r.setStr(f.off, f.n, f.want)
		}
	}
	if have.DTBAddr != want.DTBAddr {
		r.setU64(offDTBAddr, want.DTBAddr)
	}
	if have.ID != want.ID {
		copy(r[offID:], want.ID[:])
	}
	return r.patchOS(have, want)
}

func (r rawHeader) patchOS(have, want Header) error {
	v := r.u32(offOSVersion)
	if have.OSVersion != want.OSVersion {
		os, err := packOSVersion(want.OSVersion)
		if err != nil {
			return err
		}
		v = v&0x7ff | os<<11
	}
	if have.PatchLevel != want.PatchLevel {
		p, err := packPatchLevel(want.PatchLevel)
		if err != nil {
			return err
		}
		v = v&^0x7ff | p
	}
	r.setU32(offOSVersion, v)
	return nil
}

// checkHeader refuses what the fields cannot hold.
func checkHeader(have, want Header) error {
	if want.Version != have.Version || want.DT != have.DT {
		return &mtkport.Error{Off: offVersion, Field: "header_version", Found: strconv.Itoa(want.Version),
			Want: strconv.Itoa(have.Version) + ", as the image has", Err: mtkport.ErrUnsupported}
	}
	if want.PageSize != have.PageSize {
		if err := checkPageSize(int64(want.PageSize), MinPageSize, MaxPageSize, mtkport.ErrRefused); err != nil {
			return err
		}
	}
	if want.PageSize < sizeV0 && want.ExtraCmdline != "" {
		return badValue("extra_cmdline", want.ExtraCmdline, fmt.Sprintf("none: a page of %d bytes has no room for it", want.PageSize))
	}
	if want.DTBAddr != have.DTBAddr && want.Version < 2 {
		return badValue("dtb_addr", fmt.Sprintf("0x%x", want.DTBAddr), "none before header version 2")
	}
	for _, f := range []struct {
		field string
		off   int64
		s     string
		max   int
	}{
		{"name", offName, want.Name, lenName},
		{"cmdline", offCmdline, want.Cmdline, lenCmdline},
		{"extra_cmdline", offExtra, want.ExtraCmdline, lenExtra},
	} {
		if len(f.s) > f.max {
			return &mtkport.Error{Off: f.off, Field: f.field, Found: fmt.Sprintf("%d bytes", len(f.s)),
				Want: fmt.Sprintf("at most %d", f.max), Err: mtkport.ErrTooBig}
		}
		if strings.ContainsRune(f.s, 0) {
			return badValue(f.field, f.s, "no NUL inside")
		}
	}
	return nil
}

func checkPageSize(n, low, high int64, class error) error {
	if n < low || n > high || n&(n-1) != 0 {
		return &mtkport.Error{Off: offPageSize, Field: "page_size", Found: strconv.FormatInt(n, 10),
			Want: fmt.Sprintf("a power of two from %d to %d", low, high), Err: class}
	}
	return nil
}

// Field is one fact for people: the format's own name, the value.
type Field struct{ Name, Value string }

func hex32(v uint32) string { return fmt.Sprintf("0x%08x", v) }
