package rom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"mtkport"
	"mtkport/bootimg"
	"mtkport/bootimg/kernel"
	"mtkport/profiles/scatter"
	"mtkport/ramdisk"
	"mtkport/ramdisk/prop"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

// File is one file of a ROM.
type File struct {
	Name string // inside the ROM, slash-separated
	R    io.ReaderAt
	Size int64 // bytes
}

// ROM is an opened ROM. Fields are nil where it has none of them.
type ROM struct {
	Path string // as it was given
	Form string // what it was taken for, in words

	Boot     *bootimg.Image // and the file it lies in
	BootFile *File

	System      *tree.Tree
	SystemImage *sysimg.Image // and the image it was read from; nil for a package or a folder tree
	SystemFile  *File
	SystemKind  string // "package", "folder", or the image's format

	Scatter     *scatter.Layout
	ScatterFile *File

	Notes []mtkport.Finding // oddities: never refusals

	src       source
	extracted *sysimg.Image // a system that lies extracted in a folder
	kernel    func() (*kernel.Kernel, error)
	rd        func() (*ramdisk.Archive, error)
	props     func() *prop.File
}

// Open opens what lies at name. The error is of class ErrFormat where nothing of
// a ROM is found.
func Open(ctx context.Context, name string) (*ROM, error) {
	src, form, err := openSource(ctx, name)
	if err != nil {
		return nil, err
	}
	r := &ROM{Path: name, Form: form, src: src}
	if err := r.assemble(ctx); err != nil {
		return nil, errors.Join(err, src.close())
	}
	r.kernel = sync.OnceValues(r.openKernel)
	r.rd = sync.OnceValues(r.openRamdisk)
	r.props = sync.OnceValue(r.readProps)
	return r, nil
}

