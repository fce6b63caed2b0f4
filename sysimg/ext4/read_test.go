package ext4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"

	oracle "github.com/masahiro331/go-ext4-filesystem/ext4"
)

// TestWriteOracle reads our images with somebody else's reader.
func TestWriteOracle(t *testing.T) {
	for _, l := range []Layout{Android(64<<20, "system"), AndroidJournal(64<<20, "data")} {
		name := filepath.Join(t.TempDir(), "a.img")
		tr := smallTree(4)
		write(t, name, tr, l)
		fsck(t, name)
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		other, err := oracle.NewFS(*io.NewSectionReader(f, 0, 64<<20), nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = tr.Walk(func(p string, x *tree.Node) error {
			if x.Type() != tree.Regular || x.Size() == 0 {
				return nil
			}
			b, err := fs.ReadFile(other, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			if !bytes.Equal(b, readAll(t, x)) {
				t.Errorf("%s: the other reader sees %d other bytes", p, len(b))
			}
			n++
			return nil
		})
		if err != nil || n < 50 {
			t.Errorf("%d files, %v", n, err)
		}
	}
}

// TestDebugfs asks debugfs for what it sees in our image.
func TestDebugfs(t *testing.T) {
	if _, err := exec.LookPath("debugfs"); err != nil {
		t.Skip("needs debugfs")
	}
	name := filepath.Join(t.TempDir(), "a.img")
	tr := smallTree(5)
	write(t, name, tr, Android(48<<20, "system"))
	ask := func(cmd string) string {
		out, err := exec.Command("debugfs", "-R", cmd, name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for cmd, want := range map[string]string{
		"ea_get etc/xattr security.selinux": "u:object_r:file",
		"stat etc/exact":                    "Type: symlink",
		"stat etc/chr":                      "Device major/minor number: 10:300",
		"stat etc/xattr":                    "Links: 2",
		"stat etc/holes":                    "Size: 5734500",
		"show_super_stats":                  "Filesystem volume name:   system",
	} {
		if got := ask(cmd); !strings.Contains(got, want) {
			t.Errorf("%s: %.400s, want %q", cmd, got, want)
		}
	}
	if got := ask("cat lib/f003"); got != string(readAll(t, mustLookup(t, tr, "lib/f003"))) {
		t.Error("debugfs reads other contents")
	}
}

func mustLookup(t *testing.T, tr *tree.Tree, p string) *tree.Node {
	t.Helper()
	n, err := tr.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestJournal leaves a block in the journal only, and a second one revoked; the
// reader sees the first and e2fsck's replay agrees.
func TestJournal(t *testing.T) {
	if _, err := exec.LookPath("debugfs"); err != nil {
		t.Skip("needs debugfs")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "a.img")
	tr := tree.New()
	r := rand.New(rand.NewPCG(2, 2))
	for _, p := range []string{"a", "b", "c"} {
		b := make([]byte, 4096)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if err := tr.Put(p, &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes(b)}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, name, tr, AndroidJournal(32<<20, "data"))
	img := openImage(t, name)
	block := func(p string) int64 {
		ps, err := mustLookup(t, img.Tree(), p).Data.(tree.Placed).Pieces(0, 4096)
		if err != nil || len(ps) != 1 {
			t.Fatal(ps, err)
		}
		return ps[0].At / 4096
	}
	magic := append([]byte{0xC0, 0x3B, 0x39, 0x98}, bytes.Repeat([]byte("new."), 1023)...) // must be escaped in the log
	if err := os.WriteFile(filepath.Join(dir, "new"), magic, 0o644); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("jo\njw -b %d %s/new\njw -b %d %s/new\njw -r %d\njc\n", block("a"), dir, block("b"), dir, block("b"))
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("debugfs", "-w", "-f", filepath.Join(dir, "script"), name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	img = openImage(t, name)
	if img.replayed == 0 {
		t.Fatalf("nothing was replayed: %+v", img.Problems())
	}
	if got := readAll(t, mustLookup(t, img.Tree(), "a")); !bytes.Equal(got, magic) {
		t.Error("a: the journal's block is not seen")
	}
	for _, p := range []string{"b", "c"} {
		if got := readAll(t, mustLookup(t, img.Tree(), p)); !bytes.Equal(got, readAll(t, mustLookup(t, tr, p))) {
			t.Errorf("%s: a block was replayed that should not be", p)
		}
	}
	before := img.Tree()
	want := map[string][]byte{}
	for _, p := range []string{"a", "b", "c"} {
		want[p] = readAll(t, mustLookup(t, before, p))
	}
	if out, err := exec.Command("e2fsck", "-fy", name).CombinedOutput(); err != nil && !strings.Contains(string(out), "recovering journal") {
		t.Fatalf("%v\n%s", err, out)
	}
	after := openImage(t, name)
	for p, b := range want {
		if got := readAll(t, mustLookup(t, after.Tree(), p)); !bytes.Equal(got, b) {
			t.Errorf("%s: e2fsck's replay gives other contents", p)
		}
	}
}

// TestInodeFields decodes random bytes both ways.
func TestInodeFields(t *testing.T) {
	var want, got rawInode
	b := make([]byte, inodeFields)
	for i := range b {
		b[i] = byte(i*7 + 1)
	}
	n, err := binary.Decode(b, binary.LittleEndian, &want)
	if err != nil || n != inodeFields {
		t.Fatal(n, err)
	}
	if got.decode(b); got != want {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
}

// TestInlineLength refuses a length with the sign bit set before it cuts data by
// it.
func TestInlineLength(t *testing.T) {
	for _, high := range []uint32{1 << 31, 1<<32 - 1, 1 << 20} {
		in := &inode{ino: 12}
		in.Flags, in.SizeLo, in.SizeHi = flagInlineData, 5, high
		if c, err := (&FS{}).content(in, nil); !errors.Is(err, mtkport.ErrDamaged) || c != nil {
			t.Errorf("high half 0x%x: %v, %v; want damage", high, c, err)
		}
	}
}
