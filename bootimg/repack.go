package bootimg

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"mtkport"
)

// Repacked is an unpacked folder on its way back to an image. Close it.
type Repacked struct {
	Changed []string // what differs from the original: section names and "header", in order

	ctx    context.Context
	root   *os.Root
	side   *sideFile
	byKind map[string]*sideSection
	files  []*os.File
	fresh  map[string]segment // replaced files
	image  *Editor            // one of the two is set
	part   *PartEditor
	sum    string
}

// Repack reads a folder that [File.Unpack] made. Files whose SHA-256 is the one
// of the side file are the original; others replace it. Fields edited in the
// side file are changed in the image; a section taken out of its list is
// removed.
func Repack(ctx context.Context, root *os.Root) (*Repacked, error) {
	side, err := readSide(root)
	if err != nil {
		return nil, err
	}
	r := &Repacked{ctx: ctx, root: root, side: side, byKind: map[string]*sideSection{}, fresh: map[string]segment{}}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Repacked) open() error {
	for i := range r.side.Sections {
		s := &r.side.Sections[i]
		if r.byKind[s.Kind] != nil {
			return sideErr("sections", "two called "+s.Kind, "one")
		}
		r.byKind[s.Kind] = s
	}
	src, err := r.original()
	if err != nil {
		return err
	}
	f, err := OpenFile(src, src.size())
	if err != nil {
		return mtkport.InFile(err, SideName)
	}
	if (f.Image != nil) != (r.side.Header != nil) {
		return sideErr("header", "a folder of another kind", "a header for a boot image, none for a part")
	}
	if f.Part != nil {
		return r.editPart(f.Part)
	}
	return r.editImage(f.Image)
}

// original is the image as it was, with zeros where a payload has changed: only
// its frame is read there.
func (r *Repacked) original() (segments, error) {
	var ss segments
	var total int64
	for _, run := range r.side.Original {
		if run.Size < 0 || run.Size > maxSource-total {
			return nil, sideErr("original", fmt.Sprintf("a run of %d bytes", run.Size), "runs that add up to the source's size")
		}
		s, err := r.run(run)
		if err != nil {
			return nil, err
		}
		ss, total = append(ss, s), total+run.Size
	}
	if total != r.side.Source.Size {
		return nil, sideErr("original", fmt.Sprintf("%d bytes", total), fmt.Sprintf("%d, the source's size", r.side.Source.Size))
	}
	return ss, nil
}

func (r *Repacked) run(run sideRun) (segment, error) {
	switch {
	case run.Fill != nil:
		return filled(byte(*run.Fill), run.Size), nil
	case run.Section != "":
		return r.section(run)
	case run.File != "":
		s, err := r.openFile(run.File)
		if err == nil && s.n != run.Size {
			err = &mtkport.Error{File: run.File, Off: mtkport.NoOffset, Found: fmt.Sprintf("%d bytes", s.n), Want: fmt.Sprint(run.Size),
				Hint: "this file holds bytes of the original between its sections: it must stay", Err: mtkport.ErrDamaged}
		}
		return s, err
	}
	b, err := base64.StdEncoding.DecodeString(run.Bytes)
	if err != nil || int64(len(b)) != run.Size {
		return segment{}, sideErr("original", fmt.Sprintf("a run of %d bytes, base64 of %d", run.Size, len(b)), "equal sizes")
	}
	return fromBytes(b), nil
}

// section is the run of a payload: the file beside, while it is unchanged.
func (r *Repacked) section(run sideRun) (segment, error) {
	sec := r.byKind[run.Section]
	if sec == nil { // taken out of the list
		return filled(0, run.Size), nil
	}
	s, err := r.openFile(sec.File)
	if err != nil {
		return s, err
	}
	if s.n == run.Size {
		h := sha256.New()
		if _, err := s.writeTo(ctxWriter{r.ctx, h}, make([]byte, copyBuf)); err != nil {
			return s, err
		}
		if hex.EncodeToString(h.Sum(nil)) == sec.SHA256 {
			return s, nil
		}
	}
	r.fresh[run.Section] = s
	return filled(0, run.Size), nil
}

func (r *Repacked) openFile(name string) (segment, error) {
	// Stat first: opening a pipe would wait for its other end.
	st, err := r.root.Stat(name)
	if err == nil && !st.Mode().IsRegular() {
		return segment{}, &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: "no plain file", Want: "one", Err: mtkport.ErrFormat}
	}
	var f *os.File
	if err == nil {
		f, err = r.root.Open(name)
	}
	if err != nil {
		e := &mtkport.Error{File: name, Off: mtkport.NoOffset, Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = "put the file back, or take its section out of " + SideName
		}
		return segment{}, e
	}
	r.files = append(r.files, f)
	return fromSource(f, 0, st.Size()), nil
}

