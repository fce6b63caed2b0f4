package scatter

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mtkport/profiles/identity"
	"mtkport/testdata/realfile"
)

func realScatters(t testing.TB) []string {
	dir := realfile.Dir(t)
	a, _ := filepath.Glob(filepath.Join(dir, "layouts", "*", "*scatter*.txt"))
	b, _ := filepath.Glob(filepath.Join(dir, "*", "*scatter*.txt"))
	all := append(a, b...)
	if len(all) < 15 {
		t.Fatalf("%d real scatter files in %s, want 15 at least", len(all), dir)
	}
	return all
}

func mustParse(t testing.TB, file string) (*Layout, []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Parse(b, filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	return l, b
}

func TestRealByteForByte(t *testing.T) {
	for _, file := range realScatters(t) {
		l, b := mustParse(t, file)
		if !bytes.Equal(l.Bytes(), b) {
			t.Errorf("%s: written back differs", file)
		}
		if strings.Count(string(b), "partition_name:")+strings.Count(string(b), "{") != len(l.Partitions) {
			t.Errorf("%s: %d partitions read", file, len(l.Partitions))
		}
	}
}

// TestRealIdentityRanges compares with an independent reading: a regular
// expression over the text and a list of names, nothing of this package.
func TestRealIdentityRanges(t *testing.T) {
	secret := regexp.MustCompile(`(?i)^(__NODL_)?(PRO_?INFO|NVRAM|PROTECT_?[FS12]|SECCFG|FRP|NVDATA|METADATA|(OEM)?KEYSTORE|PERSIST|OPPO_CUSTOM|LCM)$`)
	entry := regexp.MustCompile(`partition_name: *(\w*)[^$]*?linear_start_addr: *0x(\w+)[^$]*?partition_size: *0x(\w+)`)
	brace := regexp.MustCompile(`(\w+) +0x(\w+)\s*\{`)
	for _, file := range realScatters(t) {
		l, b := mustParse(t, file)
		var want, got [][2]int64
		rows := entry.FindAllSubmatch(b, -1)
		for _, m := range rows {
			if secret.Match(m[1]) {
				want = append(want, [2]int64{unhex(m[2]), unhex(m[3])})
			}
		}
		for _, p := range l.Partitions {
			if p.Class == identity.Identity {
				got = append(got, [2]int64{p.Linear, p.Size})
			}
		}
		braces := brace.FindAllSubmatch(b, -1)
		for i, m := range braces {
			if secret.Match(m[1]) {
				want = append(want, [2]int64{unhex(m[2]), unhex(braces[i+1][2]) - unhex(m[2])})
			}
		}
		if len(want) < 2 || !slices.Equal(want, got) {
			t.Errorf("%s:\n got %x\nwant %x", file, got, want)
		}
	}
}

func unhex(b []byte) int64 {
	n, _ := strconv.ParseInt(string(b), 16, 64)
	return n
}

// TestRealFindings holds what is known of each file: the codes beside
// bootloader-download, which every file for a flash tool has.
func TestRealFindings(t *testing.T) {
	known := map[string]string{
		"accuchek-solo":      "line-ends name-missing operation-unknown physical-linear project-tool tag-zero",
		"acer-e39":           "physical-logical",
		"bq-e10":             "",
		"fly-iq4407":         "size-rest",
		"lenovo-s960":        "",
		"micromax-q340":      "",
		"mobiwire-s10":       "physical-logical project-tool",
		"mt6575-nand-brace":  "",
		"note4-clone-bird82": "physical-linear tag-replaced",
		"oppo-neo5":          "",
		"orangepi3g-emmc":    "index-gap overlap size-rest",
		"orangepi3g-nand":    "index-gap size-rest",
		"smartec-mica":       "identity-file line-ends",
		"symphony-h400":      "line-ends",
		"temu-t7-handmade":   "gap identity-download index-gap layout-invented overlap preloader-missing project-placeholder record-missing reserved-download",
		"a516-allegro":       "",
	}
	for _, file := range realScatters(t) {
		name := filepath.Base(filepath.Dir(file))
		want, listed := known[name]
		if !listed {
			continue
		}
		l, _ := mustParse(t, file)
		codes := map[string]bool{}
		for _, f := range Check(l) {
			codes[f.Code] = true
			if !slices.ContainsFunc(Codes(), func(c Code) bool { return c.Code == f.Code }) {
				t.Errorf("code %s is not listed", f.Code)
			}
		}
		delete(codes, "bootloader-download")
		var got []string
		for c := range codes {
			got = append(got, c)
		}
		slices.Sort(got)
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s:\n got %s\nwant %s", name, g, want)
		}
	}
}

