package initrc

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const sample = `import /init.usb.rc
# comment
on early_property:ro.build.type=user
    export BOOTCLASSPATH /a.jar:/b.jar
on early_property:ro.build.type=eng
    export BOOTCLASSPATH /a.jar:/b.jar:/emma.jar  # trailing words stay words
on fs_property:ro.mount.fs=EXT4
    mount ext4 /emmc@android /system wait \
        commit=1,noauto_da_alloc
    insmod /system/lib/modules/sec.ko
    #insmod /system/lib/modules/no.ko
    write /x "two words"

service vold /system/bin/vold
    class core
    socket vold stream 0660 root mount
service cut
`

func TestParse(t *testing.T) {
	f := Parse([]byte(sample))
	if !slices.Equal(f.Imports, []string{"/init.usb.rc"}) {
		t.Errorf("imports %q", f.Imports)
	}
	if len(f.Triggers) != 3 || f.Triggers[2].Name != "fs_property:ro.mount.fs=EXT4" {
		t.Fatalf("triggers %+v", f.Triggers)
	}
	m := f.Commands("mount")
	if len(m) != 1 || m[0].Line != 8 || !slices.Equal(m[0].Args, []string{"mount", "ext4", "/emmc@android", "/system", "wait", "commit=1,noauto_da_alloc"}) {
		t.Errorf("mounts %+v", m)
	}
	if i := f.Commands("insmod"); len(i) != 1 || i[0].Args[1] != "/system/lib/modules/sec.ko" {
		t.Errorf("insmods %+v", i)
	}
	if w := f.Commands("write"); len(w) != 1 || w[0].Args[2] != "two words" {
		t.Errorf("quotes %+v", w)
	}
	if e := f.Exports("BOOTCLASSPATH"); !reflect.DeepEqual(e, []string{"/a.jar:/b.jar", "/a.jar:/b.jar:/emma.jar"}) {
		t.Errorf("exports %q", e)
	}
	if len(f.Services) != 2 || f.Services[0].Binary() != "/system/bin/vold" || f.Services[1].Binary() != "" {
		t.Fatalf("services %+v", f.Services)
	}
	if o, ok := f.Services[0].Option("class"); !ok || o[0] != "core" {
		t.Errorf("class %q", o)
	}
}

func TestSetExport(t *testing.T) {
	in := strings.ReplaceAll(sample, "  # trailing words stay words", "")
	got, n := SetExport([]byte(in), "BOOTCLASSPATH", "/d.jar")
	want := strings.ReplaceAll(strings.ReplaceAll(in, "/a.jar:/b.jar:/emma.jar", "/d.jar"), "/a.jar:/b.jar", "/d.jar")
	if n != 2 || string(got) != want {
		t.Errorf("%d lines changed:\n%s", n, got)
	}
	if got, n := SetExport(got, "BOOTCLASSPATH", "/d.jar"); n != 0 || string(got) != want {
		t.Errorf("a second time changed %d lines", n)
	}
	crlf := []byte("on x\r\n  export K a\r\n")
	if got, _ := SetExport(crlf, "K", "b"); string(got) != "on x\r\n  export K b\r\n" {
		t.Errorf("line ends: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("service"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := Parse(b)
		if !bytes.Equal(p.Bytes(), b) {
			t.Fatal("not kept")
		}
		if out, n := SetExport(b, "no such key", "v"); n != 0 || !bytes.Equal(out, b) {
			t.Fatalf("an export that is not there changed %q", b)
		}
	})
}
