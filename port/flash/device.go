package flash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/port/flash/da"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

// BackupOptions say what a backup holds beside identity, loaders and tables.
type BackupOptions struct {
	Layout *scatter.Layout // the scatter of the ROM on the phone; nil to take the phone's PMT
	Full   bool            // the owner's data too
	Free   func(dir string) (int64, error)
}

// Save backs a phone up into the folder dir: loaders, tables, identity and
// firmware, each read with checks and hashed. Called again with the same folder
// it goes on where it stopped.
func Save(ctx context.Context, cfg Config, dir string, o BackupOptions) (*Backup, error) {
	d, err := Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	if old, _, err := OpenBackup(dir); err == nil && old != nil {
		return nil, &mtkport.Error{File: dir, Off: mtkport.NoOffset, Found: "a complete backup", Want: "a new folder", Err: os.ErrExist, Hint: "name another folder"}
	}
	return d.save(ctx, dir, o)
}

// SaveROM backs a phone up as a ROM, in the folder "rom" of the phone's own
// folder below base, or finds the backup of an earlier call there.
func SaveROM(ctx context.Context, cfg Config, base string, o BackupOptions) (dir string, k *Backup, err error) {
	d, err := Connect(ctx, cfg)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = d.Close() }()
	dir = filepath.Join(base, phoneName(d.ID), "rom")
	if k, _, err = OpenBackup(dir); err == nil {
		mtkport.Remark(cfg.Progress, "using this phone's backup in "+dir)
		return dir, k, ignore(d.Agent.Finish(ctx))
	}
	k, err = d.save(ctx, dir, o)
	return dir, k, err
}

func (d *Device) save(ctx context.Context, dir string, o BackupOptions) (*Backup, error) {
	m, err := d.Map(ctx, o.Layout)
	if err != nil {
		return nil, err
	}
	p := newPlan("backup", dir, d, m)
	p.Backup = backupItems(p.Ranges, p.Regions, func(r identity.Range, c identity.Class) bool {
		return o.Full || c == identity.Firmware || c == identity.Modem || c == identity.Reserved
	})
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	p.name()
	k, err := saveInto(ctx, d, p, dir, o, d.cfg.Progress)
	if err != nil && interrupted(ctx, err) {
		if _, serr := os.Stat(filepath.Join(dir, "journal")); serr == nil {
			err = &mtkport.Error{File: dir, Off: mtkport.NoOffset, Err: errors.Join(mtkport.ErrInterrupted, err), Hint: "what was read is kept: give the same command again"}
		}
	}
	if err == nil {
		err = ignore(d.Agent.Finish(ctx))
	}
	return k, err
}

// ignore drops an error of the good-bye: all is saved by then.
func ignore(error) error { return nil }

func saveInto(ctx context.Context, d *Device, p *Plan, dir string, o BackupOptions, prog mtkport.Progress) (*Backup, error) {
	_, need := p.Bytes()
	if err := room(dir, need, o.Free); err != nil {
		return nil, err
	}
	j, err := OpenJournal(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = j.Close() }()
	if e := j.Entries(); len(e) > 0 && e[0].Plan != p.ID {
		return nil, &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "journal", Found: "a backup of another phone or layout", Want: "this one's", Err: mtkport.ErrRefused, Hint: "name another folder"}
	}
	if err := j.Add(Entry{Kind: Begin, Plan: p.ID}); err != nil {
		return nil, err
	}
	s := &saver{d: d, dir: dir, j: j, items: p.Backup, chunk: chunkSize}
	if err := s.save(ctx, prog); err != nil {
		return nil, err
	}
	k := Backup{Phone: d.ID, Regions: p.Regions, Block: p.Block, Ranges: p.Ranges, Layout: p.Layout, LayoutF: p.LayoutF, Lacks: lacks(p), Items: p.Backup}
	if err := s.finish(k); err != nil {
		return nil, err
	}
	return &k, j.Add(Entry{Kind: Done})
}

// Restore writes a backup of this very phone back. Loaders and tables go back
// only with opt.Bootloader; a preloader's header goes last. The owner of the
// proof is identity.Match: a backup of another phone is refused.
func Restore(ctx context.Context, cfg Config, dir string, opt Options) (*Result, error) {
	k, where, err := OpenBackup(dir)
	if err != nil {
		return nil, err
	}
	r := newRun(cfg, opt)
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	r.prep = func(ctx context.Context, d *Device) (*Plan, []source, clearer, error) {
		if err := provenStorage(d, opt); err != nil {
			return nil, nil, nil, err
		}
		proof, err := identity.Match(k.Phone, d.ID)
		if err != nil {
			return nil, nil, nil, err
		}
		g, err := k.guard(ctx, d, opt.Bootloader)
		if err != nil {
			return nil, nil, nil, err
		}
		door := identity.NoBootloader
		if opt.Bootloader {
			door = identity.WithBootloader
		}
		clear := func(region string, off, n int64, why string) (identity.Cleared, error) {
			return g.ClearRestore(region, off, n, why, proof, door)
		}
		p, srcs, fs, err := k.plan(ctx, d, where, opt, clear)
		files = append(files, fs...)
		return p, srcs, clear, err
	}
	return r.go_(ctx)
}

