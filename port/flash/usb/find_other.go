//go:build !linux

package usb

import (
	"path/filepath"
	"runtime"

	"go.bug.st/serial"
)

// List returns the serial ports. Without sysfs their USB ids are not known; on
// macOS only the names that a CDC-ACM device gets are listed.
func List() ([]Port, error) {
	if runtime.GOOS == "darwin" {
		names, err := filepath.Glob("/dev/cu.usbmodem*")
		return named(names), err
	}
	names, err := serial.GetPortsList()
	return named(names), err
}

func named(names []string) []Port {
	out := make([]Port, 0, len(names))
	for _, n := range names {
		out = append(out, Port{Name: n})
	}
	return out
}

// Holders names the programs that have the device open; only Linux can tell.
func Holders(string) []string { return nil }
