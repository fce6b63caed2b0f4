package ext4

import (
	"os"
	"testing"

	"mtkport/sysimg/tree"
)

func openImage(t *testing.T, name string) *FS {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func readAll(t *testing.T, n *tree.Node) []byte {
	t.Helper()
	if n.Data == nil {
		return nil
	}
	b := make([]byte, n.Data.Size())
	if err := tree.ReadFull(n.Data, b, 0); err != nil && len(b) > 0 {
		t.Error(err)
	}
	return b
}
