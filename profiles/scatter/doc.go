// Package scatter reads, writes, checks and draws the layouts of MediaTek
// phones: which partition lies where, and what the flash tool would do with it.
//
//	l, err := scatter.Parse(b, "MT6572_Android_scatter.txt")
//	for _, p := range l.Partitions {
//		fmt.Println(p.Canonical, p.Class, p.Linear, p.Size)
//	}
//	err = l.SetDownload("NVRAM", false) // one value; every other byte stays
//	os.WriteFile(name, l.Bytes(), 0o644)
//
// It knows the forms of the field: braces (MT6573 to MT6589; chip and storage
// come from the file name), the list of names and starts inside OTA packages, and
// the YAML-like V1.1.1 to V1.1.9, for eMMC and NAND, and V2, which holds a layout
// for each storage: that for eMMC is read. Reading is liberal: LF, CRLF or CR, a byte order mark, tabs, any
// order of keys, unknown keys, gaps and duplicates in SYSn, partitions without a
// name, any banner. What looks odd is kept and reported by [Check].
// [Layout.Bytes] gives the input back to the byte.
//
// Addresses are of three kinds, and each has its type: [Linear], [Logical] and
// [Physical]. Only [Layout.Reconcile] says how they meet on one phone, and
// refuses where that is in doubt; [Layout.Guard] makes the guard of the result.
//
// Beside scatters it reads what else tells a layout: MBR and EBR records
// ([ParseRecord], [Chain]), the PMT on flash and as the download agent reports
// it ([ParsePMT], [ParseEntries]), and /proc/dumchar_info ([ParseDumchar]).
// [Build] writes a fresh V1.1.1 file in exactly the form of MediaTek's own
// generator; [Derive] makes one from the other sources.
//
// Limits: 1 MiB and 1024 partitions a file, addresses below 2^60. Sources: the
// generator ptgen, kernel, lk and preloader of public MT6572 trees, and the
// scatter files of some seventy phones and boards.
package scatter
