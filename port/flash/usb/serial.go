package usb

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// serialConn gives a serial.Port deadlines. The library has a read timeout and
// no write timeout, and reports an elapsed timeout as zero bytes.
type serialConn struct {
	port  serial.Port
	mu    sync.Mutex
	rd    time.Time
	wd    time.Time
	stuck chan struct{} // closed when a write that timed out came to its end
}

func (c *serialConn) deadline(p *time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *p
}

// SetReadDeadline sets when Read gives up. It may be called while Read runs.
func (c *serialConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.rd = t
	c.mu.Unlock()
	return nil
}

// SetWriteDeadline sets when Write gives up. It may be called while Write runs.
func (c *serialConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.wd = t
	c.mu.Unlock()
	return nil
}

// slice is how long one blocking read lasts: a moved deadline is seen that late.
const slice = 20 * time.Millisecond

func (c *serialConn) Read(b []byte) (int, error) {
	for {
		left := time.Until(c.deadline(&c.rd))
		if left <= 0 {
			return 0, os.ErrDeadlineExceeded
		}
		if err := c.port.SetReadTimeout(max(min(left, slice), time.Millisecond)); err != nil {
			return 0, gone(err)
		}
		n, err := c.port.Read(b)
		if err != nil {
			return n, gone(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (c *serialConn) Write(b []byte) (int, error) {
	if c.stuck != nil {
		select {
		case <-c.stuck:
			c.stuck = nil
		default:
			return 0, os.ErrDeadlineExceeded
		}
	}
	type result struct {
		n   int
		err error
	}
	ch, end := make(chan result, 1), make(chan struct{})
	go func() {
		n, err := c.port.Write(b)
		ch <- result{n, err}
		close(end)
	}()
	tick := time.NewTicker(slice)
	defer tick.Stop()
	for {
		select {
		case r := <-ch:
			return r.n, gone(r.err)
		case <-tick.C:
			if time.Now().After(c.deadline(&c.wd)) {
				c.stuck = end
				return 0, os.ErrDeadlineExceeded
			}
		}
	}
}

func (c *serialConn) Close() error { return c.port.Close() }

// gone maps the library's words for a vanished device.
func gone(err error) error {
	var pe *serial.PortError
	if errors.As(err, &pe) && pe.Code() == serial.PortClosed {
		return syscall.EIO
	}
	return err
}
