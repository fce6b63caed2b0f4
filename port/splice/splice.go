package splice

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/sysimg"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/tree"
)

// Input is what a splice works on.
type Input struct {
	Donor, Target *rom.ROM
	Plan          *plan.Plan
	Rules         *plan.Rules // for the keys of build.prop
	Progress      mtkport.Progress
}

func (in *Input) name(t plan.Take) string {
	if t == plan.Donor {
		return in.Donor.Path
	}
	return in.Target.Path
}

// partition is the size in bytes of a partition of the target, 0 where unknown.
func (in *Input) partition(name string) int64 {
	if in.Target.Scatter == nil {
		return 0
	}
	if p := in.Target.Scatter.Find(name); p != nil {
		return p.Size
	}
	return 0
}

// The names of the files of a bundle.
const (
	BootName     = "boot.img"
	SystemName   = "system.img"
	ManifestName = "manifest.json"
	PlanName     = "plan.yaml"
	ReportName   = "report.md"
	SumsName     = "SHA256SUMS"
)

// systemPartition is the partition that a system image goes to, under its
// canonical name; bootPartition is that of boot.img.
const systemPartition = "system"

const bootPartition = "boot"

func tooBig(what string, size int64, part string, limit int64) error {
	return &mtkport.Error{File: what, Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprintf("%d bytes", size),
		Want: fmt.Sprintf("at most the %d bytes of the target's partition %s", limit, part), Err: mtkport.ErrTooBig,
		Hint: "leave something out: write the plan with `mtkport plan`, drop paths in it, and give it back with --plan"}
}

// CheckStorage refuses a donor that lives on other storage than the target.
func CheckStorage(donor, target *rom.ROM) error {
	d, t := donor.Storage(), target.Storage()
	if d == "" || t == "" || d == t {
		return nil
	}
	return &mtkport.Error{File: donor.Path, Off: mtkport.NoOffset, Field: "storage", Found: d, Want: t + ", as the target's", Err: mtkport.ErrRefused,
		Hint: "a ROM made for " + d + " cannot go to a phone with " + t + ": look for a donor of the same storage"}
}

// Write makes the bundle in dir and returns its manifest. The caller adds the
// report and commits dir.
func Write(ctx context.Context, in Input, dir *mtkport.Dir) (*Manifest, error) {
	if err := CheckStorage(in.Donor, in.Target); err != nil {
		return nil, err
	}
	b, err := buildTree(&in)
	if err != nil {
		return nil, err
	}
	m := newManifest(&in)
	if in.Target.Boot != nil {
		if err := writeBoot(&in, b, dir, m); err != nil {
			return nil, err
		}
	}
	if err := writeSystem(ctx, &in, b, dir, m); err != nil {
		return nil, err
	}
	if err := writeScatter(&in, dir, m); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if _, err := in.Plan.WriteTo(&text); err != nil {
		return nil, err
	}
	if err := writeFile(dir, PlanName, text.Bytes()); err != nil {
		return nil, err
	}
	if err := writeFile(dir, SumsName, m.sums()); err != nil {
		return nil, err
	}
	return m, m.write(dir)
}

