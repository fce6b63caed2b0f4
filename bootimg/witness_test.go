package bootimg_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mtkport/bootimg"
)

// fixture writes section files of sizes around the page sizes and returns their
// folder.
func fixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, n := range map[string]int{"kernel": 20000, "ramdisk": 4096, "second": 2049, "dtb": 16384} {
		if err := os.WriteFile(filepath.Join(dir, name), noise(name, n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// noise is n bytes that differ from name to name.
func noise(name string, n int) []byte {
	b := make([]byte, n)
	x := uint32(2166136261)
	for _, c := range []byte(name) {
		x = (x ^ uint32(c)) * 16777619
	}
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skip("needs " + tool)
	}
}

func tool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestMkbootimg reads what AOSP's mkbootimg makes with every page size and
// version, and finds its id rule. Debian's mkbootimg stops with a Python error
// at --recovery_dtbo, so TestUnpackBootimg is the witness for that section.
func TestMkbootimg(t *testing.T) {
	need(t, "mkbootimg")
	pages := []int{2048, 4096, 8192, 16384}
	versions := []int{0, 1, 2}
	for _, v := range versions {
		for _, page := range pages {
			t.Run(fmt.Sprintf("v%d/%d", v, page), func(t *testing.T) {
				if testing.Short() && v != 1 && page != 2048 {
					t.Skip("long sweep")
				}
				mkbootimg(t, v, page)
			})
		}
	}
}

func mkbootimg(t *testing.T, version, page int) {
	dir := fixture(t)
	args := []string{"mkbootimg", "--header_version", strconv.Itoa(version), "--pagesize", strconv.Itoa(page), "--kernel", "kernel", "--ramdisk", "ramdisk",
		"--second", "second", "--board", "board name 16by", "--cmdline", strings.Repeat("console=ttyMT1 ", 50), "--base", "0x10000000",
		"--os_version", "8.1.0", "--os_patch_level", "2018-05", "-o", "boot.img"}
	if version >= 2 {
		args = append(args, "--dtb", "dtb", "--dtb_offset", "0x1f00000")
	}
	tool(t, dir, args...)
	b, err := os.ReadFile(filepath.Join(dir, "boot.img"))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, b)
	m := open(t, b)
	h := m.Header()
	if h.Version != version || h.PageSize != page || h.Name != "board name 16by" || h.OSVersion != "8.1.0" || h.PatchLevel != "2018-05" ||
		h.CommandLine() != strings.Repeat("console=ttyMT1 ", 50) {
		t.Errorf("header %+v", h)
	}
	if rule, err := m.IDRule(); rule != bootimg.IDSHA1 || err != nil {
		t.Errorf("id rule %q, %v", rule, err)
	}
	if len(m.Notes()) != 0 {
		t.Errorf("notes %v", m.Notes())
	}
	files := map[bootimg.Kind]string{bootimg.Kernel: "kernel", bootimg.Ramdisk: "ramdisk", bootimg.Second: "second", bootimg.DTB: "dtb"}
	for _, s := range m.Sections() {
		want, _ := os.ReadFile(filepath.Join(dir, files[s.Kind]))
		got := make([]byte, s.PayloadSize())
		if _, err := s.Payload().ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, equal %v", s.Kind, err, bytes.Equal(got, want))
		}
	}
	sameAsFresh(t, dir, args, m)
}

// sameAsFresh replaces the kernel and demands what mkbootimg makes of the new
// one, then the same of a fresh build.
func sameAsFresh(t *testing.T, dir string, args []string, m *bootimg.Image) {
	t.Helper()
	kernel := noise("another kernel", 33333)
	if err := os.WriteFile(filepath.Join(dir, "kernel"), kernel, 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, dir, args...)
	want, _ := os.ReadFile(filepath.Join(dir, "boot.img"))
	e := m.Edit()
	if err := e.SetPayload(bootimg.Kernel, bytes.NewReader(kernel), int64(len(kernel))); err != nil {
		t.Fatal(err)
	}
	if got := write(t, e); !bytes.Equal(got, want) {
		t.Error("kernel replaced: differs from a fresh mkbootimg")
	}
	spec := bootimg.Spec{Header: m.Header(), Sections: map[bootimg.Kind]bootimg.Payload{}}
	for _, s := range m.Sections() {
		spec.Sections[s.Kind] = bootimg.Payload{R: s.Payload(), Size: s.PayloadSize()}
	}
	spec.Sections[bootimg.Kernel] = bootimg.Payload{R: bytes.NewReader(kernel), Size: int64(len(kernel))}
	var got bytes.Buffer
	if err := bootimg.Build(&got, spec); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("built anew: differs from mkbootimg")
	}
}

