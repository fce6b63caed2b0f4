package da

import (
	"encoding/binary"
	"fmt"

	"mtkport"
	"mtkport/profiles/identity"
)

// Answers of the agent.
const (
	Ack     = 0x5A
	Nack    = 0xA5
	Cont    = 0x69 // a written packet arrived whole
	Stop    = 0x96
	Sync    = 0xC0
	SOCOK   = 0xC1
	SOCFail = 0xCF
	Unknown = 0xBB // answer to a command it does not know
)

// Commands after the storage report.
const (
	CmdWriteData   = 0x62 // SDMMC_WRITE_DATA
	CmdSwitchPart  = 0x60 // SDMMC_SWITCH_PART
	CmdUSBSetup    = 0x70 // USB_SETUP_PORT
	CmdUSBStatus   = 0x72 // USB_CHECK_STATUS
	CmdReadReg32   = 0x7A
	CmdReadPMT     = 0xA5 // SDMMC_READ_PMT
	CmdNANDWrite   = 0xB3 // NAND_WRITE_DATA: layout is our reading, see the package comment
	CmdFormat      = 0xD4
	CmdRead        = 0xD6
	CmdFinish      = 0xD9
	CmdWatchdog    = 0xDB // ENABLE_WATCHDOG: reboot
	CmdNANDPage    = 0xDF // NAND_READPAGE
	CmdEnableDRAM  = 0xE8
	HostLinux      = 0x0C
	StorageNAND    = 1
	StorageEMMC    = 2
	formSpare      = 1 // of a NAND write: each page is followed by its spare bytes
	writeEMMC      = 1 // the storage byte of CmdWriteData counts differently
	Packet         = 1 << 20
	StagePacket    = 0x1000
	FinishNormal   = 0
	speedHigh      = 1
	dramReady      = 0x80000001
	emiLegacyOrder = 0x0B
)

// NANDWriteProven is false as long as nobody has seen the NAND write dialogue
// work on a phone.
const NANDWriteProven = false

// parts are the numbers of the regions for CmdSwitchPart and CmdWriteData.
var parts = map[string]byte{identity.EMMCBoot1: 1, identity.EMMCBoot2: 2, identity.EMMCRPMB: 3, "EMMC_GP_1": 4, "EMMC_GP_2": 5, "EMMC_GP_3": 6, "EMMC_GP_4": 7, identity.EMMCUser: 8}

// PartNo returns the agent's number of a region.
func PartNo(region string) (byte, error) {
	p, ok := parts[region]
	if !ok {
		return 0, &mtkport.Error{Off: mtkport.NoOffset, Field: "region", Found: region, Want: "a region of an eMMC", Err: mtkport.ErrUnsupported}
	}
	return p, nil
}

// RegionOf is the reverse of [Part]; empty for an unknown number.
func RegionOf(part byte) string {
	for r, p := range parts {
		if p == part {
			return r
		}
	}
	return ""
}

// Report is what the agent says of the phone's storage and memory when it runs.
type Report struct {
	NOR  NORInfo  `json:"-"`
	NAND NANDInfo `json:"nand"`
	EMMC EMMCInfo `json:"emmc"`
	SDC  SDCInfo  `json:"-"`
	Conf ConfInfo `json:"memory"`
	Pass PassInfo `json:"-"`
}

// NORInfo is the first part of the report; no MT6572 phone has a NOR flash.
type NORInfo struct {
	Ret     uint32
	CS      [2]uint8
	ID      uint16
	Size    uint32
	Code    [4]uint16
	OTP     uint32
	OTPSize uint32
}

type nandHead struct {
	Ret   uint32
	CS    uint8
	ID    uint16
	Size  uint64
	Count uint16
}

type nandHead32 struct {
	Ret   uint32
	CS    uint8
	ID    uint16
	Size  uint32
	Count uint16
}

type nandTail struct {
	Page      uint16
	Spare     uint16
	PerBlock  uint16
	IOWidth   uint8
	AddrCycle uint8
	BMT       uint8
}

// NANDInfo describes a NAND flash. Ret is 0 when there is one.
type NANDInfo struct {
	Ret       uint32   `json:"ret"`
	CS        uint8    `json:"-"`
	ID        uint16   `json:"-"`
	Size      uint64   `json:"size"` // bytes of data
	IDs       []uint16 `json:"ids,omitempty"`
	Page      uint16   `json:"page_size"`       // bytes
	Spare     uint16   `json:"spare_size"`      // bytes for each page
	PerBlock  uint16   `json:"pages_per_block"` // pages in an erase block
	IOWidth   uint8    `json:"-"`
	AddrCycle uint8    `json:"-"`
	BMT       uint8    `json:"bmt"`
}

