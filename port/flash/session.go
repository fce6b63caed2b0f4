package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"mtkport"
	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
)

// Options say how a flash or a restore goes.
type Options struct {
	Dir          string                          // folder of the phones' folders; "." when empty
	Confirm      func(*Plan) error               // shows the plan and asks; nil to go ahead
	DryRun       bool                            // stop before the backup
	Reconnect    int                             // how often a lost phone is waited for within one run
	UnprovenNAND bool                            // write a NAND with a dialogue that nobody tried on hardware
	Reboot       bool                            // restart the phone at the end
	Bootloader   bool                            // restore: loaders and tables too
	Chunk        int64                           // bytes between two lines of the journal, a multiple of 1 MiB; 16 MiB when 0
	Only         []string                        // restore: these partitions only
	Free         func(dir string) (int64, error) // free bytes of a disk; the system's when nil
	// SameContent compares a range that changed by itself with its backup by
	// what it decodes to; nil never allows a change.
	SameContent func(partition string, old, now io.ReaderAt, size int64) (bool, error)
}

// Result is what a run did.
type Result struct {
	Plan      *Plan         `json:"plan"`
	Dir       string        `json:"dir"` // the run's folder
	Resumed   bool          `json:"resumed"`
	Written   int64         `json:"written"`  // bytes written in this run
	Verified  int64         `json:"verified"` // bytes read back and right, earlier runs included
	Proved    []string      `json:"proved"`   // partitions shown to be as in the backup
	ByContent []string      `json:"by_content,omitempty"`
	Lost      int           `json:"reconnects"`
	Took      time.Duration `json:"nanoseconds"`
}

// run is one flash or restore.
type run struct {
	cfg   Config
	opt   Options
	prep  func(ctx context.Context, d *Device) (*Plan, []source, clearer, error)
	res   Result
	dir   string
	j     *Journal
	srcs  []source
	clear clearer
	m     *Map // nil in a restore
}

// clearer is the guard's door that this run goes through.
type clearer func(region string, off, n int64, why string) (identity.Cleared, error)

// Write flashes a set onto the phone. When the phone goes away it is waited for
// up to opt.Reconnect times; after that, and after ctx ends, the error is of
// class ErrInterrupted and the same call goes on where it stopped.
func Write(ctx context.Context, cfg Config, s *Set, opt Options) (*Result, error) {
	r := newRun(cfg, opt)
	r.prep = func(ctx context.Context, d *Device) (*Plan, []source, clearer, error) {
		m, err := d.Map(ctx, s.Layout)
		if err != nil {
			return nil, nil, nil, err
		}
		if err := provenStorage(d, opt); err != nil { // after the bundle was found to be this phone's
			return nil, nil, nil, err
		}
		r.m = m
		p, srcs, err := planFlash(ctx, d, m, s, cfg.Progress)
		return p, srcs, m.Guard.Clear, err
	}
	return r.go_(ctx)
}

func newRun(cfg Config, opt Options) *run {
	if opt.Chunk <= 0 {
		opt.Chunk = chunkSize
	}
	return &run{cfg: cfg.withDefaults(), opt: opt}
}

func provenStorage(d *Device, opt Options) error {
	if d.Main() != identity.NAND || da.NANDWriteProven || opt.UnprovenNAND {
		return nil
	}
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "storage", Found: "a NAND phone", Want: "--unproven-nand to go on", Err: mtkport.ErrRefused,
		Hint: "the dialogue that writes NAND is known by name only and was never tried on a phone: 'device backup' and 'device read' are safe; with --unproven-nand you are the first to try, nothing but firmware partitions is at risk"}
}

// go_ repeats attempts until the work is done, refused, or the phone stays away.
func (r *run) go_(ctx context.Context) (*Result, error) {
	began := time.Now()
	for {
		err := r.attempt(ctx)
		r.res.Took = time.Since(began)
		if r.j != nil {
			err = errors.Join(err, r.j.Close())
		}
		if err == nil {
			return &r.res, nil
		}
		if !da.Broken(err) || ctx.Err() != nil || r.res.Lost >= r.opt.Reconnect {
			return &r.res, r.ended(ctx, err)
		}
		r.res.Lost++
		mtkport.Remark(r.cfg.Progress, "the phone is gone: "+firstLine(err)+"; unplug it, battery out for a moment, plug it in again, and the work goes on")
	}
}

func firstLine(err error) string {
	s, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(s)
}

// ended makes an interrupted run say how to go on.
func (r *run) ended(ctx context.Context, err error) error {
	if r.j == nil || (ctx.Err() == nil && !da.Broken(err)) {
		return err
	}
	return &mtkport.Error{File: r.dir, Off: mtkport.NoOffset, Err: errors.Join(mtkport.ErrInterrupted, err),
		Hint: "nothing is lost: plug the phone in and give the same command again, it goes on from the journal in this folder"}
}

