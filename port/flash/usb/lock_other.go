//go:build !linux

package usb

func lockName(name string) (release func(), err error) { return lockFile(fileOf(name)) }
