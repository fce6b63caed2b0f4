package inspect

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mtkport"
	"mtkport/bootimg/kernel"
)

// Claim is one question about a phone: what its texts say, and what parts show
// that are harder to forge.
type Claim struct {
	Question string             `json:"question"` // android-version, cpu, abi, ram, storage, panel, board, model, fingerprint
	Claimed  string             `json:"claimed"`  // empty: nothing is claimed
	Real     string             `json:"real"`     // empty: nothing shows it
	Agree    Agreement          `json:"agree"`
	Evidence []mtkport.Evidence `json:"evidence"` // of both sides
	fit      string             // for a finding: the sentence, when they disagree
}

// Agreement is how claimed and real go together.
type Agreement string

// The three answers.
const (
	Yes Agreement = "yes"
	No  Agreement = "no"
	Mum Agreement = "unknown" // one of the two is missing, or they cannot be compared
)

// see adds evidence.
func (c *Claim) see(vs ...seen) {
	for _, v := range vs {
		if v.value != "" {
			c.Evidence = append(c.Evidence, v.evidence())
		}
	}
}

func (c *Claim) set(ok bool) {
	c.Agree = No
	if ok {
		c.Agree = Yes
	}
}

// questions are asked in this order.
var questions = []func(*side) *Claim{androidVersion, cpu, abi, ram, storage, panel, board, model, fingerprint}

// judge asks every question and makes findings of those that disagree.
func (r *Report) judge(s *side) {
	for _, q := range questions {
		c := q(s)
		if c == nil || c.Claimed == "" && c.Real == "" {
			continue
		}
		if c.Agree == "" {
			c.Agree = Mum
		}
		if c.Evidence == nil {
			c.Evidence = []mtkport.Evidence{}
		}
		r.Claims = append(r.Claims, *c)
		if c.Agree == No {
			r.Findings = append(r.Findings, c.finding())
		}
	}
	r.Findings = append(r.Findings, s.overridden()...)
}

// overridden finds read-only properties that are assigned twice with different
// values, in one file or in two: the usual way to cover up an honest one.
func (s *side) overridden() []mtkport.Finding {
	var order []string
	all := map[string][]mtkport.Evidence{}
	for _, p := range slices.Backward(s.props) { // init reads default.prop first
		for _, line := range strings.Split(string(p.f.Bytes()), "\n") {
			key, val, ok := strings.Cut(strings.TrimSpace(line), "=")
			if key, val = strings.TrimSpace(key), strings.TrimSpace(val); !ok || val == "" || !strings.HasPrefix(key, "ro.") {
				continue
			}
			if all[key] == nil {
				order = append(order, key)
			}
			all[key] = append(all[key], mtkport.Evidence{File: p.file, Value: printable(key + "=" + val)})
		}
	}
	var out []mtkport.Finding
	for _, key := range order {
		if ev := all[key]; slices.ContainsFunc(ev, func(v mtkport.Evidence) bool { return v.Value != ev[0].Value }) && len(out) < 64 {
			out = append(out, codeFinding("claim-overridden", key, key+" is set twice, and differently", ev[:min(len(ev), 4)]))
		}
	}
	return out
}

// finding words a disagreement with the text of its code.
func (c *Claim) finding() mtkport.Finding {
	text := c.fit
	if text == "" {
		text = fmt.Sprintf("claims %s, is %s", c.Claimed, c.Real)
	}
	return codeFinding("claim-"+c.Question, c.Question, text, c.Evidence)
}

// codeFinding is a finding with symptom and cure of its code.
func codeFinding(code, subject, text string, ev []mtkport.Evidence) mtkport.Finding {
	f := mtkport.Finding{Code: code, Severity: mtkport.Risk, Subject: subject, Evidence: ev, Text: text}
	for _, k := range Codes() {
		if k.Code == code {
			f.Symptom, f.Fix = k.Symptom, k.Fix
		}
	}
	return f
}