// Block returns the bytes of an erase block, without spare.
func (n NANDInfo) Block() int64 { return int64(n.Page) * int64(n.PerBlock) }

// Found says whether the phone has a NAND flash.
func (n NANDInfo) Found() bool { return n.Ret == 0 && n.Size > 0 && n.Page > 0 && n.PerBlock > 0 }

// EMMCInfo describes an eMMC. Sizes are in bytes. Ret is 0 when there is one.
type EMMCInfo struct {
	Ret   uint32    `json:"ret"`
	Boot1 uint64    `json:"boot1"`
	Boot2 uint64    `json:"boot2"`
	RPMB  uint64    `json:"rpmb"`
	GP    [4]uint64 `json:"gp"`
	User  uint64    `json:"user"`
	CID   [2]uint64 `json:"cid"`
	FW    [8]uint8  `json:"-"`
}

// Found says whether the phone has an eMMC.
func (e EMMCInfo) Found() bool { return e.Ret == 0 && e.User > 0 }

// Ahead is the number of bytes of all regions in front of USER in the linear
// address space of MediaTek's tables.
func (e EMMCInfo) Ahead() int64 {
	return int64(e.Boot1 + e.Boot2 + e.RPMB + e.GP[0] + e.GP[1] + e.GP[2] + e.GP[3])
}

// SDCInfo describes a memory card.
type SDCInfo struct {
	Ret  uint32
	Size uint64
	CID  [2]uint64
}

// ConfInfo describes the memory.
type ConfInfo struct {
	SRAMRet  uint32    `json:"-"`
	SRAM     uint32    `json:"sram"`
	DRAMRet  uint32    `json:"-"`
	DRAMType uint8     `json:"dram_type"`
	DRAMCS   uint8     `json:"-"`
	DRAM     uint64    `json:"dram"`
	Random   [2]uint64 `json:"random_id"`
}

// PassInfo ends the report.
type PassInfo struct {
	Ack       uint8
	Download  uint32
	BootStyle uint32
	SOC       uint8
}

// Append encodes the report in the 64-bit form with the ids as they are.
func (r Report) Append(b []byte) []byte {
	n := r.NAND
	for _, v := range []any{r.NOR, nandHead{n.Ret, n.CS, n.ID, n.Size, uint16(len(n.IDs))}, n.IDs,
		nandTail{n.Page, n.Spare, n.PerBlock, n.IOWidth, n.AddrCycle, n.BMT}, r.EMMC, r.SDC, r.Conf, r.Pass} {
		b, _ = binary.Append(b, binary.BigEndian, v) // fixed-size values: no error possible
	}
	return b
}

// maxIDs bounds the NAND id words; a real agent reports 7.
const maxIDs = 32

// readReport takes the report off the wire through read, which fills a slice.
func readReport(read func([]byte) error) (Report, error) {
	var r Report
	get := func(v any) error {
		b := make([]byte, binary.Size(v))
		if err := read(b); err != nil {
			return err
		}
		_, err := binary.Decode(b, binary.BigEndian, v)
		return err
	}
	if err := get(&r.NOR); err != nil {
		return r, fmt.Errorf("storage report, NOR: %w", err)
	}
	if err := readNAND(&r.NAND, read, get); err != nil {
		return r, fmt.Errorf("storage report, NAND: %w", err)
	}
	for _, v := range []any{&r.EMMC, &r.SDC, &r.Conf, &r.Pass} {
		if err := get(v); err != nil {
			return r, fmt.Errorf("storage report, %T: %w", v, err)
		}
	}
	if r.Pass.Ack != Ack || r.Pass.SOC != SOCOK {
		return r, &mtkport.Error{Off: mtkport.NoOffset, Field: "storage report", Found: fmt.Sprintf("end 0x%02x … 0x%02x", r.Pass.Ack, r.Pass.SOC), Want: "0x5a … 0xc1", Err: mtkport.ErrFormat,
			Hint: "the agent speaks another dialect than the legacy one of the MT6572; use a V3 MTK_AllInOne_DA.bin"}
	}
	return r, nil
}

