package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// row is one comparison. ours and theirs return shell scripts, run by `sh -e`
// in a fresh folder each time; $MTKPORT names the binary.
type row struct {
	group, name string
	peer        string // what the other side is; "" when there is none
	aim         string // what the ratio or time should reach
	needs       []string
	setUp       func(b *bed) (vars map[string]string, err error) // inputs, as environment variables
	ours        string
	theirs      string
	serve       string // runs beside both in $SERVE, from before the first run until it gets SIGINT; ready when it made $SERVE/ready
}

// sample is one side's figures: medians of wall and CPU seconds, the largest
// resident set of one process in bytes.
type sample struct {
	Wall float64 `json:"wall_s"`
	CPU  float64 `json:"cpu_s"`
	RSS  int64   `json:"rss_bytes"`
}

type result struct {
	Group   string  `json:"group"`
	Name    string  `json:"name"`
	Peer    string  `json:"peer,omitempty"`
	Aim     string  `json:"aim,omitempty"`
	Ours    sample  `json:"ours"`
	Theirs  sample  `json:"theirs"`
	Ratio   float64 `json:"ratio,omitempty"` // peer ÷ ours: the median of the pairs of neighbours
	Missing string  `json:"missing,omitempty"`
}

func (b *bed) measure(ctx context.Context, r row, runs int) result {
	res := result{Group: r.group, Name: r.name, Peer: r.peer, Aim: r.aim}
	fail := func(err error) result {
		res.Missing = err.Error()
		return res
	}
	if err := need(r.needs...); err != nil {
		return fail(err)
	}
	vars, err := r.setUp(b)
	if err != nil {
		return fail(err)
	}
	if r.serve != "" {
		stop, err := b.serve(ctx, r.serve, vars)
		if err != nil {
			return fail(err)
		}
		defer stop()
	}
	var ours, theirs []sample
	for i := -1; i < runs; i++ { // run -1 warms the caches of both
		o, t, err := b.pair(ctx, r, vars, i%2 != 0)
		if err != nil {
			return fail(err)
		}
		if i >= 0 {
			ours, theirs = append(ours, o), append(theirs, t)
		}
	}
	res.Ours, res.Theirs, res.Ratio = median(ours), median(theirs), ratio(ours, theirs)
	return res
}

// pair runs both sides, one after the other, so that a machine that is slow for
// a while is slow for both.
func (b *bed) pair(ctx context.Context, r row, vars map[string]string, peerFirst bool) (ours, theirs sample, err error) {
	ourTurn := func() {
		if err == nil {
			if ours, err = b.run(ctx, r.ours, vars); err != nil {
				err = fmt.Errorf("ours: %w", err)
			}
		}
	}
	if !peerFirst {
		ourTurn()
	}
	if err == nil && r.theirs != "" {
		if theirs, err = b.run(ctx, r.theirs, vars); err != nil {
			err = fmt.Errorf("theirs: %w", err)
		}
	}
	if peerFirst {
		ourTurn()
	}
	return ours, theirs, err
}

// serve starts a script beside the runs and waits until it is ready.
func (b *bed) serve(ctx context.Context, script string, vars map[string]string) (stop func(), err error) {
	dir, err := os.MkdirTemp(b.dir, "serve-*")
	if err != nil {
		return nil, err
	}
	vars["SERVE"] = dir
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = dir, b.env(vars)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // of the interrupt
		_ = os.RemoveAll(dir)
	}
	for range 1000 {
		if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
			return stop, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("what serves the runs did not come up: %s", tail(out.Bytes(), 400))
}

func (b *bed) env(vars map[string]string) []string {
	env := append(os.Environ(), "MTKPORT="+b.mtkport, "LC_ALL=C")
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	return env
}

func (b *bed) run(ctx context.Context, script string, vars map[string]string) (sample, error) {
	dir, err := os.MkdirTemp(b.dir, "run-*")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = dir, b.env(vars)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(start)
	if err != nil {
		return sample{}, errors.Join(err, fmt.Errorf("%s", tail(out, 400)))
	}
	st := cmd.ProcessState
	return sample{Wall: wall.Seconds(), CPU: (st.UserTime() + st.SystemTime()).Seconds(), RSS: maxRSS(st)}, nil
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}

func median(s []sample) sample {
	var out sample
	var wall, cpu []float64
	for _, x := range s {
		wall, cpu = append(wall, x.Wall), append(cpu, x.CPU)
		out.RSS = max(out.RSS, x.RSS)
	}
	out.Wall, out.CPU = middle(wall), middle(cpu)
	return out
}

func ratio(ours, theirs []sample) float64 {
	var v []float64
	for i := range ours {
		if ours[i].Wall > 0 {
			v = append(v, theirs[i].Wall/ours[i].Wall)
		}
	}
	return middle(v)
}

// middle is the median; 0 of nothing.
func middle(v []float64) float64 {
	slices.Sort(v)
	switch n := len(v); {
	case n == 0:
		return 0
	case n%2 == 0:
		return (v[n/2-1] + v[n/2]) / 2
	default:
		return v[n/2]
	}
}

// vars is a short way to hand inputs to scripts.
func vars(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}
