package fstab

import "testing"

const sample = `# comment
/emmc@android     /system   ext4  ro,noatime   wait
/boot		emmc		/dev/bootimg
/nvram		emmc		/dev/nvram				flags=display="Nvram";backup=1
cache                     /cache      ubifs      defaults        defaults
/dev/block/mmcblk0p6      /system     ext4      defaults        defaults
dev_mount sdcard /storage/sdcard0 emmc@fat /devices/platform/goldfish_mmc.0 /devices/platform/mtk-msdc.0/mmc_host
/devices/platform/mtk-msdc.1/mmc_host   auto     vfat      defaults        voldmanaged=sdcard1:auto,noemulatedsd
/dev/block/platform/mtk-msdc.0/by-name/boot /boot emmc defaults defaults
ubi@system /system ubifs ro
cut
`

func TestParse(t *testing.T) {
	want := []struct {
		form      Form
		mount, ty string
		not       Notation
		part      string
	}{
		{FormFsMgr, "/system", "ext4", ByEmmcAlias, "android"},
		{FormRecovery, "/boot", "emmc", ByChar, "bootimg"},
		{FormRecovery, "/nvram", "emmc", ByChar, "nvram"},
		{FormFsMgr, "/cache", "ubifs", BareName, "cache"},
		{FormFsMgr, "/system", "ext4", ByNumber, ""},
		{FormVold, "/storage/sdcard0", "", BySysfs, ""},
		{FormVoldDevice, "sdcard1", "vfat", BySysfs, ""},
		{FormFsMgr, "/boot", "emmc", ByName, "boot"},
		{FormFsMgr, "/system", "ubifs", ByUbiAlias, "system"},
	}
	got := Parse([]byte(sample))
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.Form != w.form || g.Mount != w.mount || g.Type != w.ty || g.Notation() != w.not || g.Partition() != w.part {
			t.Errorf("line %d: got %+v %s %q, want %+v", g.Line, g, g.Notation(), g.Partition(), w)
		}
	}
	if got[5].Part != "emmc@fat" || got[6].Part != "auto" {
		t.Errorf("parts %q %q", got[5].Part, got[6].Part)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range Parse(b) {
			if e.Line < 1 || e.Form == "" {
				t.Errorf("%+v", e)
			}
			_ = e.Partition()
		}
	})
}
