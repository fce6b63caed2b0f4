package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// madeImage builds a small kernel image word by word: code, strings, tables,
// exports and a symbol table in the form of scripts/kallsyms.
type madeImage struct {
	data []byte
	syms []Symbol
}

func newImage() *madeImage {
	m := &madeImage{data: make([]byte, 0x100)}
	for i := range 300 { // kallsyms needs more than one marker
		m.code(fmt.Sprintf("filler_%d", i), 0xe12fff1e)
	}
	return m
}

func (m *madeImage) here() uint32 { return defaultBase + uint32(len(m.data)) }

func (m *madeImage) words(w ...uint32) uint32 {
	at := m.here()
	for _, x := range w {
		m.data = binary.LittleEndian.AppendUint32(m.data, x)
	}
	return at
}

// code appends a function and names it.
func (m *madeImage) code(name string, w ...uint32) uint32 {
	at := m.words(w...)
	m.syms = append(m.syms, Symbol{at, 't', name})
	return at
}

func (m *madeImage) str(s string) uint32 {
	at := m.here()
	m.data = append(append(m.data, s...), 0)
	for len(m.data)%4 != 0 {
		m.data = append(m.data, 0)
	}
	return at
}

// call is a function that loads r0 and r1 from its literal pool and calls.
func (m *madeImage) call(name string, target, r0, r1, r2 uint32) {
	at := m.here()
	bl := 0xeb000000 | (target-(at+12)-8)>>2&0xffffff
	m.code(name, 0xe59f0008, 0xe59f1008, 0xe59f2008, bl, r0, r1, r2)
}

func (m *madeImage) align(n int) {
	for len(m.data)%n != 0 {
		m.data = append(m.data, 0)
	}
}

// kernel adds the symbol table and makes a Kernel of it.
func (m *madeImage) kernel(align int) *Kernel {
	m.kallsyms(align)
	return &Kernel{form: Image, image: view{data: m.data, base: defaultBase}}
}

func testToken(i int) string {
	if i > ' ' && i <= '~' {
		return string(rune(i))
	}
	return fmt.Sprintf("T%02x", i)
}

func (m *madeImage) kallsyms(align int) {
	sort.SliceStable(m.syms, func(i, j int) bool { return m.syms[i].Addr < m.syms[j].Addr })
	m.align(align)
	for _, s := range m.syms {
		m.words(s.Addr)
	}
	m.align(align)
	m.words(uint32(len(m.syms)))
	m.align(align)
	begin := len(m.data)
	var markers []uint32
	for i, s := range m.syms {
		if i%markerStep == 0 {
			markers = append(markers, uint32(len(m.data)-begin))
		}
		name := string(s.Type) + s.Name
		m.data = append(append(m.data, byte(len(name))), name...)
	}
	m.align(align)
	m.words(markers...)
	m.align(align)
	var index []uint16
	begin = len(m.data)
	for i := range tokens {
		index = append(index, uint16(len(m.data)-begin))
		m.data = append(append(m.data, testToken(i)...), 0)
	}
	m.align(align)
	for _, x := range index {
		m.data = binary.LittleEndian.AppendUint16(m.data, x)
	}
	m.align(16)
}

const fn = 0xe92d4010 // push {r4, lr}

// board is a made kernel with one of everything.
func board() *madeImage {
	m := newImage()
	tpdAdd, accAdd := m.code("tpd_driver_add", fn), m.code("hwmsen_gsensor_add", fn)
	addDriver, addBoard, attach := m.code(i2cAddDriver, fn), m.code(i2cAddBoard, fn), m.code(sensorAttach, fn)
	lcmFuncs := []uint32{m.code("lcm_set_util_funcs", fn), m.code("lcm_get_params", fn), m.code("lcm_init", fn), m.code("lcm_suspend", fn), m.code("lcm_resume", fn)}
	camInitFn := m.code("OV5645_MIPI_YUV_SensorInit", fn)
	tpdInit, suspend := m.code("tpd_local_init", fn), m.code("tpd_suspend", fn)
	m.data = append(m.data, make([]byte, 0x4000)...) // the panel's code is not near the others'
	accInit, accRemove := m.code("bma222e_local_init", fn), m.code("bma222e_remove", fn)
	probe := m.code("xyz99_i2c_probe", fn)
	names := map[string]uint32{}
	for _, s := range []string{"hx8369b_fwvga_dsi_vdo", "st7701_wvga_dsi_vdo", "gt9xx", "bma222e_gsensor", "xyz99"} {
		names[s] = m.str(s)
	}
	lcmA := m.words(append([]uint32{names["hx8369b_fwvga_dsi_vdo"]}, lcmFuncs...)...)
	lcmB := m.words(append([]uint32{names["st7701_wvga_dsi_vdo"]}, lcmFuncs...)...)
	m.words(0, lcmB, lcmA, 0)
	m.record(0x5645, "ov5645_mipi_yuv", camInitFn)
	m.record(0xa6, "sp0a19yuv", tpdInit)
	m.words(make([]uint32, camRecord/4)...)
	tpd := m.words(names["gt9xx"], tpdInit, suspend, suspend, 1)
	acc := m.words(names["bma222e_gsensor"], accInit, accRemove, 0)
	ids := m.here()
	m.data = append(m.data, pad("xyz99", idRecordName)...)
	m.words(0, 0, 0, 0, 0, 0, 0)
	drv := m.words(0, 0, 0, probe, 0, 0, 0, 0, 0, 0, names["xyz99"], 0, 0, 0, 0, 0, 0, ids, 0, 0)
	info := m.here()
	m.data = append(m.data, pad("xyz99", boardName)...)
	m.words(0x48<<16, 0, 0, 0, 5)
	m.call("tpd_driver_init", tpdAdd, tpd, 0, 0)
	m.call("bma222e_init", accAdd, acc, 0, 0)
	m.call("xyz99_init", addDriver, 0, drv, 0)
	m.call("board_init", addBoard, 1, info, 1)
	at := m.here()
	m.syms = append(m.syms, Symbol{at, 't', "unused"})
	for i := range m.syms { // the probe function attaches a magnetometer
		if m.syms[i].Name == "xyz99_i2c_probe" {
			m.syms[i].Addr = at
		}
	}
	m.call("tail", attach, 1, 0, 0)
	binary.LittleEndian.PutUint32(m.data[drv-defaultBase+12:], at)
	return m
}