// TestUnpackBootimg has AOSP's reader take our edited images apart.
func TestUnpackBootimg(t *testing.T) {
	need(t, "unpack_bootimg")
	for version := range 3 {
		var b bytes.Buffer
		spec := bootimg.Spec{Header: bootimg.Header{Version: version, PageSize: 4096, Name: "bench", Cmdline: "quiet"}, Sections: map[bootimg.Kind]bootimg.Payload{}}
		spec.Header.StockAddresses()
		for _, k := range []bootimg.Kind{bootimg.Kernel, bootimg.Ramdisk, bootimg.Second, bootimg.RecoveryDTBO, bootimg.DTB} {
			if k == bootimg.RecoveryDTBO && version < 1 || k == bootimg.DTB && version < 2 {
				continue
			}
			data := noise(k.String(), 5000)
			spec.Sections[k] = bootimg.Payload{R: bytes.NewReader(data), Size: int64(len(data))}
		}
		if err := bootimg.Build(&b, spec); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "boot.img"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		said := tool(t, dir, "unpack_bootimg", "--boot_img", "boot.img", "--out", "out")
		for _, want := range []string{"page size: 4096", "kernel load address: 0x10008000", "product name: bench", "command line args: quiet", fmt.Sprintf("boot image header version: %d", version)} {
			if !strings.Contains(said, want) {
				t.Errorf("v%d: unpack_bootimg does not say %q:\n%s", version, want, said)
			}
		}
		for k, p := range spec.Sections {
			got, err := os.ReadFile(filepath.Join(dir, "out", k.String()))
			want := make([]byte, p.Size)
			_, _ = p.R.ReadAt(want, 0)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("v%d %s: %v, equal %v", version, k, err, bytes.Equal(got, want))
			}
		}
	}
}

// TestAbootimg reads what abootimg makes with every page size that a header
// fits into (it takes any number), and has it read ours.
func TestAbootimg(t *testing.T) {
	need(t, "abootimg")
	for _, page := range []int{1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072} {
		dir := fixture(t)
		tool(t, dir, "abootimg", "--create", "boot.img", "-c", fmt.Sprintf("pagesize=0x%x", page), "-c", "name=bench", "-c", "cmdline=quiet",
			"-k", "kernel", "-r", "ramdisk", "-s", "second")
		b, err := os.ReadFile(filepath.Join(dir, "boot.img"))
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, b)
		m := open(t, b)
		if rule, _ := m.IDRule(); rule != bootimg.IDNone || m.Header().PageSize != page || m.Header().Name != "bench" {
			t.Errorf("page size %d: rule %q, header %+v", page, rule, m.Header())
		}
		e := m.Edit()
		if err := e.SetPayload(bootimg.Ramdisk, bytes.NewReader(noise("new", 9999)), 9999); err != nil {
			t.Fatal(err)
		}
		if kept, err := e.IDKept(); !kept || err != nil {
			t.Errorf("IDKept %v, %v", kept, err)
		}
		out := write(t, e)
		if id := open(t, out).Header().ID; id != [32]byte{} {
			t.Errorf("id %s, want none as before", hex.EncodeToString(id[:]))
		}
		if err := os.WriteFile(filepath.Join(dir, "ours.img"), out, 0o644); err != nil {
			t.Fatal(err)
		}
		tool(t, dir, "abootimg", "-x", "ours.img", "cfg", "k", "r", "s")
		if got, _ := os.ReadFile(filepath.Join(dir, "r")); !bytes.Equal(got, noise("new", 9999)) {
			t.Errorf("page size %d: abootimg reads another ramdisk", page)
		}
	}
}
