package rom

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"

	"mtkport"
	"mtkport/sysimg/tree"
)

// The bounds of a package: the largest real ones have some 3,000 entries and
// under 1 GiB.
const (
	maxEntries  = 200_000
	maxUnpacked = 32 << 30 // bytes of all entries together
	maxInMemory = 16 << 20 // bytes of one entry that is kept unpacked in memory
)

// archive is a zip file read at random.
type archive struct {
	name  string
	src   io.ReaderAt
	files map[string]*zip.File
	names []string // sorted
	temp  []*os.File
	mu    sync.Mutex
}

func openZip(r io.ReaderAt, size int64, name string) (*archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		class := mtkport.ErrDamaged
		if errors.Is(err, zip.ErrFormat) {
			class = mtkport.ErrFormat
		}
		return nil, &mtkport.Error{File: name, Off: mtkport.NoOffset, Field: "zip", Found: err.Error(), Err: class}
	}
	a := &archive{name: name, src: r, files: map[string]*zip.File{}}
	if len(z.File) > maxEntries {
		return nil, a.fault("entries", fmt.Sprint(len(z.File)), fmt.Sprintf("at most %d", maxEntries))
	}
	total := uint64(0)
	for _, f := range z.File {
		clean := strings.TrimSuffix(strings.ReplaceAll(f.Name, `\`, "/"), "/")
		for strings.HasPrefix(clean, "./") {
			clean = clean[2:]
		}
		if clean == "." && strings.HasSuffix(f.Name, "/") {
			continue
		}
		if !fs.ValidPath(clean) || clean == "." || strings.Contains(clean, "\x00") {
			return nil, a.fault("entry", fmt.Sprintf("%q", f.Name), "a path inside the package")
		}
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		if a.files[clean] != nil {
			return nil, a.fault("entry "+clean, "it twice", "each name once")
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return nil, a.fault("size", "more than 32 GiB unpacked", "a ROM")
		}
		a.files[clean] = f
		a.names = append(a.names, clean)
	}
	sort.Strings(a.names)
	return a, nil
}

func (a *archive) fault(field, found, want string) error {
	return &mtkport.Error{File: a.name, Off: mtkport.NoOffset, Field: field, Found: found, Want: want, Err: mtkport.ErrDamaged}
}

func (a *archive) list() []string { return a.names }

// maxLink bounds the target of a symlink (PATH_MAX).
const maxLink = 4096

func (a *archive) link(name string) (string, bool) {
	f := a.files[name]
	if f == nil || f.Mode()&fs.ModeSymlink == 0 || f.UncompressedSize64 > maxLink {
		return "", false
	}
	b := make([]byte, f.UncompressedSize64)
	if _, err := (&zipContent{a: a, f: f}).ReadAt(b, 0); err != nil && err != io.EOF {
		return "", false
	}
	return string(b), true
}

// entry returns a file of the package.
func (a *archive) entry(name string) (tree.Content, bool) {
	f := a.files[path.Clean(strings.TrimPrefix(name, "/"))]
	if f == nil {
		return nil, false
	}
	return &zipContent{a: a, f: f}, true
}

// walk calls fn for every file below a folder of the package, sorted.
func (a *archive) walk(dir string, fn func(rel string, c tree.Content) error) error {
	dir = path.Clean(strings.Trim(dir, "/")) + "/"
	if dir == "./" {
		dir = ""
	}
	for _, n := range a.names {
		if rel, ok := strings.CutPrefix(n, dir); ok {
			if err := fn(rel, &zipContent{a: a, f: a.files[n]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// close drops the temporary files.
func (a *archive) close() error {
	var errs []error
	for _, f := range a.temp {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	a.temp = nil
	return errors.Join(errs...)
}

// zipContent is an entry as contents. A stored one is read where it lies; a
// deflated one is unpacked as a stream that starts over when the reader goes
// back, which is cheap for whoever reads a file from its start.
type zipContent struct {
	a *archive
	f *zip.File

	mu   sync.Mutex
	raw  io.ReaderAt   // of a stored entry
	r    io.ReadCloser // of a deflated entry, at pos
	pos  int64
	head [4]byte // what the stream began with, so that a look at a magic number costs no restart
	got  int

	passed   []byte // what a reader jumped over and another will ask for
	passedAt int64
}

// Size implements tree.Content.
func (c *zipContent) Size() int64 { return int64(c.f.UncompressedSize64) }

// ReadAt implements io.ReaderAt.
func (c *zipContent) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= c.Size() {
		return 0, io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.f.Method == zip.Store {
		return c.stored(p, off)
	}
	short := int64(len(p)) > c.Size()-off
	if short {
		p = p[:c.Size()-off]
	}
	n, err := c.deflated(p, off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

func (c *zipContent) stored(p []byte, off int64) (int, error) {
	if c.raw == nil {
		at, err := c.f.DataOffset()
		if err != nil {
			return 0, c.damage(err)
		}
		c.raw = io.NewSectionReader(c.a.src, at, c.Size())
	}
	return c.raw.ReadAt(p, off)
}

func (c *zipContent) deflated(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end <= int64(c.got) {
		return copy(p, c.head[off:end]), nil
	}
	if c.passed != nil && off >= c.passedAt && off+int64(len(p)) <= c.passedAt+int64(len(c.passed)) {
		n := copy(p, c.passed[off-c.passedAt:])
		if off+int64(n) == c.passedAt+int64(len(c.passed)) {
			c.passed = nil
		}
		return n, nil
	}
	if c.r == nil || off < c.pos {
		if err := c.restart(); err != nil {
			return 0, err
		}
	}
	if off > c.pos {
		if err := c.skip(off - c.pos); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(c.r, p)
	if c.pos == 0 {
		c.got = copy(c.head[:], p[:n])
	}
	c.pos += int64(n)
	if err != nil {
		return n, c.damage(err)
	}
	if c.pos == c.Size() { // one more read lets the unpacker check the sum
		var one [1]byte
		if _, err := c.r.Read(one[:]); err != io.EOF {
			return n, c.damage(fmt.Errorf("end of entry: %w", err))
		}
		err := c.r.Close()
		c.r = nil
		return n, err
	}
	return n, nil
}

// maxPassed is how much of what a reader jumps over is kept, in bytes: several
// workers that copy one file come a few units out of order.
const maxPassed = 8 << 20

// skip goes n bytes on.
func (c *zipContent) skip(n int64) error {
	var err error
	if n <= maxPassed && c.passed == nil {
		b := make([]byte, n)
		if _, err = io.ReadFull(c.r, b); err == nil {
			c.passed, c.passedAt = b, c.pos
		}
	} else {
		_, err = io.CopyN(io.Discard, c.r, n)
	}
	if err != nil {
		return c.damage(err)
	}
	c.pos += n
	return nil
}

func (c *zipContent) restart() error {
	if c.r != nil {
		_ = c.r.Close()
		c.r = nil
	}
	r, err := c.f.Open()
	if err != nil {
		return c.damage(err)
	}
	c.r, c.pos = r, 0
	return nil
}

func (c *zipContent) damage(err error) error {
	if c.r != nil {
		_ = c.r.Close()
		c.r = nil
	}
	return &mtkport.Error{File: c.a.name, Off: mtkport.NoOffset, Field: c.f.Name, Found: err.Error(), Want: "the entry whole", Err: mtkport.ErrDamaged}
}

// random returns an entry for readers that jump about, such as those of images:
// a stored one as it lies, a small one from memory, another from a temporary
// file that close removes.
func (a *archive) random(c tree.Content) (io.ReaderAt, error) {
	z, ok := c.(*zipContent)
	if !ok || z.f.Method == zip.Store {
		return c, nil
	}
	src := io.NewSectionReader(c, 0, c.Size())
	if c.Size() <= maxInMemory {
		b := make([]byte, c.Size())
		if _, err := io.ReadFull(src, b); err != nil {
			return nil, err
		}
		return bytes.NewReader(b), nil
	}
	f, err := os.CreateTemp("", "mtkport-*.img")
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.temp = append(a.temp, f)
	a.mu.Unlock()
	if _, err := io.Copy(f, src); err != nil {
		return nil, err
	}
	return f, nil
}
