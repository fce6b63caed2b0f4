package da

import (
	"io"
	"sync"
)

// pump hands read packets to a sink in another goroutine, so that the wire is
// never idle while a packet is hashed and stored. Two buffers go round.
type pump struct {
	sink Sink
	full chan []byte
	free chan []byte
	done chan struct{}
	mu   sync.Mutex
	err  error
}

func newPump(sink Sink) *pump {
	p := &pump{sink: sink, full: make(chan []byte, 2), free: make(chan []byte, 3), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *pump) run() {
	defer close(p.done)
	for b := range p.full {
		if p.failed() == nil {
			if err := p.sink(b); err != nil {
				p.mu.Lock()
				p.err = err
				p.mu.Unlock()
			}
		}
		select {
		case p.free <- b:
		default:
		}
	}
}

func (p *pump) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// buffer returns n bytes to fill.
func (p *pump) buffer(n int) []byte {
	select {
	case b := <-p.free:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n)
}

func (p *pump) put(b []byte) error {
	if err := p.failed(); err != nil {
		return err
	}
	p.full <- b
	return nil
}

// close waits until the sink has seen everything.
func (p *pump) close() error {
	close(p.full)
	<-p.done
	return p.err
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
