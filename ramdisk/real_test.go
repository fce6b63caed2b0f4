package ramdisk

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/testdata/realfile"
)

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// realRamdisks returns every ramdisk of the real boot images and loose files,
// without MediaTek part header, by file name. The boot header is read by hand:
// this room knows no boot images.
func realRamdisks(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(realfile.Dir(t), "boot", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if isDir(name) {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch base := filepath.Base(name); {
		case len(b) > 608 && string(b[:8]) == "ANDROID!":
			if r := sectionOf(b); len(r) > 0 {
				out[base] = strip(r)
			}
		case strings.Contains(base, "ramdisk"):
			out[base] = strip(b)
		}
	}
	if len(out) < 9 {
		t.Fatalf("only %d real ramdisks found", len(out))
	}
	return out
}

func sectionOf(b []byte) []byte {
	le := binary.LittleEndian
	kernel, size, page := int(le.Uint32(b[8:])), int(le.Uint32(b[16:])), int(le.Uint32(b[36:]))
	off := page + (kernel+page-1)/page*page
	return b[off:min(off+size, len(b))]
}

func strip(b []byte) []byte {
	if string(b[:4]) == "\x88\x16\x88\x58" {
		return b[512:]
	}
	return b
}
