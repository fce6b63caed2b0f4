// Command mtkport carries a ROM from one MediaTek MT6572 phone to another:
// it inspects and repacks boot images, reads kernels, reads and writes system
// images, plans and splices a port, and flashes it under a guard that never
// touches what makes the phone itself.
//
// This package only parses flags, calls the rooms and prints.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the release build (-ldflags "-X main.version=…").
var version = "dev"

func main() {
	os.Exit(mainCode())
}

func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
}
