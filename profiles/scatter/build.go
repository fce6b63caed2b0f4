package scatter

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
)

// Spec is what a fresh V1.1.1 scatter says.
type Spec struct {
	Platform  string // MT6572 where empty
	Project   string
	Storage   string // EMMC where empty
	BlockSize int64  // 0x20000 where 0
	Entries   []Entry
}

// Entry is one partition of a [Spec]. Type, Region and Operation follow from the
// name where empty.
type Entry struct {
	Name      string
	Start     int64 // linear, bytes; where all entries have 0, they are laid end to end
	Size      int64 // bytes; 0 for the rest of the device
	FromEnd   int64 // blocks before the end of the device: the start is the tag 0xFFFFnnnn
	File      string
	Download  bool
	Type      string
	Region    string
	Operation string
}

// Build writes a V1.1.1 scatter in exactly the form of MediaTek's generator: its
// banners, key order and trailing blanks, LF, physical_start_addr 0x0. The
// result is one that [Parse] reads. The error is of class ErrFormat where a
// value cannot stand in a scatter.
func Build(s Spec) ([]byte, error) {
	s.Platform, s.Storage, s.BlockSize = cmp.Or(s.Platform, "MT6572"), cmp.Or(s.Storage, EMMC), cmp.Or(s.BlockSize, 0x20000)
	s.Entries = endToEnd(s.Entries)
	for _, text := range []string{s.Platform, s.Project, s.Storage} {
		if strings.ContainsAny(text, " \t\r\n#:") || text == "" {
			return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "scatter", Found: fmt.Sprintf("%q", text), Want: "platform, project and storage of one word", Err: mtkport.ErrFormat}
		}
	}
	channel := map[string]string{EMMC: "MSDC_0"}[s.Storage]
	var b bytes.Buffer
	rule, banner := strings.Repeat("#", 108)+"\n", "#\n#  General Setting\n#\n"
	if s.Platform == "MT6572" { // its generator leaves blanks behind, those of MT6582 and later do not
		banner = "#\n#  General Setting \n#    \n"
	}
	fmt.Fprintf(&b, "%s%s%s- general: MTK_PLATFORM_CFG\n  info: \n", rule, banner, rule)
	fmt.Fprintf(&b, "    - config_version: V1.1.1\n      platform: %s\n      project: %s\n      storage: %s\n      boot_channel: %s\n      block_size: 0x%x\n",
		s.Platform, s.Project, s.Storage, cmp.Or(channel, "NONE"), s.BlockSize)
	fmt.Fprintf(&b, "%s#\n#  Layout Setting\n#\n%s", rule, rule)
	for i, e := range s.Entries {
		if strings.ContainsAny(e.Name+e.File+e.Type+e.Region+e.Operation, " \t\r\n#:\"'") || e.Name == "" || e.Start < 0 || e.Size < 0 || e.Start >= maxAddress || e.Size >= maxAddress || e.FromEnd < 0 || e.FromEnd > 0xffff {
			return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "scatter entry", Found: fmt.Sprintf("%+v", e), Want: "a name, names without blanks, and addresses", Err: mtkport.ErrFormat}
		}
		e.write(&b, i, s)
	}
	return b.Bytes(), nil
}

func endToEnd(in []Entry) []Entry {
	out, at := append([]Entry(nil), in...), int64(0)
	for _, e := range in {
		if e.Start != 0 {
			return out
		}
	}
	for i := range out {
		if out[i].FromEnd == 0 {
			out[i].Start = at
			at += out[i].Size
		}
	}
	return out
}

func (e Entry) write(b *bytes.Buffer, i int, s Spec) {
	n := identityOf(e.Name)
	start := fmt.Sprintf("0x%x", e.Start)
	if e.FromEnd > 0 {
		start = fmt.Sprintf("0xFFFF%04x", e.FromEnd)
	}
	tagged := e.FromEnd > 0 || n.Canonical == "bmtpool" || n.Canonical == "otp"
	values := []string{fmt.Sprintf("SYS%d", i), e.Name, cmp.Or(e.File, "NONE"), fmt.Sprint(e.Download), cmp.Or(e.Type, e.defaultType(n, s)), start, "0x0",
		fmt.Sprintf("0x%x", e.Size), cmp.Or(e.Region, defaultRegion(n, s)), "HW_STORAGE_" + s.Storage, fmt.Sprint(!tagged), fmt.Sprint(tagged), cmp.Or(e.Operation, defaultOperation(n)), "0x00"}
	for k, key := range ptgenKeys {
		lead := "  "
		if k == 0 {
			lead = "- "
		}
		fmt.Fprintf(b, "%s%s: %s\n", lead, key, values[k])
	}
	b.WriteByte('\n')
}

func identityOf(name string) identity.Name {
	n, _ := identity.Lookup(name)
	return n
}

// fileSystems are the partitions that the generator treats as holding one.
var fileSystems = map[string]bool{"system": true, "cache": true, "userdata": true, "custom": true, "preload": true, "custpack": true, "custpack2": true,
	"custpack3": true, "custpack4": true}

func (e Entry) defaultType(n identity.Name, s Spec) string {
	fs := fileSystems[n.Canonical] || (n.Canonical == "sec_ro" && s.Storage == EMMC && e.Size > 0x40000)
	switch {
	case n.Canonical == "preloader" || n.Canonical == "dsp_bl":
		return "SV5_BL_BIN"
	case !fs && (e.Download || defaultOperation(n) == "UPDATE"):
		return "NORMAL_ROM"
	case fs && n.Canonical == "cache" && s.Storage == NAND, !fs:
		return "NONE"
	case s.Storage == NAND:
		return "UBI_IMG"
	}
	return "YAFFS_IMG"
}

func defaultRegion(n identity.Name, s Spec) string {
	switch {
	case s.Storage == NAND:
		return "NONE"
	case n.Canonical == "preloader":
		return identity.EMMCBoot1
	}
	return identity.EMMCUser
}

// defaultOperation is what the flash tool does with the partition.
func defaultOperation(n identity.Name) string {
	switch n.Canonical {
	case "preloader", "dsp_bl":
		return "BOOTLOADERS"
	case "nvram":
		return "BINREGION"
	case "pro_info", "protect_f", "protect_s", "persist":
		return "PROTECTED"
	case "bmtpool", "otp", "pmt":
		return "RESERVED"
	case "fat", "pgpt":
		return "INVISIBLE"
	}
	switch n.Class {
	case identity.Identity, identity.Reserved:
		return "INVISIBLE"
	}
	return "UPDATE"
}

// Spec returns what a fresh V1.1.1 file with the layout's partitions says:
// types, regions and operations of the file are kept where it has them, but for
// entries without a name.
func (l *Layout) Spec() Spec {
	s := Spec{Platform: l.Platform, Project: l.Project, Storage: l.Storage, BlockSize: l.BlockSize}
	for _, p := range l.Partitions {
		if p.Name == "" {
			continue
		}
		e := Entry{Name: identity.Bare(p.Name), Start: p.Linear, Size: p.Size, File: p.File, Download: p.Download, Type: p.Type, Region: p.RawRegion, Operation: p.Operation}
		if p.FromEnd && p.EndBlocks > 0 { // else the tag itself, as sgpt has it, stays its start
			e.Start, e.FromEnd = 0, p.EndBlocks
			if e.Size == 0 {
				e.Size = p.EndBlocks * l.tagBlock()
			}
		}
		s.Entries = append(s.Entries, e)
	}
	return s
}
