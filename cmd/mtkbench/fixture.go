package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// systemTree makes a folder like an Android system of mib MiB: libraries,
// apps, many small files, links. The same bytes every time.
func systemTree(dir string, mib int) error {
	rng := rand.New(rand.NewPCG(1, 2))
	left := int64(mib) << 20
	for i := 0; left > 0; i++ {
		sub := []string{"lib", "app", "bin", "etc/firmware", "framework", "media/audio", "fonts", "usr/share"}[i%8]
		p := filepath.Join(dir, sub, fmt.Sprintf("file%04d.so", i))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		n := fileSize(rng, i)
		n = min(n, left)
		if err := os.WriteFile(p, fileBytes(rng, n), 0o644); err != nil {
			return err
		}
		if i%8 == 0 {
			if err := os.Symlink(filepath.Base(p), p+".lnk"); err != nil {
				return err
			}
		}
		left -= n
	}
	return nil
}

// fileSize spreads sizes as a stock system does: most small, few large.
func fileSize(rng *rand.Rand, i int) int64 {
	if i%40 == 0 {
		return 4<<20 + rng.Int64N(4<<20)
	}
	return 200 + rng.Int64N(100<<10)
}

// fileBytes is half runs and half noise, so it compresses about as code does.
func fileBytes(rng *rand.Rand, n int64) []byte {
	b := make([]byte, n+8)
	for i := int64(0); i < n; i += 8 {
		if i/64%2 == 0 {
			binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
		} else {
			binary.LittleEndian.PutUint64(b[i:], 0xe1a00000e1a00000)
		}
	}
	return b[:n]
}

// features44 is what Android 4.x's own builder turns on.
const features44 = "none,ext_attr,resize_inode,filetype,extent,sparse_super,large_file,uninit_bg"

func makeExt4(img, tree string, mib int) error {
	cmd := exec.Command("mke2fs", "-q", "-F", "-t", "ext4", "-O", features44, "-b", "4096", "-I", "256",
		"-m", "0", "-L", "system", "-d", tree, img, fmt.Sprintf("%dM", mib))
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/sbin:/usr/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("mke2fs: %w: %s", err, tail(out, 300))
	}
	return nil
}

// system returns the 545 MiB tree and the 700 MiB ext4 image made of it.
func (b *bed) system() (tree, img string, err error) {
	if err := need("mke2fs"); err != nil {
		return "", "", err
	}
	if tree, err = b.input("tree", func(p string) error { return systemTree(p, 545) }); err != nil {
		return "", "", err
	}
	img, err = b.input("system.img", func(p string) error { return makeExt4(p, tree, 700) })
	return tree, img, err
}
