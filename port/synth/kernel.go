package synth

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"sort"
)

// Where MediaTek's 32-bit kernels are linked, and how much a synthetic one
// unpacks to: readers take nothing below 1 MiB for a kernel.
const (
	kernelBase   = 0xC0008000
	kernelSize   = 1280 << 10
	functionSize = 16
	opReturn     = 0xe12fff1e // bx lr
)

// Camera is an image sensor in a kernel and in libcameracustom.
type Camera struct {
	Name string // as in kdSensorList
	ID   uint32
}

// Kernel says what a synthetic kernel is.
type Kernel struct {
	Version string // 3.4.5
	Builder string // user@host
	Date    string
	Panels  []string // lcm_driver_list, in probe order
	Cameras []Camera
	Touch   string
	Accel   string
}

// Vermagic is what this kernel asks of modules, trailing blank included.
func (k Kernel) Vermagic() string { return k.Version + " SMP preempt mod_unload ARMv7 " }

// imager lays an unpacked kernel out.
type imager struct {
	b    []byte
	syms []ksym
	text map[string]uint32 // strings already laid
}

type ksym struct {
	addr uint32
	typ  byte
	name string
}

func (m *imager) addr() uint32 { return kernelBase + uint32(len(m.b)) }

func (m *imager) align(n int) { m.b = append(m.b, make([]byte, -len(m.b)&(n-1))...) }

func (m *imager) word(w ...uint32) {
	for _, x := range w {
		m.b = binary.LittleEndian.AppendUint32(m.b, x)
	}
}

// fn lays a function and returns its address. Names may repeat, as the static
// functions of drivers do.
func (m *imager) fn(name string) uint32 {
	at := m.addr()
	m.syms = append(m.syms, ksym{at, 't', name})
	m.word(0xe1a0c00d, 0xe3a00000, opReturn, 0xe1a00000) // mov ip,sp; mov r0,#0; bx lr; nop
	return at
}

// str lays a string once.
func (m *imager) str(s string) uint32 {
	if at, ok := m.text[s]; ok {
		return at
	}
	m.align(4)
	at := m.addr()
	m.text[s] = at
	m.b = append(append(m.b, s...), 0)
	return at
}

func (m *imager) mark(typ byte, name string) { m.syms = append(m.syms, ksym{m.addr(), typ, name}) }

// The names of exports; modules of this package need some of them.
var exportNames = []string{
	"printk", "kmalloc", "kfree", "memcpy", "memset", "strlen", "msleep", "mutex_lock", "mutex_unlock", "wake_up_process",
	"request_threaded_irq", "free_irq", "__register_chrdev", "__unregister_chrdev", "platform_driver_register",
	"i2c_register_driver", "mt65xx_reg_sync_writel", "mt_set_gpio_out", "mt_set_gpio_mode", "mtk_wcn_stp_send_data",
}

var exportGPL = []string{"cpufreq_register_governor", "kobject_uevent", "platform_get_irq", "wakeup_source_add"}

// Image is the unpacked kernel.
func (k Kernel) Image() []byte {
	m := &imager{text: map[string]uint32{}}
	m.mark('T', "stext")
	m.mark('T', "_text")
	exported := map[string]uint32{}
	for _, n := range append(append([]string{}, exportNames...), exportGPL...) {
		exported[n] = m.fn(n)
	}
	for _, area := range []string{"mt6572_i2c", "mt6572_msdc", "mt6572_cpufreq", "mt6572_thermal", "mt6572_gpio", "mt6572_pwm", "mt6572_spi", "mt6572_uart", "mt6572_auxadc", "mt6572_rtc", "mt6572_wdt", "mt6572_disp"} {
		for _, verb := range []string{"probe", "remove", "suspend", "resume", "open", "release", "read", "write", "ioctl", "irq", "init", "exit", "start", "stop", "reset", "config", "enable", "disable", "setup", "tune", "dump", "poll", "wait", "flush", "sync", "clock"} {
			m.fn(area + "_" + verb)
		}
	}
	tables := k.driverCode(m)
	m.mark('T', "_etext")
	m.align(64)
	m.mark('R', "linux_banner")
	m.b = append(append(m.b, k.Banner()...), 0)
	m.str(k.Vermagic())
	for i := range 12 {
		m.str(fmt.Sprintf("MT6572 platform device %d", i))
	}
	m.exports("__ksymtab", exportNames, exported)
	m.exports("__ksymtab_gpl", exportGPL, exported)
	tables()
	m.kallsyms()
	return append(m.b, make([]byte, max(0, kernelSize-len(m.b)))...)
}

// Banner is what the kernel would print first.
func (k Kernel) Banner() string {
	return fmt.Sprintf("Linux version %s (%s) (gcc version 4.6.x-google 20120106 (prerelease) (GCC) ) #1 SMP PREEMPT %s\n", k.Version, k.Builder, k.Date)
}

