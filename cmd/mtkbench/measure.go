package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	Ratio   float64 `json:"ratio,omitempty"` // peer ÷ ours, of wall medians
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
	var ours, theirs []sample
	for i := -1; i < runs; i++ { // run -1 warms the caches of both
		o, err := b.run(ctx, r.ours, vars)
		if err != nil {
			return fail(fmt.Errorf("ours: %w", err))
		}
		var t sample
		if r.theirs != "" {
			if t, err = b.run(ctx, r.theirs, vars); err != nil {
				return fail(fmt.Errorf("theirs: %w", err))
			}
		}
		if i >= 0 {
			ours, theirs = append(ours, o), append(theirs, t)
		}
	}
	res.Ours, res.Theirs = median(ours), median(theirs)
	if res.Ours.Wall > 0 {
		res.Ratio = res.Theirs.Wall / res.Ours.Wall
	}
	return res
}

func (b *bed) run(ctx context.Context, script string, vars map[string]string) (sample, error) {
	dir, err := os.MkdirTemp(b.dir, "run-*")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MTKPORT="+b.mtkport, "LC_ALL=C")
	for k, v := range vars {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
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
	if len(s) == 0 {
		return sample{}
	}
	mid := func(f func(sample) float64) float64 {
		v := make([]float64, len(s))
		for i := range s {
			v[i] = f(s[i])
		}
		slices.Sort(v)
		if n := len(v); n%2 == 0 {
			return (v[n/2-1] + v[n/2]) / 2
		}
		return v[len(v)/2]
	}
	out := sample{
		Wall: mid(func(x sample) float64 { return x.Wall }),
		CPU:  mid(func(x sample) float64 { return x.CPU }),
	}
	for _, x := range s {
		out.RSS = max(out.RSS, x.RSS)
	}
	return out
}

// vars is a short way to hand inputs to scripts.
func vars(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}
