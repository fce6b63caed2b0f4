package brom

import (
	"fmt"
	"strings"
)

// Start is the sequence that opens the dialogue; each byte is answered with its
// one's complement.
var Start = [4]byte{0xA0, 0x0A, 0x50, 0x05}

// Ready is what a preloader may say on its own while it waits for Start.
const Ready = "READY"

// Command bytes. Source: the preloader's core/download.h.
const (
	CmdWrite16      = 0xD2
	CmdRead16       = 0xD0
	CmdRead32       = 0xD1
	CmdWrite32      = 0xD4
	CmdJumpDA       = 0xD5
	CmdJumpBL       = 0xD6
	CmdSendDA       = 0xD7
	CmdTargetConfig = 0xD8
	CmdGetMEID      = 0xE1
	CmdHWSWVer      = 0xFC
	CmdHWCode       = 0xFD
	CmdBLVer        = 0xFE // not echoed by a preloader, which answers its version
	CmdVersion      = 0xFF // not echoed by a boot ROM, which answers its version
)

// Mode tells the boot ROM from the preloader.
type Mode string

// The two parties that speak this dialogue.
const (
	ModeBROM      Mode = "brom"
	ModePreloader Mode = "preloader"
)

// Config is the answer to CmdTargetConfig.
type Config uint32

// Bits of Config.
const (
	SecureBoot    Config = 0x01 // SBC: only signed preloaders boot
	LinkAuth      Config = 0x02 // SLA: the host must authenticate
	DAAuth        Config = 0x04 // DAA: the DA must be signed
	EPP           Config = 0x08
	RootCert      Config = 0x10
	MemReadAuth   Config = 0x20
	MemWriteAuth  Config = 0x40
	CmdC8Blocked  Config = 0x80
	demandsSigned        = LinkAuth | DAAuth | SecureBoot
)

// Secure says whether the phone wants a signed DA or authentication.
func (c Config) Secure() bool { return c&demandsSigned != 0 }

var configWords = []struct {
	bit  Config
	text string
}{
	{SecureBoot, "secure boot (SBC)"}, {LinkAuth, "serial link authorisation (SLA)"}, {DAAuth, "DA authorisation (DAA)"},
	{EPP, "EPP parameter"}, {RootCert, "root certificate required"}, {MemReadAuth, "memory read needs authorisation"},
	{MemWriteAuth, "memory write needs authorisation"}, {CmdC8Blocked, "command C8 blocked"},
}

// String lists what the bits mean.
func (c Config) String() string {
	var w []string
	for _, b := range configWords {
		if c&b.bit != 0 {
			w = append(w, b.text)
		}
	}
	if len(w) == 0 {
		return "open"
	}
	return strings.Join(w, ", ")
}

// Status is the 16-bit word after a command.
type Status uint16

// Statuses used by this package and by the simulated phone.
const (
	StatusOK          Status = 0
	StatusSLARequired Status = 0x1D0D
	StatusSigMissing  Status = 0x1D15
	StatusNoDA        Status = 0x1D16
	StatusBadAlign    Status = 0xFFFF
	StatusZeroLen     Status = 0xFFFE
	StatusOverflow    Status = 0xFFFD
)

// OK says whether clients take the status for success.
func (s Status) OK() bool { return s <= 0xFF }

// Secure says whether the status is one of the security family.
func (s Status) Secure() bool {
	return s == StatusSLARequired || s == StatusSigMissing || s&0xF000 == 0x7000
}

var statusWords = map[Status]string{
	0x1D00: "address too high", 0x1D01: "address too high", 0x1D02: "invalid address", 0x1D0C: "no authorisation needed",
	StatusSLARequired: "the phone wants authentication first", 0x1D0E: "the DA overlaps memory in use", 0x1D0F: "invalid jump address",
	0x1D10: "too many DA parts", 0x1D11: "address not 16-bit aligned", 0x1D12: "bad address or length", 0x1D13: "length is zero",
	0x1D14: "the signature is longer than the DA", StatusSigMissing: "the DA is not signed and the phone wants it signed",
	StatusNoDA: "no DA was sent", 0x1D17: "not allowed with this authorisation", 0x1D1D: "rate too high", 0x1D21: "DA version not supported",
	StatusBadAlign: "bad alignment", StatusZeroLen: "length is zero", StatusOverflow: "address overflow",
}

// String is the number with its meaning.
func (s Status) String() string {
	if w := statusWords[s]; w != "" {
		return fmt.Sprintf("status 0x%04x (%s)", uint16(s), w)
	}
	return fmt.Sprintf("status 0x%04x", uint16(s))
}

// Info is all that the boot ROM or preloader says of the phone.
type Info struct {
	Mode     Mode   `json:"mode"`
	HWCode   uint16 `json:"hw_code"`
	HWSub    uint16 `json:"hw_sub"`
	HWVer    uint16 `json:"hw_ver"`
	SWVer    uint16 `json:"sw_ver"`
	Target   Config `json:"target_config"`
	BLVer    byte   `json:"bl_ver"`   // 0xFE from the boot ROM
	BROMVer  byte   `json:"brom_ver"` // 0xFF when a preloader does not know
	MEID     []byte `json:"meid,omitempty"`
	Watchdog bool   `json:"-"` // the watchdog was stopped
}

// Chip is what must be known of a system on chip before its DA runs.
type Chip struct {
	Name        string
	HWCode      uint16
	Watchdog    uint32 // address of the watchdog's mode register
	WatchdogOff uint32 // value that stops it
	DA1, DA2    uint32 // where the two stages of the DA are loaded
}

// MT6572 is the chip of this workbench. Source: preloader inc/mt6572.h,
// mtkclient's DA table.
var MT6572 = Chip{Name: "MT6572", HWCode: 0x6572, Watchdog: 0x10007000, WatchdogOff: 0x22000000, DA1: 0x02007000, DA2: 0x80000000}

// Chips are the chips known: the MT6572 and its EDGE-only sibling.
var Chips = []Chip{MT6572, {Name: "MT6571", HWCode: 0x6571, Watchdog: 0x10007000, WatchdogOff: 0x22000000, DA1: 0x02008000, DA2: 0x80000000}}

// ChipByCode finds a chip by the code that the phone reports.
func ChipByCode(code uint16) (Chip, bool) {
	for _, c := range Chips {
		if c.HWCode == code {
			return c, true
		}
	}
	return Chip{}, false
}

// Sum16 is the checksum of SEND_DA: the exclusive or of little-endian 16-bit
// words, a last odd byte counted as a word.
func Sum16(b []byte) uint16 {
	var s uint16
	for len(b) >= 2 {
		s ^= uint16(b[0]) | uint16(b[1])<<8
		b = b[2:]
	}
	if len(b) == 1 {
		s ^= uint16(b[0])
	}
	return s
}
