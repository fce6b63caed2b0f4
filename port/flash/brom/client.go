package brom

import (
	"bytes"
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
	Poll   time.Duration // between two first bytes of the handshake
	Quiet  time.Duration // silence that ends a drain after a mismatch
	Answer time.Duration // for one answer
	Total  time.Duration // for the whole handshake
}

// DefaultTiming suits a real preloader, which polls every 20 ms for 2.5 s.
var DefaultTiming = Timing{Poll: 30 * time.Millisecond, Quiet: 20 * time.Millisecond, Answer: 5 * time.Second, Total: 4 * time.Second}

// Client is the host's side of the dialogue.
type Client struct {
	link *usb.Link
	t    Timing
}

// ErrDARunning: not the boot ROM answered but a download agent left running by
// an earlier program.
var ErrDARunning = errors.New("a download agent from an earlier run answers")

// ErrHandshake: something is on the port, and it is not a loader.
var ErrHandshake = errors.New("no handshake")

// Connect does the handshake. It returns ErrDARunning, ErrHandshake, or an
// error of the wire.
func Connect(ctx context.Context, l *usb.Link, t Timing) (*Client, error) {
	c := &Client{link: l, t: t}
	hctx, cancel := context.WithTimeout(ctx, t.Total)
	defer cancel()
	for {
		err := c.handshake(hctx)
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case hctx.Err() != nil:
			return nil, &mtkport.Error{File: l.Port().Name, Off: mtkport.NoOffset, Field: "handshake", Err: ErrHandshake,
				Hint: "SP Flash Tool: S_BROM_CMD_STARTCMD_FAIL (2005). The phone was already starting: unplug it, battery out for 10 s, start this command first, then plug it in (holding a volume key for the boot ROM); try a USB 2 port"}
		case errors.Is(err, errAgain):
		default:
			return nil, err
		}
	}
}

var errAgain = errors.New("again")

// handshake is one round. A first byte may be swallowed, "READY" may come at
// any time, and after any mismatch everything in flight is dropped: without
// that the two sides can stay one byte out of phase for ever.
func (c *Client) handshake(ctx context.Context) error {
	for i, b := range Start {
		if err := c.link.Write(ctx, []byte{b}, c.t.Answer); err != nil {
			return err
		}
		got, err := c.reply(ctx)
		if errors.Is(err, usb.ErrTimeout) {
			return errAgain
		}
		if err != nil {
			return err
		}
		switch {
		case got == ^b:
		case i == 0 && got == b:
			return nil // a preloader in command mode echoes what it does not know
		case i == 0 && got == daUnknown:
			return ErrDARunning
		default:
			_, err := c.link.Drain(ctx, c.t.Quiet)
			return errors.Join(errAgain, err)
		}
	}
	return nil
}

// daUnknown is what a running DA answers to a command it does not know.
const daUnknown = 0xBB

func (c *Client) reply(ctx context.Context) (byte, error) {
	var b [1]byte
	for range 64 {
		if err := c.link.ReadFull(ctx, b[:], c.t.Poll); err != nil {
			return 0, err
		}
		if bytes.IndexByte([]byte(Ready), b[0]) < 0 {
			return b[0], nil
		}
	}
	return 0, usb.ErrTimeout
}

// echo sends b and wants the same back.
func (c *Client) echo(ctx context.Context, what string, b ...byte) error {
	if err := c.link.Write(ctx, b, c.t.Answer); err != nil {
		return wrap(what, err)
	}
	got := make([]byte, len(b))
	if err := c.link.ReadFull(ctx, got, c.t.Answer); err != nil {
		return wrap(what, err)
	}
	if !bytes.Equal(got, b) {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: what, Found: fmt.Sprintf("echo % x", got), Want: fmt.Sprintf("% x", b), Err: ErrHandshake,
			Hint: "unplug the phone, battery out for 10 s, and begin again"}
	}
	return nil
}

func wrap(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }

func (c *Client) echo32(ctx context.Context, what string, v uint32) error {
	return c.echo(ctx, what, binary.BigEndian.AppendUint32(nil, v)...)
}

func (c *Client) read(ctx context.Context, what string, n int) ([]byte, error) {
	b := make([]byte, n)
	if err := c.link.ReadFull(ctx, b, c.t.Answer); err != nil {
		return nil, wrap(what, err)
	}
	return b, nil
}

