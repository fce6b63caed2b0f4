package yaffs2

import (
	"bytes"
	"encoding/hex"
	"testing"

	"mtkport/sysimg/tree/treetest"
)

// readBack is the spare bytes, behind each sector, of the first pages that SP
// Flash Tool read from the system partition of an MT65xx phone with 2048-byte
// pages: the root, "app", the header of a file and its first three pages. From
// the hex dump that the PYaffs project published.
var readBack = [][4]string{
	{"ff001000000100007ef483612194fbff", "ff0000000000ffffa75b438175a3f5ff", "ff000030ffffff05e26608305b00f7ff", "ff00000005aaaadef86892e79784f2ff"},
	{"ff00100000010100781b1d72de9efdff", "ff0000000000ffffa75b438175a3f5ff", "ff000025ffffff00374b158cf3ecf4ff", "ff000000ffaaaa354ec71bbd16b3f4ff"},
	{"ff0010000002010009e18038984bf2ff", "ff0000000000ffffa75b438175a3f5ff", "ff000026ffffff0070d333b4d908fdff", "ff000000ffaaaa354ec71bbd16b3f4ff"},
	{"ff00100000020100f22f515c109ef1ff", "ff00010000000008a9eebdf41735f6ff", "ff000029ffffff05921d4765da6bfdff", "ff000000faaaaa331bbd530e57c7f7ff"},
	{"ff00100000020100d81efd0659e6ffff", "ff000200000000086e8ca791b048f9ff", "ff00002affffff05d3b46b113679f3ff", "ff000000faaaaa33bd02bc082143f9ff"},
	{"ff00100000020100e76b96e3616cf6ff", "ff00030000000008eaf7c2161abff4ff", "ff00003fffffff0dc808249087f5f5ff", "ff0000000daaaad86072b83eb22ef8ff"},
}

// TestMediaTekReadBack opens pages with the spare bytes of a real phone.
func TestMediaTekReadBack(t *testing.T) {
	data := treetest.Noise(3*2048, 5)
	heads := []header{dir755(rootObj, ""), dir755(rootObj, "app"), file644(0x101, "CameraOpen.apk", len(data))}
	var img []byte
	for i, spare := range readBack {
		page := bytes.Repeat([]byte{0xff}, 2048)
		if i < len(heads) {
			heads[i].put(page)
		} else {
			copy(page, data[(i-len(heads))*2048:])
		}
		for k, s := range spare {
			b, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			img = append(append(img, page[k*512:(k+1)*512]...), b...)
		}
	}
	fs := openBytes(t, img)
	if want := (Layout{Page: 2048, Spare: 64, Sector: 512, Tags: TagsInFDM}); fs.Layout() != want {
		t.Errorf("layout %+v, want %+v", fs.Layout(), want)
	}
	if len(fs.Problems()) > 0 {
		t.Errorf("problems: %v", fs.Problems())
	}
	n, err := fs.Tree().Lookup("app/CameraOpen.apk")
	if err != nil {
		t.Fatal(err)
	}
	if got := treetest.Contents(t, "app/CameraOpen.apk", n); !bytes.Equal(got, data) {
		t.Error("other contents")
	}
}

// TestMediaTekImage checks the spare bytes of a page as MediaTek's mkyaffs2image
// fills them.
func TestMediaTekImage(t *testing.T) {
	img := write(t, sample(t, 1), MediaTek("system"))
	spare := img[2048:2112]
	if !bytes.Equal(spare[:16], []byte{0, 0x10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}) {
		t.Errorf("tags % x", spare[:16])
	}
	if got, want := string(spare[40:64]), "system\x00\xff\xff\xff\xff\xff\xff\xff\xff\xffyaffs2\x00\xff"; got != want {
		t.Errorf("marks %q, want %q", got, want)
	}
}
