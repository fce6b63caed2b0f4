// Command kernelinit is the first process of a small virtual machine. It loads
// kernel modules, writes an image to a simulated NAND, attaches it with UBI,
// mounts UBIFS with all of its self-checks on, and prints what it sees there,
// one JSON object a line behind "@@ ". It is built and run by a test.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

type job struct {
	Modules []string // paths with parameters, in order
	After   []string // those to load once the image is on the flash
	Volume  string
	Change  bool // mount read-write, change files
	Cut     bool // and then stop without unmounting
	Dump    bool // copy the flash to the disk at the end
}

func say(v any) {
	b, _ := json.Marshal(v)
	fmt.Printf("@@ %s\n", b)
}

func must(what string, err error) {
	if err != nil {
		say(map[string]string{"failed": what + ": " + err.Error()})
		off()
	}
}

func off() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func main() {
	for _, m := range [][3]string{{"devtmpfs", "/dev", "devtmpfs"}, {"proc", "/proc", "proc"}, {"sys", "/sys", "sysfs"}} {
		_ = os.MkdirAll(m[1], 0o755)
		must("mount "+m[1], unix.Mount(m[0], m[1], m[2], 0, ""))
	}
	_ = unix.Mount("debug", "/sys/kernel/debug", "debugfs", 0, "")
	var j job
	b, err := os.ReadFile("/job.json")
	must("job", err)
	must("job", json.Unmarshal(b, &j))
	for _, m := range j.Modules {
		load(m)
	}
	must("write the flash", pour("/image", "/dev/mtd0"))
	for _, m := range j.After {
		load(m)
	}
	checks()
	if j.Change {
		change(j)
	}
	mount(j, unix.MS_RDONLY)
	must("walk", filepath.WalkDir("/mnt", tell))
	if j.Change {
		must("unmount", unix.Unmount("/mnt", 0))
	}
	say(map[string]string{"done": "yes"})
	if j.Dump {
		must("dump", pour("/dev/mtd0", "/dev/vda"))
	}
	off()
}

func load(m string) {
	path, params, _ := strings.Cut(m, " ")
	f, err := os.Open(path)
	must(path, err)
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), params, 0); err != nil && err != unix.EEXIST {
		must("load "+m, err)
	}
}

// checks turns on all that UBIFS can check of itself.
func checks() {
	found, _ := filepath.Glob("/sys/kernel/debug/ubifs/chk_*")
	for _, p := range found {
		must(p, os.WriteFile(p, []byte("1"), 0))
	}
	say(map[string]int{"checks": len(found)})
}

func mount(j job, flags uintptr) {
	_ = os.MkdirAll("/mnt", 0o755)
	must("mount", unix.Mount("ubi0:"+j.Volume, "/mnt", "ubifs", flags, ""))
}

func pour(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 256<<10))
	if err == nil {
		err = out.Sync()
	}
	_ = out.Close()
	if errors.Is(err, syscall.EINVAL) { // a flash has nothing to sync
		err = nil
	}
	return err
}

// change does to the files what a running phone would.
func change(j job) {
	mount(j, 0)
	at := func(p string) string { return "/mnt/" + p }
	must("write", os.WriteFile(at("new"), []byte(strings.Repeat("new file ", 5000)), 0o640))
	must("remove", os.Remove(at("lib/lib0000.so")))
	must("rename", os.Rename(at("lib/lib0001.so"), at("etc/moved.so")))
	must("rename over", os.Rename(at("lib/lib0002.so"), at("lib/lib0003.so")))
	must("truncate", os.Truncate(at("lib/lib0004.so"), 5000))
	f, err := os.OpenFile(at("lib/lib0005.so"), os.O_WRONLY, 0)
	must("open", err)
	_, err = f.WriteAt([]byte("patched"), 4090)
	must("patch", err)
	must("close", f.Close())
	must("link", os.Link(at("new"), at("etc/new2")))
	must("setxattr", unix.Setxattr(at("new"), "security.selinux", []byte("u:object_r:x:s0\x00"), 0))
	must("removexattr", unix.Removexattr(at("bin/sh"), "user.long"))
	must("rmdir", os.Remove(at("empty")))
	unix.Sync()
	if !j.Cut {
		must("unmount", unix.Unmount("/mnt", 0))
		return
	}
	must("walk", filepath.WalkDir("/mnt", tell))
	say(map[string]string{"done": "yes"})
	must("dump", pour("/dev/mtd0", "/dev/vda"))
	off()
}

type entry struct {
	Path                  string
	Mode, UID, GID, Nlink uint32
	Size, MTime           int64
	Dev                   uint64
	Target, Sum           string
	Xattrs                map[string]string
}

func tell(path string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	e := entry{
		Path: strings.TrimPrefix(strings.TrimPrefix(path, "/mnt"), "/"), Mode: st.Mode, UID: st.Uid, GID: st.Gid,
		Nlink: uint32(st.Nlink), Size: st.Size, MTime: st.Mtim.Sec, Dev: uint64(unix.Major(st.Rdev))<<32 | uint64(unix.Minor(st.Rdev)),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		if e.Target, err = os.Readlink(path); err != nil {
			return err
		}
	case unix.S_IFREG:
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		e.Sum = hex.EncodeToString(sum[:])
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		e.Xattrs = attrs(path)
	}
	say(e)
	return nil
}

func attrs(path string) map[string]string {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil || n == 0 {
		return nil
	}
	out := map[string]string{}
	for _, name := range strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		v := make([]byte, 8192)
		k, err := unix.Lgetxattr(path, name, v)
		if err != nil {
			out[name] = "error: " + err.Error()
			continue
		}
		out[name] = hex.EncodeToString(v[:k])
	}
	return out
}
