package flash_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/port/flash/simphone"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
)

// yaffsImage is so many pages of 2048 bytes with 64 spare bytes, of which the
// first 16 are the file system's and the rest left to the controller.
func yaffsImage(pages int) []byte {
	b := noise(21, pages*2112)
	copy(b, []byte{3, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0xFF})
	for p := range pages {
		copy(b[p*2112+2064:(p+1)*2112], bytes.Repeat([]byte{0xFF}, 48))
	}
	return b
}

// TestFlashWithSpare: a YAFFS2 image goes onto a NAND with its spare bytes, is
// verified so, and is not written back without them.
func TestFlashWithSpare(t *testing.T) {
	t.Parallel()
	b := newBench(t, scatter.NAND)
	fw, dir := firmware(t, b, 1), t.TempDir()
	image := yaffsImage(64*9 + 3) // more than a packet
	system := filepath.Join(fw, "system.img")
	write := func(p []byte) {
		if err := os.WriteFile(system, p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(image[:len(image)-64])
	if _, err := flash.Write(t.Context(), b.config(), openSet(t, fw), opts(dir)); !errors.Is(err, mtkport.ErrRefused) || len(b.phone.Writes()) > 0 {
		t.Fatalf("an image that is not whole pages: %v", err)
	}
	write(image)

	// Torn once, in the middle: the same call goes on.
	hook, err := simphone.ParseFaults("cut@WRITE data:1")
	if err != nil {
		t.Fatal(err)
	}
	b.phone.Hook = hook
	if _, err := flash.Write(t.Context(), b.config(), openSet(t, fw), opts(dir)); !errors.Is(err, mtkport.ErrInterrupted) {
		t.Fatal(err)
	}
	b.phone.Hook = nil
	res, err := flash.Write(t.Context(), b.config(), openSet(t, fw), opts(dir))
	if err != nil {
		t.Fatal(err)
	}
	b.innocent()
	e := res.Plan.Write[0]
	if e.Partition != "ANDROID" || e.Spare != 64 || e.Len != int64(len(image))/2112*2048 {
		t.Fatalf("%+v", e)
	}
	raw := make([]byte, 2112)
	at := (e.Off + 2*2048) / 2048 * 2112 // no bad block stands in for this one
	if err := b.phone.Flash.ReadAt(identity.NAND, raw, at); err != nil || !bytes.Equal(raw, image[2*2112:3*2112]) {
		t.Errorf("the third page with its spare bytes is not on the chip: %v", err)
	}
	diff, err := flash.Verify(t.Context(), b.config(), openSet(t, fw))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diff {
		if !d.Same {
			t.Errorf("%+v", d)
		}
	}
	if err := b.phone.Flash.WriteAt(identity.NAND, []byte{0xEC, 0xC0}, at+2112-4); err != nil { // the controller's own bytes
		t.Fatal(err)
	}
	if diff, err = flash.Verify(t.Context(), b.config(), openSet(t, fw)); err != nil || !diff[0].Same {
		t.Errorf("error correction was taken for a difference: %v %v", diff, err)
	}
	if err := b.phone.Flash.WriteAt(identity.NAND, []byte{image[2*2112+2050] ^ 1}, at+2050); err != nil { // the file system's
		t.Fatal(err)
	}
	if diff, err = flash.Verify(t.Context(), b.config(), openSet(t, fw)); err != nil || diff[0].Same && diff[0].Partition == "ANDROID" {
		t.Errorf("a changed tag went unnoticed: %v %v", diff, err)
	}

	// A backup holds data bytes only: it says so, and is not written back.
	kept := filepath.Join(t.TempDir(), "stock")
	if _, err := flash.Save(t.Context(), b.config(), kept, flash.BackupOptions{Layout: b.layout}); err != nil {
		t.Fatal(err)
	}
	before := len(b.phone.Writes())
	if _, err := flash.Restore(t.Context(), b.config(), kept, opts(dir)); !errors.Is(err, mtkport.ErrRefused) || len(b.phone.Writes()) != before {
		t.Errorf("restored without spare bytes: %v", err)
	}
}
