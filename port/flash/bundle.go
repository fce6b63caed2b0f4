package flash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/sysimg/sparse"
)

// Image is what one partition is to hold.
type Image struct {
	Partition string      // any spelling of its name
	File      string      // for messages
	R         io.ReaderAt // the bytes as they go to the flash: sparse images expanded
	Size      int64
	Want      string // SHA-256 of the file as a manifest names it, "" when none does
	raw       io.ReaderAt
	rawSize   int64
}

// Set is a bundle, or a folder of firmware: images and the layout they are for.
type Set struct {
	Name     string
	Layout   *scatter.Layout
	Images   []Image
	Left     []Left // what the scatter names and is left alone
	closers  []io.Closer
	rawBytes int64
}

// Left is an image that will not be written, and why.
type Left struct {
	Partition string `json:"partition"`
	File      string `json:"file,omitempty"`
	Why       string `json:"why"`
}

// Close closes the files.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// SetOptions chooses among the images of a folder.
type SetOptions struct {
	Only     []string // partitions to take; all when empty
	UserData bool     // also images for the owner's data
	Scatter  string   // the scatter file, when it is not in the folder
}

// OpenFolder opens a folder with a scatter file and the images that it names.
// Images for guarded partitions are never taken, whatever the scatter says; nor
// is the owner's data unless asked for. An image that is marked for download and
// missing is an error. A manifest or checksum file is held against the images
// later, when they are read anyway.
func OpenFolder(dir string, o SetOptions) (*Set, error) {
	l, err := findScatter(dir, o.Scatter)
	if err != nil {
		return nil, err
	}
	s := &Set{Name: dir, Layout: l}
	sums, err := readSums(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range l.Partitions {
		if err := s.take(dir, p, o, sums); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if len(s.Images) == 0 {
		return nil, errors.Join(&mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "images", Found: "none to write", Want: "images beside the scatter that it names", Err: mtkport.ErrFormat,
			Hint: "SP Flash Tool: S_FTHND_FILE_IS_NOT_LOADED_YET (5007). See what the scatter names with 'mtkport scatter show'"}, s.Close())
	}
	return s, nil
}

func findScatter(dir, name string) (*scatter.Layout, error) {
	if name == "" {
		found, err := filepath.Glob(filepath.Join(dir, "*[sS]catter*.txt"))
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, &mtkport.Error{File: dir, Off: mtkport.NoOffset, Field: "scatter file", Found: fmt.Sprint(len(found)), Want: "one in the folder", Err: mtkport.ErrFormat, Hint: "give --scatter FILE"}
		}
		name = found[0]
	}
	return ReadScatter(name)
}

// ReadScatter reads a scatter file of bounded size.
func ReadScatter(name string) (*scatter.Layout, error) {
	b, err := readBounded(name, scatter.MaxFile)
	if err != nil {
		return nil, err
	}
	return scatter.Parse(b, filepath.Base(name))
}

func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: "a larger file", Want: fmt.Sprintf("at most %d bytes", limit), Err: mtkport.ErrTooBig}
	}
	return b, err
}

// take decides on one partition of the scatter.
func (s *Set) take(dir string, p scatter.Partition, o SetOptions, sums map[string]string) error {
	if p.File == "" || !filepath.IsLocal(p.File) {
		return nil
	}
	why := ""
	asked := len(o.Only) == 0
	for _, name := range o.Only {
		if c, _ := identity.Classify(name); c == p.Canonical || strings.EqualFold(name, p.Name) {
			asked = true
		}
	}
	switch {
	case p.Guarded || (p.Class != identity.Firmware && p.Class != identity.Modem && p.Class != identity.User):
		why = whyNever(p.Class)
	case !asked:
		why = "not asked for"
	case p.Class == identity.User && !o.UserData:
		why = "the owner's data stays (--userdata writes it)"
	case !p.Download && len(o.Only) == 0:
		why = "the scatter does not mark it for download"
	}
	path := filepath.Join(dir, p.File)
	if why != "" {
		s.Left = append(s.Left, Left{p.Name, p.File, why})
		return nil
	}
	im, err := s.openImage(path, p.Name)
	if errors.Is(err, os.ErrNotExist) {
		return &mtkport.Error{File: path, Off: mtkport.NoOffset, Field: p.Name, Found: "no such image", Want: "the file that the scatter names", Err: mtkport.ErrDamaged,
			Hint: "SP Flash Tool: S_FTHND_FILE_IS_NOT_LOADED_YET (5007). Put the file there, or choose partitions with --only"}
	}
	if err != nil {
		return err
	}
	im.Want = sums[strings.ToLower(p.File)]
	s.Images = append(s.Images, im)
	return nil
}

