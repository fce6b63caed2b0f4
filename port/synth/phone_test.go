package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/bootimg/kernel"
	"mtkport/profiles/scatter"
	"mtkport/sysimg/tree"
)

func firmware(t *testing.T, p Phone) string {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := p.Firmware(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFirmwareIsDeterministic(t *testing.T) {
	sum := func(dir string) map[string][32]byte {
		out := map[string][32]byte{}
		ents, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range ents {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = sha256.Sum256(b)
		}
		return out
	}
	a, b := sum(firmware(t, Panther())), sum(firmware(t, Panther()))
	if len(a) != 9 {
		t.Errorf("%d files", len(a))
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs between two builds", name)
		}
	}
}

func TestSystemIsSound(t *testing.T) {
	dir := firmware(t, Lynx())
	if _, err := exec.LookPath("e2fsck"); err != nil {
		t.Skip("needs e2fsck")
	}
	if b, err := exec.Command("e2fsck", "-fn", filepath.Join(dir, "system.img")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, b)
	}
}

// TestLinks: every need of every library and program is in the system, and every
// symbol it uses is defined somewhere among them.
func TestLinks(t *testing.T) {
	sys := Panther().System()
	defined := map[string]bool{}
	for _, l := range libs {
		for _, d := range bytes.Fields([]byte(l.defines)) {
			defined[string(d)] = true
		}
	}
	defined["pSensorDrive_getDefaultData"] = true
	for _, l := range libs {
		for _, n := range needs(l.needs) {
			if _, err := sys.Lookup("lib/" + n); err != nil {
				t.Errorf("%s needs %s: %v", l.path, n, err)
			}
		}
		for _, u := range bytes.Fields([]byte(l.uses)) {
			if !defined[string(u)] {
				t.Errorf("%s uses %s, which nothing defines", l.path, u)
			}
		}
	}
}

func TestCameraLibrary(t *testing.T) {
	n, err := Panther().System().Lookup("lib/libcameracustom.so")
	if err != nil {
		t.Fatal(err)
	}
	d, err := kernel.FindDrivers(n.Data, n.Size(), kernel.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Of(kernel.Camera); len(c) != 2 || c[0].Name != "ov5645_mipi_yuv" || c[0].ID != "0x5645" {
		t.Errorf("cameras %+v", c)
	}
}

func TestStorage(t *testing.T) {
	p := Panther()
	s, err := p.Storage()
	if err != nil {
		t.Fatal(err)
	}
	at, ok := scatter.FindMBR(s.User, UserSize)
	if !ok || at != MBRAt {
		t.Errorf("MBR at 0x%x (%v), want 0x%x", at, ok, MBRAt)
	}
	sc, err := p.Scatter()
	if err != nil {
		t.Fatal(err)
	}
	l, err := scatter.Parse(sc, ScatterName)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range scatter.Check(l) {
		if f.Severity == mtkport.Blocker {
			t.Errorf("scatter: %+v", f)
		}
	}
	g, err := l.Reconcile(scatter.Measured{Storage: scatter.EMMC, Boot1: Boot1Size, Boot2: Boot1Size, RPMB: RPMBSize, User: UserSize, MBRAt: at})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := l.Guard(g)
	if err != nil {
		t.Fatal(err)
	}
	for name, phys := range s.Name {
		want, err := g.ToPhysical(scatter.Linear(l.Find(name).Linear))
		if err != nil || want != phys {
			t.Errorf("%s at 0x%x, the layout says 0x%x (%v)", name, phys, want, err)
		}
	}
	nv := make([]byte, 64)
	if _, err := s.User.ReadAt(nv, int64(s.Name["NVRAM"])); err != nil || !bytes.HasPrefix(nv, []byte("SYNTHETIC IDENTITY NVRAM serial="+p.Serial)) {
		t.Errorf("nvram begins %q (%v)", nv, err)
	}
	if _, err := guard.Clear("EMMC_USER", int64(s.Name["NVRAM"]), 512, "test"); err == nil {
		t.Error("the guard lets a write to nvram through")
	}
	if _, err := guard.Clear("EMMC_USER", int64(s.Name["ANDROID"]), SystemSize, "test"); err != nil {
		t.Error(err)
	}
	rec := p.records()
	mbr, err := scatter.ParseRecord(rec[0], "MBR")
	if err != nil {
		t.Fatal(err)
	}
	ebr, err := scatter.ParseRecord(rec[1], "EBR1")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range scatter.CheckRecords(l, mbr, ebr) {
		if f.Severity == mtkport.Blocker {
			t.Errorf("records: %+v", f)
		}
	}
	b := make([]byte, 8192)
	if _, err := s.User.ReadAt(b, pmtAt); err != nil {
		t.Fatal(err)
	}
	pmt, err := scatter.ParsePMT(b, "PMT")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range scatter.CheckPMT(l, pmt, "PMT") {
		if f.Severity == mtkport.Blocker {
			t.Errorf("PMT: %+v", f)
		}
	}
}

func TestPhonesDiffer(t *testing.T) {
	a, b := Panther().System(), Lynx().System()
	same, differ := 0, 0
	_ = a.Walk(func(p string, n *tree.Node) error {
		if n.Type() != tree.Regular {
			return nil
		}
		if m, err := b.Lookup(p); err == nil {
			x, y := make([]byte, n.Size()), make([]byte, m.Size())
			_, _ = n.Data.ReadAt(x, 0)
			_, _ = m.Data.ReadAt(y, 0)
			if bytes.Equal(x, y) {
				same++
			} else {
				differ++
			}
		}
		return nil
	})
	if same < 15 || differ < 60 {
		t.Errorf("%d files the same, %d differ", same, differ)
	}
}
