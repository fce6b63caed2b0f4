// Package report writes the repair log: what was done to a phone's software, in
// words that its owner understands, as Markdown.
//
//	err := report.Write(w, report.Story{Manifest: m, Plan: p, Findings: fs})
//
// It says first what the phone has now, then what may misbehave and what to do
// then, then what was left alone, and only at the end the figures and sums for
// whoever repairs it next. The text depends on its input alone: no clock, no
// machine name.
package report

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"strings"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/splice"
)

// Story is what a log is made of.
type Story struct {
	Manifest *splice.Manifest
	Plan     *plan.Plan
	Findings []mtkport.Finding
}

// Write writes the log.
func Write(w io.Writer, s Story) error {
	var b bytes.Buffer
	s.head(&b)
	s.parts(&b)
	s.trouble(&b)
	s.untouched(&b)
	s.next(&b)
	s.figures(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (s Story) head(b *bytes.Buffer) {
	fmt.Fprintf(b, "# Repair log\n\n")
	fmt.Fprintf(b, "This phone (%s) gets the software of another one (%s).\n\n", describe(s.Manifest.Target), describe(s.Manifest.Donor))
	if s.Plan.Style == plan.Look {
		b.WriteString("The phone keeps its own system; apps, sounds and pictures come from the other ROM.\n\n")
	} else {
		b.WriteString("System and apps come from the other ROM; the parts that run this phone's own hardware stay as its maker built them.\n\n")
	}
}

func describe(s splice.Side) string {
	name := s.Model
	if name == "" {
		name = strings.TrimRight(s.Path, "/")
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			name = name[i+1:]
		}
	}
	if s.Android != "" {
		name += ", Android " + s.Android
	}
	return escape(name)
}

// escape keeps Markdown's own signs in names from taking effect.
func escape(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "|", `\|`, "*", `\*`, "_", `\_`, "`", "'", "<", "&lt;").Replace(s)
}

// What the kinds of rules mean to an owner, in the order of a log.
var kinds = []struct{ group, words string }{
	{"boot", "starting up, screen and touch"},
	{"gpu", "picture"},
	{"cam", "camera"},
	{"aud", "sound and calls"},
	{"ril", "mobile network"}, {"fw.modem", "mobile network"},
	{"nv", "stored calibration"},
	{"wmt", "wifi, Bluetooth, GPS"}, {"wifi", "wifi, Bluetooth, GPS"}, {"fw.wmt", "wifi, Bluetooth, GPS"}, {"fw.all", "wifi, Bluetooth, GPS"}, {"ko", "wifi, Bluetooth, GPS"},
	{"gps", "wifi, Bluetooth, GPS"}, {"bt", "wifi, Bluetooth, GPS"}, {"fm", "FM radio"},
	{"hal", "sensors, lights, vibration"},
	{"keys", "keys"},
	{"vold", "memory card"},
	{"apps", "apps"}, {"fw.look", "look and sounds"}, {"look", "look and sounds"},
	{"prop", "settings of the system"},
}

func (s Story) parts(b *bytes.Buffer) {
	type count struct{ target, donor, merged int }
	sums := map[string]*count{}
	var order []string
	for _, d := range s.Plan.Decisions {
		word := wordOf(d.Rule)
		if word == "" || d.Take == plan.Drop {
			continue
		}
		if sums[word] == nil {
			sums[word] = &count{}
			order = append(order, word)
		}
		switch d.Take {
		case plan.Target:
			sums[word].target++
		case plan.Donor:
			sums[word].donor++
		default:
			sums[word].merged++
		}
	}
	sort.Strings(order)
	b.WriteString("## What comes from where\n\n| part | from this phone | from the other ROM | made of both |\n|---|---:|---:|---:|\n")
	for _, w := range order {
		fmt.Fprintf(b, "| %s | %d | %d | %d |\n", w, sums[w].target, sums[w].donor, sums[w].merged)
	}
	b.WriteString("\nCounted in files.\n\n")
}

func wordOf(rule string) string {
	best, word := 0, "the rest of the system"
	for _, k := range kinds {
		if (rule == k.group || strings.HasPrefix(rule, k.group+".")) && len(k.group) > best {
			best, word = len(k.group), k.words
		}
	}
	return word
}

func (s Story) trouble(b *bytes.Buffer) {
	b.WriteString("## What may misbehave\n\n")
	n := 0
	for w := mtkport.Blocker; w >= mtkport.Risk; w-- {
		for _, f := range s.Findings {
			if f.Severity != w {
				continue
			}
			n++
			fmt.Fprintf(b, "- **%s** (%s)\n", escape(sentence(f.Text)), f.Code)
			for _, e := range f.Evidence {
				fmt.Fprintf(b, "  - %s\n", escape(evidence(e)))
			}
			if f.Symptom != "" {
				fmt.Fprintf(b, "  - you would see: %s\n", escape(f.Symptom))
			}
			if f.Fix != "" {
				fmt.Fprintf(b, "  - then: %s\n", escape(f.Fix))
			}
		}
	}
	if n == 0 {
		b.WriteString("Nothing that could be seen beforehand. Try camera, sound, a call, wifi and the memory card after the first start.\n")
	}
	b.WriteString("\n")
	s.small(b)
	s.failing(b)
}

