package kernel

import (
	_ "embed"
	"fmt"
	"sort"
	"strings"
	"sync"

	"mtkport"
)

//go:embed options.yaml
var optionsYAML []byte

// functionOptions are the options that a function shows, by option name.
var functionOptions = sync.OnceValue(func() map[string]string {
	var f struct {
		Functions map[string]string `yaml:"functions"`
	}
	if mtkport.ParseYAML(optionsYAML, &f) != nil {
		return nil // a test parses the embedded file: this is not reached
	}
	return f.Functions
})

// inferConfig reads options off the kernel. Options that nothing shows are not
// in the result: absent means unknown, n means that the kernel lacks it.
func (k *Kernel) inferConfig() *Config {
	c := &Config{Source: InferredFrom, Off: -1}
	k.inferFromBanner(c)
	k.inferFromModules(c)
	k.inferFromFunctions(c)
	sort.SliceStable(c.Options, func(i, j int) bool { return c.Options[i].Name < c.Options[j].Name })
	return c.index()
}

func (c *Config) infer(name, value string, ev Evidence) {
	c.Options = append(c.Options, Option{Name: "CONFIG_" + name, Value: value, Inferred: true, Evidence: []Evidence{ev}})
}

func yn(b bool) string {
	if b {
		return "y"
	}
	return "n"
}

// inferFromBanner reads the banner, the packing and the chip names.
func (k *Kernel) inferFromBanner(c *Config) {
	ev := Evidence{FromString, k.banner.Off, k.banner.Text}
	c.infer("SMP", yn(k.banner.SMP), ev)
	c.infer("PREEMPT", yn(k.banner.Preempt), ev)
	if soc := k.SoC(); soc.Name != "" {
		c.infer("ARCH_"+soc.Name, "y", Evidence{FromString, -1, fmt.Sprintf("%s, %d times", soc.Name, soc.Counts[0].Count)})
	}
	for _, m := range methods {
		if k.form == ZImage && m.name != "bzip2" {
			c.infer("KERNEL_"+strings.ToUpper(m.name), yn(m.name == k.payload.Method),
				Evidence{FromTable, k.payload.Off, "payload is " + k.payload.Method})
		}
	}
	c.infer("IKCONFIG", "n", Evidence{FromString, -1, "no " + configStart})
	split := map[uint32]string{0xc0000000: "VMSPLIT_3G", 0x80000000: "VMSPLIT_2G", 0x40000000: "VMSPLIT_1G"}
	for _, top := range []uint32{0xc0000000, 0x80000000, 0x40000000} {
		c.infer(split[top], yn(k.image.base&0xc0000000 == top), Evidence{FromTable, -1, fmt.Sprintf("linked to 0x%08x", k.image.base)})
	}
}

// inferFromModules reads the version magic and the export tables.
func (k *Kernel) inferFromModules(c *Config) {
	if k.vermagic == "" && len(k.Exports().List) == 0 {
		c.infer("MODULES", "n", Evidence{FromTable, -1, "no exports, no version magic"})
		return
	}
	ev := Evidence{FromString, -1, k.vermagic}
	c.infer("MODULES", "y", ev)
	if k.vermagic != "" {
		c.infer("MODULE_UNLOAD", yn(strings.Contains(k.vermagic, " mod_unload ")), ev)
		c.infer("MODVERSIONS", yn(strings.Contains(k.vermagic, " modversions ")), ev)
	}
}

// inferFromFunctions asks the symbol table. Compilers rename and split
// functions (.isra.0), so the name before the first dot counts.
func (k *Kernel) inferFromFunctions(c *Config) {
	s := k.Symbols()
	c.infer("KALLSYMS", yn(len(s.List) > 0), Evidence{FromTable, s.Off, fmt.Sprintf("%d symbols", len(s.List))})
	if len(s.List) == 0 {
		return
	}
	rules := functionOptions()
	want := make(map[string]bool, len(rules))
	for _, fn := range rules {
		want[fn] = false
	}
	data := false
	for _, x := range s.List {
		data = data || x.Type == 'D' || x.Type == 'd' || x.Type == 'B' || x.Type == 'b'
		name, _, _ := strings.Cut(x.Name, ".")
		if have, ok := want[name]; ok && !have && x.Func() {
			want[name] = true
		}
	}
	c.infer("KALLSYMS_ALL", yn(data), Evidence{FromSymbol, -1, "data symbols"})
	for opt, fn := range rules {
		ev := Evidence{FromSymbol, -1, "function " + fn}
		if !want[fn] {
			ev.Value = "no function " + fn
		}
		c.infer(opt, yn(want[fn]), ev)
	}
}
