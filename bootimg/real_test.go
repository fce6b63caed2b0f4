package bootimg_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/testdata/realfile"
)

func open(t testing.TB, b []byte) *bootimg.Image {
	t.Helper()
	m, err := bootimg.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func write(t testing.TB, e io.WriterTo) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := e.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRealBoot opens every real boot image and MTK-headed file; each must come
// back byte for byte, straight and through a folder.
func TestRealBoot(t *testing.T) {
	dir := filepath.Join(realfile.Dir(t), "boot")
	ents, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	images, parts := 0, 0
	for _, ent := range ents {
		if ent.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, ent.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.HasPrefix(b, []byte(bootimg.Magic)):
			images++
		case bootimg.IsPart(b):
			parts++
		default:
			if _, err := bootimg.OpenFile(bytes.NewReader(b), int64(len(b))); !errors.Is(err, mtkport.ErrFormat) {
				t.Errorf("%s: error %v, want class ErrFormat", ent.Name(), err)
			}
			continue
		}
		t.Run(ent.Name(), func(t *testing.T) { roundTrip(t, b) })
	}
	if images < 8 || parts < 6 {
		t.Errorf("found %d boot images and %d parts, want at least 8 and 6", images, parts)
	}
}

// TestRealFacts checks what is known of some images from elsewhere.
func TestRealFacts(t *testing.T) {
	dir := filepath.Join(realfile.Dir(t), "boot")
	for _, c := range []struct {
		file                    string
		name                    string
		rule                    bootimg.IDRule
		kernelPart, ramdiskPart string
		notes                   string
	}{
		{"a516-boot.img", "", bootimg.IDSHA1, "KERNEL", "ROOTFS", "boot-slack"},
		{"celkon-a98-boot.img", "1361338361", bootimg.IDSHA1, "KERNEL", "ROOTFS", ""},
		{"litemod-boot.img", "", bootimg.IDOther, "KERNEL", "ROOTFS", ""},
		{"v970-boot.img", "", bootimg.IDOther, "KERNEL", "ROOTFS", "boot-short-section boot-short-end"},
		{"opi3g-boot_emmc.img", "", bootimg.IDSHA1, "KERNEL", "", "boot-no-ramdisk"},
		{"pixi3-boot.img", "", bootimg.IDSHA1, "KERNEL", "ROOTFS", ""},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, c.file))
			if err != nil {
				t.Skip(err)
			}
			m := open(t, b)
			rule, err := m.IDRule()
			if err != nil || rule != c.rule {
				t.Errorf("id rule %q, %v, want %q", rule, err, c.rule)
			}
			if h := m.Header(); h.KernelAddr != 0x10008000 || h.PageSize != 2048 {
				t.Errorf("kernel_addr 0x%x page_size %d", h.KernelAddr, h.PageSize)
			}
			if c.name != "" && m.Header().Name != c.name {
				t.Errorf("name %q, want %q", m.Header().Name, c.name)
			}
			checkPart(t, m, bootimg.Kernel, c.kernelPart)
			checkPart(t, m, bootimg.Ramdisk, c.ramdiskPart)
			var codes []string
			for _, n := range m.Notes() {
				codes = append(codes, n.Code)
			}
			if got := strings.Join(codes, " "); got != c.notes {
				t.Errorf("notes %q, want %q", got, c.notes)
			}
		})
	}
}

func checkPart(t *testing.T, m *bootimg.Image, k bootimg.Kind, want string) {
	t.Helper()
	got := ""
	if s := m.Section(k); s != nil && s.Part != nil {
		got = s.Part.Name
	}
	if got != want {
		t.Errorf("%s part %q, want %q", k, got, want)
	}
}
