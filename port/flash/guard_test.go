package flash_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mtkport"
	"mtkport/port/flash"
	"mtkport/port/flash/da"
	"mtkport/port/flash/simphone"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/testdata/realfile"
)

// sacred are the names that a flash must never touch: this test's own list, not
// the guard's.
var sacred = map[string]bool{"PRELOADER": true, "MBR": true, "EBR1": true, "EBR2": true, "PRO_INFO": true, "NVRAM": true, "PROTECT_F": true, "PROTECT_S": true, "SECCFG": true, "UBOOT": true,
	"LCM": true, "PERSIST": true, "NVDATA": true, "KB": true, "SEC_RO": true, "XYZZY": true, "OTP": true, "BMTPOOL": true}

// world is one random phone with the truth about it.
type world struct {
	rng     *rand.Rand
	b       *bench
	scatter string // the true one
	areas   []simphone.Area
	d       int64
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1))}
	storage := scatter.EMMC
	if w.rng.IntN(4) == 0 {
		storage = scatter.NAND
	}
	w.build(t, storage)
	return w
}

// entries makes a random table: the usual order, odd guests in it.
func (w *world) entries(storage string) []scatter.Entry {
	unit := int64(512)
	if storage == scatter.NAND {
		unit = 0x20000
	}
	some := func(lo, hi int) int64 { return int64(lo+w.rng.IntN(hi-lo+1)) * unit }
	var out []scatter.Entry
	add := func(name, file string, size int64) {
		out = append(out, scatter.Entry{Name: name, File: file, Download: file != "", Size: size})
	}
	guest := func() {
		if w.rng.IntN(3) == 0 {
			add([]string{"LCM", "PERSIST", "NVDATA", "KB", "XYZZY"}[w.rng.IntN(5)]+"", "", some(1, 2))
		}
	}
	if storage == scatter.EMMC {
		add("PRELOADER", "preloader.bin", 0x20000*int64(2+w.rng.IntN(3)))
		add("MBR", "MBR", 0x80000)
		add("EBR1", "EBR1", 0x1000)
	} else {
		add("PRELOADER", "preloader.bin", some(1, 2))
	}
	for _, n := range []string{"PRO_INFO", "NVRAM", "PROTECT_F", "PROTECT_S", "SECCFG", "UBOOT"} {
		add(n, map[string]string{"UBOOT": "lk.bin"}[n], some(1, 3))
	}
	guest()
	for _, n := range [][2]string{{"BOOTIMG", "boot.img"}, {"RECOVERY", "recovery.img"}, {"SEC_RO", "secro.img"}, {"LOGO", "logo.bin"}} {
		add(n[0], n[1], some(10, 40)/max(1, unit/0x4000))
		out[len(out)-1].Size = max(unit, out[len(out)-1].Size/unit*unit)
	}
	if storage == scatter.EMMC && w.rng.IntN(2) == 0 {
		add("CUSTOM", "custom.img", some(8, 64))
	}
	add("ANDROID", "system.img", some(3, 9))
	add("CACHE", "cache.img", some(1, 4))
	add("USRDATA", "userdata.img", 0)
	out = append(out, scatter.Entry{Name: "BMTPOOL", FromEnd: 8, Size: 8 * 0x20000})
	at := int64(0)
	seen := map[string]bool{}
	kept := out[:0]
	for _, e := range out {
		if seen[e.Name] {
			continue
		}
		seen[e.Name] = true
		if e.FromEnd == 0 {
			e.Start = at
			at += e.Size
		}
		kept = append(kept, e)
	}
	return kept
}

