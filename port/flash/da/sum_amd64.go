package da

// sum64 adds the bytes of b, whose length is a multiple of 64 and not 0.
//
//go:noescape
func sum64(b []byte) uint64
