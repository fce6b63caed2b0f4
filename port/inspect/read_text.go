package inspect

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"mtkport/bootimg/kernel"
	"mtkport/profiles/identity"
	"mtkport/profiles/scatter"
	"mtkport/ramdisk/prop"
)

// maxText bounds what is read of a text.
const maxText = 1 << 20

// What lines of such texts look like. They are compiled when the first text is
// met: most commands meet none.
const (
	propLine   = `(?m)^(ro|persist|dalvik|net|wifi|rild)\.[A-Za-z0-9_.]+ *=`
	configLine = `(?m)^(CONFIG_[A-Z0-9_]+=|# CONFIG_[A-Z0-9_]+ is not set)`
	makeLine   = `(?m)^(CUSTOM_|MTK_)[A-Z0-9_]+ *= *`
	initLine   = `(?m)^(on (init|fs|boot|early-init|post-fs|property:\S+)|service \S+ /\S+)`
	fstabLine  = `(?m)^\S+\s+(\S+\s+)?(ext[234]|yaffs2?|ubifs|vfat|emmc|mtd|auto|tmpfs|rootfs|swap|f2fs|squashfs)(\s|$)|^dev_mount\s+\S+`
	nodeLine   = `(?m)^/\S+\s+(\S+\s+)?0[0-7]{3}\s+\w+\s+\w+\s*$`
	edifyLine  = `(?m)^\s*(mount|set_perm|set_perm_recursive|set_metadata|package_extract_(dir|file)|ui_print|show_progress|assert)\(`
	labelLine  = `(?m)^/\S*\s+(-.\s+)?u:object_r:`
)

// textReaders know texts by their lines.
var textReaders = []reader{
	{"scatter", "scatter file", isText, readScatter},
	{"dumchar-info", "partition list of a running phone (/proc/dumchar_info)", lines(`(?m)^Part_Name|^preloader\s+0x`), readDumchar},
	{"shell-script", "shell script", magic("#!/"), nothingMore},
	{"updater-script", "recovery's installation script", lines(edifyLine), nothingMore},
	{"file-contexts", "SELinux labels of files", lines(labelLine), nothingMore},
	{"build-prop", "Android properties", lines(propLine), readProps},
	{"kernel-config", "kernel configuration", lines(configLine), readConfig},
	{"project-config", "project configuration of a MediaTek build", lines(makeLine), readConfig},
	{"init-rc", "script of init", lines(initLine), nothingMore},
	{"ueventd-rc", "owners and modes of device nodes", lines(nodeLine), nothingMore},
	{"fstab", "list of mounts", lines(fstabLine), nothingMore},
	{"text", "text of no known sort", isText, readText},
}

// isText: UTF-8 without control characters in its head.
func isText(p *probe) bool {
	b := p.head[:min(len(p.head), 4096)]
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n <= 1 {
			return len(b) < utf8.UTFMax && len(p.head) > 4096 // a letter cut by the end of what was read
		}
		if unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' && c != '\f' {
			return false
		}
		b = b[n:]
	}
	return true
}

// lines tells whether a text has a line of that form.
func lines(form string) func(*probe) bool {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(form) })
	return func(p *probe) bool { return isText(p) && re().Match(p.head) }
}

func readScatter(_ context.Context, r *Report, p *probe) error {
	if p.size > scatter.MaxFile {
		return errOther
	}
	b, err := p.bytes(scatter.MaxFile)
	if err != nil {
		return err
	}
	l, err := scatter.Parse(b, filepath.Base(p.name))
	if err != nil {
		return err
	}
	r.scatter(l)
	r.Findings = append(r.Findings, scatter.Check(l)...)
	return nil
}

func (r *Report) scatter(l *scatter.Layout) {
	r.fact("platform", "%s", l.Platform)
	r.fact("project", "%s", l.Project)
	r.fact("storage", "%s", l.Storage)
	r.fact("form", "%s", l.Version)
	n := map[identity.Class]int{}
	for _, p := range l.Partitions {
		n[p.Class]++
	}
	r.fact("partitions", "%d, of them identity %d, boot loaders %d", len(l.Partitions), n[identity.Identity], n[identity.Bootloader])
	for _, c := range []string{"boot", "system", "userdata"} {
		if p := l.Find(c); p != nil && p.Size > 0 {
			r.fact(c+" partition", "%d bytes", p.Size)
		}
	}
}

func readDumchar(_ context.Context, r *Report, p *probe) error {
	b, err := p.bytes(maxText)
	if err != nil {
		return err
	}
	d, err := scatter.ParseDumchar(b, p.name)
	if err != nil {
		return err
	}
	r.fact("storage", "%s", d.Storage)
	r.fact("partitions", "%d", len(d.Rows))
	if m, ok := d.MBRLinear(); ok {
		r.fact("MBR at", "linear 0x%x", int64(m))
	}
	return nil
}

func readProps(_ context.Context, r *Report, p *probe) error {
	b, err := p.bytes(maxText)
	if err != nil {
		return err
	}
	f := prop.Parse(b)
	for _, k := range []string{"ro.product.model", "ro.product.brand", "ro.product.device", "ro.build.display.id", "ro.build.version.release",
		"ro.build.version.sdk", "ro.mediatek.platform", "ro.mediatek.version.branch", "ro.sf.lcd_density"} {
		if v, ok := f.Get(k); ok {
			r.fact(k, "%s", v)
		}
	}
	r.fact("properties", "%d", len(f.Keys()))
	s := &side{name: r.Path}
	s.addProps(r.Path, func() ([]byte, error) { return b, nil })
	r.judge(s)
	return nil
}

func readConfig(_ context.Context, r *Report, p *probe) error {
	b, err := p.bytes(maxText)
	if err != nil {
		return err
	}
	c, err := kernel.ParseConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.fact("options", "%d", len(c.Options))
	for _, n := range []string{"CONFIG_CUSTOM_KERNEL_LCM", "CUSTOM_KERNEL_LCM", "CUSTOM_LK_LCM", "CUSTOM_KERNEL_IMGSENSOR", "CUSTOM_KERNEL_TOUCHPANEL", "MTK_PLATFORM"} {
		if o, ok := c.Lookup(n); ok {
			r.fact(n, "%s", fmt.Sprint(o.Value))
		}
	}
	return nil
}

func readText(_ context.Context, r *Report, p *probe) error {
	r.is(Unknown, "text of no sort that mtkport knows")
	first, _, _ := strings.Cut(string(p.head[:min(len(p.head), 200)]), "\n")
	r.factAt(0, "first line", first)
	return nil
}

// printable keeps a value on one line and within 300 bytes.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case unicode.IsControl(c) || c == utf8.RuneError:
			return '?'
		}
		return c
	}, strings.TrimSpace(s))
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// text returns b with everything but ASCII as dots, or "" where most of it is
// not.
func text(b []byte) string {
	good := 0
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = '.'
		if c >= 0x20 && c < 0x7f {
			out[i], good = c, good+1
		}
	}
	if good*2 < len(b) {
		return ""
	}
	return string(out)
}
