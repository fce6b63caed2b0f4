package inspect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mtkport"
	"mtkport/port/inspect"
	"mtkport/port/synth"
	"mtkport/testdata/realfile"
)

func look(t *testing.T, name string) *inspect.Report {
	t.Helper()
	r, err := inspect.Path(context.Background(), name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

func value(r *inspect.Report, name string) string {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func claim(r *inspect.Report, q string) inspect.Claim {
	for _, c := range r.Claims {
		if c.Question == q {
			return c
		}
	}
	return inspect.Claim{}
}

// TestReal names real files and one fact of each.
func TestReal(t *testing.T) {
	dir := realfile.Dir(t)
	for _, c := range []struct{ file, is, fact, value string }{
		{"boot/a516-boot.img", "android-boot", "kernel release", "3.4.5"},
		{"boot/a516-recovery.img", "android-boot", "ramdisk of", "recovery"},
		{"boot/a516-lk.bin", "lk", "lcm", "hx8369b_fwvga_dsi_vdo, otm8018b_dsi_vdo"},
		{"boot/a516-logo.bin", "logo", "screen", "480x854, by the first picture"},
		{"boot/a516-preloader.bin", "preloader", "board", "a516_row"},
		{"boot/mobiwire-s10-preloader_and_dsp", "preloader", "board", "up40_h405f_meo"},
		{"boot/mobiwire-s10-secro.img", "secro", "body", "encrypted"},
		{"boot/a516-libcameracustom.so", "camera-library", "camera", "ov5645_mipi_yuv, sp0a19yuv"},
		{"boot/a516-modules/ccci.ko", "module", "depends on", "ccci_plat"},
		{"boot/pixi3-recovery-ramdisk", "ramdisk", "ramdisk of", "recovery"},
		{"boot/walton-rx4-ramdisk.gz", "ramdisk", "ramdisk of", "boot"},
		{"a516-allegro/MBR", "partition-record", "entry 1", "type 0x05, start 0x400, 0xffffffff sectors"},
		{"a516-allegro/MT6572_Android_scatter.txt", "scatter", "project", "a516_row"},
		{"a516-allegro/dumchar_info", "dumchar-info", "MBR at", "linear 0x600000"},
		{"a516-allegro/donor-build.prop", "build-prop", "ro.product.model", "Collo DG100"},
		{"a516-allegro/fstab", "fstab", "", ""},
		{"layouts/bq-e10/recovery.fstab", "fstab", "", ""},
		{"layouts/gmd-mt6589/mounts", "fstab", "", ""},
		{"layouts/orangepi3g-nand/recovery_yaffs2.fstab", "fstab", "", ""},
		{"a516-allegro/vold.fstab", "fstab", "", ""},
		{"s960-kk-forms/ueventd.rc", "ueventd-rc", "", ""},
		{"s960-kk-forms/init.usb.rc", "init-rc", "", ""},
		{"s960-kk-forms/file_contexts", "file-contexts", "", ""},
		{"s960-kk-forms/updater-script", "updater-script", "", ""},
		{"advan-mt6572-blobs/partition_permission.sh", "shell-script", "", ""},
	} {
		r := look(t, filepath.Join(dir, c.file))
		if r.Is != c.is || value(r, c.fact) != c.value {
			t.Errorf("%s: is %s, %s = %q; want %s, %q", c.file, r.Is, c.fact, value(r, c.fact), c.is, c.value)
		}
	}
}

// TestHonest: a synthetic phone's firmware folder claims what it is.
func TestHonest(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := synth.Panther().Firmware(context.Background(), root); err != nil {
		t.Fatal(err)
	}
	r := look(t, dir)
	if r.Is != "rom" {
		t.Fatalf("is %s", r.Is)
	}
	for _, q := range []string{"android-version", "cpu", "board", "fingerprint"} {
		if c := claim(r, q); c.Agree != inspect.Yes || len(c.Evidence) < 2 {
			t.Errorf("%+v, want agreement with evidence of both sides", c)
		}
	}
	for _, f := range r.Findings {
		if strings.HasPrefix(f.Code, "claim-") {
			t.Errorf("an honest phone gave %+v", f)
		}
	}
	lying(t, dir, root)
}

// lying puts a build.prop full of lies beside the same boot image and loaders.
func lying(t *testing.T, dir string, root *os.Root) {
	t.Helper()
	for _, n := range []string{"system.img"} {
		if err := root.Remove(n); err != nil {
			t.Fatal(err)
		}
	}
	lib := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x28\x00\x01\x00\x00\x00")
	for n, b := range map[string][]byte{
		"system/lib/libdvm.so": lib, "system/lib/libc.so": append(lib, make([]byte, 64)...), "system/bin/sh": lib, "system/etc/hosts": nil,
		"system/build.prop": []byte("ro.build.version.release=9\r\nro.build.version.sdk=17\nro.build.version.release=4.2.2\nro.product.brand=samsung\nro.product.model=SM-G950F\n" +
			"ro.product.device=dreamlte\nro.board.platform=mt6797\nro.product.cpu.abi=arm64-v8a\nro.sf.lcd_density=480\nro.ram_size=6GB\nro.rom_size=128GB\n" +
			"ro.build.fingerprint=samsung/x/other:9/PPR1/1:user/release-keys\n"),
	} {
		name := filepath.Join(dir, n)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name := synth.Panther().PreloaderName()
	if err := os.WriteFile(filepath.Join(dir, name), foreignLoader(), 0o644); err != nil {
		t.Fatal(err)
	}
	r := look(t, dir)
	got := map[string]bool{}
	for _, f := range r.Findings {
		got[f.Code] = true
		if strings.HasPrefix(f.Code, "claim-") && (f.Symptom == "" || f.Fix == "" || len(f.Evidence) < 2 || f.Severity != mtkport.Risk) {
			t.Errorf("%+v: wants symptom, fix and evidence of both sides", f)
		}
	}
	for _, code := range []string{"claim-android-version", "claim-cpu", "claim-abi", "claim-ram", "claim-storage", "claim-panel", "claim-board", "claim-model", "claim-fingerprint", "claim-overridden"} {
		if !got[code] {
			t.Errorf("no %s; claims %+v", code, r.Claims)
		}
	}
	if c := claim(r, "android-version"); !strings.Contains(c.Real, "sdk 17") {
		t.Errorf("real version %q", c.Real)
	}
}

// foreignLoader is the preloader of another board, whose only memory chip has
// 512 MiB.
func foreignLoader() []byte {
	p := synth.Panther()
	p.Board = "lion"
	b := p.Preloader()
	block := b[len(b)-0x200:] // room for the list behind the name
	copy(block, b[len(b)-0x100:])
	clear(b[len(b)-0x100:])
	copy(block[0x64:], "MTK_BIN\x00\x01\x00\x00\x00")
	record := block[0x64+12:]
	binary.LittleEndian.PutUint32(record, 0x202) // eMMC and LPDDR2 in one chip
	copy(record[4:], "\x90JH4G2a")
	binary.LittleEndian.PutUint32(record[20:], 9)
	binary.LittleEndian.PutUint32(record[144:], 512<<20)
	return b
}

// TestDamaged: what is recognised and broken is said to be so, and named.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		b  string
		is string
	}{
		"boot": {"ANDROID!", "android-boot"}, "loader": {"EMMC_BOOT\x00" + strings.Repeat("\xff", 600), "preloader"},
		"zip": {"PK\x03\x04 and no directory", "zip"}, "elf": {"\x7fELF\x01\x01\x01", "elf"},
	} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(c.b), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := inspect.Path(context.Background(), p)
		if err == nil || r == nil || r.Is != c.is || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %+v, %v; want a fault that names the file, of a %s", name, r, err, c.is)
		}
	}
}

