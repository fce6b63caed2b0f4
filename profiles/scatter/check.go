package scatter

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mtkport"
	"mtkport/profiles/identity"
)

// Check looks for what is wrong, dangerous or odd in a layout. Findings come
// with the heaviest first; the boot loaders that nearly every factory file marks
// for download are the last of their weight. Codes are stable; [Codes] explains
// them.
func Check(l *Layout) []mtkport.Finding {
	out := slices.Clone(l.problems)
	for _, check := range []func(*Layout) []mtkport.Finding{
		checkGeneral, checkStorage, checkInvented, checkPlaces, checkGaps, checkSizes, checkAlign, checkDownload,
		checkNames, checkTags, checkProject, checkPhysical, checkText,
	} {
		out = append(out, check(l)...)
	}
	slices.SortStableFunc(out, func(a, b mtkport.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(codeRank(a.Code), codeRank(b.Code)))
	})
	return out
}

func codeRank(code string) int {
	switch code {
	case "layout-invented":
		return -1
	case "bootloader-download":
		return 1
	}
	return 0
}

// finding makes a finding about key of entry i, with the value as evidence.
func (l *Layout) finding(code string, s mtkport.Severity, i int, key, text string) mtkport.Finding {
	f := mtkport.Finding{Code: code, Severity: s, Text: text}
	if i < 0 {
		if at, ok := l.doc.info[key]; ok {
			f.Evidence = []mtkport.Evidence{{File: l.File, Off: mtkport.At(l.doc.offset(at)), Value: key + " " + l.doc.text(at)}}
		}
		return f
	}
	f.Subject = l.Partitions[i].DisplayName()
	at, ok := l.doc.parts[i][key]
	if !ok {
		key = "partition_name"
		at, ok = l.doc.parts[i][key]
	}
	if ok {
		f.Evidence = []mtkport.Evidence{{File: l.File, Off: mtkport.At(l.doc.offset(at)), Value: strings.TrimSpace(key + " " + l.doc.text(at))}}
	}
	return f
}

func with(f mtkport.Finding, symptom, fix string) mtkport.Finding {
	f.Symptom, f.Fix = symptom, fix
	return f
}

var (
	knownVersion  = regexp.MustCompile(`^(brace|list|V1\.1\.[1-9]|V2\.[0-9]\.[0-9])$`)
	platformShape = regexp.MustCompile(`^MT\d{4}[A-Z]*$`)
)

func checkGeneral(l *Layout) (out []mtkport.Finding) {
	if !knownVersion.MatchString(l.Version) {
		out = append(out, l.finding("version-unknown", mtkport.Risk, -1, "config_version", fmt.Sprintf("config_version is %q; V1.1.1 to V1.1.9 and V2 are known", l.Version)))
	}
	if l.IsList() {
		out = append(out, mtkport.Finding{Code: "list-form", Severity: mtkport.Note, Text: "names and starts only, as OTA packages hold them: no sizes, no marks, and no flash tool takes it"})
	}
	if len(l.others) > 0 {
		out = append(out, mtkport.Finding{Code: "storage-more", Severity: mtkport.Note, Text: fmt.Sprintf("the file has more layouts, for %s; the one for %s is read", strings.Join(l.others, ", "), l.Storage)})
	}
	if !platformShape.MatchString(l.Platform) && !l.IsList() {
		out = append(out, l.finding("platform-unknown", mtkport.Risk, -1, "platform", fmt.Sprintf("platform is %q, not MT and four digits", l.Platform)))
	}
	if !l.IsBrace() && len(l.doc.info) == 0 {
		out = append(out, l.finding("general-missing", mtkport.Risk, -1, "general", "the file has no general section; storage is taken from its entries"))
	}
	return out
}

