package flash_test

import (
	"os"
	"path/filepath"
	"testing"

	"mtkport/port/flash"
)

// FuzzJournal: whatever lies on disk, a journal opens or says why not; opened
// and added to, it reads back as it was with one line more.
func FuzzJournal(f *testing.F) {
	name := filepath.Join(f.TempDir(), "journal")
	j, err := flash.OpenJournal(name)
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if err := j.Add(flash.Entry{Kind: flash.Intent, Item: i, Off: 1 << 20, Len: 1 << 20, SHA: "ab"}); err != nil {
			f.Fatal(err)
		}
	}
	j.Close()
	b, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-5])
	f.Add(append(b[:len(b):len(b)], "torn"...))
	f.Add(b[10:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := flash.OpenJournal(name)
		if err != nil {
			return
		}
		n := len(j.Entries())
		if err := j.Add(flash.Entry{Kind: flash.Done}); err != nil {
			t.Fatal(err)
		}
		j.Close()
		got, err := flash.ReadJournal(name)
		if err != nil || len(got) != n+1 || got[n].Kind != flash.Done {
			t.Fatalf("%d entries after %d, %v", len(got), n, err)
		}
	})
}

// TestJournalTornAnywhere: a journal cut at any byte opens with the whole lines
// that are left; one with a line changed in the middle does not open.
func TestJournalTornAnywhere(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	j, err := flash.OpenJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := j.Add(flash.Entry{Kind: flash.Verified, Item: i}); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(b) {
		lines := 0
		for _, c := range b[:cut] {
			if c == '\n' {
				lines++
			}
		}
		if err := os.WriteFile(name, b[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := flash.OpenJournal(name)
		if err != nil || len(j.Entries()) != lines {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		j.Close()
	}
	b[20] ^= 1
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := flash.OpenJournal(name); err == nil {
		t.Fatal("a changed line went unnoticed")
	}
}

// FuzzParseRange: no text makes it panic, and what it takes is a range.
func FuzzParseRange(f *testing.F) {
	f.Add("USER:0x1e0000+512")
	f.Add("NAND:+")
	f.Fuzz(func(t *testing.T, s string) {
		if _, off, n, ok := flash.ParseRange(s); ok && (off < 0 || n <= 0) {
			t.Fatal(off, n)
		}
	})
}
