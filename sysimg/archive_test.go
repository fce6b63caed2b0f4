package sysimg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/sysimg/tree"
)

func TestZip(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	long := strings.Repeat("0123456789", 10000)
	for name, text := range map[string]string{"system/bin/tool": "tool", "system/build.prop": long, "../out": "out", "system/bin/../../../up": "up"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	n, err := m.Tree.Lookup("system/bin/tool")
	if err != nil || n.Mode != tree.Regular|0o755 || n.GID != 2000 {
		t.Errorf("%+v %v", n, err)
	}
	p, err := m.Tree.Lookup("system/build.prop")
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{50000, 3, 99990} { // forward, backward, the end
		got := make([]byte, 10)
		if err := tree.ReadFull(p.Data, got, off); err != nil || string(got) != long[off:off+10] {
			t.Errorf("at %d: %q %v", off, got, err)
		}
	}
	if len(m.Problems()) != 2 || len(m.Tree.Root.Names()) != 1 {
		t.Errorf("names that lead out: %v, at the top %v", m.Problems(), m.Tree.Root.Names())
	}
}

// TestTarPeer lets GNU tar read what we write, and reads what it writes.
func TestTarPeer(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("needs tar")
	}
	tr := sample(t)
	_ = tr.Remove("sock")
	name := filepath.Join(t.TempDir(), "a.tar")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(t.Context(), f, tr, Options{To: "tar"}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "-tvf", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"-rwsr-sr-x", "./etc -> /system/../../etc", "crw-------", "10,300", "link to ./bin/sh"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("tar -t lacks %q:\n%s", want, out)
		}
	}
	if out, err := exec.Command("tar", "--format=gnu", "-C", filepath.Dir(name), "-cf", name+"2", "a.tar").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m, err := OpenPath(name+"2", Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	n, err := m.Tree.Lookup("a.tar")
	if err != nil {
		t.Fatal(err)
	}
	inner, err := Open(n.Data, n.Size())
	if err != nil {
		t.Fatal(err)
	}
	same(t, tr, inner.Tree)
}

func TestTarRefused(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "../x", Typeflag: tar.TypeReg, Format: tar.FormatPAX},
		{Name: "ok", Typeflag: tar.TypeReg, Format: tar.FormatPAX},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "/etc/passwd", Format: tar.FormatPAX},
		{Name: "ok/below a file", Typeflag: tar.TypeReg, Format: tar.FormatPAX},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if names := m.Tree.Root.Names(); len(names) != 1 || names[0] != "ok" || len(m.Problems()) != 3 {
		t.Errorf("%v, %v", names, m.Problems())
	}
}
