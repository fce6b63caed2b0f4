package identity

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	m, err := table()
	if err != nil {
		t.Fatal(err)
	}
	for alias, n := range m {
		if alias != strings.ToLower(alias) || n.Holds == "" || !slices.Contains(Classes(), n.Class) {
			t.Errorf("%s: %+v", alias, n)
		}
		if !writable(n.Class) && !n.Guarded {
			t.Errorf("%s is %s and not guarded", alias, n.Class)
		}
	}
	for _, c := range []struct {
		names     string
		canonical string
		class     Class
		guarded   bool
	}{
		{"NVRAM nvram __NODL_NVRAM __nodl_nvram", "nvram", Identity, true},
		{"PRO_INFO proinfo pro_info __NODL_PRO_INFO", "pro_info", Identity, true},
		{"PROTECT_F protect1", "protect_f", Identity, true},
		{"SECCFG seccnfg SECURE", "seccfg", Identity, true},
		{"ANDROID android system SYSTEM ANDSYSIMG", "system", Firmware, false},
		{"USRDATA userdata data USER", "userdata", User, false},
		{"BOOTIMG boot bootimg", "boot", Firmware, false},
		{"UBOOT lk LK", "lk", Bootloader, true},
		{"SEC_RO secro sec_ro secstatic", "sec_ro", Firmware, true},
		{"__NODL_BMTPOOL BMTPOOL", "bmtpool", Reserved, true},
		{"__NODL_RSV_OTP OTP", "otp", Identity, true},
		{"EXPDB APANIC", "expdb", Reserved, true},
		{"MBR", "mbr", Bootloader, true},
		{"efuse", "efuse", Identity, true}, // beside otp on later chips
		{"boot_para bootpara", "boot_para", Reserved, true},
		{"para", "para", Reserved, true},
		{"boot_a BOOT_A", "boot_a", Firmware, true},
		{"lk_b", "lk_b", Bootloader, true},
		{"nvram_a", "nvram_a", Identity, true},
		{"_a", "_a", Reserved, true},
		{"EFS efs", "efs", Identity, true},
		{"Wunderlich", "wunderlich", Reserved, true},
		{" ", "", Reserved, true},
	} {
		for _, name := range strings.Fields(c.names) {
			if canonical, class := Classify(name); canonical != c.canonical || class != c.class || Guarded(name) != c.guarded {
				t.Errorf("%s: %s, %s, guarded %v", name, canonical, class, Guarded(name))
			}
		}
	}
	if !Guarded("") {
		t.Error("a partition without a name is not guarded")
	}
	for _, bad := range []string{"- {name: a, class: x, holes: y}", "- {name: a, class: x}\n- {name: b, class: x, aliases: [a]}"} {
		if _, err := load([]byte(bad)); err == nil {
			t.Errorf("loaded %q", bad)
		}
	}
}
