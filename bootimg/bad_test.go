package bootimg_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"mtkport"
	"mtkport/bootimg"
)

// TestHostile: each broken image gives one clear error with offset, found and
// wanted.
func TestHostile(t *testing.T) {
	u32 := func(off int, v uint32) func(b []byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
	}
	for _, c := range []struct {
		name  string
		edit  func(b []byte) []byte
		class error
		text  string
	}{
		{"empty", func([]byte) []byte { return nil }, mtkport.ErrFormat, `0x0 magic: found "", want "ANDROID!" (not of this format)`},
		{"magic", func(b []byte) []byte { return append([]byte("ANDROID?"), b[8:]...) }, mtkport.ErrFormat, `0x0 magic: found "ANDROID?", want "ANDROID!" (not of this format)`},
		{"header cut", func(b []byte) []byte { return b[:500] }, mtkport.ErrDamaged, `0x0 header: found a file of 500 bytes, want 1632 bytes (damaged)`},
		{"page cut", func(b []byte) []byte { return b[:2000] }, mtkport.ErrDamaged, `0x0 header: found a file of 2000 bytes, want 2048 bytes (damaged)`},
		{"kernel cut", func(b []byte) []byte { return b[:5000] }, mtkport.ErrDamaged, `0x8 kernel_size: found 10512, want at most 2952: the section begins at 0x800 and the file has 5000 bytes (damaged)`},
		{"ramdisk gone", func(b []byte) []byte { return b[:14336] }, mtkport.ErrDamaged, `0x10 ramdisk_size: found 3512, want at most 0: the section begins at 0x3800 and the file has 14336 bytes (damaged)`},
		{"page size 0", u32(36, 0), mtkport.ErrDamaged, `0x24 page_size: found 0, want a power of two from 1024 to 131072 (damaged)`},
		{"page size odd", u32(36, 2047), mtkport.ErrDamaged, `0x24 page_size: found 2047, want a power of two from 1024 to 131072 (damaged)`},
		{"page size huge", u32(36, 0x80000000), mtkport.ErrDamaged, `0x24 page_size: found 2147483648, want a power of two from 1024 to 131072 (damaged)`},
		{"kernel size wraps", u32(8, 0xffffffff), mtkport.ErrDamaged, `0x8 kernel_size: found 4294967295, want at most 16384: the section begins at 0x800 and the file has 18432 bytes (damaged)`},
		{"ramdisk size wraps", u32(16, 0xfffff800), mtkport.ErrDamaged, `0x10 ramdisk_size: found 4294965248, want at most 4096: the section begins at 0x3800 and the file has 18432 bytes (damaged)`},
		{"second beyond", u32(24, 1), mtkport.ErrDamaged, `0x18 second_size: found 1, want at most 0: the section begins at 0x4800 and the file has 18432 bytes (damaged)`},
		{"version 3", u32(40, 3), mtkport.ErrUnsupported, `0x28 header_version: found 3, want 0, 1 or 2 (unsupported)`},
		{"version 4", u32(40, 4), mtkport.ErrUnsupported, `0x28 header_version: found 4, want 0, 1 or 2 (unsupported)`},
		{"version 17", u32(40, 17), mtkport.ErrDamaged, `0x28 header_version: found 17, want 0, 1, 2, or a device tree's size of at least 40 (damaged)`},
	} {
		b := c.edit(stock(t, noise("k", 10000), noise("r", 3000)))
		_, err := bootimg.Open(bytes.NewReader(b), int64(len(b)))
		if !errors.Is(err, c.class) || err.Error() != c.text {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.text)
		}
	}
}

func TestHostilePart(t *testing.T) {
	b := partOf(t, "LK", noise("lk", 1000))
	roundTrip(t, b)
	roundTrip(t, append(bytes.Clone(b), bytes.Repeat([]byte{0xff}, 3000)...))
	_, err := bootimg.OpenPart(bytes.NewReader(b[:900]), 900)
	if want := "0x4 part size: found 1000, want at most 388, what the file holds behind the header (damaged)"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := bootimg.OpenPart(bytes.NewReader(b[1:]), int64(len(b)-1)); !errors.Is(err, mtkport.ErrFormat) {
		t.Errorf("%v, want class ErrFormat", err)
	}
}

// FuzzOpen: whatever opens is written back byte for byte, and through a folder
// too.
func FuzzOpen(f *testing.F) {
	img := stock(f, noise("k", 3000), noise("r", 700))
	f.Add(img)
	f.Add(append(bytes.Clone(img), bytes.Repeat([]byte{0xff}, 5000)...))
	f.Add(img[:len(img)-1300])
	f.Add(partOf(f, "LK", noise("lk", 700)))
	for off, v := range map[int]byte{36: 0x10, 40: 1, 41: 8, 9: 0x20, 2048 + 4: 0xff} {
		b := bytes.Clone(img)
		b[off] = v
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := bootimg.OpenFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if o.Image != nil {
			got := write(t, o.Image.Edit())
			if !bytes.Equal(got, b) {
				t.Fatal("image: not the same bytes")
			}
			e := o.Image.Edit()
			if err := put(e, bootimg.Kernel, noise("new", 50)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if _, err := e.WriteTo(&out); err == nil {
				if _, err := bootimg.Open(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
					t.Fatalf("edited image does not open: %v", err)
				}
			}
		} else if !bytes.Equal(write(t, o.Part.Edit()), b) {
			t.Fatal("part: not the same bytes")
		}
		if out, r := repack(t, unpack(t, b)); !bytes.Equal(out, b) || !r.Identical() {
			t.Fatal("folder: not the same bytes")
		}
	})
}

// FuzzRepack: no side file makes Repack panic, read outside its folder or take
// memory by the size it names.
func FuzzRepack(f *testing.F) {
	dir := f.TempDir()
	root, _ := os.OpenRoot(dir)
	img := stock(f, noise("k", 3000), noise("r", 700))
	o, err := bootimg.OpenFile(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		f.Fatal(err)
	}
	if err := o.Unpack(f.Context(), root); err != nil {
		f.Fatal(err)
	}
	side, err := root.ReadFile(bootimg.SideName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(side)
	f.Add(bytes.Replace(side, []byte("size: 3000"), []byte("size: 99999999999"), -1))
	f.Add(bytes.Replace(side, []byte("file: kernel"), []byte("file: ../x"), -1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := root.WriteFile(bootimg.SideName, b, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := bootimg.Repack(t.Context(), root)
		if err == nil {
			_ = r.Close()
		}
	})
}
