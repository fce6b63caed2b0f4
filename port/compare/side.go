package compare

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/bootimg/preloader"
	"mtkport/port/rom"
	"mtkport/ramdisk"
	"mtkport/ramdisk/fstab"
	"mtkport/ramdisk/initrc"
	"mtkport/ramdisk/prop"
	"mtkport/sysimg/tree"
)

// side is what is known of one ROM. Nil and empty mean that it has no such part.
type side struct {
	name string
	rom  *rom.ROM

	props, defaults *prop.File // build.prop, default.prop
	kernel          *kernel.Kernel
	drivers         *kernel.Drivers // of the kernel
	lk, camera      *kernel.Drivers // of lk and libcameracustom
	lkFile          string
	preloader       *preloader.Info
	ramdisk         *ramdisk.Archive
	scripts         []script
	tables          []table
	started         []string // programs that init files start, sorted, each once
	modules         []kernel.ModuleFile

	files map[string]*tree.Node // regular files of the system, by path in it
	paths []string              // their paths, sorted
	size  int64                 // what the system's files need in 4 KiB blocks, bytes

	unread []mtkport.Evidence // parts that could not be read
}

// script is an init file.
type script struct {
	name string
	*initrc.File
}

// otherBoot tells whether the file is for another mode than a normal boot: meta,
// factory, charging, the emulator.
func (sc script) otherBoot() bool {
	base := path.Base(sc.name)
	for _, part := range []string{"meta_init", "factory_init", "charging", "goldfish"} {
		if strings.Contains(base, part) {
			return true
		}
	}
	return false
}

// table is a mount table.
type table struct {
	name    string // system/etc/vold.fstab, ramdisk/fstab
	entries []fstab.Entry
}

const cameraLib = "lib/libcameracustom.so"

