package usb

import (
	"fmt"
	"strings"
)

// Port is one place where a phone may be.
type Port struct {
	Name     string `json:"name"`               // /dev/ttyACM0, COM7, tcp:127.0.0.1:4000
	VID      uint16 `json:"vid,omitempty"`      // USB vendor, 0 unknown
	PID      uint16 `json:"pid,omitempty"`      // USB product
	Bus      string `json:"bus,omitempty"`      // place on the bus (1-2.3): stays when the name changes
	Product  string `json:"product,omitempty"`  // the device's own words
	HeldBy   string `json:"held_by,omitempty"`  // program that has it open, "ModemManager (pid 812)"
	Terminal bool   `json:"terminal,omitempty"` // a pseudo-terminal or TCP: no USB behind it
}

// Kind of loader behind a USB id.
type Kind string

// The loaders that can be told by their ids.
const (
	KindNone      Kind = ""          // not a MediaTek download port
	KindBROM      Kind = "brom"      // boot ROM
	KindPreloader Kind = "preloader" // preloader, or a DA that kept its port
	KindOther     Kind = "other"     // MediaTek, but not a download mode (MTP, fastboot, META)
)

// ids seen in the field. Source: mtkclient, the preloader's and lk's cust_usb.h.
var ids = map[[2]uint16]Kind{
	{0x0e8d, 0x0003}: KindBROM,
	{0x0e8d, 0x2000}: KindPreloader,
	{0x0e8d, 0x2001}: KindPreloader,
	{0x0e8d, 0x20ff}: KindPreloader,
	{0x0e8d, 0x3000}: KindPreloader,
	{0x0e8d, 0x6000}: KindPreloader,
	{0x1004, 0x6000}: KindPreloader,
	{0x22d9, 0x0006}: KindPreloader,
	{0x0e8d, 0x2007}: KindOther,
	{0x0e8d, 0x2008}: KindOther,
	{0x0e8d, 0x201c}: KindOther,
	{0x0bb4, 0x0c01}: KindOther,
}

// KindOf names the loader behind a USB id.
func KindOf(vid, pid uint16) Kind { return ids[[2]uint16{vid, pid}] }

// Kind names the loader behind the port, as far as its ids tell.
func (p Port) Kind() Kind { return KindOf(p.VID, p.PID) }

// String is the name with the ids.
func (p Port) String() string {
	if p.VID == 0 {
		return p.Name
	}
	return fmt.Sprintf("%s (%04x:%04x)", p.Name, p.VID, p.PID)
}

// Addr says where to look for the phone.
type Addr string

// Auto means: by USB ids.
const Auto Addr = ""

// Parse reads an address as the user writes it.
func Parse(s string) Addr {
	if s == "auto" {
		return Auto
	}
	return Addr(s)
}

// TCP returns HOST:PORT when the address is one of tcp:HOST:PORT.
func (a Addr) TCP() (string, bool) { return strings.CutPrefix(string(a), "tcp:") }

// String names the address for people.
func (a Addr) String() string {
	if a == Auto {
		return "any MediaTek port"
	}
	return string(a)
}
