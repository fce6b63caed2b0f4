package bootimg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"mtkport"
)

// The formats that [Facts] names.
const (
	FormatBoot = "android-boot"
	FormatPart = "mtk-part"
)

// Facts is all that can be told of a file without decoding its payloads, in
// the form that `boot info --json` prints. Sizes and offsets are bytes.
type Facts struct {
	Format    string            `json:"format"` // android-boot or mtk-part
	Size      int64             `json:"size"`   // of the file
	SHA256    string            `json:"sha256"`
	Header    *HeaderFacts      `json:"header,omitempty"`
	Sections  []SectionFacts    `json:"sections"`
	End       int64             `json:"image_end"` // where the content with its padding ends
	Tail      TailFacts         `json:"after_image"`
	Notes     []mtkport.Finding `json:"notes"`
	Identical bool              `json:"repack_identical"` // a repack without changes was compared byte by byte
}

// HeaderFacts is the boot header.
type HeaderFacts struct {
	Version      int    `json:"version"`
	DT           bool   `json:"dt_flavour"`
	PageSize     int    `json:"page_size"`
	KernelAddr   uint32 `json:"kernel_addr"`
	RamdiskAddr  uint32 `json:"ramdisk_addr"`
	SecondAddr   uint32 `json:"second_addr"`
	TagsAddr     uint32 `json:"tags_addr"`
	DTBAddr      uint64 `json:"dtb_addr,omitempty"`
	OSVersion    string `json:"os_version"`
	PatchLevel   string `json:"os_patch_level"`
	Name         Text   `json:"name"`
	Cmdline      Text   `json:"cmdline"`
	ExtraCmdline Text   `json:"extra_cmdline"`
	ID           string `json:"id"`
	IDRule       IDRule `json:"id_rule"`
}

// SectionFacts is one section, or the one payload of a standalone part.
type SectionFacts struct {
	Kind          string     `json:"kind"`
	Offset        int64      `json:"offset"`
	Size          int64      `json:"size"`  // as the boot header claims
	InFile        int64      `json:"bytes"` // what of it the file holds
	Part          *PartFacts `json:"part"`  // null without a MediaTek header
	PayloadOffset int64      `json:"payload_offset"`
	PayloadSize   int64      `json:"payload_size"`
	Is            string     `json:"is"` // what its first bytes say
	SHA256        string     `json:"sha256"`
	SlackSize     int64      `json:"slack_size"` // surplus behind the payload
	SlackSHA256   string     `json:"slack_sha256,omitempty"`
}

// PartFacts is a MediaTek part header.
type PartFacts struct {
	Name Text   `json:"name"`
	Form string `json:"form"` // old or extended
	Size uint32 `json:"size"`
}

// TailFacts is what follows the content.
type TailFacts struct {
	Size   int64  `json:"size"`
	Data   int64  `json:"data"`    // bytes that are more than padding
	Fill   byte   `json:"padding"` // 0 or 255, the value of the padding behind them
	SHA256 string `json:"sha256,omitempty"`
}

// Facts reads the whole file and proves that a repack gives it back.
func (f *File) Facts(ctx context.Context) (*Facts, error) {
	x := &Facts{Format: FormatPart, Size: f.Size(), Notes: []mtkport.Finding{}}
	var err error
	if x.SHA256, err = hashOf(ctx, io.NewSectionReader(f.source(), 0, x.Size)); err != nil {
		return nil, err
	}
	if f.Image != nil {
		err = x.image(ctx, f.Image)
	} else {
		err = x.part(ctx, f.Part)
	}
	if err != nil {
		return nil, err
	}
	return x, x.tail(ctx, f.source())
}

func (x *Facts) image(ctx context.Context, m *Image) (err error) {
	x.Format, x.End = FormatBoot, m.end
	x.Notes = append(x.Notes, m.notes...)
	rule, err := m.IDRule()
	if err != nil {
		return err
	}
	h := m.hdr
	x.Header = &HeaderFacts{
		Version: h.Version, DT: h.DT, PageSize: h.PageSize,
		KernelAddr: h.KernelAddr, RamdiskAddr: h.RamdiskAddr, SecondAddr: h.SecondAddr, TagsAddr: h.TagsAddr, DTBAddr: h.DTBAddr,
		OSVersion: h.OSVersion, PatchLevel: h.PatchLevel,
		Name: Text(h.Name), Cmdline: Text(h.Cmdline), ExtraCmdline: Text(h.ExtraCmdline),
		ID: hex.EncodeToString(h.ID[:]), IDRule: rule,
	}
	for _, s := range m.Sections() {
		sf := SectionFacts{Kind: s.Kind.String(), Offset: s.Off, Size: s.Size, InFile: s.Have, PayloadOffset: s.PayloadOff(), PayloadSize: s.PayloadSize()}
		if err := sf.fill(ctx, s.Part, s.Payload(), s.Slack()); err != nil {
			return err
		}
		x.Sections = append(x.Sections, sf)
	}
	x.Identical, err = m.Edit().Identical()
	return err
}

func (x *Facts) part(ctx context.Context, p *PartFile) (err error) {
	x.End = PartHeaderSize + p.have
	x.Notes = append(x.Notes, p.notes...)
	sf := SectionFacts{Kind: partKind, Size: x.End, InFile: x.End, PayloadOffset: PartHeaderSize, PayloadSize: p.have}
	if err := sf.fill(ctx, p.Part, p.Payload(), io.NewSectionReader(p.src, 0, 0)); err != nil {
		return err
	}
	x.Sections = []SectionFacts{sf}
	x.Identical, err = p.Edit().Identical()
	return err
}

