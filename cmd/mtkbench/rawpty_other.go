//go:build !linux

package main

import "errors"

func rawMain([]string) error { return errors.New("pseudo-terminals are measured on Linux only") }
