// Command init is the first program of a kernel that unpacked a ramdisk: it
// prints what it finds, one JSON object a line behind "MTK ", and switches off.
// The kernel test builds it for ARM; it uses nothing but the system calls that
// need no mounted /proc or /dev.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

type entry struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Mode   string `json:"mode"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size"`
	NLink  uint32 `json:"nlink"`
	Target string `json:"target"`
	Major  uint32 `json:"major"`
	Minor  uint32 `json:"minor"`
	SHA256 string `json:"sha256"`
}

var types = map[uint32]string{syscall.S_IFREG: "file", syscall.S_IFDIR: "dir", syscall.S_IFLNK: "symlink",
	syscall.S_IFCHR: "char", syscall.S_IFBLK: "block", syscall.S_IFIFO: "fifo", syscall.S_IFSOCK: "socket"}

func main() {
	defer syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	err := filepath.WalkDir("/", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == "/" {
			return err
		}
		return show(name)
	})
	fmt.Println("MTK end", err)
}

func show(name string) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(name, &st); err != nil {
		return err
	}
	e := entry{Name: strings.TrimPrefix(name, "/"), Type: types[st.Mode&syscall.S_IFMT], Mode: fmt.Sprintf("%04o", st.Mode&0o7777),
		UID: st.Uid, GID: st.Gid, Size: st.Size, NLink: uint32(st.Nlink)}
	switch e.Type {
	case "symlink":
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		e.Target = target
	case "char", "block":
		e.Major, e.Minor = uint32(st.Rdev>>8&0xfff), uint32(st.Rdev&0xff|st.Rdev>>12&0xfff00)
	case "file":
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		e.SHA256 = hex.EncodeToString(sum[:])
	}
	b, err := json.Marshal(e)
	fmt.Printf("MTK %s\n", b)
	return err
}
