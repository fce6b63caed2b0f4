package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sort"
	"strings"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/port/rom"
	"mtkport/port/splice"
)

// folder tells a folder by the description in it, or opens it as a ROM.
func (r *Report) folder(ctx context.Context) error {
	root, err := os.OpenRoot(r.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	described := []struct {
		file, kind, what string
		read             func(*os.Root, string) error
	}{
		{splice.ManifestName, "bundle", "bundle: a port ready to flash", r.bundle},
		{flash.BackupFile, "backup", "backup of a phone", r.backup},
		{"boot.yaml", "unpacked-boot", "unpacked boot image or part", r.noted},
		{"ramdisk.yaml", "unpacked-ramdisk", "unpacked ramdisk", r.noted},
		{"logo.yaml", "unpacked-logo", "unpacked logo pictures", r.noted},
		{"sysimg.json", "unpacked-system", "extracted system image", r.noted},
	}
	for _, d := range described {
		st, err := root.Stat(d.file)
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		r.is(d.kind, d.what)
		if err := d.read(root, d.file); !errors.Is(err, mtkport.ErrFormat) {
			return err
		}
	}
	x, err := rom.Open(ctx, r.Path)
	if errors.Is(err, mtkport.ErrFormat) {
		return r.someFolder(root)
	}
	if err != nil {
		r.is("rom", "ROM that cannot be read")
		return err
	}
	defer x.Close()
	r.is("rom", "ROM: "+x.Form)
	return r.rom(x)
}

func (r *Report) noted(_ *os.Root, file string) error {
	r.fact("described by", "%s", file)
	return nil
}

func (r *Report) someFolder(root *os.Root) error {
	r.is(Unknown, "folder of no sort that mtkport knows")
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(1000)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	sort.Strings(names)
	r.fact("holds", "%d names", len(names))
	r.fact("names", "%s", strings.Join(first(names, 12), " "))
	return nil
}

// maxDescription bounds the JSON beside images; a bundle's lists every file.
const maxDescription = 64 << 20

func readJSON(root *os.Root, file string, v any) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxDescription)).Decode(v); err != nil {
		return &mtkport.Error{File: file, Off: mtkport.NoOffset, Field: "JSON", Found: err.Error(), Want: "a description", Err: mtkport.ErrFormat}
	}
	return nil
}

func (r *Report) bundle(root *os.Root, file string) error {
	type phone struct {
		Model, Build, Android string
	}
	var m struct {
		Format, Style, Storage string
		Donor, Target          phone
		Outputs                []struct {
			Name, Partition string
			Size            int64
		}
		Files []struct{}
	}
	if err := readJSON(root, file, &m); err != nil {
		return err
	}
	if !strings.HasPrefix(m.Format, "mtkport-bundle/") {
		return errOther
	}
	r.fact("form", "%s", m.Format)
	r.fact("style", "%s", m.Style)
	r.fact("storage", "%s", m.Storage)
	r.fact("donor", "%s %s %s", m.Donor.Model, m.Donor.Build, m.Donor.Android)
	r.fact("target", "%s %s %s", m.Target.Model, m.Target.Build, m.Target.Android)
	for _, o := range m.Outputs[:min(len(m.Outputs), 32)] {
		r.fact("output "+printable(o.Name), "%d bytes, for %s", o.Size, o.Partition)
	}
	r.fact("files", "%d", len(m.Files))
	return nil
}

func (r *Report) backup(root *os.Root, file string) error {
	var b flash.Backup
	if err := readJSON(root, file, &b); err != nil {
		return err
	}
	if b.Schema == 0 {
		return errOther
	}
	r.fact("chip", "%s", b.Phone.Chip)
	r.fact("storage", "%s", b.Phone.Storage)
	r.fact("phone", "%s", b.Phone.CID+b.Phone.NANDID)
	r.fact("saved ranges", "%d", len(b.Items))
	r.fact("lacks", "%s", strings.Join(b.Lacks, ", "))
	r.fact("warning", "identity of one phone; of use to the same phone only")
	return nil
}