// guard is the phone's layout as it was when the backup was made. Unless the
// tables themselves go back, those on the phone must still say the same.
func (k *Backup) guard(ctx context.Context, d *Device, tables bool) (*identity.Guard, error) {
	for region, n := range k.Regions {
		if d.RegionSize(region) != n {
			return nil, &mtkport.Error{File: BackupFile, Off: mtkport.NoOffset, Field: region, Found: fmt.Sprintf("%d bytes on the phone", d.RegionSize(region)), Want: fmt.Sprint(n), Err: mtkport.ErrRefused}
		}
	}
	if !tables {
		l, err := scatter.Parse([]byte(k.Layout), k.LayoutF)
		if err != nil {
			return nil, err
		}
		if _, err := d.Map(ctx, l); err != nil {
			return nil, err
		}
	}
	var regions []identity.Region
	for region, n := range k.Regions {
		block := int64(512)
		if region == identity.NAND {
			block = k.Block
		}
		regions = append(regions, identity.Region{Name: region, Size: n, Block: block})
	}
	g, err := identity.NewGuard(k.Ranges, regions...)
	if err != nil {
		return nil, err
	}
	return g.For(d.ID), nil
}

// headBlock is the part of BOOT1 that a boot ROM looks at first: written last,
// so that half a preloader is never taken for a whole one.
const headBlock = 0x800

// plan lists what goes back, after every file was held against its hash.
func (k *Backup) plan(ctx context.Context, d *Device, dir string, opt Options, clear clearer) (*Plan, []source, []*os.File, error) {
	p := newPlan("restore", dir, d, nil)
	p.Ranges, p.Layout, p.LayoutF = k.Ranges, k.Layout, k.LayoutF
	var srcs []source
	var files []*os.File
	var heads []Extent
	var headSrcs []source
	for _, it := range k.Items {
		if !it.wanted(opt) {
			continue
		}
		name := filepath.Join(dir, it.File)
		if sum, err := hashFile(ctx, name, it.Len, nil); err != nil || sum != it.SHA {
			return nil, nil, files, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "sha256", Found: "other bytes than were saved", Want: it.SHA, Err: errors.Join(mtkport.ErrDamaged, err)}
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, nil, files, err
		}
		files = append(files, f)
		if it.Region == identity.NAND && yaffs2(f) {
			return nil, nil, files, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: it.Name, Found: "a YAFFS2 file system saved without its spare bytes", Want: "data that are whole", Err: mtkport.ErrRefused,
				Hint: "nothing was written: choose the other partitions with --only; this one comes back from the stock firmware's image"}
		}
		e := Extent{Partition: it.Name, Region: it.Region, Off: it.Off, Len: it.Len, Size: it.Len, File: name, SHA: it.SHA}
		if it.Region == identity.EMMCBoot1 && it.Off == 0 && it.Len > headBlock {
			h := e
			h.Len, h.Size = headBlock, headBlock
			heads, headSrcs = append(heads, h), append(headSrcs, source{f, headBlock})
			e.Off, e.Len, e.Size = headBlock, it.Len-headBlock, it.Len-headBlock
			p.Write, srcs = append(p.Write, e), append(srcs, source{shifted{f, headBlock}, e.Len})
			continue
		}
		p.Write, srcs = append(p.Write, e), append(srcs, source{f, it.Len})
	}
	p.Write, srcs = append(p.Write, heads...), append(srcs, headSrcs...)
	if len(p.Write) == 0 {
		return nil, nil, files, &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "restore", Found: "nothing to write back", Want: "partitions of the backup", Err: mtkport.ErrRefused, Hint: "see the names in " + BackupFile + "; loaders and tables need --bootloader"}
	}
	for _, e := range p.Write {
		if _, err := clear(e.Region, e.Off, e.Len, e.File); err != nil {
			return nil, nil, files, err
		}
	}
	p.settle()
	return p, srcs, files, nil
}

// shifted is a reader without its first bytes.
type shifted struct {
	f  *os.File
	by int64
}

func (s shifted) ReadAt(b []byte, off int64) (int, error) { return s.f.ReadAt(b, off+s.by) }

// wanted says whether a saved range goes back.
func (it Item) wanted(opt Options) bool {
	name, _ := identity.Classify(it.Name)
	loader := it.Class == identity.Bootloader || it.Region == identity.EMMCBoot1 || it.Region == identity.EMMCBoot2
	if !it.Partition || (loader && !opt.Bootloader) || name == "bmtpool" {
		return false
	}
	if len(opt.Only) == 0 {
		return true
	}
	for _, o := range opt.Only {
		if c, _ := identity.Classify(o); c == name || strings.EqualFold(o, it.Name) {
			return true
		}
	}
	return false
}

