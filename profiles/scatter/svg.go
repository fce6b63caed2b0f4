package scatter

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"mtkport/profiles/identity"
)

// The drawing's measures, in px.
const (
	svgWidth, svgMargin   = 1180, 40
	svgBarHeight, svgRow  = 72, 22
	svgInner              = svgWidth - 2*svgMargin
	svgHead, svgRegionGap = 118, 44
)

// WriteSVG draws the layout: a proportional bar for each region, a line for each
// partition with its place, size and file, and a legend. The file needs nothing
// else; letter case, order and output are the same for the same layout.
func (l *Layout) WriteSVG(w io.Writer) error {
	var body strings.Builder
	y := svgHead
	for _, bar := range l.Bars(svgInner / 5) {
		y = l.drawRegion(&body, bar, y)
	}
	y = drawLegend(&body, y)
	title := strings.TrimSpace(strings.Join([]string{l.Platform, l.Project}, " "))
	sub := fmt.Sprintf("%s, %s, %d partitions", l.Storage, l.Version, len(l.Partitions))
	if l.BlockSize > 0 {
		sub += ", blocks of " + short(l.BlockSize)
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="'Segoe UI','Helvetica Neue',Arial,sans-serif">
<title>%s</title>
<style>.t{fill:#0f172a}.s{fill:#475569;font-size:13px}.n{fill:#0f172a;font-size:13px;font-weight:600}.m{fill:#334155;font-size:12.5px;font-family:Consolas,Menlo,'DejaVu Sans Mono',monospace}.b{fill:#fff;font-weight:600;text-anchor:middle}.r{text-anchor:end}</style>
<rect width="%d" height="%d" fill="#fbfcfe"/>
<text class="t" x="%d" y="56" font-size="26" font-weight="700">%s</text>
<text class="s" x="%d" y="82">%s</text>
%s</svg>
`, svgWidth, y, svgWidth, y, esc(title+" layout"), svgWidth, y, svgMargin, esc(title), svgMargin, esc(sub), body.String())
	return err
}

func (l *Layout) drawRegion(b *strings.Builder, bar Bar, y int) int {
	fmt.Fprintf(b, `<text class="t" x="%d" y="%d" font-size="17" font-weight="700">%s</text>`+"\n", svgMargin, y, esc(bar.Region))
	fmt.Fprintf(b, `<text class="s r" x="%d" y="%d">%s mapped</text>`+"\n", svgWidth-svgMargin, y, short(bar.Size))
	y += 14
	units := 0
	for _, c := range bar.Cells {
		units += c.Width
	}
	x := float64(svgMargin)
	for _, c := range bar.Cells {
		w := float64(svgInner) * float64(c.Width) / float64(units)
		l.drawCell(b, c, x, w, y)
		x += w
	}
	y += svgBarHeight + 26
	for _, c := range bar.Cells {
		l.drawLine(b, c, y)
		y += svgRow
	}
	return y + svgRegionGap
}

func (l *Layout) drawCell(b *strings.Builder, c Cell, x, w float64, y int) {
	if c.Part < 0 {
		fmt.Fprintf(b, `<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="#e2e8f0" stroke="#fbfcfe"><title>gap, %s</title></rect>`+"\n", x, y, w, svgBarHeight, short(c.bytes))
		return
	}
	p := l.Partitions[c.Part]
	fmt.Fprintf(b, `<rect x="%.2f" y="%d" width="%.2f" height="%d" rx="2" fill="%s" stroke="#fbfcfe"><title>%s: %s, %s</title></rect>`+"\n",
		x, y, w, svgBarHeight, Colors[p.Class], esc(p.DisplayName()), p.Class, esc(p.sizeText()))
	size := 13.0
	if need := float64(len(p.Name))*7.8 + 8; need > w { // a narrow cell: the name upright, or none
		if w >= 13 && float64(len(p.Name))*6.6 < svgBarHeight {
			fmt.Fprintf(b, `<text class="b" font-size="11" transform="translate(%.2f %d) rotate(-90)">%s</text>`+"\n", x+w/2+4, y+svgBarHeight/2, esc(p.Name))
		}
		return
	}
	fmt.Fprintf(b, `<text class="b" font-size="%.0f" x="%.2f" y="%d">%s</text>`+"\n", size, x+w/2, y+svgBarHeight/2-2, esc(p.Name))
	if w > 70 {
		fmt.Fprintf(b, `<text class="b" font-size="11" font-weight="400" x="%.2f" y="%d">%s</text>`+"\n", x+w/2, y+svgBarHeight/2+16, esc(p.sizeText()))
	}
}

func (l *Layout) drawLine(b *strings.Builder, c Cell, y int) {
	if c.Part < 0 {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="12" height="12" rx="2" fill="#e2e8f0"/><text class="s" x="%d" y="%d">gap</text><text class="m r" x="560" y="%d">%s</text>`+"\n",
			svgMargin, y-10, svgMargin+22, y, y, short(c.bytes))
		return
	}
	p := l.Partitions[c.Part]
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="12" height="12" rx="2" fill="%s"/><text class="n" x="%d" y="%d">%s</text>`, svgMargin, y-10, Colors[p.Class], svgMargin+22, y, esc(p.DisplayName()))
	fmt.Fprintf(b, `<text class="s" x="230" y="%d">%s</text><text class="m r" x="450" y="%d">%s</text><text class="m r" x="560" y="%d">%s</text>`, y, p.Class, y, esc(p.startText()), y, esc(p.sizeText()))
	file := p.File
	if p.Download && !l.IsBrace() {
		file = strings.TrimSpace("\u2913 " + file)
	}
	fmt.Fprintf(b, `<text class="s" x="600" y="%d">%s</text>`+"\n", y, esc(file))
}

func (p Partition) startText() string {
	if p.FromEnd {
		return fmt.Sprintf("end - %d blocks", p.EndBlocks)
	}
	return fmt.Sprintf("0x%x", p.Linear)
}

func (p Partition) sizeText() string {
	if p.Size == 0 {
		return "to the end"
	}
	return short(p.Size)
}

func drawLegend(b *strings.Builder, y int) int {
	x := svgMargin
	for _, c := range identity.Classes() {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="14" height="14" rx="3" fill="%s"/><text class="s" x="%d" y="%d">%s</text>`+"\n", x, y-12, Colors[c], x+20, y, c)
		x += 120
	}
	fmt.Fprintf(b, `<text class="s" x="%d" y="%d">&#x2913; the flash tool writes it. Bars are in proportion; the smallest are widened to stay visible.</text>`+"\n", svgMargin, y+26)
	return y + 58
}

func esc(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(strings.ToValidUTF8(s, "?"))) // a Builder never fails
	return b.String()
}

// short renders bytes for people: 512 B, 6 MiB, 1.4 GiB.
func short(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, u := float64(n)/1024, 0
	for f >= 1024 && u < 3 {
		f, u = f/1024, u+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + "KMGT"[u:u+1] + "iB"
}
