package port

import (
	"bytes"
	"context"
	"errors"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/report"
	"mtkport/port/rom"
	"mtkport/port/splice"
)

// Job is what is to be ported.
type Job struct {
	Donor, Target string           // paths, see port/rom for what they may be
	Style         plan.Style       // "" is drivers, or the style of Edits
	Rules         *plan.Rules      // nil: the embedded ones
	Edits         *plan.Edits      // a plan file that a person gave back; nil for none
	EditsName     string           // its name, for messages
	Anyway        bool             // port in spite of blockers; other storage is refused all the same
	Progress      mtkport.Progress // may be nil
}

// Prepared is a port before anything is written. Close it.
type Prepared struct {
	Donor, Target *rom.ROM
	Plan          *plan.Plan
	Findings      []mtkport.Finding // of Check and of the plan

	job Job
}

// Prepare opens both sides, checks them and plans.
func Prepare(ctx context.Context, job Job) (p *Prepared, err error) {
	if job.Rules == nil {
		if job.Rules, err = plan.Default(); err != nil {
			return nil, err
		}
	}
	if job.Style == "" {
		job.Style = plan.Drivers
		if job.Edits != nil {
			job.Style = job.Edits.Style
		}
	}
	p = &Prepared{job: job}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if p.Donor, err = rom.Open(ctx, job.Donor); err != nil {
		return p, err
	}
	if p.Target, err = rom.Open(ctx, job.Target); err != nil {
		return p, err
	}
	p.Findings = Check(p.Donor, p.Target, job.Style)
	donor, err := side(p.Donor)
	if err != nil {
		return p, err
	}
	target, err := side(p.Target)
	if err != nil {
		return p, err
	}
	if p.Plan, err = plan.Make(ctx, donor, target, job.Rules, job.Style, job.Progress); err != nil {
		return p, err
	}
	if job.Edits != nil {
		if err := p.Plan.Apply(job.Edits, job.EditsName); err != nil {
			return p, err
		}
	}
	if n := len(p.Plan.Decisions); n > 0 && p.Plan.Equal() == n {
		p.Findings = append(p.Findings, mtkport.Finding{Code: "same-rom", Severity: mtkport.Risk, Text: "donor and target hold the same files: this port changes nothing",
			Fix: "give the other ROM as the donor, if you meant one"})
	}
	p.Findings = append(p.Findings, p.Plan.Findings...)
	p.Plan.Findings = p.Findings // the plan's file says them first
	return p, nil
}

// side is a ROM as the plan sees it.
func side(r *rom.ROM) (plan.Side, error) {
	s := plan.Side{Name: short(r.Path), System: r.System}
	if r.Boot == nil {
		return s, nil
	}
	a, err := r.Ramdisk()
	if errors.Is(err, mtkport.ErrFormat) { // a boot image without one, or of a kind we do not know: it stays as it is
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Ramdisk = rom.RamdiskTree(a)
	return s, nil
}

// Close releases both ROMs.
func (p *Prepared) Close() error {
	var errs []error
	for _, r := range []*rom.ROM{p.Donor, p.Target} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(errs...)
}

// Result is what a port made.
type Result struct {
	Bundle   string            `json:"bundle"` // folder
	Manifest *splice.Manifest  `json:"manifest"`
	Plan     *plan.Plan        `json:"-"`
	Findings []mtkport.Finding `json:"findings"`
}

// Write splices and writes the bundle's folder, whole or not at all.
func (p *Prepared) Write(ctx context.Context, out string) (*Result, error) {
	if err := splice.CheckStorage(p.Donor, p.Target); err != nil {
		return nil, err
	}
	if err := refuse(p.Findings, p.Target.Path); err != nil && !p.job.Anyway {
		return nil, err
	}
	dir, err := mtkport.CreateDir(out)
	if err != nil {
		return nil, err
	}
	defer dir.Abort()
	m, err := splice.Write(ctx, splice.Input{Donor: p.Donor, Target: p.Target, Plan: p.Plan, Rules: p.job.Rules, Progress: p.job.Progress}, dir)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := report.Write(&text, report.Story{Manifest: m, Plan: p.Plan, Findings: p.Findings}); err != nil {
		return nil, err
	}
	if err := splice.WriteReport(dir, text.Bytes()); err != nil {
		return nil, err
	}
	return &Result{Bundle: out, Manifest: m, Plan: p.Plan, Findings: p.Findings}, dir.Commit()
}

// Run is the whole job.
func Run(ctx context.Context, job Job, out string) (*Result, error) {
	p, err := Prepare(ctx, job)
	if err != nil {
		return nil, err
	}
	r, err := p.Write(ctx, out)
	return r, errors.Join(err, p.Close())
}