// whyNever says why a guarded partition is left alone.
func whyNever(c identity.Class) string {
	switch c {
	case identity.Identity:
		return "makes the phone itself: never written"
	case identity.Bootloader:
		return "loader or table: never written by a flash"
	}
	return "guarded: belongs to this phone's own firmware"
}

// openImage opens an image; an Android sparse image is seen expanded.
func (s *Set) openImage(path, partition string) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	s.closers = append(s.closers, f)
	st, err := f.Stat()
	if err != nil {
		return Image{}, err
	}
	im := Image{Partition: partition, File: path, R: f, Size: st.Size(), raw: f, rawSize: st.Size()}
	s.rawBytes += st.Size()
	head := make([]byte, 4)
	if n, _ := f.ReadAt(head, 0); n == 4 && sparse.Is(head) {
		m, err := sparse.Open(f, st.Size())
		if err != nil {
			return Image{}, mtkport.InFile(err, path)
		}
		im.R, im.Size = m, m.Size()
	}
	if im.Size == 0 {
		return Image{}, &mtkport.Error{File: path, Off: mtkport.NoOffset, Field: partition, Found: "an empty image", Want: "at least a byte", Err: mtkport.ErrDamaged}
	}
	return im, nil
}

// readSums reads SHA256SUMS of a bundle: "HEX  NAME" lines. Names are taken in
// lower case. No file, no sums.
func readSums(dir string) (map[string]string, error) {
	b, err := readBounded(filepath.Join(dir, "SHA256SUMS"), 1<<20)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && len(sum) == 64 {
			m[strings.ToLower(strings.TrimLeft(name, " *"))] = strings.ToLower(sum)
		}
	}
	return m, nil
}

// check compares the image's file with the sum that the bundle names.
func (im Image) check(ctx context.Context) error {
	if im.Want == "" || im.raw == nil {
		return nil
	}
	got, err := hashOf(ctx, im.raw, im.rawSize, nil)
	if err != nil {
		return err
	}
	if got != im.Want {
		return &mtkport.Error{File: im.File, Off: mtkport.NoOffset, Field: "sha256", Found: got[:16] + "…", Want: im.Want[:16] + "…", Err: mtkport.ErrDamaged,
			Hint: "SP Flash Tool: S_CHKSUM_ERROR (1041). The image is not the one that the bundle was made with; make or fetch the bundle anew"}
	}
	return nil
}

// hashOf returns the SHA-256 of a reader in hex.
func hashOf(ctx context.Context, r io.ReaderAt, size int64, t mtkport.Task) (string, error) {
	h := sha256.New()
	buf := make([]byte, min(max(size, 1), 1<<20))
	for off := int64(0); off < size; off += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		b := buf[:min(int64(len(buf)), size-off)]
		if n, err := r.ReadAt(b, off); n < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		h.Write(b)
		if t != nil {
			t.Add(int64(len(b)))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// padded is an image grown to whole sectors or pages: zeros on eMMC, FF on NAND.
type padded struct {
	r    io.ReaderAt
	size int64
	fill byte
}

func (p padded) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	if off < p.size {
		k := min(int64(len(b)), p.size-off)
		got, err := p.r.ReadAt(b[:k], off)
		if int64(got) < k {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return got, err
		}
		n = got
	}
	for i := n; i < len(b); i++ {
		b[i] = p.fill
	}
	return len(b), nil
}

// sortImages puts big data first and what boots the phone last, so that a phone
// that was left half way still shows a loader.
func sortImages(in []Image) {
	rank := map[string]int{"system": 0, "custom": 1, "cache": 1, "userdata": 1, "recovery": 2, "logo": 2, "boot": 3}
	of := func(im Image) int {
		c, _ := identity.Classify(im.Partition)
		if r, ok := rank[c]; ok {
			return r
		}
		return 1
	}
	sort.SliceStable(in, func(i, j int) bool { return of(in[i]) < of(in[j]) })
}
