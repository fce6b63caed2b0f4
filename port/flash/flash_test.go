package flash_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/port/flash/brom"
	"mtkport/port/flash/simphone"
	"mtkport/port/flash/usb"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

func TestFlash(t *testing.T) {
	t.Parallel()
	for _, storage := range []string{scatter.EMMC, scatter.NAND} {
		t.Run(storage, func(t *testing.T) {
			b := newBench(t, storage)
			fw := firmware(t, b, 2<<20+700)
			before, _ := b.phone.Flash.Clone()
			dir := t.TempDir()
			asked := 0
			o := opts(dir)
			o.Confirm = func(p *flash.Plan) error {
				asked++
				if len(b.phone.Writes()) > 0 {
					t.Error("something was written before the question")
				}
				return nil
			}
			res, err := flash.Write(t.Context(), b.config(), openSet(t, fw), o)
			if err != nil {
				t.Fatal(err)
			}
			b.innocent()
			if asked != 1 || res.Resumed || len(res.Proved) < 8 {
				t.Errorf("asked %d, %+v", asked, res)
			}
			for part, file := range map[string]string{"ANDROID": "system.img", "BOOTIMG": "boot.img", "RECOVERY": "recovery.img", "LOGO": "logo.bin", "CACHE": "cache.img"} {
				b.holds(part, filepath.Join(fw, file))
			}
			checkBackup(t, b, before, filepath.Join(res.Dir, "backup"), []string{"NVRAM", "PRO_INFO", "PROTECT_F", "PROTECT_S", "SECCFG", "UBOOT", "ANDROID", "BOOTIMG"})
			if len(res.Plan.Left) < 2 {
				t.Errorf("NVRAM and UBOOT, which the scatter marks, are not listed as left alone: %v", res.Plan.Left)
			}

			// The same command again is a new run, and the phone's own backup of the
			// first run brings the old firmware back.
			r, err := flash.Restore(t.Context(), b.config(), res.Dir, opts(dir))
			if err != nil {
				t.Fatal(err)
			}
			if where, same := before.Equal(b.phone.Flash); !same && storage == scatter.EMMC {
				t.Errorf("after the restore the phone differs at %s", where)
			}
			if r.Plan.Kind != "restore" {
				t.Error(r.Plan.Kind)
			}
		})
	}
}

// checkBackup compares saved files with the phone as it was.
func checkBackup(t *testing.T, b *bench, before *simphone.Flash, dir string, want []string) {
	t.Helper()
	k, _, err := flash.OpenBackup(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, it := range k.Items {
		names = append(names, it.Name)
		got, err := os.ReadFile(filepath.Join(dir, it.File))
		if err != nil {
			t.Fatal(err)
		}
		if it.Region == identity.NAND {
			continue // lies on the chip by pages; TestBackup reads it back through the agent
		}
		was := make([]byte, it.Len)
		if err := before.ReadAt(it.Region, was, it.Off); err != nil {
			t.Fatal(err)
		}
		if string(was) != string(got) {
			t.Errorf("backup of %s differs from the phone", it.Name)
		}
	}
	for _, w := range want {
		if !slices.Contains(names, w) {
			t.Errorf("%s is not in the backup (%v)", w, names)
		}
	}
}

func TestBackupAndBootloaderRestore(t *testing.T) {
	t.Parallel()
	b := newBench(t, scatter.EMMC)
	dir := filepath.Join(t.TempDir(), "save")
	k, err := flash.Save(t.Context(), b.config(), dir, flash.BackupOptions{}) // layout from the PMT
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Lacks) == 0 {
		t.Error("the backup does not say what it lacks")
	}
	before, _ := b.phone.Flash.Clone()
	// Loader and MBR die; the phone comes up in its boot ROM.
	dead := make([]byte, 64<<10)
	if err := b.phone.Flash.WriteAt(identity.EMMCBoot1, dead, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.phone.Flash.WriteAt(identity.EMMCUser, dead[:512], 0x20000); err != nil {
		t.Fatal(err)
	}
	b.phone.Profile.Mode = brom.ModeBROM
	if _, err := flash.Restore(t.Context(), b.config(), dir, opts(t.TempDir())); !errors.Is(err, mtkport.ErrRefused) {
		t.Fatalf("restore without tables on the phone: %v", err)
	}
	o := opts(t.TempDir())
	o.Bootloader = true
	if _, err := flash.Restore(t.Context(), b.config(), dir, o); err != nil {
		t.Fatal(err)
	}
	if where, same := before.Equal(b.phone.Flash); !same {
		t.Fatalf("not as before at %s", where)
	}
	w := b.phone.Writes()
	if last := w[len(w)-1]; last.Region != identity.EMMCBoot1 || last.Off != 0 || last.Len != 0x800 {
		t.Errorf("the head of the preloader was not written last: %v", last)
	}

	other := newBench(t, scatter.EMMC)
	other.phone.Profile.EMMCGeo.CID[1]++
	if _, err := flash.Restore(t.Context(), other.config(), dir, o); !errors.Is(err, mtkport.ErrRefused) || len(other.phone.Writes()) > 0 {
		t.Fatalf("restore to another phone: %v", err)
	}
}

// TestRefusals: each failure has its class and hint, and nothing is written.
func TestRefusals(t *testing.T) {
	t.Parallel()
	type setup struct {
		b   *bench
		cfg *flash.Config
		set *flash.Set
		o   *flash.Options
	}
	for _, tc := range []struct {
		name string
		want error
		prep func(t *testing.T, s *setup)
	}{
		{"wrong chip", mtkport.ErrRefused, func(_ *testing.T, s *setup) { s.b.phone.Profile.HWCode = 0x6582 }},
		{"secure phone", mtkport.ErrRefused, func(_ *testing.T, s *setup) { s.b.phone.Profile.Target = brom.LinkAuth }},
		{"no agent for the chip", mtkport.ErrUnsupported, func(_ *testing.T, s *setup) { s.b.phone.Profile.HWCode = 0x6571 }},
		{"no agent file", mtkport.ErrUnsupported, func(_ *testing.T, s *setup) { s.cfg.DA = nil }},
		{"NAND bundle on an eMMC phone", mtkport.ErrRefused, func(t *testing.T, s *setup) {
			n := newBench(t, scatter.NAND)
			s.set = openSet(t, firmware(t, n, 1<<20))
		}},
		{"another layout", mtkport.ErrRefused, func(t *testing.T, s *setup) {
			if err := s.set.Layout.SetSize("ANDROID", 4<<20); err != nil {
				t.Fatal(err)
			}
		}},
		{"another MBR", mtkport.ErrRefused, func(t *testing.T, s *setup) {
			if err := s.b.phone.Flash.WriteAt(identity.EMMCUser, make([]byte, 512), 0x20000); err != nil {
				t.Fatal(err)
			}
		}},
		{"image too large", mtkport.ErrTooBig, func(t *testing.T, s *setup) { s.set = openSet(t, firmware(t, s.b, 3<<20+1)) }},
		{"no", errStop, func(_ *testing.T, s *setup) { s.o.Confirm = func(*flash.Plan) error { return errStop } }},
		{"unplugged while asked", usb.ErrGone, func(_ *testing.T, s *setup) {
			var out atomic.Bool
			s.b.phone.Hook = func(simphone.Message) simphone.Action {
				if out.Load() {
					return simphone.Action{Act: simphone.Cut}
				}
				return simphone.Action{}
			}
			s.o.Confirm = func(*flash.Plan) error { out.Store(true); return nil }
		}},
		{"disk full", nil, func(_ *testing.T, s *setup) { s.o.Free = func(string) (int64, error) { return 1000, nil } }},
		{"canceled", context.Canceled, func(_ *testing.T, s *setup) {
			s.o.Confirm = func(*flash.Plan) error { return context.Canceled }
		}},
		{"unproven NAND", mtkport.ErrRefused, func(t *testing.T, s *setup) {
			*s.b = *newBench(t, scatter.NAND)
			*s.cfg = s.b.config()
			s.set = openSet(t, firmware(t, s.b, 1<<20))
			s.o.UnprovenNAND = false
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, scatter.EMMC)
			cfg, o := b.config(), opts(t.TempDir())
			s := &setup{b: b, cfg: &cfg, set: openSet(t, firmware(t, b, 1<<20)), o: &o}
			tc.prep(t, s)
			_, err := flash.Write(t.Context(), cfg, s.set, o)
			if err == nil || (tc.want != nil && !errors.Is(err, tc.want)) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if mtkport.HintOf(err) == "" && !errors.Is(err, errStop) && !errors.Is(err, context.Canceled) {
				t.Errorf("no hint: %v", err)
			}
			if w := s.b.phone.Writes(); len(w) > 0 {
				t.Errorf("written: %v", w)
			}
		})
	}
}

