package da

import (
	"encoding/binary"
	"io"

	"mtkport"
)

// Part is one loadable part for [Build].
type Part struct {
	Addr   uint32
	Data   []byte // signature included
	SigLen uint32
}

// Spec is one entry for [Build].
type Spec struct {
	HWCode, HWSub, HWVer, SWVer uint16
	First                       int
	Parts                       []Part
}

// Build writes a container in the new form, or in the old one, which has no
// software version. The tests and the simulated phone build theirs with it; no
// vendor code is in it.
func Build(w io.Writer, description string, old bool, specs ...Spec) error {
	if len(specs) == 0 || len(specs) > maxEntries {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "entries", Want: "1…128", Err: mtkport.ErrTooBig}
	}
	stride := strideNew
	if old {
		stride = strideOld
	}
	h := rawHead{Version: 4, Magic: infoMagic, Count: uint32(len(specs))}
	copy(h.ID[:], containerID)
	copy(h.Description[:], description)
	le := binary.LittleEndian
	head, err := binary.Append(nil, le, h)
	if err != nil {
		return err
	}
	var body []byte
	at := uint32(headSize + stride*len(specs))
	for _, s := range specs {
		e := le.AppendUint16(nil, entryMagic)
		for _, v := range []uint16{s.HWCode, s.HWSub, s.HWVer} {
			e = le.AppendUint16(e, v)
		}
		if !old {
			e = le.AppendUint16(le.AppendUint16(e, s.SWVer), 0)
		}
		e = le.AppendUint32(e, 0)
		e = le.AppendUint16(le.AppendUint16(e, uint16(s.First)), uint16(len(s.Parts)))
		for _, p := range s.Parts {
			n := uint32(len(p.Data))
			for _, v := range []uint32{at + uint32(len(body)), n, p.Addr, n - p.SigLen, p.SigLen} {
				e = le.AppendUint32(e, v)
			}
			body = append(body, p.Data...)
		}
		head = append(head, append(e, make([]byte, stride-len(e))...)...)
	}
	_, err = w.Write(append(head, body...))
	return err
}
