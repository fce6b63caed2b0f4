package usb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a terminal device, or the master of a pseudo-terminal, with
// deadlines. A terminal hands out a few KiB at a time, so the cost of one wait
// decides the rate: it waits in poll(2) itself, and only when there was nothing,
// which moves half as much again in a second as Go's own poller does.
type Terminal struct {
	fd     int
	name   string
	rd, wd atomic.Int64 // deadlines, Unix nanoseconds; 0 none
	use    sync.RWMutex // held for reading around each use of fd, for writing to close it
	closed atomic.Bool
}

// OpenTerminal opens a terminal device as it is set.
func OpenTerminal(name string) (*Terminal, error) {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &Terminal{fd: fd, name: name}, nil
}

// openTerminal opens a pseudo-terminal raw.
func openTerminal(name string) (Conn, error) {
	t, err := OpenTerminal(name)
	if err != nil {
		return nil, err
	}
	if err := t.MakeRaw(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Name returns the name it was opened by.
func (t *Terminal) Name() string { return t.name }

// Control calls f with the file descriptor, which stays open as long.
func (t *Terminal) Control(f func(fd int) error) error {
	t.use.RLock()
	defer t.use.RUnlock()
	if t.closed.Load() {
		return os.ErrClosed
	}
	return f(t.fd)
}

// MakeRaw takes echo, line editing and character mapping off.
func (t *Terminal) MakeRaw() error {
	return t.Control(func(fd int) error {
		s, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		s.Iflag, s.Oflag, s.Lflag = 0, 0, 0
		s.Cflag = s.Cflag&^(unix.CSIZE|unix.PARENB|unix.HUPCL) | unix.CS8 | unix.CREAD | unix.CLOCAL
		s.Cc[unix.VMIN], s.Cc[unix.VTIME] = 1, 0
		return unix.IoctlSetTermios(fd, unix.TCSETS, s)
	})
}

// Unlock lets the other end of a new pseudo-terminal's master be opened, and
// returns its name.
func (t *Terminal) Unlock() (name string, err error) {
	err = t.Control(func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		name = fmt.Sprintf("/dev/pts/%d", n)
		return err
	})
	return name, err
}

// SetReadDeadline sets when Read gives up. It may be called while Read runs.
func (t *Terminal) SetReadDeadline(at time.Time) error { t.rd.Store(unixNano(at)); return nil }

// SetWriteDeadline sets when Write gives up. It may be called while Write runs.
func (t *Terminal) SetWriteDeadline(at time.Time) error { t.wd.Store(unixNano(at)); return nil }

func unixNano(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

// Read returns what has come, at most len(b) bytes, and waits for the first.
func (t *Terminal) Read(b []byte) (n int, err error) {
	for {
		err := t.Control(func(fd int) (err error) { n, err = unix.Read(fd, b); return err })
		switch {
		case err == nil && n > 0:
			return n, nil
		case err == nil && len(b) > 0:
			return 0, io.EOF // hung up
		case err == nil, errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN):
			return 0, err
		}
		if err := t.wait(unix.POLLIN, &t.rd); err != nil {
			return 0, err
		}
	}
}

// Write sends the whole of b, or as much as was taken before the deadline.
func (t *Terminal) Write(b []byte) (n int, err error) {
	for n < len(b) {
		k := 0
		err := t.Control(func(fd int) (err error) { k, err = unix.Write(fd, b[n:]); return err })
		switch {
		case err == nil:
			n += k
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN):
			return n, err
		}
		if err := t.wait(unix.POLLOUT, &t.wd); err != nil {
			return n, err
		}
	}
	return n, nil
}

// wait sleeps until the terminal is ready, in slices: a deadline that was moved
// and a closing are seen that late.
func (t *Terminal) wait(event int16, deadline *atomic.Int64) error {
	left := slice
	if at := deadline.Load(); at != 0 {
		if left = min(left, time.Until(time.Unix(0, at))); left <= 0 {
			return os.ErrDeadlineExceeded
		}
	}
	return t.Control(func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd), Events: event}}
		_, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return err
	})
}

// Close closes it; who waits in Read or Write gets an error.
func (t *Terminal) Close() error {
	if t.closed.Swap(true) {
		return os.ErrClosed
	}
	t.use.Lock()
	defer t.use.Unlock()
	return unix.Close(t.fd)
}