func (w *world) build(t *testing.T, storage string) {
	t.Helper()
	es := w.entries(storage)
	raw, err := scatter.Build(scatter.Spec{Platform: "MT6572", Project: "world", Storage: storage, Entries: es})
	if err != nil {
		t.Fatal(err)
	}
	w.scatter = string(raw)
	l, err := scatter.Parse(raw, "MT6572_Android_scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for _, e := range es {
		end = max(end, e.Start+e.Size)
	}
	p := simphone.PracticeProfile(storage, true)
	region := identity.NAND
	if storage == scatter.EMMC {
		region = identity.EMMCUser
		ahead := es[0].Size // of which D stays in the user area
		w.d = 0x20000 * w.rng.Int64N(ahead/0x20000)
		p.EMMCGeo.Boot1 = (ahead - w.d) / 2
		p.EMMCGeo.Boot2 = p.EMMCGeo.Boot1
		p.EMMCGeo.RPMB = ahead - w.d - 2*p.EMMCGeo.Boot1
		p.EMMCGeo.User = (end-ahead+w.d+8*0x20000+0x40000)/0x20000*0x20000 + 0x20000
	} else {
		p.NANDGeo.Size = end + 12*0x20000
		p.NANDGeo.Bad = []int{1 + w.rng.IntN(20)}
	}
	w.b = &bench{t: t, phone: simphone.New(p, simphone.NewFlash(p)), layout: l}
	if w.b.guard, err = w.b.phone.Fill(l, simphone.Noise(w.rng.Uint64()), w.rng.IntN(2) == 0); err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if !sacred[e.Name] || e.FromEnd > 0 {
			continue
		}
		a := simphone.Area{Region: region, Off: e.Start, Len: e.Size, Name: e.Name}
		if storage == scatter.EMMC {
			a.Off += w.d - es[0].Size
		}
		if e.Name != "PRELOADER" || storage == scatter.NAND {
			w.areas = append(w.areas, a)
		}
	}
	w.b.phone.Protect(w.areas...)
}

// mutate makes the scatter that the user has: often the true one, often not.
func (w *world) mutate() string {
	lines := strings.Split(w.scatter, "\n")
	for range w.rng.IntN(3) {
		w.oneLie(lines)
	}
	return strings.Join(lines, "\n")
}

func (w *world) find(lines []string, key string) int {
	var at []int
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), key) {
			at = append(at, i)
		}
	}
	return at[w.rng.IntN(len(at))]
}

func (w *world) oneLie(lines []string) {
	edit := func(i int, f func(v int64) int64) {
		key, val, _ := strings.Cut(lines[i], ": ")
		v, _ := strconv.ParseInt(val, 0, 64)
		lines[i] = fmt.Sprintf("%s: 0x%x", key, max(0, f(v)))
	}
	shift := int64(w.rng.IntN(9)-4) * []int64{512, 0x20000, 0x1000, 0x80000}[w.rng.IntN(4)]
	switch w.rng.IntN(8) {
	case 0:
		edit(w.find(lines, "linear_start_addr"), func(v int64) int64 { return v + shift })
	case 1:
		edit(w.find(lines, "partition_size"), func(v int64) int64 { return v + shift })
	case 2:
		a, b := w.find(lines, "partition_name"), w.find(lines, "partition_name")
		lines[a], lines[b] = lines[b], lines[a]
	case 3: // another dialect of physical addresses
		for i, l := range lines {
			if strings.Contains(l, "physical_start_addr") {
				edit(i, func(int64) int64 { return w.rng.Int64N(1 << 24) })
				_ = l
			}
		}
	case 4:
		lines[w.find(lines, "is_download")] = "  is_download: true"
		lines[w.find(lines, "file_name")] = "  file_name: boot.img"
	case 5: // everything moved
		for i, l := range lines {
			if strings.Contains(l, "linear_start_addr") && !strings.Contains(l, "0xFFFF") && !strings.HasSuffix(l, " 0x0") {
				edit(i, func(v int64) int64 { return v + shift })
			}
		}
	case 6:
		lines[w.find(lines, "region")] = "  region: " + []string{"EMMC_BOOT_1", "EMMC_USER", "NONE"}[w.rng.IntN(3)]
	case 7:
		i := w.find(lines, "partition_name")
		lines[i] = "  partition_name: " + []string{"ANDROID", "LOGO", "BOOTIMG", "system", "CUSTOM"}[w.rng.IntN(5)]
	}
}