// releases maps Android's releases to the sdk level (developer.android.com).
var releases = []struct {
	prefix string
	sdk    int
}{
	{"2.3.0", 9}, {"2.3.1", 9}, {"2.3.2", 9}, {"2.3", 10}, {"4.0.1", 14}, {"4.0.2", 14}, {"4.0", 15}, {"4.1", 16}, {"4.2", 17}, {"4.3", 18},
	{"4.4W", 20}, {"4.4", 19}, {"5.0", 21}, {"5.1", 22}, {"6", 23}, {"7.0", 24}, {"7.1", 25}, {"8.0", 26}, {"8.1", 27}, {"9", 28}, {"10", 29},
	{"11", 30}, {"12", 31}, {"13", 33}, {"14", 34},
}

// sdkOf is the sdk level of a release, 0 where it is none that we know.
func sdkOf(release string) int {
	for _, r := range releases {
		if rest, ok := strings.CutPrefix(release, r.prefix); ok && (rest == "" || rest[0] == '.' || rest[0] == ' ') {
			return r.sdk
		}
	}
	return 0
}

// releaseOf is the release of an sdk level, for people.
func releaseOf(sdk int) string {
	for _, r := range slices.Backward(releases) {
		if r.sdk == sdk {
			return "Android " + r.prefix
		}
	}
	return fmt.Sprintf("sdk %d", sdk)
}

// span is a range of sdk levels that a proof allows.
type span struct {
	low, high int
	seen      seen
}

// branches are MediaTek's source branches.
var branches = []struct {
	mark      string
	low, high int
}{{"GB", 9, 10}, {"ICS", 14, 15}, {"JB3", 17, 17}, {"JB", 16, 18}, {"KK", 19, 19}, {"L0", 21, 21}, {"L1", 21, 22}, {"M0", 23, 23}, {"N0", 24, 25}}

// proofs lists what shows the Android version. The sdk level comes first: apps
// break when it is forged.
func (s *side) proofs() []span {
	var out []span
	if v, ok := s.get("ro.build.version.sdk"); ok {
		if n, err := strconv.Atoi(v.value); err == nil && n > 0 && n < 100 {
			out = append(out, span{n, n, v})
		}
	}
	switch vm, v := s.vm(); vm {
	case "dalvik":
		out = append(out, span{1, 19, v})
	case "art":
		out = append(out, span{19, 99, v})
	}
	for _, key := range []string{"ro.mediatek.version.branch", "ro.mediatek.version.release"} {
		v, ok := s.get(key)
		for _, b := range branches {
			if ok && strings.Contains(strings.ToUpper(v.value), "."+b.mark) {
				out = append(out, span{b.low, b.high, v})
				break
			}
		}
	}
	if s.kernel != nil {
		v := seen{"kernel", "", "release " + s.kernel.Version()}
		switch rel, _, _ := strings.Cut(s.kernel.Version(), "-"); {
		case rel == "3.4.0" || rel == "3.4.5": // MediaTek's 4.2 kernels; 4.4 came with 3.4.67
			out = append(out, span{16, 18, v})
		case strings.HasPrefix(rel, "3.4."):
			out = append(out, span{17, 22, v})
		case strings.HasPrefix(rel, "3.10."):
			out = append(out, span{19, 25, v})
		}
	}
	return out
}

func androidVersion(s *side) *Claim {
	c := &Claim{Question: "android-version"}
	rel, ok := s.get("ro.build.version.release")
	if ok {
		c.Claimed = "Android " + printable(rel.value)
		c.see(rel)
	}
	want := sdkOf(rel.value)
	low, high := 1, 99
	var real []string
	for _, p := range s.proofs() {
		c.see(p.seen)
		if nl, nh := max(low, p.low), min(high, p.high); nl <= nh { // a later proof that contradicts the earlier ones does not move the answer
			low, high = nl, nh
		}
		if want != 0 && (want < p.low || want > p.high) {
			real = append(real, p.seen.file)
		}
	}
	switch {
	case low == high:
		c.Real = fmt.Sprintf("%s (sdk %d)", releaseOf(low), low)
	case high < 99 && low > 1:
		c.Real = fmt.Sprintf("%s to %s", releaseOf(low), strings.TrimPrefix(releaseOf(high), "Android "))
	case high < 99:
		c.Real = releaseOf(high) + " or older"
	case low > 1:
		c.Real = releaseOf(low) + " or newer"
	}
	if want != 0 && c.Real != "" {
		c.set(len(real) == 0)
		c.fit = fmt.Sprintf("%s is claimed, %s says another", c.Claimed, strings.Join(slices.Compact(real), " and "))
	}
	return c
}

