package compare

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

// kindCodes maps a rule's kind to the code of its files. Kinds that are not here
// are no hardware.
var kindCodes = map[string]string{
	"camera": "camera-files", "audio": "audio-files", "keys": "key-layout", "gpu": "display-files",
	"firmware": "firmware-files", "module": "module-files", "radio": "radio-files",
	"wifi": "wireless-files", "bluetooth": "wireless-files", "gps": "wireless-files", "fm": "wireless-files",
	"nvram": "nvram-files", "storage": "storage-files", "hal": "hardware-files", "thermal": "hardware-files",
	"codec": "hardware-files", "permission": "hardware-files",
}

const (
	maxCompared = 64 << 20 // bytes of files that no hardware rule is about
	maxShown    = 24       // files of one rule that evidence lists
)

// Absent is the value of the donor's evidence for a file that only the target has.
const Absent = "absent: only the target has it"

// group is what one rule's files came to.
type group struct {
	rule   *plan.Rule
	ev     []mtkport.Evidence // of files that both sides have
	files  int
	only   int                // of these, only the target has
	absent []mtkport.Evidence // of files that only the target has
	keys   []mtkport.Evidence // scan codes that mean different keys
	same   []string           // paths that both sides have alike: they are not at fault
}

// checkFiles compares the files of both systems: sizes first, contents where it
// matters. One finding a rule.
func checkFiles(c *checker) error {
	c.paths.Donor, c.paths.Target = len(c.donor.files), len(c.target.files)
	groups := map[string]*group{}
	var rest []string
	for _, p := range c.target.paths {
		d, shared := c.donor.files[p]
		if shared {
			c.paths.Shared++
		}
		rule := c.opt.Rules.Find("system/"+p, c.known(p)...)
		if rule == nil || kindCodes[rule.Kind] == "" || len(c.donor.files) == 0 {
			if shared {
				rest = append(rest, p)
			}
			continue
		}
		t := c.target.files[p]
		if !shared {
			d = nil
		}
		differ, err := c.differ(d, t)
		if err != nil {
			return mtkport.InFile(err, "system/"+p)
		}
		if rule.Take(c.opt.Style).Side() != plan.Target {
			continue
		}
		g := groups[rule.ID]
		if g == nil {
			g = &group{rule: rule}
			groups[rule.ID] = g
		}
		if !differ {
			g.same = append(g.same, p)
			continue
		}
		if err := g.add(p, d, t); err != nil {
			return mtkport.InFile(err, "system/"+p)
		}
		if rule.Kind == "keys" && shared {
			g.keys = append(g.keys, keyLines(p, c.donor.text(p), c.target.text(p))...)
		}
	}
	c.report(groups)
	return c.compareRest(rest)
}

// known is the evidence that rules may ask for.
func (c *checker) known(p string) []plan.Evidence {
	if _, ok := c.donor.files[p]; !ok && slices.Contains(c.target.started, "/system/"+p) {
		return []plan.Evidence{plan.TargetService}
	}
	return nil
}

// differ compares a path, and counts it where both sides have it.
func (c *checker) differ(d, t *tree.Node) (bool, error) {
	if err := c.ctx.Err(); err != nil || d == nil {
		return true, err
	}
	same, err := equal(d, t)
	if err != nil {
		return false, err
	}
	if same {
		c.paths.Identical++
	} else {
		c.paths.Differ++
	}
	return !same, nil
}

func equal(a, b *tree.Node) (bool, error) {
	if a.Size() != b.Size() {
		return false, nil
	}
	return sysimg.SameContent(a.Data, b.Data)
}

// keyLines lists the scan codes that two key layouts give different keys.
func keyLines(p string, donor, target []byte) []mtkport.Evidence {
	d, t := keys(donor), keys(target)
	all := maps.Clone(d)
	maps.Copy(all, t)
	var out []mtkport.Evidence
	for _, code := range slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) {
		if d[code] != t[code] && len(out) < 2*maxShown {
			out = append(out, at("donor", "system/"+p, "key "+code+" "+cmp.Or(d[code], "not there")), at("target", "system/"+p, "key "+code+" "+cmp.Or(t[code], "not there")))
		}
	}
	return out
}

// keys reads a key layout: lines "key CODE NAME [FLAGS]", "#" begins a comment.
func keys(b []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "key" {
			out[f[1]] = strings.Join(f[2:], " ")
		}
	}
	return out
}

func (g *group) add(p string, d, t *tree.Node) error {
	g.files++
	if d == nil {
		g.only++
	}
	if g.files > maxShown {
		return nil
	}
	tv, err := stamp(t)
	if err != nil {
		return err
	}
	if d == nil {
		g.absent = append(g.absent, at("donor", "system/"+p, Absent), at("target", "system/"+p, tv))
		return nil
	}
	dv, err := stamp(d)
	g.ev = append(g.ev, at("donor", "system/"+p, dv), at("target", "system/"+p, tv))
	return err
}

// stamp is a file's size and the head of its SHA-256.
func stamp(n *tree.Node) (string, error) {
	h := sha256.New()
	if n.Data != nil {
		if _, err := io.Copy(h, io.NewSectionReader(n.Data, 0, n.Size())); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d bytes, sha256 %x", n.Size(), h.Sum(nil)[:8]), nil
}

func (c *checker) report(groups map[string]*group) {
	for _, g := range groups {
		if g.files == 0 {
			continue
		}
		text := fmt.Sprintf("%s differ from the donor's", count(g.files, "file"))
		switch {
		case g.only == g.files:
			text = fmt.Sprintf("%s only the target has", count(g.files, "file"))
		case g.only > 0:
			text += fmt.Sprintf(", %d of them only the target has", g.only)
		}
		if g.files == 1 && g.only == 0 {
			text = "1 file differs from the donor's"
		}
		f := c.add(kindCodes[g.rule.Kind], g.rule.ID, text+": "+g.rule.Why, g.ev...)
		f.Evidence = append(f.Evidence, g.keys...)
		f.Symptom, f.Fix = g.rule.Symptom, "take the target's (rule "+g.rule.ID+")"
		if len(g.same) > 0 {
			shown := g.same[:min(len(g.same), maxShown)]
			f.Evidence = append(f.Evidence, mtkport.Evidence{Value: fmt.Sprintf("%s of this rule alike on both sides: system/%s", count(len(g.same), "file"), strings.Join(shown, " system/"))})
		}
		f.Evidence = append(f.Evidence, g.absent...)
		if g.files > maxShown {
			f.Evidence = append(f.Evidence, mtkport.Evidence{Value: fmt.Sprintf("and %d more", g.files-maxShown)})
		}
		if g.rule.Kind == "permission" {
			f.Severity = note
		}
	}
}

// compareRest counts the shared paths that no hardware rule is about.
func (c *checker) compareRest(paths []string) error {
	budget := int64(maxCompared)
	for _, p := range paths {
		d, t := c.donor.files[p], c.target.files[p]
		if d.Size() == t.Size() && d.Size() > budget {
			c.paths.Unread++
			continue
		}
		if d.Size() == t.Size() {
			budget -= d.Size()
		}
		if _, err := c.differ(d, t); err != nil {
			return mtkport.InFile(err, "system/"+p)
		}
	}
	return nil
}
