package bootimg

import (
	"fmt"

	"mtkport"
)

// remark collects the oddities of a freshly opened image.
func (m *Image) remark() {
	if m.sections[Kernel] == nil {
		m.note("boot-no-kernel", Kernel.String(), mtkport.Risk, offKernelSize, "0", "the image has no kernel")
	}
	if m.sections[Ramdisk] == nil {
		m.note("boot-no-ramdisk", Ramdisk.String(), mtkport.Note, offRamdiskSize, "0", "the image has no ramdisk")
	}
	if n := m.hdr.PageSize; n < MinPageSize || n > MaxPageSize {
		m.note("boot-page-size", "header", mtkport.Risk, offPageSize, fmt.Sprint(n), fmt.Sprintf("page_size is %d; mkbootimg makes %d to %d", n, MinPageSize, MaxPageSize))
	}
	for _, s := range m.Sections() {
		m.remarkSection(s)
	}
	if m.short {
		m.note("boot-short-end", "image", mtkport.Note, m.size, fmt.Sprint(m.size), "the file ends before the last section's padding")
	}
	m.remarkVersion()
}

func (m *Image) remarkSection(s *Section) {
	name := s.Kind.String()
	if s.Have < s.Size {
		m.note("boot-short-section", name, mtkport.Note, s.Off+s.Have, fmt.Sprint(s.Have),
			fmt.Sprintf("the header claims %d bytes and the file holds %d; the part header is satisfied", s.Size, s.Have))
	}
	if s.Part == nil {
		if s.Kind <= Ramdisk && m.anyPart() {
			m.note("boot-part-missing", name, mtkport.Note, s.Off, "", "no MediaTek header here although another section has one")
		}
		return
	}
	switch surplus := s.Have - PartHeaderSize - int64(s.Part.Size); {
	case surplus < 0:
		m.note("boot-part-size", name, mtkport.Risk, s.Off+offPartSize, fmt.Sprint(s.Part.Size),
			fmt.Sprintf("the part header counts %d bytes more than the section holds", -surplus))
	case surplus > 0:
		m.note("boot-slack", name, mtkport.Note, s.Off+PartHeaderSize+int64(s.Part.Size), fmt.Sprint(surplus),
			fmt.Sprintf("%d surplus bytes follow what the part header counts", surplus))
	}
}

func (m *Image) anyPart() bool {
	for _, s := range m.Sections() {
		if s.Part != nil {
			return true
		}
	}
	return false
}

func (m *Image) remarkVersion() {
	if m.hdr.Version == 0 {
		return
	}
	want := uint32(sizeV1)
	if m.hdr.Version >= 2 {
		want = sizeV2
	}
	if got := m.hdr.HeaderSize; got != want {
		m.note("boot-header-size", "header", mtkport.Note, offHeaderSize, fmt.Sprint(got), fmt.Sprintf("header_size is %d, mkbootimg writes %d", got, want))
	}
	if s := m.sections[RecoveryDTBO]; s != nil && m.hdr.RecoveryDTBOOff != uint64(s.Off) {
		m.note("boot-dtbo-offset", RecoveryDTBO.String(), mtkport.Note, offDTBOOffset, fmt.Sprintf("0x%x", m.hdr.RecoveryDTBOOff),
			fmt.Sprintf("recovery_dtbo_offset is 0x%x, the section lies at 0x%x", m.hdr.RecoveryDTBOOff, s.Off))
	}
}

func (m *Image) note(code, subject string, sev mtkport.Severity, off int64, value, text string) {
	m.notes = append(m.notes, mtkport.Finding{Code: code, Severity: sev, Subject: subject, Text: text,
		Evidence: []mtkport.Evidence{{Off: mtkport.At(off), Value: value}}})
}