// folder writes the user's firmware: a scatter and images of any size.
func (w *world) folder(dir, text string) error {
	for _, f := range []string{"boot.img", "recovery.img", "logo.bin", "system.img", "cache.img", "custom.img", "userdata.img", "lk.bin", "secro.img", "preloader.bin", "MBR", "EBR1"} {
		n := 1 + w.rng.IntN(6<<10)
		if w.rng.IntN(20) == 0 {
			n = 1 + w.rng.IntN(400<<10)
		}
		if err := os.WriteFile(filepath.Join(dir, f), noise(w.rng.Uint64(), n), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "MT6572_Android_scatter.txt"), []byte(text), 0o644)
}

// decide asks the true guard many times and looks at each yes.
func (w *world) decide(n int) (yes int, crime string) {
	region := identity.EMMCUser
	if w.b.layout.Storage == scatter.NAND {
		region = identity.NAND
	}
	size := int64(8 << 20)
	for range n {
		off := w.rng.Int64N(size)
		if w.rng.IntN(2) == 0 {
			off = off / 512 * 512
		}
		if len(w.areas) > 0 && w.rng.IntN(3) == 0 { // close to what matters
			a := w.areas[w.rng.IntN(len(w.areas))]
			off = max(0, a.Off+w.rng.Int64N(2048)-1024)
		}
		l := 1 + w.rng.Int64N(1<<(1+w.rng.IntN(20)))
		c, err := w.b.guard.Clear(region, off, l, "test")
		if err != nil {
			continue
		}
		yes++
		for _, a := range w.areas {
			if c.Offset() < a.Off+a.Len && a.Off < c.Offset()+c.Len() {
				return yes, fmt.Sprintf("cleared 0x%x+0x%x, which meets %s", off, l, a.Name)
			}
		}
	}
	return yes, ""
}

// TestGuardSweep flashes random phones with true and lying scatters, bundles of
// any size, options and faults of any kind. MTKPORT_GUARD=10000 sets how often.
func TestGuardSweep(t *testing.T) {
	t.Parallel()
	rounds := 30
	if n, err := strconv.Atoi(os.Getenv("MTKPORT_GUARD")); err == nil {
		rounds = n
	}
	why := map[string]int{}
	wrote, refused, decisions, yes, crimes := 0, 0, 0, 0, 0
	for i := range rounds {
		w := newWorld(t, uint64(i))
		n, crime := w.decide(1000)
		decisions, yes = decisions+1000, yes+n
		if crime != "" {
			crimes++
			t.Errorf("world %d: %s", i, crime)
		}
		err := w.flash(t)
		w.b.serve.Wait()
		if c := w.b.phone.Crimes(); len(c) > 0 {
			crimes++
			t.Errorf("world %d: protected bytes written: %v", i, c)
		}
		if len(w.b.phone.Writes()) > 0 {
			wrote++
		}
		if err != nil {
			refused++
			why[reasonOf(err)]++
		}
	}
	for _, k := range slices.Sorted(maps.Keys(why)) {
		t.Logf("%5d %s", why[k], k)
	}
	t.Logf("flashes %d (wrote %d, refused or failed %d), guard decisions %d (yes %d), protected writes: %d", rounds, wrote, refused, decisions, yes, crimes)
	if wrote == 0 || refused == 0 || yes == 0 {
		t.Error("the sweep tries nothing")
	}
}

// reasonOf is an error without its numbers and names.
func reasonOf(err error) string {
	var e *mtkport.Error
	if errors.As(err, &e) && e.Want != "" {
		return digits.ReplaceAllString(e.Want, "N")
	}
	return digits.ReplaceAllString(err.Error(), "N")
}

var digits = regexp.MustCompile(`/\S+|0x[0-9a-f]+|[0-9]+`)

func (w *world) flash(t *testing.T) error {
	dir := quickDir(t)
	defer os.RemoveAll(dir)
	if err := w.folder(dir, w.mutate()); err != nil {
		return err
	}
	o := flash.SetOptions{UserData: w.rng.IntN(4) == 0}
	if w.rng.IntN(4) == 0 {
		o.Only = []string{"BOOTIMG", "NVRAM", "UBOOT", "LOGO"}[:1+w.rng.IntN(4)]
	}
	set, err := flash.OpenFolder(dir, o)
	if err != nil {
		return err
	}
	defer set.Close()
	if w.rng.IntN(5) == 0 {
		text := fmt.Sprintf("%s@m%d", []string{"cut", "spoil", "short", "nack"}[w.rng.IntN(4)], 20+w.rng.IntN(400))
		if w.b.phone.Hook, err = simphone.ParseFaults(text); err != nil {
			return err
		}
	}
	cfg := w.b.config()
	cfg.BROM.Poll = 4 * time.Millisecond
	cfg.DATimes.Answer, cfg.DATimes.Flash, cfg.BROM.Total = 200*time.Millisecond, 200*time.Millisecond, time.Second
	run := opts(filepath.Join(dir, "phones"))
	run.Reconnect = 1
	_, err = flash.Write(t.Context(), cfg, set, run)
	return err
}

