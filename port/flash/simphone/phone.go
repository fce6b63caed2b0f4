package simphone

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"mtkport/port/flash/da"
	"mtkport/port/flash/usb"
)

// Write is one write or erase that reached the storage.
type Write struct {
	Region string `json:"region"`
	Off    int64  `json:"offset"`
	Len    int64  `json:"length"`
	Torn   bool   `json:"torn,omitempty"` // the cable came off inside it
	Erase  bool   `json:"erase,omitempty"`
}

// String renders as `EMMC_USER 0x1000-0x2000`.
func (w Write) String() string { return fmt.Sprintf("%s 0x%x-0x%x", w.Region, w.Off, w.Off+w.Len) }

// Area is a range that nobody may write; see [Phone.Protect].
type Area struct {
	Region   string
	Off, Len int64
	Name     string
}

// Phone is the simulated phone. One connection is served at a time.
type Phone struct {
	Profile Profile
	Flash   *Flash
	Hook    Hook          // sees every message; nil for none
	Trace   func(Message) // hears every message after it passed; nil for none

	mu      sync.Mutex
	writes  []Write
	crimes  []Write
	protect []Area
	seq     int64
	moved   int64
	runs    []RAMRun

	conn    usb.Conn
	ctx     context.Context
	running bool // an agent is up
	fast    bool // at high speed
	part    byte
	sum     uint16 // of what fill read last
	owed    time.Duration
	bufs    [2][]byte // of the transfer under way
}

// RAMRun is an image that was uploaded and jumped to.
type RAMRun struct {
	Addr uint32
	Len  int
	Sum  uint16
}

// New makes a phone.
func New(p Profile, f *Flash) *Phone { return &Phone{Profile: p, Flash: f} }

// Protect declares a range whose writing is a crime.
func (ph *Phone) Protect(a ...Area) { ph.protect = append(ph.protect, a...) }

// Writes returns the record of all writes, neighbours joined.
func (ph *Phone) Writes() []Write {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return append([]Write(nil), ph.writes...)
}

// Crimes returns the writes that met a protected range.
func (ph *Phone) Crimes() []Write {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return append([]Write(nil), ph.crimes...)
}

// Runs returns what was jumped to, the agent's own stage included.
func (ph *Phone) Runs() []RAMRun {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return append([]RAMRun(nil), ph.runs...)
}

// Moved returns the number of messages and of bytes so far.
func (ph *Phone) Moved() (messages, bytes int64) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return ph.seq, ph.moved
}

func (ph *Phone) record(w Write) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	for _, a := range ph.protect {
		if a.Region == w.Region && w.Off < a.Off+a.Len && a.Off < w.Off+w.Len {
			ph.crimes = append(ph.crimes, w)
		}
	}
	if n := len(ph.writes); n > 0 {
		l := &ph.writes[n-1]
		if l.Region == w.Region && l.Erase == w.Erase && !l.Torn && !w.Torn && l.Off+l.Len == w.Off {
			l.Len += w.Len
			return
		}
	}
	ph.writes = append(ph.writes, w)
}

// How a connection ended.
var (
	// ErrReenumerate: the agent leaves the bus to come back at high speed.
	ErrReenumerate = errors.New("the phone re-enumerates")
	// ErrOff: the phone restarted or was told to.
	ErrOff = errors.New("the phone restarts")
	errCut = errors.New("the cable was cut")
)

// Serve talks to one host until the connection ends. It returns ErrReenumerate,
// ErrOff, or the reason why the link ended; it closes conn.
func (ph *Phone) Serve(ctx context.Context, conn usb.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	ph.conn, ph.ctx = conn, ctx
	var err error
	if ph.running {
		err = ph.agent()
	} else {
		err = ph.loader()
	}
	if errors.Is(err, ErrOff) || errors.Is(err, ErrReenumerate) {
		ph.linger()
	}
	if errors.Is(err, ErrOff) || (!errors.Is(err, ErrReenumerate) && !ph.Profile.KeepDA) {
		ph.PowerOff()
	}
	return err
}

// linger lets the last answer reach the host before the port goes: closing a
// pseudo-terminal throws away what was not read.
func (ph *Phone) linger() {
	ph.idle(50 * time.Millisecond)
	var b [64]byte
	for {
		if _, err := ph.conn.Read(b[:]); err != nil {
			return
		}
	}
}

