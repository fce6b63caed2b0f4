package lzo

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	anchore "github.com/anchore/go-lzo"

	"mtkport"
	"pgregory.net/rapid"
)

func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	far := append(bytes.Clone(noise), make([]byte, 30000)...)
	for i := range far[4096:] {
		far[4096+i] = byte(rng.Uint32())
	}
	far = append(far, noise...)
	mixed := make([]byte, 65536)
	for i := range mixed {
		mixed[i] = byte(rng.Uint32N(5) * rng.Uint32N(3))
	}
	return map[string][]byte{
		"empty": nil, "one": {7}, "two": {1, 2}, "three": {1, 2, 3}, "four": {1, 2, 3, 4},
		"zeros": make([]byte, 4096), "noise": noise, "far": far, "mixed": mixed,
		"text": []byte(strings.Repeat("on boot\n    setprop ro.x 1\n    chown root system /dev/x\n", 70)),
		"238":  noise[:238], "239": noise[:239], "long": noise[:18+255+3],
		"longmatch": append(bytes.Clone(noise[:100]), bytes.Repeat([]byte{9}, 3000)...),
	}
}

func TestRoundTrip(t *testing.T) {
	c := NewCompressor()
	for name, src := range samples() {
		packed := c.Append(nil, src)
		if !bytes.Equal(packed, NewCompressor().Append(nil, src)) {
			t.Errorf("%s: a used compressor packs otherwise than a new one", name)
		}
		out := make([]byte, len(src))
		n, err := Decompress(out, packed)
		if err != nil || n != len(src) || !bytes.Equal(out, src) {
			t.Errorf("%s: %d bytes, %v, want %d", name, n, err, len(src))
		}
		if len(src) == 0 {
			continue
		}
		other := make([]byte, len(src))
		if m, err := anchore.Decompress(packed, other); err != nil || !bytes.Equal(other[:m], src) {
			t.Errorf("%s: the other decoder: %d bytes, %v", name, m, err)
		}
	}
}

func TestRoundTripAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alphabet := rapid.ByteRange(0, rapid.SampledFrom([]byte{1, 3, 255}).Draw(t, "top"))
		src := rapid.SliceOfN(alphabet, 0, 5000).Draw(t, "src")
		packed := NewCompressor().Append([]byte("head"), src)
		out := make([]byte, len(src))
		n, err := Decompress(out, packed[4:])
		if err != nil || !bytes.Equal(out[:n], src) {
			t.Fatalf("%d bytes, %v, want %d", n, err, len(src))
		}
	})
}

func TestDamage(t *testing.T) {
	src := samples()["text"]
	packed := NewCompressor().Append(nil, src)
	out := make([]byte, len(src))
	for i := range packed {
		if _, err := Decompress(out, packed[:i]); !errors.Is(err, mtkport.ErrDamaged) {
			t.Fatalf("cut at %d: %v, want damaged", i, err)
		}
	}
	for _, small := range []int{0, 1, 100, len(src) - 1} {
		if _, err := Decompress(out[:small], packed); !errors.Is(err, mtkport.ErrDamaged) {
			t.Errorf("output of %d: %v, want damaged", small, err)
		}
	}
	if _, err := Decompress(out, append(bytes.Clone(packed), 0)); err == nil {
		t.Error("a byte after the end mark: no error")
	}
}

// TestLzop reads blocks that lzop made, so that our own writer is not the only
// source of what our reader sees.
func TestLzop(t *testing.T) {
	if _, err := exec.LookPath("lzop"); err != nil {
		t.Skip("needs lzop")
	}
	for name, src := range samples() {
		if len(src) < 100 || name == "noise" || name == "239" || name == "238" || name == "long" {
			continue // lzop stores what it cannot pack
		}
		for _, level := range []string{"-1", "-9"} {
			cmd := exec.Command("lzop", level, "-c", "-F", "--no-name")
			cmd.Stdin = bytes.NewReader(src)
			got, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			block := lzopBlock(t, got)
			out := make([]byte, len(src))
			if len(block) == len(src) {
				continue
			}
			if n, err := Decompress(out, block); err != nil || !bytes.Equal(out[:n], src) {
				t.Errorf("%s %s: %d bytes, %v", name, level, n, err)
			}
		}
	}
}

// lzopBlock cuts the one block out of an lzop file: a header that ends with its
// own checksum, the lengths unpacked and packed, a checksum of the unpacked data
// (flag 1), the block, and a zero length.
func lzopBlock(t *testing.T, b []byte) []byte {
	t.Helper()
	const flags, nameLen = 17, 33
	be := func(o int) int { return int(b[o])<<24 | int(b[o+1])<<16 | int(b[o+2])<<8 | int(b[o+3]) }
	p := nameLen + 1 + int(b[nameLen]) + 4
	n := be(p + 4)
	p += 8
	if b[flags+3]&1 != 0 {
		p += 4
	}
	if p+n+4 != len(b) {
		t.Fatalf("lzop file of %d bytes: block of %d at %d does not end it", len(b), n, p)
	}
	return b[p : p+n]
}

func FuzzDecompress(f *testing.F) {
	for _, src := range samples() {
		if len(src) < 5000 {
			f.Add(NewCompressor().Append(nil, src))
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		out := make([]byte, 8192)
		n, err := Decompress(out, packed)
		if err != nil {
			return
		}
		again := make([]byte, n)
		m, err := Decompress(again, NewCompressor().Append(nil, out[:n]))
		if err != nil || !bytes.Equal(again[:m], out[:n]) {
			t.Fatalf("unpacked %d bytes do not survive packing: %v", n, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	src := samples()["text"][:4000]
	c := NewCompressor()
	b.SetBytes(int64(len(src)))
	var out []byte
	for b.Loop() {
		out = c.Append(out[:0], src)
	}
}
