package usb

import (
	"context"
	"errors"
	"time"

	"mtkport"
)

// Waiter looks for the phone until it is there.
type Waiter struct {
	Addr  Addr                   // where to look
	Bus   string                 // place on the bus to prefer after a re-enumeration, or ""
	Every time.Duration          // pause between looks; 50 ms when 0: the preloader shows for about a second
	For   time.Duration          // give up after; no limit when 0
	Tell  func(text string)      // hears once what is waited for; may be nil
	List  func() ([]Port, error) // lists ports; [List] when nil
}

// Open waits for a download-mode port and opens it. Ports that are there and
// cannot be opened (permission, busy) end the wait with that error.
func (w Waiter) Open(ctx context.Context) (*Link, error) {
	every := w.Every
	if every == 0 {
		every = 50 * time.Millisecond
	}
	if w.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.For, errNoPhone)
		defer cancel()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	began := time.Now()
	for told := false; ; {
		l, err := w.try(ctx)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, ErrGone) {
			return nil, w.ended(ctx, err)
		}
		if !told && w.Tell != nil && time.Since(began) >= tellAfter {
			w.Tell("waiting for the phone on " + w.Addr.String())
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, w.ended(ctx, err)
		case <-tick.C:
		}
	}
}

// tellAfter keeps quiet about a phone that is only changing its port.
const tellAfter = 300 * time.Millisecond

var errNoPhone = errors.New("no phone in download mode appeared")

// PlugHint is what to do to bring a phone into download mode.
const PlugHint = "phone off, battery in, then plug the cable in: without a key for the preloader, holding volume up or volume down for the boot ROM; let go when it is found. SP Flash Tool calls a missed window S_BROM_CMD_STARTCMD_FAIL (2005)"

func (w Waiter) ended(ctx context.Context, last error) error {
	if ctx.Err() == nil {
		return last
	}
	if !errors.Is(context.Cause(ctx), errNoPhone) {
		return ctx.Err()
	}
	e := &mtkport.Error{File: w.Addr.String(), Off: mtkport.NoOffset, Err: errNoPhone, Hint: PlugHint}
	if h := mtkport.HintOf(last); h != "" && w.Addr != Auto {
		e.Hint, e.Err = h, errors.Join(errNoPhone, last)
	}
	return e
}

// try opens the best port there is now, or returns ErrGone.
func (w Waiter) try(ctx context.Context) (*Link, error) {
	if w.Addr != Auto {
		return Open(ctx, w.describe())
	}
	ports, err := w.list()
	if err != nil {
		return nil, err
	}
	p, ok := pick(ports, w.Bus)
	if !ok {
		return nil, ErrGone
	}
	l, err := Open(ctx, p)
	if errors.Is(err, ErrInUse) && len(ports) > 1 {
		for _, q := range ports {
			if k := q.Kind(); q != p && (k == KindBROM || k == KindPreloader) {
				return Open(ctx, q)
			}
		}
	}
	return l, err
}

func (w Waiter) list() ([]Port, error) {
	if w.List != nil {
		return w.List()
	}
	return List()
}

// describe finds the ids of a port given by name.
func (w Waiter) describe() Port {
	name := string(w.Addr)
	if _, tcp := w.Addr.TCP(); tcp || IsPTY(name) {
		return Port{Name: name, Terminal: true}
	}
	ports, _ := w.list()
	for _, p := range ports {
		if p.Name == name {
			return p
		}
	}
	return Port{Name: name}
}

func pick(ports []Port, bus string) (Port, bool) {
	var best Port
	found := false
	for _, p := range ports {
		if k := p.Kind(); k != KindBROM && k != KindPreloader {
			continue
		}
		if !found || (bus != "" && p.Bus == bus) {
			best, found = p, true
		}
		if bus != "" && p.Bus == bus {
			return p, true
		}
	}
	return best, found
}
