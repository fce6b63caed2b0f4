package splice

import (
	"bytes"
	"encoding/json"
	"fmt"

	"mtkport"
	"mtkport/port/rom"
)

// ManifestFormat is the first word of a manifest.
const ManifestFormat = "mtkport-bundle/1"

// Manifest says what a bundle is made of.
type Manifest struct {
	Format  string      `json:"format"`
	Style   string      `json:"style"`
	Donor   Side        `json:"donor"`
	Target  Side        `json:"target"`
	Storage string      `json:"storage,omitempty"` // EMMC or NAND, where known
	Outputs []Output    `json:"outputs"`
	Files   []FileEntry `json:"files"` // every file of system.img
}

// Side is one ROM in a manifest.
type Side struct {
	Path    string `json:"path"`
	Form    string `json:"form"`
	Model   string `json:"model,omitempty"`
	Build   string `json:"build,omitempty"`   // ro.build.display.id
	Android string `json:"android,omitempty"` // ro.build.version.release
}

// Output is one file of the bundle.
type Output struct {
	Name      string   `json:"name"`
	Partition string   `json:"partition,omitempty"` // that it is for, as the target's scatter spells it
	Format    string   `json:"format,omitempty"`    // of a system image
	Size      int64    `json:"size"`                // bytes
	SHA256    string   `json:"sha256"`
	Sources   []Source `json:"sources"`
	Changed   []string `json:"changed,omitempty"` // what differs from the first source
}

// Source is a file that an output was made of.
type Source struct {
	Side string `json:"side"` // donor or target
	ROM  string `json:"rom"`
	File string `json:"file"`
}

// FileEntry is one file of system.img.
type FileEntry struct {
	Path   string `json:"path"`
	From   string `json:"from"` // donor, target or merge
	Rule   string `json:"rule"`
	Size   int64  `json:"size"`             // bytes
	SHA256 string `json:"sha256,omitempty"` // of a regular file, as read back from system.img
	Target string `json:"target,omitempty"` // of a link
}

func newManifest(in *Input) *Manifest {
	storage := in.Target.Storage()
	if storage == "" {
		storage = in.Donor.Storage()
	}
	return &Manifest{Format: ManifestFormat, Style: string(in.Plan.Style), Donor: SideOf(in.Donor), Target: SideOf(in.Target), Storage: storage}
}

// SideOf describes a ROM.
func SideOf(r *rom.ROM) Side {
	s := Side{Path: r.Path, Form: r.Form}
	if p := r.Props(); p != nil {
		s.Model, _ = p.Get("ro.product.model")
		s.Build, _ = p.Get("ro.build.display.id")
		s.Android, _ = p.Get("ro.build.version.release")
	}
	return s
}

func (m *Manifest) add(o Output) { m.Outputs = append(m.Outputs, o) }

// sums is the form that sha256sum -c checks.
func (m *Manifest) sums() []byte {
	var b bytes.Buffer
	for _, o := range m.Outputs {
		fmt.Fprintf(&b, "%s  %s\n", o.SHA256, o.Name)
	}
	return b.Bytes()
}

func (m *Manifest) write(dir *mtkport.Dir) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(dir, ManifestName, append(b, '\n'))
}
