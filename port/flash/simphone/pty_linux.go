package simphone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mtkport/port/flash/usb"
)

// ptyLine is a pseudo-terminal that gets a new number at each connection, as a
// phone gets a new ttyACM; a link, if wanted, always names the one of now.
type ptyLine struct {
	link   string
	master *os.File
	slave  string
}

// ListenPTY makes a line of pseudo-terminals. link, which may be empty, is a
// symbolic link that is kept pointing at the current one.
func ListenPTY(link string) (Line, error) {
	p := &ptyLine{link: link}
	return p, p.open()
}

func (p *ptyLine) open() error {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	rc, err := m.SyscallConn()
	if err != nil {
		return errors.Join(err, m.Close())
	}
	var n int
	var inner error
	err = rc.Control(func(fd uintptr) {
		if inner = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); inner == nil {
			n, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err = errors.Join(err, inner); err == nil {
		p.slave = fmt.Sprintf("/dev/pts/%d", n)
		err = rawSlave(p.slave)
	}
	if err == nil && p.link != "" {
		err = relink(p.slave, p.link)
	}
	if err != nil {
		return errors.Join(err, m.Close())
	}
	p.master = m
	return nil
}

// rawSlave sets the terminal raw once: the setting stays when it is closed.
func rawSlave(name string) error {
	s, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	return errors.Join(usb.MakeRaw(s), s.Close())
}

func relink(to, link string) error {
	tmp := filepath.Join(filepath.Dir(link), fmt.Sprintf(".%s.%d", filepath.Base(link), os.Getpid()))
	if err := os.Symlink(to, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

// Next waits until a host has the terminal open: before that, reading the master
// fails with EIO.
func (p *ptyLine) Next(ctx context.Context) (usb.Conn, error) {
	if p.master == nil {
		if err := p.open(); err != nil {
			return nil, err
		}
	}
	for ctx.Err() == nil {
		open, err := p.hostThere()
		if err != nil {
			return nil, err
		}
		if open {
			c := &ptyConn{p.master, p.slave, p.link}
			p.master = nil
			return c, nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}

// ptyConn takes its link away before it goes: the number of a closed terminal
// may be another one's at once.
type ptyConn struct {
	*os.File
	slave, link string
}

// Close removes the link, if it still leads here, and closes.
func (c *ptyConn) Close() error {
	if c.link != "" {
		if to, err := os.Readlink(c.link); err == nil && to == c.slave {
			_ = os.Remove(c.link)
		}
	}
	return c.File.Close()
}

// hostThere polls the master: hang-up says that nobody has the slave open.
func (p *ptyLine) hostThere() (bool, error) {
	rc, err := p.master.SyscallConn()
	if err != nil {
		return false, err
	}
	open := false
	err = rc.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, e := unix.Poll(fds, 0); e != nil && !errors.Is(e, syscall.EINTR) {
			return
		}
		open = fds[0].Revents&unix.POLLHUP == 0
	})
	return open, err
}

func (p *ptyLine) Name() string {
	if p.link != "" {
		return p.link
	}
	return p.slave
}

func (p *ptyLine) Close() error {
	if p.link != "" {
		_ = os.Remove(p.link)
	}
	if p.master == nil {
		return nil
	}
	return p.master.Close()
}
