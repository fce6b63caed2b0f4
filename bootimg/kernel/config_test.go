package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mtkport"
)

func TestEmbeddedConfig(t *testing.T) {
	k := openReal(t, "opi3g-boot_emmc.img")
	c := k.Config()
	if c.Source != Embedded || len(c.Options) != 2021 || !bytes.HasPrefix(c.Text, []byte("#\n# Automatically generated")) {
		t.Fatalf("%s, %d options", c.Source, len(c.Options))
	}
	for name, want := range map[string]string{"CONFIG_ARCH_MT6572": "y", "CONFIG_MODVERSIONS": "n", "CONFIG_HZ": "100", "CONFIG_LOCALVERSION": `""`} {
		if o, ok := c.Lookup(name); !ok || o.Value != want || o.Inferred {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// What is inferred must agree with what the same kernel carries.
func TestInferAgreesWithEmbedded(t *testing.T) {
	for _, file := range []string{"opi3g-boot_emmc.img", "opi3g-boot_nand.img"} {
		k := openReal(t, file)
		truth, guess := k.Config(), k.inferConfig()
		right, wrong := 0, 0
		for _, o := range guess.Options {
			want, ok := truth.Lookup(o.Name)
			if !ok || want.Value == "m" {
				want.Value = "n"
			}
			switch {
			case o.Name == "CONFIG_IKCONFIG": // inferred only where there is none
			case want.Value == o.Value:
				right++
			default:
				wrong++
				t.Logf("%s: %s is %s, inferred %s from %s", file, o.Name, want.Value, o.Value, o.Evidence[0].Value)
			}
		}
		t.Logf("%s: %d options inferred right, %d wrong", file, right, wrong)
		if wrong*100 > right {
			t.Errorf("%s: more than 1 %% wrong", file)
		}
	}
}

func TestInferredHasEvidence(t *testing.T) {
	c := openReal(t, "pixi3-boot.img").Config()
	if c.Source != InferredFrom || len(c.Options) < 250 {
		t.Fatalf("%s, %d options", c.Source, len(c.Options))
	}
	for _, o := range c.Options {
		if !o.Inferred || len(o.Evidence) == 0 || o.Evidence[0].Value == "" {
			t.Errorf("%+v", o)
		}
	}
	if o, _ := c.Lookup("CONFIG_SECURITY_SELINUX"); o.Value != "y" {
		t.Errorf("SELinux: %+v", o)
	}
}

func TestDiffConfig(t *testing.T) {
	parse := func(s string) *Config {
		c, err := ParseConfig(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := parse("CONFIG_EXT4_FS=y\n# CONFIG_SMP is not set\nCONFIG_FOO=1\n")
	b := parse("CONFIG_EXT4_FS=m\nCONFIG_SMP=y\nCONFIG_BAR=\"x y\"\n")
	var out strings.Builder
	if err := DiffConfig(a, b).WriteDiffconfig(&out); err != nil {
		t.Fatal(err)
	}
	const want = "-FOO 1\n EXT4_FS y -> m\n SMP n -> y\n+BAR \"x y\"\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	p := parse("# a project\nCUSTOM_KERNEL_LCM = hx8369b otm8018b # two\nMTK_DT_SUPPORT=no\n")
	q := parse("CUSTOM_KERNEL_LCM = st7701\nMTK_DT_SUPPORT = no\n")
	d := DiffConfig(p, q)
	if p.Source != ProjectConfig || d.Compared != 2 || len(d.Groups) != 1 || d.Groups[0].Name != "display" || d.Groups[0].Changed[0].B != "st7701" {
		t.Errorf("%+v", d)
	}
	if _, err := ParseConfig(strings.NewReader("nothing")); err == nil {
		t.Error("text without options accepted")
	}
}

// scripts/diffconfig of Linux is the witness where it is at hand.
func TestDiffconfigWitness(t *testing.T) {
	script := os.Getenv("MTKPORT_DIFFCONFIG")
	if script == "" {
		t.Skip("needs scripts/diffconfig of a Linux tree (name it in MTKPORT_DIFFCONFIG)")
	}
	dir := t.TempDir()
	var names []string
	var side []*Config
	for _, file := range []string{"opi3g-boot_emmc.img", "opi3g-boot_nand.img"} {
		c := openReal(t, file).Config()
		name := filepath.Join(dir, file)
		if err := os.WriteFile(name, c.Text, 0o600); err != nil {
			t.Fatal(err)
		}
		names, side = append(names, name), append(side, c)
	}
	want, err := exec.Command(script, names...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := DiffConfig(side[0], side[1]).WriteDiffconfig(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestConfigData(t *testing.T) {
	if _, err := parseGroups(groupsYAML); err != nil {
		t.Error(err)
	}
	var f struct{ Functions map[string]string }
	if err := mtkport.ParseYAML(optionsYAML, &f); err != nil || len(f.Functions) < 200 {
		t.Errorf("%d rules: %v", len(f.Functions), err)
	}
	for name, want := range map[string]string{"CONFIG_EXT4_FS": "storage", "CONFIG_SECURITY_SELINUX": "security", "CUSTOM_KERNEL_IMGSENSOR": "camera",
		"CONFIG_MTK_FB": "display", "CONFIG_MODVERSIONS": "modules", "CONFIG_ARCH_MT6572": "chip", "MTK_DUAL_MIC_SUPPORT": "sound", "CUSTOM_MODEM": "modem"} {
		if g := groups()[groupOf(name)]; g.Name != want {
			t.Errorf("%s: group %s, want %s", name, g.Name, want)
		}
	}
}
