package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/rom"
)

// Schema is the version of the JSON form of a Report. It rises when a field
// changes its meaning or goes; new fields may come without.
const Schema = 1

// Options say how to compare. The zero value is good.
type Options struct {
	Style    plan.Style       // "" is drivers
	Rules    *plan.Rules      // nil: the embedded ones
	Progress mtkport.Progress // may be nil
}

// Report is what Compare found.
type Report struct {
	Schema   int               `json:"schema"`
	Verdict  string            `json:"verdict"` // one line
	Style    plan.Style        `json:"style"`
	Donor    Facts             `json:"donor"`
	Target   Facts             `json:"target"`
	Paths    Paths             `json:"paths"`
	Counts   Counts            `json:"counts"`
	Findings []mtkport.Finding `json:"findings"` // heaviest first, then by code and subject
}

// Counts is how many findings there are of each weight.
type Counts struct {
	Blockers int `json:"blockers"`
	Risks    int `json:"risks"`
	Notes    int `json:"notes"`
}

// Paths counts the files of both systems. Links and folders are left out.
type Paths struct {
	Donor     int `json:"donor"`     // files of the donor's system
	Target    int `json:"target"`    // and the target's
	Shared    int `json:"shared"`    // paths that both have
	Differ    int `json:"differ"`    // of these: other size, or other contents where they were read
	Identical int `json:"identical"` // of these: read and equal
	Unread    int `json:"unread"`    // of these: equal size, not read
}

// Compare compares two open ROMs. It reads no more than it needs and changes
// nothing. Parts that cannot be read are findings, not errors; the error is that
// of ctx, or of the rules.
func Compare(ctx context.Context, donor, target *rom.ROM, opt Options) (*Report, error) {
	if opt.Style == "" {
		opt.Style = plan.Drivers
	}
	if opt.Rules == nil {
		var err error
		if opt.Rules, err = plan.Default(); err != nil {
			return nil, err
		}
	}
	task := mtkport.Begin(opt.Progress, "compare", int64(2+len(checks)))
	r, err := run(ctx, donor, target, opt, task)
	task.Done(err)
	return r, err
}

// checks is every check, each one subject. Their order does not show.
var checks = []func(*checker) error{
	checkParts, checkStorage, checkPartitions, checkPlatform, checkAndroid, checkABI,
	checkKernel, checkConfig, checkModules, checkInsmods,
	checkPanels, checkCameras, checkDrivers, checkScreen,
	checkRadio, checkSELinux, checkServices, checkMounts, checkVolumes, checkBootClassPath,
	checkGPU, checkDoors, checkFiles, checkProximity,
}

func run(ctx context.Context, donor, target *rom.ROM, opt Options, task mtkport.Task) (*Report, error) {
	c := &checker{ctx: ctx, opt: opt}
	for _, s := range []struct {
		to   **side
		name string
		rom  *rom.ROM
	}{{&c.donor, "donor", donor}, {&c.target, "target", target}} {
		var err error
		if *s.to, err = gather(ctx, s.name, s.rom); err != nil {
			return nil, err
		}
		task.Add(1)
	}
	for _, check := range checks {
		if err := cmp.Or(ctx.Err(), check(c)); err != nil {
			return nil, err
		}
		task.Add(1)
	}
	r := &Report{Schema: Schema, Style: opt.Style, Donor: c.donor.facts(), Target: c.target.facts(), Paths: c.paths, Findings: sorted(c.out)}
	for _, f := range r.Findings {
		switch f.Severity {
		case mtkport.Blocker:
			r.Counts.Blockers++
		case mtkport.Risk:
			r.Counts.Risks++
		default:
			r.Counts.Notes++
		}
	}
	r.Verdict = verdict(r)
	return r, nil
}

func sorted(fs []mtkport.Finding) []mtkport.Finding {
	slices.SortStableFunc(fs, func(a, b mtkport.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Text, b.Text))
	})
	if fs == nil {
		fs = []mtkport.Finding{}
	}
	return fs
}

// maxNamed is how many codes the verdict names.
const maxNamed = 8

func verdict(r *Report) string {
	head := "fits"
	switch {
	case r.Counts.Blockers > 0:
		head = "does not fit"
	case r.Counts.Risks > 0:
		head = "fits if the risks are settled"
	}
	line := fmt.Sprintf("%s: %s, %s, %s", head, count(r.Counts.Blockers, "blocker"), count(r.Counts.Risks, "risk"), count(r.Counts.Notes, "note"))
	var top []string
	for _, f := range r.Findings {
		if f.Severity == mtkport.Note || f.Severity < r.Findings[0].Severity {
			break
		}
		if !slices.Contains(top, f.Code) {
			top = append(top, f.Code)
		}
	}
	if len(top) > maxNamed {
		top = append(top[:maxNamed:maxNamed], "…")
	}
	if len(top) > 0 {
		line += " (" + strings.Join(top, ", ") + ")"
	}
	return line
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// checker carries the facts to the checks and their findings back.
type checker struct {
	ctx           context.Context
	opt           Options
	donor, target *side
	paths         Paths
	out           []mtkport.Finding
}

// sides lists both.
func (c *checker) sides() []*side { return []*side{c.donor, c.target} }

// add reports a finding of the table. text "" takes the table's own sentence.
// The result may be changed until the next add.
func (c *checker) add(code, subject, text string, ev ...mtkport.Evidence) *mtkport.Finding {
	k := codeOf(code)
	f := mtkport.Finding{Code: code, Severity: k.Severity, Subject: subject, Text: cmp.Or(text, k.Text), Evidence: ev, Symptom: k.Symptom, Fix: k.Fix}
	if c.opt.Style == plan.Look && slices.Contains(settledByLook, code) {
		f.Severity = min(f.Severity, note)
	}
	c.out = append(c.out, f)
	return &c.out[len(c.out)-1]
}

// both is a value of each side as evidence.
func both(file, donor, target string) []mtkport.Evidence {
	return []mtkport.Evidence{at("donor", file, donor), at("target", file, target)}
}

func at(side, file, value string) mtkport.Evidence {
	return mtkport.Evidence{Side: side, File: file, Value: cmp.Or(value, "not stated")}
}

// list joins names for evidence; none is said as such.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// missing lists what of a is not in b, in a's order, capitals or not.
func missing(a, b []string) []string {
	var out []string
	for _, s := range a {
		same := func(o string) bool { return strings.EqualFold(o, s) }
		if !slices.ContainsFunc(b, same) && !slices.ContainsFunc(out, same) {
			out = append(out, s)
		}
	}
	return out
}
