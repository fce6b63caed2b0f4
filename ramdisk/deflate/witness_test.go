package deflate

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/testdata/realfile"
)

func newWriter(t testing.TB, w io.Writer, f Flavour, level int) *Writer {
	t.Helper()
	z, err := NewWriter(w, f, level)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// writers are used again and again: a stream must not remember the one before.
var writers = map[[2]int]*Writer{}

// pack packs b, handed over in pieces of a size that fits nothing.
func pack(t testing.TB, f Flavour, level int, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := writers[[2]int{int(f), level}]
	if z == nil {
		z = newWriter(t, &out, f, level)
		writers[[2]int{int(f), level}] = z
	}
	z.Reset(&out)
	for n := 1; len(b) > 0; n = n*3 + 1 {
		n = min(n, len(b))
		if _, err := z.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(t testing.TB, b []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatalf("does not unpack: %v", err)
	}
	return out
}

func needs(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("needs %s", tool)
	}
}

func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// inputs are contents of many kinds; most sizes lie at the limits of window,
// lookahead and blocks.
func inputs(t testing.TB) map[string][]byte {
	r := rand.New(rand.NewPCG(3, 9))
	noise := make([]byte, 140_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := strings.Fields("on init export PATH /sbin:/vendor/bin:/system/sbin mount ext4 /emmc@android /system wait ro chown system system 0660 service adbd disabled socket")
	var text []byte
	for len(text) < 140_000 {
		text = append(append(text, words[r.IntN(len(words))]...), " \n"[r.IntN(9)/8])
	}
	// Bytes of few kinds, copies from near and far, runs: what compilers write.
	mixed := append([]byte(nil), noise[:300]...)
	for len(mixed) < 300_000 {
		switch r.IntN(5) {
		case 0:
			mixed = append(mixed, noise[r.IntN(1000)])
		case 1:
			mixed = append(mixed, bytes.Repeat([]byte{byte(r.IntN(3))}, r.IntN(600))...)
		default:
			at := len(mixed) - 1 - r.IntN(min(len(mixed)-1, 33_000))
			mixed = append(mixed, mixed[at:min(len(mixed), at+2+r.IntN(1<<r.IntN(9)))]...)
		}
	}
	in := map[string][]byte{"mixed": mixed, "zeros": make([]byte, 200_000), "noise then zeros": append(noise[:70_000:70_000], make([]byte, 70_000)...)}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 258, 259, 262, 16383, 16384, 32506, 32768, 65273, 65274, 65275, 65535, 65536, 65537, 65800, 98304} {
		in[fmt.Sprint("mixed ", n)] = mixed[300 : 300+n]
	}
	for _, n := range []int{4, 16383, 32767, 65800} {
		in[fmt.Sprint("noise ", n)], in[fmt.Sprint("text ", n)] = noise[:n], text[:n]
	}
	in["text"] = text
	// One long copy at the farthest distances, and just beyond.
	for _, d := range []int{32505, 32506, 32507, 32768} {
		in[fmt.Sprint("copy over ", d)] = append(append(append([]byte{7}, noise[:d]...), noise[:500]...), text[:40_000]...)
	}
	if dir := realfile.Folder(); dir != "" && !testing.Short() {
		in["pixi3 recovery"] = ramdisk(t, filepath.Join(dir, "boot", "pixi3-recovery-ramdisk"))
	}
	return in
}

// ramdisk reads what a gzip file with MediaTek's header holds.
func ramdisk(t testing.TB, name string) []byte {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return unpack(t, b[512+10:])
}

// folder writes the inputs as files.
func folder(t testing.TB, in map[string][]byte) string {
	dir := t.TempDir()
	for name, b := range in {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// zlibSums makes C's zlib, called by Python, pack each file of a folder, and
// prints size and hash of what comes out.
const zlibSums = `
import zlib, sys, os, hashlib
for name in os.listdir(sys.argv[1]):
    data = open(os.path.join(sys.argv[1], name), "rb").read()
    for mem in 8, 9:
        for level in range(1, 10):
            z = zlib.compressobj(level, zlib.DEFLATED, -15, mem)
            b = z.compress(data) + z.flush()
            print(name, mem, level, hashlib.sha256(b).hexdigest(), sep="|")
`

// TestZlib: the bytes are those of C's zlib.
func TestZlib(t *testing.T) {
	needs(t, "python3")
	in := inputs(t)
	want := map[string]string{}
	for line := range strings.Lines(string(run(t, "python3", "-c", zlibSums, folder(t, in)))) {
		at := strings.LastIndex(line, "|")
		want[line[:at]] = strings.TrimSpace(line[at+1:])
	}
	if len(want) != 18*len(in) {
		t.Fatalf("%d results from Python, want %d", len(want), 18*len(in))
	}
	for name, b := range in {
		for level := 1; level <= 9; level++ {
			for mem, f := range map[int]Flavour{8: Zlib, 9: ZlibMem9} {
				got := pack(t, f, level, b)
				sum := sha256.Sum256(got)
				if hex.EncodeToString(sum[:]) != want[fmt.Sprintf("%s|%d|%d", name, mem, level)] {
					t.Errorf("%s, %s level %d: other bytes than zlib's", name, f, level)
				}
				if level == 6 && !bytes.Equal(unpack(t, got), b) {
					t.Errorf("%s, %s: comes back as something else", name, f)
				}
			}
		}
	}
}

// TestGNU: the bytes are those of the program gzip.
func TestGNU(t *testing.T) {
	needs(t, "gzip")
	if !strings.Contains(string(run(t, "gzip", "--version")), "Free Software Foundation") {
		t.Skip("needs GNU gzip")
	}
	in := inputs(t)
	dir := folder(t, in)
	// One process a file: gzip does not clear its window in between.
	run(t, "sh", "-ec", `for f in "$1"/*; do for l in 1 2 3 4 5 6 7 8 9; do gzip -nc -$l "$f" >"$f.$l.gz"; done; done`, "sh", dir)
	for name, b := range in {
		for level := 1; level <= 9; level++ {
			want, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s.%d.gz", name, level)))
			if err != nil {
				t.Fatal(err)
			}
			got := pack(t, GNU, level, b)
			if !bytes.Equal(got, want[10:len(want)-8]) {
				t.Errorf("%s, level %d: other bytes than gzip's, %d for %d", name, level, len(got), len(want)-18)
			}
		}
	}
	for name, b := range in {
		if got := pack(t, GNUOld, 9, b); !bytes.Equal(unpack(t, got), b) {
			t.Errorf("%s, %s: comes back as something else", name, GNUOld)
		}
	}
}

// zlibFlushes packs a file in pieces of the sizes given, each flushed, at all
// levels, and prints the hashes of what comes out.
const zlibFlushes = `
import zlib, sys, hashlib
data = open(sys.argv[1], "rb").read()
for level in range(1, 10):
    at, out = 0, b""
    z = zlib.compressobj(level, zlib.DEFLATED, -15, 8)
    for n in map(int, sys.argv[2:]):
        out += z.compress(data[at:at+n]) + z.flush(zlib.Z_SYNC_FLUSH)
        at += n
    print(hashlib.sha256(out + z.compress(data[at:]) + z.flush()).hexdigest())
`

// TestFlush: what is flushed can be read at once, and is what zlib writes.
func TestFlush(t *testing.T) {
	needs(t, "python3")
	data := inputs(t)["mixed"][:180_000]
	name := filepath.Join(folder(t, map[string][]byte{"in": data}), "in")
	for _, sizes := range [][]int{{1, 1, 1, 1, 2, 3, 4, 5}, {100_000}, {65274, 1, 40_000}, {65300, 2, 2, 2, 70_000}, {32768, 32768, 3, 32768}} {
		args := []string{"-c", zlibFlushes, name}
		for _, n := range sizes {
			args = append(args, fmt.Sprint(n))
		}
		want := strings.Fields(string(run(t, "python3", args...)))
		for level := 1; level <= 9; level++ {
			sum := sha256.Sum256(flushed(t, level, data, sizes))
			if hex.EncodeToString(sum[:]) != want[level-1] {
				t.Errorf("level %d, flushed after %v: other bytes than zlib's", level, sizes)
			}
		}
	}
}

// flushed packs data, with a flush after pieces of the sizes given.
func flushed(t *testing.T, level int, data []byte, sizes []int) []byte {
	var out bytes.Buffer
	z := newWriter(t, &out, Zlib, level)
	at := 0
	for _, n := range sizes {
		_, _ = z.Write(data[at : at+n])
		if err := z.Flush(); err != nil {
			t.Fatal(err)
		}
		at += n
		if level != 6 {
			continue
		}
		if got, err := io.ReadAll(flate.NewReader(bytes.NewReader(out.Bytes()))); err != io.ErrUnexpectedEOF || !bytes.Equal(got, data[:at]) {
			t.Fatalf("flushed at %d: %d bytes can be read, %v", at, len(got), err)
		}
	}
	_, _ = z.Write(data[at:])
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
