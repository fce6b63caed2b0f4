package da

import (
	"io"
	"sync"
)

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

// packet is one packet to be sent, with its sum.
type packet struct {
	data []byte
	sum  uint16
	err  error
}

// feed reads and sums packets ahead of the wire.
type feed struct {
	out  chan packet
	pool chan []byte
	quit chan struct{}
	once sync.Once
}

func newFeed(r io.Reader, total int64, size int) *feed {
	f := &feed{out: make(chan packet, 1), pool: make(chan []byte, 3), quit: make(chan struct{})}
	go f.run(r, total, size)
	return f
}

func (f *feed) run(r io.Reader, total int64, size int) {
	for total > 0 {
		n := int(min(total, int64(size)))
		var b []byte
		select {
		case b = <-f.pool:
			b = b[:n]
		default:
			b = make([]byte, n, min(int64(size), max(total, 1)))
		}
		_, err := io.ReadFull(r, b)
		select {
		case f.out <- packet{b, Sum(b), err}:
		case <-f.quit:
			return
		}
		if err != nil {
			return
		}
		total -= int64(n)
	}
}

func (f *feed) next() packet { return <-f.out }

// free gives a sent packet's buffer back.
func (f *feed) free(p packet) {
	select {
	case f.pool <- p.data:
	default:
	}
}

func (f *feed) stop() { f.once.Do(func() { close(f.quit) }) }
