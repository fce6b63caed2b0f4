package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mtkport"
	"mtkport/port/flash/da"
)

// mark names a chunk of an extent in the journal.
type mark struct {
	item int
	off  int64
}

// rewrites of one chunk before the flash is called worn.
const rewrites = 3

// write brings every extent onto the phone, chunk by chunk: intent, write, read
// back, verified.
func (r *run) write(ctx context.Context, d *Device) (err error) {
	p := r.res.Plan
	total, _ := p.Bytes()
	task := mtkport.Begin(r.cfg.Progress, "writing", total)
	defer func() { task.Done(err) }()
	done, begun, last := r.progress()
	r.res.Verified = 0
	for i, e := range p.Write {
		for off := int64(0); off < e.Len; off += r.opt.Chunk {
			at := mark{i, off}
			n := min(r.opt.Chunk, e.Len-off)
			if err = r.chunk(ctx, d, e, at, n, done[at] && at != last, begun[at]); err != nil {
				return mtkport.InFile(err, e.Partition)
			}
			task.Add(n)
			r.res.Verified += n
		}
	}
	return nil
}

// progress reads out of the journal which chunks are right, which are in doubt,
// and the last one verified, which is looked at once more.
func (r *run) progress() (done, begun map[mark]bool, last mark) {
	done, begun, last = map[mark]bool{}, map[mark]bool{}, mark{-1, 0}
	for _, e := range r.j.Entries() {
		at := mark{e.Item, e.Off}
		switch e.Kind {
		case Intent:
			begun[at], done[at] = true, false
		case Verified:
			done[at], last = true, at
		}
	}
	return done, begun, last
}

// chunk brings one chunk about. What the phone holds is trusted only after it
// was read back in this run or verified in an earlier one.
func (r *run) chunk(ctx context.Context, d *Device, e Extent, at mark, n int64, done, begun bool) error {
	if done {
		return nil
	}
	buf := make([]byte, e.raw(n))
	if k, err := r.srcs[at.item].r.ReadAt(buf, e.raw(at.off)); k < len(buf) {
		return mtkport.InFile(errors.Join(err, io.ErrUnexpectedEOF), e.File)
	}
	h := sha256.Sum256(buf)
	want := hex.EncodeToString(h[:])
	if begun {
		if same, err := d.holds(ctx, e, at.off, buf, want); err != nil {
			return err
		} else if same {
			return r.j.Add(Entry{Kind: Verified, Item: at.item, Off: at.off, Len: n, SHA: want})
		}
	}
	if err := r.j.Add(Entry{Kind: Intent, Item: at.item, Off: at.off, Len: n, SHA: want}); err != nil {
		return err
	}
	var last error
	for range rewrites {
		var ok bool
		if ok, last = r.put(ctx, d, e, at.off, buf, want); ok {
			return r.j.Add(Entry{Kind: Verified, Item: at.item, Off: at.off, Len: n, SHA: want})
		}
		if last != nil && (da.Broken(last) || ctx.Err() != nil || errors.Is(last, mtkport.ErrRefused)) {
			return last
		}
	}
	if last != nil {
		return last
	}
	s, _ := da.ByName("S_FT_DOWNLOAD_FAIL")
	return &mtkport.Error{Off: e.Off + at.off, Field: e.Region, Found: "bytes that do not stay", Want: "what was written", Err: mtkport.ErrDamaged,
		Hint: "SP Flash Tool: S_FT_DOWNLOAD_FAIL (4008). " + s.Hint + "; when it stops here again the flash is worn out at this place"}
}

