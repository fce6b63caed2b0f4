package simphone

// writeBehind stores packets of a write while the next one comes in.
type writeBehind struct {
	bufs [2][]byte
	turn int
	busy chan error // holds the outcome of what is under way; nil when nothing is
	err  error
	do   func(b []byte, at int64) error
}

func (ph *Phone) writeBehind(to place, size int64) *writeBehind {
	return &writeBehind{bufs: ph.buffers(size), do: func(b []byte, at int64) error { return ph.commit(to, b, at) }}
}

// buffer returns n bytes that no write uses.
func (w *writeBehind) buffer(n int64) []byte {
	w.turn ^= 1
	return w.bufs[w.turn][:n]
}

// put starts to store b after what was put before.
func (w *writeBehind) put(b []byte, at int64) {
	if w.err = w.flush(); w.err != nil {
		return
	}
	busy := make(chan error, 1)
	w.busy = busy
	go func() { busy <- w.do(b, at) }()
}

// flush waits for what is under way, and returns the first error so far.
func (w *writeBehind) flush() error {
	if w.busy != nil {
		w.err, w.busy = <-w.busy, nil
	}
	return w.err
}

// buffers returns two of at least n bytes and room for a sum behind them, the same
// ones for each command.
func (ph *Phone) buffers(n int64) [2][]byte {
	for i, b := range ph.bufs {
		if int64(len(b)) < n {
			ph.bufs[i] = make([]byte, n, n+2)
		}
	}
	return ph.bufs
}
