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
	master *usb.Terminal
	slave  string
}

// ListenPTY makes a line of pseudo-terminals. link, which may be empty, is a
// symbolic link that is kept pointing at the current one.
func ListenPTY(link string) (Line, error) {
	p := &ptyLine{link: link}
	return p, p.open()
}

func (p *ptyLine) open() error {
	m, err := usb.OpenTerminal("/dev/ptmx")
	if err != nil {
		return err
	}
	if p.slave, err = m.Unlock(); err == nil {
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
	s, err := usb.OpenTerminal(name)
	if err != nil {
		return err
	}
	return errors.Join(s.MakeRaw(), s.Close())
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
	*usb.Terminal
	slave, link string
}

// Close removes the link, if it still leads here, and closes.
func (c *ptyConn) Close() error {
	if c.link != "" {
		if to, err := os.Readlink(c.link); err == nil && to == c.slave {
			_ = os.Remove(c.link)
		}
	}
	return c.Terminal.Close()
}

// hostThere polls the master: hang-up says that nobody has the slave open.
func (p *ptyLine) hostThere() (bool, error) {
	open := false
	err := p.master.Control(func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, 0); err != nil {
			return ignoreEINTR(err)
		}
		open = fds[0].Revents&unix.POLLHUP == 0
		return nil
	})
	return open, err
}

func ignoreEINTR(err error) error {
	if errors.Is(err, syscall.EINTR) {
		return nil
	}
	return err
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
