package usb

import (
	"os"

	"golang.org/x/sys/unix"
)

// openTerminal opens a pseudo-terminal raw. It stays in Go's poller, so it has
// deadlines of its own.
func openTerminal(name string) (Conn, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := MakeRaw(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// MakeRaw takes echo, line editing and character mapping off a terminal.
func MakeRaw(f *os.File) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = rc.Control(func(fd uintptr) {
		t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err != nil {
			inner = err
			return
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB|unix.HUPCL) | unix.CS8 | unix.CREAD | unix.CLOCAL
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		inner = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	if err != nil {
		return err
	}
	return inner
}
