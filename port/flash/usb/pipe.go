package usb

import (
	"io"
	"os"
	"sync"
	"time"
)

// Pipe returns the two ends of a buffered wire in memory, with deadlines; each
// direction holds up to 256 KiB. Tests and the simulated phone use it.
func Pipe() (a, b Conn) {
	x, y := newHalf(), newHalf()
	return &end{r: x, w: y}, &end{r: y, w: x}
}

// half is one direction.
type half struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    []byte
	closed bool
	rd, wd time.Time
	timer  [2]*time.Timer
}

const pipeSize = 256 << 10

func newHalf() *half {
	h := &half{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

type end struct{ r, w *half }

func (e *end) Read(b []byte) (int, error)  { return e.r.read(b) }
func (e *end) Write(b []byte) (int, error) { return e.w.write(b) }

func (e *end) Close() error {
	for _, h := range []*half{e.r, e.w} {
		h.mu.Lock()
		h.closed = true
		for _, t := range h.timer {
			if t != nil {
				t.Stop()
			}
		}
		h.cond.Broadcast()
		h.mu.Unlock()
	}
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error  { return e.r.set(0, t) }
func (e *end) SetWriteDeadline(t time.Time) error { return e.w.set(1, t) }

func (h *half) set(i int, t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i == 0 {
		h.rd = t
	} else {
		h.wd = t
	}
	if d := time.Until(t); d <= 0 {
		h.cond.Broadcast()
	} else if h.timer[i] == nil {
		h.timer[i] = time.AfterFunc(d, h.wake)
	} else {
		h.timer[i].Reset(d)
	}
	return nil
}

func (h *half) wake() {
	h.mu.Lock()
	h.cond.Broadcast()
	h.mu.Unlock()
}

func late(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.buf) == 0 {
		switch {
		case h.closed:
			return 0, io.EOF
		case late(h.rd):
			return 0, os.ErrDeadlineExceeded
		}
		h.cond.Wait()
	}
	n := copy(b, h.buf)
	h.buf = h.buf[n:]
	if len(h.buf) == 0 {
		h.buf = nil
	}
	h.cond.Broadcast()
	return n, nil
}

func (h *half) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	total := 0
	for len(b) > 0 {
		switch {
		case h.closed:
			return total, io.ErrClosedPipe
		case late(h.wd):
			return total, os.ErrDeadlineExceeded
		}
		if room := pipeSize - len(h.buf); room > 0 {
			n := min(room, len(b))
			h.buf = append(h.buf, b[:n]...)
			b, total = b[n:], total+n
			h.cond.Broadcast()
			continue
		}
		h.cond.Wait()
	}
	return total, nil
}
