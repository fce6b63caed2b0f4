package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"mtkport"
)

// A task shorter than this shows no progress at all: most commands are done
// before a bar could be read.
const showAfter = 400 * time.Millisecond

// Off a terminal a running task says a line this often.
const lineEvery = 10 * time.Second

// progress draws the progress of the rooms on stderr: bars on a terminal, a
// line now and then elsewhere, nothing with --quiet. A nil *progress is silent.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	bars     *mpb.Progress // while bars are drawn; nil at other times
	live     int           // bars that have not ended
}

func newProgress(e *env) *progress {
	if e.quiet {
		return nil
	}
	return &progress{w: e.stderr, terminal: isTerminal(e.stderr)}
}

// roomProgress is p for a room: a nil interface when silent.
func (e *env) roomProgress() mtkport.Progress {
	if e.progress == nil {
		return nil
	}
	return e.progress
}

// Note prints one line.
func (p *progress) Note(text string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars != nil {
		fmt.Fprintln(p.bars, clean(text))
		return
	}
	fmt.Fprintln(p.w, clean(text))
}

// Start opens a task.
func (p *progress) Start(phase string, total int64) mtkport.Task {
	now := time.Now()
	return &task{p: p, phase: phase, total: total, begun: now, said: now}
}

// close leaves the bars of tasks that never ended as they are.
func (p *progress) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars != nil {
		p.bars.Shutdown()
		p.bars = nil
	}
}

// open draws one bar more.
func (p *progress) open(t *task) *mpb.Bar {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars == nil {
		p.bars = mpb.New(mpb.WithOutput(p.w), mpb.WithWidth(48), mpb.WithRefreshRate(100*time.Millisecond))
	}
	p.live++
	return t.newBar(p.bars)
}

// end lets go of the screen with the last bar: a bar that is drawn again later
// would wipe out what the command printed meanwhile.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live--; p.live == 0 && p.bars != nil {
		p.bars.Wait()
		p.bars = nil
	}
}

type task struct {
	p            *progress
	phase        string
	total, done  int64
	begun, said  time.Time
	mu           sync.Mutex
	bar          *mpb.Bar
	shown, ended bool
}

// Add implements mtkport.Task.
func (t *task) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += n
	now := time.Now()
	switch {
	case t.ended || now.Sub(t.begun) < showAfter:
	case !t.p.terminal:
		if now.Sub(t.said) >= lineEvery {
			t.said, t.shown = now, true
			t.p.Note(t.line())
		}
	case t.bar == nil:
		t.bar = t.p.open(t)
		t.bar.SetCurrent(t.done)
	default:
		t.bar.SetCurrent(t.done)
	}
}

// Done implements mtkport.Task.
func (t *task) Done(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	if t.bar != nil {
		if err != nil {
			t.bar.Abort(false)
		} else {
			t.bar.SetTotal(t.done, true)
		}
		t.p.end()
	}
	if t.shown && err == nil {
		t.p.Note(t.line() + ", done")
	}
}

func (t *task) line() string {
	if t.total > 0 {
		return fmt.Sprintf("%s: %d %% of %s", t.phase, 100*t.done/t.total, size(t.total))
	}
	return fmt.Sprintf("%s: %s", t.phase, size(t.done))
}

func (t *task) newBar(bars *mpb.Progress) *mpb.Bar {
	return bars.AddBar(max(t.total, 0),
		mpb.PrependDecorators(decor.Name(t.phase, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(
			decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace),
			decor.AverageSpeed(decor.SizeB1024(0), " % .1f", decor.WCSyncSpace),
			decor.OnComplete(decor.AverageETA(decor.ET_STYLE_MMSS, decor.WCSyncSpace), "done"),
		))
}
