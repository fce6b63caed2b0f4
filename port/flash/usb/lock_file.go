package usb

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/gofrs/flock"

	"mtkport"
)

// fileOf is the lock file for a name, where there is nothing better.
func fileOf(name string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return filepath.Join(os.TempDir(), fmt.Sprintf("mtkport-port-%016x.lock", h.Sum64()))
}

// held are the lock files of this process: flock does not keep a process from
// itself.
var held struct {
	sync.Mutex
	m map[string]bool
}

// lockFile claims a name by locking a file, which is removed at release.
func lockFile(file string) (release func(), err error) {
	held.Lock()
	defer held.Unlock()
	if held.m[file] {
		return nil, ErrInUse
	}
	l, err := ours(file)
	if err != nil {
		return nil, err
	}
	if held.m == nil {
		held.m = map[string]bool{}
	}
	held.m[file] = true
	return func() {
		held.Lock()
		defer held.Unlock()
		delete(held.m, file)
		if runtime.GOOS == "windows" { // which removes no open file, so nobody's lock either
			_ = l.Unlock()
			_ = os.Remove(file)
			return
		}
		// While the lock is held the name leads to the locked file and no other.
		_ = os.Remove(file)
		_ = l.Unlock()
	}, nil
}

// ours locks the file that has the name. One that its last owner removed
// between our opening and our locking is no lock: another file has the name, or
// will have it.
func ours(file string) (*flock.Flock, error) {
	for {
		l := flock.New(file, flock.SetPermissions(0o666))
		ok, err := l.TryLock()
		if err != nil {
			return nil, &mtkport.Error{File: file, Off: mtkport.NoOffset, Field: "lock", Err: err,
				Hint: "another user's lock may lie there; remove the file when no mtkport runs"}
		}
		if !ok {
			_ = l.Close()
			return nil, ErrInUse
		}
		if hasName(l, file) {
			return l, nil
		}
		_ = l.Unlock()
	}
}

// hasName says whether the locked file still has its name.
func hasName(l *flock.Flock, file string) bool {
	mine, err := l.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(file)
	return err == nil && os.SameFile(mine, now)
}
