package flash

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mtkport"
	"mtkport/profiles/identity"
)

// kind is what a partition's first bytes say it is.
type kind string

// The kinds. Sources: the fingerprints measured on stock images (headers of
// lk, logo, secro, boot images), ext4, UBI and YAFFS2 magics.
const (
	kindNone      kind = ""
	kindBlank     kind = "nothing (blank)"
	kindBoot      kind = "an Android boot image"
	kindLK        kind = "the loader lk"
	kindLogo      kind = "the logo pictures"
	kindSecRO     kind = "the security data of SEC_RO"
	kindSecCfg    kind = "the lock state of SECCFG"
	kindPreloader kind = "a preloader"
	kindRecord    kind = "a partition record"
	kindPMT       kind = "the partition table"
	kindNVRAM     kind = "the NVRAM's binregion"
	kindFS        kind = "a file system"
)

// headSize is how much of a partition is looked at.
const headSize = 4096

// kindOf looks at the head of a partition.
func kindOf(b []byte) kind {
	at := func(off int, s string) bool { return len(b) >= off+len(s) && string(b[off:off+len(s)]) == s }
	switch {
	case len(bytes.TrimLeft(b, "\x00")) == 0 || len(bytes.TrimLeft(b, "\xff")) == 0:
		return kindBlank
	case at(0, "ANDROID!"):
		return kindBoot
	case at(0, "\x88\x16\x88\x58") && (at(8, "LK") || at(8, "lk")):
		return kindLK
	case at(0, "\x88\x16\x88\x58") && (at(8, "LOGO") || at(8, "logo")):
		return kindLogo
	case at(0, "AND_AC_REGION"):
		return kindSecRO
	case at(0, "AND_SECCFG_v"), at(0, "MMMM\x04"):
		return kindSecCfg
	case at(0, "EMMC_BOOT"), at(0, "MMM\x01"):
		return kindPreloader
	case at(0, "1vTP"), at(0, "1TPM"):
		return kindPMT
	case bytes.Contains(b[:min(len(b), 512)], []byte("/data/nvram/")):
		return kindNVRAM
	case at(0x438, "\x53\xef"), at(0, "UBI#"), at(0, "\x31\x18\x10\x06"), at(0, "\x03\x00\x00\x00\x01\x00\x00\x00\xff\xff"):
		return kindFS
	case at(510, "\x55\xaa") && len(bytes.TrimLeft(b[:446], "\x00")) == 0:
		return kindRecord
	}
	return kindNone
}

// guardedKinds are never overwritten, wherever a layout says they lie.
var guardedKinds = map[kind]bool{kindLK: true, kindSecRO: true, kindSecCfg: true, kindPreloader: true, kindRecord: true, kindPMT: true, kindNVRAM: true}

// kindsFor says what a partition may hold by its name.
func kindsFor(partition string) kind {
	switch c, _ := identity.Classify(partition); c {
	case "boot", "recovery":
		return kindBoot
	case "logo":
		return kindLogo
	case "lk":
		return kindLK
	case "sec_ro":
		return kindSecRO
	case "system", "cache", "userdata", "custom", "preload", "fat", "vendor":
		return kindFS
	}
	return kindNone
}

// ownLength is how many bytes an image says it has, 0 where it does not.
func ownLength(b []byte) int64 {
	le := binary.LittleEndian
	switch kindOf(b) {
	case kindLogo, kindLK:
		return 512 + int64(le.Uint32(b[4:]))
	case kindBoot:
		page := int64(le.Uint32(b[36:]))
		if page < 512 || page > 1<<16 {
			return 0
		}
		n := page
		for _, off := range []int{8, 16, 24} {
			n += (int64(le.Uint32(b[off:])) + page - 1) / page * page
		}
		return n
	}
	return 0
}

// witness asks the bytes that the phone held before this flash whether the
// layout is right; they are in the backup. What looks like an identity or
// loader partition is never overwritten. Without a PMT, which would be proof,
// each target must be confirmed: by MBR or EBR, or by what it held.
func (r *run) witness(ctx context.Context, m *Map) error {
	if m == nil {
		return nil // a restore: the phone's own bytes go where they came from
	}
	w := witness{r: r, m: m, lk: -1}
	for _, it := range r.res.Plan.Backup {
		if c, _ := identity.Classify(it.Name); c == "lk" || c == "uboot" {
			if b, err := w.head(it); err == nil && kindOf(b) == kindLK {
				w.lk = it.Off
			}
		}
	}
	for _, e := range r.res.Plan.Write {
		if err := w.target(ctx, e); err != nil {
			return mtkport.InFile(err, e.Partition)
		}
	}
	return nil
}

