//go:build !linux

package sysimg

import (
	"os"
	"time"
)

// setTime sets the modification time of a file, where it can.
func setTime(f *os.File, t time.Time) { _ = os.Chtimes(f.Name(), t, t) }
