// Package treetest helps the tests of the rooms that read and write trees: a
// tree with every kind of entry, a comparison that misses nothing, and the same
// tree planted in a folder for foreign tools.
package treetest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mtkport/sysimg/tree"
)

// Memory is a file in memory, for writers that write at offsets.
type Memory struct{ B []byte }

// WriteAt implements io.WriterAt.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(m.B) {
		m.B = append(m.B, make([]byte, end-len(m.B))...)
	}
	return copy(m.B[off:], p), nil
}

// holed is a content with a hole before and behind its data.
type holed struct {
	data      []byte
	off, size int64
}

func (h *holed) Size() int64        { return h.size }
func (h *holed) Data() []tree.Range { return []tree.Range{{Off: h.off, Len: int64(len(h.data))}} }

func (h *holed) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, h.size-off)))
	clear(p[:n])
	if from := h.off - off; from < int64(n) {
		src := h.data
		if from < 0 {
			src, from = src[min(-from, int64(len(src))):], 0
		}
		copy(p[from:n], src)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Text makes n bytes that pack like program code: words from a small set.
func Text(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	words := make([][]byte, 300)
	for i := range words {
		words[i] = make([]byte, 1+rng.IntN(9))
		for j := range words[i] {
			words[i][j] = byte(rng.Uint32())
		}
	}
	var b bytes.Buffer
	for b.Len() < n {
		b.Write(words[rng.IntN(len(words))])
	}
	return b.Bytes()[:n]
}

// Sample holds every kind of entry, and files many more.
func Sample(t testing.TB, files int) *tree.Tree {
	t.Helper()
	when := time.Unix(1400000000, 0).UTC()
	tr := tree.New()
	tr.Root.MTime = when
	put := func(path string, n *tree.Node) *tree.Node {
		t.Helper()
		n.MTime = when
		if err := tr.Put(path, n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	reg := func(b []byte) *tree.Node { return &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes(b)} }
	for _, d := range []string{"bin", "lib", "lib/hw", "etc", "empty"} {
		put(d, &tree.Node{Mode: tree.Dir | 0o755, GID: 2000})
	}
	sh := put("bin/sh", reg(Text(70001, 1)))
	sh.Mode, sh.GID = tree.Regular|0o6755, 2000
	sh.Xattrs = map[string][]byte{
		"security.selinux":    []byte("u:object_r:shell_exec:s0\x00"),
		"security.capability": {1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"user.empty":          {},
		"user.long":           bytes.Repeat([]byte("v"), 3000),
	}
	tr.Root.Child("etc").Xattrs = map[string][]byte{"security.selinux": []byte("u:object_r:system_file:s0\x00")}
	if err := tr.Put("lib/hw/hard", sh); err != nil {
		t.Fatal(err)
	}
	put("bin/link", &tree.Node{Mode: tree.Symlink | 0o777, Target: "sh"})
	put("etc/far", &tree.Node{Mode: tree.Symlink | 0o777, Target: "/" + strings.Repeat("far/", 200)})
	put("etc/tty", &tree.Node{Mode: tree.CharDev | 0o620, Major: 4, Minor: 300})
	put("etc/blk", &tree.Node{Mode: tree.BlockDev | 0o600, Major: 259, Minor: 70000})
	put("etc/fifo", &tree.Node{Mode: tree.FIFO | 0o600, UID: 1000})
	put("etc/zero", reg(nil))
	put("etc/"+strings.Repeat("n", 255), reg([]byte("x")))
	put("etc/ünïcödé", reg(Text(4096, 2)))
	put("etc/noise", reg(Noise(9000, 3)))
	put("etc/nothing", reg(make([]byte, 8192)))
	put("etc/holes", &tree.Node{Mode: tree.Regular | 0o600, Data: &holed{Text(5000, 4), 300000, 1 << 20}})
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range files {
		put(fmt.Sprintf("lib/lib%04d.so", i), reg(Text(rng.IntN(30000), uint64(i))))
	}
	return tr
}

// Plain drops the extended attributes, which not every mkfs.ubifs is built to keep.
func Plain(tr *tree.Tree) *tree.Tree {
	_ = tr.Walk(func(_ string, n *tree.Node) error { n.Xattrs = nil; return nil })
	return tr
}

// Noise makes n bytes that do not pack.
func Noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// Contents reads a file whole.
func Contents(t testing.TB, path string, n *tree.Node) []byte {
	t.Helper()
	if n.Data == nil {
		return nil
	}
	b, err := io.ReadAll(io.NewSectionReader(n.Data, 0, n.Data.Size()))
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return b
}

// Same wants both trees to be equal in all that they say.
func Same(t testing.TB, got, want *tree.Tree) {
	t.Helper()
	a, b := Flatten(got), Flatten(want)
	for p, w := range b {
		g := a[p]
		if g == nil {
			t.Errorf("%s is missing", p)
			continue
		}
		if g.Mode != w.Mode || g.UID != w.UID || g.GID != w.GID || !g.MTime.Equal(w.MTime) || g.Target != w.Target ||
			g.Major != w.Major || g.Minor != w.Minor || g.Size() != w.Size() {
			t.Errorf("%s: %o %d:%d %v %q %d,%d %d bytes; want %o %d:%d %v %q %d,%d %d bytes", p,
				g.Mode, g.UID, g.GID, g.MTime, g.Target, g.Major, g.Minor, g.Size(),
				w.Mode, w.UID, w.GID, w.MTime, w.Target, w.Major, w.Minor, w.Size())
		}
		if !maps.EqualFunc(g.Xattrs, w.Xattrs, bytes.Equal) {
			t.Errorf("%s: attributes %q, want %q, or other values", p, slices.Sorted(maps.Keys(g.Xattrs)), slices.Sorted(maps.Keys(w.Xattrs)))
		}
		if !bytes.Equal(Contents(t, p, g), Contents(t, p, w)) {
			t.Errorf("%s: other contents", p)
		}
	}
	for p := range a {
		if b[p] == nil {
			t.Errorf("%s was not there before", p)
		}
	}
	if g, w := linkSets(got), linkSets(want); !slices.Equal(g, w) {
		t.Errorf("links %v, want %v", g, w)
	}
}

// Flatten lists the nodes by path.
func Flatten(t *tree.Tree) map[string]*tree.Node {
	all := map[string]*tree.Node{}
	_ = t.Walk(func(p string, n *tree.Node) error { all[p] = n; return nil })
	return all
}

func linkSets(t *tree.Tree) []string {
	var out []string
	for _, paths := range t.Links() {
		out = append(out, strings.Join(paths, " "))
	}
	slices.Sort(out)
	return out
}
