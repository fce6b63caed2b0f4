package simphone

import (
	"io"
	"math/rand/v2"

	"mtkport/port/flash/brom"
	"mtkport/port/flash/da"
)

// PracticeDA writes a download agent container for practising: its form is that
// of MTK_AllInOne_DA.bin, its stages are noise. It runs on nothing but a
// simulated phone.
func PracticeDA(w io.Writer, chips ...uint16) error {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	if len(chips) == 0 {
		chips = []uint16{brom.MT6572.HWCode}
	}
	var specs []da.Spec
	for _, c := range chips {
		specs = append(specs, da.Spec{HWCode: c, HWVer: 0xCA00, First: 1, Parts: []da.Part{
			{Addr: 0x80010000, Data: noise(0x200)},
			{Addr: brom.MT6572.DA1, Data: noise(0x3000), SigLen: 0x100},
			{Addr: brom.MT6572.DA2, Data: noise(0x9000), SigLen: 0x100},
		}})
	}
	return da.Build(w, "MTK_AllInOne_DA practice, no vendor code", false, specs...)
}
