package usb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"mtkport"
)

// The two faults of a wire. Both may be cured by connecting again.
var (
	// ErrGone: the device left the bus or the other side closed.
	ErrGone = errors.New("the phone is gone from the port")
	// ErrTimeout: nothing came, or nothing was taken, in time.
	ErrTimeout = errors.New("the phone does not answer")
)

// Conn is what a Link needs of a transport. net.Conn has it, and so has a
// terminal opened by this package.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// Link is one open wire. It is used by one goroutine at a time.
type Link struct {
	conn    Conn
	port    Port
	release func()
	in, out int64
}

// NewLink makes a Link of an open transport; release, which may be nil, is
// called once at Close.
func NewLink(c Conn, p Port, release func()) *Link { return &Link{conn: c, port: p, release: release} }

// Port returns what is known of the port.
func (l *Link) Port() Port { return l.port }

// Moved returns the bytes read and written so far.
func (l *Link) Moved() (in, out int64) { return l.in, l.out }

// Close closes the wire and frees the lock on the port.
func (l *Link) Close() error {
	err := l.conn.Close()
	if l.release != nil {
		l.release()
		l.release = nil
	}
	return err
}

var past = time.Unix(1, 0)

// ReadFull fills b. It fails with ErrTimeout when no byte came for the time
// idle (not: when the whole took longer), ErrGone, or the error of ctx.
func (l *Link) ReadFull(ctx context.Context, b []byte, idle time.Duration) error {
	return l.ReadEach(ctx, b, idle, nil)
}

// ReadEach is ReadFull that shows each piece as it comes, so that it can be
// summed while the rest is under way; each may be nil.
func (l *Link) ReadEach(ctx context.Context, b []byte, idle time.Duration, each func([]byte)) error {
	n, err := l.read(ctx, b, len(b), idle, each)
	if err != nil && n > 0 {
		return fmt.Errorf("after %d of %d bytes: %w", n, len(b), err)
	}
	return err
}

// ReadSome reads at least one byte, at most len(b).
func (l *Link) ReadSome(ctx context.Context, b []byte, idle time.Duration) (int, error) {
	return l.read(ctx, b, 1, idle, nil)
}

func (l *Link) read(ctx context.Context, b []byte, least int, idle time.Duration, each func([]byte)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(past) })
	defer stop()
	n := 0
	var set time.Time
	for n < least {
		// Pieces are small; the deadline is moved only when it has aged.
		if now := time.Now(); now.Sub(set) > idle/16 {
			set = now
			if err := l.conn.SetReadDeadline(now.Add(idle)); err != nil {
				return n, l.fault(ctx, err)
			}
			if err := ctx.Err(); err != nil { // the deadline above may have undone the one of ctx
				return n, err
			}
		}
		k, err := l.conn.Read(b[n:])
		if each != nil {
			each(b[n : n+k])
		}
		n += k
		l.in += int64(k)
		if err != nil && n < least {
			return n, l.fault(ctx, err)
		}
	}
	return n, nil
}

// Write sends all of b in one go; each idle without progress is an ErrTimeout.
func (l *Link) Write(ctx context.Context, b []byte, idle time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetWriteDeadline(past) })
	defer stop()
	for len(b) > 0 {
		part := b[:min(len(b), 64<<10)]
		if err := l.conn.SetWriteDeadline(time.Now().Add(idle)); err != nil {
			return l.fault(ctx, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := l.conn.Write(part)
		l.out += int64(k)
		if err != nil {
			return l.fault(ctx, err)
		}
		b = b[k:]
	}
	return nil
}

// Drain throws away what comes until the wire was quiet for the time quiet.
// It returns the number of bytes dropped.
func (l *Link) Drain(ctx context.Context, quiet time.Duration) (int, error) {
	var buf [4096]byte
	total := 0
	for total < 1<<20 {
		n, err := l.ReadSome(ctx, buf[:], quiet)
		total += n
		if errors.Is(err, ErrTimeout) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
	return total, &mtkport.Error{Off: mtkport.NoOffset, File: l.port.Name, Field: "input",
		Found: "more than 1 MiB of unasked bytes", Err: mtkport.ErrFormat, Hint: "this port does not lead to a phone in download mode"}
}

// fault sorts an error of the transport into the two of this package.
func (l *Link) fault(ctx context.Context, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	class := err
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		class = ErrTimeout
	case Gone(err):
		class = ErrGone
	}
	return &mtkport.Error{File: l.port.Name, Off: mtkport.NoOffset, Err: class}
}

// Gone says whether err of a transport means that the device left.
func Gone(err error) bool {
	for _, e := range []error{ErrGone, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, os.ErrClosed, net.ErrClosed,
		syscall.EIO, syscall.ENXIO, syscall.ENODEV, syscall.EPIPE, syscall.ECONNRESET, syscall.EBADF, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
