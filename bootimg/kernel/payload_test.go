package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"
	ulzma "github.com/ulikunitz/xz/lzma"

	"mtkport"
	"mtkport/testdata/realfile"
)

const testBanner = "Linux version 3.4.67 (user@host) (gcc version 4.7 (GCC) ) #1 SMP PREEMPT Tue Apr 7 17:00:26 CST 2015\n"

// madeKernel is 1.5 MiB that packs like code does, with a banner in it.
func madeKernel() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 3<<19)
	for i := 0; i < len(b); i += 4 {
		w := uint32(0xe5900000) | uint32(r.IntN(64))<<12
		if r.IntN(4) == 0 {
			w = 0xeb000000 | uint32(r.IntN(1<<16))
		}
		binary.LittleEndian.PutUint32(b[i:], w)
	}
	copy(b[1<<20:], testBanner)
	return b
}

// zImageOf puts a packed kernel behind a zImage head, with bytes behind it.
func zImageOf(packed []byte, tail string) []byte {
	head := make([]byte, 0x3b34)
	binary.LittleEndian.PutUint32(head[zImageOff:], zImageMagic)
	binary.LittleEndian.PutUint32(head[zImageOff+8:], uint32(len(head)+len(packed)+len(tail)))
	copy(head[0x1000:], xzMagic+"\x00\x01\x69\x22\xde\x36") // the decompressor's own magic: no payload
	copy(head[0x2000:], "\x1f\x8b\x08\x00junk")
	return append(append(head, packed...), tail...)
}

// packers pack with the tools that kernel builds use.
var packers = []struct {
	method string
	tool   []string
	tail   string
}{
	{"gzip", []string{"gzip", "-9cn"}, ""},
	{"xz", []string{"xz", "--check=crc32", "--arm", "--lzma2=,dict=32MiB", "-c"}, "\x00\x00\x18\x00"},
	{"xz", []string{"xz", "--check=crc64", "-c"}, "\x00\x00\x18\x00"},
	{"xz", []string{"xz", "-T1", "--check=crc64", "--block-size=300001", "--arm", "--lzma2=preset=6", "-c"}, "\x00\x00\x18\x00"},
	{"lzma", []string{"xz", "--format=lzma", "-c"}, "\x00\x00\x18\x00"},
	{"lzo", []string{"lzop", "-9c"}, "\x00\x00\x18\x00"},
	{"lz4", []string{"lz4", "-l", "-9", "-c"}, "\x00\x00\x18\x00"},
	{"bzip2", []string{"bzip2", "-9c"}, "\x00\x00\x18\x00"},
}

func TestPayloadMethods(t *testing.T) {
	want := madeKernel()
	for _, p := range packers {
		t.Run(p.method+" by "+p.tool[0], func(t *testing.T) {
			if _, err := exec.LookPath(p.tool[0]); err != nil {
				t.Skip("needs " + p.tool[0])
			}
			cmd := exec.Command(p.tool[0], p.tool[1:]...)
			cmd.Stdin = bytes.NewReader(want)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			z := zImageOf(packed, p.tail)
			k, err := Open(bytes.NewReader(z), int64(len(z)))
			if err != nil {
				t.Fatal(err)
			}
			if got := k.Payload(); got.Method != p.method || got.Off != 0x3b34 || !bytes.Equal(k.Image(), want) {
				t.Errorf("%+v, equal: %v", got, bytes.Equal(k.Image(), want))
			}
			for _, cut := range []int{len(packed) / 2, len(packed) - 8} {
				z := zImageOf(packed[:cut], "")
				if k, err := Open(bytes.NewReader(z), int64(len(z))); err == nil && !bytes.Equal(k.Image(), want) && p.method != "lz4" {
					t.Errorf("cut at %d of %d: no error", cut, len(packed))
				} else if err != nil && !errors.Is(err, mtkport.ErrDamaged) && !errors.Is(err, mtkport.ErrFormat) {
					t.Errorf("cut at %d: %v", cut, err)
				}
			}
		})
	}
}

