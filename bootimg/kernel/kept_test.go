package kernel

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"mtkport"
	"mtkport/testdata/realfile"
)

var update = flag.Bool("update", false, "write the kept table anew")

// answer is one kernel of the answer sheet, which was measured by other means.
type answer struct {
	Places  []string
	SHA     string `json:"sha256_16"`
	Banner  string
	Version string
	SoC     string
	Payload struct {
		Kind, Offset string
		Unpacked     int64
	}
	IKConfig  bool
	Kallsyms  int
	LCM       []string
	Camera    []struct{ ID, Name string }
	LocalInit []string `json:"local_init"`
	I2C       []struct{ Name, Address string }
}

// lists are the four tables of the sheet as sorted sets of names.
func (a *answer) lists() map[string][]string {
	m := map[string][]string{"lcm": a.LCM, "local_init": a.LocalInit}
	for _, c := range a.Camera {
		m["camera"] = append(m["camera"], c.Name+"@"+c.ID)
	}
	for _, c := range a.I2C {
		m["i2c"] = append(m["i2c"], c.Name+"@"+c.Address)
	}
	return m
}

// foundLists is the same of what we found. The sheet mixes touch panels and
// sensors as local_init: those are ours that a table registers.
func foundLists(d *Drivers) map[string][]string {
	m := map[string][]string{}
	for _, x := range d.List {
		switch {
		case x.Kind == LCM:
			m["lcm"] = append(m["lcm"], x.Name)
		case x.Kind == Camera:
			m["camera"] = append(m["camera"], x.Name+"@"+x.ID)
		case x.State == Declared:
			m["i2c"] = append(m["i2c"], x.Name+"@"+x.ID)
		case strings.HasPrefix(x.Evidence[0].Value, "init "):
			m["local_init"] = append(m["local_init"], x.Name)
		}
	}
	return m
}

// reasons say why we and the sheet differ, by the name in question.
var reasons = map[string]string{
	"(@0xc053ffd8":                  "no sensor: its id is an address, its name a bracket",
	"orap29044":                     "registered by its call; its init function is not named local_init",
	"cyttsp4_i2c_adapter@0x1a":      "registered by its call with a name of 19 letters",
	"hi258mipiyuv_cmk@0xd1":         "in the list; its init function is named SensorInit_cmk",
	"hi258mipiyuv_sw@0xd2":          "in the list; its init function is named SensorInit_sw",
	"ov5648mipi_darling@0x5648":     "in the list; its init function is named SensorInit_darling",
	"ov5648mipi_truly@0x5649":       "in the list; its init function is named SensorInit_truly",
	"ov5648mipi_sunwin@0x5650":      "in the list; its init function is named SensorInit_sunwin",
	"ov5648mipi_darling_zl@0x5652":  "in the list; its init function is named SensorInit_darling_zl",
	"hx8369_wvga_dsi_vdo_tinno_tkc": "LCM_DRIVER with two more fields in front of get_params",
	"hx8369_wvga_dsi_vdo_tinno_txd": "LCM_DRIVER with two more fields in front of get_params",
}

const noSymbols = "the kernel has no symbols: found by shape, which the sheet did not try"

// score counts right, surplus and missing names of one list over all kernels.
type score struct{ right, surplus, missing int }

func (s score) String() string {
	return fmt.Sprintf("%d | %d | %d | %s | %s", s.right, s.surplus, s.missing, percent(s.right, s.right+s.surplus), percent(s.right, s.right+s.missing))
}

func percent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// against compares two lists as multisets.
func against(got, want []string) (right int, surplus, missing []string) {
	left := map[string]int{}
	for _, w := range want {
		left[w]++
	}
	for _, g := range got {
		if left[g] > 0 {
			left[g]--
			right++
			continue
		}
		surplus = append(surplus, g)
	}
	for w, n := range left {
		for ; n > 0; n-- {
			missing = append(missing, w)
		}
	}
	sort.Strings(surplus)
	sort.Strings(missing)
	return right, surplus, missing
}

// keptTable is the table while it grows.
type keptTable struct {
	t      *testing.T
	rows   []string
	diffs  []string
	scores map[string]*score
	kinds  map[Kind][2]int // compiled, declared
	exact  int
}

var keptLists = []string{"lcm", "camera", "local_init", "i2c"}

// TestKeptTable reads a folder of kernels and boot images, compares each that
// the answer sheet knows with it, and keeps the result in testdata/kernels.md.
func TestKeptTable(t *testing.T) {
	folder := os.Getenv("MTKPORT_KERNELS")
	if folder == "" {
		t.Skip("needs a folder of kernels (MTKPORT_KERNELS)")
	}
	k := &keptTable{t: t, scores: map[string]*score{}, kinds: map[Kind][2]int{}}
	for _, l := range keptLists {
		k.scores[l] = &score{}
	}
	known := answers(t)
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			k.add(name, known[hex.EncodeToString(sum[:8])])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	compareKept(t, "testdata/kernels.md", k.String())
}

func answers(t *testing.T) map[string]*answer {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(realfile.Dir(t), "kernels.json"))
	if err != nil {
		t.Skip("needs the answer sheet kernels.json")
	}
	var list []*answer
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	m := map[string]*answer{}
	for _, a := range list {
		m[a.SHA] = a
	}
	return m
}