// Difference is one partition in which phone and set differ.
type Difference struct {
	Partition string `json:"partition"`
	Same      bool   `json:"same"`
	At        int64  `json:"first_difference,omitempty"` // bytes from its start
	Size      int64  `json:"size"`
}

// Verify compares the images of a set with the phone. Nothing is written.
func Verify(ctx context.Context, cfg Config, s *Set) ([]Difference, error) {
	d, err := Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	m, err := d.Map(ctx, s.Layout)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, im := range s.Images {
		total += im.Size
	}
	task := mtkport.Begin(cfg.Progress, "verifying", total)
	defer func() { task.Done(err) }()
	var out []Difference
	for _, im := range s.Images {
		var e Extent
		if e, err = placeImage(d, m, im); err != nil {
			return out, err
		}
		var df Difference
		if df, err = d.compare(ctx, e, im, task); err != nil {
			return out, err
		}
		out = append(out, df)
	}
	return out, ignore(d.Agent.Finish(ctx))
}

// compare reads a partition as far as the image goes.
func (d *Device) compare(ctx context.Context, e Extent, im Image, task mtkport.Task) (Difference, error) {
	df := Difference{Partition: e.Partition, Same: true, Size: im.Size}
	src := padded{im.R, im.Size, padByte(d)}
	want := make([]byte, e.raw(1<<20))
	at := int64(0)
	err := d.read(ctx, e, 0, e.Len, func(b []byte) error {
		w := want[:len(b)]
		if _, err := src.ReadAt(w, at); err != nil {
			return mtkport.InFile(err, im.File)
		}
		if i := e.differ(b, w, at); i >= 0 && df.Same {
			df.Same, df.At = false, at+int64(i)
		}
		at += int64(len(b))
		task.Add(int64(len(b)))
		return nil
	})
	return df, err
}

// ParseRange reads REGION:OFFSET+LENGTH, as in EMMC_USER:0x1e0000+512. USER,
// BOOT1, BOOT2 and NAND are short for the regions.
func ParseRange(s string) (region string, off, n int64, ok bool) {
	region, rest, found := strings.Cut(s, ":")
	a, b, plus := strings.Cut(rest, "+")
	off, err1 := strconv.ParseInt(a, 0, 64)
	n, err2 := strconv.ParseInt(b, 0, 64)
	short := map[string]string{"USER": identity.EMMCUser, "BOOT1": identity.EMMCBoot1, "BOOT2": identity.EMMCBoot2}
	region = strings.ToUpper(region)
	if full := short[region]; full != "" {
		region = full
	}
	return region, off, n, found && plus && err1 == nil && err2 == nil && off >= 0 && n > 0
}

// Fetch reads a partition, or a range in the form of [ParseRange], into sink. It
// returns what was read.
func Fetch(ctx context.Context, cfg Config, what string, l *scatter.Layout, sink func(b []byte) error) (identity.Range, error) {
	d, err := Connect(ctx, cfg)
	if err != nil {
		return identity.Range{}, err
	}
	defer func() { _ = d.Close() }()
	r := identity.Range{Partition: what}
	var ok bool
	if r.Region, r.Off, r.Len, ok = ParseRange(what); !ok {
		m, err := d.Map(ctx, l)
		if err != nil {
			return r, err
		}
		if r, ok = m.Place(what); !ok {
			return r, &mtkport.Error{Off: mtkport.NoOffset, Field: what, Found: "no such partition on the phone", Want: "a name of its layout, or REGION:OFFSET+LENGTH", Err: mtkport.ErrFormat}
		}
	}
	if size := d.RegionSize(r.Region); r.Off+r.Len > size {
		return r, &mtkport.Error{Off: r.Off, Field: r.Region, Found: fmt.Sprintf("0x%x bytes", r.Len), Want: fmt.Sprintf("a range inside 0x%x", size), Err: mtkport.ErrTooBig,
			Hint: "SP Flash Tool: S_DA_INVALID_RANGE (3039)"}
	}
	task := mtkport.Begin(cfg.Progress, "reading", r.Len)
	err = d.Agent.Read(ctx, r.Region, r.Off, r.Len, func(b []byte) error { task.Add(int64(len(b))); return sink(b) })
	task.Done(err)
	if err != nil {
		return r, err
	}
	return r, ignore(d.Agent.Finish(ctx))
}

// Restart reboots the phone through its agent.
func Restart(ctx context.Context, cfg Config) error {
	d, err := Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Agent.Reboot(ctx)
}

// interrupted says whether the same call may go on where err stopped it.
func interrupted(ctx context.Context, err error) bool { return ctx.Err() != nil || da.Broken(err) }
