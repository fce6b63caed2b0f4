package da

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"mtkport"
	"mtkport/port/flash/usb"
	"mtkport/profiles/identity"
)

// sumSize is the length of the sum behind a packet.
const sumSize = 2

// retries of one packet before a transfer is given up.
const retries = 3

// storage returns the number of the storage for reads.
func storage(region string) byte {
	if region == identity.NAND {
		return StorageNAND
	}
	return StorageEMMC
}

// selectPart chooses the region that CmdRead works on.
func (a *Agent) selectPart(ctx context.Context, region string) error {
	const op = "SDMMC_SWITCH_PART"
	if region == identity.NAND {
		return nil
	}
	p, err := PartNo(region)
	if err != nil {
		return err
	}
	if err := a.send(ctx, op, CmdSwitchPart); err != nil {
		return err
	}
	if err := a.ack(ctx, op); err != nil {
		return err
	}
	if err := a.send(ctx, op, p); err != nil {
		return err
	}
	return a.ack(ctx, op)
}

// Sink takes the bytes of a read in order. It must not keep b.
type Sink func(b []byte) error

// Read reads n bytes at off, physical bytes of the region, into sink. A packet
// with a wrong sum is asked for again, up to three times.
func (a *Agent) Read(ctx context.Context, region string, off, n int64, sink Sink) error {
	if off < 0 || n < 0 {
		return &mtkport.Error{Off: off, Field: region, Found: fmt.Sprintf("%d bytes", n), Want: "a range", Err: mtkport.ErrTooBig}
	}
	out := &behind{sink: sink}
	bad := 0
	for n > 0 {
		done, err := a.readRun(ctx, region, off, n, out)
		if done > 0 {
			bad = 0
		}
		off, n = off+done, n-done
		var sum *sumError
		if err == nil {
			continue
		}
		if bad++; !errors.As(err, &sum) || bad > retries {
			return errors.Join(err, out.close())
		}
		if err := a.resync(ctx); err != nil {
			return errors.Join(err, out.close())
		}
	}
	return out.close()
}

type sumError struct {
	region    string
	off       int64
	got, want uint16
}

func (e *sumError) Error() string {
	return fmt.Sprintf("%s 0x%x packet sum: found 0x%04x, want 0x%04x", e.region, e.off, e.got, e.want)
}

// resync brings the agent back to its command loop after a refused packet.
func (a *Agent) resync(ctx context.Context) error {
	if _, err := a.link.Drain(ctx, a.t.Quiet); err != nil {
		return err
	}
	_, err := a.Alive(ctx)
	return err
}

// readRun is one read command. It returns the bytes that arrived whole.
func (a *Agent) readRun(ctx context.Context, region string, off, n int64, out *behind) (int64, error) {
	const op = "READ"
	if err := a.selectPart(ctx, region); err != nil {
		return 0, err
	}
	msg := Message(CmdRead, ReadCmd{HostLinux, storage(region), uint64(off), uint64(n)})
	if err := a.send(ctx, op, msg...); err != nil {
		return 0, err
	}
	if err := a.ack(ctx, op); err != nil {
		return 0, err
	}
	if err := a.send(ctx, op, binary.BigEndian.AppendUint32(nil, Packet)...); err != nil {
		return 0, err
	}
	return a.packets(ctx, op, region, off, n, out)
}

// packets takes the data of a read command: data, sum, and our ack.
func (a *Agent) packets(ctx context.Context, op, region string, off, n int64, out *behind) (int64, error) {
	var done int64
	for done < n {
		size := int(min(n-done, Packet))
		b := out.buffer(size + sumSize)
		var sum uint16
		if err := a.link.ReadEach(ctx, b, a.t.Flash, func(p []byte) { sum += Sum(p); out.came(len(p)) }); err != nil {
			return done, fmt.Errorf("%s %s 0x%x: %w", op, region, off+done, err)
		}
		b, tail := b[:size], b[size:]
		// The sum is compared before the ack, so that a refusal stops the agent here.
		if got, want := binary.BigEndian.Uint16(tail), sum-Sum(tail); got != want {
			return done, errors.Join(&sumError{region, off + done, got, want}, a.send(ctx, op, Nack))
		}
		if err := a.send(ctx, op, Ack); err != nil {
			return done, err
		}
		if err := out.put(b); err != nil {
			return done, a.abandon(ctx, err)
		}
		done += int64(len(b))
	}
	return done, nil
}

// abandon is for an error on our own side in the middle of a command: the agent
// still sends, so the link cannot be used any more.
func (a *Agent) abandon(_ context.Context, err error) error { return err }

// PacketError is a write that the agent did not take whole. Done bytes from the
// start of the range were confirmed; what lies behind them is unknown.
type PacketError struct {
	Done int64
	Err  error
}

// Error names the packet.
func (e *PacketError) Error() string {
	return fmt.Sprintf("write stopped after 0x%x bytes: %v", e.Done, e.Err)
}