// attempt is one connection with all the work that is left.
func (r *run) attempt(ctx context.Context) error {
	r.j = nil
	d, err := Connect(ctx, r.cfg)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if r.res.Plan != nil && phoneName(d.ID) != phoneName(r.res.Plan.Phone) {
		return otherPhone(r.res.Plan.Phone, d.ID)
	}
	p, srcs, clear, err := r.prep(ctx, d)
	if err != nil {
		return err
	}
	r.srcs, r.clear, r.res.Plan = srcs, clear, p
	if r.opt.DryRun {
		if r.opt.Confirm != nil {
			return r.opt.Confirm(p)
		}
		return nil
	}
	if err := r.openJournal(p); err != nil {
		return err
	}
	return r.steps(ctx, d)
}

func otherPhone(want, got identity.HardwareID) error {
	return &mtkport.Error{Off: mtkport.NoOffset, Field: "phone", Found: phoneName(got), Want: phoneName(want), Err: mtkport.ErrRefused,
		Hint: "another phone is on the cable than the one that was begun with; nothing was written to it"}
}

// steps are the work after the plan: each is skipped as far as it was done.
func (r *run) steps(ctx context.Context, d *Device) error {
	p := r.res.Plan
	s := &saver{d: d, dir: filepath.Join(r.dir, "backup"), j: r.j, items: p.Backup, chunk: r.opt.Chunk}
	if err := s.save(ctx, r.cfg.Progress); err != nil {
		return err
	}
	if !r.has(AllSafe) {
		k := Backup{Phone: d.ID, Regions: p.Regions, Block: p.Block, Ranges: p.Ranges, Layout: p.Layout, LayoutF: p.LayoutF, Lacks: lacks(p)}
		if err := s.finish(k); err != nil {
			return err
		}
		if err := r.j.Add(Entry{Kind: AllSafe}); err != nil {
			return err
		}
	}
	if err := r.witness(ctx, r.m); err != nil {
		return err
	}
	if r.opt.Confirm != nil && !r.has(Intent) {
		if err := r.opt.Confirm(p); err != nil {
			return err
		}
	}
	if err := r.write(ctx, d); err != nil {
		return err
	}
	if err := r.prove(ctx, d); err != nil {
		return err
	}
	if err := r.log(d); err != nil {
		return err
	}
	if err := r.j.Add(Entry{Kind: Done}); err != nil {
		return err
	}
	r.leave(ctx, d)
	return nil
}

// leave ends the agent's session. All is done: an error here harms nothing.
func (r *run) leave(ctx context.Context, d *Device) {
	var err error
	if r.opt.Reboot {
		err = d.Agent.Reboot(ctx)
	} else {
		err = d.Agent.Finish(ctx)
	}
	if err != nil {
		mtkport.Remark(r.cfg.Progress, "the phone did not say good-bye; unplug it")
	}
}

func (r *run) has(k Kind) bool {
	for _, e := range r.j.Entries() {
		if e.Kind == k {
			return true
		}
	}
	return false
}

func lacks(p *Plan) []string {
	out := []string{"RPMB: not readable without its key"}
	saved := map[string]bool{}
	for _, i := range p.Backup {
		saved[i.Name] = true
	}
	for _, r := range p.Ranges {
		if !saved[r.Partition] && r.Region != identity.EMMCRPMB {
			out = append(out, r.Partition+": not written, not saved")
		}
	}
	if p.Regions[identity.NAND] > 0 {
		out = append(out, "spare bytes of the NAND: a YAFFS2 partition cannot be written back from this backup")
	}
	return out
}

// phoneName names a phone's folder: the ids that it tells in every mode.
func phoneName(id identity.HardwareID) string {
	id.MEID, id.SOCID = "", ""
	b, _ := json.Marshal(id) // plain strings: cannot fail
	h := sha256.Sum256(b)
	return "phone-" + hex.EncodeToString(h[:4])
}

// openJournal finds the unfinished run of this plan, or begins one.
func (r *run) openJournal(p *Plan) error {
	base := filepath.Join(r.opt.Dir, phoneName(p.Phone))
	if r.opt.Dir == "" {
		base = phoneName(p.Phone)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return err
	}
	for n := 1; ; n++ {
		r.dir = filepath.Join(base, p.Kind+"-"+p.ID)
		if n > 1 {
			r.dir += fmt.Sprintf("-%d", n)
		}
		old, err := ReadJournal(filepath.Join(r.dir, "journal"))
		if err != nil {
			return err
		}
		if len(old) == 0 || old[len(old)-1].Kind != Done {
			break
		}
	}
	r.res.Dir = r.dir
	if err := r.begin(base, p); err != nil {
		return diskFull(err, r.dir)
	}
	return nil
}

func (r *run) begin(base string, p *Plan) error {
	if err := os.MkdirAll(filepath.Join(r.dir, "backup"), 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(base, "phone.json")); err != nil {
		if err := writeJSON(filepath.Join(base, "phone.json"), p.Phone); err != nil {
			return err
		}
	}
	planFile := filepath.Join(r.dir, "plan.json")
	if _, err := os.Stat(planFile); err != nil {
		_, need := p.Bytes()
		if err := room(r.dir, need, r.opt.Free); err != nil {
			return err
		}
		if err := writeJSON(planFile, p); err != nil {
			return err
		}
	}
	j, err := OpenJournal(filepath.Join(r.dir, "journal"))
	if err != nil {
		return err
	}
	r.j = j
	r.res.Resumed = r.res.Resumed || len(j.Entries()) > 0
	return j.Add(Entry{Kind: Begin, Plan: p.ID})
}
