package ramdisk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
	"pgregory.net/rapid"

	"mtkport"
)

// needs skips when a foreign program is not installed.
func needs(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skip("needs " + tool)
	}
}

func runTool(t testing.TB, in []byte, tool string, args ...string) []byte {
	t.Helper()
	needs(t, tool)
	cmd := exec.Command(tool, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes()
}

// sample is a new archive with one of everything.
func sample(t testing.TB, c Compression) *Archive {
	t.Helper()
	a := New(c)
	text := bytes.Repeat([]byte("on boot\n    write /proc/sys/kernel/panic 5\n"), 2000)
	noise := make([]byte, 60_000)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(noise)
	for _, err := range []error{
		a.Put("init", append([]byte("\x7fELF"), noise...)),
		a.Put("init.rc", text),
		a.Put("sbin/adbd", append(text[:5000:5000], noise[:7000]...)),
		a.Symlink("../init", "sbin/ueventd"),
		a.Mknod("dev/console", TypeChar, 5, 1),
		a.Mknod("dev/block/loop0", TypeBlock, 7, 0),
		a.Put("empty", nil),
		a.Mkdir("proc"),
		a.Chown("sbin/adbd", 0, 2000),
		a.Chmod("sbin", 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// testers are the foreign programs: they unpack what was written here, and pack
// what is read here.
var testers = map[Compression]struct {
	tool         string
	unpack, pack []string
}{
	Gzip:  {"gzip", []string{"-dc"}, []string{"-9nc"}},
	LZ4:   {"lz4", []string{"-dc"}, []string{"-l", "-9", "-c"}},
	LZMA:  {"xz", []string{"--format=lzma", "-dc"}, []string{"--format=lzma", "-c"}},
	XZ:    {"xz", []string{"-dc"}, []string{"-c", "--check=crc32", "--arm", "--lzma2"}},
	LZOP:  {"lzop", []string{"-dc"}, []string{"-9", "-c"}},
	Bzip2: {"bzip2", []string{"-dc"}, []string{"-c"}},
	Zstd:  {"zstd", []string{"-dc"}, []string{"-19", "-c"}},
}

// TestForeignUnpackers: what is written is unpacked by the format's own program.
func TestForeignUnpackers(t *testing.T) {
	for c, f := range testers {
		t.Run(string(c), func(t *testing.T) {
			a := sample(t, c)
			want, err := a.Cpio()
			if err != nil {
				t.Fatal(err)
			}
			b := packed(t, a)
			if got := runTool(t, b, f.tool, f.unpack...); !bytes.Equal(got, want) {
				t.Errorf("%s unpacks %d bytes, want the %d of the archive", f.tool, len(got), len(want))
			}
			if back := open(t, b); back.Changed() || back.Compression() != c || back.Tail().Size() != 0 {
				t.Errorf("read back as %s with a tail of %d bytes", back.Compression(), back.Tail().Size())
			}
		})
	}
}

// TestForeignPackers: streams of the formats' own programs are read, with
// nothing, zeros or junk behind them; what is behind is the tail.
func TestForeignPackers(t *testing.T) {
	cpio, err := sample(t, None).Cpio()
	if err != nil {
		t.Fatal(err)
	}
	for c, f := range testers {
		t.Run(string(c), func(t *testing.T) {
			stream := runTool(t, cpio, f.tool, f.pack...)
			for name, tail := range map[string]string{"nothing": "", "zeros": strings.Repeat("\x00", 1997), "zero": "\x00",
				"junk": "SEANDROIDENFORCE", "byte": "\xa5", "zeros and junk": "\x00\x00\x00Z"} {
				b := append(stream[:len(stream):len(stream)], tail...)
				a := open(t, b)
				if !bytes.Equal(a.cpio, cpio) {
					t.Fatalf("%s behind: another archive", name)
				}
				if a.Tail().Size() != int64(len(tail)) {
					t.Errorf("%s behind: tail of %d bytes, want %d", name, a.Tail().Size(), len(tail))
				}
				if !bytes.Equal(packed(t, a), b) {
					t.Errorf("%s behind: not the same bytes", name)
				}
				if name != "zeros and junk" { // packing takes its time
					continue
				}
				if err := a.Put("new", []byte("x")); err != nil {
					t.Fatal(err)
				}
				if out := packed(t, a); !strings.HasSuffix(string(out), tail) {
					t.Errorf("%s behind: lost in the edited ramdisk", name)
				}
			}
			for _, cut := range []int{len(stream) / 2, len(stream) - 1} {
				if c == LZ4 && cut == len(stream)/2 {
					continue // tested below: the frame has no end mark
				}
				_, err := Open(bytes.NewReader(stream[:cut]), int64(cut))
				if err == nil {
					t.Errorf("cut to %d of %d bytes: no error", cut, len(stream))
				} else if !errors.Is(err, mtkport.ErrDamaged) {
					t.Errorf("cut to %d: %v, want class damaged", cut, err)
				}
			}
		})
	}
}

// TestForeignStreamsToFolder: streams that cannot be made again come back from a
// folder all the same, unless a file changed.
func TestForeignStreamsToFolder(t *testing.T) {
	cpio, err := sample(t, None).Cpio()
	if err != nil {
		t.Fatal(err)
	}
	for c, f := range testers {
		t.Run(string(c), func(t *testing.T) {
			b := append(runTool(t, cpio, f.tool, f.pack...), "\x00\x00tail"...)
			got, _ := unpackPack(t, open(t, b), nil)
			if !bytes.Equal(packed(t, got), b) {
				t.Error("not the same bytes")
			}
			got, _ = unpackPack(t, open(t, b), func(dir string) {
				if err := os.WriteFile(dir+"/root/init.rc", []byte("other"), 0o644); err != nil {
					t.Fatal(err)
				}
			})
			again := open(t, packed(t, got))
			if s, err := again.ReadFile("init.rc"); err != nil || string(s) != "other" {
				t.Errorf("after an edit: %q, %v", s, err)
			}
			if again.Tail().Size() != 6 {
				t.Errorf("after an edit: tail of %d bytes, want 6", again.Tail().Size())
			}
		})
	}
}

// TestCpioLists: GNU cpio lists the same names, modes, owners and numbers.
func TestCpioLists(t *testing.T) {
	cpio, err := sample(t, None).Cpio()
	if err != nil {
		t.Fatal(err)
	}
	got := string(runTool(t, cpio, "cpio", "-tvn", "--quiet"))
	for _, want := range []string{
		"crw-------   1 0        0          5,   1 Jan  1  1970 dev/console",
		"brw-------   1 0        0          7,   0 Jan  1  1970 dev/block/loop0",
		"-rwxr-x---   1 0        2000        12000 Jan  1  1970 sbin/adbd",
		"lrwxrwxrwx   1 0        0               7 Jan  1  1970 sbin/ueventd -> ../init",
		"drwx------   1 0        0               0 Jan  1  1970 sbin",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("cpio does not list %q in\n%s", want, got)
		}
	}
}

// TestCpioArchives: archives that GNU cpio writes, in its forms, with hard links
// and device nodes left out (they need root), come back from a folder.
func TestCpioArchives(t *testing.T) {
	needs(t, "cpio")
	dir := t.TempDir()
	for name, text := range map[string]string{"init": "#!", "a/b/c": "deep", "a/odd": "odd length"} {
		if err := os.MkdirAll(dir+"/"+name[:max(0, strings.LastIndex(name, "/"))], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{os.Link(dir+"/init", dir+"/a/init2"), os.Symlink("../init", dir+"/a/link")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{"newc", "crc"} {
		t.Run(form, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", "find . | cpio -o --quiet -H "+form)
			cmd.Dir = dir
			b, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			a := open(t, b)
			for _, name := range []string{"init", "/a/init2", "./init"} {
				if s, err := a.ReadFile(name); err != nil || string(s) != "#!" {
					t.Errorf("%s: %q, %v", name, s, err)
				}
			}
			got, ch := unpackPack(t, a, nil)
			if !bytes.Equal(packed(t, got), b) || len(ch.Added)+len(ch.Dropped) > 0 {
				t.Errorf("not the same bytes from a folder, %v", ch)
			}
			if err := a.Put("a/init2", []byte("changed")); err != nil {
				t.Fatal(err)
			}
			out := packed(t, a)
			if s, err := open(t, out).ReadFile("init"); err != nil || string(s) != "changed" {
				t.Errorf("the other name of a hard link: %q, %v", s, err)
			}
			runTool(t, out, "cpio", "-t", "--quiet", "--only-verify-crc")
		})
	}
}

// TestIndependentReader: cavaliergopher/cpio reads what this codec writes.
func TestIndependentReader(t *testing.T) {
	a := sample(t, None)
	b, err := a.Cpio()
	if err != nil {
		t.Fatal(err)
	}
	r := cpio.NewReader(bytes.NewReader(b))
	for _, e := range a.Entries() {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		if h.Name != e.Name() || uint32(h.Mode) != e.Mode || h.Uid != int(e.UID) || h.Guid != int(e.GID) || uint32(h.Inode) != e.Ino {
			t.Errorf("%s: read as %+v", e.Name(), h)
		}
		if data, err := io.ReadAll(r); e.Type() == TypeFile && (err != nil || !bytes.Equal(data, e.data)) {
			t.Errorf("%s: %d bytes read, want %d (%v)", e.Name(), len(data), len(e.data), err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last entry: %v, want the end", err)
	}
}

// TestLZO1X: blocks of all kinds come back by another's decompressor.
func TestLZO1X(t *testing.T) {
	needs(t, "lzop")
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 40), 1, 8).Draw(t, "words")
		order := rapid.SliceOfN(rapid.IntRange(0, len(words)-1), 0, 3000).Draw(t, "order")
		src := []byte("070701")
		for _, i := range order {
			src = append(src, words[i]...)
		}
		var out bytes.Buffer
		if err := encodeLZOP(&out, src, settings{}); err != nil {
			t.Fatal(err)
		}
		s := &sink{max: 1 << 20}
		n, err := decodeLZOP(io.NewSectionReader(bytes.NewReader(out.Bytes()), 0, int64(out.Len())), s)
		if err != nil || n != int64(out.Len()) || !bytes.Equal(s.buf, src) {
			t.Fatalf("%d bytes come back as %d: %v", len(src), len(s.buf), err)
		}
	})
}

// TestLZO1XDistances reaches all kinds of matches, far ones among them, and the
// program lzop unpacks them.
func TestLZO1XDistances(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	src := []byte("070701")
	for len(src) < 700_000 {
		switch n := r.IntN(60_000); {
		case n < 20_000 && len(src) > 50_000:
			at := len(src) - 1 - r.IntN(50_000)
			src = append(src, src[at:min(len(src), at+4+r.IntN(600))]...)
		default:
			src = binary.LittleEndian.AppendUint64(src, r.Uint64())
		}
	}
	var out bytes.Buffer
	if err := encodeLZOP(&out, src, settings{}); err != nil {
		t.Fatal(err)
	}
	if got := runTool(t, out.Bytes(), "lzop", "-dc"); !bytes.Equal(got, src) {
		t.Error("lzop unpacks something else")
	}
	if out.Len() > len(src)*9/10 {
		t.Errorf("%d bytes packed to %d: matches are not found", len(src), out.Len())
	}
}
