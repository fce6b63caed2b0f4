package flash

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"mtkport"
)

// Journal is the record of one flash: lines that are only ever appended. Each
// carries a CRC-32 of itself, its number, and the start of the hash of the line
// before, so that neither a torn line nor a lost one goes unnoticed. A torn last
// line, which a power cut leaves, is dropped at opening.
type Journal struct {
	f       *os.File
	entries []Entry
	last    string
}

// Kind names what a line records.
type Kind string

// The kinds of lines.
const (
	Begin    Kind = "begin"    // a run took the journal up
	Got      Kind = "got"      // a chunk of a backup file is on disk
	Backed   Kind = "backed"   // a backup file is whole
	AllSafe  Kind = "safe"     // the backup is complete; writing may begin
	Intent   Kind = "intent"   // the range is about to be written
	Verified Kind = "verified" // the range was read back and is right
	Proved   Kind = "proved"   // identity and loaders are as in the backup
	Done     Kind = "done"     // nothing is left to do
)

// Entry is one line.
type Entry struct {
	N     int    `json:"n"`
	Prev  string `json:"prev,omitempty"`
	Kind  Kind   `json:"kind"`
	Item  int    `json:"item,omitempty"` // index of the backup item or of the extent
	Off   int64  `json:"off,omitempty"`  // bytes from the start of the item
	Len   int64  `json:"len,omitempty"`
	SHA   string `json:"sha256,omitempty"`
	Plan  string `json:"plan,omitempty"`
	Extra string `json:"text,omitempty"`
}

// maxLine bounds a line; ours are below 400 bytes.
const maxLine = 4096

// OpenJournal opens or creates a journal and reads what it holds.
func OpenJournal(name string) (*Journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &Journal{f: f}
	good, err := j.load(f)
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		_, err = f.Seek(good, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(mtkport.InFile(err, name), f.Close())
	}
	return j, nil
}

// ReadJournal reads a journal without opening it for writing.
func ReadJournal(name string) ([]Entry, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var j Journal
	_, err = j.load(f)
	return j.entries, mtkport.InFile(err, name)
}

// load parses lines until the end or a torn last line, and returns the length
// of the good part.
func (j *Journal) load(r io.Reader) (good int64, err error) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if err == io.EOF {
			return good, nil // no newline: torn, or empty
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return good, err
		}
		e, perr := j.parse(line)
		if perr != nil || err != nil {
			if _, more := br.Peek(1); more == io.EOF && err == nil {
				return good, nil // torn within the last line's bytes
			}
			return good, &mtkport.Error{Off: good, Field: "journal line", Found: "a line that does not fit the one before", Want: "an unbroken chain", Err: mtkport.ErrDamaged,
				Hint: "the disk lost what was written: keep the backup beside it, move the journal's folder away and begin again"}
		}
		j.entries, j.last = append(j.entries, e), chain(line)
		good += int64(len(line))
	}
}

func (j *Journal) parse(line []byte) (Entry, error) {
	var e Entry
	sum, body, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return e, errors.New("sum")
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	if e.N != len(j.entries)+1 || e.Prev != j.last {
		return e, errors.New("chain")
	}
	return e, nil
}

// chain is the start of a line's hash.
func chain(line []byte) string {
	h := sha256.Sum256(line)
	return hex.EncodeToString(h[:8])
}

// Entries returns what the journal holds.
func (j *Journal) Entries() []Entry { return j.entries }

// Add appends a line and makes it durable before it returns.
func (j *Journal) Add(e Entry) error {
	e.N, e.Prev = len(j.entries)+1, j.last
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(body), body)
	if _, err := j.f.Write(line); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.entries, j.last = append(j.entries, e), chain(line)
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }
