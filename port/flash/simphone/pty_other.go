//go:build !linux

package simphone

import "mtkport"

// ListenPTY is for Linux only; use TCP elsewhere.
func ListenPTY(string) (Line, error) {
	return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "pty", Err: mtkport.ErrUnsupported, Hint: "pseudo-terminals are made on Linux only: use --listen HOST:PORT"}
}