func TestRealDialects(t *testing.T) {
	for name, want := range map[string]Dialect{
		"accuchek-solo": DialectLinear, "acer-e39": DialectLogical, "bq-e10": DialectPhysical, "fly-iq4407": DialectZero, "lenovo-s960": DialectNone,
		"micromax-q340": DialectZero, "mobiwire-s10": DialectLogical, "note4-clone-bird82": DialectLinear, "oppo-neo5": DialectZero,
		"orangepi3g-emmc": DialectZero, "orangepi3g-nand": DialectZero, "smartec-mica": DialectPhysical, "symphony-h400": DialectPhysical,
	} {
		files, _ := filepath.Glob(filepath.Join(realfile.Dir(t), "layouts", name, "*scatter*.txt"))
		if len(files) != 1 {
			t.Fatalf("%s: %d scatter files", name, len(files))
		}
		if l, _ := mustParse(t, files[0]); l.Dialect() != want {
			t.Errorf("%s: %s, want %s", name, l.Dialect(), want)
		}
	}
}

// TestRealWitnesses compares layouts with the records and kernel tables beside
// them. Every difference is explained here.
func TestRealWitnesses(t *testing.T) {
	for _, c := range []struct {
		folder, dumchar string
		ebrs            int
		want            string // codes found, and why
	}{
		{"a516-allegro", "dumchar_info", 1, "last-size"},    // USRDATA: the kernel computes the last size anew
		{"layouts/mobiwire-s10", "dumchar_rows.txt", 1, ""}, // dumped from the phone: agrees to the byte
		// hand edit: p5 and p6 emptied; FAT's start in the scatter was left behind when SYSTEM grew
		{"layouts/orangepi3g-emmc", "", 1, "record-contradicts record-empty record-empty"},
	} {
		dir := filepath.Join(realfile.Dir(t), c.folder)
		l, _ := mustParse(t, filepath.Join(dir, "MT6572_Android_scatter.txt"))
		var codes []string
		mbr, ebr := mustRecord(t, filepath.Join(dir, "MBR")), mustRecord(t, filepath.Join(dir, "EBR1"))
		found := CheckRecords(l, mbr, ebr)
		if c.dumchar != "" {
			b, err := os.ReadFile(filepath.Join(dir, c.dumchar))
			if err != nil {
				t.Fatal(err)
			}
			d, err := ParseDumchar(b, c.dumchar)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := d.MBRLinear(); !ok || int64(got) != l.Find("mbr").Linear {
				t.Errorf("%s: MBR at 0x%x by dumchar_info", c.folder, got)
			}
			found = append(found, CheckDumchar(l, d)...)
		}
		for _, f := range found {
			codes = append(codes, f.Code)
		}
		slices.Sort(codes)
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s: %s, want %s: %+v", c.folder, got, c.want, found)
		}
	}
}

func mustRecord(t *testing.T, file string) *Record {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecord(b, filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Bytes(), b[:Sector]) {
		t.Errorf("%s: written back differs", file)
	}
	return r
}

func TestRealEBRChain(t *testing.T) {
	dir := filepath.Join(realfile.Dir(t), "layouts", "ebr-chain")
	x, err := Chain(nil, mustRecord(t, filepath.Join(dir, "EBR1")), mustRecord(t, filepath.Join(dir, "EBR2")))
	if err != nil || len(x) != 4 {
		t.Fatalf("%d extents, %v", len(x), err)
	}
	// EBR2 lies at 0x80000 + 0x3280000; its first partition 0x3a2400 sectors behind it
	if last := x[3]; last.Start != 0x3300000+0x3a2400*512 || !last.ToEnd || last.Number != 8 {
		t.Errorf("last extent %+v", last)
	}
	if x[0].Start != 0x80000+0x1e800*512 || x[0].Size != 0x15e000*512 {
		t.Errorf("first extent %+v", x[0])
	}
}

// TestRealKernelTables: the table compiled into kernel and lk, where it is known.
func TestRealKernelTables(t *testing.T) {
	for _, c := range []struct {
		name    string
		explain map[string]string // what differs, and why
	}{
		{"orangepi3g-emmc", map[string]string{
			"fat":     "the scatter's start was left behind when SYSTEM grew by hand",
			"cache":   "size 0 in the table, taken out of the scatter",
			"usrdata": "size 0 in the table, taken out of the scatter"}},
		{"orangepi3g-nand", map[string]string{"fat": "size 0 in the table, taken out of the scatter"}},
	} {
		dir := filepath.Join(realfile.Dir(t), "layouts", c.name)
		l, _ := mustParse(t, filepath.Join(dir, "MT6572_Android_scatter.txt"))
		b, err := os.ReadFile(filepath.Join(dir, "kernel-table.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
			f := strings.Split(line, "\t")
			size, _ := strconv.ParseInt(f[1], 10, 64)
			start, _ := strconv.ParseInt(f[2], 0, 64)
			p := l.Find(f[0])
			differs := p == nil || p.Linear != start || (p.Size != size && size != 0)
			if _, explained := c.explain[f[0]]; differs != explained {
				t.Errorf("%s %s: differs %v, explained %v: %+v", c.name, f[0], differs, explained, p)
			}
		}
	}
}
