package usb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.bug.st/serial"

	"mtkport"
)

// Open opens the port at once, without waiting for it. Only one mtkport may
// have a port open; its claim dies with the program and leaves nothing behind.
func Open(ctx context.Context, p Port) (*Link, error) {
	release, err := lock(p.Name)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, p)
	if err != nil {
		release()
		return nil, explain(p, err)
	}
	return NewLink(c, p, release), nil
}

func dial(ctx context.Context, p Port) (Conn, error) {
	if hp, ok := Addr(p.Name).TCP(); ok {
		d := net.Dialer{Timeout: 5 * time.Second}
		c, err := d.DialContext(ctx, "tcp", hp)
		if err != nil {
			return nil, err
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetNoDelay(true)
		}
		return c, nil
	}
	if IsPTY(p.Name) {
		return openTerminal(p.Name)
	}
	if h := modemManager(Holders(p.Name)); h != "" {
		return nil, fmt.Errorf("%w by %s", errHeld, h)
	}
	// The rate is for form's sake: the USB device ignores it.
	s, err := serial.Open(p.Name, &serial.Mode{BaudRate: 921600, DataBits: 8})
	if err != nil {
		return nil, err
	}
	return &serialConn{port: s}, nil
}

var errHeld = errors.New("held open")

func modemManager(holders []string) string {
	for _, h := range holders {
		if strings.HasPrefix(h, "ModemManager") || strings.HasPrefix(h, "brltty") {
			return h
		}
	}
	return ""
}

// IsPTY says whether name is, or links to, a pseudo-terminal.
func IsPTY(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	return err == nil && strings.HasPrefix(real, "/dev/pts/")
}

// explain turns the open error into what to do about it.
func explain(p Port, err error) error {
	e := &mtkport.Error{File: p.Name, Off: mtkport.NoOffset, Field: "open", Err: err}
	holders := Holders(p.Name)
	var se *serial.PortError
	code := serial.PortErrorCode(-1)
	if errors.As(err, &se) {
		code = se.Code()
	}
	switch {
	case errors.Is(err, errHeld), code == serial.PortBusy, errors.Is(err, syscall.EBUSY):
		e.Hint = busyHint(holders)
	case errors.Is(err, fs.ErrPermission), code == serial.PermissionDenied:
		e.Hint = "you may not open this port: add yourself to its group (usually: sudo usermod -aG dialout $USER, then log in again), or add the udev rule that 'mtkport doctor' prints"
	case errors.Is(err, fs.ErrNotExist), code == serial.PortNotFound:
		e.Hint = "no such port: plug the phone in and look with 'mtkport device info', or leave --port away to find it"
		e.Err = fmt.Errorf("%w (%w)", ErrGone, err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		e.Hint = "nobody answers there: check the address and the network"
		e.Err = fmt.Errorf("%w (%w)", ErrGone, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Hint = "nobody listens there: start 'mtkport sim --listen " + strings.TrimPrefix(p.Name, "tcp:") + "' or check the address"
		e.Err = fmt.Errorf("%w (%w)", ErrGone, err)
	}
	return e
}

func busyHint(holders []string) string {
	if h := modemManager(holders); h != "" {
		return "SP Flash Tool calls this S_COM_PORT_OPEN_FAIL (1003): " + h +
			" talks to the port; stop it for the time (sudo systemctl stop ModemManager), or tell it for good to leave 0e8d devices alone (udev: ENV{ID_MM_DEVICE_IGNORE}=\"1\")"
	}
	if len(holders) > 0 {
		return "SP Flash Tool calls this S_COM_PORT_OPEN_FAIL (1003): " + strings.Join(holders, ", ") + " has the port open; close it and try again"
	}
	return "SP Flash Tool calls this S_COM_PORT_OPEN_FAIL (1003): another program has the port open; close it, or unplug the phone and plug it in again"
}

// lock keeps other programs, and this one, off a port. The same port under
// another name is the same.
func lock(name string) (release func(), err error) {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	release, err = lockName(name)
	if errors.Is(err, ErrInUse) {
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "port", Found: "another mtkport at work on it", Want: "one at a time", Err: ErrInUse,
			Hint: "wait until it is done, or stop it (it can be resumed)"}
	}
	return release, err
}

// ErrInUse: another mtkport has the port.
var ErrInUse = errors.New("the port is in use")
