package simphone

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"

	"mtkport/profiles/identity"
)

// Backing holds one region's bytes.
type Backing interface {
	io.ReaderAt
	io.WriterAt
}

// Flash is the storage of a phone: named regions. It is safe for use by several
// goroutines as far as its backings are.
type Flash struct {
	regions map[string]region
	close   []io.Closer
}

type region struct {
	Backing
	size int64
}

// chunk is the unit of memory that a write allocates.
const chunk = 64 << 10

// Memory is a sparse region in memory: what was never written reads as fill.
type Memory struct {
	mu    sync.Mutex
	empty []byte // a chunk that was never written
	m     map[int64][]byte
}

// NewMemory makes an empty one.
func NewMemory(fill byte) *Memory {
	return &Memory{empty: bytes.Repeat([]byte{fill}, chunk), m: map[int64][]byte{}}
}

// Clone copies it.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Memory{empty: m.empty, m: map[int64][]byte{}}
	for k, v := range m.m {
		c.m[k] = bytes.Clone(v)
	}
	return c
}

// ReadAt reads; there is no end.
func (m *Memory) ReadAt(b []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for n < len(b) {
		at := off + int64(n)
		in := int(at % chunk)
		part := b[n:min(len(b), n+chunk-in)]
		if c := m.m[at/chunk]; c != nil {
			copy(part, c[in:])
		} else {
			copy(part, m.empty)
		}
		n += len(part)
	}
	return n, nil
}

// WriteAt writes.
func (m *Memory) WriteAt(b []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for n < len(b) {
		at := off + int64(n)
		in := int(at % chunk)
		c := m.m[at/chunk]
		if c == nil {
			c = bytes.Clone(m.empty)
			m.m[at/chunk] = c
		}
		n += copy(c[in:], b[n:])
	}
	return n, nil
}

// NewFlash makes the storage of a profile in memory.
func NewFlash(p Profile) *Flash {
	f := &Flash{regions: map[string]region{}}
	for name, size := range p.regions() {
		fill := byte(0)
		if name == identity.NAND {
			fill = 0xFF
		}
		f.regions[name] = region{NewMemory(fill), size}
	}
	return f
}

// Clone copies a storage in memory. It fails for one on disk.
func (f *Flash) Clone() (*Flash, error) {
	c := &Flash{regions: map[string]region{}}
	for name, r := range f.regions {
		m, ok := r.Backing.(*Memory)
		if !ok {
			return nil, errors.New("only storage in memory can be cloned")
		}
		c.regions[name] = region{m.Clone(), r.size}
	}
	return c, nil
}

// fileNames are those of box dumps.
var fileNames = map[string]string{identity.EMMCBoot1: "boot1.bin", identity.EMMCBoot2: "boot2.bin", identity.EMMCRPMB: "rpmb.bin", identity.EMMCUser: "user.bin", identity.NAND: "nand.bin"}

// OpenFolder opens, or makes, the storage of a profile in a folder of sparse
// files. fresh says that the files were not there before.
func OpenFolder(dir string, p Profile) (f *Flash, fresh bool, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, err
	}
	f = &Flash{regions: map[string]region{}}
	for name, size := range p.regions() {
		file := fileNames[name]
		if file == "" {
			file = name + ".bin"
		}
		h, err := os.OpenFile(filepath.Join(dir, file), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, false, errors.Join(err, f.Close())
		}
		f.close = append(f.close, h)
		st, err := h.Stat()
		if err != nil {
			return nil, false, errors.Join(err, f.Close())
		}
		if st.Size() == 0 {
			fresh = true
			err = prepare(h, name, size)
		} else if st.Size() != size {
			err = fmt.Errorf("%s: %d bytes, the phone has %d: take another folder", h.Name(), st.Size(), size)
		}
		if err != nil {
			return nil, false, errors.Join(err, f.Close())
		}
		f.regions[name] = region{h, size}
	}
	return f, fresh, nil
}

// prepare sizes a new file; an erased NAND reads as FF.
func prepare(h *os.File, name string, size int64) error {
	if err := h.Truncate(size); err != nil || name != identity.NAND {
		return err
	}
	ff := bytes.Repeat([]byte{0xFF}, 1<<20)
	for at := int64(0); at < size; at += int64(len(ff)) {
		if _, err := h.WriteAt(ff[:min(int64(len(ff)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the files.
func (f *Flash) Close() error {
	var errs []error
	for _, c := range f.close {
		errs = append(errs, c.Close())
	}
	f.close = nil
	return errors.Join(errs...)
}

// Regions lists the names, sorted.
func (f *Flash) Regions() []string {
	var out []string
	for n := range f.regions {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Size returns the bytes of a region, 0 for one that is not there.
func (f *Flash) Size(name string) int64 { return f.regions[name].size }

// ReadAt reads a region as it lies on the chip: NAND with spare bytes.
func (f *Flash) ReadAt(name string, b []byte, off int64) error {
	r, ok := f.regions[name]
	if !ok || off < 0 || off+int64(len(b)) > r.size {
		return fmt.Errorf("%s 0x%x + 0x%x: outside of the storage", name, off, len(b))
	}
	_, err := r.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return err
}

// WriteAt writes a region as it lies on the chip. It is for building a phone;
// it is not recorded.
func (f *Flash) WriteAt(name string, b []byte, off int64) error {
	r, ok := f.regions[name]
	if !ok || off < 0 || off+int64(len(b)) > r.size {
		return fmt.Errorf("%s 0x%x + 0x%x: outside of the storage", name, off, len(b))
	}
	_, err := r.WriteAt(b, off)
	return err
}

// Equal compares two storages byte for byte and names the first difference.
func (f *Flash) Equal(g *Flash) (where string, same bool) {
	a, b := make([]byte, chunk), make([]byte, chunk)
	for _, name := range f.Regions() {
		if f.Size(name) != g.Size(name) {
			return name + " size", false
		}
		for at := int64(0); at < f.Size(name); at += chunk {
			n := min(chunk, f.Size(name)-at)
			if f.blank(name, at) && g.blank(name, at) {
				continue
			}
			if f.ReadAt(name, a[:n], at) != nil || g.ReadAt(name, b[:n], at) != nil {
				return name, false
			}
			if !bytes.Equal(a[:n], b[:n]) {
				i := 0
				for a[i] == b[i] {
					i++
				}
				return fmt.Sprintf("%s 0x%x", name, at+int64(i)), false
			}
		}
	}
	return "", true
}

// blank says whether a chunk in memory was never written.
func (f *Flash) blank(name string, at int64) bool {
	m, ok := f.regions[name].Backing.(*Memory)
	if !ok {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.m[at/chunk] == nil
}
