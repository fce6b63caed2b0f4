package ubi

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	ecMagic  = 0x55424923 // "UBI#"
	vidMagic = 0x55424921 // "UBI!"
	hdrSize  = 64
	version  = 1

	layoutID      = 0x7FFFFFFF - 4096 // volume id of the volume table
	layoutLEBs    = 2
	compatReject  = 5
	maxVolumes    = 128
	recordSize    = 172
	maxNameLen    = 127
	autoresizeFlg = 1

	typeDynamic = 1
	typeStatic  = 2

	minPEB = 16 << 10
	maxPEB = 16 << 20
)

var be = binary.BigEndian

// CRC is the checksum of UBI and UBIFS: CRC-32 with all ones at the start and no
// inversion at the end.
func CRC(b []byte) uint32 { return ^crc32.ChecksumIEEE(b) }

// ecHeader is the first header of each PEB; offsets as on flash.
type ecHeader struct {
	ec         uint64 // 8
	vidOffset  uint32 // 16
	dataOffset uint32 // 20
	imageSeq   uint32 // 24; padding to the checksum at 60
}

func parseEC(b []byte) (ecHeader, bool) {
	if be.Uint32(b) != ecMagic || b[4] != version || be.Uint32(b[60:]) != CRC(b[:60]) {
		return ecHeader{}, false
	}
	return ecHeader{be.Uint64(b[8:]), be.Uint32(b[16:]), be.Uint32(b[20:]), be.Uint32(b[24:])}, true
}

func (h ecHeader) put(b []byte) {
	clear(b[:hdrSize])
	be.PutUint32(b, ecMagic)
	b[4] = version
	be.PutUint64(b[8:], h.ec)
	be.PutUint32(b[16:], h.vidOffset)
	be.PutUint32(b[20:], h.dataOffset)
	be.PutUint32(b[24:], h.imageSeq)
	be.PutUint32(b[60:], CRC(b[:60]))
}

// vidHeader says which LEB a PEB holds.
type vidHeader struct {
	volType  byte   // 5
	copied   bool   // 6
	compat   byte   // 7
	volID    uint32 // 8
	lnum     uint32 // 12
	dataSize uint32 // 20
	usedLEBs uint32 // 24
	dataPad  uint32 // 28
	dataCRC  uint32 // 32
	sqnum    uint64 // 40; padding to the checksum at 60
}

func parseVID(b []byte) (vidHeader, bool) {
	if be.Uint32(b) != vidMagic || b[4] != version || be.Uint32(b[60:]) != CRC(b[:60]) {
		return vidHeader{}, false
	}
	return vidHeader{
		volType: b[5], copied: b[6] != 0, compat: b[7],
		volID: be.Uint32(b[8:]), lnum: be.Uint32(b[12:]),
		dataSize: be.Uint32(b[20:]), usedLEBs: be.Uint32(b[24:]),
		dataPad: be.Uint32(b[28:]), dataCRC: be.Uint32(b[32:]), sqnum: be.Uint64(b[40:]),
	}, true
}

func (h vidHeader) put(b []byte) {
	clear(b[:hdrSize])
	be.PutUint32(b, vidMagic)
	b[4], b[5], b[7] = version, h.volType, h.compat
	if h.copied {
		b[6] = 1
	}
	be.PutUint32(b[8:], h.volID)
	be.PutUint32(b[12:], h.lnum)
	be.PutUint32(b[20:], h.dataSize)
	be.PutUint32(b[24:], h.usedLEBs)
	be.PutUint32(b[28:], h.dataPad)
	be.PutUint32(b[32:], h.dataCRC)
	be.PutUint64(b[40:], h.sqnum)
	be.PutUint32(b[60:], CRC(b[:60]))
}

// record is one row of the volume table; a free row is zeros with a checksum.
type record struct {
	reserved  uint32 // 0
	alignment uint32 // 4
	dataPad   uint32 // 8
	volType   byte   // 12
	updating  bool   // 13
	name      string // length at 14, bytes at 16
	flags     byte   // 144; padding to the checksum at 168
}

func parseRecord(b []byte) (record, bool) {
	if be.Uint32(b[168:]) != CRC(b[:168]) {
		return record{}, false
	}
	n := min(int(be.Uint16(b[14:])), maxNameLen)
	return record{
		reserved: be.Uint32(b), alignment: be.Uint32(b[4:]), dataPad: be.Uint32(b[8:]),
		volType: b[12], updating: b[13] != 0, name: string(b[16 : 16+n]), flags: b[144],
	}, true
}

func (r record) put(b []byte) {
	clear(b[:recordSize])
	if r.reserved != 0 {
		be.PutUint32(b, r.reserved)
		be.PutUint32(b[4:], r.alignment)
		be.PutUint32(b[8:], r.dataPad)
		b[12] = r.volType
		be.PutUint16(b[14:], uint16(len(r.name)))
		copy(b[16:16+maxNameLen], r.name)
		b[144] = r.flags
	}
	be.PutUint32(b[168:], CRC(b[:168]))
}

func erased(b []byte) bool {
	for _, c := range b {
		if c != 0xff {
			return false
		}
	}
	return true
}
