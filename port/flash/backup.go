package flash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mtkport"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

// Backup describes a folder of saved ranges. It is written last: a folder with
// backup.json is complete.
type Backup struct {
	Schema  int                 `json:"schema"` // 1
	Phone   identity.HardwareID `json:"phone"`
	Regions map[string]int64    `json:"regions"`
	Block   int64               `json:"block"`
	Items   []Item              `json:"items"`
	Ranges  []identity.Range    `json:"ranges"`
	Layout  string              `json:"layout"`
	LayoutF string              `json:"layout_file"`
	Lacks   []string            `json:"lacks"` // what a reader might look for and is not here
}

// BackupFile is the name of the description in a backup's folder.
const BackupFile = "backup.json"

// maxJSON bounds descriptions on disk.
const maxJSON = 8 << 20

// OpenBackup reads a backup's description. dir may be the folder itself or one
// that holds it as "backup".
func OpenBackup(dir string) (*Backup, string, error) {
	for _, d := range []string{dir, filepath.Join(dir, "backup")} {
		b, err := readBounded(filepath.Join(d, BackupFile), maxJSON)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		var k Backup
		if err := json.Unmarshal(b, &k); err != nil {
			return nil, "", &mtkport.Error{File: filepath.Join(d, BackupFile), Off: mtkport.NoOffset, Err: errors.Join(mtkport.ErrDamaged, err)}
		}
		for _, i := range k.Items {
			if !filepath.IsLocal(i.File) || filepath.Base(i.File) != i.File || i.Off < 0 || i.Len <= 0 {
				return nil, "", &mtkport.Error{File: filepath.Join(d, BackupFile), Off: mtkport.NoOffset, Field: i.Name, Found: i.File, Want: "a file beside it", Err: mtkport.ErrDamaged}
			}
		}
		return &k, d, nil
	}
	return nil, "", &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: BackupFile, Found: "none", Want: "a complete backup", Err: mtkport.ErrFormat,
		Hint: "name the folder that 'device backup' made, or the backup folder of a flash; one without " + BackupFile + " was never finished"}
}

// chunkSize is the unit in which a backup goes on after a kill, and in which
// ranges are written and verified: 16 packets.
const chunkSize = 16 << 20

// saver carries a backup out.
type saver struct {
	d     *Device
	dir   string
	j     *Journal
	items []Item
	chunk int64
	task  mtkport.Task
}

// save reads every item to its file. Items that the journal calls whole are
// checked against their hash and skipped. Nothing may be missing at the end.
func (s *saver) save(ctx context.Context, p mtkport.Progress) (err error) {
	total := int64(0)
	for _, i := range s.items {
		total += i.Len
	}
	s.task = mtkport.Begin(p, "backing up", total)
	defer func() { s.task.Done(err) }()
	for n := range s.items {
		if err = s.item(ctx, n); err != nil {
			return mtkport.InFile(err, filepath.Join(s.dir, s.items[n].File))
		}
	}
	return nil
}

func (s *saver) item(ctx context.Context, n int) error {
	it := &s.items[n]
	name := filepath.Join(s.dir, it.File)
	for _, e := range s.j.Entries() {
		if e.Kind != Backed || e.Item != n {
			continue
		}
		if sum, err := hashFile(ctx, name, it.Len, s.task); err == nil && sum == e.SHA {
			it.SHA = sum
			return nil
		}
		if s.written() {
			return &mtkport.Error{Off: mtkport.NoOffset, Field: "backup", Found: "a file that is not what was saved", Want: "the backup made before writing began", Err: mtkport.ErrDamaged,
				Hint: "the saved bytes were changed after the phone was already written; put the file back, or move the phone's folder away and begin again from the stock firmware"}
		}
	}
	sum, err := s.read(ctx, n, name+".part")
	if err != nil {
		return err
	}
	if it.Critical {
		if err := s.again(ctx, *it, sum); err != nil {
			return err
		}
	}
	if err := os.Rename(name+".part", name); err != nil {
		return err
	}
	if err := mtkport.SyncDir(s.dir); err != nil {
		return err
	}
	it.SHA = sum
	return s.j.Add(Entry{Kind: Backed, Item: n, Len: it.Len, SHA: sum})
}

// written says whether the journal knows of a write.
func (s *saver) written() bool {
	for _, e := range s.j.Entries() {
		if e.Kind == Intent {
			return true
		}
	}
	return false
}