func checkStorage(l *Layout) (out []mtkport.Finding) {
	if l.Storage != EMMC && l.Storage != NAND {
		out = append(out, l.finding("storage-unknown", mtkport.Blocker, -1, "storage", fmt.Sprintf("storage is %q; EMMC and NAND are known", l.Storage)))
	}
	hasTable := false
	for i, p := range l.Partitions {
		c := p.Canonical
		table := c == "mbr" || c == "pgpt" || strings.HasPrefix(c, "ebr")
		hasTable = hasTable || c == "mbr" || c == "pgpt"
		if s := strings.TrimPrefix(strings.ToUpper(p.Storage), "HW_STORAGE_"); s != "" && s != l.Storage && p.Name != "" {
			out = append(out, l.finding("storage-differs", mtkport.Blocker, i, "storage", fmt.Sprintf("%s is on %s, the file is for %s", p.DisplayName(), s, l.Storage)))
		}
		if table && l.Storage == NAND {
			out = append(out, l.finding("record-on-nand", mtkport.Blocker, i, "partition_name", p.Name+" does not exist on NAND"))
		}
	}
	if l.Storage == EMMC && !hasTable {
		out = append(out, mtkport.Finding{Code: "record-missing", Severity: mtkport.Blocker, Text: "neither MBR nor pgpt is in the layout of an eMMC"})
	}
	if l.Find("preloader") == nil {
		out = append(out, mtkport.Finding{Code: "preloader-missing", Severity: mtkport.Risk, Text: "the layout has no PRELOADER"})
	}
	return out
}

var placeholder = regexp.MustCompile(`(?i)^(your|my|some|sample|example|test|dummy|default|generic|unknown|placeholder|xxx+|todo|<.*>|\[.*\])?[_ -]?(device|project|phone|model|name|project_name|device_name)?[_ -]?(here)?$`)

func isPlaceholder(project string) bool {
	return project != "" && placeholder.MatchString(project)
}

// checkInvented counts the marks of a file that no tool read from a phone.
func checkInvented(l *Layout) (out []mtkport.Finding) {
	if l.IsBrace() {
		return nil
	}
	var marks []string
	mark := func(is bool, text string) {
		if is {
			marks = append(marks, text)
		}
	}
	all, table, protected := true, false, 0
	for _, p := range l.Partitions {
		all = all && p.Download
		table = table || p.Canonical == "mbr" || p.Canonical == "pgpt"
		if p.Download && p.Class == identity.Identity {
			protected++
		}
	}
	overlap := len(checkPlaces(l)) > 0
	mark(isPlaceholder(l.Project), fmt.Sprintf("project is the placeholder %q", l.Project))
	mark(l.Find("preloader") == nil, "no preloader")
	mark(l.Storage == EMMC && !table, "no partition table (MBR or pgpt)")
	mark(all, "every partition marked for download")
	mark(protected > 0, fmt.Sprintf("%d identity partitions marked for download", protected))
	mark(overlap, "partitions overlap")
	mark(len(l.Partitions) > 0 && l.Partitions[0].Index != "SYS0" && l.Find("preloader") == nil, "does not begin with SYS0")
	if isPlaceholder(l.Project) {
		out = append(out, l.finding("project-placeholder", mtkport.Risk, -1, "project", fmt.Sprintf("project %q is a placeholder, no board", l.Project)))
	}
	if len(marks) < 3 || (len(marks) < 4 && !isPlaceholder(l.Project)) {
		return out
	}
	f := mtkport.Finding{Code: "layout-invented", Severity: mtkport.Blocker,
		Text:    "this layout was invented, not read from a phone or made by a build: " + strings.Join(marks, "; "),
		Symptom: "flashing by it overwrites IMEI, radio calibration or the partition table",
		Fix:     "do not use it; take the layout from the phone itself"}
	return append(out, f)
}

// checkPlaces finds overlaps within one region, and entries out of order.
func checkPlaces(l *Layout) (out []mtkport.Finding) {
	for i, p := range l.Partitions {
		if p.FromEnd || p.Name == "" {
			continue
		}
		for j, q := range l.Partitions[:i] {
			if q.FromEnd || q.Name == "" || q.Region != p.Region {
				continue
			}
			pEnd, qEnd := p.Linear+max(p.Size, 1), q.Linear+max(q.Size, 1)
			if p.Linear < qEnd && q.Linear < pEnd && (p.Size > 0 || q.Linear < p.Linear) && (q.Size > 0 || p.Linear < q.Linear) {
				f := l.finding("overlap", mtkport.Blocker, i, "linear_start_addr", fmt.Sprintf("%s overlaps %s", p.span(), q.span()))
				f.Evidence = append(f.Evidence, l.finding("", 0, j, "linear_start_addr", "").Evidence...)
				out = append(out, with(f, "writing one destroys the other", "take the layout from the phone itself"))
				break // one partner proves it; a file of a thousand copies must not fill the memory
			}
		}
	}
	return out
}

