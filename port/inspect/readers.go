package inspect

import (
	"context"
	"encoding/binary"
	"fmt"

	"mtkport/bootimg"
	"mtkport/bootimg/preloader"
	"mtkport/port/flash/da"
	"mtkport/profiles/scatter"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/fat"
	"mtkport/sysimg/sparse"
)

// readers are tried in this order: marks at a fixed place first, then what a
// search or a parse must prove.
var readers []reader

func init() {
	readers = []reader{
		{"android-boot", "Android boot image", magic(bootimg.Magic), readBoot},
		{"mtk-part", "file with a MediaTek part header", func(p *probe) bool { return bootimg.IsPart(p.head) }, readPart},
		{"preloader", "MediaTek preloader", magic("MMM\x01"), readPreloader},
		{"preloader", "MediaTek preloader, as read back from the boot region", magic("EMMC_BOOT\x00"), readPreloader},
		{"secro", "secro partition", magic("AND_AC_REGION"), readSecro},
		{"seccfg", "seccfg partition: lock state, of one phone only", magic("AND_SECCFG_v"), readSeccfg},
		{"seccfg", "seccfg partition: lock state, of one phone only", magic("MMMM"), readSeccfg},
		{"pmt", "partition table of the flash tool", magic("1vTP"), readPMT},
		{"pmt", "partition table of the flash tool, second copy", magic("1TPM"), readPMT},
		{"download-agent", "MediaTek Download Agent", magic("MTK_DOWNLOAD_AGENT"), readDA},
		{"sparse-image", "Android sparse image", func(p *probe) bool { return sparse.Is(p.head) }, readSystem},
		{"ext4-image", "ext4 image", func(p *probe) bool { return ext4.Is(p.head) }, readSystem},
		{"ubi-image", "UBI image", magic("UBI#"), readSystem},
		{"ubifs-image", "UBIFS image", magic("\x31\x18\x10\x06"), readSystem},
		{"yaffs2-image", "YAFFS2 image", magic("\x03\x00\x00\x00\x01\x00\x00\x00\xff\xff"), readSystem},
		{"elf", "ELF file", magic("\x7fELF"), readELF},
		{"zip", "zip archive", magic("PK\x03\x04"), readZip},
		{"zip", "empty zip archive", magic("PK\x05\x06"), nothingMore},
		{"dtb", "flattened device tree", magic("\xd0\x0d\xfe\xed"), nothingMore},
		{"odex", "optimised dex (Dalvik)", magic("dey\n"), readDex},
		{"dex", "dex file", magic("dex\n"), readDex},
		{"ramdisk", "ramdisk", packed, readRamdisk},
		{"kernel", "kernel", packed, readKernel},
		{"kernel", "kernel", isZImage, readKernel},
		{"compressed", "compressed file", packed, readCompressed},
		{"gpt-disk", "disk or dump with a GPT", func(p *probe) bool { return p.at(512, "EFI PART") }, nothingMore},
		{"fat-image", "FAT image", func(p *probe) bool { return fat.Is(p.head) }, nothingMore},
		{"partition-record", "MBR or EBR", func(p *probe) bool { return p.at(510, "\x55\xaa") && p.size <= 1<<20 }, readRecord},
		{"full-dump", "dump of a phone's storage", func(p *probe) bool { return p.size > 32<<20 }, readDump},
	}
	readers = append(readers, textReaders...)
	readers = append(readers,
		reader{"kernel", "kernel", func(p *probe) bool { return p.size >= 1<<20 && p.size <= 64<<20 && !isText(p) }, readKernel},
		reader{"yaffs2-image", "YAFFS2 image", func(p *probe) bool { return p.size > headSize && !isText(p) }, readSystem},
	)
}

func magic(s string) func(*probe) bool { return func(p *probe) bool { return p.at(0, s) } }

func nothingMore(context.Context, *Report, *probe) error { return nil }

// packed tells whether a ramdisk may begin so.
func packed(p *probe) bool {
	switch bootimg.Sniff(p, p.size) {
	case "gzip", "xz", "lz4 legacy", "lz4", "lzop", "bzip2", "zstd", "lzma", "cpio newc", "cpio newc with checksums":
		return true
	}
	return false
}