// Our LZMA decoder against two others, on a real kernel and on made data.
func TestLZMAWitness(t *testing.T) {
	b := kernelBytes(t, filepath.Join(realfile.Dir(t), "boot", "pixi3-boot.img"))
	b = b[bytes.Index(b[partHeader+0x3000:], []byte(xzMagic+"\x00\x01\x69\x22\xde\x36\x02"))+partHeader+0x3000:]
	got, _, err := unxz(b, maxUnpacked, alone)
	if err != nil {
		t.Fatal(err)
	}
	z, err := xz.NewReader(bytes.NewReader(b), 0)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	want, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, the other reader has %d: %v", len(got), len(want), err)
	}
	for _, c := range []ulzma.WriterConfig{
		{Properties: &ulzma.Properties{LC: 3, LP: 0, PB: 2}},
		{Properties: &ulzma.Properties{LC: 0, LP: 2, PB: 0}, EOSMarker: true},
		{Properties: &ulzma.Properties{LC: 8, LP: 0, PB: 4}, Size: 3 << 19, SizeInHeader: true},
	} {
		var buf bytes.Buffer
		w, err := c.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		data := madeKernel()
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out, _, err := unlzma(buf.Bytes(), maxUnpacked, alone)
		if err != nil || !bytes.Equal(out, data) {
			t.Errorf("%+v: %d bytes: %v", *c.Properties, len(out), err)
		}
		if _, _, err := unlzma(buf.Bytes(), 1<<20, alone); !errors.Is(err, errBig) {
			t.Errorf("a limit of 1 MiB: %v", err)
		}
	}
}

// A payload may not unpack without bound.
func TestPayloadBound(t *testing.T) {
	var buf bytes.Buffer
	w := lz4.NewWriter(&buf)
	if err := w.Apply(lz4.LegacyOption(true)); err != nil {
		t.Fatal(err)
	}
	for range 80 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _, err := unlz4(buf.Bytes(), maxUnpacked, alone); !errors.Is(err, errBig) || len(out) > maxUnpacked {
		t.Errorf("%d bytes: %v", len(out), err)
	}
}

// Device trees behind a zImage, a part header in front, a bare Image.
func TestForms(t *testing.T) {
	raw := madeKernel()
	packed, _ := exec.Command("gzip", "-cn", writeTemp(t, raw)).Output()
	if len(packed) == 0 {
		t.Skip("needs gzip")
	}
	dtb := make([]byte, 64)
	binary.BigEndian.PutUint32(dtb, fdtMagic)
	binary.BigEndian.PutUint32(dtb[4:], 64)
	z := append(append(zImageOf(packed, ""), dtb...), dtb...)
	part := bytes.Repeat([]byte{0xff}, partHeader)
	binary.LittleEndian.PutUint32(part, partMagic)
	binary.LittleEndian.PutUint32(part[4:], uint32(len(z)))
	copy(part[8:], append([]byte("KERNEL"), make([]byte, 26)...))
	z = append(part, z...)
	k, err := Open(bytes.NewReader(z), int64(len(z)))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := k.Part()
	if len(k.DTBs()) != 2 || k.DTBs()[1].Off != int64(len(z)-64) || name != "KERNEL" || k.Start() != partHeader || k.Form() != ZImage {
		t.Errorf("%v %q %d %s", k.DTBs(), name, k.Start(), k.Form())
	}
	if k, err = Open(bytes.NewReader(raw), int64(len(raw))); err != nil || k.Form() != Image || k.Version() != "3.4.67" {
		t.Errorf("bare image: %v", err)
	}
	if k, err = Open(bytes.NewReader(packed), int64(len(packed))); err != nil || k.Form() != Packed {
		t.Errorf("bare gzip: %v", err)
	}
}

func writeTemp(t *testing.T, b []byte) string {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func ExampleOpen() {
	image := madeKernel() // in earnest: the kernel section of a boot image
	k, err := Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(k.Version(), k.Form(), k.Build().SMP)
	// Output: 3.4.67 Image true
}
