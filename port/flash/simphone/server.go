package simphone

import (
	"context"
	"errors"
	"net"
	"time"

	"mtkport/port/flash/usb"
)

// Line is a way for hosts to reach the phone.
type Line interface {
	// Next waits for a host. After an error of the connection it is called again:
	// a new port appears.
	Next(ctx context.Context) (usb.Conn, error)
	// Name is where hosts find it now: tcp:HOST:PORT or a path.
	Name() string
	Close() error
}

// Server puts a phone on a line, again and again.
type Server struct {
	Phone *Phone
	Line  Line
	Away  time.Duration        // how long the phone is gone when it re-enumerates or restarts
	Event func(string)         // hears of connections, in words; may be nil
	After func(end error) bool // says whether to go on after a connection; nil: always
}

// Run serves until ctx ends; it returns nil then.
func (s *Server) Run(ctx context.Context) error {
	for {
		c, err := s.Line.Next(ctx)
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		s.tell("a host opened the port")
		end := s.Phone.Serve(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		s.tell(reason(end))
		if s.After != nil && !s.After(end) {
			return nil
		}
		if s.Away > 0 {
			select {
			case <-time.After(s.Away):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (s *Server) tell(text string) {
	if s.Event != nil && text != "" {
		s.Event(text)
	}
}

func reason(end error) string {
	switch {
	case errors.Is(end, ErrReenumerate):
		return "the phone comes back at high speed"
	case errors.Is(end, ErrOff):
		return "the phone restarts"
	case errors.Is(end, errCut):
		return "the cable comes off"
	case end == nil || usb.Gone(end):
		return "the host closed the port"
	}
	return end.Error()
}

// tcpLine is a TCP listener for one host at a time.
type tcpLine struct{ l net.Listener }

// ListenTCP makes a line of a TCP address such as 127.0.0.1:0.
func ListenTCP(addr string) (Line, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &tcpLine{l}, nil
}

func (t *tcpLine) Next(ctx context.Context) (usb.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = t.l.Close() })
	defer stop()
	c, err := t.l.Accept()
	if err != nil {
		return nil, err
	}
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetNoDelay(true)
	}
	return c, nil
}

func (t *tcpLine) Name() string { return "tcp:" + t.l.Addr().String() }
func (t *tcpLine) Close() error { return t.l.Close() }
