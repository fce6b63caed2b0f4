package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"mtkport/port/flash/usb"
)

// rawPTY copies n bytes through a pseudo-terminal and drops them: the limit for
// everything that speaks over one. From the master, as the simulated phone sends
// what is read; with up, to the master, as it takes what is written.
func rawPTY(n int64, up bool) error {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer m.Close()
	rc, err := m.SyscallConn()
	if err != nil {
		return err
	}
	var num int
	var inner error
	err = rc.Control(func(fd uintptr) {
		if inner = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); inner == nil {
			num, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err = errors.Join(err, inner); err != nil {
		return err
	}
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", num), os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := usb.MakeRaw(s); err != nil {
		return err
	}
	from, to := m, s
	if up {
		from, to = s, m
	}
	var wg sync.WaitGroup
	var werr error
	wg.Go(func() {
		b := make([]byte, 1<<20)
		for left := n; left > 0 && werr == nil; {
			var k int
			k, werr = from.Write(b[:min(left, int64(len(b)))])
			left -= int64(k)
		}
	})
	b := make([]byte, 1<<20)
	var rerr error
	for left := n; left > 0 && rerr == nil; {
		var k int
		k, rerr = io.ReadFull(to, b[:min(left, int64(len(b)))])
		left -= int64(k)
	}
	wg.Wait()
	return errors.Join(werr, rerr)
}

// rawMain is the hidden command `mtkbench raw-pty up|down BYTES`.
func rawMain(argv []string) error {
	if len(argv) != 2 {
		return errors.New("raw-pty up|down BYTES")
	}
	n, err := strconv.ParseInt(argv[1], 0, 64)
	if err != nil {
		return err
	}
	return rawPTY(n, argv[0] == "up")
}