func cpu(s *side) *Claim {
	c := &Claim{Question: "cpu"}
	var claimed, real []string
	for _, key := range []string{"ro.mediatek.platform", "ro.board.platform", "ro.hardware", "ro.product.cpu", "ro.cpu.model"} {
		if v, ok := s.get(key); ok {
			c.see(v)
			if x := chipIn([]byte(v.value)); x != "" {
				claimed = append(claimed, x)
			}
		}
	}
	proof := func(file, chip string) {
		if chip = strings.ToUpper(chip); chip != "" {
			real = append(real, chip)
			c.see(seen{file, "", chip})
		}
	}
	if s.loader != nil {
		proof(s.loaderFile, s.loader.Chip)
	}
	if s.kernel != nil {
		proof("kernel", s.kernel.SoC().Name)
	}
	proof(s.lkFile, s.lkChip)
	if s.scatter != nil {
		proof(s.scatterFile, chipIn([]byte(s.scatter.Platform)))
	}
	claimed, real = unique(claimed), unique(real)
	c.Claimed, c.Real = strings.Join(claimed, " and "), strings.Join(real, " and ")
	if len(claimed) > 0 && len(real) > 0 {
		c.set(len(claimed) == 1 && len(real) == 1 && sameChip(claimed[0], real[0]))
	} else if len(real) > 1 {
		c.set(false)
		c.fit = "its parts are for different chips: " + c.Real
	}
	return c
}

