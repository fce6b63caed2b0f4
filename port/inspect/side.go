package inspect

import (
	"bytes"
	"debug/elf"
	"io"
	"path"
	"regexp"
	"sort"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/bootimg/logo"
	"mtkport/bootimg/preloader"
	"mtkport/port/rom"
	"mtkport/profiles/scatter"
	"mtkport/ramdisk"
	"mtkport/ramdisk/prop"
	"mtkport/sysimg/tree"
)

// propFile is a property file and where it lies.
type propFile struct {
	file string
	f    *prop.File
}

// side is everything that claims and proofs are read from; what is missing is
// nil.
type side struct {
	name    string
	props   []propFile
	kernel  *kernel.Kernel
	drivers *kernel.Drivers
	ramdisk *ramdisk.Archive
	system  *tree.Tree

	scatter     *scatter.Layout
	scatterFile string
	loader      *preloader.Info
	loaderFile  string
	lkChip      string
	lkFile      string
	logoW       int
	logoH       int
	logoFile    string
	faults      []mtkport.Finding
}

// seen is a value and where it was read.
type seen struct{ file, key, value string }

func (v seen) evidence() mtkport.Evidence {
	text := v.value
	if v.key != "" {
		text = v.key + "=" + v.value
	}
	return mtkport.Evidence{File: v.file, Value: printable(text)}
}

// get returns a property that is not empty.
func (s *side) get(key string) (seen, bool) {
	for _, p := range s.props {
		if v, ok := p.f.Get(key); ok && strings.TrimSpace(v) != "" {
			return seen{p.file, key, strings.TrimSpace(v)}, true
		}
	}
	return seen{}, false
}

// match returns the properties whose key matches, in the order of the files.
func (s *side) match(re *regexp.Regexp) []seen {
	var out []seen
	for _, p := range s.props {
		for _, k := range p.f.Keys() {
			if v, _ := p.f.Get(k); re.MatchString(k) && strings.TrimSpace(v) != "" {
				out = append(out, seen{p.file, k, strings.TrimSpace(v)})
			}
		}
	}
	return out
}

// gather reads a ROM's proofs. What cannot be read is left out, with a finding.
func gather(x *rom.ROM) *side {
	s := &side{name: x.Path, system: x.System, scatter: x.Scatter}
	if x.ScatterFile != nil {
		s.scatterFile = x.ScatterFile.Name
	}
	if s.system != nil {
		s.systemProps()
	}
	if x.Boot != nil {
		if k, err := x.Kernel(); err == nil {
			s.kernel, s.drivers = k, k.Drivers(kernel.Builtin())
		} else {
			s.fault("kernel", err)
		}
		if a, err := x.Ramdisk(); err == nil {
			s.ramdisk = a
			s.addProps("ramdisk/default.prop", func() ([]byte, error) { return a.ReadFile("default.prop") })
		} else {
			s.fault("ramdisk", err)
		}
	}
	for _, n := range x.Names() {
		s.loose(x, n)
	}
	return s
}

func (s *side) fault(what string, err error) {
	s.faults = append(s.faults, mtkport.Finding{Code: "inspect-unreadable", Severity: mtkport.Risk, Subject: what, Text: "the " + what + " cannot be read",
		Evidence: []mtkport.Evidence{{File: s.name, Value: err.Error()}}, Fix: "take the file from its source again; keep this one"})
}

// maxLoose bounds the small images beside a ROM: lk, logo and preloader take
// less than 4 MiB, with room for a partition that was read back.
const maxLoose = 16 << 20

// loose reads lk, logo and preloader by what they are, where their name says
// that it is worth a look.
func (s *side) loose(x *rom.ROM, name string) {
	base := strings.ToLower(path.Base(name))
	isLK := strings.HasPrefix(base, "lk") || strings.HasPrefix(base, "uboot")
	isLogo := strings.HasPrefix(base, "logo")
	isLoader := strings.Contains(base, "preloader")
	if strings.Count(name, "/") > 3 || !isLK && !isLogo && !isLoader || path.Ext(base) == ".so" {
		return
	}
	f, err := x.File(name)
	if err != nil || f.Size > maxLoose || f.Size < 512 {
		return
	}
	switch {
	case isLoader && s.loader == nil:
		if i, err := preloader.Open(f.R, f.Size); err == nil {
			s.loader, s.loaderFile = i, name
		}
	case isLogo && s.logoFile == "":
		if l, err := logo.Open(f.R, f.Size); err == nil {
			if w, h, ok := logoScreen(l); ok {
				s.logoW, s.logoH, s.logoFile = w, h, name
			}
		}
	case isLK && s.lkFile == "":
		b := make([]byte, min(f.Size, 4<<20))
		if n, err := f.R.ReadAt(b, 0); err == nil || err == io.EOF {
			s.lkChip, s.lkFile = chipIn(b[:n]), name
		}
	}
}

var chipName = regexp.MustCompile(`(?i)mt(65[1-9][0-9]|66[0-9]{2}|67[0-9]{2}|81[0-9]{2}|83[0-9]{2})`)

// chipIn is the chip that is named most often in b; combo chips (MT66xx) do
// not count. "" where none is.
func chipIn(b []byte) string {
	n := map[string]int{}
	for _, m := range chipName.FindAll(b, 4096) {
		if c := strings.ToUpper(string(m)); !strings.HasPrefix(c, "MT66") {
			n[c]++
		}
	}
	var names []string
	for c := range n {
		names = append(names, c)
	}
	sort.Slice(names, func(i, j int) bool {
		return n[names[i]] > n[names[j]] || n[names[i]] == n[names[j]] && names[i] < names[j]
	})
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// vm tells which virtual machine the framework was made for: "dalvik", "art",
// or "" where the system does not show.
func (s *side) vm() (string, seen) {
	if s.system == nil {
		return "", seen{}
	}
	for _, p := range []string{"framework/arm/boot.oat", "framework/arm64/boot.oat"} {
		if _, err := s.system.Lookup(p); err == nil {
			return "art", seen{"system/" + p, "", "boot.oat"}
		}
	}
	for _, p := range []string{"framework/core.odex", "framework/framework.odex", "framework/services.odex", "framework/ext.odex"} {
		if b, err := s.small(p); err == nil && bytes.HasPrefix(b, []byte("dey\n036")) {
			return "dalvik", seen{"system/" + p, "", "dey 036"}
		}
	}
	_, dvm := s.system.Lookup("lib/libdvm.so")
	_, art := s.system.Lookup("lib/libart.so")
	switch {
	case dvm == nil:
		return "dalvik", seen{"system/lib/libdvm.so", "", "Dalvik is there, which Android 5.0 took out"}
	case art == nil:
		return "art", seen{"system/lib/libart.so", "", "only ART is there"}
	}
	return "", seen{}
}

// bits is the width of the system's C library, 0 where it does not show.
func (s *side) bits() (int, seen) {
	if s.system == nil {
		return 0, seen{}
	}
	for _, p := range []string{"lib64/libc.so", "lib/libc.so"} {
		b, err := s.small(p)
		if err != nil {
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil && len(b) > elf.EI_CLASS && bytes.HasPrefix(b, []byte("\x7fELF")) {
			f, err = &elf.File{FileHeader: elf.FileHeader{Class: elf.Class(b[elf.EI_CLASS])}}, nil // longer than what was read
		}
		if err != nil {
			continue
		}
		if f.Class == elf.ELFCLASS64 {
			return 64, seen{"system/" + p, "", "ELF of 64 bits"}
		}
		return 32, seen{"system/" + p, "", "ELF of 32 bits"}
	}
	return 0, seen{}
}
