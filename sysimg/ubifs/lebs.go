package ubifs

import (
	"io"

	"mtkport/sysimg/ubifs/ubi"
)

// sink takes LEBs in any order; what is behind data is erased.
type sink interface {
	WriteLEB(lnum int, data []byte) error
}

// bareSink writes LEB behind LEB, each in full.
type bareSink struct {
	w    io.WriterAt
	full []byte
}

// WriteLEB implements sink.
func (s *bareSink) WriteLEB(lnum int, data []byte) error {
	n := copy(s.full, data)
	for i := n; i < len(s.full); i++ {
		s.full[i] = 0xff
	}
	_, err := s.w.WriteAt(s.full, int64(lnum)*int64(len(s.full)))
	return err
}

// ubiSink writes into the last volume of a UBI image.
type ubiSink struct {
	u *ubi.Writer
	i int
}

// WriteLEB implements sink.
func (s *ubiSink) WriteLEB(lnum int, data []byte) error { return s.u.WriteLEB(s.i, lnum, data) }

// leb is what the LPT says of a main LEB, bytes.
type leb struct {
	free, dirty int
	index       bool
}

func (p leb) indexBit() uint32 {
	if p.index {
		return 1
	}
	return 0
}

// head fills main LEBs with nodes, one LEB at a time.
type head struct {
	a     *areas
	sink  sink
	sqnum uint64
	buf   []byte
	props []leb // of the LEBs filled so far
	index bool  // of the LEB being filled
}

// lnum is the LEB being filled.
func (h *head) lnum() int { return h.a.mainFirst + len(h.props) }

// add completes the node b with header and checksum and places it.
func (h *head) add(b []byte, typ byte) (place, error) {
	h.sqnum++
	putHeader(b, typ, h.sqnum)
	return h.put(b)
}

// put places a finished node, in the next LEB when it does not fit.
func (h *head) put(b []byte) (place, error) {
	if align8(len(h.buf))+len(b) > h.a.LEBSize {
		if err := h.close(); err != nil {
			return place{}, err
		}
	}
	for len(h.buf)%8 != 0 {
		h.buf = append(h.buf, 0)
	}
	at := place{uint32(h.lnum()), uint32(len(h.buf)), uint32(len(b))}
	h.buf = append(h.buf, b...)
	return at, nil
}

// close ends the LEB being filled: padding up to a whole page, then nothing.
func (h *head) close() error {
	if len(h.buf) == 0 {
		return nil
	}
	for len(h.buf)%8 != 0 {
		h.buf = append(h.buf, 0)
	}
	used := len(h.buf)
	h.buf = h.pad(h.buf)
	p := leb{free: h.a.LEBSize - len(h.buf), dirty: len(h.buf) - used, index: h.index}
	var err error
	if h.lnum() < h.a.MaxLEBs { // the count goes on, to say how much is needed
		err = h.sink.WriteLEB(h.lnum(), h.buf)
	}
	h.props = append(h.props, p)
	h.buf = h.buf[:0]
	return err
}

// pad fills b up to a whole page: a padding node, or padding bytes where that
// does not fit.
func (h *head) pad(b []byte) []byte {
	n := alignTo(len(b), h.a.MinIO) - len(b)
	if n == 0 {
		return b
	}
	if n < padSize {
		for range n {
			b = append(b, padByte)
		}
		return b
	}
	node := make([]byte, padSize)
	le.PutUint32(node[24:], uint32(n-padSize))
	h.sqnum++
	putHeader(node, padNode, h.sqnum)
	return append(append(b, node...), make([]byte, n-padSize)...)
}