// read fills a part file chunk by chunk, each synced and journaled before the
// next. What an earlier run left is taken as far as its hashes hold.
func (s *saver) read(ctx context.Context, n int, part string) (string, error) {
	it := s.items[n]
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	all := sha256.New()
	done, err := s.kept(ctx, n, f, all)
	if err != nil {
		return "", err
	}
	if err := f.Truncate(done); err != nil {
		return "", err
	}
	for done < it.Len {
		k := min(s.chunk, it.Len-done)
		one := sha256.New()
		at := done
		err := s.d.Agent.Read(ctx, it.Region, it.Off+done, k, func(b []byte) error {
			one.Write(b)
			all.Write(b)
			s.task.Add(int64(len(b)))
			_, err := f.WriteAt(b, at)
			at += int64(len(b))
			return err
		})
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			return "", diskFull(err, s.dir)
		}
		if done += k; done < it.Len {
			if err := s.j.Add(Entry{Kind: Got, Item: n, Off: done - k, Len: k, SHA: hex.EncodeToString(one.Sum(nil))}); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(all.Sum(nil)), f.Close()
}

// kept returns how much of a part file holds what the journal says.
func (s *saver) kept(ctx context.Context, n int, f *os.File, all hash.Hash) (int64, error) {
	var done int64
	for _, e := range s.j.Entries() {
		if e.Kind != Got || e.Item != n || e.Off != done {
			continue
		}
		sum, err := hashOf(ctx, io.NewSectionReader(f, e.Off, e.Len), e.Len, nil)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil || sum != e.SHA {
			break
		}
		if _, err := io.Copy(all, io.NewSectionReader(f, e.Off, e.Len)); err != nil {
			return 0, err
		}
		done += e.Len
		s.task.Add(e.Len)
	}
	return done, nil
}

// again reads a range a second time: the sums of the protocol are weak.
func (s *saver) again(ctx context.Context, it Item, want string) error {
	got, err := s.d.hash(ctx, it.Region, it.Off, it.Len, nil)
	if err != nil {
		return err
	}
	if got != want {
		return &mtkport.Error{Off: it.Off, Field: it.Name, Found: "two reads that differ", Want: "the same bytes twice", Err: mtkport.ErrDamaged,
			Hint: "SP Flash Tool: S_FT_READBACK_FAIL (4010). The cable, the port or the flash is unreliable: other cable, USB 2 port, then try again; nothing was written"}
	}
	return nil
}

// hash reads a range of the phone and returns its SHA-256.
func (d *Device) hash(ctx context.Context, region string, off, n int64, t mtkport.Task) (string, error) {
	h := sha256.New()
	err := d.Agent.Read(ctx, region, off, n, func(b []byte) error {
		h.Write(b)
		if t != nil {
			t.Add(int64(len(b)))
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func hashFile(ctx context.Context, name string, want int64, t mtkport.Task) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if st.Size() != want {
		return "", fmt.Errorf("%s: %d bytes, want %d", name, st.Size(), want)
	}
	return hashOf(ctx, f, want, t)
}

// errDiskFull is a disk without room.
var errDiskFull = errors.New("no room on the disk")

func diskFull(err error, dir string) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "backup", Err: errors.Join(errDiskFull, err),
		Hint: "nothing was written to the phone; make room or choose another disk with --backup DIR, then give the same command again"}
}

// room checks before the first byte that the disk can take the backup.
func room(dir string, need int64, free func(string) (int64, error)) error {
	if free == nil {
		free = freeBytes
	}
	have, err := free(dir)
	if err != nil || have < 0 || have >= need {
		return nil // where it cannot be told, the write will tell
	}
	return &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "backup", Found: fmt.Sprintf("%d bytes free", have), Want: fmt.Sprintf("%d", need), Err: errDiskFull,
		Hint: "nothing was written to the phone; make room or choose another disk with --backup DIR"}
}

// writeJSON writes a description whole or not at all.
func writeJSON(name string, v any) error {
	return mtkport.WriteFile(name, 0o644, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	})
}

// finish writes the description, and beside it the layout as a scatter whose
// file names are those of the backup, so that the folder opens as a ROM.
func (s *saver) finish(k Backup) error {
	k.Schema, k.Items = 1, s.items
	if k.Layout != "" {
		text, err := s.scatter(k)
		if err != nil {
			return err
		}
		err = mtkport.WriteFile(filepath.Join(s.dir, scatterName(k.LayoutF)), 0o644, func(w io.Writer) error { _, err := w.Write(text); return err })
		if err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(s.dir, BackupFile), k)
}

func scatterName(name string) string {
	if name == "" || filepath.Base(name) != name || !strings.Contains(strings.ToLower(name), "scatter") {
		return "MT6572_Android_scatter.txt"
	}
	return name
}

// scatter is the layout with this folder's file names, and only firmware marked
// for download.
func (s *saver) scatter(k Backup) ([]byte, error) {
	l, err := scatter.Parse([]byte(k.Layout), scatterName(k.LayoutF))
	if err != nil {
		return nil, err
	}
	for _, it := range s.items {
		p := l.Find(it.Name)
		if !it.Partition || p == nil || !p.HasFileName {
			continue
		}
		if err := l.SetFile(it.Name, it.File); err != nil {
			return nil, err
		}
		if on := it.Class == identity.Firmware && !p.Guarded; p.Download != on {
			if err := l.SetDownload(it.Name, on); err != nil {
				return nil, err
			}
		}
	}
	return l.Bytes(), nil
}