// Unwrap returns the cause.
func (e *PacketError) Unwrap() error { return e.Err }

// Write writes what r holds to a range that a guard has cleared. r must give
// exactly c.Len() bytes. The error is a [PacketError] once the command was sent.
func (a *Agent) Write(ctx context.Context, c identity.Cleared, r io.Reader) error {
	if !c.Ok() {
		return notCleared()
	}
	w, err := a.writeCmd(c)
	if err != nil {
		return err
	}
	return a.write(ctx, c, w, r)
}

// WritePages writes whole NAND pages with their spare bytes, as a YAFFS2 image
// has them. The range that a guard has cleared counts data bytes; r must give for
// each of its pages the page and then its spare bytes, as [Agent.ReadPages] does.
// What of the spare bytes is the controller's own (error correction) the
// controller writes.
func (a *Agent) WritePages(ctx context.Context, c identity.Cleared, r io.Reader) error {
	nd := a.report.NAND
	switch {
	case !c.Ok():
		return notCleared()
	case c.Region() != identity.NAND || !nd.Found() || nd.Spare == 0:
		return &mtkport.Error{Off: c.Offset(), Field: c.Region(), Found: "a write with spare bytes", Want: "a NAND flash that has some", Err: mtkport.ErrRefused}
	}
	w, err := a.writeCmd(c)
	if err != nil {
		return err
	}
	w.form, w.page, w.spare = formSpare, int64(nd.Page), int64(nd.Spare)
	return a.write(ctx, c, w, r)
}

func notCleared() error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "write", Found: "a range that no guard has cleared", Err: mtkport.ErrRefused}
}

// write is the data part of every write command.
func (a *Agent) write(ctx context.Context, c identity.Cleared, w writing, r io.Reader) error {
	if err := a.send(ctx, w.op, w.message(c)...); err != nil {
		return err
	}
	if err := a.ackIn(ctx, w.op, a.t.Flash); err != nil {
		return err
	}
	src := newAhead(r, w.onWire(c.Len()), w.onWire(w.packet))
	var done int64
	for done < c.Len() {
		b, sum, err := src.take()
		if err != nil {
			return &PacketError{done, err}
		}
		if err := a.putPacket(ctx, w.op, b, sum, src); err != nil {
			return &PacketError{done, fmt.Errorf("%s 0x%x: %w", c.Region(), c.Offset()+done, err)}
		}
		done += min(w.packet, c.Len()-done)
	}
	return nil
}

// writing is one write command.
type writing struct {
	op          string
	part        byte  // region of an eMMC
	packet      int64 // data bytes of a packet
	form        uint8 // NAND
	page, spare int64 // NAND with spare bytes; 0 else
}

// onWire is the number of bytes that carry n data bytes.
func (w writing) onWire(n int64) int64 {
	if w.spare == 0 {
		return n
	}
	return n / w.page * (w.page + w.spare)
}

func (w writing) message(c identity.Cleared) []byte {
	if c.Region() == identity.NAND {
		return Message(CmdNANDWrite, NANDWriteCmd{1, w.form, uint64(c.Offset()), uint64(c.Len()), uint32(w.packet)})
	}
	return Message(CmdWriteData, WriteCmd{writeEMMC, w.part, uint64(c.Offset()), uint64(c.Len()), uint32(w.packet)})
}

// writeCmd plans the command for a cleared range and checks its alignment.
func (a *Agent) writeCmd(c identity.Cleared) (writing, error) {
	off, n := c.Offset(), c.Len()
	if c.Region() == identity.NAND {
		nd := a.report.NAND
		block := nd.Block()
		if block <= 0 || off%block != 0 || n%int64(nd.Page) != 0 {
			return writing{}, misaligned(c, fmt.Sprintf("start on a block of 0x%x, length in pages of 0x%x bytes", block, nd.Page))
		}
		return writing{op: "NAND_WRITE_DATA", packet: max(block, Packet/block*block)}, nil
	}
	if off%512 != 0 || n%512 != 0 {
		return writing{}, misaligned(c, "start and length in sectors of 512 bytes")
	}
	p, err := PartNo(c.Region())
	return writing{op: "SDMMC_WRITE_DATA", part: p, packet: Packet}, err
}

func misaligned(c identity.Cleared, want string) error {
	return &mtkport.Error{Off: c.Offset(), Field: c.Region(), Found: fmt.Sprintf("a write of 0x%x bytes", c.Len()), Want: want, Err: mtkport.ErrRefused}
}

func (a *Agent) putPacket(ctx context.Context, op string, data []byte, sum uint16, src *ahead) error {
	if err := a.send(ctx, op, Ack); err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), piece)
		if err := a.link.Write(ctx, data[:n], a.t.Flash); err != nil {
			return err
		}
		data = data[n:]
		src.step(n)
	}
	if err := a.send(ctx, op, byte(sum>>8), byte(sum)); err != nil {
		return err
	}
	var b [1]byte
	if err := a.link.ReadFull(ctx, b[:], a.t.Flash); err != nil {
		return err
	}
	switch b[0] {
	case Cont:
		return nil
	case Nack:
		return a.nacked(ctx, op)
	case Stop:
		code, err := a.u32(ctx, op)
		if err != nil {
			return err
		}
		return a.refused(op, code)
	}
	return outOfStep(op, b[0], Cont)
}