// PowerOff is the battery taken out: memory is lost, flash is not.
func (ph *Phone) PowerOff() { ph.running, ph.fast, ph.part = false, false, 0 }

// next numbers a message and asks the hook.
func (ph *Phone) next(d Dir, what string, n int) (Message, Action) {
	ph.mu.Lock()
	ph.seq++
	m := Message{Seq: ph.seq, Dir: d, What: what, Len: n, At: ph.moved}
	ph.moved += int64(n)
	ph.mu.Unlock()
	var a Action
	if ph.Hook != nil {
		a = ph.Hook(m)
	}
	if ph.Trace != nil {
		ph.Trace(m)
	}
	return m, a
}

// recv reads the whole of b. When the cable is cut inside, it returns how much
// came before.
func (ph *Phone) recv(what string, b []byte) (int, error) {
	_, a := ph.next(In, what, len(b))
	switch a.Act {
	case Cut:
		n, _ := ph.fill(b[:min(a.Byte, len(b))])
		return n, ph.cut()
	case Stall:
		return 0, ph.stall()
	}
	n, err := ph.fill(b)
	ph.pace(n)
	return n, err
}

// fill reads the whole of b and sums it as it comes.
func (ph *Phone) fill(b []byte) (int, error) {
	n := 0
	ph.sum = 0
	for n < len(b) {
		k, err := ph.conn.Read(b[n:])
		ph.sum += da.Sum(b[n : n+k])
		n += k
		if err != nil && n < len(b) {
			return n, err
		}
	}
	return n, nil
}

// idle sets how long the host may think; a dead host is noticed by the transport.
func (ph *Phone) idle(d time.Duration) {
	if d == 0 {
		_ = ph.conn.SetReadDeadline(time.Now().Add(time.Hour))
		return
	}
	_ = ph.conn.SetReadDeadline(time.Now().Add(d))
}

func (ph *Phone) cut() error {
	_ = ph.conn.Close()
	return errCut
}

// stall waits for the host to give up.
func (ph *Phone) stall() error {
	ph.idle(0)
	var b [4096]byte
	for {
		if _, err := ph.conn.Read(b[:]); err != nil {
			return err
		}
	}
}

func (ph *Phone) send(what string, b ...byte) error {
	_, a := ph.next(Out, what, len(b))
	switch a.Act {
	case Cut:
		_, _ = ph.conn.Write(b[:min(a.Byte, len(b))])
		return ph.cut()
	case Stall:
		return ph.stall()
	case Short:
		b = b[:min(a.Byte, len(b))]
	case Spoil:
		c := append([]byte(nil), b...)
		c[min(a.Byte, len(c)-1)] ^= 0x10
		b = c
	case Nack:
		b = append([]byte{0xA5}, binary.BigEndian.AppendUint32(nil, 3200)...)
	}
	return ph.emit(b)
}

func (ph *Phone) emit(b []byte) error {
	ph.pace(len(b))
	_, err := ph.conn.Write(b)
	return err
}

// pace slows payload down to the profile's rate.
func (ph *Phone) pace(n int) {
	if ph.Profile.Rate <= 0 {
		return
	}
	ph.owed += time.Duration(n) * time.Second / time.Duration(ph.Profile.Rate)
	if ph.owed > 2*time.Millisecond {
		t := time.Now()
		select {
		case <-time.After(ph.owed):
		case <-ph.ctx.Done():
		}
		ph.owed -= time.Since(t)
	}
}

func (ph *Phone) byte(what string) (byte, error) {
	var b [1]byte
	_, err := ph.recv(what, b[:])
	return b[0], err
}

func (ph *Phone) u16(what string) (uint16, error) {
	var b [2]byte
	_, err := ph.recv(what, b[:])
	return binary.BigEndian.Uint16(b[:]), err
}

func (ph *Phone) u32(what string) (uint32, error) {
	var b [4]byte
	_, err := ph.recv(what, b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

func (ph *Phone) put16(what string, v uint16) error {
	return ph.send(what, byte(v>>8), byte(v))
}

func (ph *Phone) put32(what string, v uint32) error {
	return ph.send(what, binary.BigEndian.AppendUint32(nil, v)...)
}

// fields reads a command's fields.
func (ph *Phone) fields(what string, v any) error {
	b := make([]byte, binary.Size(v))
	if _, err := ph.recv(what, b); err != nil {
		return err
	}
	_, err := binary.Decode(b, binary.BigEndian, v)
	return err
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
