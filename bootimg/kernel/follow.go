package kernel

import (
	"runtime"
	"sync"
)

// Unpacking is one long chain of decisions that no second processor can help
// with. What can be done with the front of a kernel is done there meanwhile.

const (
	followStep = 64 << 10 // bytes that a front must have grown to be handed over
	partSize   = 1 << 20  // bytes below which a pass over the kernel is not shared out
)

// follower hands the growing front of what is being unpacked to do, which runs
// in a goroutine of its own. The zero value with do set is ready.
type follower struct {
	do     func(front []byte)
	fronts chan []byte
	done   chan struct{}
	sent   int
}

// grow hands over a front, all of which is final. Nothing is started for what
// stays short: most magics in a file begin no stream.
func (f *follower) grow(front []byte) {
	if len(front)-f.sent < followStep {
		return
	}
	f.sent = len(front)
	if f.fronts == nil {
		f.fronts, f.done = make(chan []byte, maxUnpacked/followStep+1), make(chan struct{})
		go func() {
			defer close(f.done)
			for front := range f.fronts {
				f.do(front)
			}
		}()
	}
	f.fronts <- front
}

// wait returns when all fronts are done with. Nothing may be handed over then.
func (f *follower) wait() {
	if f.fronts != nil {
		close(f.fronts)
		<-f.done
	}
}

// alone is for unpacking that nobody follows.
func alone([]byte) {}

// inParts shares a pass over n bytes out to the processors, in parts that begin
// at words, and joins what they find in the order of the parts.
func inParts[T any](n int, pass func(from, to int) []T) []T {
	parts := max(1, min(runtime.GOMAXPROCS(0), n/partSize))
	size := (n/parts + 3) &^ 3
	found := make([][]T, parts)
	var wg sync.WaitGroup
	for i := range found {
		from, to := i*size, (i+1)*size
		if i == parts-1 {
			to = n
		}
		wg.Go(func() { found[i] = pass(from, to) })
	}
	wg.Wait()
	var all []T
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}
