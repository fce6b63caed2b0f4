package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"mtkport"
	"mtkport/ramdisk/initrc"
	"mtkport/sysimg/tree"
)

// Side is one ROM as a plan sees it.
type Side struct {
	Name    string     // what the person called it
	System  *tree.Tree // the system image; nil when the ROM has none
	Ramdisk *tree.Tree // of boot.img; nil when the ROM has none
}

// Decision says where one path of the result comes from.
type Decision struct {
	Path    string `json:"path"`              // canonical
	Take    Take   `json:"take"`              // target, donor, merge or drop
	Rule    string `json:"rule"`              // id; "edited" for a person's own word
	Why     string `json:"why"`               // the rule's reason, or what overruled it
	Symptom string `json:"symptom,omitempty"` // what a user sees when it is done otherwise
	Merge   string `json:"merge,omitempty"`   // how, for Take Merge
	Donor   int64  `json:"donor"`             // size in bytes there, -1 where it is not
	Target  int64  `json:"target"`            // size in bytes there, -1 where it is not
	Same    bool   `json:"same,omitempty"`    // the same contents on both sides
}

// Group is what became of the files that move together.
type Group struct {
	Name   string `json:"name"`
	Take   Take   `json:"take"`   // target or donor
	Donor  int    `json:"donor"`  // how many of its files the donor has
	Target int    `json:"target"` // and the target
	Why    string `json:"why"`
}

// Plan is every decision of a port.
type Plan struct {
	Style     Style             `json:"style"`
	Donor     string            `json:"donor"` // names of the sides, for people
	Target    string            `json:"target"`
	Groups    []Group           `json:"groups"`
	Decisions []Decision        `json:"decisions"` // sorted by path
	Findings  []mtkport.Finding `json:"findings"`
}

// Make plans the port of donor onto target. The result depends on nothing but
// its arguments. Files of equal size are compared byte by byte; p hears of it.
func Make(ctx context.Context, donor, target Side, rules *Rules, style Style, p mtkport.Progress) (*Plan, error) {
	m := maker{donor: donor, target: target, rules: rules, plan: &Plan{Style: style, Donor: donor.Name, Target: target.Name}}
	m.services = targetServices(target.Ramdisk)
	if err := m.compare(ctx, p); err != nil {
		return nil, err
	}
	m.decideGroups()
	m.byHand()
	return m.plan, nil
}

type maker struct {
	donor, target Side
	rules         *Rules
	services      map[string]bool // programs that the target's init files start
	plan          *Plan
}

// targetServices lists the programs under /system that a ramdisk's init files
// start, as canonical paths.
func targetServices(rd *tree.Tree) map[string]bool {
	out := map[string]bool{}
	if rd == nil {
		return out
	}
	add := func(bin string) {
		if strings.HasPrefix(bin, "/system/") {
			out[Canonical(bin)] = true
		}
	}
	_ = rd.Walk(func(p string, n *tree.Node) error {
		if n.Type() != tree.Regular || !strings.HasSuffix(p, ".rc") {
			return nil
		}
		b, err := smallFile(n)
		if err != nil {
			return nil // the ramdisk's own reader complains about it
		}
		f := initrc.Parse(b)
		for _, s := range f.Services {
			add(s.Binary())
		}
		for _, r := range f.Commands("exec") {
			if len(r.Args) > 1 {
				add(r.Args[1])
			}
		}
		return nil
	})
	return out
}

// maxText is the most that a text file which is merged or read may hold; real
// ones stay under 200 KiB.
const maxText = 4 << 20

func smallFile(n *tree.Node) ([]byte, error) {
	if n.Size() > maxText {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprint(n.Size()), Want: fmt.Sprintf("at most %d", maxText), Err: mtkport.ErrTooBig}
	}
	if n.Data == nil {
		return nil, nil
	}
	b := make([]byte, n.Size())
	if _, err := n.Data.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// both is a path with what each side has there.
type both struct {
	path          string
	donor, target *tree.Node
}