// driverCode lays the functions of the drivers, and returns what lays their
// structures once the code is over.
func (k Kernel) driverCode(m *imager) func() {
	var lay []func()
	heads := make([]uint32, len(k.Panels))
	for i, p := range k.Panels {
		var f []uint32
		for _, n := range []string{"lcm_set_util_funcs", "lcm_get_params", "lcm_init", "lcm_suspend", "lcm_resume"} {
			f = append(f, m.fn(n))
		}
		lay = append(lay, func() {
			name := m.str(p)
			m.align(4)
			heads[i] = m.addr()
			m.word(append([]uint32{name}, f...)...)
			m.word(0, 0, 0, 0)
		})
	}
	lay = append(lay, func() { m.word(heads...); m.word(0) })
	inits := make([]uint32, len(k.Cameras))
	for i, c := range k.Cameras {
		inits[i] = m.fn(c.Name + "_SensorInit")
	}
	lay = append(lay, func() {
		for i, c := range k.Cameras {
			m.word(c.ID)
			m.b = append(m.b, append([]byte(c.Name), make([]byte, 32-len(c.Name))...)...)
			m.word(inits[i])
		}
		m.b = append(m.b, make([]byte, 40)...)
	})
	lay = append(lay, m.object(k.Touch, "tpd_local_init", "tpd_suspend", "tpd_resume"), m.object(k.Accel, k.Accel+"_local_init", k.Accel+"_remove"))
	return func() {
		m.align(16)
		for _, f := range lay {
			f()
			m.align(16)
		}
	}
}

// object lays functions now and, later, the object that a driver registers.
func (m *imager) object(name string, funcs ...string) func() {
	if name == "" {
		return func() {}
	}
	var f []uint32
	for _, n := range funcs {
		f = append(f, m.fn(n))
	}
	return func() {
		s := m.str(name)
		m.align(4)
		m.word(append([]uint32{s}, f...)...)
		m.word(0, 0, 0)
	}
}

// exports lays a table of exported symbols, sorted by name.
func (m *imager) exports(table string, names []string, addr map[string]uint32) {
	sorted := append([]string{}, names...)
	sort.Strings(sorted)
	at := make([]uint32, len(sorted))
	for i, n := range sorted {
		at[i] = m.str(n)
	}
	m.align(8)
	m.mark('R', "__start_"+table)
	for i, n := range sorted {
		m.word(addr[n], at[i])
	}
	m.mark('R', "__stop_"+table)
	m.word(0, 0)
}

// kallsyms lays the symbol table as scripts/kallsyms.c of 3.4 does, each part at a
// 16-byte boundary. Its tokens are single letters: names are not squeezed.
func (m *imager) kallsyms() {
	sort.SliceStable(m.syms, func(i, j int) bool { return m.syms[i].addr < m.syms[j].addr })
	m.align(16)
	for _, s := range m.syms {
		m.word(s.addr)
	}
	m.align(16)
	m.word(uint32(len(m.syms)), 0, 0, 0)
	start := len(m.b)
	var markers []uint32
	for i, s := range m.syms {
		if i%256 == 0 {
			markers = append(markers, uint32(len(m.b)-start))
		}
		m.b = append(m.b, byte(1+len(s.name)), s.typ)
		m.b = append(m.b, s.name...)
	}
	m.align(16)
	m.word(markers...)
	m.align(16)
	m.tokens()
}

func (m *imager) tokens() {
	start := len(m.b)
	var index []byte
	for i := range 256 {
		index = binary.LittleEndian.AppendUint16(index, uint16(len(m.b)-start))
		tok := string(rune(i))
		if i <= ' ' || i > '~' { // no letter: a token that no name uses
			tok = fmt.Sprintf("t%02x", i)
		}
		m.b = append(append(m.b, tok...), 0)
	}
	m.align(16)
	m.b = append(m.b, index...)
	m.align(16)
}

// Offsets in a zImage (arch/arm/boot/compressed/head.S), and where this one has
// its payload.
const (
	zImageMagicOff = 0x24
	zImagePayload  = 0x1000
)

// ZImage is the kernel as a boot image holds it.
func (k Kernel) ZImage() ([]byte, error) {
	var gz bytes.Buffer
	z, err := gzip.NewWriterLevel(&gz, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	img := k.Image()
	if _, err := z.Write(img); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	b := make([]byte, zImagePayload)
	for i := 0; i < 8; i++ {
		binary.LittleEndian.PutUint32(b[4*i:], 0xe1a00000) // mov r0, r0
	}
	binary.LittleEndian.PutUint32(b[0x20:], 0xea000002) // b over the magic
	b = append(b, gz.Bytes()...)
	b = append(b, make([]byte, -len(b)&3)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(img)))
	for i, w := range []uint32{0x016f2818, 0, uint32(len(b))} {
		binary.LittleEndian.PutUint32(b[zImageMagicOff+4*i:], w)
	}
	return b, nil
}
