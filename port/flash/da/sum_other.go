//go:build !amd64

package da

func sum64(b []byte) uint64 { return sumWords(b) }
