package ubifs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mtkport"
	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
	"mtkport/sysimg/ubifs/ubi"
)

func write(t testing.TB, tr *tree.Tree, l Layout) []byte {
	t.Helper()
	var m treetest.Memory
	if err := Write(context.Background(), &m, tr, l); err != nil {
		t.Fatal(err)
	}
	return m.B
}

func TestRoundTrip(t *testing.T) {
	tr := treetest.Sample(t, 150)
	for name, l := range map[string]Layout{
		"lzo": {Compression: LZO}, "zlib": {Compression: Zlib}, "none": {}, "zstd": {Compression: Zstd},
		"4096": {MinIO: 4096, Compression: LZO}, "small pages": {MinIO: 512, LEBSize: 15872, Compression: LZO},
		"big lpt":  {MinIO: 512, LEBSize: 15872, MaxLEBs: 60000, Compression: LZO},
		"grown":    {Compression: LZO, LEBs: 700, MaxLEBs: 900, SpaceFixup: true},
		"ubi":      {Compression: LZO, UBI: &Volume{}},
		"ubi 4096": {Compression: LZO, MinIO: 4096, UBI: &Volume{Name: "x", ID: 5, Autoresize: true}},
	} {
		t.Run(name, func(t *testing.T) {
			img := write(t, tr, l)
			if !bytes.Equal(img, write(t, tr, l)) {
				t.Error("two runs, two images")
			}
			fs := openBytes(t, img)
			if p := fs.Problems(); len(p) != 0 {
				t.Errorf("problems: %.300v", p)
			}
			treetest.Same(t, fs.Tree(), tr)
			if again := write(t, fs.Tree(), fs.Layout()); !bytes.Equal(again, img) {
				t.Errorf("read and written again: %d bytes, were %d", len(again), len(img))
			}
			fs.rescue()
			fs.build()
			treetest.Same(t, fs.Tree(), tr)
		})
	}
}

// TestHashCollisions needs names with the same hash in one directory, which must
// lie in the index in the order of names.
func TestHashCollisions(t *testing.T) {
	byHash := map[uint32]string{}
	tr := tree.New()
	found := 0
	for i := 0; found < 20; i++ {
		name := fmt.Sprintf("n%07d", i*7919)
		h := hashName(name)
		if other, ok := byHash[h]; ok {
			for _, n := range []string{name, other} {
				if err := tr.Put(n, &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes([]byte(n))}); err != nil {
					t.Fatal(err)
				}
			}
			found++
		}
		byHash[h] = name
	}
	fs := openBytes(t, write(t, tr, Layout{}))
	for _, n := range treetest.Flatten(fs.Tree()) {
		n.MTime = tr.Root.MTime // the tree has no times
	}
	treetest.Same(t, fs.Tree(), tr)
}

func TestVolumesBeside(t *testing.T) {
	kernel := treetest.Noise(200000, 1)
	var m treetest.Memory
	u, err := ubi.NewWriter(&m, ubi.Geometry{PEBSize: 131072, VIDOffset: 2048, DataOffset: 4096, ImageSeq: 7}, []ubi.VolumeSpec{
		{ID: 0, Name: "kernel", LEBs: 4, DataLEBs: 2, Static: true}, {ID: 1, Name: "system", LEBs: 300, DataLEBs: ubi.Growing},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Copy(0, bytes.NewReader(kernel), int64(len(kernel))); err != nil {
		t.Fatal(err)
	}
	tr := treetest.Sample(t, 5)
	bare := write(t, tr, Layout{Compression: LZO, MaxLEBs: 300})
	if err := u.Copy(1, bytes.NewReader(bare), int64(len(bare))); err != nil {
		t.Fatal(err)
	}
	u.Reserve(1, 300)
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	fs := openBytes(t, m.B)
	if err := fs.Tree().Remove("lib/lib0001.so"); err != nil {
		t.Fatal(err)
	}
	again := openBytes(t, write(t, fs.Tree(), fs.Layout()))
	treetest.Same(t, again.Tree(), fs.Tree())
	vols := again.UBI().Volumes()
	if len(vols) != 2 || vols[0].Name != "kernel" || vols[0].LEBs != 4 || vols[1].LEBs != 300 {
		t.Fatalf("volumes %+v", vols)
	}
	got := make([]byte, len(kernel))
	if _, err := vols[0].ReadAt(got, 0); err != nil || !bytes.Equal(got, kernel) || vols[0].Size() != int64(len(kernel)) {
		t.Errorf("the kernel beside: %v, or other bytes", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	tr := treetest.Sample(t, 3)
	for name, l := range map[string]Layout{
		"page": {MinIO: 1000}, "leb": {LEBSize: 5000}, "fanout": {Fanout: 2}, "compression": {Compression: 9},
		"few lebs": {MaxLEBs: 12}, "log": {LogLEBs: 1}, "geometry": {UBI: &Volume{Geometry: ubi.Geometry{PEBSize: 4096}}},
	} {
		if err := Write(context.Background(), &treetest.Memory{}, tr, l); !errors.Is(err, mtkport.ErrRefused) {
			t.Errorf("%s: %v, want refused", name, err)
		}
	}
	big := tree.New()
	_ = big.Put("noise", &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Bytes(treetest.Noise(6<<20, 1))})
	for name, l := range map[string]Layout{"max": {MaxLEBs: 40}, "volume": {UBI: &Volume{LEBs: 40}, MaxLEBs: 400}} {
		err := Write(context.Background(), &treetest.Memory{}, big, l)
		if !errors.Is(err, mtkport.ErrTooBig) || !strings.Contains(err.Error(), "5079040 bytes (40 LEBs)") {
			t.Errorf("%s: %v, want too big with sizes", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(ctx, &treetest.Memory{}, tr, Layout{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	bad := tree.New()
	_ = bad.Put("f", &tree.Node{Mode: tree.Regular | 0o644, Data: tree.Section(bytes.NewReader(nil), 0, 10000)})
	if err := Write(context.Background(), &treetest.Memory{}, bad, Layout{}); err == nil || !strings.HasPrefix(err.Error(), "f: ") {
		t.Errorf("contents that end early: %v", err)
	}
}