func (m *maker) paths() []both {
	all := map[string]*both{}
	collect := func(prefix string, t *tree.Tree, set func(*both, *tree.Node)) {
		if t == nil {
			return
		}
		_ = t.Walk(func(p string, n *tree.Node) error {
			if n.IsDir() {
				return nil
			}
			p = prefix + p
			if all[p] == nil {
				all[p] = &both{path: p}
			}
			set(all[p], n)
			return nil
		})
	}
	donor := func(b *both, n *tree.Node) { b.donor = n }
	target := func(b *both, n *tree.Node) { b.target = n }
	collect("system/", m.donor.System, donor)
	collect("system/", m.target.System, target)
	collect("ramdisk/", m.target.Ramdisk, target)
	collect("ramdisk/", m.donor.Ramdisk, donor)
	out := make([]both, 0, len(all))
	for _, b := range all {
		out = append(out, *b)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

func (m *maker) compare(ctx context.Context, p mtkport.Progress) error {
	list := m.paths()
	var total int64
	for _, b := range list {
		total += b.work()
	}
	task := mtkport.Begin(p, "comparing both systems", total)
	buf := make([]byte, 2<<16)
	for _, b := range list {
		if err := ctx.Err(); err != nil {
			task.Done(err)
			return err
		}
		same, err := b.same(buf)
		if err != nil {
			task.Done(err)
			return err
		}
		task.Add(b.work())
		m.decide(b, same)
	}
	task.Done(nil)
	return nil
}

// work is how many bytes must be read to compare.
func (b both) work() int64 {
	if b.donor == nil || b.target == nil || b.donor.Type() != tree.Regular || b.target.Type() != tree.Regular || b.donor.Size() != b.target.Size() {
		return 0
	}
	return b.donor.Size()
}

// same reports whether both sides hold the same contents.
func (b both) same(buf []byte) (bool, error) {
	if b.donor == nil || b.target == nil || b.donor.Type() != b.target.Type() || b.donor.Size() != b.target.Size() {
		return false, nil
	}
	if b.donor == b.target {
		return true, nil
	}
	if b.donor.Type() != tree.Regular {
		return b.donor.Target == b.target.Target && b.donor.Major == b.target.Major && b.donor.Minor == b.target.Minor, nil
	}
	x, y := buf[:len(buf)/2], buf[len(buf)/2:]
	for off := int64(0); off < b.donor.Size(); off += int64(len(x)) {
		n := min(int64(len(x)), b.donor.Size()-off)
		for _, r := range []struct {
			side string
			c    tree.Content
			b    []byte
		}{{"donor", b.donor.Data, x[:n]}, {"target", b.target.Data, y[:n]}} {
			if _, err := r.c.ReadAt(r.b, off); err != nil && !errors.Is(err, io.EOF) {
				return false, mtkport.InFile(err, r.side+": "+b.path)
			}
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return false, nil
		}
	}
	return true, nil
}

func sizeOf(n *tree.Node) int64 {
	if n == nil {
		return -1
	}
	return n.Size()
}

func (m *maker) decide(b both, same bool) {
	var known []Evidence
	if b.donor == nil && m.services[b.path] {
		known = append(known, TargetService)
	}
	d := Decision{Path: b.path, Donor: sizeOf(b.donor), Target: sizeOf(b.target), Same: same}
	x := m.rules.Find(b.path, known...)
	take := base(m.plan.Style)
	if x == nil {
		d.Rule, d.Why = "none", "no rule is about it: the side the port starts from"
	} else {
		d.Rule, d.Why, d.Symptom, d.Merge = x.ID, x.Why, x.Symptom, x.Merge
		take = x.Take(m.plan.Style)
	}
	d.Take = present(take, b.donor != nil, b.target != nil)
	if d.Take == Merge && same {
		d.Take = base(m.plan.Style)
	}
	if d.Take != Merge {
		d.Merge = ""
	}
	m.plan.Decisions = append(m.plan.Decisions, d)
}

// present reduces a rule's word to one of the four, by who has the file.
func present(t Take, donor, target bool) Take {
	switch t {
	case Target:
		if !target {
			return Donor
		}
	case TargetOnly:
		if !target {
			return Drop
		}
	case Donor:
		if !donor {
			return Drop
		}
	case DonorOrTarget:
		if !donor {
			return Target
		}
	case Merge:
		switch {
		case !donor:
			return Target
		case !target:
			return Donor
		}
	}
	return t.Side()
}

// decideGroups takes a group whole from the donor where the target cannot supply
// it: it has fewer than half of the files that the donor has.
func (m *maker) decideGroups() {
	for _, g := range m.rules.Groups() {
		var at []int
		grp := Group{Name: g, Take: Target, Why: "whole from the target"}
		for i, d := range m.plan.Decisions {
			x := m.byID(d.Rule)
			if x == nil || x.Group != g || x.Take(m.plan.Style) != Target {
				continue
			}
			at = append(at, i)
			if d.Donor >= 0 {
				grp.Donor++
			}
			if d.Target >= 0 {
				grp.Target++
			}
		}
		switch {
		case len(at) == 0:
			continue
		case grp.Donor == 0 || 2*grp.Target >= grp.Donor:
			m.plan.Groups = append(m.plan.Groups, grp)
			continue
		}
		grp.Take = Donor
		grp.Why = fmt.Sprintf("the target has only %d of the %d files, so the group stays whole on the donor's side", grp.Target, grp.Donor)
		for _, i := range at {
			d := &m.plan.Decisions[i]
			d.Take, d.Why = present(Donor, d.Donor >= 0, d.Target >= 0), grp.Why
		}
		m.plan.Groups = append(m.plan.Groups, grp)
		m.plan.Findings = append(m.plan.Findings, mtkport.Finding{
			Code: "group-incomplete", Severity: mtkport.Risk, Subject: g,
			Text:    fmt.Sprintf("the %s files move together, and the target's ROM has only %d of %d: they are taken from the donor", g, grp.Target, grp.Donor),
			Symptom: m.symptomOf(g),
			Fix:     "use the target's full stock ROM, or check this part first on the phone",
		})
	}
}

func (m *maker) symptomOf(group string) string {
	for _, x := range m.rules.Rules {
		if x.Group == group {
			return x.Symptom
		}
	}
	return ""
}

func (m *maker) byID(id string) *Rule {
	i := slices.IndexFunc(m.rules.Rules, func(r *Rule) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return m.rules.Rules[i]
}

// byHand reports the merges that no tool can do.
func (m *maker) byHand() {
	for _, d := range m.plan.Decisions {
		if d.Take != Merge || d.Merge != MergeByHand {
			continue
		}
		m.plan.Findings = append(m.plan.Findings, mtkport.Finding{
			Code: "merge-by-hand", Severity: mtkport.Risk, Subject: d.Path,
			Text:     fmt.Sprintf("%s must be merged by a person; the %s's file is kept as it is", d.Path, base(m.plan.Style)),
			Evidence: []mtkport.Evidence{{Side: "donor", File: d.Path, Value: fmt.Sprintf("%d bytes", d.Donor)}, {Side: "target", File: d.Path, Value: fmt.Sprintf("%d bytes", d.Target)}},
			Symptom:  d.Symptom,
			Fix:      "merge the donor's changes into it with smali tools, or port in the drivers style",
		})
	}
}

// Count is how many decisions take a side, those of equal files not counted.
func (p *Plan) Count(t Take) (n int) {
	for _, d := range p.Decisions {
		if d.Take == t && !d.Same {
			n++
		}
	}
	return n
}

// Equal is how many paths hold the same on both sides.
func (p *Plan) Equal() (n int) {
	for _, d := range p.Decisions {
		if d.Same {
			n++
		}
	}
	return n
}

// Base is the side that the port starts from: it gives the folders, and what is
// to be merged by hand.
func (p *Plan) Base() Take { return base(p.Style) }
