package splice

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

// system makes a tree of path → contents, labelled when a label is given.
func system(t *testing.T, label string, files map[string]string) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for p, text := range files {
		if dir := filepath.ToSlash(filepath.Dir(p)); dir != "." {
			if err := tr.MkdirAll(dir, tree.NewDir(0o755)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tr.Put(p, &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte(text))}); err != nil {
			t.Fatal(err)
		}
	}
	if label != "" {
		_ = tr.Walk(func(_ string, n *tree.Node) error {
			n.Xattrs = map[string][]byte{sysimg.SELinux: append([]byte(label), 0)}
			return nil
		})
	}
	return tr
}

// carry plans and writes a bundle, and returns the system it holds.
func carry(t *testing.T, donor, target *tree.Tree) (*tree.Tree, error) {
	t.Helper()
	rules, err := plan.Default()
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Make(context.Background(), plan.Side{System: donor}, plan.Side{System: target}, rules, plan.Drivers, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "b")
	dir, err := mtkport.CreateDir(name)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Abort()
	in := Input{Donor: &rom.ROM{Path: "d", System: donor}, Target: &rom.ROM{Path: "t", System: target}, Plan: p, Rules: rules}
	if _, err := Write(context.Background(), in, dir); err != nil {
		return nil, err
	}
	if err := dir.Commit(); err != nil {
		t.Fatal(err)
	}
	m, err := sysimg.OpenPath(filepath.Join(name, SystemName), sysimg.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m.Tree, nil
}

// TestLabels: a file without label gets that of its folder in a labelled system.
func TestLabels(t *testing.T) {
	got, err := carry(t, system(t, "u:object_r:system_file:s0", map[string]string{"lib/libc.so": "c", "lib/hw/lights.default.so": "d"}),
		system(t, "", map[string]string{"lib/hw/lights.default.so": "t", "etc/firmware/x": "t"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"lib/libc.so", "lib/hw/lights.default.so", "etc/firmware/x", "etc/firmware"} {
		n, err := got.Lookup(p)
		if err != nil || sysimg.Label(n) != "u:object_r:system_file:s0" {
			t.Errorf("%s: %v, label %q", p, err, sysimg.Label(n))
		}
	}
}

// TestHardLinks stay links, and empty folders of the base stay.
func TestHardLinks(t *testing.T) {
	donor := system(t, "", map[string]string{"bin/toolbox": "x", "lib/libc.so": "c"})
	n, err := donor.Lookup("bin/toolbox")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(donor.Put("bin/ls", n), donor.MkdirAll("etc/init.d", tree.NewDir(0o750))); err != nil {
		t.Fatal(err)
	}
	got, err := carry(t, donor, system(t, "", map[string]string{"lib/hw/x.so": "t"}))
	if err != nil {
		t.Fatal(err)
	}
	a, err1 := got.Lookup("bin/ls")
	b, err2 := got.Lookup("bin/toolbox")
	if err := errors.Join(err1, err2); err != nil || a != b {
		t.Errorf("two files (%v)", err)
	}
	if d, err := got.Lookup("etc/init.d"); err != nil || d.Mode != tree.Dir|0o750 {
		t.Errorf("empty folder: %v", err)
	}
}

// TestConflict: a file on one side and a folder on the other cannot both be taken.
func TestConflict(t *testing.T) {
	_, err := carry(t, system(t, "", map[string]string{"vendor/lib": "a file", "lib/libc.so": "c"}), system(t, "", map[string]string{"vendor/lib/libwvm.so": "t"}))
	if !errors.Is(err, mtkport.ErrRefused) || mtkport.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

// TestNoBase: a donor without system has nothing to start from.
func TestNoBase(t *testing.T) {
	if _, err := carry(t, nil, system(t, "", map[string]string{"lib/hw/x.so": "t"})); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("%v", err)
	}
}

// TestInterrupted: a cancelled write leaves nothing.
func TestInterrupted(t *testing.T) {
	rules, err := plan.Default()
	if err != nil {
		t.Fatal(err)
	}
	donor := system(t, "", map[string]string{"lib/libc.so": "c"})
	p, err := plan.Make(context.Background(), plan.Side{System: donor}, plan.Side{}, rules, plan.Drivers, nil)
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	dir, err := mtkport.CreateDir(filepath.Join(parent, "b"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Write(ctx, Input{Donor: &rom.ROM{System: donor}, Target: &rom.ROM{}, Plan: p, Rules: rules}, dir)
	dir.Abort()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
