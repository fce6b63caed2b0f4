package rom

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"mtkport"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
	"mtkport/testdata/realfile"
)

// runText carries a script out over a package of the given files, each of which
// holds its own name.
func runText(t *testing.T, script string, files ...string) *updater {
	t.Helper()
	u, err := tryText(script, files...)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func tryText(script string, files ...string) (*updater, error) {
	sort.Strings(files)
	u := &updater{sys: tree.New(), tmp: map[string]string{}, raw: map[string]string{}, name: "updater-script"}
	u.entry = func(name string) (tree.Content, bool) {
		return tree.Bytes([]byte(name)), slices.Contains(files, name)
	}
	u.walk = func(dir string, fn func(string, tree.Content) error) error {
		for _, f := range files {
			if rel, ok := strings.CutPrefix(f, strings.Trim(dir, "/")+"/"); ok {
				if err := fn(rel, tree.Bytes([]byte(f))); err != nil {
					return err
				}
			}
		}
		return nil
	}
	e, err := parseScript(script, u.name)
	if err != nil {
		return u, err
	}
	_, err = u.eval(e)
	return u, err
}

// listing is a tree as text, for comparison.
func listing(t *tree.Tree) string {
	var b strings.Builder
	_ = t.Walk(func(p string, n *tree.Node) error {
		fmt.Fprintf(&b, "%s %o %d:%d", p, n.Mode, n.UID, n.GID)
		if n.Target != "" {
			b.WriteString(" -> " + n.Target)
		}
		if l := sysimg.Label(n); l != "" {
			b.WriteString(" " + l)
		}
		if c := n.Xattrs["security.capability"]; c != nil {
			fmt.Fprintf(&b, " cap %x", c)
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String()
}

func TestScripts(t *testing.T) {
	files := []string{"system/bin/su", "system/bin/ping", "system/lib/a.so", "system/etc/x", "boot.img", "data/y"}
	for _, c := range []struct{ name, script, want, notes string }{
		{"extract", `package_extract_dir("system", "/system");`,
			". 40755 0:0\nbin 40755 0:0\nbin/ping 100644 0:0\nbin/su 100644 0:0\netc 40755 0:0\netc/x 100644 0:0\nlib 40755 0:0\nlib/a.so 100644 0:0\n", ""},
		{"set_perm", `package_extract_dir("system", "/system"); set_perm_recursive(0, 2000, 0755, 0750, "/system/bin"); set_perm(0, 3004, 02755, "/system/bin/ping"); delete("/system/etc/x", "/system/none"); delete_recursive("/system/lib");`,
			". 40755 0:0\nbin 40755 0:2000\nbin/ping 102755 0:3004\nbin/su 100750 0:2000\netc 40755 0:0\n", ""},
		{"symlink", `symlink("toolbox", "/system/bin/ls", "/system/bin/cat"); symlink("/system/xbin/su", "/system/bin/su"); set_perm_recursive(1, 2, 0700, 0600, "/system");`,
			". 40700 1:2\nbin 40700 1:2\nbin/cat 120777 0:0 -> toolbox\nbin/ls 120777 0:0 -> toolbox\nbin/su 120777 0:0 -> /system/xbin/su\n", ""},
		{"metadata", `package_extract_file("system/bin/su", "/system/bin/su"); set_metadata_recursive("/system/bin", "uid", 0, "gid", 2000, "dmode", 0751, "fmode", 0755, "capabilities", 0x0, "selabel", "u:object_r:system_file:s0");
set_metadata("/system/bin/su", "mode", 06755, "capabilities", 0xc0);`,
			". 40755 0:0\nbin 40751 0:2000 u:object_r:system_file:s0\nbin/su 106755 0:2000 u:object_r:system_file:s0 cap 01000002c0000000000000000000000000000000\n", ""},
		{"decimal mode", `package_extract_file("system/bin/su", "/system/bin/su"); set_metadata("/system/bin/su", "uid", 0, "gid", 0, "mode", 6755);`,
			". 40755 0:0\nbin 40755 0:0\nbin/su 106755 0:0\n", "script-mode"},
		{"concat and plus", `package_extract_file(concat("system/", "bin/su"), "/sys" + "tem/a"); # a comment; with "signs"`,
			". 40755 0:0\na 100644 0:0\n", ""},
		{"if known", `if "a" == "a" then symlink("x", "/system/y") else symlink("x", "/system/z") endif; ifelse("" , symlink("x", "/system/w"));`,
			". 40755 0:0\ny 120777 0:0 -> x\n", ""},
		{"if unknown", `if getprop("ro.product.device") == "a" then symlink("x", "/system/y") endif; ifelse(is_mounted("/system"), unmount("/system")); assert(getprop("a") == "b" || abort("no"));`,
			". 40755 0:0\n", "script-branch"},
		{"assert runs", `assert(package_extract_file("boot.img", "/tmp/boot.img"), write_raw_image("/tmp/boot.img", "bootimg")); assert(package_extract_dir("system/etc", "/system/etc") == "t");`,
			". 40755 0:0\netc 40755 0:0\netc/x 100644 0:0\n", ""},
		{"rename, mkdir, format", `package_extract_dir("system/bin", "/system/bin"); format("ext4", "EMMC", "/emmc@android", "0", "/system"); run_program("/sbin/busybox", "mkdir", "-p", "/system/a/b"); rename("/system/a", "/system/c"); run_program("/tmp/x.sh");`,
			". 40755 0:0\nc 40755 0:0\nc/b 40755 0:0\n", "script-program"},
		{"missing", `set_perm(0, 0, 0644, "/system/none"); package_extract_file("none", "/system/none");`, ". 40755 0:0\n", "script-missing"},
		{"strings over lines", "ui_print(\"a\n b \\\" \\x41\");\r\nsymlink('x');", "", "error"},
		{"climbing out", `package_extract_file("boot.img", "/system/../../etc/passwd"); symlink("x", "/system/../y");`, ". 40755 0:0\n", ""},
	} {
		u, err := tryText(c.script, files...)
		if c.notes == "error" {
			if !errors.Is(err, mtkport.ErrDamaged) {
				t.Errorf("%s: %v, want a damaged script", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := listing(u.sys); got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
		}
		var codes []string
		for _, n := range u.notes {
			codes = append(codes, n.Code)
		}
		if c.notes == "" && len(codes) > 0 || c.notes != "" && !slices.Contains(codes, c.notes) {
			t.Errorf("%s: notes %q, want %q", c.name, codes, c.notes)
		}
	}
}

func TestScriptNamesBoot(t *testing.T) {
	for _, s := range []string{
		`package_extract_file("boot.img", "/tmp/b"); write_raw_image("/tmp/b", "bootimg");`,
		`package_extract_file("boot.img", "/dev/bootimg");`,
		`write_raw_image(package_extract_file("boot.img"), "bootimg");`,
	} {
		if u := runText(t, s, "boot.img"); u.raw["bootimg"] != "boot.img" {
			t.Errorf("%s: %v", s, u.raw)
		}
	}
}

func TestPatchingPackagesAreRefused(t *testing.T) {
	for _, s := range []string{`apply_patch("/system/a", "-", "sha", 1);`, `if range_sha1("/dev/x", "1") == "a" then ui_print("x") endif;`, `block_image_update("/dev/x", "a", "b", "c");`} {
		if _, err := tryText(s); !errors.Is(err, mtkport.ErrUnsupported) || mtkport.HintOf(err) == "" {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestBrokenScripts(t *testing.T) {
	for _, s := range []string{`a(`, `a("x`, `a("\q")`, `"x" "y"`, `if "a" then "b"`, `)`, `a(,)b`, strings.Repeat("(", 5000), `!`, "$"} {
		if _, err := parseScript(s, "s"); !errors.Is(err, mtkport.ErrDamaged) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

// TestRealScript carries the KitKat script of a Lenovo S960 out on a package with
// that phone's file list.
func TestRealScript(t *testing.T) {
	dir := filepath.Join(realfile.Dir(t), "s960-kk-forms")
	script, err := os.ReadFile(filepath.Join(dir, "updater-script"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "system-files.txt"))
	if err != nil {
		t.Fatal(err)
	}
	u := runText(t, string(script), append(strings.Fields(string(list)), "boot.img", "system/xbin/su")...)
	for p, want := range map[string]string{
		"bin/netcfg": "102750 0:3003 u:object_r:netcfg_exec:s0", "bin/run-as": "100750 0:2000 u:object_r:runas_exec:s0",
		"xbin/su": "106755 0:0 u:object_r:system_file:s0", "secro": "40600 1000:1000 u:object_r:system_file:s0", "lib/libc.so": "100644 0:0 u:object_r:system_file:s0",
	} {
		n, err := u.sys.Lookup(p)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := fmt.Sprintf("%o %d:%d %s", n.Mode, n.UID, n.GID, sysimg.Label(n)); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
	if n, err := u.sys.Lookup("bin/cat"); err != nil || n.Target != "toolbox" {
		t.Errorf("bin/cat: %v", err)
	}
	if u.raw["bootimg"] != "boot.img" {
		t.Errorf("boot image: %v", u.raw)
	}
	unlabelled := 0
	_ = u.sys.Walk(func(p string, n *tree.Node) error {
		if sysimg.Label(n) == "" {
			unlabelled++
		}
		return nil
	})
	t.Logf("%d nodes without label; notes: %d", unlabelled, len(u.notes))
	if unlabelled > 0 {
		t.Errorf("%d nodes without label", unlabelled)
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{`package_extract_dir("system", "/system");`, `if is_mounted("/system") then unmount("/system") endif;`, `set_perm(0, 0, 0644, "/system/a" + "b");`, `assert(getprop("a") == "b" || abort("c"));`,
		`symlink("a", "/system/system/a"); rename("/system/system", "/system/system/b");`, `set_metadata_recursive("/system", "uid", 0, "selabel", "x");`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := tryText(s, "system/a", "system/b/c")
		if err != nil {
			return
		}
		_ = u.sys.Walk(func(p string, n *tree.Node) error {
			if strings.HasPrefix(p, "../") || strings.HasPrefix(p, "/") {
				t.Errorf("path %q", p)
			}
			return nil
		})
	})
}
