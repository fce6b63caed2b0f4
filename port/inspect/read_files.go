package inspect

import (
	"archive/zip"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/port/rom"
	"mtkport/ramdisk/prop"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

func readSystem(_ context.Context, r *Report, p *probe) error {
	m, err := sysimg.Open(p, p.size)
	if err != nil {
		return err
	}
	r.fact("format", "%s", m.Format)
	r.fact("file system", "%d bytes", m.Size)
	if l := m.Layout.Ext4; l != nil {
		r.fact("block size", "%d", l.BlockSize)
	}
	var files, dirs int
	err = m.Tree.Walk(func(_ string, n *tree.Node) error {
		if n.IsDir() {
			dirs++
		} else {
			files++
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.fact("holds", "%d files in %d folders, %d bytes", files, dirs, m.Tree.Bytes())
	r.fact("top", "%s", strings.Join(first(m.Tree.Root.Names(), 24), " "))
	r.Findings = append(r.Findings, m.Problems()...)
	s := &side{name: r.Path, system: m.Tree}
	s.systemProps()
	if v, ok := s.get("ro.build.display.id"); ok {
		r.fact("build", "%s", v.value)
	}
	r.judge(s)
	return nil
}

func first(list []string, n int) []string {
	if len(list) > n {
		return append(append([]string{}, list[:n]...), "…")
	}
	return list
}

// maxELF bounds what is inspected as an ELF file; a vmlinux with all its debug
// information stays under it.
const maxELF = 1 << 30

func readELF(_ context.Context, r *Report, p *probe) error {
	if p.size > maxELF {
		return nil
	}
	f, err := elf.NewFile(io.NewSectionReader(p, 0, p.size))
	if err != nil {
		return &mtkport.Error{Off: 0, Field: "ELF", Found: err.Error(), Want: "headers that agree", Err: mtkport.ErrDamaged}
	}
	r.fact("machine", "%s, %s", strings.TrimPrefix(f.Machine.String(), "EM_"), strings.TrimPrefix(f.Class.String(), "ELFCLASS")+" bits")
	switch f.Type {
	case elf.ET_REL:
		return r.module(p)
	case elf.ET_EXEC:
		if f.Entry >= 0xc0000000 {
			r.is("kernel", "kernel as ELF (vmlinux)")
			return r.section("kernel", func() error { return r.kernel(&side{}, p, p.size) })
		}
		r.is("program", "program")
	case elf.ET_DYN:
		r.is("library", "shared library or program")
		if f.Section(".interp") != nil {
			r.is("program", "program")
		}
	}
	if n, err := f.DynString(elf.DT_SONAME); err == nil && len(n) > 0 {
		r.fact("name", "%s", n[0])
	}
	if n, err := f.ImportedLibraries(); err == nil {
		r.fact("needs", "%s", strings.Join(first(n, 40), " "))
	}
	return r.sensors(p)
}

// sensors lists the camera sensors of libcameracustom.
func (r *Report) sensors(p *probe) error {
	d, err := kernel.FindDrivers(p, p.size, kernel.Builtin())
	if err != nil || d.Source != "libcameracustom" {
		return nil // another library
	}
	r.is("camera-library", "camera settings of one board (libcameracustom)")
	r.drivers(d)
	return nil
}

func (r *Report) module(p *probe) error {
	m, err := kernel.OpenModule(p, p.size)
	if errors.Is(err, mtkport.ErrFormat) {
		r.is("object", "object file of a compiler")
		return nil
	}
	if err != nil {
		return err
	}
	r.is("module", "kernel module")
	r.fact("name", "%s", m.Name)
	r.fact("vermagic", "%s", m.Vermagic)
	r.fact("licence", "%s", m.Licence)
	r.fact("depends on", "%s", strings.Join(m.Depends, " "))
	r.fact("symbols", "needs %d, exports %d", len(m.Needs), len(m.Exports))
	return nil
}

func readZip(ctx context.Context, r *Report, p *probe) error {
	z, err := zip.NewReader(p, p.size)
	if err != nil {
		return &mtkport.Error{Off: mtkport.NoOffset, Field: "zip directory", Found: err.Error(), Want: "a whole zip archive", Err: mtkport.ErrDamaged, Hint: "the file may be cut short: fetch it again"}
	}
	has := map[string]bool{}
	for _, f := range z.File {
		has[f.Name] = true
	}
	r.fact("entries", "%d", len(z.File))
	switch {
	case has["AndroidManifest.xml"]:
		r.is("apk", "Android app")
		return nil
	case has["classes.dex"]:
		r.is("jar", "Java library for Android")
		return nil
	case has["desc.txt"]:
		r.is("bootanimation", "boot animation")
		return nil
	case has["META-INF/MANIFEST.MF"] && !has["META-INF/com/google/android/update-binary"]:
		r.is("jar", "Java archive")
	}
	x, err := rom.Open(ctx, p.name)
	if errors.Is(err, mtkport.ErrFormat) {
		r.fact("flashable", "%s", yesNo(has["META-INF/com/google/android/update-binary"]))
		return nil
	}
	if err != nil {
		return err
	}
	defer x.Close()
	r.is("rom", "ROM: "+x.Form)
	r.fact("flashable", "%s", yesNo(has["META-INF/com/google/android/update-binary"]))
	return r.rom(x)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// rom adds what a whole ROM shows.
func (r *Report) rom(x *rom.ROM) error {
	s := gather(x)
	r.fact("storage", "%s", x.Storage())
	if x.Boot != nil {
		r.fact("boot image", "%s, %d bytes", x.BootFile.Name, x.BootFile.Size)
	}
	if x.System != nil {
		r.fact("system", "%s, %d bytes of content", x.SystemKind, x.System.Bytes())
	}
	if x.Scatter != nil {
		said := slices.DeleteFunc([]string{x.ScatterFile.Name, x.Scatter.Platform, x.Scatter.Project, x.Scatter.Version}, func(s string) bool { return s == "" })
		r.fact("scatter", "%s", strings.Join(said, ", "))
	}
	for _, k := range []string{"ro.product.model", "ro.build.display.id", "ro.mediatek.version.branch"} {
		if v, ok := s.get(k); ok {
			r.fact(k, "%s", v.value)
		}
	}
	if s.kernel != nil {
		r.fact("kernel release", "%s", s.kernel.Version())
	}
	if s.drivers != nil {
		r.drivers(s.drivers)
	}
	r.Findings = append(r.Findings, x.Notes...)
	r.Findings = append(r.Findings, s.faults...)
	r.judge(s)
	return nil
}

// addProps reads a property file into the side; a missing one is none.
func (s *side) addProps(file string, read func() ([]byte, error)) {
	if b, err := read(); err == nil && len(b) > 0 {
		s.props = append(s.props, propFile{file, prop.Parse(b)})
	}
}

func (s *side) systemProps() {
	s.addProps("system/build.prop", func() ([]byte, error) { return s.small("build.prop") })
}

// small reads a file of the system, at most a MiB of it.
func (s *side) small(name string) ([]byte, error) {
	n, err := s.system.Resolve(name, "/system")
	if err != nil || n.Type() != tree.Regular || n.Data == nil {
		return nil, &mtkport.Error{File: path.Join("system", name), Off: mtkport.NoOffset, Found: "no file", Err: mtkport.ErrFormat}
	}
	b := make([]byte, min(n.Size(), maxText))
	k, err := n.Data.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("system/%s: %w", name, err)
	}
	return b[:k], nil
}