func writeFile(dir *mtkport.Dir, name string, b []byte) error {
	f, err := dir.Root.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func writeBoot(in *Input, b *builder, dir *mtkport.Dir, m *Manifest) error {
	f, err := dir.Root.Create(BootName)
	if err != nil {
		return err
	}
	sum := sha256.New()
	changed, err := bootImage(in, io.MultiWriter(f, sum), b.buildType())
	if err != nil {
		return errors.Join(err, f.Close())
	}
	st, err := f.Stat()
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	src := []Source{{Side: "target", ROM: in.Target.Path, File: in.Target.BootFile.Name}}
	if len(changed) > 0 {
		src = append(src, Source{Side: "donor", ROM: in.Donor.Path, File: "class paths of its init files"})
	}
	m.add(Output{Name: BootName, Partition: in.partitionName(bootPartition), Size: st.Size(), SHA256: hex.EncodeToString(sum.Sum(nil)), Sources: src, Changed: changed})
	return nil
}

// writeSystem writes system.img, opens it again and compares it with its sources.
func writeSystem(ctx context.Context, in *Input, b *builder, dir *mtkport.Dir, m *Manifest) error {
	f, err := dir.Root.OpenFile(SystemName, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	opt := in.systemOptions()
	if limit := in.partition(systemPartition); limit > 0 && opt.Size > limit {
		return tooBig(SystemName, opt.Size, in.partitionName(systemPartition), limit)
	}
	err = sysimg.Write(ctx, f, b.out, opt)
	if grown := in.partition(systemPartition); errors.Is(err, mtkport.ErrTooBig) && opt.Size < grown && opt.Like != nil {
		// the stock image was smaller than its partition
		if err = f.Truncate(0); err == nil {
			if _, err = f.Seek(0, io.SeekStart); err != nil {
				return err
			}
			opt.Size = grown
			err = sysimg.Write(ctx, f, b.out, opt)
		}
	}
	if err != nil {
		return in.tooBig(err)
	}
	st, err := f.Stat()
	if err = errors.Join(err, f.Sync()); err != nil {
		return err
	}
	if limit := in.partition(systemPartition); limit > 0 && in.Target.Storage() == scatter.NAND && st.Size() > limit {
		return tooBig(SystemName, st.Size(), in.partitionName(systemPartition), limit)
	}
	return verify(ctx, in, b, f, m)
}

// tooBig adds to the writer's words which partition it is about.
func (in *Input) tooBig(err error) error {
	var e *mtkport.Error
	if !errors.Is(err, mtkport.ErrTooBig) || !errors.As(err, &e) {
		return mtkport.InFile(err, SystemName)
	}
	c := *e
	c.File = SystemName
	if limit := in.partition(systemPartition); limit > 0 {
		c.Want += fmt.Sprintf("; the target's partition %s has %d bytes", in.partitionName(systemPartition), limit)
	}
	if c.Hint == "" {
		c.Hint = "leave something out: write the plan with `mtkport plan`, drop paths in it, and give it back with --plan"
	}
	return &c
}

// systemOptions is the target's container and layout. A target that has only a
// folder or a package gets ext4 as Android's build makes it, as large as the
// partition.
func (in *Input) systemOptions() sysimg.Options {
	opt := sysimg.Options{Progress: in.Progress}
	if img := in.Target.SystemImage; img != nil {
		opt.Like = img
		if img.Layout.Ext4 != nil {
			opt.Size = img.Size
		}
		return opt
	}
	l := ext4.Android(in.partition(systemPartition), "")
	opt.To, opt.Size = "ext4", l.Size
	opt.Layout.Ext4 = &l
	return opt
}

// verify opens the written image and compares every file with its source.
func verify(ctx context.Context, in *Input, b *builder, f *os.File, m *Manifest) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	img, err := sysimg.Open(f, st.Size())
	if err != nil {
		return mtkport.InFile(err, SystemName)
	}
	var total int64
	for _, o := range b.origins {
		total += o.node.Size()
	}
	task := mtkport.Begin(in.Progress, "checking system.img against its sources", total)
	err = compareAll(ctx, b, img.Tree, m, task)
	if err == nil {
		err = diffMeta(ctx, b.out, img.Tree)
	}
	task.Done(err)
	if err != nil {
		return err
	}
	sum, err := hashFile(ctx, f, st.Size(), in.Progress)
	if err != nil {
		return err
	}
	src := []Source{}
	for _, r := range []struct {
		side string
		rom  *rom.ROM
	}{{"donor", in.Donor}, {"target", in.Target}} {
		file := "system/"
		if r.rom.SystemFile != nil {
			file = r.rom.SystemFile.Name
		}
		src = append(src, Source{Side: r.side, ROM: r.rom.Path, File: file})
	}
	m.add(Output{Name: SystemName, Partition: in.partitionName(systemPartition), Format: img.Format, Size: st.Size(), SHA256: sum, Sources: src})
	return nil
}

func (in *Input) partitionName(canonical string) string {
	if in.Target.Scatter != nil {
		if p := in.Target.Scatter.Find(canonical); p != nil {
			return p.Name
		}
	}
	return canonical
}

func mismatch(p, found, want string) error {
	return &mtkport.Error{File: SystemName, Off: mtkport.NoOffset, Field: p, Found: found, Want: want, Err: errors.New("read back wrong")}
}

func compareAll(ctx context.Context, b *builder, got *tree.Tree, m *Manifest, task mtkport.Task) error {
	x, y := make([]byte, 256<<10), make([]byte, 256<<10)
	for _, o := range b.origins {
		if err := ctx.Err(); err != nil {
			return err
		}
		rel := strings.TrimPrefix(o.decision.Path, "system/")
		n, err := got.Lookup(rel)
		if err != nil {
			return mismatch(rel, "nothing", "the file")
		}
		if n.Size() != o.node.Size() {
			return mismatch(rel, fmt.Sprintf("%d bytes", n.Size()), fmt.Sprint(o.node.Size()))
		}
		f := FileEntry{Path: o.decision.Path, From: string(o.decision.Take), Rule: o.decision.Rule, Size: n.Size()}
		if n.Type() == tree.Regular {
			if f.SHA256, err = compareOne(o.node.Data, n.Data, n.Size(), x, y, task); err != nil {
				return mtkport.InFile(err, o.decision.Path)
			}
		} else {
			f.Target = n.Target
		}
		m.Files = append(m.Files, f)
	}
	return nil
}

// compareOne compares two contents and returns the sum.
func compareOne(want, got tree.Content, size int64, x, y []byte, task mtkport.Task) (string, error) {
	sum := sha256.New()
	for off := int64(0); off < size; off += int64(len(x)) {
		n := min(int64(len(x)), size-off)
		for _, r := range []struct {
			c tree.Content
			b []byte
		}{{want, x[:n]}, {got, y[:n]}} {
			if _, err := r.c.ReadAt(r.b, off); err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return "", errors.New("the written file is not its source")
		}
		sum.Write(x[:n])
		task.Add(n)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// diffMeta compares everything but contents.
func diffMeta(ctx context.Context, want, got *tree.Tree) error {
	return want.Walk(func(p string, n *tree.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		g, err := got.Lookup(p)
		if err != nil {
			return mismatch(p, "nothing", "the path")
		}
		if g.Mode != n.Mode || g.UID != n.UID || g.GID != n.GID || g.Target != n.Target {
			return mismatch(p, fmt.Sprintf("%o %d:%d %s", g.Mode, g.UID, g.GID, g.Target), fmt.Sprintf("%o %d:%d %s", n.Mode, n.UID, n.GID, n.Target))
		}
		for name, v := range n.Xattrs {
			if !bytes.Equal(g.Xattrs[name], v) {
				return mismatch(p, fmt.Sprintf("%s %q", name, g.Xattrs[name]), fmt.Sprintf("%q", v))
			}
		}
		return nil
	})
}

func hashFile(ctx context.Context, f io.ReaderAt, size int64, p mtkport.Progress) (string, error) {
	task := mtkport.Begin(p, "hashing system.img", size)
	sum, buf := sha256.New(), make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(buf)) {
		n := min(int64(len(buf)), size-off)
		_, err := f.ReadAt(buf[:n], off)
		if err == nil || errors.Is(err, io.EOF) {
			err = ctx.Err()
		}
		if err != nil {
			task.Done(err)
			return "", err
		}
		sum.Write(buf[:n])
		task.Add(n)
	}
	task.Done(nil)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// writeScatter writes the target's scatter with only what the bundle holds marked
// for download, and never an identity or boot loader partition.
func writeScatter(in *Input, dir *mtkport.Dir, m *Manifest) error {
	if in.Target.Scatter == nil {
		return nil
	}
	name := path.Base(in.Target.ScatterFile.Name)
	l, err := scatter.Parse(in.Target.Scatter.Bytes(), name)
	if err != nil {
		return err
	}
	if l.IsList() { // of an OTA package: no flash tool takes it, so the bundle goes without
		return nil
	}
	files := map[string]string{bootPartition: BootName, systemPartition: SystemName}
	if in.Target.Boot == nil {
		delete(files, bootPartition)
	}
	var marked []string
	for _, p := range l.Partitions {
		file, ours := files[p.Canonical]
		if ours && (p.Guarded || p.Class != identity.Firmware) {
			return &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: p.Name, Found: "class " + string(p.Class), Want: "a partition of class firmware", Err: mtkport.ErrRefused}
		}
		if ours && p.HasFileName && p.File != file {
			if err := l.SetFile(p.Name, file); err != nil {
				return err
			}
		}
		if p.Download != ours {
			if err := l.SetDownload(p.Name, ours); err != nil {
				return err
			}
			marked = append(marked, fmt.Sprintf("%s: download %v", p.DisplayName(), ours))
		}
	}
	b := l.Bytes()
	sum := sha256.Sum256(b)
	m.add(Output{Name: name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Changed: marked,
		Sources: []Source{{Side: "target", ROM: in.Target.Path, File: in.Target.ScatterFile.Name}}})
	return writeFile(dir, name, b)
}

// WriteReport adds the repair log to a bundle.
func WriteReport(dir *mtkport.Dir, text []byte) error { return writeFile(dir, ReportName, text) }