// TestPipe: what cannot be read at any place is refused at once.
func TestPipe(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("needs /dev/zero")
	}
	if _, err := inspect.Path(context.Background(), "/dev/zero"); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("%v, want a refusal", err)
	}
}

// TestCodes: each once, kebab-case, described in the manual.
func TestCodes(t *testing.T) {
	doc, err := os.ReadFile("../../cmd/mtkport/docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range inspect.Codes() {
		if seen[c.Code] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(c.Code) || c.Text == "" || c.Fix == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Code] = true
		if !bytes.Contains(doc, []byte("`"+c.Code+"`")) {
			t.Errorf("%s is not in docs/json.md", c.Code)
		}
	}
}

// FuzzPath: any bytes get an answer or an error; every mark is tried.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"ANDROID!", "\x88\x16\x88\x58\x10\x00\x00\x00LOGO\x00", "MMM\x01\x38\x00\x00\x00FILE_INFO\x00", "EMMC_BOOT\x00", "AND_AC_REGION", "MMMM",
		"AND_SECCFG_v", "1vTP1.0\x00", "1TPM", "MTK_DOWNLOAD_AGENT", "\x3a\xff\x26\xed", "UBI#", "\x31\x18\x10\x06", "\x7fELF\x01\x01\x01", "PK\x03\x04", "PK\x05\x06",
		"dey\n036\x00", "dex\n", "\x1f\x8b\x08", "070701", "- general: MTK_PLATFORM_CFG\n", "ro.x=1\n", "CONFIG_A=y\n", "MTK_A = b\n", "on init\n", "/a b c\n", "Part_Name", ""} {
		f.Add([]byte(s))
		f.Add(append([]byte(s), make([]byte, 2048)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := inspect.Path(context.Background(), p)
		if err == nil && (r == nil || r.Is == "" || r.What == "") {
			t.Fatalf("no answer: %+v", r)
		}
	})
}