// span renders as `FAT 0x0-0x100`, the end exclusive and open where unknown.
func (p Partition) span() string {
	if p.Size == 0 {
		return fmt.Sprintf("%s 0x%x-", p.Name, p.Linear)
	}
	return fmt.Sprintf("%s 0x%x-0x%x", p.Name, p.Linear, p.Linear+p.Size)
}

func checkGaps(l *Layout) (out []mtkport.Finding) {
	for _, region := range l.regionsOf() {
		last := -1
		for i, p := range l.Partitions {
			if p.Region != region || p.FromEnd || p.Name == "" {
				continue
			}
			if last >= 0 {
				q := l.Partitions[last]
				switch end, known := q.End(); {
				case p.Linear < q.Linear:
					out = append(out, l.finding("order", mtkport.Risk, i, "linear_start_addr", fmt.Sprintf("%s at 0x%x stands after %s at 0x%x", p.Name, p.Linear, q.Name, q.Linear)))
				case known && p.Linear > end && !p.Reserved:
					out = append(out, l.finding("gap", mtkport.Risk, i, "linear_start_addr", fmt.Sprintf("0x%x bytes between %s (ends 0x%x) and %s (0x%x) belong to no partition", p.Linear-end, q.Name, end, p.Name, p.Linear)))
				}
			}
			last = i
		}
	}
	return out
}

func checkSizes(l *Layout) (out []mtkport.Finding) {
	mbr, known := l.MBRLinear()
	for i, p := range l.Partitions {
		switch {
		case p.Canonical == "preloader" && l.Version == "V1.1.1" && l.Storage == EMMC && known && mbr > 0 && p.Size != int64(mbr):
			out = append(out, l.finding("preloader-size", mtkport.Risk, i, "partition_size", fmt.Sprintf("PRELOADER has 0x%x bytes, the MBR begins at 0x%x", p.Size, int64(mbr))))
		case l.IsBrace() || p.FromEnd || p.Name == "":
		case p.SizeDerived:
			out = append(out, l.finding("size-zero-inside", mtkport.Blocker, i, "partition_size", fmt.Sprintf("%s has size 0, which means the rest of the device, but 0x%x bytes on another partition begins", p.Name, p.Size)))
		case p.ToEnd && !p.Reserved:
			out = append(out, l.finding("size-rest", mtkport.Note, i, "partition_size", p.Name+" has size 0: it takes the rest of the device"))
		case p.Size == 0:
			out = append(out, l.finding("size-empty", mtkport.Note, i, "partition_size", p.Name+" has no room"))
		}
	}
	return out
}

func checkAlign(l *Layout) (out []mtkport.Finding) {
	unit := int64(512)
	if l.Storage == NAND && l.BlockSize > 0 {
		unit = l.BlockSize
	}
	for i, p := range l.Partitions {
		if !p.FromEnd && p.Linear%unit != 0 {
			out = append(out, l.finding("misaligned", mtkport.Blocker, i, "linear_start_addr", fmt.Sprintf("%s begins at 0x%x, not a multiple of 0x%x", p.DisplayName(), p.Linear, unit)))
		}
		if p.Size%unit != 0 {
			out = append(out, l.finding("misaligned", mtkport.Blocker, i, "partition_size", fmt.Sprintf("%s has 0x%x bytes, not a multiple of 0x%x", p.DisplayName(), p.Size, unit)))
		}
	}
	return out
}

// checkDownload reports each identity and boot loader partition that the flash
// tool would write.
func checkDownload(l *Layout) (out []mtkport.Finding) {
	for i, p := range l.Partitions {
		n, known := identity.Lookup(p.Name)
		switch {
		case p.Class == identity.Identity && p.Download:
			f := l.finding("identity-download", mtkport.Blocker, i, "is_download", fmt.Sprintf("%s (%s) is marked for download", p.Name, n.Holds))
			out = append(out, with(f, "IMEI, MAC addresses, SIM lock or calibration of this phone are lost", "set is_download false and file_name NONE"))
		case p.Class == identity.Identity && p.File != "":
			f := l.finding("identity-file", mtkport.Risk, i, "file_name", fmt.Sprintf("%s (%s) names the file %s; a tick in the flash tool writes it", p.Name, n.Holds, p.File))
			out = append(out, with(f, "IMEI, MAC addresses, SIM lock or calibration of this phone are lost", "set file_name NONE"))
		case p.Class == identity.Bootloader && p.Download:
			f := l.finding("bootloader-download", mtkport.Risk, i, "is_download", fmt.Sprintf("%s (%s) is marked for download, as factory files have it", p.Name, n.Holds))
			out = append(out, with(f, "one of another board leaves the phone dead", "set is_download false unless the file is of this very board"))
		case p.Class == identity.Reserved && p.Download && !l.IsBrace():
			f := l.finding("reserved-download", mtkport.Risk, i, "is_download", fmt.Sprintf("%s (%s) is marked for download", p.DisplayName(), n.Holds))
			out = append(out, with(f, map[bool]string{false: "what it holds is not known: it may be this phone's own"}[known], "set is_download false"))
		}
	}
	return out
}

