package synth

import (
	"bytes"
	"debug/elf"
	"slices"
	"testing"

	"mtkport/bootimg/kernel"
)

var sampleKernel = Kernel{Version: "3.4.5", Builder: "build@synth", Date: "Wed Oct 23 13:30:02 CST 2013",
	Panels: []string{"hx8369b_fwvga_dsi_vdo", "otm8018b_dsi_vdo"}, Cameras: []Camera{{"ov5645_mipi_yuv", 0x5645}, {"sp0a19yuv", 0xa6}}, Touch: "gt9xx", Accel: "bma222e"}

func TestKernelIsReadBack(t *testing.T) {
	z, err := sampleKernel.ZImage()
	if err != nil {
		t.Fatal(err)
	}
	k, err := kernel.Open(bytes.NewReader(z), int64(len(z)))
	if err != nil {
		t.Fatal(err)
	}
	if k.Version() != "3.4.5" || k.Vermagic() != sampleKernel.Vermagic() || k.SoC().Name != "MT6572" {
		t.Errorf("version %q, vermagic %q, chip %+v", k.Version(), k.Vermagic(), k.SoC())
	}
	if s := k.Symbols(); s.Source != "kallsyms" || len(s.List) < 300 {
		t.Errorf("symbols: %s, %d: %v", s.Source, len(s.List), k.SymbolsErr())
	}
	if e, ok := k.Exports().Lookup("printk"); !ok || e.Licence != kernel.ForAll {
		t.Errorf("printk: %+v, %v (%s)", e, ok, k.Exports().Source)
	}
	var got []string
	for _, d := range k.Drivers(kernel.Builtin()).List {
		if d.State == kernel.Compiled {
			got = append(got, string(d.Kind)+" "+d.Name+" "+d.ID)
		}
	}
	for _, want := range []string{"lcm hx8369b_fwvga_dsi_vdo ", "lcm otm8018b_dsi_vdo ", "camera ov5645_mipi_yuv 0x5645", "camera sp0a19yuv 0xa6", "touch gt9xx ", "accelerometer bma222e "} {
		if !slices.Contains(got, want) {
			t.Errorf("no driver %q in %q", want, got)
		}
	}
	m := Module("wlan_mt6582", sampleKernel.Vermagic(), "a test", "printk", "kmalloc")
	mod, err := kernel.OpenModule(bytes.NewReader(m), int64(len(m)))
	if err != nil {
		t.Fatal(err)
	}
	if v := kernel.CheckModules(k, []kernel.ModuleFile{{File: "wlan_mt6582.ko", Module: mod}}); v[0].Verdict != kernel.Loads {
		t.Errorf("verdict %+v", v)
	}
	if mod.Name != "wlan_mt6582" {
		t.Errorf("module name %q", mod.Name)
	}
}

func TestObject(t *testing.T) {
	b := Object{Name: "liba.so", Needs: []string{"libc.so", "libb.so"}, Defines: []string{"a_open", "a_close"}, Uses: []string{"b_do", "malloc"}, Texts: []string{"hello"}}.ELF()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if libs, err := f.ImportedLibraries(); err != nil || !slices.Equal(libs, []string{"libc.so", "libb.so"}) {
		t.Errorf("needs %q, %v", libs, err)
	}
	if name, err := f.DynString(elf.DT_SONAME); err != nil || !slices.Equal(name, []string{"liba.so"}) {
		t.Errorf("soname %q, %v", name, err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil || len(syms) != 4 {
		t.Fatalf("symbols %v, %v", syms, err)
	}
	for _, s := range syms {
		defined := s.Section != elf.SHN_UNDEF
		if want := s.Name == "a_open" || s.Name == "a_close"; defined != want {
			t.Errorf("%s defined %v", s.Name, defined)
		}
	}
	p, err := elf.NewFile(bytes.NewReader(Object{Program: true, Needs: []string{"libc.so"}}.ELF()))
	if err != nil || p.Entry == 0 {
		t.Errorf("program: %v", err)
	}
}