// put writes a chunk and reads it back. Between refused packets the agent is
// asked whether it still listens.
func (r *run) put(ctx context.Context, d *Device, e Extent, off int64, buf []byte, want string) (bool, error) {
	n := e.data(int64(len(buf)))
	c, err := r.clear(e.Region, e.Off+off, n, e.File)
	if err != nil {
		return false, err
	}
	send := d.Agent.Write
	if e.Spare > 0 {
		send = d.Agent.WritePages
	}
	if err := send(ctx, c, bytes.NewReader(buf)); err != nil {
		if da.Broken(err) || ctx.Err() != nil {
			return false, err
		}
		mtkport.Remark(r.cfg.Progress, fmt.Sprintf("%s 0x%x: %s; writing it again", e.Partition, off, firstLine(err)))
		if _, alive := d.Agent.Alive(ctx); alive != nil {
			return false, alive
		}
		return false, err
	}
	r.res.Written += n
	return d.holds(ctx, e, off, buf, want)
}

// prove reads identity, loaders and tables once more and holds them against the
// backup.
func (r *run) prove(ctx context.Context, d *Device) (err error) {
	p := r.res.Plan
	var total int64
	for _, it := range p.Backup {
		if it.Critical && !p.writes(it) {
			total += it.Len
		}
	}
	task := mtkport.Begin(r.cfg.Progress, "proving identity", total)
	defer func() { task.Done(err) }()
	r.res.Proved, r.res.ByContent = nil, nil
	for _, it := range p.Backup {
		if !it.Critical || p.writes(it) {
			continue
		}
		if err = r.proveItem(ctx, d, it, task); err != nil {
			return err
		}
		r.res.Proved = append(r.res.Proved, it.Name)
	}
	return r.j.Add(Entry{Kind: Proved})
}

// writes says whether the plan writes any byte of an item.
func (p *Plan) writes(it Item) bool {
	for _, e := range p.Write {
		if e.Region == it.Region && e.Off < it.Off+it.Len && it.Off < e.Off+e.Len {
			return true
		}
	}
	return false
}

func (r *run) proveItem(ctx context.Context, d *Device, it Item, task mtkport.Task) error {
	got, err := d.hash(ctx, it.Region, it.Off, it.Len, task)
	if err != nil || got == it.SHA {
		return err
	}
	if r.opt.SameContent != nil && (r.res.Resumed || r.res.Lost > 0) {
		f, err := os.Open(filepath.Join(r.dir, "backup", it.File))
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		all, size := d.Reader(ctx, it.Region)
		_ = size
		same, err := r.opt.SameContent(it.Name, f, io.NewSectionReader(all, it.Off, it.Len), it.Len)
		if err != nil {
			return err
		}
		if same {
			r.res.ByContent = append(r.res.ByContent, it.Name)
			return nil
		}
	}
	return &mtkport.Error{File: it.Name, Off: it.Off, Field: it.Region, Found: "other bytes than in the backup", Want: "the phone's own, unchanged", Err: mtkport.ErrDamaged,
		Hint: "this run wrote nothing there; if the phone was started in between it may have changed by itself. The backup is in " + filepath.Join(r.dir, "backup") + ": 'mtkport device restore' puts it back"}
}

// log writes the story of the run.
func (r *run) log(d *Device) error {
	p := r.res.Plan
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s\nphone: MT%s, %s, hw 0x%04x sw 0x%04x, %s\n\n", p.Kind, p.Source, d.ID.Chip, d.ID.Storage, d.Info.HWVer, d.Info.SWVer, phoneName(d.ID))
	b.WriteString("written and verified by reading back:\n")
	for _, e := range p.Write {
		fmt.Fprintf(&b, "  %-10s %s 0x%x + 0x%x  sha256 %s\n             %s\n", e.Partition, e.Region, e.Off, e.Len, e.SHA, e.File)
	}
	b.WriteString("\nproved to be as before:\n  " + strings.Join(r.res.Proved, " ") + "\n")
	if len(r.res.ByContent) > 0 {
		b.WriteString("of these by content, since the phone changes them when it starts: " + strings.Join(r.res.ByContent, " ") + "\n")
	}
	for _, l := range p.Left {
		fmt.Fprintf(&b, "left alone: %s (%s)\n", l.Partition, l.Why)
	}
	return mtkport.WriteFile(filepath.Join(r.dir, "log.txt"), 0o644, func(w io.Writer) error { _, err := io.WriteString(w, b.String()); return err })
}