type witness struct {
	r  *run
	m  *Map
	lk int64 // where the loader was found, -1 nowhere
}

func (w *witness) saved(e Extent) (Item, bool) {
	for _, it := range w.r.res.Plan.Backup {
		if it.Region == e.Region && it.Off <= e.Off && e.Off+e.Len <= it.Off+it.Len {
			return it, true
		}
	}
	return Item{}, false
}

func (w *witness) open(it Item) (*os.File, error) {
	return os.Open(filepath.Join(w.r.dir, "backup", it.File))
}

func (w *witness) head(it Item) ([]byte, error) {
	f, err := w.open(it)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, min(headSize, it.Len))
	_, err = io.ReadFull(f, b)
	return b, err
}

func (w *witness) target(ctx context.Context, e Extent) error {
	it, ok := w.saved(e)
	if !ok {
		return w.doubt(e, "no backup of it", "one")
	}
	b, err := w.head(it)
	if err != nil {
		return err
	}
	k, want := kindOf(b), kindsFor(e.Partition)
	switch {
	case guardedKinds[k]:
		return w.doubt(e, string(k), "what a flash may overwrite")
	case w.m.HasPMT || w.m.Recorded[e.Partition] || w.already(ctx, e, it):
		return nil
	case w.lk < 0:
		return w.doubt(e, "no loader lk where the scatter has it", "it, to confirm the layout of a phone without a PMT")
	case e.Off < w.lk:
		return w.doubt(e, "a place in front of the loader", "one behind it, as on every phone of this kind")
	case want == kindNone || k != want:
		return w.doubt(e, orNothing(k), string(want)+", to confirm the layout of a phone without a PMT")
	}
	return w.tail(e, it, b)
}

// already says whether the phone held the very image before, as after an earlier
// flash of it: writing it once more changes nothing.
func (w *witness) already(ctx context.Context, e Extent, it Item) bool {
	f, err := w.open(it)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	sum, err := hashOf(ctx, io.NewSectionReader(f, e.Off-it.Off, e.Len), e.Len, nil)
	return err == nil && sum == e.SHA
}

func orNothing(k kind) string {
	if k == kindNone {
		return "bytes of no known kind"
	}
	return string(k)
}

// tail makes sure that an image longer than what was there does not run into a
// neighbour that the scatter does not know.
func (w *witness) tail(e Extent, it Item, head []byte) error {
	own := ownLength(head)
	if kindsFor(e.Partition) == kindFS || e.Len <= own || w.neighbour(it) {
		return nil
	}
	f, err := w.open(it)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, 64<<10)
	for off := max(own, 512); off < e.Len; off += int64(len(b)) {
		p := b[:min(int64(len(b)), e.Len-off)]
		if _, err := f.ReadAt(p, off); err != nil {
			return err
		}
		if kindOf(p) != kindBlank {
			return w.doubt(e, fmt.Sprintf("other bytes at 0x%x, behind the image of now", off), "room that is blank, or a neighbour that confirms the size")
		}
	}
	return nil
}

// neighbour says whether the partition behind it holds what its name says.
func (w *witness) neighbour(it Item) bool {
	for _, n := range w.r.res.Plan.Backup {
		if n.Region == it.Region && n.Off == it.Off+it.Len {
			b, err := w.head(n)
			return err == nil && kindsFor(n.Name) != kindNone && kindOf(b) == kindsFor(n.Name)
		}
	}
	return false
}

func (w *witness) doubt(e Extent, found, want string) error {
	return &mtkport.Error{Off: e.Off, Field: e.Region, Found: found, Want: want, Err: mtkport.ErrRefused,
		Hint: "the phone's own bytes do not confirm the scatter's place for this partition, so nothing is written; use the scatter of the ROM on the phone ('mtkport device read' shows what lies there)"}
}