func compareKept(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and look at what changed\n%s", name, got)
	}
}

func (k *keptTable) add(name string, a *answer) {
	b := kernelBytes(k.t, name)
	krn, err := Open(bytes.NewReader(b), int64(len(b)))
	if errors.Is(err, mtkport.ErrFormat) && a == nil {
		return // some other file of the folder
	}
	if err != nil {
		k.t.Errorf("%s: %v", name, err)
		return
	}
	if a == nil {
		k.t.Logf("%s: %s, not in the answer sheet", name, krn.Banner())
		return
	}
	d := krn.Drivers(Builtin())
	k.facts(krn, a)
	cells := []string{a.SHA[:12], krn.SoC().Name, krn.Version(), fmt.Sprintf("%s@0x%x", krn.Payload().Method, krn.Payload().Off), fmt.Sprint(len(krn.Symbols().List))}
	got, want := foundLists(d), a.lists()
	for _, l := range keptLists {
		cells = append(cells, k.compare(l, a.SHA[:12], got[l], want[l], len(krn.Symbols().List) == 0))
	}
	for _, kind := range Kinds() {
		n := k.kinds[kind]
		for _, x := range d.Of(kind) {
			if x.State == Compiled {
				n[0]++
			} else {
				n[1]++
			}
		}
		k.kinds[kind] = n
	}
	k.rows = append(k.rows, "| "+strings.Join(cells, " | ")+" |")
}

// facts compares what must be equal: banner, payload, symbols, configuration.
func (k *keptTable) facts(krn *Kernel, a *answer) {
	p, id := krn.Payload(), a.SHA[:12]
	equal := true
	check := func(what string, got, want any) {
		if got != want {
			equal = false
			k.t.Errorf("%s: %s %v, want %v", id, what, got, want)
		}
	}
	check("banner", krn.Banner(), a.Banner)
	check("payload", fmt.Sprintf("%s 0x%x %d", p.Method, p.Off, p.Unpacked), fmt.Sprintf("%s %s %d", a.Payload.Kind, a.Payload.Offset, a.Payload.Unpacked))
	check("symbols", len(krn.Symbols().List), a.Kallsyms)
	check("embedded configuration", krn.Config().Source == Embedded, a.IKConfig)
	if soc := krn.SoC().Name; soc != "" || a.SoC != "?" {
		check("chip", soc, a.SoC)
	}
	if krn.Version() != a.Version {
		k.diffs = append(k.diffs, fmt.Sprintf("| %s | version | %s for %s | the release holds a space |", id, krn.Version(), a.Version))
	}
	if equal {
		k.exact++
	}
}

func (k *keptTable) compare(list, id string, got, want []string, bare bool) string {
	right, surplus, missing := against(got, want)
	s := k.scores[list]
	s.right, s.surplus, s.missing = s.right+right, s.surplus+len(surplus), s.missing+len(missing)
	for sign, names := range map[string][]string{"+": surplus, "-": missing} {
		for _, n := range names {
			why := reasons[n]
			if bare && sign == "+" {
				why = noSymbols
			}
			if why == "" {
				k.t.Errorf("%s: %s %s%s: no reason is known", id, list, sign, n)
			}
			k.diffs = append(k.diffs, fmt.Sprintf("| %s | %s | %s%s | %s |", id, list, sign, n, why))
		}
	}
	return fmt.Sprintf("%d/%d", right, len(want))
}

func (k *keptTable) String() string {
	sort.Strings(k.rows)
	sort.Strings(k.diffs)
	var b strings.Builder
	fmt.Fprintf(&b, "# Real kernels, read by this package\n\nMade by `MTKPORT_KERNELS=FOLDER go test -run KeptTable -update`; names and counts only.\n")
	fmt.Fprintf(&b, "Each kernel of the folder that the answer sheet (kernels.json beside the real files) knows by its SHA-256.\n\n")
	fmt.Fprintf(&b, "Banner, payload (method, offset, size), number of symbols, chip and embedded configuration equal the sheet: %d of %d kernels.\n\n", k.exact, len(k.rows))
	b.WriteString("| list | right | surplus | missing | precision | recall |\n|---|---|---|---|---|---|\n")
	for _, l := range keptLists {
		fmt.Fprintf(&b, "| %s | %s |\n", l, k.scores[l])
	}
	b.WriteString("\nlocal_init is the sheet's word for touch panels, accelerometers, magnetometers and light/proximity sensors registered by table; i2c is what the boards declare.\n")
	b.WriteString("\n| kind | compiled | declared |\n|---|---|---|\n")
	for _, kind := range Kinds() {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", kind, k.kinds[kind][0], k.kinds[kind][1])
	}
	b.WriteString("\n## Every difference, and why\n\n`+`: we find it, the sheet does not; `-`: the reverse.\n\n| kernel | list | name | reason |\n|---|---|---|---|\n")
	b.WriteString(strings.Join(k.diffs, "\n") + "\n")
	b.WriteString("\n## Kernels\n\nFound of the sheet's, by list.\n\n| sha256 | chip | version | payload | symbols | lcm | camera | local_init | i2c |\n|---|---|---|---|---|---|---|---|---|\n")
	b.WriteString(strings.Join(k.rows, "\n") + "\n")
	return b.String()
}
