package rom

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/testdata/realfile"
)

func zipOf(t *testing.T, method uint16, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
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
	return b.Bytes()
}

func TestZipNamesStayInside(t *testing.T) {
	for _, name := range []string{"../x", "/x", "a/../../x", "a//b", `..\x`, "a\x00b", ".", "./../a"} {
		b := zipOf(t, zip.Store, map[string]string{name: "x"})
		if _, err := openZip(bytes.NewReader(b), int64(len(b)), "p.zip"); !errors.Is(err, mtkport.ErrDamaged) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestZipContent reads entries in every order.
func TestZipContent(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 9000)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		b := zipOf(t, method, map[string]string{"a": text, "empty": ""})
		a, err := openZip(bytes.NewReader(b), int64(len(b)), "p.zip")
		if err != nil {
			t.Fatal(err)
		}
		c, ok := a.entry("a")
		if !ok || c.Size() != int64(len(text)) {
			t.Fatalf("entry: %v", ok)
		}
		for _, r := range [][2]int{{0, 4}, {4, 100}, {5000, 70000}, {100, 10}, {1000, 4000}, {100000, 44000}, {90000, 10000}, {143990, 10}, {0, 144000}, {3, 1}} {
			p := make([]byte, r[1])
			if n, err := c.ReadAt(p, int64(r[0])); err != nil && err != io.EOF || n != r[1] || string(p) != text[r[0]:r[0]+r[1]] {
				t.Errorf("method %d, %d bytes at %d: %d, %v", method, r[1], r[0], n, err)
			}
		}
		if n, err := c.ReadAt(make([]byte, 20), int64(len(text)-10)); n != 10 || err != io.EOF {
			t.Errorf("over the end: %d, %v", n, err)
		}
		e, _ := a.entry("empty")
		if n, err := e.ReadAt(make([]byte, 1), 0); n != 0 || err != io.EOF {
			t.Errorf("empty: %d, %v", n, err)
		}
	}
}

