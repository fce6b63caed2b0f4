package usb

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// roots let the tests put a tree of their own under the finder.
type roots struct{ sys, dev, proc string }

var system = roots{sys: "/sys", dev: "/dev", proc: "/proc"}

// List returns the serial ports with USB ids, MediaTek's first.
func List() ([]Port, error) { return system.list() }

func (r roots) list() ([]Port, error) {
	names, err := filepath.Glob(filepath.Join(r.sys, "class/tty", "tty[AU]*"))
	if err != nil {
		return nil, err
	}
	var out []Port
	for _, n := range names {
		p, ok := r.port(n)
		if ok {
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return rank(out[i]) < rank(out[j]) })
	return out, nil
}

func rank(p Port) int {
	switch p.Kind() {
	case KindBROM, KindPreloader:
		return 0
	case KindOther:
		return 1
	}
	return 2
}

// port reads one tty of sysfs: device is the interface, its parent the device.
func (r roots) port(class string) (Port, bool) {
	name := filepath.Base(class)
	iface, err := filepath.EvalSymlinks(filepath.Join(class, "device"))
	if err != nil {
		return Port{}, false
	}
	for dir := iface; len(dir) > len(r.sys); dir = filepath.Dir(dir) {
		vid, ok := hex16(filepath.Join(dir, "idVendor"))
		if !ok {
			continue
		}
		pid, _ := hex16(filepath.Join(dir, "idProduct"))
		dev := filepath.Join(r.dev, name)
		return Port{Name: dev, VID: vid, PID: pid, Bus: filepath.Base(dir),
			Product: line(filepath.Join(dir, "product"))}, true
	}
	return Port{}, false
}

func line(name string) string {
	b, err := os.ReadFile(name)
	if err != nil || len(b) > 1024 {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func hex16(name string) (uint16, bool) {
	v, err := strconv.ParseUint(line(name), 16, 16)
	return uint16(v), err == nil
}

// Holders names the other programs that have the device file dev open. It sees
// only programs of the same user, or all when run as root.
func Holders(dev string) []string { return system.holders(dev) }

func (r roots) holders(dev string) []string {
	real, err := filepath.EvalSymlinks(dev)
	if err != nil {
		return nil
	}
	fds, err := filepath.Glob(filepath.Join(r.proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return nil
	}
	self := strconv.Itoa(os.Getpid())
	seen := map[string]bool{}
	var out []string
	for _, fd := range fds {
		pid := filepath.Base(filepath.Dir(filepath.Dir(fd)))
		if pid == self || seen[pid] {
			continue
		}
		if to, err := os.Readlink(fd); err != nil || to != real {
			continue
		}
		seen[pid] = true
		out = append(out, fmt.Sprintf("%s (pid %s)", line(filepath.Join(r.proc, pid, "comm")), pid))
	}
	return out
}
