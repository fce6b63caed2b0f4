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

// StartOptions says how stage 2 is brought up.
type StartOptions struct {
	BROMVer, BLVer byte
	EMI            *EMI // memory settings, only asked for from boot ROM mode
	Timing         Timing
}

// Start takes over after JUMP_DA: it listens to stage 1, sets it up, uploads
// stage 2 and reads the storage report.
func Start(ctx context.Context, l *usb.Link, stage2 []byte, addr uint32, o StartOptions) (*Agent, error) {
	a := &Agent{link: l, t: o.Timing}
	if err := a.readHello(ctx); err != nil {
		return nil, noResponse(err)
	}
	setup := NewSetup(o.BROMVer, o.BLVer, a.hello.NAND())
	if err := a.send(ctx, "stage 2 set-up", setup.Append(nil)...); err != nil {
		return nil, err
	}
	if err := a.memory(ctx, o.EMI); err != nil {
		return nil, err
	}
	if err := a.upload(ctx, stage2, addr); err != nil {
		return nil, err
	}
	var err error
	a.report, err = readReport(func(b []byte) error { return a.link.ReadFull(ctx, b, a.t.Answer) })
	return a, err
}

// noResponse adds SP Flash Tool's advice to a silent stage 1.
func noResponse(err error) error {
	s, _ := ByName("S_FT_DA_NO_RESPONSE")
	if errors.Is(err, usb.ErrTimeout) {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "agent", Err: err, Hint: s.Hint}
	}
	return err
}

func (a *Agent) readHello(ctx context.Context) error {
	const op = "agent start"
	var b [1]byte
	if err := a.link.ReadFull(ctx, b[:], a.t.Sync); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if b[0] != Sync {
		return outOfStep(op, b[0], Sync)
	}
	var err error
	if a.hello.NANDRet, err = a.u32(ctx, op); err != nil {
		return err
	}
	if a.hello.NANDIDs, err = a.ids(ctx, op); err != nil {
		return err
	}
	if a.hello.EMMCRet, err = a.u32(ctx, op); err != nil {
		return err
	}
	for i := range a.hello.EMMCID {
		if a.hello.EMMCID[i], err = a.u32(ctx, op); err != nil {
			return err
		}
	}
	if err := a.send(ctx, op, Ack); err != nil {
		return err
	}
	return a.recv(ctx, op, a.ver[:])
}

func (a *Agent) ids(ctx context.Context, op string) ([]uint16, error) {
	var n [2]byte
	if err := a.recv(ctx, op, n[:]); err != nil {
		return nil, err
	}
	count := binary.BigEndian.Uint16(n[:])
	if count > maxIDs {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: op + ", NAND ids", Found: fmt.Sprint(count), Want: fmt.Sprintf("at most %d", maxIDs), Err: mtkport.ErrFormat}
	}
	b := make([]byte, 2*int(count))
	if err := a.recv(ctx, op, b); err != nil {
		return nil, err
	}
	ids := make([]uint16, count)
	for i := range ids {
		ids[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return ids, nil
}

const (
	retNeedEMI = 3011 // the agent's way to ask for memory settings
)

// memory waits for DRAM: ready, or set up with the phone's own settings.
func (a *Agent) memory(ctx context.Context, emi *EMI) error {
	const op = "memory set-up"
	ret, err := a.u32(ctx, op)
	if err != nil {
		return err
	}
	switch {
	case ret == 0:
		return nil
	case ret != retNeedEMI:
		return a.refused(op, ret)
	case emi == nil:
		return &mtkport.Error{Off: mtkport.NoOffset, Field: op, Found: "an agent that asks for memory settings", Want: "the phone's own preloader file", Err: mtkport.ErrUnsupported,
			Hint: "plug the phone in without holding a key (preloader mode: memory is up already), or give --preloader FILE of this very board"}
	}
	return a.enableDRAM(ctx, emi)
}

func (a *Agent) enableDRAM(ctx context.Context, emi *EMI) error {
	const op = "ENABLE_DRAM"
	id := make([]byte, 4+16+4)
	if err := a.recv(ctx, op, id); err != nil {
		return err
	}
	if _, err := a.ids(ctx, op); err != nil {
		return err
	}
	record, err := emi.Select(id[4:20])
	if err != nil {
		return err
	}
	if err := a.send(ctx, op, CmdEnableDRAM); err != nil {
		return err
	}
	if err := a.send(ctx, op, binary.BigEndian.AppendUint32(nil, emi.Version)...); err != nil {
		return err
	}
	if err := a.ack(ctx, op); err != nil {
		return err
	}
	if err := a.sendEMI(ctx, op, emi.Version, record); err != nil {
		return err
	}
	sum := make([]byte, 2)
	if err := a.recv(ctx, op, sum); err != nil {
		return err
	}
	if got, want := binary.BigEndian.Uint16(sum), Sum(record); got != want {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: op + " checksum", Found: fmt.Sprintf("0x%04x", got), Want: fmt.Sprintf("0x%04x", want), Err: mtkport.ErrDamaged}
	}
	if err := a.send(ctx, op, Ack); err != nil {
		return err
	}
	if err := a.send(ctx, op, binary.BigEndian.AppendUint32(nil, dramReady)...); err != nil {
		return err
	}
	result := make([]byte, 4+1+1+8)
	if err := a.recv(ctx, op, result); err != nil {
		return err
	}
	if ret := binary.BigEndian.Uint32(result); ret != 0 {
		return a.refused(op, ret)
	}
	return nil
}

// sendEMI is the part that differs by version.
func (a *Agent) sendEMI(ctx context.Context, op string, version uint32, record []byte) error {
	lead := 4 // length wanted
	if version == emiLegacyOrder || version == emiLegacyOrder-1 {
		lead += 16
	}
	if err := a.recv(ctx, op, make([]byte, lead)); err != nil {
		return err
	}
	if err := a.send(ctx, op, Ack); err != nil {
		return err
	}
	if lead == 4 {
		if err := a.send(ctx, op, binary.BigEndian.AppendUint32(nil, uint32(len(record)))...); err != nil {
			return err
		}
	}
	return a.send(ctx, op, record...)
}

// upload sends stage 2. No checksum on this hop.
func (a *Agent) upload(ctx context.Context, b []byte, addr uint32) error {
	const op = "stage 2"
	head := binary.BigEndian.AppendUint32(nil, addr)
	head = binary.BigEndian.AppendUint32(head, uint32(len(b)))
	head = binary.BigEndian.AppendUint32(head, StagePacket)
	if err := a.send(ctx, op, head...); err != nil {
		return err
	}
	if err := a.ack(ctx, op); err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), StagePacket)
		if err := a.send(ctx, op, b[:n]...); err != nil {
			return err
		}
		if err := a.ack(ctx, op); err != nil {
			return err
		}
		b = b[n:]
	}
	return a.confirm(ctx, op)
}

// confirm settles the end of the upload. Agents differ: most say "all received"
// by themselves and then wait for the host, some only after the host spoke.
func (a *Agent) confirm(ctx context.Context, op string) error {
	err := a.ackIn(ctx, op, a.t.Settle)
	if err != nil && !errors.Is(err, usb.ErrTimeout) {
		return err
	}
	if serr := a.send(ctx, op, Ack); serr != nil {
		return serr
	}
	if err != nil {
		return a.ackIn(ctx, op, 2*time.Second+a.t.Settle)
	}
	return nil
}