func checkNames(l *Layout) (out []mtkport.Finding) {
	seen := map[string]string{}
	for i, p := range l.Partitions {
		if p.Name == "" {
			out = append(out, l.finding("name-missing", mtkport.Risk, i, "partition_name", fmt.Sprintf("entry %s has no partition name", p.Index)))
			continue
		}
		if old, twice := seen[p.Canonical]; twice {
			out = append(out, l.finding("name-twice", mtkport.Risk, i, "partition_name", fmt.Sprintf("%s and %s are the same partition", old, p.Name)))
		}
		seen[p.Canonical] = p.Name
		if _, known := identity.Lookup(p.Name); !known {
			out = append(out, l.finding("name-unknown", mtkport.Note, i, "partition_name", p.Name+" is in no table; it is guarded"))
		}
	}
	return append(out, l.checkIndex()...)
}

func (l *Layout) checkIndex() (out []mtkport.Finding) {
	if l.IsBrace() {
		return nil
	}
	seen, want := map[string]bool{}, 0
	for i, p := range l.Partitions {
		if seen[p.Index] {
			out = append(out, l.finding("index-twice", mtkport.Risk, i, "partition_index", fmt.Sprintf("%s %s: the index was used before", p.Index, p.Name)))
		}
		seen[p.Index] = true
		var n int
		if _, err := fmt.Sscanf(strings.ToUpper(p.Index), "SYS%d", &n); err != nil {
			out = append(out, l.finding("index-odd", mtkport.Risk, i, "partition_index", fmt.Sprintf("partition_index %q is not SYS and a number", p.Index)))
			want++
			continue
		}
		if n > want {
			out = append(out, l.finding("index-gap", mtkport.Note, i, "partition_index", fmt.Sprintf("%s follows where SYS%d would: entries were taken out", p.Index, want)))
		}
		want = n + 1
	}
	return out
}

func checkTags(l *Layout) (out []mtkport.Finding) {
	bmt := l.Find("bmtpool")
	if bmt == nil && ((l.Version == "V1.1.1" && l.Find("mbr") != nil) || l.Storage == NAND) {
		out = append(out, mtkport.Finding{Code: "bmtpool-missing", Severity: mtkport.Risk, Text: "the layout has no BMTPOOL: nothing keeps the end of the device free"})
	}
	for i, p := range l.Partitions {
		switch {
		case p.Canonical != "bmtpool":
		case !p.FromEnd:
			out = append(out, l.finding("tag-replaced", mtkport.Note, i, "linear_start_addr", fmt.Sprintf("%s has the address 0x%x where the generator writes 0xFFFFnnnn, blocks from the end", p.Name, p.Linear)))
		case p.EndBlocks == 0:
			out = append(out, l.finding("tag-zero", mtkport.Risk, i, "linear_start_addr", p.Name+" begins 0 blocks before the end"))
		case p.Size > 0 && p.EndBlocks*l.tagBlock() != p.Size:
			out = append(out, l.finding("tag-size", mtkport.Risk, i, "partition_size", fmt.Sprintf("%s begins 0x%x bytes before the end and has 0x%x", p.Name, p.EndBlocks*l.tagBlock(), p.Size)))
		}
	}
	return out
}