func gather(ctx context.Context, name string, r *rom.ROM) (*side, error) {
	s := &side{name: name, rom: r, props: r.Props(), files: map[string]*tree.Node{}}
	for _, step := range []func(*side) error{readKernel, readRamdisk, readSystem, readLK, readPreloader} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// failed notes a part that could not be read. A part that is not there is no
// failure.
func (s *side) failed(file string, err error) {
	if err != nil && !errors.Is(err, mtkport.ErrFormat) {
		s.unread = append(s.unread, at(s.name, file, err.Error()))
	}
}

func readKernel(s *side) error {
	if s.rom.Boot == nil {
		return nil
	}
	k, err := s.rom.Kernel()
	if err != nil {
		s.unread = append(s.unread, at(s.name, "boot.img", err.Error()))
		return nil
	}
	s.kernel, s.drivers = k, k.Drivers(kernel.Builtin())
	return nil
}

func readRamdisk(s *side) error {
	if s.rom.Boot == nil {
		return nil
	}
	a, err := s.rom.Ramdisk()
	if err != nil {
		s.failed("boot.img ramdisk", err)
		return nil
	}
	s.ramdisk = a
	for _, e := range a.Entries() {
		if e.Type() != tree.Regular {
			continue
		}
		base := path.Base(e.Name())
		switch {
		case strings.HasSuffix(base, ".rc"):
			s.scripts = append(s.scripts, script{e.Name(), initrc.Parse(a.Content(e))})
		case strings.HasPrefix(base, "fstab"):
			s.tables = append(s.tables, table{"ramdisk/" + e.Name(), fstab.Parse(a.Content(e))})
		case e.Name() == "default.prop":
			s.defaults = prop.Parse(a.Content(e))
		}
	}
	for _, sc := range s.scripts {
		for _, v := range sc.Services {
			if b := v.Binary(); b != "" && !slices.Contains(s.started, b) {
				s.started = append(s.started, b)
			}
		}
	}
	slices.Sort(s.started)
	return nil
}

func readSystem(s *side) error {
	if s.rom.System == nil {
		return nil
	}
	err := s.rom.System.Walk(func(p string, n *tree.Node) error {
		s.size += (n.Size()+4095)&^4095 + 256 // and an inode
		if n.Type() != tree.Regular {
			return nil
		}
		s.files[p] = n
		s.paths = append(s.paths, p)
		if strings.HasSuffix(p, ".ko") && n.Data != nil {
			m, err := kernel.OpenModule(n.Data, n.Size())
			s.modules = append(s.modules, kernel.ModuleFile{File: "/system/" + p, Module: m, Err: err})
		}
		if strings.HasPrefix(p, "etc/vold.fstab") {
			s.tables = append(s.tables, table{"system/" + p, fstab.Parse(s.text(p))})
		}
		return nil
	})
	slices.Sort(s.paths)
	if n, e := s.rom.System.Resolve(cameraLib, "/system"); e == nil && n.Data != nil {
		d, err := kernel.FindDrivers(n.Data, n.Size(), kernel.Builtin())
		s.failed("system/"+cameraLib, err)
		s.camera = d
	}
	return err
}

// maxText bounds a small file that is read whole.
const maxText = 1 << 20

// text reads a small file of the system; nil when there is none.
func (s *side) text(p string) []byte {
	if s.rom.System == nil {
		return nil
	}
	n, err := s.rom.System.Resolve(p, "/system")
	if err != nil || n.Type() != tree.Regular || n.Data == nil || n.Size() > maxText {
		return nil
	}
	b := make([]byte, n.Size())
	if tree.ReadFull(n.Data, b, 0) != nil {
		return nil
	}
	return b
}

func readLK(s *side) error {
	for _, n := range s.rom.Names() {
		base := strings.ToLower(path.Base(n))
		if !slices.Contains([]string{"lk.bin", "lk.img", "uboot.bin", "uboot.img"}, base) || strings.Count(n, "/") > 2 {
			continue
		}
		f, err := s.rom.File(n)
		if err != nil {
			continue
		}
		if d, err := kernel.FindDrivers(f.R, f.Size, kernel.Builtin()); err == nil {
			s.lk, s.lkFile = d, n
			return nil
		}
	}
	return nil
}

func readPreloader(s *side) error {
	for _, n := range s.rom.Names() {
		if !strings.HasPrefix(strings.ToLower(path.Base(n)), "preloader") || strings.Count(n, "/") > 2 {
			continue
		}
		f, err := s.rom.File(n)
		if err != nil {
			continue
		}
		if p, err := preloader.Open(f.R, f.Size); err == nil {
			s.preloader = p
			return nil
		}
	}
	return nil
}

// prop is a value of build.prop, or "".
func (s *side) prop(key string) string { return get(s.props, key) }

func get(f *prop.File, key string) string {
	if f == nil {
		return ""
	}
	v, _ := f.Get(key)
	return v
}

// has tells whether the side has the program at an absolute path of a phone.
func (s *side) has(p string) bool {
	if rest, ok := strings.CutPrefix(path.Clean(p), "/system/"); ok {
		if s.rom.System == nil {
			return false
		}
		_, err := s.rom.System.Resolve(rest, "/system")
		return err == nil
	}
	return s.ramdisk != nil && s.ramdisk.Lookup(strings.TrimPrefix(p, "/")) != nil
}

// names lists the drivers of a kind, each once, in the table's order. A kernel
// writes a chip's name in capitals here and small there: that is one driver.
func names(d *kernel.Drivers, kind kernel.Kind) []string {
	if d == nil {
		return nil
	}
	var out []string
	for _, v := range d.Of(kind) {
		if !slices.ContainsFunc(out, func(n string) bool { return strings.EqualFold(n, v.Name) }) {
			out = append(out, v.Name)
		}
	}
	return out
}

// evidenceOf points at a driver by name.
func evidenceOf(s *side, file string, d *kernel.Drivers, kind kernel.Kind, name string) mtkport.Evidence {
	e := at(s.name, file, name)
	for _, v := range d.Of(kind) {
		if v.Name == name && len(v.Evidence) > 0 && v.Evidence[0].Off >= 0 {
			e.Off = mtkport.At(v.Evidence[0].Off)
			break
		}
	}
	return e
}

// under lists the files below a folder of the system.
func (s *side) under(dir string) []string {
	var out []string
	for _, p := range s.paths {
		if strings.HasPrefix(p, dir+"/") {
			out = append(out, p)
		}
	}
	return out
}

// contains tells whether the kernel or a module holds text as a whole string.
func (s *side) contains(text string) bool {
	if s.kernel != nil && bytes.Contains(s.kernel.Image(), []byte("\x00"+text+"\x00")) {
		return true
	}
	for p, n := range s.files {
		if strings.HasSuffix(p, ".ko") && n.Size() < 16<<20 && n.Data != nil {
			b := make([]byte, n.Size())
			if tree.ReadFull(n.Data, b, 0) == nil && bytes.Contains(b, []byte(text+"\x00")) {
				return true
			}
		}
	}
	return false
}
