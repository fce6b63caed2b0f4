package sysimg

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// setTime sets the modification time of an open file, where it can.
func setTime(f *os.File, t time.Time) {
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	ts := []unix.Timespec{unix.NsecToTimespec(t.UnixNano()), unix.NsecToTimespec(t.UnixNano())}
	_ = c.Control(func(fd uintptr) { _ = unix.UtimesNanoAt(int(fd), "", ts, unix.AT_EMPTY_PATH) })
}