// TestZipDamage: a flipped bit inside a deflated entry is an error, not other bytes.
func TestZipDamage(t *testing.T) {
	text := strings.Repeat("the quick brown fox ", 5000)
	b := zipOf(t, zip.Deflate, map[string]string{"system/a": text})
	for i := 60; i < 200; i += 7 {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		a, err := openZip(bytes.NewReader(bad), int64(len(bad)), "p.zip")
		if err != nil {
			continue
		}
		c, ok := a.entry("system/a")
		if !ok {
			continue
		}
		p := make([]byte, c.Size())
		if _, err := c.ReadAt(p, 0); err == nil && string(p) != text {
			t.Errorf("byte %d flipped: other bytes, and no error", i)
		}
	}
	if _, err := openZip(bytes.NewReader(b[:len(b)/2]), int64(len(b)/2), "p.zip"); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("half a zip: %v", err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestFolderTree(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rom/system/build.prop", "ro.build.version.sdk=17\n")
	write(t, dir, "rom/system/bin/netcfg", "x")
	write(t, dir, "rom/system/lib/libc.so", "x")
	write(t, dir, "rom/.git/config", "x")
	if err := os.Symlink("libc.so", filepath.Join(dir, "rom/system/lib/libd.so")); err != nil {
		t.Skip("needs symlinks: ", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "rom/system/lib/out.so")); err != nil {
		t.Fatal(err)
	}
	r, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	want := ". 40755 0:0\nbin 40755 0:2000\nbin/netcfg 102750 0:3003\nbuild.prop 100644 0:0\nlib 40755 0:0\nlib/libc.so 100644 0:0\nlib/libd.so 120777 0:0 -> libc.so\nlib/out.so 120777 0:0 -> /etc/passwd\n"
	if got := listing(r.System); got != want {
		t.Errorf("\n%swant\n%s", got, want)
	}
	if r.SystemKind != "folder" || r.Props() == nil {
		t.Errorf("kind %s", r.SystemKind)
	}
}

// TestPackageWithoutPerms: owners come from Android's own table.
func TestPackageWithoutPerms(t *testing.T) {
	dir := t.TempDir()
	b := zipOf(t, zip.Deflate, map[string]string{"system/bin/ping": "x", "system/build.prop": "ro.build.version.sdk=17\n", scriptName: `package_extract_dir("system", "/system");`})
	name := filepath.Join(dir, "p.zip")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := r.System.Lookup("bin/ping")
	if err != nil || n.Mode != tree.Regular|0o2755 || n.GID != 3004 {
		t.Errorf("%v, %+v", err, n)
	}
	if len(r.Notes) != 1 || r.Notes[0].Code != "script-no-perms" || r.Form != "flashable zip" {
		t.Errorf("%s, %+v", r.Form, r.Notes)
	}
}

// TestPackedOnceMore: a whole package in a folder of its own, as people pack them,
// gives what the package gives, owners and links included.
func TestPackedOnceMore(t *testing.T) {
	script := `package_extract_dir("system", "/system"); symlink("toolbox", "/system/bin/ls"); set_perm(0, 2000, 0750, "/system/bin/ping"); package_extract_file("boot.img", "/dev/bootimg");`
	for _, c := range []struct{ form, folder string }{{"once more", "My ROM/"}, {"deeper", "a/b/"}, {"./", "./"}} {
		dir := t.TempDir()
		b := zipOf(t, zip.Deflate, map[string]string{c.folder + "system/bin/ping": "x", c.folder + "system/build.prop": "ro.build.version.sdk=17\n", c.folder + scriptName: script})
		name := filepath.Join(dir, "p.zip")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Open(context.Background(), name)
		if err != nil {
			t.Fatalf("%s: %v", c.form, err)
		}
		ping, err1 := r.System.Lookup("bin/ping")
		ls, err2 := r.System.Lookup("bin/ls")
		if err1 != nil || err2 != nil || ping.GID != 2000 || ping.Mode&0o7777 != 0o750 || ls.Target != "toolbox" || r.Form != "flashable zip" {
			t.Errorf("%s: %+v %+v, %v %v, %s", c.form, ping, ls, err1, err2, r.Form)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	b := zipOf(t, zip.Store, map[string]string{"one/" + scriptName: script, "two/" + scriptName: script, "one/system/bin/a": "x", "one/system/etc/a": "x"})
	name := filepath.Join(t.TempDir(), "p.zip")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(context.Background(), name)
	if err != nil || !slices.ContainsFunc(r.Notes, func(f mtkport.Finding) bool { return f.Code == "script-many" }) {
		t.Fatalf("%v %+v", err, r)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestHints: what is no ROM, with what to do.
func TestHints(t *testing.T) {
	for inside, want := range map[string]string{"rom.zip": "take rom.zip out", "system.new.dat": "Android 5", "x.txt": "give a firmware folder"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, inside), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(context.Background(), dir)
		var e *mtkport.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint, want) {
			t.Errorf("%s: %v", inside, err)
		}
	}
}

func TestNoROM(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "x.txt", "hello")
	for _, p := range []string{dir, filepath.Join(dir, "x.txt")} {
		if _, err := Open(context.Background(), p); !errors.Is(err, mtkport.ErrFormat) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := Open(context.Background(), filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestRealBoot opens the Lenovo A516's boot image as a ROM of its own.
func TestRealBoot(t *testing.T) {
	name := filepath.Join(realfile.Dir(t), "boot", "a516-boot.img")
	r, err := Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	k, err := r.Kernel()
	if err != nil || k.Version() != "3.4.5" {
		t.Errorf("kernel: %v", err)
	}
	a, err := r.Ramdisk()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := RamdiskTree(a).Lookup("init.rc"); err != nil {
		t.Error(err)
	}
	if r.Storage() != "EMMC" {
		t.Errorf("storage %q", r.Storage())
	}
}
