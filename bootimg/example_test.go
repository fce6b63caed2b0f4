package bootimg_test

import (
	"bytes"
	"fmt"
	"strings"

	"mtkport/bootimg"
)

// A fresh image as MediaTek makes it, then another ramdisk in it.
func Example() {
	kernel, ramdisk := strings.NewReader("a kernel"), strings.NewReader("a ramdisk")
	spec := bootimg.Spec{Header: bootimg.Header{Name: "bench"}, Sections: map[bootimg.Kind]bootimg.Payload{
		bootimg.Kernel:  {R: kernel, Size: kernel.Size(), Part: "KERNEL"},
		bootimg.Ramdisk: {R: ramdisk, Size: ramdisk.Size(), Part: "ROOTFS"},
	}}
	spec.Header.StockAddresses()
	var img bytes.Buffer
	if err := bootimg.Build(&img, spec); err != nil {
		fmt.Println(err)
		return
	}

	m, err := bootimg.Open(bytes.NewReader(img.Bytes()), int64(img.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	e := m.Edit()
	next := strings.NewReader("a larger ramdisk")
	if err := e.SetPayload(bootimg.Ramdisk, next, next.Size()); err != nil {
		fmt.Println(err)
		return
	}
	var out bytes.Buffer
	if _, err := e.WriteTo(&out); err != nil {
		fmt.Println(err)
		return
	}
	m, _ = bootimg.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	for _, s := range m.Sections() {
		fmt.Println(s.Kind, s.Part.Name, s.PayloadSize())
	}
	// Output:
	// kernel KERNEL 8
	// ramdisk ROOTFS 16
}
