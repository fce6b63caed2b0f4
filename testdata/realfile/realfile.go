// Package realfile finds the real firmware that tests read: vendors' files, which
// no repository of ours holds.
//
//	boot, err := os.ReadFile(filepath.Join(realfile.Dir(t), "boot", "a516-boot.img"))
//
// They lie in the folder shared/real beside the checkout, or where $MTKPORT_REAL
// says; a test that needs them skips where they are absent, and says so. Only
// tests may import this package (the house test holds that), and `./...` passes it by.
package realfile

import (
	"os"
	"path/filepath"
	"testing"
)

// Folder is the folder of real firmware, "" where there is none. It looks beside
// every folder from the working folder up.
func Folder() string {
	if d := os.Getenv("MTKPORT_REAL"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if d := filepath.Join(dir, "shared", "real"); isDir(d) {
			return d
		}
	}
	return ""
}

// Dir is the folder of real firmware; a test without it skips.
func Dir(t testing.TB) string {
	t.Helper()
	d := Folder()
	if d == "" {
		t.Skip("needs the folder of real firmware (shared/real beside the checkout, or $MTKPORT_REAL)")
	}
	return d
}

// Allegro is $MTKPORT_ALLEGRO: both sides of a port that people used, out of the
// public repository GoldRenard/AllegroROM_4.2.2_mt6572. donor/ is its OSPackage,
// target/ its HWPackage/A516_S117, and perm_info its list of links and owners, from
// which its packer makes an updater-script. A test without it skips.
func Allegro(t testing.TB) string {
	t.Helper()
	d := os.Getenv("MTKPORT_ALLEGRO")
	if d == "" || !isDir(filepath.Join(d, "donor")) || !isDir(filepath.Join(d, "target")) {
		t.Skip("needs MTKPORT_ALLEGRO, a folder with donor/, target/ and perm_info of the public AllegroROM_4.2.2_mt6572")
	}
	return d
}

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}
