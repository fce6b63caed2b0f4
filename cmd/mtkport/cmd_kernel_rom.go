package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/port/rom"
	"mtkport/sysimg/tree"
)

// isROM tells a folder or a package from a single image.
func isROM(name string) bool {
	st, err := os.Stat(name)
	if err != nil {
		return false
	}
	if st.IsDir() {
		return true
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.ReadAt(magic[:], 0)
	return err == nil && string(magic[:]) == "PK\x03\x04"
}

// lkNames are the names of lk in firmware folders.
var lkNames = []string{"lk.bin", "lk.img", "uboot.bin", "uboot.img"}

// romDrivers lists what a ROM drives: its kernel, lk, and camera library.
func romDrivers(ctx context.Context, name string, rec *kernel.Recognisers) ([]driversJSON, error) {
	r, err := rom.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []driversJSON
	if k, err := r.Kernel(); err == nil {
		out = append(out, driversOfPart(path.Join(name, r.BootFile.Name), k.Drivers(rec)))
	} else if !errors.Is(err, mtkport.ErrFormat) {
		return nil, err
	}
	for _, lk := range findLK(name) {
		if d, err := driversOf(lk, rec); err == nil {
			out = append(out, driversOfPart(lk, d))
		}
	}
	if r.System != nil {
		const lib = "lib/libcameracustom.so"
		if n, err := r.System.Resolve(lib, "/system"); err == nil && n.Data != nil {
			if d, err := kernel.FindDrivers(n.Data, n.Size(), rec); err == nil {
				out = append(out, driversOfPart(path.Join(name, "system", lib), d))
			}
		}
	}
	if len(out) == 0 {
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "drivers", Found: "no kernel, no lk, no camera library", Want: "a ROM with one of them", Err: mtkport.ErrFormat}
	}
	return out, nil
}

func driversOfPart(name string, d *kernel.Drivers) driversJSON { return driversJSON{name, d.Source, d} }

// findLK looks for lk in a firmware folder, at most two folders deep.
func findLK(dir string) []string {
	var out []string
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			continue
		}
		for _, n := range names {
			for _, lk := range lkNames {
				if strings.EqualFold(filepath.Base(n), lk) {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// romModules checks the modules of a ROM's system against its kernel, and the
// insmod lines of its init scripts against its files.
func romModules(ctx context.Context, name string) (*modulesJSON, error) {
	r, err := rom.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	k, err := r.Kernel()
	if err != nil {
		return nil, err
	}
	j := &modulesJSON{Kernel: k.Version(), Vermagic: k.Vermagic(), Missing: []kernel.Insmod{}}
	var mods []kernel.ModuleFile
	if r.System != nil {
		if mods, err = treeModules(r.System); err != nil {
			return nil, err
		}
	}
	j.Modules = kernel.CheckModules(k, mods)
	j.Missing, err = romInsmods(r)
	return j, err
}

// treeModules opens every .ko of a system tree.
func treeModules(t *tree.Tree) ([]kernel.ModuleFile, error) {
	var mods []kernel.ModuleFile
	err := t.Walk(func(p string, n *tree.Node) error {
		if n.Type() != tree.Regular || !strings.HasSuffix(p, ".ko") || n.Data == nil {
			return nil
		}
		m, err := kernel.OpenModule(n.Data, n.Size())
		mods = append(mods, kernel.ModuleFile{File: path.Join("/system", p), Module: m, Err: err})
		return nil
	})
	return mods, err
}

// romInsmods lists the insmod lines of the ramdisk's scripts whose file is
// neither in the ramdisk nor in the system.
func romInsmods(r *rom.ROM) ([]kernel.Insmod, error) {
	a, err := r.Ramdisk()
	if errors.Is(err, mtkport.ErrFormat) {
		return []kernel.Insmod{}, nil // no ramdisk, no scripts
	}
	if err != nil {
		return nil, err
	}
	missing := []kernel.Insmod{}
	exists := func(p string) bool {
		if a.Lookup(strings.TrimPrefix(p, "/")) != nil {
			return true
		}
		rest, ok := strings.CutPrefix(path.Clean(p), "/system/")
		if !ok || r.System == nil {
			return true // another partition, or no system to look in: not judged
		}
		_, err := r.System.Resolve(rest, "/system")
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range a.Entries() {
		if !strings.HasSuffix(e.Name(), ".rc") && !strings.HasSuffix(e.Name(), ".sh") {
			continue
		}
		b, err := a.ReadFile(e.Name())
		if err != nil {
			continue // a link or a folder of that name
		}
		lines, err := kernel.InsmodLines(e.Name(), bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		missing = append(missing, kernel.MissingInsmods(lines, exists)...)
	}
	return missing, nil
}
