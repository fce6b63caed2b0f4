package sysimg

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree/treetest"
	"mtkport/sysimg/ubifs"
	"mtkport/sysimg/ubifs/ubi"
)

// beside makes a UBI image of a file system and two volumes beside it.
func beside(t *testing.T) []byte {
	t.Helper()
	g := ubi.Geometry{PEBSize: 128 << 10, VIDOffset: 2048, DataOffset: 4096, ImageSeq: 7}
	var m treetest.Memory
	u, err := ubi.NewWriter(&m, g, []ubi.VolumeSpec{
		{ID: 3, Name: "kernel", LEBs: 4, DataLEBs: 3, Static: true}, {ID: 5, Name: "blob", LEBs: 6, DataLEBs: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{2*126976 + 999, 126976 + 4096} {
		if err := u.Copy(i, bytes.NewReader(treetest.Noise(n, uint64(i))), int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := ubi.Open(bytes.NewReader(m.B), int64(len(m.B)))
	if err != nil {
		t.Fatal(err)
	}
	var out treetest.Memory
	l := ubifs.Layout{Compression: ubifs.LZO, UBI: &ubifs.Volume{Geometry: g, Others: img.Volumes()}}
	if err := ubifs.Write(context.Background(), &out, sample(t), l); err != nil {
		t.Fatal(err)
	}
	return out.B
}

// TestOtherVolumes extracts an image of three volumes and builds it again: the
// same bytes, and so with the two that are no file system.
func TestOtherVolumes(t *testing.T) {
	b := beside(t)
	m, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(m.Problems(), func(f mtkport.Finding) bool { return f.Code == "ubi-volumes" && f.Severity == mtkport.Note }) {
		t.Errorf("problems %v, want a note of the volumes", m.Problems())
	}
	folder := filepath.Join(t.TempDir(), "out")
	dir, err := mtkport.CreateDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Extract(context.Background(), m, dir, nil)
	if err != nil || len(rep.Lost) > 0 {
		t.Fatalf("%v, lost %v", err, rep.Lost)
	}
	if err := dir.Commit(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenFolder(folder, Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	name := filepath.Join(t.TempDir(), "img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(context.Background(), f, again.Tree, Options{Like: again}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b) {
		t.Errorf("%d bytes, want the same %d as before", len(got), len(b))
	}
}
