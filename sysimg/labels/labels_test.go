package labels

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/testdata/realfile"
)

func TestFSConfig(t *testing.T) {
	for _, tt := range []struct {
		path string
		dir  bool
		sdk  int
		want Owner
	}{
		// the modes that the updater-script of a 4.2 MT6572 ROM sets
		{"system/bin/sh", false, 17, Owner{0, 2000, 0o755, 0}},
		{"/system/bin/netcfg", false, 17, Owner{0, 3003, 0o2750, 0}},
		{"system/bin/ping", false, 17, Owner{0, 3004, 0o2755, 0}},
		{"system/bin/run-as", false, 17, Owner{0, 2000, 0o6750, 0}},
		{"system/etc/dbus.conf", false, 17, Owner{1002, 1002, 0o440, 0}},
		{"system/etc/dhcpcd/dhcpcd-run-hooks", false, 17, Owner{1014, 2000, 0o550, 0}},
		{"system/etc/ppp/ip-up", false, 17, Owner{0, 0, 0o555, 0}},
		{"system/xbin/su", false, 17, Owner{0, 0, 0o6755, 0}},
		{"system/vendor", true, 17, Owner{0, 2000, 0o755, 0}},
		{"system/vendor/lib", true, 17, Owner{0, 2000, 0o755, 0}},
		{"system/lib", true, 17, Owner{0, 0, 0o755, 0}},
		{"system/lib/libc.so", false, 17, Owner{0, 0, 0o644, 0}},
		{"init.rc", false, 19, Owner{0, 2000, 0o750, 0}},
		{"fstab.mt6572", false, 19, Owner{0, 2000, 0o640, 0}},
		{"system/bin/run-as", false, 19, Owner{0, 2000, 0o750, 0xc0}},
	} {
		if got := FSConfig(tt.path, tt.dir, tt.sdk); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
		}
	}
	// setcap cap_setgid,cap_setuid+ep, read with getfattr
	if got := hex.EncodeToString(Owner{Caps: 0xc0}.Xattr()); got != "01000002c0000000000000000000000000000000" {
		t.Errorf("capability xattr %s", got)
	}
}

const contexts = `# comment
/system(/.*)?        u:object_r:system_file:s0
/system/bin/sh  --   u:object_r:shell_exec:s0
/system/bin/.*       u:object_r:any_exec:s0
/dev/null       -c   u:object_r:null_device:s0
/none(/.*)?          <<none>>
`

func TestContexts(t *testing.T) {
	c, err := ParseContexts([]byte(contexts), "file_contexts")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		typ  uint32
		want string
	}{
		{"/system", tree.Dir, "u:object_r:system_file:s0"},
		{"/system/lib/libc.so", tree.Regular, "u:object_r:system_file:s0"},
		{"/system/bin/sh", tree.Regular, "u:object_r:shell_exec:s0"},
		{"/system/bin/sh", tree.Symlink, "u:object_r:any_exec:s0"},
		{"/system/bin/vold", tree.Regular, "u:object_r:any_exec:s0"},
		{"/dev/null", tree.Regular, ""},
		{"/none/x", tree.Regular, ""},
		{"/systemx", tree.Regular, ""},
	} {
		if got, _ := c.Label(tt.path, tt.typ); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
		}
	}
	for _, bad := range []string{"/a -x l\n", "/a(\n", "/a b c d\n", "/a( l\n"} {
		var e *mtkport.Error
		if _, err := ParseContexts([]byte(bad), "f"); !errors.As(err, &e) || e.Field != "line 1" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRealContexts(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "s960-kk-forms", "file_contexts"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseContexts(b, "file_contexts")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/system/bin/vold": "u:object_r:vold_exec:s0", "/system/lib/libc.so": "u:object_r:system_file:s0", "/system/bin/sh": "u:object_r:shell_exec:s0",
	} {
		if got, _ := c.Label(path, tree.Regular); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func FuzzParseContexts(f *testing.F) {
	f.Add([]byte(contexts))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseContexts(b, "f"); err == nil {
			c.Label("/system/bin/sh", tree.Regular)
		}
	})
}