// sameChip: MT6582 kernels serve MT8382, MT6572 ones MT6571 and MT8312; the
// tablet names are the same silicon.
func sameChip(a, b string) bool {
	family := map[string]string{"MT6571": "MT6572", "MT8312": "MT6572", "MT8382": "MT6582", "MT8389": "MT6589", "MT8392": "MT6592"}
	if f, ok := family[a]; ok {
		a = f
	}
	if f, ok := family[b]; ok {
		b = f
	}
	return a == b
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func abi(s *side) *Claim {
	c := &Claim{Question: "abi"}
	v, ok := s.get("ro.product.cpu.abi")
	if ok {
		c.Claimed = printable(v.value)
		c.see(v)
	}
	bits, proof := s.bits()
	if bits == 0 && s.kernel != nil && s.kernel.Base() != 0 {
		bits, proof = 32, seen{"kernel", "", fmt.Sprintf("first byte at 0x%08x", s.kernel.Base())}
	}
	if bits > 0 {
		c.Real = fmt.Sprintf("%d bits", bits)
		c.see(proof)
	}
	if ok && bits > 0 {
		c.set(strings.Contains(v.value, "64") == (bits == 64))
	}
	return c
}

var (
	ramKey  = regexp.MustCompile(`(?i)(^|[._])(ram|ramsize|ram_size|memsize|memtotal|mem_total)([._]|$|size)`)
	romKey  = regexp.MustCompile(`(?i)(^|[._])(rom_?size|storage_?size|flash_?size|internal_?(storage|memory)|rom\.(size|total))($|[._])`)
	bytesOf = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?) *(kb?|kib|mb?|mib|gb?|gib)?$`)
)

// amount reads 512M, 1GB, 1048576; 0 where it is none. A bare number below
// 64 is of GiB, below 65536 of MiB, as these texts mean it.
func amount(s string) int64 {
	m := bytesOf.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0
	}
	x, err := strconv.ParseFloat(m[1], 64)
	if err != nil || x > 1<<50 {
		return 0
	}
	switch unit := strings.ToLower(m[2]); {
	case strings.HasPrefix(unit, "k"):
		x *= 1 << 10
	case strings.HasPrefix(unit, "m"), unit == "" && x >= 64 && x < 65536:
		x *= 1 << 20
	case strings.HasPrefix(unit, "g"), unit == "" && x < 64:
		x *= 1 << 30
	}
	return int64(x)
}

// mib is an amount for people.
func mib(n int64) string {
	if n >= 1<<30 && n%(1<<29) == 0 {
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', -1, 64) + " GiB"
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// claimedAmount takes the first property of a matching key that is an amount.
func (s *side) claimedAmount(c *Claim, re *regexp.Regexp) int64 {
	for _, v := range s.match(re) {
		if n := amount(v.value); n > 0 {
			c.Claimed = mib(n)
			c.see(v)
			return n
		}
	}
	return 0
}

func ram(s *side) *Claim {
	c := &Claim{Question: "ram"}
	claimed := s.claimedAmount(c, ramKey)
	if s.loader == nil || len(s.loader.EMI) == 0 {
		return c
	}
	var sizes []int64
	for i, e := range s.loader.EMI {
		c.see(seen{s.loaderFile, "", fmt.Sprintf("memory %d: %s, %s", i, e.Kind(), mib(e.DRAM()))})
		if !slices.Contains(sizes, e.DRAM()) {
			sizes = append(sizes, e.DRAM())
		}
	}
	slices.Sort(sizes)
	var text []string
	for _, n := range sizes {
		text = append(text, mib(n))
	}
	c.Real = strings.Join(text, " or ")
	if claimed > 0 { // a phone shows a little less than it has
		c.set(claimed <= sizes[len(sizes)-1])
	}
	return c
}

func storage(s *side) *Claim {
	c := &Claim{Question: "storage"}
	claimed := s.claimedAmount(c, romKey)
	if s.scatter == nil {
		return c
	}
	var end int64
	for i := range s.scatter.Partitions {
		if e, ok := s.scatter.Partitions[i].End(); ok {
			end = max(end, e)
		}
	}
	if end == 0 {
		return c
	}
	c.Real = fmt.Sprintf("%s, partitions up to %s", s.scatter.Storage, mib(end))
	c.see(seen{s.scatterFile, "", fmt.Sprintf("last known byte 0x%x", end)})
	if claimed > 0 { // chips come in powers of two and makers count in powers of ten: twice the map is too much
		c.set(claimed <= 2*end)
	}
	return c
}

// screens are the name pieces by which MediaTek's panel drivers say their size,
// and the densities that go with it.
var screens = []struct {
	piece     string
	w, h      int
	low, high int // of ro.sf.lcd_density
}{
	{"fwvga", 480, 854, 160, 240}, {"wvga", 480, 800, 160, 240}, {"hvga", 320, 480, 120, 160}, {"wsvga", 1024, 600, 120, 240},
	{"qhd", 540, 960, 200, 280}, {"hd720", 720, 1280, 240, 340}, {"fhd", 1080, 1920, 320, 480}, {"qvga", 240, 320, 100, 160}, {"hd", 720, 1280, 240, 340},
}

// screenOf finds the size that a panel's name says.
func screenOf(name string) int {
	for _, part := range strings.Split(strings.ToLower(name), "_") {
		for i, s := range screens {
			if part == s.piece {
				return i
			}
		}
	}
	return -1
}

func panel(s *side) *Claim {
	c := &Claim{Question: "panel"}
	v, ok := s.get("ro.sf.lcd_density")
	if ok {
		c.Claimed = "density " + printable(v.value)
		c.see(v)
	}
	var sizes []string
	low, high := 1<<30, 0
	widen := func(i int) {
		low, high = min(low, screens[i].low), max(high, screens[i].high)
		sizes = append(sizes, fmt.Sprintf("%dx%d", screens[i].w, screens[i].h))
	}
	if s.logoFile != "" {
		c.see(seen{s.logoFile, "", fmt.Sprintf("picture of %dx%d", s.logoW, s.logoH)})
		for i := range screens {
			if screens[i].w == s.logoW && screens[i].h == s.logoH {
				widen(i)
				break
			}
		}
	}
	if s.drivers != nil {
		for _, d := range s.drivers.Of(kernel.LCM) {
			c.see(seen{"kernel", "", "panel " + d.Name})
			if i := screenOf(d.Name); i >= 0 && s.logoFile == "" {
				widen(i)
			}
		}
	}
	c.Real = strings.Join(unique(sizes), " or ")
	if n, err := strconv.Atoi(v.value); err == nil && ok && high > 0 {
		c.set(n >= low && n <= high)
		c.fit = fmt.Sprintf("density %d does not go with a panel of %s", n, c.Real)
	}
	return c
}

func board(s *side) *Claim {
	c := &Claim{Question: "board"}
	for _, key := range []string{"ro.product.board", "ro.build.product", "ro.product.device"} {
		if v, ok := s.get(key); ok {
			if c.Claimed == "" {
				c.Claimed = printable(v.value)
			}
			c.see(v)
		}
	}
	if s.loader != nil && s.loader.Project != "" {
		c.Real = printable(s.loader.Project)
		c.see(seen{s.loaderFile, "", s.loader.File})
	}
	if s.scatter != nil && s.scatter.Project != "" {
		c.see(seen{s.scatterFile, "project", s.scatter.Project})
		if c.Real == "" {
			c.Real = printable(s.scatter.Project)
		} else if !strings.EqualFold(c.Real, s.scatter.Project) {
			c.set(false)
			c.fit = fmt.Sprintf("the preloader is for %s, the scatter for %s", c.Real, printable(s.scatter.Project))
		}
	}
	if s.kernel != nil {
		b := s.kernel.Build()
		c.see(seen{"kernel", "", "built by " + b.User + "@" + b.Host})
	}
	if c.Agree == "" && c.Claimed != "" && c.Real != "" && strings.EqualFold(c.Claimed, c.Real) {
		c.set(true) // another spelling of one board is common, so what differs is left open
	}
	return c
}

// neverMTK are makers that have sold no phone of these chips; clones bear their
// names.
var neverMTK = []string{"samsung", "apple", "google", "oneplus"}

func model(s *side) *Claim {
	c := &Claim{Question: "model"}
	brand, ok := s.get("ro.product.brand")
	m, _ := s.get("ro.product.model")
	c.Claimed = strings.TrimSpace(printable(brand.value) + " " + printable(m.value))
	c.see(brand, m)
	chip := cpu(s).Real
	if chip == "" || c.Claimed == "" {
		return c
	}
	if ok && slices.Contains(neverMTK, strings.ToLower(brand.value)) {
		c.Real = "a phone with " + chip
		c.set(false)
		c.fit = fmt.Sprintf("%s made no phone with %s: the name is a clone's", printable(brand.value), chip)
	}
	return c
}

func fingerprint(s *side) *Claim {
	c := &Claim{Question: "fingerprint"}
	v, ok := s.get("ro.build.fingerprint")
	if !ok {
		return c
	}
	c.Claimed = printable(v.value)
	c.see(v)
	// brand/name/device:release/id/number:type/keys
	head, rest, _ := strings.Cut(v.value, ":")
	release, _, _ := strings.Cut(rest, "/")
	parts := strings.Split(head, "/")
	if len(parts) != 3 || release == "" {
		return c
	}
	same := true
	for _, x := range []struct{ key, in string }{{"ro.product.device", parts[2]}, {"ro.build.version.release", release}} {
		if p, ok := s.get(x.key); ok {
			c.see(p)
			c.Real = strings.TrimSpace(c.Real + " " + printable(p.value))
			same = same && strings.EqualFold(p.value, x.in)
		}
	}
	if c.Real != "" {
		c.set(same)
		c.fit = "the fingerprint is of another build than the properties beside it"
	}
	return c
}
