package port

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/port/rom"
	"mtkport/port/splice"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
	"mtkport/testdata/realfile"
)

// donorZip makes the flashable zip of the donor: system/ and a script out of
// perm_info.
func donorZip(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "donor.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	w, err := z.Create("META-INF/com/google/android/updater-script")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, script(t, filepath.Join(dir, "perm_info")))
	root := filepath.Join(dir, "donor")
	err = filepath.WalkDir(filepath.Join(root, "system"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		w, err := z.Create(filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		src, err := os.Open(p)
		if err != nil {
			return err
		}
		defer src.Close()
		_, err = io.Copy(w, src)
		return err
	})
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

// script turns `symlink "a" "b"` and `set_perm 0 0 0644 "x"` into edify.
func script(t *testing.T, permInfo string) string {
	t.Helper()
	f, err := os.Open(permInfo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out strings.Builder
	out.WriteString("format(\"ext4\", \"EMMC\", \"/emmc@android\", \"0\", \"/system\");\nmount(\"ext4\", \"EMMC\", \"/emmc@android\", \"/system\");\npackage_extract_dir(\"system\", \"/system\");\n")
	line := ""
	for s := bufio.NewScanner(f); s.Scan(); {
		text := strings.TrimSpace(s.Text())
		if strings.HasSuffix(text, `\`) {
			line += strings.TrimSuffix(text, `\`) + " "
			continue
		}
		w := strings.Fields(line + strings.ReplaceAll(text, `""`, `" "`))
		line = ""
		if len(w) < 3 || strings.HasPrefix(w[0], "#") {
			continue
		}
		fmt.Fprintf(&out, "%s(%s);\n", w[0], strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(w[1:], " "), `""`, `" "`)), ", "))
	}
	return out.String()
}

func TestAllegro(t *testing.T) {
	dir := realfile.Allegro(t)
	job := Job{Donor: donorZip(t, dir), Target: filepath.Join(dir, "target")}
	out := filepath.Join(t.TempDir(), "bundle")
	r, err := Run(context.Background(), job, out)
	if err != nil {
		t.Fatal(err)
	}
	e2fsck(t, filepath.Join(out, splice.SystemName))
	img, err := sysimg.OpenPath(filepath.Join(out, splice.SystemName), sysimg.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkFiles(t, dir, img.Tree, r)
	checkOwners(t, job.Donor, img.Tree, r)
	for _, c := range []struct {
		path     string
		mode     uint32
		uid, gid uint32
	}{ // as perm_info says
		{"bin/netcfg", 0o2750, 0, 3003}, {"bin/ping", 0o2755, 0, 3004}, {"bin/run-as", 0o6750, 0, 2000}, {"etc/dbus.conf", 0o440, 1002, 1002},
		{"bin/app_process", 0o755, 0, 2000}, {"etc/dhcpcd/dhcpcd-run-hooks", 0o550, 1014, 2000}, {"lib/libc.so", 0o644, 0, 0},
	} {
		n, err := img.Tree.Lookup(c.path)
		if err != nil || n.Mode&0o7777 != c.mode || n.UID != c.uid || n.GID != c.gid {
			t.Errorf("%s: %v %+v, want %o %d:%d", c.path, err, n, c.mode, c.uid, c.gid)
		}
	}
}

func e2fsck(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath("e2fsck"); err != nil {
		t.Log("needs e2fsck")
		return
	}
	if b, err := exec.Command("e2fsck", "-fn", name).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, b)
	}
}

// checkFiles compares every file of the bundle with its source's own.
func checkFiles(t *testing.T, dir string, got *tree.Tree, r *Result) {
	t.Helper()
	count := map[string]int{}
	for _, f := range r.Manifest.Files {
		rel := strings.TrimPrefix(f.Path, "system/")
		n, err := got.Lookup(rel)
		if err != nil {
			t.Errorf("%s: %v", f.Path, err)
			continue
		}
		if n.Type() != tree.Regular || f.From == "merge" {
			continue
		}
		side := filepath.Join(dir, "donor", "system")
		if f.From == "target" {
			side = filepath.Join(dir, "target", "system")
		}
		want, err := os.ReadFile(filepath.Join(side, rel))
		if err != nil {
			t.Errorf("%s: %v", f.Path, err)
			continue
		}
		if same, err := sysimg.SameContent(tree.Bytes(want), n.Data); err != nil || !same {
			t.Errorf("%s from the %s: not its source (%v)", f.Path, f.From, err)
		}
		count[f.From]++
	}
	t.Logf("files identical to their source: %v of %d paths", count, len(r.Manifest.Files))
	if count["target"] < 100 || count["donor"] < 900 {
		t.Errorf("too few files: %v", count)
	}
}

// checkOwners compares owners, modes and link targets of what came from the donor
// with what its script says.
func checkOwners(t *testing.T, donorZip string, got *tree.Tree, r *Result) {
	t.Helper()
	d, err := rom.Open(context.Background(), donorZip)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n := 0
	for _, f := range r.Manifest.Files {
		if f.From != "donor" {
			continue
		}
		rel := strings.TrimPrefix(f.Path, "system/")
		want, err1 := d.System.Lookup(rel)
		have, err2 := got.Lookup(rel)
		if err := errors.Join(err1, err2); err != nil {
			t.Error(err)
			continue
		}
		if want.Mode != have.Mode || want.UID != have.UID || want.GID != have.GID || want.Target != have.Target {
			t.Errorf("%s: %o %d:%d %s, the script says %o %d:%d %s", rel, have.Mode, have.UID, have.GID, have.Target, want.Mode, want.UID, want.GID, want.Target)
		}
		n++
	}
	t.Logf("%d paths with the script's owners, modes and link targets", n)
}
