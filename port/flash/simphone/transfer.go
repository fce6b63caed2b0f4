package simphone

import (
	"bytes"
	"encoding/binary"
	"errors"

	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
)

const (
	codeRange    = 3039 // S_DA_INVALID_RANGE
	codeSum      = 3200 // packet checksum
	codeBadParam = 3202
	maxPacket    = 16 << 20
)

// read is CmdRead: the ack comes after the length, the packet size after it.
func (ph *Phone) read() error {
	const what = "READ"
	var c da.ReadCmd
	if err := ph.fields(what+" fields", &c); err != nil {
		return err
	}
	region := da.RegionOf(ph.part)
	limit := ph.Flash.Size(region)
	if ph.Profile.NANDGeo != nil && c.Storage == da.StorageNAND {
		region, limit = identity.NAND, ph.Profile.NANDGeo.logical()
	}
	if c.Addr+c.Len > uint64(limit) || c.Addr+c.Len < c.Addr || c.Len == 0 {
		return ph.refuse(what, codeRange)
	}
	if err := ph.send(what+" answer", da.Ack); err != nil {
		return err
	}
	packet, err := ph.u32(what + " packet")
	if err != nil {
		return err
	}
	if packet == 0 || packet > maxPacket {
		packet = da.Packet
	}
	return ph.sendPackets(what, int64(c.Addr), int64(c.Len), int64(packet), source{1, func(b []byte, at int64) error { return ph.load(region, b, at) }})
}

// source is what packets are read from. It is asked for whole units.
type source struct {
	unit int64
	load func(b []byte, at int64) error
}

// sendPackets sends data and sum and waits for each ack.
func (ph *Phone) sendPackets(what string, at, n, packet int64, from source) error {
	send := ph.streamPacket
	if ph.Hook != nil {
		send = ph.wholePacket
	}
	for n > 0 {
		k := min(n, packet)
		if err := send(what, at, k, from); err != nil {
			return err
		}
		at, n = at+k, n-k
		ack, err := ph.byte(what + " ack")
		if err != nil {
			return err
		}
		if ack != da.Ack {
			return nil // the host wants no more
		}
	}
	return nil
}

// piece is about how much of a packet is read at a time: it stays in the
// processor's cache between storage, sum and wire.
const piece = 64 << 10

// streamPacket sends a packet piece by piece, its sum with the last one.
func (ph *Phone) streamPacket(what string, at, n int64, from source) error {
	ph.next(Out, what+" data", int(n))
	ph.next(Out, what+" sum", 2)
	size := max(piece, from.unit) / from.unit * from.unit
	buf := ph.buffers(size)[0]
	var sum uint16
	for n > 0 {
		b := buf[:min(n, size)]
		if err := from.load(b, at); err != nil {
			return err
		}
		sum += da.Sum(b)
		at, n = at+int64(len(b)), n-int64(len(b))
		if n == 0 {
			b = binary.BigEndian.AppendUint16(b, sum)
		}
		if err := ph.emit(b); err != nil {
			return err
		}
	}
	return nil
}

// wholePacket sends data and sum as two messages, so that a hook can come between.
func (ph *Phone) wholePacket(what string, at, n int64, from source) error {
	b := ph.buffers(n)[0][:n]
	if err := from.load(b, at); err != nil {
		return err
	}
	sum := da.Sum(b)
	if err := ph.sendData(what+" data", b, &sum); err != nil {
		return err
	}
	return ph.put16(what+" sum", sum)
}

// sendData sends a packet. Spoiled here, the sum is spoiled with it: a wrong
// byte that only a comparison finds. Spoil "READ sum" for one that the sum shows.
func (ph *Phone) sendData(what string, b []byte, sum *uint16) error {
	hook := ph.Hook
	ph.Hook = func(m Message) Action {
		a := hook(m)
		if a.Act == Spoil {
			b[min(a.Byte, len(b)-1)] ^= 0x10
			*sum = da.Sum(b)
			return Action{}
		}
		return a
	}
	err := ph.send(what, b...)
	ph.Hook = hook
	return err
}

// Load reads bytes as an agent sees them: on a NAND by logical addresses,
// without spare. It is for looking into the phone from outside.
func (ph *Phone) Load(region string, b []byte, at int64) error { return ph.load(region, b, at) }

