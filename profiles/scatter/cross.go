package scatter

import (
	"fmt"

	"mtkport"
)

// CheckRecords compares the layout with the MBR and EBRs beside it. mbr may be
// nil. The records hold only partitions with a file system.
func CheckRecords(l *Layout, mbr *Record, ebrs ...*Record) []mtkport.Finding {
	var out []mtkport.Finding
	for _, r := range append([]*Record{mbr}, ebrs...) {
		if r != nil && r.HasBootCode() {
			out = append(out, mtkport.Finding{Code: "record-code", Severity: mtkport.Risk, Subject: r.File,
				Text: "bytes before the table, which are zero in MediaTek's records", Evidence: []mtkport.Evidence{{File: r.File, Off: mtkport.At(0), Value: "not zero"}}})
		}
	}
	extents, err := Chain(mbr, ebrs...)
	if err != nil {
		out = append(out, mtkport.Finding{Code: "record-chain", Severity: mtkport.Risk, Text: err.Error()})
	}
	start, known := l.MBRLinear()
	if !known || l.Storage != EMMC {
		return append(out, mtkport.Finding{Code: "record-contradicts", Severity: mtkport.Blocker, Text: "there are MBR or EBR records, and the layout has no MBR"})
	}
	for _, x := range extents {
		out = append(out, l.checkExtent(x, start)...)
	}
	return out
}

func (l *Layout) checkExtent(x Extent, mbr Linear) []mtkport.Finding {
	who := fmt.Sprintf("mmcblk0p%d", x.Number)
	make := func(code string, s mtkport.Severity, text string) []mtkport.Finding {
		return []mtkport.Finding{{Code: code, Severity: s, Subject: who, Text: text,
			Evidence: []mtkport.Evidence{{File: x.Record, Off: mtkport.At(int64(recordTable + 16*x.Slot)), Value: fmt.Sprintf("start 0x%x from the MBR, 0x%x bytes", int64(x.Start), x.Size)}}}}
	}
	if x.Empty {
		return make("record-empty", mtkport.Note, fmt.Sprintf("%s has no sectors", who))
	}
	at := int64(mbr) + int64(x.Start)
	for _, p := range l.Partitions {
		if p.FromEnd || p.Name == "" || p.Linear != at || p.Region != "EMMC_USER" {
			continue
		}
		if !x.ToEnd && !p.ToEnd && p.Size != x.Size {
			return make("record-contradicts", mtkport.Blocker, fmt.Sprintf("%s has 0x%x bytes in the %s and 0x%x in the layout", p.Name, x.Size, x.Record, p.Size))
		}
		return nil
	}
	return make("record-contradicts", mtkport.Blocker, fmt.Sprintf("%s of the %s begins at linear 0x%x, where the layout has no partition", who, x.Record, at))
}

// CheckDumchar compares the layout with /proc/dumchar_info of the phone. The size
// of the last data partition may differ: the kernel computes it anew.
func CheckDumchar(l *Layout, d *Dumchar) []mtkport.Finding {
	var out []mtkport.Finding
	if d.Storage != l.Storage {
		return []mtkport.Finding{{Code: "phone-storage", Severity: mtkport.Blocker, Subject: d.File, Text: fmt.Sprintf("the phone has %s, the layout is for %s", d.Storage, l.Storage)}}
	}
	mbr, known := l.MBRLinear()
	if phone, ok := d.MBRLinear(); ok && known && phone != mbr && mbr > 0 {
		out = append(out, mtkport.Finding{Code: "phone-mbr", Severity: mtkport.Blocker, Subject: "MBR", Text: fmt.Sprintf("the phone has its MBR at linear 0x%x, the layout at 0x%x", int64(phone), int64(mbr))})
	}
	for _, r := range d.Rows {
		c := canonical(r.Name)
		if c == "preloader" || c == "bmtpool" {
			continue
		}
		start := int64(mbr) + int64(r.Start)
		out = append(out, l.compareRow(d.File, r.Name, start, r.Size, r.HasStart && known)...)
	}
	return out
}

// CheckPMT compares the layout with the partition table on the phone, which wins.
func CheckPMT(l *Layout, p *PMT, file string) []mtkport.Finding {
	var out []mtkport.Finding
	for _, e := range p.Entries {
		if c := canonical(e.Name); c == "bmtpool" || e.Offset >= tagBase && e.Offset <= tagBase+0xffff && tagNames[c] {
			continue
		}
		out = append(out, l.compareRow(file, e.Name, int64(e.Offset), e.Size, true)...)
	}
	return out
}

// compareRow compares one partition of another source, start linear.
func (l *Layout) compareRow(file, name string, start, size int64, hasStart bool) []mtkport.Finding {
	f := mtkport.Finding{Code: "phone-differs", Severity: mtkport.Blocker, Subject: name, Fix: "trust the phone; never write by a layout that differs from it",
		Evidence: []mtkport.Evidence{{File: file, Value: fmt.Sprintf("linear 0x%x, 0x%x bytes", start, size)}}}
	i := l.index(name)
	if i < 0 {
		if size == 0 {
			return nil
		}
		f.Text = name + " is on the phone and not in the layout"
		return []mtkport.Finding{f}
	}
	p := l.Partitions[i]
	f.Evidence = append(f.Evidence, l.finding("", 0, i, "linear_start_addr", "").Evidence...)
	switch {
	case hasStart && p.Linear != start:
		f.Text = fmt.Sprintf("%s begins at linear 0x%x on the phone and 0x%x in the layout", name, start, p.Linear)
	case p.Size == size || p.ToEnd:
		return nil
	case l.isLastData(i):
		f.Code, f.Severity, f.Fix = "last-size", mtkport.Note, ""
		f.Text = fmt.Sprintf("%s, the last data partition, has 0x%x bytes on the phone and 0x%x in the layout; the kernel computes it anew", name, size, p.Size)
	default:
		f.Text = fmt.Sprintf("%s has 0x%x bytes on the phone and 0x%x in the layout", name, size, p.Size)
	}
	return []mtkport.Finding{f}
}

// isLastData tells whether no partition begins behind entry i but those from the
// end.
func (l *Layout) isLastData(i int) bool {
	p := l.Partitions[i]
	for j, q := range l.Partitions {
		if j != i && !q.FromEnd && !q.Reserved && q.Name != "" && q.Region == p.Region && q.Linear > p.Linear {
			return false
		}
	}
	return true
}
