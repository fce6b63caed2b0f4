//go:build unix

package flash

import "golang.org/x/sys/unix"

// freeBytes returns what an ordinary user may still write in dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return -1, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
