package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/port/flash/da"
	"mtkport/port/flash/simphone"
	"mtkport/port/flash/usb"
	"mtkport/profiles/scatter"
)

// cutAt is where in the writing the demo's cable comes off, in percent.
const cutAt = 73

// demoPhone is the Panther on a cable: a simulated phone, made of its firmware.
type demoPhone struct {
	phone *simphone.Phone
	line  simphone.Line
	cfg   flash.Config
	limit *atomic.Int64 // bytes written at which the cable comes off; 0: never
	stop  func() error
}

func (d *demo) plugIn(ctx context.Context) (*demoPhone, error) {
	layout, err := readScatter(d.target)
	if err != nil {
		return nil, err
	}
	profile := simphone.PracticeProfile(layout.Storage, false)
	for _, p := range layout.Partitions {
		if !p.FromEnd {
			profile.EMMCGeo.User = max(profile.EMMCGeo.User, p.Linear+p.Size+64<<20)
		}
	}
	var agent bytes.Buffer
	if err := simphone.PracticeDA(&agent, profile.HWCode); err != nil {
		return nil, err
	}
	container, err := da.Open(bytes.NewReader(agent.Bytes()), int64(agent.Len()))
	if err != nil {
		return nil, err
	}
	ph := simphone.New(profile, simphone.NewFlash(profile))
	if _, err := ph.Fill(layout, inUse(imagesOf(d.target, simphone.Noise(uint64(profile.Random[0])))), true); err != nil {
		return nil, err
	}
	limit := new(atomic.Int64)
	ph.Hook = pullAt(limit)
	line, err := simphone.ListenTCP("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	srv := &simphone.Server{Phone: ph, Line: line, Away: 20 * time.Millisecond}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Run(run) // ends with the context; the session hears of every fault
	}()
	return &demoPhone{phone: ph, line: line, limit: limit, cfg: flash.Config{Addr: usb.Parse(line.Name()), DA: container, Wait: time.Minute, Progress: d.e.roomProgress()},
		stop: func() error { cancel(); err := line.Close(); <-ended; return err }}, nil
}

// inUse makes the system partition that of a phone in use: where its image has
// nothing, what was deleted still lies there.
func inUse(content simphone.Content) simphone.Content {
	return func(p scatter.Partition, room int64) (io.ReaderAt, int64) {
		r, n := content(p, room)
		if r == nil || p.Canonical != "system" {
			return r, n
		}
		return worn{r}, n
	}
}

type worn struct{ io.ReaderAt }

// ReadAt implements io.ReaderAt.
func (w worn) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	for i := range p[:n] {
		if p[i] == 0 {
			p[i] = byte(off+int64(i)) | 1
		}
	}
	return n, err
}

// pullAt pulls the cable, once, when so many bytes were written to the phone.
// The limit is set while the phone is already talking.
func pullAt(at *atomic.Int64) simphone.Hook {
	var mu sync.Mutex
	var written int64
	pulled := false
	return func(m simphone.Message) simphone.Action {
		mu.Lock()
		defer mu.Unlock()
		limit := at.Load()
		if m.Dir != simphone.In || m.What != "WRITE data" || pulled || limit == 0 {
			return simphone.Action{}
		}
		if written+int64(m.Len) < limit {
			written += int64(m.Len)
			return simphone.Action{}
		}
		pulled = true
		return simphone.Action{Act: simphone.Cut, Byte: int(limit - written)}
	}
}

// onto flashes the bundle, loses the cable, and goes on.
func (d *demo) onto(ctx context.Context) (err error) {
	p, err := d.plugIn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	set, err := flash.OpenFolder(d.bundle, flash.SetOptions{})
	if err != nil {
		return err
	}
	defer set.Close()
	saved := filepath.Join(d.dir, "saved")
	opt := flash.Options{Dir: saved, SameContent: sameFiles, Confirm: func(pl *flash.Plan) error {
		if !d.e.json {
			printPlan(d.e, pl)
		}
		write, _ := pl.Bytes()
		p.limit.Store(write * cutAt / 100)
		return nil
	}}
	d.say("The Panther hangs on a cable, simulated: it speaks as the real one does and keeps its own record of every write.")
	_, err = flash.Write(ctx, p.cfg, set, opt)
	if !errors.Is(err, mtkport.ErrInterrupted) {
		return errors.Join(err, errors.New("the cable came off and nobody noticed"))
	}
	d.say("\nAt %d %% the cable came off; %s", cutAt, mtkport.HintOf(err))
	d.say("Half a system on the phone, and the journal on the desk. The same command again:\n")
	opt.Confirm = nil
	res, err := flash.Write(ctx, p.cfg, set, opt)
	if err != nil {
		return err
	}
	return d.proof(p, res)
}

func (d *demo) proof(p *demoPhone, res *flash.Result) error {
	if crimes := p.phone.Crimes(); len(crimes) > 0 {
		return &mtkport.Error{Off: crimes[0].Off, Field: "the phone's record", Found: fmt.Sprint(crimes[0]), Want: "no write to what is protected", Err: mtkport.ErrRefused}
	}
	d.say("Went on from the journal: %s written now, %s verified in all by reading back.", size(res.Written), size(res.Verified))
	d.say("Proved to be as before: %s.", strings.Join(res.Proved, " "))
	d.say("The phone's own record of writes: %d, none of them to identity, loader or table.", len(p.phone.Writes()))
	d.left(res.Dir, "what was saved of the phone first, the journal, and the log of the flash")
	return nil
}
