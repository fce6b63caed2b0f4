package ubifs

import (
	"bytes"
	"testing"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
)

// walkAll reads everything, as extraction would, but no hole of terabytes.
func walkAll(fs *FS) {
	buf := make([]byte, 64<<10)
	_ = fs.Tree().Walk(func(_ string, n *tree.Node) error {
		if n.Data == nil {
			return nil
		}
		for _, r := range n.Data.(tree.Sparse).Data() {
			for off := r.Off; off < r.Off+r.Len; off += int64(len(buf)) {
				_, _ = n.Data.ReadAt(buf[:min(int64(len(buf)), r.Off+r.Len-off)], off)
			}
		}
		return nil
	})
}

func FuzzOpen(f *testing.F) {
	img := foreign(f, treetest.Plain(treetest.Sample(f, 2)), "-m", "512", "-e", "15872", "-c", "100")
	// The fuzzer changes few bytes at a time: it is given patches to a sound
	// image, with checksums made good, rather than whole images.
	f.Add(uint32(0), []byte{1}, true)
	f.Add(uint32(15872), []byte{0, 0, 0, 0}, true)
	f.Add(uint32(len(img)-15872), []byte{0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, mend bool) {
		b := bytes.Clone(img)
		copy(b[int(at)%len(b):], patch)
		if mend {
			mendNodes(b)
		}
		if fs, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
			walkAll(fs)
			_ = fs.Layout()
		}
	})
}

// mendNodes corrects the checksum of whatever looks like a node.
func mendNodes(b []byte) {
	for p := 0; p+chSize <= len(b); p += 8 {
		if _, n, ok := parseHeader(b[p:]); ok && p+n <= len(b) {
			putCRC(b[p : p+n])
		}
	}
}