func isZImage(p *probe) bool {
	s := bootimg.Sniff(p, p.size)
	return s == "zImage" || s == "arm64 Image"
}

func readCompressed(_ context.Context, r *Report, p *probe) error {
	r.fact("packing", "%s", bootimg.Sniff(p, p.size))
	return nil
}

func readPreloader(_ context.Context, r *Report, p *probe) error {
	i, err := preloader.Open(p, p.size)
	if err != nil {
		return err
	}
	r.fact("board", "%s", i.Project)
	r.fact("chip", "%s", i.Chip)
	r.fact("carries the name", "%s", i.File)
	r.fact("built", "%s", i.Built)
	r.factAt(i.Off, "loader", fmt.Sprintf("%d bytes, loaded to 0x%08x", i.Len, i.LoadAddr))
	for n, e := range i.EMI {
		r.factAt(e.Off, fmt.Sprintf("memory %d", n), fmt.Sprintf("%s, %d MiB, id %x", e.Kind(), e.DRAM()>>20, e.ID))
	}
	r.fact("warning", "a wrong preloader bricks; a port never writes one")
	r.Findings = append(r.Findings, i.Notes...)
	return nil
}

// readSecro reads the head of SEC_RO: HHHH at 0x10, AAAA at 0x40 where its body
// is plain.
func readSecro(_ context.Context, r *Report, p *probe) error {
	body := "encrypted"
	if p.at(0x40, "AAAA") {
		body = "plain"
	}
	r.fact("body", "%s", body)
	return nil
}

func readSeccfg(_ context.Context, r *Report, p *probe) error {
	off := 0x14
	if p.at(0, "MMMM") {
		off = 4
	}
	if len(p.head) >= off+4 {
		r.factAt(int64(off), "version", fmt.Sprint(binary.LittleEndian.Uint32(p.head[off:])))
	}
	r.fact("warning", "part of the phone's identity; of use to the same phone only")
	return nil
}

func readPMT(_ context.Context, r *Report, p *probe) error {
	t, err := scatter.ParsePMT(p.head[:min(len(p.head), 8192)], p.name)
	if err != nil {
		return err
	}
	r.fact("version", "%s", t.Version)
	r.fact("partitions", "%d", len(t.Entries))
	for _, e := range t.Entries[:min(len(t.Entries), 64)] {
		r.fact("partition "+printable(e.Name), "0x%x, %d bytes", e.Offset, e.Size)
	}
	return nil
}

func readRecord(_ context.Context, r *Report, p *probe) error {
	m, err := scatter.ParseRecord(p.head[:512], p.name)
	if err != nil {
		return err
	}
	for i, e := range m.Entries {
		if e.Type != 0 {
			r.factAt(int64(446+16*i), fmt.Sprintf("entry %d", i+1), fmt.Sprintf("type 0x%02x, start 0x%x, 0x%x sectors", e.Type, e.Start, e.Count))
		}
	}
	if m.HasBootCode() {
		r.fact("boot code", "yes: not a record of MediaTek's generator")
	}
	return nil
}

func readDump(_ context.Context, r *Report, p *probe) error {
	off, ok := scatter.FindMBR(p, p.size)
	if !ok {
		return errOther
	}
	r.factAt(off, "MBR", fmt.Sprintf("0x%x", off))
	from := "the start of the user area"
	if off == 0 {
		from = "the MBR"
	}
	r.fact("begins at", "%s", from)
	return nil
}

func readDA(_ context.Context, r *Report, p *probe) error {
	c, err := da.Open(p, p.size)
	if err != nil {
		return err
	}
	r.fact("description", "%s", c.Description)
	r.fact("agents", "%d", len(c.Entries))
	chips := ""
	for i, h := range c.Chips() {
		if i > 0 {
			chips += " "
		}
		chips += fmt.Sprintf("%04x", h)
	}
	r.fact("chips", "%s", chips)
	return nil
}

func readDex(_ context.Context, r *Report, p *probe) error {
	if len(p.head) < 8 {
		return errOther
	}
	r.fact("version", "%s", text(p.head[4:7]))
	return nil
}
