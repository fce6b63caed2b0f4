package compare

import (
	"archive/zip"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"mtkport"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/ramdisk/fstab"
)

// mount is one line that mounts something, wherever it stands.
type mount struct {
	file   string
	line   int
	device string
	note   fstab.Notation
	part   string // the partition's name where the device holds one
}

// mounts lists the mounts of a side's fstab and init files that its storage uses.
// Init files hold the blocks of other storage kinds too.
func (s *side) mounts() []mount {
	var out []mount
	add := func(file string, line int, e fstab.Entry) {
		m := mount{file, line, e.Device, e.Notation(), e.Partition()}
		if m.part != "" && s.uses(m.note) {
			out = append(out, m)
		}
	}
	for _, t := range s.tables {
		if !strings.HasPrefix(t.name, "ramdisk/") || strings.Contains(t.name, "nand") && s.rom.Storage() != scatter.NAND {
			continue
		}
		for _, e := range t.entries {
			add(t.name, e.Line, e)
		}
	}
	for _, sc := range s.scripts {
		if sc.otherBoot() {
			continue
		}
		for _, r := range sc.Commands("mount") {
			if len(r.Args) >= 4 {
				add("ramdisk/"+sc.name, r.Line, fstab.Entry{Type: r.Args[1], Device: r.Args[2], Mount: r.Args[3]})
			}
		}
	}
	return out
}

// uses tells whether a notation belongs to the side's storage.
func (s *side) uses(n fstab.Notation) bool {
	switch n {
	case fstab.ByEmmcAlias:
		return s.rom.Storage() != scatter.NAND
	case fstab.ByMtdAlias, fstab.ByUbiAlias:
		return s.rom.Storage() != scatter.EMMC
	}
	return n == fstab.ByName
}

// checkMounts compares how and what the sides mount.
func checkMounts(c *checker) error {
	if d, t := get(c.donor.defaults, "ro.mount.fs"), get(c.target.defaults, "ro.mount.fs"); d != "" && t != "" && d != t {
		c.add("mount-fs", "ro.mount.fs", "", both("ramdisk/default.prop", d, t)...)
	}
	d, t := c.donor.mounts(), c.target.mounts()
	if dn, tn := notations(d), notations(t); c.donor.rom.Storage() != "" && c.target.rom.Storage() != "" && len(dn) > 0 && len(tn) > 0 && !slices.Equal(dn, tn) {
		c.add("mount-notation", "", "", both("ramdisk", list(dn), list(tn))...)
	}
	for _, s := range []struct {
		side   *side
		mounts []mount
	}{{c.donor, d}, {c.target, t}} {
		var done []string
		for _, m := range s.mounts {
			if c.lacksPartition(m.part) && !slices.Contains(done, m.part) {
				done = append(done, m.part)
				c.add("mount-partition-missing", m.part, "the "+s.side.name+"'s init mounts "+m.part+", which the target's layout does not have",
					at(s.side.name, fmt.Sprintf("%s:%d", m.file, m.line), m.device), at("target", c.target.rom.Scatter.File, "no such partition"))
			}
		}
	}
	return nil
}

func notations(ms []mount) []string {
	var out []string
	for _, m := range ms {
		if !slices.Contains(out, string(m.note)) {
			out = append(out, string(m.note))
		}
	}
	slices.Sort(out)
	return out
}

// lacksPartition tells whether the target's layout is known and has no partition
// of that name, under any of its spellings.
func (c *checker) lacksPartition(name string) bool {
	l := c.target.rom.Scatter
	if l == nil || l.Find(name) != nil {
		return false
	}
	canon, _ := identity.Classify(name)
	return l.Find(canon) == nil
}

// volume is a storage that vold mounts: a card, or internal storage.
type volume struct{ label, device, part string }

func (v volume) String() string {
	return strings.TrimSpace(v.label + " " + v.part + " " + v.device)
}