func checkProject(l *Layout) (out []mtkport.Finding) {
	i := l.index("preloader")
	if maker := map[string]string{"MTDTtest": "MTK Droid Tools", "mtk_android": "a dump tool"}[l.Project]; maker != "" {
		return []mtkport.Finding{l.finding("project-tool", mtkport.Note, -1, "project", fmt.Sprintf("project %s: made by %s from a phone, not by the maker", l.Project, maker))}
	}
	if i < 0 || l.IsBrace() {
		return nil
	}
	name, isPreloader := strings.CutPrefix(strings.ToLower(l.Partitions[i].File), "preloader_")
	if name = strings.TrimSuffix(name, ".bin"); isPreloader && l.Project != "" && name != strings.TrimPrefix(strings.ToLower(l.Project), "full_") {
		weight := mtkport.Risk // makers of later chips rename the project and keep the preloader's
		if l.Version == "V1.1.1" {
			weight = mtkport.Blocker
		}
		f := l.finding("project-differs", weight, i, "file_name", fmt.Sprintf("the preloader is of %s, the layout of %s", name, l.Project))
		out = append(out, with(f, "a preloader of another board leaves the phone dead", "find out which board this is; the name inside the phone's own preloader tells"))
	}
	return out
}

func checkPhysical(l *Layout) []mtkport.Finding {
	i := 0
	if mbr := l.index("mbr"); mbr >= 0 {
		i = mbr
	}
	switch l.Dialect() {
	case DialectLinear:
		return []mtkport.Finding{l.finding("physical-linear", mtkport.Risk, i, "physical_start_addr", "physical_start_addr repeats the linear address: as an offset in the user area it is wrong")}
	case DialectLogical:
		return []mtkport.Finding{l.finding("physical-logical", mtkport.Note, i, "physical_start_addr", "physical_start_addr counts from the MBR, not from the start of the user area")}
	case DialectMixed:
		return []mtkport.Finding{l.finding("physical-mixed", mtkport.Risk, i, "physical_start_addr", "physical_start_addr follows no known rule")}
	}
	return nil
}

// laterKeys came with V1.1.2 and V1.1.3, in this order before reserve.
var laterKeys = map[string]bool{"d_type": true, "is_upgradable": true, "empty_boot_needed": true, "combo_partsize_check": true}

var operations = map[string]bool{"BOOTLOADERS": true, "UPDATE": true, "BINREGION": true, "PROTECTED": true, "INVISIBLE": true, "RESERVED": true, "KEEPVISIBLE": true, "NEEDUPDATE": true, "NEEDRESIZE": true}

// checkText looks at the text itself: line ends, order and names of keys.
func checkText(l *Layout) (out []mtkport.Finding) {
	note := func(code, text string) {
		out = append(out, mtkport.Finding{Code: code, Severity: mtkport.Note, Text: text})
	}
	all := string(l.Bytes())
	if strings.HasPrefix(all, bom) {
		note("byte-order-mark", "the file begins with a byte order mark")
	}
	if strings.Contains(all, "\r") {
		note("line-ends", "lines end in CR LF; the generator writes LF")
	}
	if !strings.HasSuffix(all, "\n") && !strings.HasSuffix(all, "\r") {
		note("last-line", "the last line has no end")
	}
	for i, p := range l.Partitions {
		out = append(out, l.checkKeys(i, p)...)
	}
	return out
}

func (l *Layout) checkKeys(i int, p Partition) (out []mtkport.Finding) {
	if l.IsBrace() {
		return nil
	}
	last := -1
	for _, key := range l.keysOf(i) {
		at := slices.Index(ptgenKeys, key)
		if at < 0 && !laterKeys[key] {
			out = append(out, l.finding("key-unknown", mtkport.Note, i, key, fmt.Sprintf("%s has a key %s that is in no known version", p.DisplayName(), key)))
		}
		if at >= 0 && at < last {
			out = append(out, l.finding("keys-order", mtkport.Risk, i, key, fmt.Sprintf("%s: %s is out of order; the flash tool reads by line", p.DisplayName(), key)))
			break
		}
		last = max(at, last)
	}
	for _, key := range ptgenKeys {
		if _, ok := l.doc.parts[i][key]; !ok {
			out = append(out, l.finding("key-missing", mtkport.Risk, i, key, fmt.Sprintf("%s has no %s", p.DisplayName(), key)))
		}
	}
	if p.Operation != "" && !operations[strings.ToUpper(p.Operation)] {
		out = append(out, l.finding("operation-unknown", mtkport.Risk, i, "operation_type", fmt.Sprintf("operation_type %s of %s is no known word", p.Operation, p.DisplayName())))
	}
	return out
}