// readNAND tells the 64-bit form from the 32-bit one, whose id count lies where
// the other has its size.
func readNAND(n *NANDInfo, read func([]byte) error, get func(any) error) error {
	var head [17]byte
	if err := read(head[:]); err != nil {
		return err
	}
	var h nandHead
	if _, err := binary.Decode(head[:], binary.BigEndian, &h); err != nil {
		return err
	}
	var ids []byte
	if h.Count == 0 || h.Count > maxIDs {
		var h32 nandHead32
		if _, err := binary.Decode(head[:], binary.BigEndian, &h32); err != nil {
			return err
		}
		h.Size, h.Count = uint64(h32.Size), h32.Count
		ids = append(ids, head[13:]...)
		if h.Count < 2 || h.Count > maxIDs {
			return &mtkport.Error{Off: mtkport.NoOffset, Field: "id count", Found: fmt.Sprint(h.Count), Want: fmt.Sprintf("2…%d", maxIDs), Err: mtkport.ErrFormat}
		}
	}
	rest := make([]byte, 2*int(h.Count)-len(ids))
	if err := read(rest); err != nil {
		return err
	}
	ids = append(ids, rest...)
	n.Ret, n.CS, n.ID, n.Size, n.IDs = h.Ret, h.CS, h.ID, h.Size, make([]uint16, h.Count)
	for i := range n.IDs {
		n.IDs[i] = binary.BigEndian.Uint16(ids[2*i:])
	}
	var t nandTail
	if err := get(&t); err != nil {
		return err
	}
	n.Page, n.Spare, n.PerBlock, n.IOWidth, n.AddrCycle, n.BMT = t.Page, t.Spare, t.PerBlock, t.IOWidth, t.AddrCycle, t.BMT
	return nil
}

// Setup is the 18-byte configuration of stage 2 for the MT6572.
type Setup struct {
	BROMVer  uint8
	BLVer    uint8
	NORCS    uint16
	NANDCS   uint8
	NANDAcc  uint32
	BMTFlag  uint8
	BMTSize  uint32
	Charge   uint8
	Keys     uint8
	ExtClock uint8
	MSDCBoot uint8
}

// SetupSize is its length on the wire.
const SetupSize = 18

// NewSetup fills in what a working tool sends to an MT6572.
func NewSetup(bromVer, blVer byte, nand bool) Setup {
	s := Setup{BROMVer: bromVer, BLVer: blVer, NORCS: 8, NANDAcc: 0x7007FFFF, BMTSize: 0xA8, Charge: 1, Keys: 1, ExtClock: 2}
	if nand {
		s.BMTSize = 0x01500000
	}
	return s
}

// Append encodes it.
func (s Setup) Append(b []byte) []byte {
	b, _ = binary.Append(b, binary.BigEndian, s)
	return b
}

// Hello is what stage 1 says first.
type Hello struct {
	NANDRet uint32
	NANDIDs []uint16
	EMMCRet uint32
	EMMCID  [4]uint32
}

// Append encodes it, the sync byte in front.
func (h Hello) Append(b []byte) []byte {
	b = append(b, Sync)
	b = binary.BigEndian.AppendUint32(b, h.NANDRet)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.NANDIDs)))
	for _, v := range []any{h.NANDIDs, h.EMMCRet, h.EMMCID} {
		b, _ = binary.Append(b, binary.BigEndian, v)
	}
	return b
}

// NAND says whether the phone boots from NAND, by the rule that clients use.
func (h Hello) NAND() bool { return h.NANDRet == 0 && len(h.NANDIDs) > 0 && h.NANDIDs[0] != 0 }

// ReadCmd is CmdRead after its command byte; the packet size follows the ack.
type ReadCmd struct {
	Host    uint8
	Storage uint8
	Addr    uint64
	Len     uint64
}

// WriteCmd is CmdWriteData after its command byte.
type WriteCmd struct {
	Storage uint8
	Part    uint8
	Addr    uint64
	Len     uint64
	Packet  uint32
}

// NANDWriteCmd is CmdNANDWrite after its command byte.
type NANDWriteCmd struct {
	AddrType uint8 // 1 logical: bad blocks are skipped
	Form     uint8 // 0 data, 1 data and spare of each page
	Addr     uint64
	Len      uint64 // data bytes
	Packet   uint32 // data bytes
}

// FormatCmd is CmdFormat after its command byte.
type FormatCmd struct {
	Storage  uint8
	Mode     uint8
	Validate uint8
	AddrType uint8
	Addr     uint64
	Len      uint64
}

// NANDPageCmd is CmdNANDPage after its command byte.
type NANDPageCmd struct {
	Host     uint8
	Mode     uint8 // 0 page and spare
	AddrType uint8
	Addr     uint32
	Len      uint32
	Zero     uint32
}

// Message encodes a command byte and its fields.
func Message(cmd byte, fields any) []byte {
	b, _ := binary.Append([]byte{cmd}, binary.BigEndian, fields)
	return b
}
