package usb

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"syscall"
)

// lockName claims a name by a socket in the abstract name space: it is no file,
// the kernel lets one program have it, and it goes when that program goes,
// however that ends.
func lockName(name string) (release func(), err error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@mtkport:" + short(name)})
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, ErrInUse
	case err != nil: // a sandbox without such sockets
		return lockFile(fileOf(name))
	}
	return func() { _ = l.Close() }, nil
}

// short makes a name fit an address, of which the kernel takes 108 bytes.
func short(name string) string {
	if len(name) <= 80 {
		return name
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return fmt.Sprintf("%s…%016x", name[:40], h.Sum64())
}
