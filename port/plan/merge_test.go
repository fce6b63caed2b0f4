package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mtkport/testdata/realfile"
)

func TestMergeBuildProp(t *testing.T) {
	donor := "# a comment\r\nro.product.model=Donor\r\nro.build.version.sdk=17\nro.product.model=Second\nmediatek.wlan.chip=mediatek.wlan.module.postfix=_\n\nro.empty=\npersist.gemini.sim_num=2"
	target := "ro.product.model=Ziel\nro.build.version.sdk=19\npersist.gemini.sim_num=1\nwifi.interface=wlan7\nro.sf.lcd_density=240\nro.other=t\n"
	want := "# a comment\r\nro.product.model=Ziel\r\nro.build.version.sdk=17\nro.product.model=Second\nmediatek.wlan.chip=mediatek.wlan.module.postfix=_\n\nro.empty=\npersist.gemini.sim_num=1\nwifi.interface=wlan7\nro.sf.lcd_density=240\n"
	if got := string(MergeBuildProp([]byte(donor), []byte(target), defaults(t), Drivers)); got != want {
		t.Errorf("drivers:\n%q want\n%q", got, want)
	}
	// look: nothing of the donor's that a rule gives to it
	if got := string(MergeBuildProp([]byte(donor), []byte(target), defaults(t), Look)); got != target {
		t.Errorf("look: %q", got)
	}
}

// TestMergeRealProp: a real file with mixed line ends changes only in the lines
// that must.
func TestMergeRealProp(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "a516-allegro", "donor-build.prop"))
	if err != nil {
		t.Fatal(err)
	}
	if got := MergeBuildProp(b, b, defaults(t), Drivers); string(got) != string(b) {
		t.Error("merging a file with itself changed it")
	}
	got := string(MergeBuildProp(b, []byte("ro.product.model=A516\n"), defaults(t), Drivers))
	if want := strings.Replace(string(b), "ro.product.model=Collo DG100", "ro.product.model=A516", 1); got != want {
		t.Error("more than the model changed")
	}
}

func TestMergeBootClassPath(t *testing.T) {
	target := "on early_property:ro.build.type=user\n    export BOOTCLASSPATH /a.jar:/b.jar\r\n\ton x\n  export  BOOTCLASSPATH\t/a.jar # not a comment\n    export PATH /sbin\n"
	donor := []byte("on early_property:ro.build.type=eng\n    export BOOTCLASSPATH /e.jar\non early_property:ro.build.type=user\n    export BOOTCLASSPATH /u.jar\n")
	got := string(MergeBootClassPath([]byte(target), [][]byte{donor}, "user"))
	if strings.Count(got, "/u.jar") != 2 || strings.Contains(got, "/a.jar") || !strings.Contains(got, "PATH /sbin") || !strings.Contains(got, "/u.jar\r\n") {
		t.Errorf("%q", got)
	}
	if got := ClassPath([][]byte{donor}, ""); got != "/e.jar" {
		t.Errorf("first: %s", got)
	}
	if got := MergeBootClassPath([]byte(target), nil, "user"); string(got) != target {
		t.Error("a donor without class path changed the file")
	}
}

// TestMergeRealInit: MediaTek's init.rc exports the path three times; all change,
// and nothing else.
func TestMergeRealInit(t *testing.T) {
	dir := realfile.Dir(t)
	rc, err := os.ReadFile(filepath.Join(dir, "walton-f3i-blobs", "init.rc"))
	if err != nil {
		t.Fatal(err)
	}
	donor, err := os.ReadFile(filepath.Join(dir, "s960-kk-forms", "init.rc"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(MergeBootClassPath(rc, [][]byte{donor}, "user")), "\n")
	old := strings.Split(string(rc), "\n")
	if len(got) != len(old) {
		t.Fatalf("%d lines, were %d", len(got), len(old))
	}
	changed := 0
	for i := range old {
		if old[i] != got[i] {
			changed++
			if !strings.Contains(got[i], "export BOOTCLASSPATH") {
				t.Errorf("line %d: %q", i+1, got[i])
			}
		}
	}
	if changed != 3 {
		t.Errorf("%d lines changed, want 3", changed)
	}
}

func TestMergePermissions(t *testing.T) {
	donor := "<?xml version=\"1.0\"?>\n<permissions>\n  <permission name=\"a\" >\n    <group gid=\"inet\" />\n  </permission>\n  <assign-permission name=\"p\" uid=\"media\" />\n</permissions>\n"
	target := "<permissions>\n  <!-- <library name=\"gone\" file=\"/x\" /> -->\n  <permission name=\"a\">\n    <group gid=\"other\" />\n  </permission>\n  <permission name=\"b\"><group gid=\"x\" /></permission>\n  <assign-permission name=\"p\" uid=\"shell\" />\n  <library name=\"l\" file=\"/l.jar\" />\n</permissions>\n"
	want := strings.Replace(donor, "</permissions>", "    <permission name=\"b\"><group gid=\"x\" /></permission>\n    <assign-permission name=\"p\" uid=\"shell\" />\n    <library name=\"l\" file=\"/l.jar\" />\n</permissions>", 1)
	if got := string(MergePermissions([]byte(donor), []byte(target))); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if got := string(MergePermissions([]byte("no xml"), []byte(target))); got != "no xml" {
		t.Errorf("%q", got)
	}
	if got := string(MergePermissions([]byte(donor), []byte(donor))); got != donor {
		t.Errorf("%q", got)
	}
}