// Format erases a cleared range. Progress in percent is told to step, which may
// be nil.
func (a *Agent) Format(ctx context.Context, c identity.Cleared, step func(percent int)) error {
	const op = "FORMAT"
	if !c.Ok() {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "format", Found: "a range that no guard has cleared", Err: mtkport.ErrRefused}
	}
	if err := a.selectPart(ctx, c.Region()); err != nil {
		return err
	}
	msg := Message(CmdFormat, FormatCmd{Storage: storage(c.Region()), Addr: uint64(c.Offset()), Len: uint64(c.Len())})
	if err := a.send(ctx, op, msg...); err != nil {
		return err
	}
	for {
		if err := a.twoAcks(ctx, op); err != nil {
			return err
		}
		var b [5]byte
		if err := a.link.ReadFull(ctx, b[:], a.t.Flash); err != nil {
			return err
		}
		if code := binary.BigEndian.Uint32(b[:]); code != 0 {
			return a.refused(op, code)
		}
		if step != nil {
			step(int(b[4]))
		}
		if err := a.send(ctx, op, Ack); err != nil {
			return err
		}
		if b[4] >= 100 {
			return a.twoAcks(ctx, op)
		}
	}
}

func (a *Agent) twoAcks(ctx context.Context, op string) error {
	if err := a.ackIn(ctx, op, a.t.Flash); err != nil {
		return err
	}
	return a.ackIn(ctx, op, a.t.Flash)
}

// ReadPages reads whole NAND pages, each followed by its spare bytes. off and n
// are in bytes of data and page-aligned. A page that cannot be corrected ends
// the read with the agent's error.
func (a *Agent) ReadPages(ctx context.Context, off, n int64, sink Sink) error {
	const op = "NAND_READPAGE"
	nd := a.report.NAND
	if !nd.Found() || off < 0 || n <= 0 || off%int64(nd.Page) != 0 || n%int64(nd.Page) != 0 || off+n > 1<<32-1 {
		s, _ := ByName("NAND_READADDR_NOT_PAGE_ALIGNMENT")
		return &mtkport.Error{Off: off, Field: identity.NAND, Found: fmt.Sprintf("0x%x bytes", n), Want: fmt.Sprintf("pages of %d bytes", nd.Page), Hint: s.Hint, Err: mtkport.ErrUnsupported}
	}
	msg := Message(CmdNANDPage, NANDPageCmd{Host: HostLinux, AddrType: 1, Addr: uint32(off), Len: uint32(n)})
	if err := a.send(ctx, op, msg...); err != nil {
		return err
	}
	if err := a.ack(ctx, op); err != nil {
		return err
	}
	head := make([]byte, 12)
	if err := a.recv(ctx, op, head); err != nil {
		return err
	}
	page, spare, pack := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if page != uint32(nd.Page) || spare != uint32(nd.Spare) || pack == 0 || pack > 4<<20 {
		return &mtkport.Error{Off: off, Field: op, Found: fmt.Sprintf("page %d, spare %d, packet %d", page, spare, pack), Want: fmt.Sprintf("page %d, spare %d", nd.Page, nd.Spare), Err: ErrDialogue}
	}
	pages := uint32(n / int64(page))
	if err := a.send(ctx, op, binary.BigEndian.AppendUint32(nil, pages)...); err != nil {
		return err
	}
	if _, err := a.u32(ctx, op); err != nil {
		return err
	}
	return a.pages(ctx, op, off, int64(pages)*int64(page+spare), int(pack), sink)
}

func (a *Agent) pages(ctx context.Context, op string, off, n int64, pack int, sink Sink) error {
	b := make([]byte, pack)
	var tail [2]byte
	for n > 0 {
		b = b[:min(int64(pack), n)]
		if err := a.link.ReadFull(ctx, b, a.t.Flash); err != nil {
			return err
		}
		if err := a.recv(ctx, op, tail[:]); err != nil {
			return err
		}
		if got, want := binary.BigEndian.Uint16(tail[:]), Sum(b); got != want {
			return errors.Join(&sumError{identity.NAND, off, got, want}, a.send(ctx, op, Nack))
		}
		if err := a.send(ctx, op, Ack); err != nil {
			return err
		}
		if err := sink(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// Broken says whether after err the wire must be opened anew: the phone left,
// fell silent, or is out of step.
func Broken(err error) bool {
	return errors.Is(err, usb.ErrGone) || errors.Is(err, usb.ErrTimeout) || errors.Is(err, ErrDialogue)
}