// TestFaultsOnTheWay: what a bad cable or flash does is cured or refused, never
// taken for success.
func TestFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fault string
		ok    bool
	}{
		{"nack@WRITE done:2", true},
		{"spoil@READ sum:40", true},
		{"spoil@READ data:30*", false}, // reads that lie: two reads differ, or the readback does
		{"cut@WRITE data:3", true},
		{"cut@READ data:5", true},
		{"short@READ data:9", true},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			b := newBench(t, scatter.EMMC)
			fw := firmware(t, b, 2<<20)
			var err error
			if b.phone.Hook, err = simphone.ParseFaults(tc.fault); err != nil {
				t.Fatal(err)
			}
			cfg := b.config()
			cfg.DATimes.Flash, cfg.DATimes.Answer = fastDA.Flash/10, fastDA.Answer/10
			o := opts(t.TempDir())
			o.Reconnect = 2
			_, err = flash.Write(t.Context(), cfg, openSet(t, fw), o)
			b.serve.Wait()
			b.phone.Hook = nil
			if (err == nil) != tc.ok {
				t.Fatal(err)
			}
			if tc.ok {
				b.holds("ANDROID", filepath.Join(fw, "system.img"))
				b.holds("BOOTIMG", filepath.Join(fw, "boot.img"))
			}
			b.innocent()
		})
	}
}

func TestRunAndVerify(t *testing.T) {
	t.Parallel()
	b := newBench(t, scatter.EMMC)
	b.phone.Profile.Mode = brom.ModeBROM
	if _, err := flash.Run(t.Context(), b.config(), noise(3, 5000), 0x81E00000); err != nil {
		t.Fatal(err)
	}
	if r := b.phone.Runs(); len(r) != 1 || r[0].Addr != 0x81E00000 || r[0].Len != 5000 || r[0].Sum != brom.Sum16(noise(3, 5000)) {
		t.Fatalf("%+v", r)
	}
	fw := firmware(t, b, 1<<20)
	diff, err := flash.Verify(t.Context(), b.config(), openSet(t, fw))
	if err != nil || len(diff) != 5 || diff[0].Same {
		t.Fatal(diff, err)
	}
	if _, err := flash.Write(t.Context(), b.config(), openSet(t, fw), opts(t.TempDir())); err != nil {
		t.Fatal(err)
	}
	diff, err = flash.Verify(t.Context(), b.config(), openSet(t, fw))
	for _, d := range diff {
		if !d.Same {
			t.Errorf("%+v", d)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(b.phone.Writes()) == 0 {
		t.Fatal("no writes on record")
	}
}
