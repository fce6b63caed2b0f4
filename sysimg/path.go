package sysimg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/sysimg/sparse"
)

// maxSplit bounds how many files a split image may have.
const maxSplit = 1024

// OpenPath opens what lies under a name: an image file, one file of a split
// sparse image (the others are found beside it: system.img_sparsechunk.0 …), a
// system.new.dat with its transfer list beside it, or a folder. Close it.
func OpenPath(name string, def Defaults) (*Image, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		m, err := OpenFolder(name, def)
		return m, mtkport.InFile(err, name)
	}
	if list, ok := transferList(name); ok {
		return openData(name, list)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	var m *Image
	size, err := f.Seek(0, io.SeekEnd) // also right for block devices
	if err == nil {
		m, err = openFile(f, size, name)
	}
	if err != nil {
		return nil, mtkport.InFile(errors.Join(err, f.Close()), name)
	}
	return m, nil
}

// closers closes several files.
type closers []io.Closer

// Close implements io.Closer.
func (c closers) Close() error {
	var err error
	for _, x := range c {
		err = errors.Join(err, x.Close())
	}
	return err
}

func openFile(f *os.File, size int64, name string) (*Image, error) {
	names := splitSet(name)
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err != nil || len(names) < 2 || !sparse.Is(head) {
		m, err := Open(f, size)
		if err != nil {
			return nil, err
		}
		m.closer = closers{f}
		return m, nil
	}
	return openSplit(f, names)
}

// splitSet lists the files of which name is one: the same name with the last
// number counted from 0 or 1 up.
func splitSet(name string) []string {
	dir, base := filepath.Split(name)
	if !strings.Contains(base, "chunk") && !strings.Contains(base, "split") {
		return nil
	}
	end := strings.LastIndexAny(base, "0123456789") + 1
	start := end
	for start > 0 && base[start-1] >= '0' && base[start-1] <= '9' {
		start--
	}
	if start == end {
		return nil
	}
	var out []string
	for i := range maxSplit {
		n := dir + base[:start] + fmt.Sprintf("%0*s", width(base[start:end]), strconv.Itoa(i)) + base[end:]
		if _, err := os.Stat(n); err != nil {
			if i == 0 {
				continue
			}
			break
		}
		out = append(out, n)
	}
	return out
}

// width is the length of a number that is padded with zeros, 0 of one that is not.
func width(s string) int {
	if len(s) > 1 && s[0] == '0' {
		return len(s)
	}
	return 0
}

func openSplit(first *os.File, names []string) (*Image, error) {
	open := closers{first}
	var parts []*sparse.Image
	for _, n := range names {
		f, err := os.Open(n)
		if err != nil {
			return nil, errors.Join(err, open[1:].Close())
		}
		open = append(open, f)
		st, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, open[1:].Close())
		}
		p, err := sparse.Open(f, st.Size())
		if err != nil {
			return nil, errors.Join(mtkport.InFile(err, n), open[1:].Close())
		}
		parts = append(parts, p)
	}
	s, err := sparse.Join(parts)
	var m *Image
	if err == nil {
		m, err = sparseImage(s)
	}
	if err != nil {
		return nil, errors.Join(err, open[1:].Close())
	}
	m.closer = open
	return m, nil
}

// transferList is the name of the list that belongs to a system.new.dat.
func transferList(name string) (string, bool) {
	stem, ok := strings.CutSuffix(name, ".new.dat")
	if !ok {
		return "", false
	}
	list := stem + ".transfer.list"
	st, err := os.Stat(list)
	return list, err == nil && st.Mode().IsRegular()
}

// maxList bounds a transfer list, bytes; real ones have some KiB.
const maxList = 16 << 20

func openData(name, list string) (*Image, error) {
	text, err := readBounded(list, maxList)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	var s *sparse.Image
	if err == nil {
		s, err = sparse.OpenData(f, st.Size(), text)
		err = mtkport.InFile(err, list)
	}
	var m *Image
	if err == nil {
		m, err = sparseImage(s)
	}
	if err != nil {
		return nil, mtkport.InFile(errors.Join(err, f.Close()), name)
	}
	m.closer = closers{f}
	return m, nil
}

func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &mtkport.Error{File: name, Off: mtkport.NoOffset, Found: fmt.Sprintf("more than %d bytes", limit), Err: mtkport.ErrDamaged}
	}
	return b, err
}
