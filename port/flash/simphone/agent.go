package simphone

import (
	"encoding/binary"

	"mtkport/port/flash/brom"
	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
)

// stage1 greets, takes its set-up, and loads stage 2.
func (ph *Phone) stage1() error {
	if err := ph.send("agent hello", ph.Profile.hello().Append(nil)...); err != nil {
		return err
	}
	if _, err := ph.byte("agent hello ack"); err != nil {
		return err
	}
	if err := ph.send("agent version", 3, 1, 0xFE); err != nil {
		return err
	}
	var setup da.Setup
	if err := ph.fields("stage 2 set-up", &setup); err != nil {
		return err
	}
	if err := ph.memory(); err != nil {
		return err
	}
	if err := ph.loadStage2(); err != nil {
		return err
	}
	if err := ph.send("storage report", ph.Profile.report().Append(nil)...); err != nil {
		return err
	}
	ph.running = true
	return ph.agent()
}

// memory says that DRAM is up, or asks for the settings first.
func (ph *Phone) memory() error {
	if !ph.Profile.NeedEMI || ph.Profile.Mode == brom.ModePreloader {
		return ph.put32("memory result", 0)
	}
	b := binary.BigEndian.AppendUint32(nil, noNOR)
	b = append(b, make([]byte, 4)...)
	h := ph.Profile.hello()
	for _, w := range h.EMMCID {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	b = binary.BigEndian.AppendUint32(b, noNAND)
	b = append(b, 0, 1, 0, 0)
	if err := ph.send("memory result", b...); err != nil {
		return err
	}
	if _, err := ph.byte("ENABLE_DRAM"); err != nil {
		return err
	}
	if _, err := ph.u32("ENABLE_DRAM version"); err != nil {
		return err
	}
	const record = 168
	answer := append([]byte{da.Ack}, make([]byte, 16)...)
	if err := ph.send("ENABLE_DRAM answer", binary.BigEndian.AppendUint32(answer, record)...); err != nil {
		return err
	}
	if _, err := ph.byte("ENABLE_DRAM ack"); err != nil {
		return err
	}
	data := make([]byte, record)
	if _, err := ph.recv("ENABLE_DRAM record", data); err != nil {
		return err
	}
	if err := ph.put16("ENABLE_DRAM sum", da.Sum(data)); err != nil {
		return err
	}
	if _, err := ph.byte("ENABLE_DRAM ack"); err != nil {
		return err
	}
	if _, err := ph.u32("ENABLE_DRAM go"); err != nil {
		return err
	}
	result := []byte{0, 0, 0, 0, 2, 0}
	return ph.send("ENABLE_DRAM result", binary.BigEndian.AppendUint64(result, 512<<20)...)
}

// loadStage2 acknowledges each packet, says once more "all received", and waits
// for the host: the order that all known clients get along with.
func (ph *Phone) loadStage2() error {
	var head struct{ Addr, Len, Packet uint32 }
	if err := ph.fields("stage 2 head", &head); err != nil {
		return err
	}
	if head.Len > maxRAM || head.Packet == 0 {
		return ph.send("stage 2 answer", da.Nack)
	}
	if err := ph.send("stage 2 answer", da.Ack); err != nil {
		return err
	}
	b := make([]byte, min(head.Packet, maxRAM))
	for left := head.Len; left > 0; {
		n := min(left, uint32(len(b)))
		if _, err := ph.recv("stage 2 data", b[:n]); err != nil {
			return err
		}
		if err := ph.send("stage 2 answer", da.Ack); err != nil {
			return err
		}
		left -= n
	}
	if err := ph.send("stage 2 done", da.Ack); err != nil {
		return err
	}
	_, err := ph.byte("stage 2 go")
	return err
}

// agent is the command loop of stage 2.
func (ph *Phone) agent() error {
	ph.idle(0)
	if ph.part == 0 {
		ph.part = 8
	}
	for {
		cmd, err := ph.byte("agent command")
		if err != nil {
			return err
		}
		if err := ph.agentCommand(cmd); err != nil {
			return err
		}
	}
}

func (ph *Phone) agentCommand(cmd byte) error {
	switch cmd {
	case da.CmdUSBStatus:
		speed := byte(1)
		if ph.Profile.FullSpeed && !ph.fast {
			speed = 0
		}
		return ph.send("USB_CHECK_STATUS answer", da.Ack, speed)
	case da.CmdUSBSetup:
		return ph.speedUp()
	case da.CmdSwitchPart:
		return ph.switchPart()
	case da.CmdRead:
		return ph.read()
	case da.CmdWriteData:
		return ph.writeEMMC()
	case da.CmdNANDWrite:
		return ph.writeNAND()
	case da.CmdNANDPage:
		return ph.readPages()
	case da.CmdFormat:
		return ph.format()
	case da.CmdReadPMT:
		return ph.readPMT()
	case da.CmdFinish:
		return ph.finish()
	case da.CmdWatchdog:
		b := make([]byte, 8)
		if _, err := ph.recv("ENABLE_WATCHDOG fields", b); err != nil {
			return err
		}
		if err := ph.send("ENABLE_WATCHDOG answer", da.Ack); err != nil {
			return err
		}
		return ErrOff
	}
	return ph.send("unknown command", da.Unknown)
}

func (ph *Phone) speedUp() error {
	if _, err := ph.byte("USB_SETUP_PORT speed"); err != nil {
		return err
	}
	if err := ph.send("USB_SETUP_PORT answer", da.Ack); err != nil {
		return err
	}
	ph.fast = true
	return ErrReenumerate
}

func (ph *Phone) switchPart() error {
	if err := ph.send("SDMMC_SWITCH_PART answer", da.Ack); err != nil {
		return err
	}
	p, err := ph.byte("SDMMC_SWITCH_PART part")
	if err != nil {
		return err
	}
	if ph.Flash.Size(da.RegionOf(p)) == 0 {
		return ph.refuse("SDMMC_SWITCH_PART", 3202)
	}
	ph.part = p
	return ph.send("SDMMC_SWITCH_PART answer", da.Ack)
}

// refuse answers A5, takes the host's A5 and sends the number.
func (ph *Phone) refuse(what string, code uint32) error {
	if err := ph.send(what+" refusal", da.Nack); err != nil {
		return err
	}
	if _, err := ph.byte(what + " refusal ack"); err != nil {
		return err
	}
	return ph.put32(what+" refusal code", code)
}

// finish accepts hosts that close without sending the mode.
func (ph *Phone) finish() error {
	if err := ph.send("FINISH answer", da.Ack); err != nil {
		return err
	}
	if _, err := ph.u32("FINISH mode"); err != nil {
		return err
	}
	if err := ph.send("FINISH answer", da.Ack); err != nil {
		return err
	}
	return ErrOff
}

// Where the partition table lies on an eMMC: 1 MiB before the end of USER.
const (
	pmtBack = 0x100000
	pmtCopy = 4096
	pmtWord = "1vTP"
)

// pmt returns the raw entries: those given, or those on the eMMC.
func (ph *Phone) pmt() []byte {
	if ph.Profile.PMT != nil {
		return ph.Profile.PMT
	}
	size := ph.Flash.Size(identity.EMMCUser)
	if size < pmtBack {
		return nil
	}
	b := make([]byte, pmtCopy)
	if ph.Flash.ReadAt(identity.EMMCUser, b, size-pmtBack) != nil || string(b[:4]) != pmtWord {
		return nil
	}
	stride := 88
	if string(b[4:7]) == "1.1" {
		stride = 96
	}
	b = b[8:0xFF8]
	n := 0
	for n+stride <= len(b) && b[n] != 0 && b[n] != 0xFF {
		n += stride
	}
	return b[:n]
}

func (ph *Phone) readPMT() error {
	const what = "SDMMC_READ_PMT"
	t := ph.pmt()
	if t == nil {
		return ph.refuse(what, 3202)
	}
	b := append([]byte{da.Ack}, binary.BigEndian.AppendUint32(nil, uint32(len(t)))...)
	if err := ph.send(what+" answer", b...); err != nil {
		return err
	}
	if _, err := ph.byte(what + " ack"); err != nil {
		return err
	}
	if err := ph.send(what+" data", t...); err != nil {
		return err
	}
	_, err := ph.byte(what + " ack")
	return err
}