func openSource(ctx context.Context, name string) (source, string, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, "", err
	}
	if st.IsDir() {
		f, err := openFolder(ctx, name)
		return f, "folder", err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", errors.Join(err, f.Close())
	}
	if string(magic[:]) == "PK\x03\x04" {
		a, err := openZip(f, st.Size(), name)
		if err != nil {
			return nil, "", errors.Join(err, f.Close())
		}
		return &closing{a, f}, "zip", nil
	}
	return &closing{&single{path.Base(strings.ReplaceAll(name, `\`, "/")), tree.Section(f, 0, st.Size())}, f}, "image", nil
}

// closing closes the file under a source with it.
type closing struct {
	source
	f *os.File
}

func (c *closing) close() error { return errors.Join(c.source.close(), c.f.Close()) }

// Close releases the files under the ROM.
func (r *ROM) Close() error {
	if r.extracted != nil {
		return errors.Join(r.extracted.Close(), r.src.close())
	}
	return r.src.close()
}

func (r *ROM) file(name string) (*File, error) {
	c, ok := r.src.entry(name)
	if !ok {
		return nil, nil
	}
	ra, err := r.src.random(c)
	if err != nil {
		return nil, mtkport.InFile(err, r.Path)
	}
	return &File{Name: name, R: ra, Size: c.Size()}, nil
}

const scriptName = "META-INF/com/google/android/updater-script"

func (r *ROM) assemble(ctx context.Context) error {
	if err := r.findScatter(); err != nil {
		return err
	}
	raw, err := r.runScript()
	if err != nil {
		return err
	}
	if err := r.findBoot(raw); err != nil {
		return err
	}
	if r.System == nil {
		if err := r.findSystem(ctx, raw); err != nil {
			return err
		}
	}
	if r.Boot == nil && r.System == nil {
		return &mtkport.Error{File: r.Path, Off: mtkport.NoOffset, Found: "no boot image, no system image and no system folder",
			Want: "a ROM", Err: mtkport.ErrFormat, Hint: r.notARom()}
	}
	return nil
}

// notARom says what to do with a source that holds no ROM.
func (r *ROM) notARom() string {
	for _, n := range r.src.list() {
		switch low := strings.ToLower(path.Base(n)); {
		case low == "system.new.dat" || low == "system.new.dat.br":
			return n + " is the block form of Android 5 and later: make it an image first (sdat2img does)"
		case strings.HasSuffix(low, ".zip"), strings.HasSuffix(low, ".rar"), strings.HasSuffix(low, ".7z"):
			return "a package lies inside: take " + n + " out and give that"
		}
	}
	return "give a firmware folder with its scatter file, a flashable zip, or a folder with boot.img and system.img"
}

// betterLayout: a scatter tells more than the list of an OTA package, and one with
// more partitions more than one with fewer.
func betterLayout(a, b *scatter.Layout) bool {
	if a.IsList() != b.IsList() {
		return b.IsList()
	}
	return len(a.Partitions) > len(b.Partitions)
}

// findScatter takes the scatter file that tells most.
func (r *ROM) findScatter() error {
	for _, n := range r.src.list() {
		base := strings.ToLower(path.Base(n))
		if !strings.Contains(base, "scatter") || !strings.HasSuffix(base, ".txt") || strings.Count(n, "/") > 3 {
			continue
		}
		f, err := r.file(n)
		if err != nil || f == nil || f.Size > scatter.MaxFile {
			continue
		}
		b := make([]byte, f.Size)
		if _, err := f.R.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		l, err := scatter.Parse(b, path.Base(n))
		if errors.Is(err, mtkport.ErrFormat) {
			continue
		}
		if err != nil {
			return mtkport.InFile(err, path.Join(r.Path, n))
		}
		if r.Scatter == nil || betterLayout(l, r.Scatter) {
			r.Scatter, r.ScatterFile = l, f
		}
	}
	return nil
}

// scriptRoot finds the folder that holds the package's script: the top, or the one
// folder that somebody packed the whole package in.
func (r *ROM) scriptRoot() (string, bool) {
	if _, ok := r.src.entry(scriptName); ok {
		return ".", true
	}
	var found []string
	for _, n := range r.src.list() {
		if dir, ok := strings.CutSuffix(n, "/"+scriptName); ok && strings.Count(dir, "/") < 3 {
			found = append(found, dir)
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	if len(found) > 1 {
		r.Notes = append(r.Notes, mtkport.Finding{Code: "script-many", Severity: mtkport.Risk, Subject: found[0],
			Text: fmt.Sprintf("%d packages lie in here, each with its own script; none is carried out", len(found)), Fix: "give one of them alone"})
	}
	return "", false
}

// runScript carries out a package's script and returns which entry goes to which
// partition.
func (r *ROM) runScript() (map[string]string, error) {
	root, ok := r.scriptRoot()
	if !ok {
		return nil, nil
	}
	in := within{r.src, root}
	c, _ := in.entry(scriptName)
	if c.Size() > maxScript {
		return nil, &mtkport.Error{File: scriptName, Off: mtkport.NoOffset, Field: "size", Found: strconv.FormatInt(c.Size(), 10),
			Want: "at most " + strconv.Itoa(maxScript) + " bytes", Err: mtkport.ErrDamaged}
	}
	b := make([]byte, c.Size())
	if _, err := c.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(b, []byte("#!")) || bytes.HasPrefix(b, []byte("# Dummy")) || bytes.HasPrefix(b, []byte("#MAGISK")) {
		return nil, nil // a shell installer stands in update-binary
	}
	e, err := parseScript(string(b), scriptName)
	if err != nil {
		return nil, mtkport.InFile(err, r.Path)
	}
	u := &updater{sys: tree.New(), entry: in.entry, walk: in.walk, tmp: map[string]string{}, raw: map[string]string{}, name: scriptName}
	u.sys.Root.MTime = extractTime
	if _, err := u.eval(e); err != nil {
		return nil, mtkport.InFile(err, r.Path)
	}
	r.Notes = append(r.Notes, u.notes...)
	for part, n := range u.raw {
		u.raw[part] = path.Join(root, n)
	}
	if len(u.sys.Root.Names()) == 0 {
		return u.raw, nil
	}
	r.System, r.SystemKind, r.Form = u.sys, "package", "flashable "+r.Form
	if !u.perms {
		fsConfig(r.System, r.sdk())
		r.Notes = append(r.Notes, mtkport.Finding{Code: "script-no-perms", Severity: mtkport.Note, Subject: scriptName,
			Text: "the script sets no owners and modes; Android's own defaults are taken"})
	}
	return u.raw, nil
}

func (r *ROM) sdk() int {
	if p := r.readProps(); p != nil {
		if v, ok := p.Get("ro.build.version.sdk"); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return 17 // Android 4.2
}

// The names that a partition's image goes by in firmware folders and packages,
// in the order of trust.
var (
	bootNames   = []string{"boot.img", "bootimg.img", "boot_emmc.img", "boot_nand.img"}
	systemNames = []string{"system.img", "system.img.ext4", "system.ext4.img", "system.raw.img", "android.img", "system.ubi", "system.yaffs2", "system.bin", "system.tar", "system.ext4.tar"}
)

func (r *ROM) findBoot(raw map[string]string) error {
	names := r.imageNames("boot", bootNames, raw["bootimg"], raw["boot"], raw["BOOTIMG"])
	if r.Form == "image" {
		names = append(names, r.src.list()...)
	}
	for _, n := range names {
		f, err := r.file(n)
		if err != nil || f == nil {
			continue
		}
		m, err := bootimg.Open(f.R, f.Size)
		if errors.Is(err, mtkport.ErrFormat) {
			continue
		}
		if err != nil {
			return mtkport.InFile(err, path.Join(r.Path, n))
		}
		r.Boot, r.BootFile = m, f
		return nil
	}
	return r.bootParts()
}

// imageNames lists where the image of a partition may lie: what a script or the
// scatter names, then the usual names, nearest to the top first.
func (r *ROM) imageNames(part string, usual []string, first ...string) []string {
	var out []string
	for _, n := range first {
		if n != "" {
			out = append(out, n)
		}
	}
	if r.Scatter != nil {
		if p := r.Scatter.Find(part); p != nil && p.File != "" {
			out = append(out, path.Join(path.Dir(r.ScatterFile.Name), p.File))
		}
	}
	for depth := 0; depth <= 2; depth++ {
		for _, u := range usual {
			for _, n := range r.src.list() {
				if strings.Count(n, "/") == depth && strings.EqualFold(path.Base(n), u) {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// Kernel opens the kernel of the boot image, once.
func (r *ROM) Kernel() (*kernel.Kernel, error) { return r.kernel() }

func (r *ROM) openKernel() (*kernel.Kernel, error) {
	s := r.section(bootimg.Kernel)
	if s == nil {
		return nil, r.lacks("kernel")
	}
	k, err := kernel.Open(s.Payload(), s.Payload().Size())
	return k, mtkport.InFile(err, r.Path)
}

// Ramdisk opens the ramdisk of the boot image, once.
func (r *ROM) Ramdisk() (*ramdisk.Archive, error) { return r.rd() }

func (r *ROM) openRamdisk() (*ramdisk.Archive, error) {
	s := r.section(bootimg.Ramdisk)
	if s == nil {
		return nil, r.lacks("ramdisk")
	}
	a, err := ramdisk.Open(s.Payload(), s.Payload().Size())
	return a, mtkport.InFile(err, r.Path)
}

func (r *ROM) section(k bootimg.Kind) *bootimg.Section {
	if r.Boot == nil {
		return nil
	}
	return r.Boot.Section(k)
}

func (r *ROM) lacks(what string) error {
	return &mtkport.Error{File: r.Path, Off: mtkport.NoOffset, Field: what, Found: "none", Want: "a boot image with a " + what, Err: mtkport.ErrFormat}
}

// Props is build.prop, or nil.
func (r *ROM) Props() *prop.File {
	if r.props == nil { // put together by hand, not by Open
		return r.readProps()
	}
	return r.props()
}

// maxProps bounds a property file; real ones stay under 16 KiB.
const maxProps = 1 << 20

func (r *ROM) readProps() *prop.File {
	if r.System == nil {
		return nil
	}
	n, err := r.System.Lookup("build.prop")
	if err != nil || n.Type() != tree.Regular || n.Data == nil || n.Size() > maxProps {
		return nil
	}
	b := make([]byte, n.Size())
	if _, err := n.Data.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return prop.Parse(b)
}

// RamdiskTree is a ramdisk as a tree, or nil for none.
func RamdiskTree(a *ramdisk.Archive) *tree.Tree {
	if a == nil {
		return nil
	}
	t := tree.New()
	for _, e := range a.Entries() {
		name := path.Clean("/" + e.Name())[1:]
		if name == "" {
			continue
		}
		n := &tree.Node{Mode: e.Mode, UID: e.UID, GID: e.GID, Target: e.Target()}
		if n.Type() == tree.Regular {
			n.Data = tree.Bytes(a.Content(e))
		}
		if n.IsDir() {
			_ = t.MkdirAll(name, n)
			continue
		}
		_ = t.MkdirAll(parent(name), tree.NewDir(0o755))
		_ = t.Put(name, n)
	}
	return t
}

// parent is the folder of a path in the form that tree.MkdirAll takes: "" for
// the root.
func parent(p string) string {
	if d := path.Dir(p); d != "." && d != "/" {
		return d
	}
	return ""
}

// Storage is EMMC or NAND, or "" where the ROM does not tell: by its scatter,
// the container of its system image, and ro.mount.fs of its ramdisk.
func (r *ROM) Storage() string {
	if r.Scatter != nil && (r.Scatter.Storage == scatter.EMMC || r.Scatter.Storage == scatter.NAND) {
		return r.Scatter.Storage
	}
	if r.SystemImage != nil {
		switch r.SystemImage.Format {
		case "ext4", "sparse":
			return scatter.EMMC
		case "ubi", "ubifs", "yaffs2":
			return scatter.NAND
		}
	}
	if r.Boot == nil {
		return ""
	}
	a, err := r.Ramdisk()
	if err != nil {
		return ""
	}
	b, err := a.ReadFile("default.prop")
	if err != nil {
		return ""
	}
	switch v, _ := prop.Parse(b).Get("ro.mount.fs"); strings.ToUpper(v) {
	case "EXT4":
		return scatter.EMMC
	case "UBIFS", "YAFFS", "YAFFS2":
		return scatter.NAND
	}
	return ""
}
