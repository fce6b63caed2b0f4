// Package mtkport holds the few words that every room of the workbench shares:
// the error that names file, offset, found and expected ([Error]), the classes
// it may carry ([ErrDamaged], [ErrRefused], …), the finding ([Finding]), the
// progress of long work ([Progress]) and output that appears whole or not at
// all ([CreateFile], [CreateDir]).
//
// It knows no format, prints nothing and keeps no state. The format rooms
// (bootimg, ramdisk, sysimg) import nothing of ours but this package, so each
// of them can be used alone.
package mtkport