// load reads logical bytes of a region.
func (ph *Phone) load(region string, b []byte, at int64) error {
	if region != identity.NAND {
		return ph.Flash.ReadAt(region, b, at)
	}
	g := ph.Profile.NANDGeo
	for len(b) > 0 {
		in := int(at % int64(g.Page))
		n := min(len(b), g.Page-in)
		if err := ph.Flash.ReadAt(region, b[:n], g.pageAt(at)+int64(in)); err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// logical is the number of data bytes in front of the pool.
func (n *NAND) logical() int64 { return n.Size - int64(n.Pool)*n.Block() }

// pageAt returns where the page of a logical address lies on the chip: a bad
// block is stood in for by a block of the pool.
func (n *NAND) pageAt(at int64) int64 {
	block, in := at/n.Block(), at%n.Block()
	spare := n.Size/n.Block() - int64(n.Pool)
	for _, bad := range n.Bad {
		if int64(bad) >= n.Size/n.Block()-int64(n.Pool) {
			continue
		}
		if int64(bad) == block {
			block = spare
			break
		}
		spare++
	}
	return (block*int64(n.PerBlock) + in/int64(n.Page)) * int64(n.Page+n.Spare)
}

// store writes logical bytes of a region.
func (ph *Phone) store(region string, b []byte, at int64) error {
	if region != identity.NAND {
		return ph.Flash.WriteAt(region, b, at)
	}
	g := ph.Profile.NANDGeo
	for len(b) > 0 {
		in := int(at % int64(g.Page))
		n := min(len(b), g.Page-in)
		if err := ph.Flash.WriteAt(region, b[:n], g.pageAt(at)+int64(in)); err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// eraseNAND sets whole logical blocks to FF, spare bytes included.
func (ph *Phone) eraseNAND(at, n int64) error {
	g := ph.Profile.NANDGeo
	ff := bytes.Repeat([]byte{0xFF}, g.PerBlock*(g.Page+g.Spare))
	for end := at + n; at < end; at += g.Block() {
		if err := ph.Flash.WriteAt(identity.NAND, ff, g.pageAt(at/g.Block()*g.Block())); err != nil {
			return err
		}
	}
	return nil
}

func (ph *Phone) writeEMMC() error {
	const what = "WRITE"
	var c da.WriteCmd
	if err := ph.fields(what+" fields", &c); err != nil {
		return err
	}
	region := da.RegionOf(c.Part)
	if !ph.inside(region, c.Addr, c.Len, c.Packet) || c.Addr%512 != 0 || c.Len%512 != 0 {
		return ph.refuse(what, codeRange)
	}
	return ph.takePackets(what, place{region: region}, int64(c.Addr), int64(c.Len), int64(c.Packet))
}

func (ph *Phone) inside(region string, addr, n uint64, packet uint32) bool {
	limit := ph.Flash.Size(region)
	if region == identity.NAND && ph.Profile.NANDGeo != nil {
		limit = ph.Profile.NANDGeo.logical()
	}
	return limit > 0 && n > 0 && addr+n >= addr && addr+n <= uint64(limit) && packet > 0 && packet <= maxPacket
}

func (ph *Phone) writeNAND() error {
	const what = "WRITE"
	var c da.NANDWriteCmd
	if err := ph.fields(what+" fields", &c); err != nil {
		return err
	}
	g := ph.Profile.NANDGeo
	if g == nil || !ph.inside(identity.NAND, c.Addr, c.Len, c.Packet) || int64(c.Addr)%g.Block() != 0 || int64(c.Len)%int64(g.Page) != 0 || int64(c.Packet)%g.Block() != 0 {
		return ph.refuse(what, codeRange)
	}
	to := place{region: identity.NAND}
	if c.Form == 1 {
		to.page, to.spare = int64(g.Page), int64(g.Spare)
	}
	return ph.takePackets(what, to, int64(c.Addr), int64(c.Len), int64(c.Packet))
}

// place is where packets go, and what they hold: data, or pages each with spare
// bytes behind it.
type place struct {
	region      string
	page, spare int64
}

// onWire is the number of bytes that carry n data bytes; data the reverse.
func (p place) onWire(n int64) int64 {
	if p.spare == 0 {
		return n
	}
	return n / p.page * (p.page + p.spare)
}

func (p place) data(n int64) int64 {
	if p.spare == 0 {
		return n
	}
	full := p.page + p.spare
	return n/full*p.page + min(n%full, p.page)
}

// takePackets is the data part of both write commands. A packet that is torn by
// a cut leaves what had come on the storage, as a phone may.
func (ph *Phone) takePackets(what string, to place, at, n, packet int64) error {
	if err := ph.send(what+" answer", da.Ack); err != nil {
		return err
	}
	later := ph.writeBehind(to, to.onWire(min(packet, n)))
	for n > 0 {
		k := min(packet, n)
		b := later.buffer(to.onWire(k))
		torn := func(got int, err error) error { return errors.Join(err, later.flush(), ph.torn(to, b[:got], at)) }
		start, err := ph.byte(what + " start")
		if err != nil {
			return errors.Join(err, later.flush())
		}
		if start != da.Ack { // the host gave up
			return later.flush()
		}
		got, err := ph.recv(what+" data", b)
		want := ph.sum
		if err != nil {
			return torn(got, err)
		}
		sum, err := ph.u16(what + " sum")
		if err != nil {
			return torn(len(b)/2, err)
		}
		if sum != want {
			return errors.Join(later.flush(), ph.refuse(what, codeSum))
		}
		if n -= k; n > 0 {
			later.put(b, at)
		} else if err := errors.Join(later.flush(), ph.commit(to, b, at)); err != nil {
			return err // nothing is under way when the command has its last answer
		}
		if err := ph.send(what+" done", da.Cont); err != nil {
			return errors.Join(err, later.flush())
		}
		at += k
	}
	return nil
}

func (ph *Phone) commit(to place, b []byte, at int64) error {
	return ph.keep(to, b, Write{Region: to.region, Off: at, Len: to.data(int64(len(b)))})
}

func (ph *Phone) torn(to place, b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	return ph.keep(to, b, Write{Region: to.region, Off: at, Len: to.data(int64(len(b))), Torn: true})
}

// keep records a write and carries it out. On a NAND the blocks are erased first.
func (ph *Phone) keep(to place, b []byte, w Write) error {
	ph.record(w)
	if to.region == identity.NAND {
		block := ph.Profile.NANDGeo.Block()
		if err := ph.eraseNAND(w.Off, (w.Len+block-1)/block*block); err != nil {
			return err
		}
	}
	if to.spare == 0 {
		return ph.store(to.region, b, w.Off)
	}
	for at := w.Off; len(b) > 0; at += to.page {
		k := min(to.page+to.spare, int64(len(b)))
		if err := ph.Flash.WriteAt(to.region, b[:k], ph.Profile.NANDGeo.pageAt(at)); err != nil {
			return err
		}
		b = b[k:]
	}
	return nil
}

// format erases: an eMMC reads as zero after it, a NAND as FF.
func (ph *Phone) format() error {
	const what = "FORMAT"
	var c da.FormatCmd
	if err := ph.fields(what+" fields", &c); err != nil {
		return err
	}
	region := da.RegionOf(ph.part)
	if c.Storage == da.StorageNAND {
		region = identity.NAND
	}
	if !ph.inside(region, c.Addr, c.Len, 1) {
		return ph.refuse(what, codeRange)
	}
	for _, percent := range []byte{0, 50, 100} {
		b := append([]byte{da.Ack, da.Ack}, binary.BigEndian.AppendUint32(nil, 0)...)
		if err := ph.send(what+" progress", append(b, percent)...); err != nil {
			return err
		}
		if _, err := ph.byte(what + " ack"); err != nil {
			return err
		}
	}
	if err := ph.erase(region, int64(c.Addr), int64(c.Len)); err != nil {
		return err
	}
	return ph.send(what+" done", da.Ack, da.Ack)
}

func (ph *Phone) erase(region string, at, n int64) error {
	ph.record(Write{Region: region, Off: at, Len: n, Erase: true})
	if region == identity.NAND {
		return ph.eraseNAND(at, n)
	}
	zero := make([]byte, min(n, 1<<20))
	for n > 0 {
		k := min(n, int64(len(zero)))
		if err := ph.store(region, zero[:k], at); err != nil {
			return err
		}
		at, n = at+k, n-k
	}
	return nil
}

// readPages is CmdNANDPage: pages with their spare bytes.
func (ph *Phone) readPages() error {
	const what = "NAND_READPAGE"
	var c da.NANDPageCmd
	if err := ph.fields(what+" fields", &c); err != nil {
		return err
	}
	g := ph.Profile.NANDGeo
	if g == nil || !ph.inside(identity.NAND, uint64(c.Addr), uint64(c.Len), 1) || int(c.Addr)%g.Page != 0 {
		return ph.refuse(what, codeRange)
	}
	full := g.Page + g.Spare
	packet := uint32(g.PerBlock * full)
	b := []byte{da.Ack}
	for _, v := range []uint32{uint32(g.Page), uint32(g.Spare), packet} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	if err := ph.send(what+" answer", b...); err != nil {
		return err
	}
	pages, err := ph.u32(what + " pages")
	if err != nil {
		return err
	}
	if int64(pages) > int64(c.Len)/int64(g.Page) {
		return ph.refuse(what, codeBadParam)
	}
	if err := ph.put32(what+" pages", pages); err != nil {
		return err
	}
	first := int64(c.Addr) / int64(g.Page)
	return ph.sendPackets(what, 0, int64(pages)*int64(full), int64(packet), source{int64(full), func(b []byte, at int64) error {
		for len(b) > 0 {
			page := first + at/int64(full)
			if err := ph.Flash.ReadAt(identity.NAND, b[:full], g.pageAt(page*int64(g.Page))); err != nil {
				return err
			}
			b, at = b[full:], at+int64(full)
		}
		return nil
	}})
}