// small lists the notes that a user could see.
func (s Story) small(b *bytes.Buffer) {
	n := 0
	for _, f := range s.Findings {
		if f.Severity != mtkport.Note || f.Symptom == "" {
			continue
		}
		if n++; n == 1 {
			b.WriteString("Small things:\n\n")
		}
		fmt.Fprintf(b, "- %s You would see: %s.", escape(sentence(f.Text)), escape(f.Symptom))
		if f.Fix != "" {
			fmt.Fprintf(b, " %s", escape(sentence(f.Fix)))
		}
		b.WriteString("\n")
	}
	if n > 0 {
		b.WriteString("\n")
	}
}

// failing says, for what a user may see, which side the part came from and by
// which rule: the first thing to change when it does not work.
func (s Story) failing(b *bytes.Buffer) {
	type row struct{ part, symptom, from, rule string }
	var rows []row
	seen := map[row]bool{}
	for _, d := range s.Plan.Decisions {
		part := wordOf(d.Rule)
		if part == "" || d.Same || d.Symptom == "" || d.Take == plan.Drop {
			continue
		}
		r := row{part, d.Symptom, sources[d.Take], d.Rule}
		if !seen[r] {
			seen[r] = true
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].part < rows[j].part })
	b.WriteString("## If something does not work\n\nFind what you see. The part came from where the table says; the other ROM's may do better, or this phone's own.\n\n| part | what you see | it came from | rule |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", r.part, escape(r.symptom), r.from, r.rule)
	}
	b.WriteString("\nTo change one: in `plan.yaml` set `take` of its paths, then `mtkport port … --plan plan.yaml` makes the bundle anew.\n\n")
}

var sources = map[plan.Take]string{plan.Target: "this phone", plan.Donor: "the other ROM", plan.Merge: "both"}

func evidence(e mtkport.Evidence) string {
	return strings.TrimPrefix(strings.Join(strings.Fields(e.Side+" "+e.File), " ")+": "+e.Value, ": ")
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

func (s Story) untouched(b *bytes.Buffer) {
	b.WriteString(`## What was left alone

- IMEI, addresses, calibration and lock state: the bundle holds none of these partitions and marks none for writing.
- Boot loaders and the partition table: a wrong one kills a phone, so none is in the bundle.
- The owner's photos and settings (userdata). Old settings can keep a new system from starting: if the start animation never ends, reset to factory settings in the recovery.

`)
}

func (s Story) next(b *bytes.Buffer) {
	b.WriteString("## What to do now\n\n1. Save the phone first: a full backup, or at least nvram and the other identity partitions.\n2. Write these files, and only these:\n\n")
	b.WriteString("| file | partition | size in bytes |\n|---|---|---:|\n")
	scatter := ""
	for _, o := range s.Manifest.Outputs {
		if o.Partition == "" {
			scatter = o.Name
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %d |\n", o.Name, o.Partition, o.Size)
	}
	if scatter != "" {
		fmt.Fprintf(b, "\n   `%s` marks exactly these for a flash tool. Use *Download only*, never *Format*.\n", scatter)
	}
	b.WriteString("3. The first start takes some minutes. Then try: picture, touch, a call, camera (both), sound, wifi, Bluetooth, memory card, keys.\n4. If something fails, the tables above say where the part came from; `plan.yaml` holds every decision with its reason, can be edited and given back.\n5. To go back, write the backup of step 1, or the same partitions of this phone's own stock ROM.\n\n")
}

func (s Story) figures(b *bytes.Buffer) {
	p := s.Plan
	fmt.Fprintf(b, "## For whoever repairs it next\n\n- style: %s\n- paths from the target: %d, from the donor: %d, merged: %d, left out: %d; the same on both sides: %d\n",
		p.Style, p.Count(plan.Target), p.Count(plan.Donor), p.Count(plan.Merge), p.Count(plan.Drop), p.Equal())
	for _, g := range p.Groups {
		fmt.Fprintf(b, "- group %s: from the %s (%s)\n", g.Name, g.Take, escape(g.Why))
	}
	for _, f := range s.Findings {
		if f.Severity == mtkport.Note {
			fmt.Fprintf(b, "- note %s: %s\n", f.Code, escape(f.Text))
		}
	}
	b.WriteString("\n| file | SHA-256 |\n|---|---|\n")
	for _, o := range s.Manifest.Outputs {
		fmt.Fprintf(b, "| %s | `%s` |\n", o.Name, o.SHA256)
	}
}
