// Package fstab reads the mount tables of MediaTek phones in all their forms
// and says how each names its devices. It only reads.
//
//	for _, e := range fstab.Parse(b) { fmt.Println(e.Mount, e.Notation(), e.Device) }
//
// Forms (seen on MT6572/82/89/92 phones): Android's "device mount type options
// fs_mgr-flags"; the older one with two columns of "defaults"; the recovery's
// with the mount point first; vold.fstab's "dev_mount label mount part sysfs…".
// A table names partitions of some build, not always of this phone: never
// derive a layout from it.
package fstab

import (
	"path"
	"strings"
)

// Form is how a line is written.
type Form string

// The forms of a line.
const (
	FormFsMgr      Form = "fs_mgr"      // device mount type options flags
	FormRecovery   Form = "recovery"    // mount type device …
	FormVold       Form = "vold"        // dev_mount label mount part sysfs…
	FormVoldDevice Form = "voldmanaged" // sysfs path auto type options voldmanaged=label:part
)

// Entry is one line.
type Entry struct {
	Line   int // 1-based
	Form   Form
	Device string
	Mount  string // mount point; the volume's label for FormVoldDevice
	Type   string // ext4, ubifs, yaffs2, vfat, emmc, mtd …
	Opts   string // mount options
	Flags  string // fs_mgr flags, recovery's flags=…, or voldmanaged=…
	Part   string // of vold lines: "auto", a number, or emmc@fat
}

// Parse reads a table. Lines it cannot place are left out.
func Parse(b []byte) []Entry {
	var out []Entry
	for i, l := range strings.Split(string(b), "\n") {
		f := strings.Fields(l)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		e := entry(f)
		e.Line = i + 1
		out = append(out, e)
	}
	return out
}

func entry(f []string) Entry {
	at := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	switch {
	case f[0] == "dev_mount":
		return Entry{Form: FormVold, Mount: f[2], Part: at(3), Device: strings.Join(f[min(4, len(f)):], " ")}
	case strings.Contains(at(4), "voldmanaged=") || strings.Contains(at(3), "voldmanaged="):
		return voldDevice(f)
	case strings.HasPrefix(f[0], "/") && !strings.HasPrefix(f[1], "/") && isType(f[1]):
		return Entry{Form: FormRecovery, Mount: f[0], Type: f[1], Device: f[2], Flags: strings.Join(f[3:], " ")}
	}
	return Entry{Form: FormFsMgr, Device: f[0], Mount: f[1], Type: f[2], Opts: at(3), Flags: at(4)}
}

func voldDevice(f []string) Entry {
	flags := f[len(f)-1]
	e := Entry{Form: FormVoldDevice, Device: f[0], Type: f[2], Flags: flags}
	for _, fl := range strings.Split(flags, ",") {
		if v, ok := strings.CutPrefix(fl, "voldmanaged="); ok {
			e.Mount, e.Part, _ = strings.Cut(v, ":")
		}
	}
	return e
}

func isType(s string) bool {
	switch s {
	case "ext4", "ext3", "ext2", "vfat", "emmc", "mtd", "yaffs2", "ubifs", "ubi", "auto", "f2fs", "ramdisk", "bml", "datamedia":
		return true
	}
	return false
}

// Notation is how a device is named.
type Notation string

// The notations.
const (
	ByEmmcAlias Notation = "/emmc@name" // MediaTek's alias for an eMMC partition
	ByMtdAlias  Notation = "mtd@name"   // NAND
	ByUbiAlias  Notation = "ubi@name"   // NAND, UBIFS
	ByNumber    Notation = "mmcblk0pN"  // changes with the layout
	ByName      Notation = "by-name"    // GPT-time phones
	ByChar      Notation = "/dev/name"  // MediaTek's character device of a raw partition
	BySysfs     Notation = "sysfs"      // vold
	BareName    Notation = "bare name"  // mtd name in a recovery table
	Other       Notation = "another"    // anything else
	None        Notation = "no device"  // an empty column
)

// Notation tells how the entry names its device.
func (e Entry) Notation() Notation { return NotationOf(e.Device) }

// NotationOf tells how a device is named, as mounts in init scripts do too.
func NotationOf(dev string) Notation {
	bare := strings.TrimPrefix(dev, "/")
	switch {
	case dev == "":
		return None
	case strings.HasPrefix(bare, "emmc@"):
		return ByEmmcAlias
	case strings.HasPrefix(bare, "mtd@"):
		return ByMtdAlias
	case strings.HasPrefix(bare, "ubi@"):
		return ByUbiAlias
	case strings.Contains(dev, "/by-name/"):
		return ByName
	case strings.HasPrefix(dev, "/dev/block/mmcblk"):
		return ByNumber
	case strings.HasPrefix(dev, "/devices/"), strings.HasPrefix(dev, "/sys/devices/"):
		return BySysfs
	case strings.HasPrefix(dev, "/dev/") && !strings.Contains(dev[5:], "/"):
		return ByChar
	case !strings.Contains(dev, "/"):
		return BareName
	}
	return Other
}

// Partition returns the partition's name where the notation holds one.
func (e Entry) Partition() string {
	switch e.Notation() {
	case ByEmmcAlias, ByMtdAlias, ByUbiAlias:
		_, name, _ := strings.Cut(e.Device, "@")
		return name
	case ByName, ByChar, BareName:
		return path.Base(e.Device)
	}
	return ""
}
