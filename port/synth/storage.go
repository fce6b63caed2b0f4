package synth

import (
	"bytes"
	"fmt"
	"io"

	"mtkport/profiles/scatter"
	"mtkport/sysimg/ext4"
)

// The chip in both phones: two boot regions of 2 MiB, RPMB of 128 KiB, and a user
// area; so the MBR lies 0x1E0000 into it.
const (
	Boot1Size = 2 * mib
	RPMBSize  = 128 * kib
	UserSize  = 96 * mib
	mbrLinear = 6 * mib
	MBRAt     = mbrLinear - 2*Boot1Size - RPMBSize // in the user area
)

// records are the 512 bytes of MBR and EBR1. They list the partitions with a
// file system; starts count in sectors from the record.
func (p Phone) records() [2][]byte {
	at := map[string]scatter.Entry{}
	for _, e := range p.entries() {
		at[e.Name] = e
	}
	sector := func(name, from string) uint32 { return uint32((at[name].Start - at[from].Start) / scatter.Sector) }
	entry := func(name, from string) scatter.RecordEntry {
		n := uint32(at[name].Size / scatter.Sector)
		if n == 0 { // the last one: to the end
			n = 0xFFFFFFFF - sector(name, from)
		}
		return scatter.RecordEntry{Type: 0x83, Start: sector(name, from), Count: n}
	}
	mbr := scatter.NewRecord(scatter.RecordEntry{Type: 0x05, Start: sector("EBR1", "MBR"), Count: 0xFFFFFFFF},
		entry("PROTECT_F", "MBR"), entry("PROTECT_S", "MBR"), entry("ANDROID", "MBR"))
	ebr := scatter.NewRecord(entry("CACHE", "EBR1"), entry("USRDATA", "EBR1"))
	return [2][]byte{mbr.Bytes(), ebr.Bytes()}
}

// Identity is the recognisable text of an identity partition: the partition's
// name, the phone's serial number and its IMEI.
func (p Phone) Identity(partition string) []byte {
	b := []byte(fmt.Sprintf("SYNTHETIC IDENTITY %s serial=%s imei=%v\n", partition, p.Serial, p.IMEI))
	return append(bytes.Repeat(b, 64), noise(p.Serial, uint64(len(partition)), 4*kib)...)
}

// Storage is what lies on a phone.
type Storage struct {
	Boot1 []byte
	User  io.ReaderAt // UserSize bytes
	Name  map[string]scatter.Physical
}

// Storage lays the phone's flash out as it left the factory: preloader in BOOT1;
// records, partition table, identity, images in the user area.
func (p Phone) Storage() (*Storage, error) {
	s := &Storage{Boot1: make([]byte, Boot1Size), Name: map[string]scatter.Physical{}}
	copy(s.Boot1, "EMMC_BOOT\x00\x00\x00\x01\x00\x00\x00\x00\x02\x00\x00")
	copy(s.Boot1[0x200:], "BRLYT\x00\x00\x00\x01\x00\x00\x00\x00\x08\x00\x00")
	copy(s.Boot1[0x800:], p.Preloader())
	user := &sparseDisk{}
	for _, e := range p.entries() {
		phys := e.Start - mbrLinear + MBRAt
		if e.Name == "PRELOADER" || e.FromEnd > 0 {
			continue
		}
		s.Name[e.Name] = scatter.Physical(phys)
		c, size, err := p.Content(e.Name)
		if err != nil {
			return nil, err
		}
		user.add(phys, size, c)
	}
	pmt, err := p.pmt()
	if err != nil {
		return nil, err
	}
	user.add(pmtAt, int64(len(pmt)), bytes.NewReader(pmt))
	s.User = user
	return s, nil
}

// pmtAt is where MT6572's eMMC keeps its partition table: a block before the end
// of the pool at the end of the user area.
const pmtAt = UserSize - 4*mib

func (p Phone) pmt() ([]byte, error) {
	t := scatter.PMT{Version: "1.0"}
	for _, e := range p.entries() {
		if e.FromEnd == 0 {
			t.Entries = append(t.Entries, scatter.PMTEntry{Name: e.Name, Size: e.Size, Offset: scatter.Linear(e.Start)})
		}
	}
	return t.Bytes()
}

// Content is what a partition of the phone holds, by its name in the scatter; a
// size of 0 means zeros.
func (p Phone) Content(partition string) (io.ReaderAt, int64, error) {
	img := func(write func(io.Writer) error) (io.ReaderAt, int64, error) {
		var b bytes.Buffer
		err := write(&b)
		return bytes.NewReader(b.Bytes()), int64(b.Len()), err
	}
	switch partition {
	case "MBR":
		return img(raw(p.records()[0]))
	case "EBR1":
		return img(raw(p.records()[1]))
	case "PRELOADER":
		return img(raw(p.Preloader()))
	case "PRO_INFO", "NVRAM", "PROTECT_F", "PROTECT_S", "SECCFG", "SEC_RO":
		return img(raw(p.Identity(partition)))
	case "UBOOT":
		return img(raw(p.LK()))
	case "LOGO":
		return img(raw(p.Logo()))
	case "BOOTIMG":
		return img(p.Boot)
	case "RECOVERY":
		return img(p.Recovery)
	case "ANDROID":
		l, err := ext4.Lay(p.System(), ext4.Android(SystemSize, "system"))
		if err != nil {
			return nil, 0, err
		}
		return l, l.Size(), nil
	case "USRDATA":
		return img(raw([]byte("the owner's photos and messages")))
	}
	return bytes.NewReader(nil), 0, nil
}

// sparseDisk is contents at offsets, zeros between.
type sparseDisk struct{ parts []placed }

type placed struct {
	off, size int64
	r         io.ReaderAt
}

func (d *sparseDisk) add(off, size int64, r io.ReaderAt) {
	if size > 0 {
		d.parts = append(d.parts, placed{off, size, r})
	}
}

// ReadAt implements io.ReaderAt.
func (d *sparseDisk) ReadAt(p []byte, off int64) (int, error) {
	if off >= UserSize {
		return 0, io.EOF
	}
	short := off+int64(len(p)) > UserSize
	if short {
		p = p[:UserSize-off]
	}
	clear(p)
	for _, c := range d.parts {
		from, to := max(off, c.off), min(off+int64(len(p)), c.off+c.size)
		if from >= to {
			continue
		}
		if _, err := c.r.ReadAt(p[from-off:to-off], from-c.off); err != nil && err != io.EOF {
			return 0, err
		}
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}