func (s *SectionFacts) fill(ctx context.Context, part *PartHeader, body, slack *io.SectionReader) (err error) {
	if part != nil {
		s.Part = &PartFacts{Name: Text(part.Name), Form: part.Form(), Size: part.Size}
	}
	s.Is, s.SlackSize = Sniff(body, body.Size()), slack.Size()
	if s.SHA256, err = hashOf(ctx, body); err == nil && slack.Size() > 0 {
		s.SlackSHA256, err = hashOf(ctx, slack)
	}
	return err
}

func (x *Facts) tail(ctx context.Context, src io.ReaderAt) (err error) {
	t := tail{src: src, off: x.End, n: x.Size - x.End}
	x.Tail.Size = t.n
	if t.n == 0 {
		return nil
	}
	if x.Tail.Data, x.Tail.Fill, err = t.split(); err == nil {
		x.Tail.SHA256, err = hashOf(ctx, io.NewSectionReader(src, t.off, t.n))
	}
	return err
}

func hashOf(ctx context.Context, r *io.SectionReader) (string, error) {
	h := sha256.New()
	_, err := fromSource(r, 0, r.Size()).writeTo(ctxWriter{ctx, h}, make([]byte, copyBuf))
	return hex.EncodeToString(h.Sum(nil)), err
}

// Fields lists the facts one by one under stable names, for reports and for
// [Diff].
func (x *Facts) Fields() []Field {
	fs := []Field{{"format", x.Format}, {"size", fmt.Sprint(x.Size)}}
	if h := x.Header; h != nil {
		fs = append(fs, h.fields()...)
	}
	for _, s := range x.Sections {
		fs = append(fs, s.fields()...)
	}
	if x.Tail.Size > 0 {
		fs = append(fs, Field{"after_image.size", fmt.Sprint(x.Tail.Size)}, Field{"after_image.sha256", x.Tail.SHA256})
	}
	return fs
}

func (h *HeaderFacts) fields() []Field {
	fs := []Field{
		{"header_version", h.version()},
		{"page_size", fmt.Sprint(h.PageSize)},
		{"kernel_addr", hex32(h.KernelAddr)},
		{"ramdisk_addr", hex32(h.RamdiskAddr)},
		{"second_addr", hex32(h.SecondAddr)},
		{"tags_addr", hex32(h.TagsAddr)},
		{"os_version", h.OSVersion},
		{"os_patch_level", h.PatchLevel},
		{"name", string(h.Name.escape())},
		{"cmdline", string(h.Cmdline.escape())},
		{"extra_cmdline", string(h.ExtraCmdline.escape())},
		{"id", h.ID},
		{"id_rule", string(h.IDRule)},
	}
	if h.Version >= 2 {
		fs = append(fs, Field{"dtb_addr", fmt.Sprintf("0x%08x", h.DTBAddr)})
	}
	return fs
}

func (h *HeaderFacts) version() string {
	if h.DT {
		return "0 (dt flavour)"
	}
	return fmt.Sprint(h.Version)
}

func (s *SectionFacts) fields() []Field {
	p := s.Kind + "."
	fs := []Field{{p + "offset", fmt.Sprintf("0x%x", s.Offset)}, {p + "size", fmt.Sprint(s.Size)}, {p + "bytes", fmt.Sprint(s.InFile)}}
	if s.Part != nil {
		fs = append(fs, Field{p + "part", string(s.Part.Name.escape())}, Field{p + "part_form", s.Part.Form}, Field{p + "part_size", fmt.Sprint(s.Part.Size)})
	}
	fs = append(fs, Field{p + "is", s.Is}, Field{p + "payload_size", fmt.Sprint(s.PayloadSize)}, Field{p + "sha256", s.SHA256})
	if s.SlackSize > 0 {
		fs = append(fs, Field{p + "slack_size", fmt.Sprint(s.SlackSize)}, Field{p + "slack_sha256", s.SlackSHA256})
	}
	return fs
}

// Difference is one fact in which two files differ; an empty side lacks it.
type Difference struct {
	Field string `json:"field"`
	A     string `json:"a"`
	B     string `json:"b"`
}

// Diff lists the facts in which two files differ, in the order of a. When the
// facts agree and the bytes do not (unknown header bytes, padding), the last
// entry is "other bytes" with both files' sums. Nil means byte for byte the
// same.
func Diff(a, b *Facts) []Difference {
	if a.SHA256 == b.SHA256 {
		return nil
	}
	var ds []Difference
	right := map[string]string{}
	for _, f := range b.Fields() {
		right[f.Name] = f.Value
	}
	for _, f := range a.Fields() {
		if right[f.Name] != f.Value {
			ds = append(ds, Difference{f.Name, f.Value, right[f.Name]})
		}
		delete(right, f.Name)
	}
	for _, f := range b.Fields() { // what only b has, in b's order
		if v, ok := right[f.Name]; ok {
			ds = append(ds, Difference{f.Name, "", v})
		}
	}
	if len(ds) == 0 {
		ds = append(ds, Difference{"other bytes", a.SHA256, b.SHA256})
	}
	return ds
}