func pad(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

func (m *madeImage) record(id uint32, name string, init uint32) {
	m.words(id)
	m.data = append(m.data, pad(name, camNameLen)...)
	m.words(init)
}

func TestMadeBoard(t *testing.T) {
	d := board().kernel(16).Drivers(Builtin())
	for kind, want := range map[Kind]string{
		LCM:           "st7701_wvga_dsi_vdo hx8369b_fwvga_dsi_vdo",
		Camera:        "ov5645_mipi_yuv@0x5645 sp0a19yuv@0xa6",
		Touch:         "gt9xx",
		Accelerometer: "bma222e_gsensor",
		Magnetometer:  "xyz99 xyz99@0x48*",
	} {
		if got := list(d, kind); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}

// Any symbols, any alignment: what goes in comes out.
func TestKallsymsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newImage()
		for range rapid.IntRange(0, 500).Draw(t, "n") {
			m.syms = append(m.syms, Symbol{
				Addr: defaultBase + uint32(rapid.IntRange(0, 1<<20).Draw(t, "addr"))*4,
				Type: rapid.SampledFrom([]byte("TtRrWDdBbA")).Draw(t, "type"),
				Name: rapid.StringMatching(`[a-zA-Z_][a-zA-Z0-9_.]{0,40}`).Draw(t, "name"),
			})
		}
		k := m.kernel(rapid.SampledFrom([]int{4, 16}).Draw(t, "align"))
		got := k.Symbols().List
		if len(got) != len(m.syms) {
			t.Fatalf("%d symbols of %d: %v", len(got), len(m.syms), k.SymbolsErr())
		}
		for i, s := range m.syms {
			if got[i] != s {
				t.Fatalf("symbol %d: %v, want %v", i, got[i], s)
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"))
	f.Add([]byte(xzMagic + "\x00\x01\x69\x22\xde\x36"))
	f.Add([]byte("\x89LZO\x00\r\n\x1a\n\x10\x30\x20\xa0\x09\x40\x01\x05\x03\x00\x00\x01"))
	f.Add([]byte("\x02\x21\x4c\x18\x10\x00\x00\x00"))
	f.Add(append([]byte("\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00"), make([]byte, 64)...))
	f.Add(append(make([]byte, zImageOff), "\x18\x28\x6f\x01\x00\x00\x00\x00\xff\x00\x00\x00BZh91AY&SY"...))
	f.Add([]byte("\x7fELF\x01\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := Open(bytes.NewReader(b), int64(len(b)))
		if (k == nil) == (err == nil) {
			t.Errorf("kernel %v, error %v", k != nil, err)
		}
		for _, m := range methods {
			if out, used, _ := m.unpack(b, 1<<16, alone); len(out) > 1<<16+lzmaSlack || used > len(b)+lzmaMaxPerStep {
				t.Errorf("%s: %d bytes of %d used", m.name, len(out), used)
			}
		}
	})
}

// FuzzTables damages a made kernel anywhere: symbols, exports, driver tables
// and options must be read or not found, never more.
func FuzzTables(f *testing.F) {
	m := board()
	m.kallsyms(16)
	f.Add(m.data, 0, byte(0))
	f.Add(m.data[:len(m.data)-600], 64, byte(0xff))
	f.Fuzz(func(t *testing.T, b []byte, at int, with byte) {
		if at >= 0 && at < len(b) {
			b = bytes.Clone(b)
			b[at] = with
		}
		k := &Kernel{form: Image, image: view{data: b, base: defaultBase}}
		d := k.Drivers(Builtin())
		if len(k.Symbols().List) > len(b) || len(k.Exports().List) > len(b) || len(d.List) > len(b) {
			t.Error("more found than there are bytes")
		}
		k.Config()
		lkDrivers(&view{data: b, base: lkBase(&view{data: b})})
		FindDrivers(bytes.NewReader(b), int64(len(b)), Builtin())
	})
}
