package kernel

import (
	"bytes"
	"path/filepath"
	"testing"

	"mtkport/testdata/realfile"
)

// BenchmarkOpen is what `kernel drivers` does: unpack, symbols, drivers.
func BenchmarkOpen(b *testing.B) {
	for _, file := range []string{"a516-boot.img", "opi3g-boot_emmc.img"} {
		data := kernelBytes(b, filepath.Join(realfile.Dir(b), "boot", file))
		b.Run(file, func(b *testing.B) {
			for b.Loop() {
				k, err := Open(bytes.NewReader(data), int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				if len(k.Drivers(Builtin()).List) == 0 {
					b.Fatal("no drivers")
				}
			}
		})
	}
}