// TestRealLayouts flashes a phone of every real layout that is at hand: the
// whole of it refused, or nothing protected written.
func TestRealLayouts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(realfile.Dir(t), "layouts", "*", "*catter*.txt"))
	if err != nil || len(files) == 0 {
		t.Skip("needs real layouts")
	}
	if os.Getenv("MTKPORT_GUARD") == "" {
		files = files[:1] // all of them take a minute
	}
	for _, name := range files {
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			l, err := flash.ReadScatter(name)
			if err != nil {
				t.Skip(err)
			}
			b, err := realPhone(t, l)
			if err != nil {
				t.Logf("no phone of it: %v", err)
				return
			}
			dir := quickDir(t)
			for _, p := range l.Partitions { // an image for everything, identity too
				file := p.Name + ".img"
				if p.Name == "" || l.Set(indexOf(l, p.Index), "file_name", file) != nil {
					continue
				}
				_ = l.SetDownload(p.Name, true)
				if err := os.WriteFile(filepath.Join(dir, file), noise(1, 3000), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), l.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			set, err := flash.OpenFolder(dir, flash.SetOptions{})
			if err != nil {
				t.Logf("refused: %v", err)
				return
			}
			defer set.Close()
			cfg := b.config()
			cfg.Chip = b.phone.Profile.HWCode
			var box bytes.Buffer
			if err := simphone.PracticeDA(&box, cfg.Chip); err != nil {
				t.Fatal(err)
			}
			if cfg.DA, err = da.Open(bytes.NewReader(box.Bytes()), int64(box.Len())); err != nil {
				t.Fatal(err)
			}
			o := opts(filepath.Join(dir, "phones"))
			o.Chunk = 16 << 20
			res, err := flash.Write(t.Context(), cfg, set, o)
			b.serve.Wait()
			if c := b.phone.Crimes(); len(c) > 0 {
				t.Fatalf("protected bytes written: %v", c)
			}
			if err != nil {
				t.Logf("refused: %v", err)
				return
			}
			t.Logf("written %d partitions, proved %d unchanged", len(res.Plan.Write), len(res.Proved))
		})
	}
}

func indexOf(l *scatter.Layout, index string) int {
	for i, p := range l.Partitions {
		if p.Index == index {
			return i
		}
	}
	return -1
}

// realPhone is a phone on which the layout may lie.
func realPhone(t *testing.T, l *scatter.Layout) (*bench, error) {
	p := simphone.PracticeProfile(l.Storage, false)
	if code, err := strconv.ParseUint(strings.TrimPrefix(l.Platform, "MT"), 16, 16); err == nil {
		p.HWCode = uint16(code)
	}
	end := int64(0)
	for _, q := range l.Partitions {
		if e, ok := q.End(); ok {
			end = max(end, e)
		}
	}
	switch {
	case p.EMMCGeo != nil:
		p.EMMCGeo.User = (end + 256<<20) / 0x80000 * 0x80000
	case p.NANDGeo != nil:
		p.NANDGeo.Size = (end + 64<<20) / 0x40000 * 0x40000
		if l.BlockSize == 0x40000 {
			p.NANDGeo.Page, p.NANDGeo.Spare = 4096, 128
		}
	default:
		return nil, errors.New("storage " + l.Storage)
	}
	b := &bench{t: t, phone: simphone.New(p, simphone.NewFlash(p)), layout: l}
	var err error
	b.guard, err = b.phone.Fill(l, simphone.Noise(3), l.Storage == scatter.EMMC)
	return b, err
}
