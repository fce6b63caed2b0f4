package main

import (
	"os"
	"path/filepath"
)

// realFolder finds the folder of real firmware: $MTKPORT_REAL, or shared/real
// beside the checkout. It returns "" where there is none.
func realFolder() string {
	if d := os.Getenv("MTKPORT_REAL"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if d := filepath.Join(dir, "shared", "real"); isDir(d) {
			return d
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

func isDir(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.IsDir()
}
