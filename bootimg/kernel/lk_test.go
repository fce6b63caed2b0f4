package kernel

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"mtkport/testdata/realfile"
)

func TestLKAndCameraLibrary(t *testing.T) {
	for _, c := range []struct{ file, source, soc, want string }{
		{"a516-lk.bin", "lk", "MT6572", "hx8369b_fwvga_dsi_vdo otm8018b_dsi_vdo"},
		{"mobiwire-s10-lk.bin", "lk", "MT6572", "ili9806e_dsi_wvga_vdo_hlt otm8019a_wvga_dsi_vdo st7701_wvga_dsi_vdo"},
		{"s960-uboot.bin", "lk", "MT6589", "nt35595_fhd_dsi_vdo_cmi nt35595_fhd_dsi_vdo_lg"},
		{"a516-libcameracustom.so", "libcameracustom", "", "ov5645_mipi_yuv@0x5645 sp0a19yuv@0xa6 ov5645_mipi_yuv@0x5645"},
		{"dg100-libcameracustom.so", "libcameracustom", "", "hi253yuv@0x92 hi704yuv@0x96 gc0329yuv@0xc0 gc0308yuv@0x9b gc2035yuv@0x2035 gc0309yuv@0xa0"},
	} {
		b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "boot", c.file))
		if err != nil {
			t.Fatal(err)
		}
		d, err := FindDrivers(bytes.NewReader(b), int64(len(b)), Builtin())
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if got := list(d, LCM, Camera, Lens); d.Source != c.source || d.Kernel.SoC != c.soc || got != c.want {
			t.Errorf("%s: %s %s %s", c.file, d.Source, d.Kernel.SoC, got)
		}
		for _, cut := range []int{0, 64, len(b) / 3, len(b) - 100} {
			if d, err := FindDrivers(bytes.NewReader(b[:cut]), int64(cut), Builtin()); (d == nil) == (err == nil) {
				t.Errorf("%s cut at %d: %v", c.file, cut, err)
			}
		}
	}
}

// The panels of lk and kernel are the same list, and so are the sensors of
// kernel and camera library: on a phone that works.
func TestPairsAgree(t *testing.T) {
	k := openReal(t, "a516-boot.img").Drivers(Builtin())
	for _, file := range []string{"a516-lk.bin", "a516-libcameracustom.so"} {
		b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "boot", file))
		if err != nil {
			t.Fatal(err)
		}
		d, err := FindDrivers(bytes.NewReader(b), int64(len(b)), Builtin())
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []Kind{LCM, Camera} {
			if len(d.Of(kind)) > 0 && list(d, kind) != list(k, kind) {
				t.Errorf("%s: %s, the kernel has %s", file, list(d, kind), list(k, kind))
			}
		}
	}
}
