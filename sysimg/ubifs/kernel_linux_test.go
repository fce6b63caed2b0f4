package ubifs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cavaliergopher/cpio"

	"mtkport/sysimg/tree"
	"mtkport/sysimg/tree/treetest"
)

// The strongest witness: a Linux kernel in a virtual machine attaches and mounts
// what we write, with its own checks of index, LEB properties and orphans on. It
// needs qemu-system-x86_64 and an x86-64 kernel with its modules, named by
//
//	MTKPORT_VM_KERNEL   the kernel image (vmlinuz)
//	MTKPORT_VM_MODULES  the folder of its modules (lib/modules/VERSION)
//
// .ci/vm-kernel fetches Debian's and prints both.

// vmJob is what testdata/kernelinit is told to do.
type vmJob struct {
	Modules, After    []string
	Volume            string
	Change, Cut, Dump bool
}

// vmEntry is what it tells of each file.
type vmEntry struct {
	Path                  string
	Mode, UID, GID, Nlink uint32
	Size, MTime           int64
	Dev                   uint64
	Target, Sum           string
	Xattrs                map[string]string
}

type vm struct {
	kernel, modules, init string
	index                 map[string]string // module name: path
}

func newVM(t *testing.T) *vm {
	t.Helper()
	v := &vm{kernel: os.Getenv("MTKPORT_VM_KERNEL"), modules: os.Getenv("MTKPORT_VM_MODULES"), index: map[string]string{}}
	if v.kernel == "" || v.modules == "" {
		t.Skip("needs MTKPORT_VM_KERNEL and MTKPORT_VM_MODULES: .ci/vm-kernel prints them")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64")
	}
	err := filepath.Walk(v.modules, func(p string, _ os.FileInfo, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(p), ".ko"); ok {
			v.index[strings.ReplaceAll(name, "-", "_")] = p
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v.init = filepath.Join(t.TempDir(), "init")
	cmd := exec.Command("go", "build", "-o", v.init, "./testdata/kernelinit")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return v
}

// depends lists name and what it needs, what is needed first. What is not there
// is built into the kernel.
func (v *vm) depends(t *testing.T, name string, seen map[string]bool) []string {
	t.Helper()
	name = strings.ReplaceAll(name, "-", "_")
	if seen[name] || v.index[name] == "" {
		return nil
	}
	seen[name] = true
	f, err := elf.Open(v.index[name])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Section(".modinfo").Data()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range strings.Split(string(info), "\x00") {
		list, ok := strings.CutPrefix(s, "depends=")
		if !ok {
			list, ok = strings.CutPrefix(s, "softdep=pre: ")
			list = strings.ReplaceAll(list, " ", ",")
		}
		if !ok || list == "" {
			continue
		}
		for _, d := range strings.Split(list, ",") {
			out = append(out, v.depends(t, d, seen)...)
		}
	}
	return append(out, name)
}

// run starts the machine with image on a flash that nandsim makes from id, and
// returns what the mount showed and the flash as it was left.
func (v *vm) run(t *testing.T, image []byte, id string, j vmJob) (entries map[string]vmEntry, flash []byte) {
	t.Helper()
	dir := t.TempDir()
	initrd, disk := filepath.Join(dir, "initrd"), filepath.Join(dir, "disk")
	v.initrd(t, initrd, image, id, j)
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 1<<30); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-m", "2500", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio", "-kernel", v.kernel, "-initrd", initrd,
		"-append", "console=ttyS0 loglevel=4 panic=-1", "-drive", "file=" + disk + ",format=raw,if=virtio",
		"-accel", "tcg", "-cpu", "qemu64",
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("the machine: %v: %s", err, tail(out))
	}
	entries = listen(t, out)
	if j.Dump || j.Cut {
		if flash, err = os.ReadFile(disk); err != nil {
			t.Fatal(err)
		}
	}
	return entries, flash
}

func tail(b []byte) []byte { return b[max(0, len(b)-3000):] }

// listen reads the machine's console: what it tells, and what the kernel
// complains of.
func listen(t *testing.T, out []byte) map[string]vmEntry {
	t.Helper()
	entries := map[string]vmEntry{}
	done := false
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		for _, bad := range []string{"UBIFS error", "UBI error", "ubi0 error", "UBIFS warning", "Call Trace", "check failed"} {
			if strings.Contains(line, bad) {
				t.Errorf("the kernel: %s", line)
			}
		}
		_, line, ok := strings.Cut(line, "@@ ")
		if !ok {
			continue
		}
		var e struct {
			vmEntry
			Failed, Done string
			Checks       *int
		}
		// The kernel may speak at the end of the line.
		if err := json.NewDecoder(strings.NewReader(line)).Decode(&e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch {
		case e.Failed != "":
			t.Errorf("in the machine: %s", e.Failed)
		case e.Done != "":
			done = true
		case e.Checks != nil:
			if *e.Checks == 0 {
				t.Error("the kernel has no self-checks of UBIFS")
			}
		default:
			entries[e.Path] = e.vmEntry
		}
	}
	if !done {
		t.Fatalf("the machine did not finish: %s", tail(out))
	}
	return entries
}

