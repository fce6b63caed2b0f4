package bootimg

import (
	"bytes"
	"fmt"
	"io"

	"mtkport"
)

// Payload is a section for [Build].
type Payload struct {
	R    io.ReaderAt
	Size int64
	Part string // name of the MediaTek header to put in front; empty for none
}

// Spec says what [Build] makes. PageSize 0 means 2048. The zero addresses are
// MT6572's when Addrs is left at zero values: see [StockAddresses].
type Spec struct {
	Header   Header // sizes and id are ignored
	Sections map[Kind]Payload
}

// StockAddresses fills in the load addresses that every MT6572 image has.
func (h *Header) StockAddresses() {
	h.KernelAddr, h.RamdiskAddr, h.SecondAddr, h.TagsAddr = 0x10008000, 0x11000000, 0x10f00000, 0x10000100
}

// Build writes a fresh image: sections padded with zeros to the page size, the
// id by AOSP's SHA-1 rule.
func Build(w io.Writer, spec Spec) error {
	h := spec.Header
	h.ID = [lenID]byte{}
	if h.PageSize == 0 {
		h.PageSize = MinPageSize
	}
	m, err := blank(h)
	if err != nil {
		return err
	}
	e := m.Edit()
	if err := e.SetHeader(h); err != nil {
		return err
	}
	for k := Kernel; k < numKinds; k++ {
		p, ok := spec.Sections[k]
		if !ok {
			continue
		}
		if err := e.add(k, p); err != nil {
			return err
		}
	}
	e.SetID(IDCompute)
	_, err = e.WriteTo(w)
	return err
}

func (e *Editor) add(k Kind, p Payload) error {
	if err := e.SetPayload(k, p.R, p.Size); err != nil {
		return err
	}
	return e.SetPart(k, p.Part)
}

// blank is an image of a header alone, of h's version and page size.
func blank(h Header) (*Image, error) {
	if h.Version < 0 || h.Version > maxSupportedVer {
		return nil, &mtkport.Error{Off: offVersion, Field: "header_version", Found: fmt.Sprint(h.Version), Want: "0, 1 or 2", Err: mtkport.ErrUnsupported}
	}
	if err := checkPageSize(int64(h.PageSize), MinPageSize, MaxPageSize, mtkport.ErrRefused); err != nil {
		return nil, err
	}
	raw := make(rawHeader, h.PageSize)
	copy(raw, Magic)
	raw.setU32(offPageSize, uint32(h.PageSize))
	raw.setU32(offVersion, uint32(h.Version))
	if h.Version >= 1 {
		raw.setU32(offHeaderSize, sizeV1)
	}
	if h.Version >= 2 {
		raw.setU32(offHeaderSize, sizeV2)
	}
	m, err := Open(bytes.NewReader(raw), int64(len(raw)))
	if m != nil {
		m.hdr.DT = h.DT // decided by the dt section
	}
	return m, err
}
