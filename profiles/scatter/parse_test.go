package scatter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mtkport"
	"mtkport/profiles/identity"
)

// small is a whole file of the generator's form with a few partitions.
func small(t testing.TB) []byte {
	t.Helper()
	b, err := Build(Spec{Project: "demo", Entries: []Entry{
		{Name: "PRELOADER", Size: 0x600000, File: "preloader_demo.bin", Download: true}, {Name: "MBR", Size: 0x80000, File: "MBR", Download: true},
		{Name: "NVRAM", Size: 0x500000}, {Name: "UBOOT", Size: 0x60000, File: "lk.bin", Download: true},
		{Name: "BOOTIMG", Size: 0x600000, File: "boot.img", Download: true}, {Name: "ANDROID", Size: 0x10000000, File: "system.img", Download: true},
		{Name: "USRDATA", Size: 0x20000000, File: "userdata.img", Download: true}, {Name: "BMTPOOL", FromEnd: 0xa8, Size: 0x1500000}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLiberal dresses one file in every oddity that the field has shown; it must
// read the same and come back to the byte.
func TestLiberal(t *testing.T) {
	plain := string(small(t))
	want, err := Parse([]byte(plain), "MT6572_Android_scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, code string }{
		"CRLF":                  {strings.ReplaceAll(plain, "\n", "\r\n"), "line-ends"},
		"CR":                    {strings.ReplaceAll(plain, "\n", "\r"), "line-ends"},
		"byte order mark":       {bom + plain, "byte-order-mark"},
		"mark before an entry":  {bom + plain[strings.Index(plain, "- general"):], "byte-order-mark"},
		"no last line end":      {strings.TrimRight(plain, "\n"), "last-line"},
		"tabs":                  {strings.ReplaceAll(plain, "  ", "\t"), ""},
		"no indentation":        {strings.ReplaceAll(strings.ReplaceAll(plain, "    - config", "- config"), "\n  ", "\n"), ""},
		"no blanks after colon": {strings.ReplaceAll(plain, ": ", ":"), ""},
		"no banners":            {plain[strings.Index(plain, "- general"):], ""},
		"author in the banner":  {strings.Replace(plain, "########", "##__me__", 1), ""},
		"comments":              {strings.ReplaceAll(plain, "\n  type:", "\n# what it is\n  type:"), ""},
		"comment behind":        {strings.ReplaceAll(plain, "is_download: false", "is_download: false  # never"), ""},
		"upper-case keys":       {strings.ReplaceAll(plain, "is_download:", "IS_DOWNLOAD:"), ""},
		"quotes":                {strings.ReplaceAll(plain, "file_name: NONE", `file_name: "NONE"`), ""},
		"upper-case hex":        {strings.ReplaceAll(plain, "0x600000", "0X600000"), ""},
		"unknown key":           {strings.ReplaceAll(plain, "  reserve: 0x00", "  color: blue\n  reserve: 0x00"), "key-unknown"},
		"later keys":            {strings.ReplaceAll(plain, "  reserve: 0x00", "  is_upgradable: true\n  reserve: 0x00"), ""},
		"other order":           {strings.ReplaceAll(plain, "  type: NORMAL_ROM\n  linear", "  linear"), "key-missing"},
		"size first":            {strings.Replace(plain, "  file_name: boot.img\n", "  reserve: 0x00\n  file_name: boot.img\n", 1), "keys-order"},
		"a stray line":          {strings.Replace(plain, "- partition_index: SYS2", "what is this\n- partition_index: SYS2", 1), "line-unread"},
		"double empty lines":    {strings.ReplaceAll(plain, "\n\n", "\n\n\n"), ""},
		"a gap in SYSn":         {strings.ReplaceAll(plain, "SYS7", "SYS9"), "index-gap"},
		"SYSn twice":            {strings.ReplaceAll(plain, "SYS7", "SYS6"), "index-twice"},
		"an odd index":          {strings.ReplaceAll(plain, "SYS7", "last"), "index-odd"},
		"index without dash":    {strings.ReplaceAll(plain, "- partition_index", "partition_index"), ""},
		"a key twice":           {strings.Replace(plain, "  type: NORMAL_ROM", "  type: NORMAL_ROM\n  type: X", 1), "key-twice"},
		"a bad physical":        {strings.Replace(plain, "physical_start_addr: 0x0", "physical_start_addr: here", 1), "number-unreadable"},
		"no general section":    {plain[strings.Index(plain, "- partition_index"):], "general-missing"},
	} {
		l, err := Parse([]byte(c.text), "MT6572_Android_scatter.txt")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(l.Bytes()) != c.text {
			t.Errorf("%s: written back differs", name)
		}
		if l.Storage != EMMC || l.Platform != "MT6572" || len(l.Partitions) != len(want.Partitions) {
			t.Errorf("%s: %s %s, %d partitions", name, l.Platform, l.Storage, len(l.Partitions))
			continue
		}
		for i, p := range l.Partitions {
			w := want.Partitions[i]
			if p.Name != w.Name || p.Linear != w.Linear || p.Size != w.Size || p.File != w.File || p.Download != w.Download || p.Region != w.Region || p.FromEnd != w.FromEnd {
				t.Errorf("%s: %+v\nwant %+v", name, p, w)
			}
		}
		if found := codesOf(Check(l)); c.code != "" && !slices.Contains(found, c.code) {
			t.Errorf("%s: %v, want %s", name, found, c.code)
		}
	}
}

func codesOf(found []mtkport.Finding) []string {
	var out []string
	for _, f := range found {
		out = append(out, f.Code)
	}
	return out
}

func TestParseRefuses(t *testing.T) {
	plain := string(small(t))
	for name, c := range map[string]struct {
		text  string
		class error
		says  string
	}{
		"empty":         {"", mtkport.ErrFormat, "no partition"},
		"no list":       {"import x\nwidth 0x10\nprint x\n", mtkport.ErrFormat, "2 lines that are no partitions"},
		"other text":    {"#!/bin/sh\necho: hello\n", mtkport.ErrFormat, "no partition"},
		"XML":           {"<?xml version=\"1.0\"?>\n<root/>\n", mtkport.ErrFormat, "XML"},
		"binary":        {"\x7fELF\x00", mtkport.ErrFormat, "a zero byte"},
		"UTF-16":        {"\xff\xfe#\x00", mtkport.ErrFormat, "UTF-16"},
		"huge":          {strings.Repeat("#", MaxFile+1), mtkport.ErrFormat, "at most"},
		"no address":    {strings.Replace(plain, "linear_start_addr: 0xb80000", "linear_start_addr: soon", 1), mtkport.ErrDamaged, `"soon"`},
		"no such key":   {strings.Replace(plain, "  partition_size: 0x500000\n", "", 1), mtkport.ErrDamaged, "NVRAM partition_size"},
		"absurd":        {strings.Replace(plain, "0x500000", "0xffffffffffffffff", 1), mtkport.ErrDamaged, "0xffffffffffffffff"},
		"negative":      {strings.Replace(plain, "0x500000", "-5", 1), mtkport.ErrDamaged, `"-5"`},
		"absurd braces": {"A 0xffffffffffffffff\n{\n}\n", mtkport.ErrDamaged, "0xffffffffffffffff"},
		"many":          {strings.Repeat("A 0x0\n{\n}\n", MaxPartitions+1), mtkport.ErrFormat, "at most 1024"},
	} {
		_, err := Parse([]byte(c.text), "x.txt")
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "x.txt: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEdits changes one value at a time: every other byte stays.
func TestEdits(t *testing.T) {
	for _, form := range []func(string) string{
		func(s string) string { return s },
		func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		func(s string) string { return strings.ReplaceAll(s, ": ", ":\t") + "# end" },
	} {
		text := form(string(small(t)))
		for _, c := range []struct {
			edit     func(*Layout) error
			from, to string
		}{
			{func(l *Layout) error { return l.SetDownload("lk", false) }, "", ""},
			{func(l *Layout) error { return l.SetFile("boot", "new.img") }, "boot.img", "new.img"},
			{func(l *Layout) error { return l.SetFile("system", "") }, "system.img", "NONE"},
			{func(l *Layout) error { return l.SetSize("NVRAM", 0x400000) }, "0x500000", "0x400000"},
		} {
			l, err := Parse([]byte(text), "s.txt")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.edit(l); err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(text, c.from, c.to, 1)
			if c.from == "" { // the first is_download behind lk.bin
				at := strings.Index(text, "lk.bin")
				want = text[:at] + strings.Replace(text[at:], "true", "false", 1)
			}
			if got := string(l.Bytes()); got != want {
				t.Errorf("%s to %s: other bytes changed", c.from, c.to)
			}
		}
	}
	l, err := Parse(small(t), "s.txt")
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(l.Bytes())
	for name, err := range map[string]error{
		"no such partition": l.SetFile("NOWHERE", "x"), "two lines": l.SetFile("boot", "a\nb"), "no address": l.Set(2, "linear_start_addr", "x"),
		"no such key": l.Set(2, "colour", "x"), "no such entry": l.Set(99, "type", "x"),
	} {
		if err == nil || !bytes.Equal(l.Bytes(), before) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBraces(t *testing.T) {
	text := "PRELOADER 0x0\n{\n}\nMBR 0x600000\r\n{\n}\n__NODL_NVRAM 0xA00000\n{ }\nANDROID 0x1000000 {\n}\nUSRDATA 0x2000000\n{\n}\n__NODL_RSV_OTP 0xFFFF0200\n{\n}\n__NODL_BMTPOOL 0xFFFF00a8\n{\n}\n\n\n"
	l, err := Parse([]byte(text), `C:\rom\MT6589_Android_scatter_emmc.txt`)
	if err != nil {
		t.Fatal(err)
	}
	if l.Version != BraceVersion || l.Platform != "MT6589" || l.Storage != EMMC || string(l.Bytes()) != text || len(l.Partitions) != 7 {
		t.Fatalf("%+v", l)
	}
	nv := l.Find("nvram")
	if nv.Download || nv.Size != 0x600000 || !nv.SizeDerived || nv.Region != identity.EMMCUser || nv.Class != identity.Identity {
		t.Errorf("%+v", nv)
	}
	if otp := l.Find("OTP"); !otp.FromEnd || otp.EndBlocks != 0x200 {
		t.Errorf("%+v", otp)
	}
	if err := l.SetDownload("system", false); err != nil || !strings.Contains(string(l.Bytes()), "__NODL_ANDROID 0x1000000 {") {
		t.Errorf("%v: %s", err, l.Bytes())
	}
	if err := l.SetDownload("system", true); err != nil || string(l.Bytes()) != text {
		t.Errorf("%v: %s", err, l.Bytes())
	}
	if err := l.SetFile("system", "x.img"); !errors.Is(err, mtkport.ErrUnsupported) {
		t.Errorf("file name in braces: %v", err)
	}
}

// TestList: the map inside an OTA package has names and starts only. It marks
// nothing for download, so it must not be read as if all were marked.
func TestList(t *testing.T) {
	text := "preloader 0x0\npgpt 0x0\nnvram 0x8000\nsystem 0x508000\nuserdata 0x10508000\nflashinfo 0xFFFF0080\nsgpt 0xFFFF0000\n"
	l, err := Parse([]byte(text), "scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	if l.Version != ListVersion || !l.IsBrace() || l.Storage != EMMC || string(l.Bytes()) != text || l.Dialect() != DialectNone {
		t.Fatalf("%+v", l)
	}
	if nv := l.Find("nvram"); nv.Download || nv.Size != 0x500000 || nv.Class != identity.Identity {
		t.Errorf("%+v", nv)
	}
	for _, f := range Check(l) {
		if f.Severity > mtkport.Note {
			t.Errorf("%+v", f)
		}
	}
	if err := l.SetDownload("system", true); !errors.Is(err, mtkport.ErrUnsupported) || string(l.Bytes()) != text {
		t.Errorf("%v", err)
	}
	if err := l.SetDownload("nvram", false); err != nil {
		t.Error(err)
	}
}

// v2 is a file of later chips: one layout for each storage the board may bear.
func v2(storages ...string) string {
	text := "- general: MTK_PLATFORM_CFG\n  info: \n    - config_version: V2.1.0\n      platform: MT6781\n      project: demo\n"
	for _, s := range storages {
		text += "# " + s + " Layout Setting\n- storage_type: " + s + "\n  description: \n  - general: MTK_STORAGE_CFG\n    info: \n      - storage: " + s + "\n        block_size: 0x20000\n\n"
		for i, name := range []string{"preloader", "pgpt", "nvram", "boot_a"} {
			region := s + "_USER"
			if i == 0 {
				region = s + "_BOOT1"
			}
			text += fmt.Sprintf("  - partition_index: SYS%d\n    partition_name: %s\n    file_name: NONE\n    is_download: false\n    type: NORMAL_ROM\n    linear_start_addr: 0x%x\n    physical_start_addr: 0x%x\n"+
				"    partition_size: 0x8000\n    region: %s\n    storage: HW_STORAGE_%s\n    boundary_check: true\n    is_reserved: false\n    operation_type: UPDATE\n    reserve: 0x00\n\n", i, name, max(0, i-1)*0x8000, max(0, i-1)*0x8000, region, s)
		}
	}
	return text
}

// TestV2 takes the layout of the storage that is known, and keeps the other.
func TestV2(t *testing.T) {
	for _, order := range [][]string{{"EMMC", "UFS"}, {"UFS", "EMMC"}} {
		text := v2(order...)
		l, err := Parse([]byte(text), "s.txt")
		if err != nil {
			t.Fatal(err)
		}
		if l.Storage != EMMC || l.Version != "V2.1.0" || l.Platform != "MT6781" || l.BlockSize != 0x20000 || len(l.Partitions) != 4 || string(l.Bytes()) != text {
			t.Fatalf("%+v", l)
		}
		if nv := l.Find("nvram"); nv.Linear != 0x8000 || nv.Region != identity.EMMCUser || nv.Class != identity.Identity {
			t.Errorf("%+v", nv)
		}
		if codes := codesOf(Check(l)); !slices.Equal(codes, []string{"storage-more"}) {
			t.Errorf("%v: %v", order, codes)
		}
	}
	l, err := Parse([]byte(v2("UFS")), "s.txt")
	if err != nil || l.Storage != "UFS" || !slices.Contains(codesOf(Check(l)), "storage-unknown") {
		t.Errorf("%v %+v", err, l)
	}
}

// TestDeriveLater: of a layout with a GPT: sgpt keeps its tag of 0 blocks, and
// names their spelling.
func TestDeriveLater(t *testing.T) {
	text := "preloader 0x0\npgpt 0x0\nnvram 0x8000\nsystem 0x508000\nuserdata 0x10508000\nflashinfo 0xFFFF0080\nsgpt 0xFFFF0000\n"
	l, err := Parse([]byte(text), "scatter.txt")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Derive(Sources{Scatter: l})
	if err != nil {
		t.Fatal(err)
	}
	if p := d.Find("sgpt"); p == nil || !p.FromEnd || p.EndBlocks != 0 || p.Name != "sgpt" {
		t.Errorf("%+v", p)
	}
	if p := d.Find("flashinfo"); p == nil || p.EndBlocks != 0x80 {
		t.Errorf("%+v", p)
	}
	if p := d.Find("nvram"); p == nil || p.Download || p.File != "" || p.Name != "nvram" {
		t.Errorf("%+v", p)
	}
	for _, f := range Check(d) {
		if f.Code == "overlap" {
			t.Errorf("%+v", f)
		}
	}
}

// TestProjectNames: full_demo and demo are one project, and later makers rename
// theirs while the preloader keeps the name of the chip's own board.
func TestProjectNames(t *testing.T) {
	plain := strings.Replace(string(small(t)), "V1.1.1", "V1.1.2", 1)
	for project, weight := range map[string]mtkport.Severity{"full_demo": -1, "DEMO": -1, "biloba": mtkport.Risk} {
		l, err := Parse([]byte(strings.Replace(plain, "project: demo", "project: "+project, 1)), "s.txt")
		if err != nil {
			t.Fatal(err)
		}
		got := mtkport.Severity(-1)
		for _, f := range Check(l) {
			if f.Code == "project-differs" {
				got = f.Severity
			}
		}
		if got != weight {
			t.Errorf("%s: severity %d, want %d", project, got, weight)
		}
	}
}

// TestTags: an address in the range of tags is honest where an entry ends there,
// or where nothing says reserved.
func TestTags(t *testing.T) {
	file := func(entries ...Entry) *Layout {
		b, err := Build(Spec{Project: "p", Entries: entries})
		if err != nil {
			t.Fatal(err)
		}
		l, err := Parse(b, "s.txt")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := file(Entry{Name: "ANDROID", Start: 0x1000000, Size: 0xFFFF0000 - 0x1000000}, Entry{Name: "USRDATA", Start: 0xFFFF0000, Size: 0x100000}, Entry{Name: "BMTPOOL", FromEnd: 0xa8})
	if p := l.Partitions[1]; p.FromEnd || p.Size != 0x100000 {
		t.Errorf("honest address taken for a tag: %+v", p)
	}
	if p := l.Partitions[2]; !p.FromEnd || p.EndBlocks != 0xa8 {
		t.Errorf("tag taken for an address: %+v", p)
	}
	l = file(Entry{Name: "ANDROID", Start: 0x1000000, Size: 0xFFFF00a8 - 0x1000000}, Entry{Name: "BMTPOOL", Start: 0xFFFF00a8, Size: 512})
	if p := l.Partitions[1]; p.FromEnd {
		t.Errorf("honest address of a reserved partition taken for a tag: %+v", p)
	}
}

// TestEveryCheck makes each danger and looks for its code.
func TestEveryCheck(t *testing.T) {
	plain := string(small(t))
	for code, text := range map[string]string{
		"overlap":             strings.Replace(plain, "partition_size: 0x500000", "partition_size: 0x600000", 1),
		"gap":                 strings.Replace(plain, "partition_size: 0x500000", "partition_size: 0x400000", 1),
		"order":               strings.Replace(plain, "linear_start_addr: 0xb80000", "linear_start_addr: 0x80000", 1),
		"misaligned":          strings.Replace(plain, "partition_size: 0x500000", "partition_size: 0x4fffff", 1),
		"identity-download":   strings.Replace(plain, "NVRAM\n  file_name: NONE\n  is_download: false", "NVRAM\n  file_name: nvram.bin\n  is_download: true", 1),
		"identity-file":       strings.Replace(plain, "NVRAM\n  file_name: NONE", "NVRAM\n  file_name: nvram.bin", 1),
		"bootloader-download": plain,
		"reserved-download":   strings.Replace(plain, "partition_name: BOOTIMG", "partition_name: SURPRISE", 1),
		"name-unknown":        strings.Replace(plain, "partition_name: BOOTIMG", "partition_name: SURPRISE", 1),
		"name-twice":          strings.Replace(plain, "partition_name: BOOTIMG", "partition_name: system", 1),
		"name-missing":        strings.Replace(plain, "partition_name: BOOTIMG", "partition_name: ", 1),
		"storage-unknown":     strings.ReplaceAll(plain, "EMMC\n", "FLOPPY\n"),
		"storage-differs":     strings.Replace(plain, "HW_STORAGE_EMMC", "HW_STORAGE_NAND", 1),
		"record-on-nand":      strings.ReplaceAll(plain, "EMMC\n", "NAND\n"),
		"record-missing":      strings.Replace(plain, "partition_name: MBR", "partition_name: LOGO", 1),
		"preloader-missing":   strings.Replace(plain, "partition_name: PRELOADER", "partition_name: LOGO", 1),
		"preloader-size":      strings.Replace(plain, "partition_size: 0x600000", "partition_size: 0x400000", 1),
		"project-differs":     strings.Replace(plain, "preloader_demo.bin", "preloader_other.bin", 1),
		"project-placeholder": strings.Replace(plain, "project: demo", "project: your_project", 1),
		"project-tool":        strings.Replace(plain, "project: demo", "project: MTDTtest", 1),
		"version-unknown":     strings.Replace(plain, "V1.1.1", "V9", 1),
		"platform-unknown":    strings.Replace(plain, "MT6572", "SC7731", 1),
		"size-zero-inside":    strings.Replace(plain, "partition_size: 0x500000", "partition_size: 0x0", 1),
		"size-rest":           strings.Replace(plain, "partition_size: 0x20000000", "partition_size: 0x0", 1),
		"tag-zero":            strings.Replace(plain, "0xFFFF00a8", "0xFFFF0000", 1),
		"tag-size":            strings.Replace(plain, "0xFFFF00a8", "0xFFFF0050", 1),
		"tag-replaced":        strings.Replace(plain, "0xFFFF00a8", "0x31200000", 1),
		"bmtpool-missing":     strings.Replace(plain, "partition_name: BMTPOOL", "partition_name: FAT", 1),
		"operation-unknown":   strings.Replace(plain, "operation_type: UPDATE", "operation_type: UPDAET", 1),
		"value-unreadable":    strings.Replace(plain, "is_download: true", "is_download: maybe", 1),
	} {
		l, err := Parse([]byte(text), "s.txt")
		if err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		found := Check(l)
		if !slices.Contains(codesOf(found), code) {
			t.Errorf("%s not found: %v", code, codesOf(found))
		}
		for _, f := range found {
			if !slices.ContainsFunc(Codes(), func(c Code) bool { return c.Code == f.Code }) {
				t.Errorf("code %s is not listed", f.Code)
			}
		}
	}
	if l, _ := Parse([]byte(plain), "s.txt"); slices.ContainsFunc(Check(l), func(f mtkport.Finding) bool { return f.Code != "bootloader-download" }) {
		t.Errorf("a clean file: %v", codesOf(Check(l)))
	}
}

// TestManyOverlaps: as many partitions as are read, all in one place.
func TestManyOverlaps(t *testing.T) {
	one := "- partition_index: SYS0\n  partition_name: X\n  linear_start_addr: 0x0\n  partition_size: 0x1000\n"
	l, err := Parse([]byte(strings.Repeat(one, MaxPartitions)), "x")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range codesOf(Check(l)) {
		if c == "overlap" {
			n++
		}
	}
	if n != MaxPartitions-1 {
		t.Errorf("%d overlaps", n)
	}
}

func ExampleParse() {
	text := "PRELOADER 0x0\n{\n}\nMBR 0x600000\n{\n}\n__NODL_NVRAM 0xa00000\n{\n}\nANDROID 0x2000000\n{\n}\n"
	l, err := Parse([]byte(text), "MT6589_Android_scatter_emmc.txt")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range l.Partitions {
		fmt.Printf("%s %s 0x%x\n", p.Canonical, p.Class, p.Linear)
	}
	// Output:
	// preloader bootloader 0x0
	// mbr bootloader 0x600000
	// nvram identity 0xa00000
	// system firmware 0x2000000
}