// initrd packs init, modules, job and image.
func (v *vm) initrd(t *testing.T, name string, image []byte, id string, j vmJob) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	put := func(name string, mode cpio.FileMode, b []byte) {
		t.Helper()
		if err := w.WriteHeader(&cpio.Header{Name: name, Mode: mode, Size: int64(len(b))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"dev", "proc", "sys", "mnt", "modules"} {
		put(d, cpio.TypeDir|0o755, nil)
	}
	copyIn := func(to, from string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		put(to, cpio.TypeReg|0o755, b)
	}
	copyIn("init", v.init)
	seen := map[string]bool{}
	var names []string
	for _, m := range []string{"virtio_pci", "virtio_blk", "lzo", "lzo_compress", "deflate", "zstd", "nandsim"} {
		names = append(names, v.depends(t, m, seen)...)
	}
	names = append(names, v.depends(t, "ubifs", seen)...)
	for _, m := range names {
		copyIn("modules/"+m, v.index[m])
		switch m {
		case "nandsim":
			j.Modules = append(j.Modules, "/modules/nandsim id_bytes="+strings.Fields(id)[0])
		case "ubi":
			j.After = append(j.After, "/modules/ubi mtd=0,"+strings.Fields(id)[1])
		case "ubifs":
			j.After = append(j.After, "/modules/ubifs")
		default:
			j.Modules = append(j.Modules, "/modules/"+m)
		}
	}
	b, _ := json.Marshal(j)
	put("job.json", cpio.TypeReg|0o644, b)
	put("image", cpio.TypeReg|0o644, image)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// agree compares what the kernel saw with a tree.
func agree(t *testing.T, entries map[string]vmEntry, tr *tree.Tree) {
	t.Helper()
	nodes := treetest.Flatten(tr)
	links := tr.Links()
	for p, n := range nodes {
		e, ok := entries[strings.TrimPrefix(p, ".")]
		if !ok {
			t.Errorf("%s: the kernel does not see it", p)
			continue
		}
		want := vmEntry{
			Path: e.Path, Mode: n.Mode, UID: n.UID, GID: n.GID, Nlink: max(1, uint32(len(links[n]))), Size: n.Size(), MTime: n.MTime.Unix(),
			Dev: uint64(n.Major)<<32 | uint64(n.Minor), Target: n.Target,
		}
		if n.IsDir() {
			want.Nlink, want.Size = 2+subdirs(n), e.Size
		}
		if n.Type() == tree.Regular {
			sum := sha256.Sum256(treetest.Contents(t, p, n))
			want.Sum = hex.EncodeToString(sum[:])
		}
		for name, v := range n.Xattrs {
			if want.Xattrs == nil {
				want.Xattrs = map[string]string{}
			}
			want.Xattrs[name] = hex.EncodeToString(v)
		}
		if g, w := fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", want); g != w {
			t.Errorf("%s: the kernel sees %.600s, want %.600s", p, g, w)
		}
	}
	for p := range entries {
		if p != "" && nodes[p] == nil {
			t.Errorf("%s: only the kernel sees it", p)
		}
	}
}

const (
	// The bytes by which nandsim knows a flash, and the offset of UBI's second
	// header, as nandsim can write parts of pages and phones cannot.
	nand256MiB = "0x20,0xaa,0x00,0x15 2048" // pages of 2048, blocks of 128 KiB
	nand512MiB = "0x20,0xac,0x00,0x26 4096" // pages of 4096, blocks of 256 KiB
)

func TestKernelMounts(t *testing.T) {
	v := newVM(t)
	tr := treetest.Sample(t, 400)
	for name, tc := range map[string]struct {
		l  Layout
		id string
	}{
		"lzo":      {Layout{Compression: LZO, UBI: &Volume{}}, nand256MiB},
		"zlib":     {Layout{Compression: Zlib, UBI: &Volume{LEBs: 1500}}, nand256MiB},
		"zstd":     {Layout{Compression: Zstd, UBI: &Volume{Autoresize: true}, MaxLEBs: 4000}, nand256MiB},
		"none4096": {Layout{MinIO: 4096, UBI: &Volume{Autoresize: true}, MaxLEBs: 3000}, nand512MiB},
		"lzo4096":  {Layout{MinIO: 4096, Compression: LZO, UBI: &Volume{}, SpaceFixup: true}, nand512MiB},
		"big lpt":  {Layout{Compression: LZO, MaxLEBs: 200000, UBI: &Volume{Autoresize: true}}, nand256MiB},
	} {
		t.Run(name, func(t *testing.T) {
			entries, _ := v.run(t, write(t, tr, tc.l), tc.id, vmJob{Volume: "system"})
			agree(t, entries, tr)
		})
	}
}

// TestKernelChanges has the kernel change what we wrote, unmounted in good order
// and cut off, and reads the flash back: the journal included.
func TestKernelChanges(t *testing.T) {
	v := newVM(t)
	tr := treetest.Sample(t, 60)
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut=%t", cut), func(t *testing.T) {
			img := write(t, tr, Layout{Compression: LZO, SpaceFixup: true, MaxLEBs: 1800, UBI: &Volume{Autoresize: true}})
			entries, flash := v.run(t, img, nand256MiB, vmJob{Volume: "system", Change: true, Cut: cut, Dump: true})
			fs := openBytes(t, flash[:256<<20])
			for _, p := range fs.Problems() {
				t.Errorf("problem: %+v", p)
			}
			agree(t, entries, fs.Tree())
			if _, err := fs.Tree().Lookup("etc/new2"); err != nil {
				t.Error(err)
			}
			again := write(t, fs.Tree(), fs.Layout())
			treetest.Same(t, openBytes(t, again).Tree(), fs.Tree())
		})
	}
}