func (r *Repacked) editImage(m *Image) error {
	e := m.Edit()
	r.image = e
	h, err := r.side.Header.header(m.hdr)
	if err != nil {
		return mtkport.InFile(err, SideName)
	}
	if h != m.hdr {
		r.Changed = append(r.Changed, "header")
	}
	if err := e.SetHeader(h); err != nil {
		return mtkport.InFile(err, SideName)
	}
	for k := Kernel; k < numKinds; k++ {
		if err := r.editSection(m, k); err != nil {
			return err
		}
		delete(r.byKind, k.String())
	}
	for kind := range r.byKind {
		return sideErr("sections", kind, "kernel, ramdisk, second, dt, recovery_dtbo or dtb")
	}
	return r.setIDRule()
}

// setIDRule takes the rule from the side file: the original payloads that would
// prove it may be gone.
func (r *Repacked) setIDRule() error {
	e := r.image
	e.idRule, e.ruleSet = r.side.Header.IDRule, true
	switch e.idRule {
	case IDSHA1, IDSHA256, IDNone, IDOther:
		return nil
	}
	return sideErr("id_rule", string(e.idRule), "sha1, sha256, none or other")
}

func (r *Repacked) editSection(m *Image, k Kind) error {
	sec, old := r.byKind[k.String()], m.Section(k)
	switch {
	case sec == nil && old == nil:
		return nil
	case sec == nil:
		r.image.Remove(k)
	default:
		changed, err := r.replace(k, sec, old)
		if err != nil || !changed {
			return err
		}
	}
	r.Changed = append(r.Changed, k.String())
	return nil
}

func (r *Repacked) replace(k Kind, sec *sideSection, old *Section) (changed bool, err error) {
	s, changed := r.fresh[k.String()]
	if old == nil { // a section that the original did not have
		if s, err = r.openFile(sec.File); err != nil {
			return false, err
		}
		changed = true
	}
	if changed {
		if err := r.image.SetPayload(k, s.src, s.n); err != nil {
			return false, mtkport.InFile(err, sec.File)
		}
	}
	var part *PartHeader
	if old != nil {
		part = old.Part
	}
	if old == nil && sec.Part == nil || samePart(part, sec.Part) {
		return changed, nil
	}
	name := ""
	if sec.Part != nil {
		name = string(sec.Part.Name)
	}
	return true, mtkport.InFile(r.image.SetPart(k, name), SideName)
}

func samePart(p *PartHeader, s *sidePart) bool {
	if p == nil || s == nil {
		return p == nil && s == nil
	}
	return p.Name == string(s.Name)
}

func (r *Repacked) editPart(p *PartFile) error {
	r.part = p.Edit()
	sec := r.byKind[partKind]
	if sec == nil || sec.Part == nil || len(r.byKind) != 1 {
		return sideErr("sections", fmt.Sprintf("%d sections", len(r.byKind)), "one, called "+partKind+", with its part")
	}
	if s, ok := r.fresh[partKind]; ok {
		r.Changed = append(r.Changed, partKind)
		if err := r.part.SetPayload(s.src, s.n); err != nil {
			return mtkport.InFile(err, sec.File)
		}
	}
	if string(sec.Part.Name) == p.Part.Name {
		return nil
	}
	r.Changed = append(r.Changed, "part name")
	return mtkport.InFile(r.part.SetName(string(sec.Part.Name)), SideName)
}

// SetResize says what happens to the file's size; see [Resizing].
func (r *Repacked) SetResize(how Resizing) {
	if r.part != nil {
		r.part.SetResize(how)
		return
	}
	r.image.SetResize(how)
}

// SetID says what happens to a boot image's id; see [IDMode].
func (r *Repacked) SetID(mode IDMode) {
	if r.image != nil {
		r.image.SetID(mode)
	}
}

// IDKept is [Editor.IDKept] for a boot image, false for a part.
func (r *Repacked) IDKept() (bool, error) {
	if r.image == nil {
		return false, nil
	}
	return r.image.IDKept()
}

// WriteTo writes the image.
func (r *Repacked) WriteTo(w io.Writer) (int64, error) {
	h := sha256.New()
	out := ctxWriter{r.ctx, io.MultiWriter(w, h)}
	var n int64
	var err error
	if r.part != nil {
		n, err = r.part.WriteTo(out)
	} else {
		n, err = r.image.WriteTo(out)
	}
	r.sum = hex.EncodeToString(h.Sum(nil))
	return n, err
}

// Identical reports, after WriteTo, whether what was written is the image that
// was unpacked, by its SHA-256.
func (r *Repacked) Identical() bool { return r.sum == r.side.Source.SHA256 }

// SHA256 is the sum of what WriteTo wrote, in hex.
func (r *Repacked) SHA256() string { return r.sum }

// Close closes the files.
func (r *Repacked) Close() error {
	var errs []error
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	r.files = nil
	return errors.Join(errs...)
}
