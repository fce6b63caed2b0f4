package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"

	"mtkport/port/flash/usb"
)

// rawPTY copies n bytes through a pseudo-terminal and drops them: the limit for
// everything that speaks over one. From the master, as the simulated phone sends
// what is read; with up, to the master, as it takes what is written.
func rawPTY(n int64, up bool) error {
	m, err := usb.OpenTerminal("/dev/ptmx")
	if err != nil {
		return err
	}
	defer m.Close()
	name, err := m.Unlock()
	if err != nil {
		return err
	}
	s, err := openSlave(name) // held open, so that the other end's going is no hang-up
	if err != nil {
		return err
	}
	defer s.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The other end is a process of its own, as phone and flasher are two.
	way := "down"
	if up {
		way = "up"
	}
	other := exec.Command(self, "raw-pty", way, strconv.FormatInt(n, 10), name)
	other.Stderr = os.Stderr
	if err := other.Start(); err != nil {
		return err
	}
	if up {
		err = drop(m, n)
	} else {
		err = push(m, n)
	}
	return errors.Join(err, other.Wait())
}

func openSlave(name string) (*usb.Terminal, error) {
	s, err := usb.OpenTerminal(name)
	if err != nil {
		return nil, err
	}
	return s, s.MakeRaw()
}

func push(w io.Writer, n int64) error {
	b := make([]byte, 1<<20)
	for n > 0 {
		k, err := w.Write(b[:min(n, int64(len(b)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

func drop(r io.Reader, n int64) error {
	b := make([]byte, 1<<20)
	for n > 0 {
		k, err := io.ReadFull(r, b[:min(n, int64(len(b)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// rawMain is the hidden command `mtkbench raw-pty up|down BYTES`.
func rawMain(argv []string) error {
	if len(argv) != 2 && len(argv) != 3 {
		return errors.New("raw-pty up|down BYTES")
	}
	n, err := strconv.ParseInt(argv[1], 0, 64)
	if err != nil {
		return err
	}
	if len(argv) == 2 {
		return rawPTY(n, argv[0] == "up")
	}
	s, err := openSlave(argv[2])
	if err != nil {
		return err
	}
	defer s.Close()
	if argv[0] == "up" {
		return push(s, n)
	}
	return drop(s, n)
}
