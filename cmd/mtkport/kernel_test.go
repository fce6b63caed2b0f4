package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mtkport/testdata/realfile"
)

// call runs mtkport in this process and returns what it printed.
func call(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"mtkport"}, args...), strings.NewReader(""), &out, &errs); code != exitOK {
		t.Fatalf("mtkport %s: exit code %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.Bytes()
}

// armKernel is Debian's armhf kernel, and what it unpacks ramdisks of.
func armKernel(t *testing.T) (kernel, config string) {
	t.Helper()
	kernel = os.Getenv("MTKPORT_ARM_KERNEL")
	if kernel == "" {
		t.Skip("needs MTKPORT_ARM_KERNEL, the kernel that .ci/arm-kernel.sh FOLDER fetches")
	}
	for _, tool := range []string{"qemu-system-arm", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(kernel), strings.Replace(filepath.Base(kernel), "vmlinuz", "config", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return kernel, string(b)
}

// buildInit builds the program that lists what the kernel unpacked.
func buildInit(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/init")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm", "GOARM=7", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building init: %v\n%s", err, b)
	}
	return out
}

// stockFolder is an unpacked real ramdisk, or a made one where there is none.
func stockFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stock")
	if real := realfile.Folder(); real != "" {
		call(t, "ramdisk", "unpack", filepath.Join(real, "boot", "pixi3-boot.img"), "-o", dir)
		return dir
	}
	for name, text := range map[string]string{"init": "#!", "init.rc": "on boot\n", "sbin/adbd": "ELF", "data/.keep": ""} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// kernelEntry is what both `ramdisk ls --json` and init say of an entry.
type kernelEntry struct {
	Name, Type, Mode, Target string
	UID, GID, Major, Minor   uint32
	Size                     int64
	SHA256                   string `json:"sha256"`
}

// bootKernel starts the kernel with the ramdisk and returns what init found.
func bootKernel(t *testing.T, kernel, rd string) map[string]kernelEntry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-m", "512", "-nographic", "-no-reboot",
		"-nic", "none", "-kernel", kernel, "-initrd", rd, "-append", "console=ttyAMA0 panic=-1 quiet").CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-system-arm: %v\n%s", err, out)
	}
	found, end := map[string]kernelEntry{}, ""
	for line := range strings.Lines(string(out)) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "MTK ")
		switch {
		case !ok:
		case strings.HasPrefix(text, "end"):
			end = text
		default:
			var e kernelEntry
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Fatalf("init printed %q: %v", text, err)
			}
			found[e.Name] = e
		}
	}
	if end != "end <nil>" {
		t.Fatalf("init did not end well: %q\n%s", end, out)
	}
	return found
}

// TestKernelUnpacks: a Linux kernel unpacks ramdisks that mtkport edited, packed
// in every way that this kernel knows, and runs the new init, which finds what
// `ramdisk ls` lists.
func TestKernelUnpacks(t *testing.T) {
	kernel, config := armKernel(t)
	initFile, stock := buildInit(t), stockFolder(t)
	for as, option := range map[string]string{"none": "CONFIG_BLK_DEV_INITRD", "gzip": "CONFIG_RD_GZIP", "lz4": "CONFIG_RD_LZ4", "lzma": "CONFIG_RD_LZMA",
		"xz": "CONFIG_RD_XZ", "lzop": "CONFIG_RD_LZO", "bzip2": "CONFIG_RD_BZIP2", "zstd": "CONFIG_RD_ZSTD"} {
		t.Run(as, func(t *testing.T) {
			if !strings.Contains(config, "\n"+option+"=y\n") {
				t.Skip("this kernel lacks " + option)
			}
			rd := editedRamdisk(t, stock, initFile, as)
			compareWithKernel(t, rd, bootKernel(t, kernel, rd))
		})
	}
}

// editedRamdisk packs the folder and edits it with every command there is.
func editedRamdisk(t *testing.T, stock, initFile, as string) string {
	t.Helper()
	rd := filepath.Join(t.TempDir(), "ramdisk."+as)
	call(t, "ramdisk", "pack", stock, "--as", as, "-o", rd)
	for _, args := range [][]string{
		{"put", rd, "init", initFile},
		{"put", rd, "deep/er/file", initFile, "--mode", "4751", "--owner", "1000:2000"},
		{"mknod", rd, "dev/null", "c", "1", "3", "--mode", "0666"},
		{"mknod", rd, "dev/block/mmcblk0p300", "b", "259", "300"},
		{"ln", rd, "../init", "deep/link"},
		{"chmod", rd, "0711", "data"},
		{"chown", rd, "1000:1001", "data", "init.rc"},
		{"rm", rd, "sbin/adbd"},
	} {
		call(t, append(append([]string{"ramdisk"}, args...), "-o", rd)...)
	}
	return rd
}

func compareWithKernel(t *testing.T, rd string, found map[string]kernelEntry) {
	t.Helper()
	var listed struct{ Entries []kernelEntry }
	if err := json.Unmarshal(call(t, "ramdisk", "ls", rd, "--json"), &listed); err != nil {
		t.Fatal(err)
	}
	for _, want := range listed.Entries {
		got, ok := found[want.Name]
		if !ok {
			t.Errorf("%s: the kernel did not make it", want.Name)
			continue
		}
		delete(found, want.Name)
		switch want.Type {
		case "file":
			sum := sha256.Sum256(call(t, "ramdisk", "cat", rd, want.Name))
			want.SHA256 = fmt.Sprintf("%x", sum)
		case "symlink":
			want.Mode = got.Mode // a kernel gives links all bits
		case "dir":
			want.Size = got.Size // folders have none in an archive
		}
		if got != want {
			t.Errorf("the kernel has\n%+v, want\n%+v", got, want)
		}
	}
	for _, builtIn := range []string{"dev", "dev/console", "root"} { // usr/default_cpio_list
		delete(found, builtIn)
	}
	for name := range found {
		t.Errorf("%s: only the kernel has it", name)
	}
	t.Logf("%d entries compared", len(listed.Entries))
}