// volumes lists what vold mounts on this phone, by the first table that says it:
// vold.fstab, or from 4.3 on the fstab in the ramdisk. Lines of one label are
// alternatives, of which the first counts.
func (s *side) volumes() (file string, out []volume) {
	for _, name := range []string{"system/etc/vold.fstab", "ramdisk/fstab"} {
		for _, t := range s.tables {
			if !strings.HasPrefix(t.name, name) || strings.Contains(t.name, "nand") != (s.rom.Storage() == scatter.NAND) || len(out) > 0 {
				continue
			}
			for _, e := range t.entries {
				if e.Form != fstab.FormVold && e.Form != fstab.FormVoldDevice || slices.ContainsFunc(out, func(v volume) bool { return v.label == e.Mount }) {
					continue
				}
				file, out = t.name, append(out, volume{e.Mount, e.Device, e.Part})
			}
		}
	}
	return file, out
}

// exported lists the storage paths that the init files export.
func (s *side) exported() []string {
	var out []string
	for _, sc := range s.scripts {
		if sc.otherBoot() {
			continue
		}
		for _, k := range []string{"EXTERNAL_STORAGE", "SECONDARY_STORAGE"} {
			for _, v := range sc.Exports(k) {
				if e := k + "=" + v; !slices.Contains(out, e) {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// checkVolumes compares the lists of cards and internal storage: both sides', and
// each with the target's partitions and exports.
func checkVolumes(c *checker) error {
	var why []string
	var ev []mtkport.Evidence
	say := func(reason string, e ...mtkport.Evidence) {
		if reason != "" {
			why = append(why, reason)
		}
		ev = append(ev, e...)
	}
	_, d := c.donor.volumes()
	_, t := c.target.volumes()
	if len(d) > 0 && len(t) > 0 && !slices.Equal(d, t) {
		say("donor and target list different cards")
	}
	for _, s := range c.sides() {
		c.volumesOf(s, say)
	}
	if len(d) == 0 {
		d = t
	}
	if x := c.target.exported(); len(x) > 0 && len(d) > 0 {
		reason := ""
		if len(x) != len(d) {
			reason = fmt.Sprintf("the lists have %s, the target's init files export %d", count(len(d), "volume"), len(x))
		}
		say(reason, at("target", "ramdisk", strings.Join(x, " ")))
	}
	if dl, tl := c.donor.storageList(), c.target.storageList(); len(dl) > 0 && len(tl) > 0 && !slices.Equal(dl, tl) {
		say("the frameworks list different storage", at("donor", storageListFile, list(dl)), at("target", storageListFile, list(tl)))
	}
	if len(why) > 0 {
		c.add("storage-list", "", "SD card: "+strings.Join(why, "; "), ev...)
	}
	return nil
}

// volumesOf shows one side's list, and what of it lies on no partition of the
// target.
func (c *checker) volumesOf(s *side, say func(string, ...mtkport.Evidence)) {
	file, vs := s.volumes()
	for _, v := range vs {
		say("", at(s.name, file, v.String()))
		if _, part, ok := strings.Cut(v.part, "@"); ok && c.lacksPartition(part) {
			say(fmt.Sprintf("the %s's list has %s on the partition %s, which the target's layout does not have", s.name, v.label, part),
				at("target", c.target.rom.Scatter.File, "no partition "+part))
		}
	}
}

const storageListFile = "system/framework/framework-res.apk res/xml/storage_list.xml"

// maxList bounds storage_list.xml; real ones have 2 KiB.
const maxList = 64 << 10

// storageList is every path that the framework's storage_list.xml names.
func (s *side) storageList() []string {
	n := s.files["framework/framework-res.apk"]
	if n == nil || n.Data == nil {
		return nil
	}
	z, err := zip.NewReader(n.Data, n.Size())
	if err != nil {
		return nil
	}
	for _, f := range z.File {
		if f.Name != "res/xml/storage_list.xml" || f.UncompressedSize64 > maxList {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, maxList))
		if err != nil {
			return nil
		}
		return mountPaths(b)
	}
	return nil
}

// mountPaths finds the paths among the strings of a binary XML file, which are
// UTF-16 or UTF-8.
func mountPaths(b []byte) []string {
	wide := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		wide = append(wide, uint16(b[i])|uint16(b[i+1])<<8)
	}
	var out []string
	for _, text := range []string{string(b), string(utf16.Decode(wide))} {
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			if (strings.HasPrefix(word, "/storage/") || strings.HasPrefix(word, "/mnt/")) && !slices.Contains(out, word) {
				out = append(out, word)
			}
		}
	}
	return out
}