// status reads a status word and turns a bad one into an error.
func (c *Client) status(ctx context.Context, what string) error {
	b, err := c.read(ctx, what, 2)
	if err != nil {
		return err
	}
	return statusError(what, Status(binary.BigEndian.Uint16(b)))
}

func statusError(what string, s Status) error {
	if s.OK() {
		return nil
	}
	e := &mtkport.Error{Off: mtkport.NoOffset, Field: what, Found: s.String(), Err: errStatus}
	if s.Secure() {
		e.Err, e.Hint = mtkport.ErrRefused, SecureHint
	}
	return e
}

var errStatus = errors.New("the phone refused the command")

// SecureHint explains a phone that wants authentication.
const SecureHint = "a secure phone: it takes only its vendor's signed download agent or an authenticated host (SP Flash Tool reports errors of the 6xxx family). mtkport does not get around that; the vendor's service can. Nothing was written"

// Word16 reads a register-wide value that a plain command answers with.
func (c *Client) words(ctx context.Context, what string, cmd byte, n int) ([]uint16, error) {
	if err := c.echo(ctx, what, cmd); err != nil {
		return nil, err
	}
	b, err := c.read(ctx, what, 2*n+2)
	if err != nil {
		return nil, err
	}
	out := make([]uint16, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return out, statusError(what, Status(binary.BigEndian.Uint16(b[2*n:])))
}

// Identify asks all that can be asked without changing anything. The order is
// the one of the field's tools.
func (c *Client) Identify(ctx context.Context) (Info, error) {
	var in Info
	w, err := c.words(ctx, "GET_HW_CODE", CmdHWCode, 1)
	if err != nil {
		return in, err
	}
	in.HWCode = w[0]
	if w, err = c.words(ctx, "GET_TARGET_CONFIG", CmdTargetConfig, 2); err != nil {
		return in, err
	}
	in.Target = Config(w[0])<<16 | Config(w[1])
	if in.BLVer, err = c.ask(ctx, "GET_BL_VER", CmdBLVer); err != nil {
		return in, err
	}
	in.Mode = ModePreloader
	if in.BLVer == CmdBLVer {
		in.Mode = ModeBROM
	}
	if in.BROMVer, err = c.ask(ctx, "GET_VERSION", CmdVersion); err != nil {
		return in, err
	}
	if w, err = c.words(ctx, "GET_HW_SW_VER", CmdHWSWVer, 3); err != nil {
		return in, err
	}
	in.HWSub, in.HWVer, in.SWVer = w[0], w[1], w[2]
	if in.Mode == ModeBROM {
		in.MEID, err = c.meID(ctx)
	}
	return in, err
}

// ask sends a command that is answered by one byte instead of an echo.
func (c *Client) ask(ctx context.Context, what string, cmd byte) (byte, error) {
	if err := c.link.Write(ctx, []byte{cmd}, c.t.Answer); err != nil {
		return 0, wrap(what, err)
	}
	b, err := c.read(ctx, what, 1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// meID reads the chip's own id. Only a boot ROM knows the command: an MT6572
// preloader would echo it and fall silent.
func (c *Client) meID(ctx context.Context) ([]byte, error) {
	const what = "GET_ME_ID"
	if err := c.echo(ctx, what, CmdGetMEID); err != nil {
		return nil, err
	}
	b, err := c.read(ctx, what, 4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(b)
	if n > 64 {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: what + " length", Found: fmt.Sprint(n), Want: "16", Err: mtkport.ErrFormat}
	}
	id, err := c.read(ctx, what, int(n))
	if err != nil {
		return nil, err
	}
	return id, c.status(ctx, what)
}

// StopWatchdog stops the timer that would reset the phone half way.
func (c *Client) StopWatchdog(ctx context.Context, chip Chip) error {
	return c.Write32(ctx, chip.Watchdog, chip.WatchdogOff)
}

func (c *Client) access(ctx context.Context, what string, cmd byte, addr uint32, n int) error {
	if err := c.echo(ctx, what, cmd); err != nil {
		return err
	}
	if err := c.echo32(ctx, what+" address", addr); err != nil {
		return err
	}
	if err := c.echo32(ctx, what+" count", uint32(n)); err != nil {
		return err
	}
	return c.status(ctx, what)
}

// Write32 writes one register.
func (c *Client) Write32(ctx context.Context, addr, v uint32) error {
	return c.write(ctx, "WRITE32", CmdWrite32, addr, binary.BigEndian.AppendUint32(nil, v))
}

// Write16 writes one 16-bit register.
func (c *Client) Write16(ctx context.Context, addr uint32, v uint16) error {
	return c.write(ctx, "WRITE16", CmdWrite16, addr, binary.BigEndian.AppendUint16(nil, v))
}

func (c *Client) write(ctx context.Context, what string, cmd byte, addr uint32, v []byte) error {
	if err := c.access(ctx, what, cmd, addr, 1); err != nil {
		return err
	}
	if err := c.echo(ctx, what+" value", v...); err != nil {
		return err
	}
	return c.status(ctx, what)
}

// maxRegs bounds one register read: a page of them is more than anyone asks.
const maxRegs = 1024

// Read32 reads n registers from addr on.
func (c *Client) Read32(ctx context.Context, addr uint32, n int) ([]uint32, error) {
	b, err := c.regs(ctx, "READ32", CmdRead32, addr, n, 4)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	return out, nil
}

// Read16 reads n 16-bit registers from addr on.
func (c *Client) Read16(ctx context.Context, addr uint32, n int) ([]uint16, error) {
	b, err := c.regs(ctx, "READ16", CmdRead16, addr, n, 2)
	if err != nil {
		return nil, err
	}
	out := make([]uint16, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return out, nil
}

func (c *Client) regs(ctx context.Context, what string, cmd byte, addr uint32, n, width int) ([]byte, error) {
	if n < 1 || n > maxRegs {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: what + " count", Found: fmt.Sprint(n), Want: fmt.Sprintf("1…%d", maxRegs), Err: mtkport.ErrTooBig}
	}
	if err := c.access(ctx, what, cmd, addr, n); err != nil {
		return nil, err
	}
	b, err := c.read(ctx, what, n*width)
	if err != nil {
		return nil, err
	}
	return b, c.status(ctx, what)
}

// SendDA uploads an image of which the last sigLen bytes are its signature, and
// compares the checksum that the phone computed.
func (c *Client) SendDA(ctx context.Context, addr uint32, image []byte, sigLen uint32) error {
	const what = "SEND_DA"
	if err := c.echo(ctx, what, CmdSendDA); err != nil {
		return err
	}
	for _, p := range []struct {
		name string
		v    uint32
	}{{"address", addr}, {"length", uint32(len(image))}, {"signature length", sigLen}} {
		if err := c.echo32(ctx, what+" "+p.name, p.v); err != nil {
			return err
		}
	}
	if err := c.status(ctx, what); err != nil {
		return err
	}
	for rest := image; len(rest) > 0; {
		n := min(len(rest), 0x400)
		if err := c.link.Write(ctx, rest[:n], c.t.Answer); err != nil {
			return wrap(what, err)
		}
		rest = rest[n:]
	}
	b, err := c.read(ctx, what, 4)
	if err != nil {
		return err
	}
	if err := statusError(what, Status(binary.BigEndian.Uint16(b[2:]))); err != nil {
		return err
	}
	if got, want := binary.BigEndian.Uint16(b), Sum16(image); got != want {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: what + " checksum", Found: fmt.Sprintf("0x%04x", got), Want: fmt.Sprintf("0x%04x", want), Err: mtkport.ErrDamaged,
			Hint: "the upload was garbled: SP Flash Tool's S_BROM_DOWNLOAD_DA_FAIL (2004) or S_BROM_CHKSUM16_MEM_RESULT_DIFF (2020); check the battery, the cable and the port, then try again"}
	}
	return nil
}

// JumpDA starts what SendDA uploaded.
func (c *Client) JumpDA(ctx context.Context, addr uint32) error {
	const what = "JUMP_DA"
	if err := c.echo(ctx, what, CmdJumpDA); err != nil {
		return err
	}
	if err := c.echo32(ctx, what+" address", addr); err != nil {
		return err
	}
	return c.status(ctx, what)
}

// Link returns the wire, for the dialogue that follows.
func (c *Client) Link() *usb.Link { return c.link }
