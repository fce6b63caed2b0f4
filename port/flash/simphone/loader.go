package simphone

import (
	"encoding/binary"
	"time"

	"mtkport/port/flash/brom"
)

// startTime is how long a preloader allows for the whole start sequence.
const startTime = 300 * time.Millisecond

// loader is the boot ROM or preloader from power-up to the jump.
func (ph *Phone) loader() error {
	if err := ph.listen(); err != nil {
		return err
	}
	ph.idle(0)
	var up upload
	for {
		cmd, err := ph.byte("command")
		if err != nil {
			return err
		}
		jumped, err := ph.command(cmd, &up)
		if err != nil {
			return err
		}
		if jumped {
			return ph.stage1()
		}
	}
}

// listen waits for the start sequence. A preloader swallows the first byte, may
// say READY, and begins anew after a wrong byte, which it answers with the byte
// plus one.
func (ph *Phone) listen() error {
	preloader := ph.Profile.Mode == brom.ModePreloader
	swallow := preloader
	for i := 0; i < len(brom.Start); {
		wait := time.Hour
		switch {
		case i > 0 && preloader:
			wait = startTime
		case ph.Profile.Ready > 0:
			wait = ph.Profile.Ready
		}
		ph.idle(wait)
		b, err := ph.byte("handshake")
		if timedOut(err) {
			i = 0
			if preloader && ph.Profile.Ready > 0 {
				if err := ph.send("READY", []byte(brom.Ready)...); err != nil {
					return err
				}
			}
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case swallow:
			swallow = false
			continue
		case b == brom.Start[i]:
			i++
			err = ph.send("handshake answer", ^b)
		default:
			i = 0
			err = ph.send("handshake answer", b+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// upload is what SEND_DA left in memory.
type upload struct {
	ok   bool
	data []byte
}

// command is one command of the boot ROM or preloader.
func (ph *Phone) command(cmd byte, up *upload) (jumped bool, err error) {
	p := ph.Profile
	bromMode := p.Mode == brom.ModeBROM
	switch {
	case cmd == brom.CmdBLVer && !bromMode:
		return false, ph.send("GET_BL_VER answer", 1)
	case cmd == brom.CmdVersion && bromMode:
		return false, ph.send("GET_VERSION answer", 5)
	}
	if err := ph.send("echo", cmd); err != nil {
		return false, err
	}
	switch cmd {
	case brom.CmdHWCode:
		return false, ph.words("GET_HW_CODE", p.HWCode, 0)
	case brom.CmdHWSWVer:
		return false, ph.words("GET_HW_SW_VER", p.HWSub, p.HWVer, p.SWVer, 0)
	case brom.CmdTargetConfig:
		return false, ph.words("GET_TARGET_CONFIG", uint16(p.Target>>16), uint16(p.Target), 0)
	case brom.CmdGetMEID:
		if !bromMode {
			return false, nil // echo and silence
		}
		b := binary.BigEndian.AppendUint32(nil, uint32(len(p.MEID)))
		return false, ph.send("GET_ME_ID answer", append(append(b, p.MEID...), 0, 0)...)
	case brom.CmdRead16:
		return false, ph.readRegs("READ16", 2)
	case brom.CmdRead32:
		return false, ph.readRegs("READ32", 4)
	case brom.CmdWrite16:
		return false, ph.writeRegs("WRITE16", 2)
	case brom.CmdWrite32:
		return false, ph.writeRegs("WRITE32", 4)
	case brom.CmdSendDA:
		return false, ph.takeDA(up)
	case brom.CmdJumpDA:
		return ph.jump(up)
	case brom.CmdJumpBL:
		if err := ph.words("JUMP_BL", 0, 0); err != nil {
			return false, err
		}
		return false, ErrOff
	}
	return false, nil
}

func (ph *Phone) words(what string, v ...uint16) error {
	var b []byte
	for _, w := range v {
		b = binary.BigEndian.AppendUint16(b, w)
	}
	return ph.send(what+" answer", b...)
}

// echo32 takes a parameter and gives it back.
func (ph *Phone) echo32(what string) (uint32, error) {
	v, err := ph.u32(what)
	if err != nil {
		return 0, err
	}
	return v, ph.put32(what+" echo", v)
}

// access takes address and count. A refused access has one status word only.
func (ph *Phone) access(what string, width uint32) (addr, n uint32, ok bool, err error) {
	if addr, err = ph.echo32(what + " address"); err != nil {
		return
	}
	if n, err = ph.echo32(what + " count"); err != nil {
		return
	}
	s := brom.StatusOK
	switch {
	case addr%width != 0:
		s = brom.StatusBadAlign
	case n == 0:
		s = brom.StatusZeroLen
	case uint64(addr)+uint64(n)*uint64(width) > 1<<32:
		s = brom.StatusOverflow
	}
	return addr, n, s == brom.StatusOK, ph.put16(what+" status", uint16(s))
}

// reg is what a register of the chip reads as: the code of the chip where the
// chip has it, else a pattern of the address.
func (ph *Phone) reg(addr uint32) uint32 {
	switch addr {
	case 0x08000000:
		return uint32(ph.Profile.HWVer)
	case 0x08000008:
		return uint32(ph.Profile.HWCode)
	}
	return addr * 2654435761
}

func (ph *Phone) readRegs(what string, width uint32) error {
	addr, n, ok, err := ph.access(what, width)
	if err != nil || !ok {
		return err
	}
	for i := range min(n, 1<<16) {
		v := ph.reg(addr + i*width)
		if width == 2 {
			err = ph.put16(what+" value", uint16(v))
		} else {
			err = ph.put32(what+" value", v)
		}
		if err != nil {
			return err
		}
	}
	return ph.put16(what+" status", 0)
}

func (ph *Phone) writeRegs(what string, width uint32) error {
	_, n, ok, err := ph.access(what, width)
	if err != nil || !ok {
		return err
	}
	b := make([]byte, width)
	for range n {
		if _, err := ph.recv(what+" value", b); err != nil {
			return err
		}
		if err := ph.send(what+" echo", b...); err != nil {
			return err
		}
	}
	return ph.put16(what+" status", 0)
}

// maxRAM bounds an upload.
const maxRAM = 64 << 20

func (ph *Phone) takeDA(up *upload) error {
	const what = "SEND_DA"
	if _, err := ph.echo32(what + " address"); err != nil {
		return err
	}
	n, err := ph.echo32(what + " length")
	if err != nil {
		return err
	}
	sig, err := ph.echo32(what + " signature length")
	if err != nil {
		return err
	}
	s := brom.StatusOK
	switch {
	case ph.Profile.Target&brom.LinkAuth != 0:
		s = brom.StatusSLARequired
	case ph.Profile.Target&brom.DAAuth != 0 && sig == 0:
		s = brom.StatusSigMissing
	case n == 0 || n > maxRAM:
		s = brom.StatusZeroLen
	case ph.Profile.Target&brom.DAAuth != 0:
		s = 0x7015 // the signature is not the vendor's
	}
	if err := ph.put16(what+" status", uint16(s)); err != nil || s != brom.StatusOK {
		return err
	}
	up.data = make([]byte, n)
	for at := 0; at < int(n); at += 0x1000 {
		if _, err := ph.recv(what+" data", up.data[at:min(at+0x1000, int(n))]); err != nil {
			return err
		}
	}
	up.ok = true
	if err := ph.put16(what+" sum", brom.Sum16(up.data)); err != nil {
		return err
	}
	return ph.put16(what+" status", 0)
}

func (ph *Phone) jump(up *upload) (bool, error) {
	addr, err := ph.echo32("JUMP_DA address")
	if err != nil {
		return false, err
	}
	s := brom.StatusOK
	if !up.ok {
		s = brom.StatusNoDA
	}
	if err := ph.put16("JUMP_DA status", uint16(s)); err != nil || !up.ok {
		return false, err
	}
	ph.mu.Lock()
	ph.runs = append(ph.runs, RAMRun{Addr: addr, Len: len(up.data), Sum: brom.Sum16(up.data)})
	ph.mu.Unlock()
	return true, nil
}
