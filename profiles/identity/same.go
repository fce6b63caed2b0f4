package identity

import (
	"encoding/hex"
	"strings"

	"mtkport"
)

// HardwareID is what a phone says of its own silicon. It is recorded with every
// backup. Ids are hex text, empty where the phone did not give them.
type HardwareID struct {
	Chip    string `json:"chip" yaml:"chip"`                         // hw code, such as 6572
	Storage string `json:"storage" yaml:"storage"`                   // EMMC or NAND
	CID     string `json:"cid,omitempty" yaml:"cid,omitempty"`       // the eMMC's 16 bytes: holds its serial number
	Random  string `json:"random,omitempty" yaml:"random,omitempty"` // the random id that the download agent reports
	MEID    string `json:"meid,omitempty" yaml:"meid,omitempty"`     // id in the chip's fuses
	SOCID   string `json:"socid,omitempty" yaml:"socid,omitempty"`   // id in the chip's fuses
	NANDID  string `json:"nandid,omitempty" yaml:"nandid,omitempty"` // maker and model of a NAND: not unique
}

// SamePhone proves that a backup was made of the phone on the cable. Only
// [Match] makes one that [Guard.ClearRestore] takes.
type SamePhone struct {
	phone HardwareID
	by    string
}

// By names the unique id that matched: cid, random, meid or socid. It is empty
// for a value that Match did not make.
func (s SamePhone) By() string { return s.by }

type idPair struct {
	field          string
	backup, phone  string
	unique         bool
	least          int // bytes that a unique id must have
	mustBeInBackup bool
}

// Match compares the ids recorded in a backup with those of the phone. Every id
// that both have must agree, chip and storage among them, and one at least must
// be unique to a phone. The error is of class ErrRefused.
func Match(backup, phone HardwareID) (SamePhone, error) {
	by := ""
	for _, p := range []idPair{
		{field: "chip", backup: backup.Chip, phone: phone.Chip, mustBeInBackup: true},
		{field: "storage", backup: backup.Storage, phone: phone.Storage, mustBeInBackup: true},
		{field: "cid", backup: blankID(backup.CID), phone: blankID(phone.CID), unique: true, least: 16},
		{field: "random", backup: blankID(backup.Random), phone: blankID(phone.Random), unique: true, least: 16},
		{field: "meid", backup: blankID(backup.MEID), phone: blankID(phone.MEID), unique: true, least: 8},
		{field: "socid", backup: blankID(backup.SOCID), phone: blankID(phone.SOCID), unique: true, least: 8},
		{field: "nandid", backup: blankID(backup.NANDID), phone: blankID(phone.NANDID)},
	} {
		if err := p.compare(); err != nil {
			return SamePhone{}, err
		}
		if by == "" && p.unique && p.backup != "" && p.phone != "" && len(p.phone) >= 2*p.least {
			by = p.field
		}
	}
	if by == "" {
		return SamePhone{}, &mtkport.Error{Off: mtkport.NoOffset, Field: "hardware ids", Found: "no id in common that is unique to one phone",
			Want: "cid, random, meid or socid in backup and phone", Err: mtkport.ErrRefused,
			Hint: "a backup goes back only to the phone it was made of, and this cannot be shown here"}
	}
	return SamePhone{phone: phone.normal(), by: by}, nil
}

func (p idPair) compare() error {
	if strings.EqualFold(p.backup, p.phone) && (p.backup != "" || !p.mustBeInBackup) {
		return nil
	}
	if !p.mustBeInBackup && (p.backup == "" || p.phone == "") {
		return nil
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: p.field, Found: quote(p.phone) + " on the phone", Want: quote(p.backup) + " as in the backup",
		Err: mtkport.ErrRefused, Hint: "this backup was made of another phone"}
}

func quote(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// blankID returns the id in lower case, or "" when it says nothing: not hex, all
// 00 or all FF, as blank fuses and silent reports read.
func blankID(s string) string {
	s = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(s), "0x"))
	b, err := hex.DecodeString(s)
	if err != nil {
		return ""
	}
	for _, c := range b {
		if c != b[0] || (c != 0 && c != 0xff) {
			return s
		}
	}
	return ""
}

func (h HardwareID) normal() HardwareID {
	return HardwareID{Chip: strings.ToLower(h.Chip), Storage: strings.ToUpper(h.Storage), CID: blankID(h.CID), Random: blankID(h.Random),
		MEID: blankID(h.MEID), SOCID: blankID(h.SOCID), NANDID: blankID(h.NANDID)}
}
