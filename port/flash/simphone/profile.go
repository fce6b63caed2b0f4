package simphone

import (
	"time"

	"mtkport/port/flash/brom"
	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
)

// Profile is what a phone is, apart from the contents of its storage.
type Profile struct {
	Mode    brom.Mode   `yaml:"mode"`
	HWCode  uint16      `yaml:"hw_code"`
	HWSub   uint16      `yaml:"hw_sub"`
	HWVer   uint16      `yaml:"hw_ver"`
	SWVer   uint16      `yaml:"sw_ver"`
	Target  brom.Config `yaml:"target_config"`
	MEID    []byte      `yaml:"meid,omitempty"` // given only in boot ROM mode
	Random  [2]uint64   `yaml:"random_id"`
	NANDGeo *NAND       `yaml:"nand,omitempty"`
	EMMCGeo *EMMC       `yaml:"emmc,omitempty"`

	Ready     time.Duration `yaml:"ready,omitempty"`      // say READY that often while waiting; 0 never
	FullSpeed bool          `yaml:"full_speed,omitempty"` // the link is slow until USB_SETUP_PORT
	NeedEMI   bool          `yaml:"need_emi,omitempty"`   // ask for memory settings
	KeepDA    bool          `yaml:"keep_da,omitempty"`    // the agent survives a closed port, as on a phone that stays plugged in
	Rate      int64         `yaml:"rate,omitempty"`       // bytes a second of payload; 0 as fast as it goes
	PMT       []byte        `yaml:"-"`                    // raw table that the agent reports; nil: read off the storage
}

// EMMC is the geometry of an eMMC in bytes.
type EMMC struct {
	Boot1 int64     `yaml:"boot1"`
	Boot2 int64     `yaml:"boot2"`
	RPMB  int64     `yaml:"rpmb"`
	User  int64     `yaml:"user"`
	CID   [2]uint64 `yaml:"cid"`
}

// NAND is the geometry of a NAND chip. Pool blocks at the end stand in for bad
// ones, as MediaTek's bad block map has it.
type NAND struct {
	Size     int64    `yaml:"size"`  // data bytes, pool included
	Page     int      `yaml:"page"`  // data bytes
	Spare    int      `yaml:"spare"` // bytes for each page
	PerBlock int      `yaml:"pages_per_block"`
	Pool     int      `yaml:"pool"` // blocks
	Bad      []int    `yaml:"bad"`  // physical blocks, bad from the factory
	IDs      []uint16 `yaml:"ids"`
}

// Block returns the data bytes of an erase block.
func (n *NAND) Block() int64 { return int64(n.Page) * int64(n.PerBlock) }

// EMMCProfile is a common MT6572 phone with an eMMC whose user area has so many
// bytes: 2 MiB boot regions and 128 KiB RPMB.
func EMMCProfile(user int64) Profile {
	p := base()
	p.EMMCGeo = &EMMC{Boot1: 2 << 20, Boot2: 2 << 20, RPMB: 128 << 10, User: user, CID: [2]uint64{0x1501004E3555304D, 0x30300912345678A5}}
	return p
}

// NANDProfile is an MT6572 phone with a NAND of so many bytes, 2 KiB pages and a
// few bad blocks.
func NANDProfile(size int64) Profile {
	p := base()
	p.NANDGeo = &NAND{Size: size, Page: 2048, Spare: 64, PerBlock: 64, Pool: 80, Bad: []int{37, 38, 101}, IDs: []uint16{0x00AD, 0x00BC, 0x0090, 0x0055, 0x0056, 0, 0}}
	return p
}

func base() Profile {
	return Profile{Mode: brom.ModePreloader, HWCode: brom.MT6572.HWCode, HWSub: 0x8A00, HWVer: 0xCA00,
		MEID:   []byte{0x6D, 0x74, 0x6B, 0x70, 0x6F, 0x72, 0x74, 0x20, 0x70, 0x72, 0x61, 0x63, 0x74, 0x69, 0x63, 0x65},
		Random: [2]uint64{0x9E3779B97F4A7C15, 0xF39CC0605CEDC834}}
}

func (p Profile) regions() map[string]int64 {
	m := map[string]int64{}
	if e := p.EMMCGeo; e != nil {
		m[identity.EMMCBoot1], m[identity.EMMCBoot2], m[identity.EMMCRPMB], m[identity.EMMCUser] = e.Boot1, e.Boot2, e.RPMB, e.User
	}
	if n := p.NANDGeo; n != nil {
		m[identity.NAND] = n.Size / int64(n.Page) * int64(n.Page+n.Spare)
	}
	return m
}

const (
	noNAND = 3012
	noEMMC = 3179
	noNOR  = 3011
)

func (p Profile) hello() da.Hello {
	h := da.Hello{NANDRet: noNAND, NANDIDs: []uint16{0}, EMMCRet: noEMMC}
	if n := p.NANDGeo; n != nil {
		h.NANDRet, h.NANDIDs = 0, n.IDs
	}
	if e := p.EMMCGeo; e != nil {
		h.EMMCRet = 0
		h.EMMCID = [4]uint32{uint32(e.CID[0] >> 32), uint32(e.CID[0]), uint32(e.CID[1] >> 32), uint32(e.CID[1])}
	}
	return h
}

func (p Profile) report() da.Report {
	r := da.Report{NOR: da.NORInfo{Ret: noNOR}, NAND: da.NANDInfo{Ret: noNAND, IDs: make([]uint16, 7)}, EMMC: da.EMMCInfo{Ret: noEMMC},
		SDC:  da.SDCInfo{Ret: noEMMC},
		Conf: da.ConfInfo{SRAM: 0x10000, DRAMType: 2, DRAM: 512 << 20, Random: p.Random},
		Pass: da.PassInfo{Ack: da.Ack, SOC: da.SOCOK}}
	if n := p.NANDGeo; n != nil {
		r.NAND = da.NANDInfo{Size: uint64(n.Size), IDs: n.IDs, Page: uint16(n.Page), Spare: uint16(n.Spare), PerBlock: uint16(n.PerBlock), IOWidth: 8, AddrCycle: 5, BMT: 1}
	}
	if e := p.EMMCGeo; e != nil {
		r.EMMC = da.EMMCInfo{Boot1: uint64(e.Boot1), Boot2: uint64(e.Boot2), RPMB: uint64(e.RPMB), User: uint64(e.User), CID: e.CID}
	}
	return r
}
