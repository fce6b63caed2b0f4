package da

import "io"

// piece is how much is moved between two looks at the other side of a transfer.
const piece = 64 << 10

// behind hands read packets to a sink, a piece of the last one each time that as
// much of the next has come: so the wire is never idle for the whole time that a
// packet is hashed and stored. A second goroutine would do the same, but each
// hand-over to it costs more than the work.
type behind struct {
	sink Sink
	bufs [2][]byte
	turn int
	rest []byte // of the last packet
	owed int    // bytes that came since the sink was last called
	err  error
}

// buffer returns n bytes to fill, which the last packet does not use.
func (q *behind) buffer(n int) []byte {
	if cap(q.bufs[q.turn]) < n {
		q.bufs[q.turn] = make([]byte, n)
	}
	return q.bufs[q.turn][:n]
}

// came says that n more bytes of the next packet came.
func (q *behind) came(n int) {
	if q.owed += n; q.owed >= piece {
		q.give(q.owed)
		q.owed = 0
	}
}

func (q *behind) give(n int) {
	b := q.rest[:min(n, len(q.rest))]
	q.rest = q.rest[len(b):]
	if len(b) > 0 && q.err == nil {
		q.err = q.sink(b)
	}
}

// put takes a whole packet; the sink has then seen the one before.
func (q *behind) put(b []byte) error {
	q.give(len(q.rest))
	q.rest, q.owed, q.turn = b, 0, q.turn^1
	return q.err
}

// close lets the sink see everything.
func (q *behind) close() error {
	q.give(len(q.rest))
	return q.err
}

// ahead reads and sums the next packet of a write, a piece each time that a piece
// of the last one was sent. So a packet is whole before its first byte is on the
// wire, and a source that fails does so between two packets.
type ahead struct {
	r    io.Reader
	left int64 // bytes that r still has for packets that were not begun
	size int64 // of a packet on the wire
	bufs [2][]byte
	turn int
	next []byte // the packet being read
	have int    // of its bytes
	sum  uint16
	err  error
}

func newAhead(r io.Reader, total, size int64) *ahead {
	f := &ahead{r: r, left: total, size: size}
	f.begin()
	return f
}

func (f *ahead) begin() {
	n := int(min(f.left, f.size))
	f.left -= int64(n)
	if cap(f.bufs[f.turn]) < n {
		f.bufs[f.turn] = make([]byte, n)
	}
	f.next, f.have, f.sum = f.bufs[f.turn][:n], 0, 0
	f.turn ^= 1
}

// step reads up to n bytes more.
func (f *ahead) step(n int) {
	b := f.next[f.have:min(f.have+n, len(f.next))]
	if len(b) == 0 || f.err != nil {
		return
	}
	_, f.err = io.ReadFull(f.r, b)
	f.sum += Sum(b)
	f.have += len(b)
}

// take returns the packet whole, with its sum, and begins the one behind it.
func (f *ahead) take() ([]byte, uint16, error) {
	f.step(len(f.next))
	b, sum := f.next, f.sum
	f.begin()
	return b, sum, f.err
}
