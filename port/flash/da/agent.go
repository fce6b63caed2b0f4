package da

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"mtkport"
	"mtkport/port/flash/usb"
)

// Timing are the waits of the dialogue.
type Timing struct {
	Answer time.Duration // for one answer
	Sync   time.Duration // for the agent's first byte after the jump
	Settle time.Duration // for the agent's own "all received" after stage 2
	Flash  time.Duration // for an answer that waits for the flash (erase before write)
	Quiet  time.Duration // silence that ends a drain
}

// DefaultTiming is generous: an eMMC may pause for seconds while it tidies up.
var DefaultTiming = Timing{Answer: 5 * time.Second, Sync: 5 * time.Second, Settle: 600 * time.Millisecond, Flash: 30 * time.Second, Quiet: 50 * time.Millisecond}

// Agent is a running download agent.
type Agent struct {
	link   *usb.Link
	t      Timing
	report Report
	hello  Hello
	ver    [3]byte
}

// Report returns the storage report.
func (a *Agent) Report() Report { return a.report }

// Version returns the agent's version as it gives it.
func (a *Agent) Version() string {
	return fmt.Sprintf("%d.%d.%d", a.ver[0], a.ver[1], a.ver[2])
}

// Link returns the wire.
func (a *Agent) Link() *usb.Link { return a.link }

// Reattach puts the agent on a new wire, after it came back on the bus.
func (a *Agent) Reattach(l *usb.Link) { a.link = l }

// Error is a refusal by the agent, with its number on the wire.
type Error struct {
	Op   string
	Code uint32
}

// Error renders the number with SP Flash Tool's name and meaning.
func (e *Error) Error() string {
	if s, ok := ByNumber(int(e.Code)); ok {
		return fmt.Sprintf("%s: the agent answered %d %s: %s", e.Op, e.Code, s.Name, s.Cause)
	}
	return fmt.Sprintf("%s: the agent answered 0x%x (%d)", e.Op, e.Code, e.Code)
}

// ErrDialogue: the agent did not answer as the protocol has it.
var ErrDialogue = errors.New("out of step with the agent")

func (a *Agent) refused(op string, code uint32) error {
	e := &mtkport.Error{Off: mtkport.NoOffset, Err: &Error{op, code}}
	if s, ok := ByNumber(int(code)); ok {
		e.Hint = s.Hint
	}
	return e
}

func outOfStep(op string, got, want byte) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: op, Found: fmt.Sprintf("0x%02x", got), Want: fmt.Sprintf("0x%02x", want), Err: ErrDialogue,
		Hint: "unplug the phone, battery out for 10 s, and give the same command again"}
}

func (a *Agent) send(ctx context.Context, op string, b ...byte) error {
	if err := a.link.Write(ctx, b, a.t.Answer); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (a *Agent) recv(ctx context.Context, op string, b []byte) error {
	if err := a.link.ReadFull(ctx, b, a.t.Answer); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (a *Agent) u32(ctx context.Context, op string) (uint32, error) {
	var b [4]byte
	err := a.recv(ctx, op, b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

// ack waits for 5A. After A5 the error number follows.
func (a *Agent) ack(ctx context.Context, op string) error {
	return a.ackIn(ctx, op, a.t.Answer)
}

func (a *Agent) ackIn(ctx context.Context, op string, wait time.Duration) error {
	var b [1]byte
	if err := a.link.ReadFull(ctx, b[:], wait); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	switch b[0] {
	case Ack:
		return nil
	case Nack:
		return a.nacked(ctx, op)
	}
	return outOfStep(op, b[0], Ack)
}

// nacked confirms the refusal and reads its number.
func (a *Agent) nacked(ctx context.Context, op string) error {
	if err := a.send(ctx, op, Nack); err != nil {
		return err
	}
	code, err := a.u32(ctx, op)
	if err != nil {
		return err
	}
	return a.refused(op, code)
}

// Alive asks the agent for the speed of its link: true for high speed. It is
// the cheapest proof that the agent still listens.
func (a *Agent) Alive(ctx context.Context) (high bool, err error) {
	const op = "USB_CHECK_STATUS"
	if err := a.send(ctx, op, CmdUSBStatus); err != nil {
		return false, err
	}
	if err := a.ack(ctx, op); err != nil {
		return false, err
	}
	var b [1]byte
	err = a.recv(ctx, op, b[:])
	return b[0] == speedHigh, err
}

// SpeedUp asks the agent to come back on the bus at high speed. The link is
// dead after it: close it, wait for the port, open it, Reattach.
func (a *Agent) SpeedUp(ctx context.Context) error {
	const op = "USB_SETUP_PORT"
	if err := a.send(ctx, op, CmdUSBSetup, 1); err != nil {
		return err
	}
	return a.ack(ctx, op)
}

// maxPMT bounds the partition table: 128 entries of the longest form.
const maxPMT = 128 * 96

// PMT reads the partition table as the agent reports it; raw entries. It
// returns nil without an error when the phone has none.
func (a *Agent) PMT(ctx context.Context) ([]byte, error) {
	const op = "SDMMC_READ_PMT"
	if err := a.send(ctx, op, CmdReadPMT); err != nil {
		return nil, err
	}
	if err := a.ack(ctx, op); err != nil {
		var de *Error
		if errors.As(err, &de) {
			return nil, nil
		}
		return nil, err
	}
	n, err := a.u32(ctx, op)
	if err != nil {
		return nil, err
	}
	if n > maxPMT {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: op + " length", Found: fmt.Sprint(n), Want: fmt.Sprintf("at most %d", maxPMT), Err: mtkport.ErrFormat}
	}
	if err := a.send(ctx, op, Ack); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if err := a.recv(ctx, op, b); err != nil {
		return nil, err
	}
	return b, a.send(ctx, op, Ack)
}

// Finish ends the session; the phone stays as it is until it is unplugged.
func (a *Agent) Finish(ctx context.Context) error {
	const op = "FINISH"
	if err := a.send(ctx, op, CmdFinish); err != nil {
		return err
	}
	if err := a.ack(ctx, op); err != nil {
		return err
	}
	if err := a.send(ctx, op, 0, 0, 0, FinishNormal); err != nil {
		return err
	}
	return a.ack(ctx, op)
}

// Reboot lets the watchdog restart the phone.
func (a *Agent) Reboot(ctx context.Context) error { return Reboot(ctx, a.link, a.t.Answer) }

// Reboot restarts a phone on which an agent of an earlier run still listens.
func Reboot(ctx context.Context, l *usb.Link, wait time.Duration) error {
	// timeout 0 ms, not async, no boot-up flag, no download bit, keep the clock
	if err := l.Write(ctx, []byte{CmdWatchdog, 0, 0, 0, 0, 0, 0, 0, 1}, wait); err != nil {
		return err
	}
	var b [1]byte
	if err := l.ReadFull(ctx, b[:], wait); err != nil {
		return err
	}
	if b[0] != Ack {
		return outOfStep("ENABLE_WATCHDOG", b[0], Ack)
	}
	return nil
}
