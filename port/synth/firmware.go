package synth

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mtkport/profiles/scatter"
	"mtkport/sysimg"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/tree"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// ScatterName is the scatter's name in a firmware folder.
const ScatterName = "MT6572_Android_scatter.txt"

// SystemSize is what the system partition and its image take, in bytes.
const SystemSize = 32 * mib

// entries is the layout of both phones: a stock one, with the big partitions cut
// down. MBR_LINEAR is 0x600000.
func (p Phone) entries() []scatter.Entry {
	e := func(name, file string, size int64) scatter.Entry {
		return scatter.Entry{Name: name, File: file, Size: size, Download: file != ""}
	}
	list := []scatter.Entry{
		e("PRELOADER", p.PreloaderName(), 6*mib), e("MBR", "MBR", 512*kib), e("EBR1", "EBR1", 512*kib), e("PRO_INFO", "", 3*mib), e("NVRAM", "", 5*mib),
		e("PROTECT_F", "", 2*mib), e("PROTECT_S", "", 2*mib), e("SECCFG", "", 128*kib), e("UBOOT", "lk.bin", 384*kib), e("BOOTIMG", "boot.img", 6*mib),
		e("RECOVERY", "recovery.img", 6*mib), e("SEC_RO", "", 256*kib), e("MISC", "", 512*kib), e("LOGO", "logo.bin", 3*mib), e("EXPDB", "", mib),
		e("ANDROID", "system.img", SystemSize), e("CACHE", "", 4*mib), e("USRDATA", "", 0),
	}
	at := int64(0)
	for i := range list {
		list[i].Start = at
		at += list[i].Size
	}
	return append(list, scatter.Entry{Name: "BMTPOOL", FromEnd: 0xa8})
}

// PreloaderName is the file of the preloader: its name tells the board.
func (p Phone) PreloaderName() string { return "preloader_" + p.Board + ".bin" }

// Scatter is the phone's scatter file.
func (p Phone) Scatter() ([]byte, error) {
	return scatter.Build(scatter.Spec{Project: p.Board, Entries: p.entries()})
}

// Firmware writes the stock firmware folder into root, which should be empty.
func (p Phone) Firmware(ctx context.Context, root *os.Root) error {
	sc, err := p.Scatter()
	if err != nil {
		return err
	}
	files := map[string]func(io.Writer) error{
		ScatterName: raw(sc), "boot.img": p.Boot, "recovery.img": p.Recovery, p.PreloaderName(): raw(p.Preloader()),
		"lk.bin": raw(p.LK()), "logo.bin": raw(p.Logo()), "MBR": raw(p.records()[0]), "EBR1": raw(p.records()[1]),
	}
	for name, write := range files {
		if err := toFile(root, name, write); err != nil {
			return err
		}
	}
	f, err := root.OpenFile("system.img", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	l := ext4.Android(SystemSize, "system")
	err = sysimg.Write(ctx, f, p.System(), sysimg.Options{To: "ext4", Layout: sysimg.Layout{Ext4: &l}})
	return errors.Join(err, f.Close())
}

func raw(b []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(b); return err }
}

func toFile(root *os.Root, name string, write func(io.Writer) error) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// Package writes the ROM as a flashable zip: system/, boot.img, and a script that
// makes links and sets owners and modes.
func (p Phone) Package(w io.Writer) error {
	z := zip.NewWriter(w)
	add := func(name string, method uint16, write func(io.Writer) error) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: buildTime})
		if err != nil {
			return err
		}
		return write(f)
	}
	var links strings.Builder
	err := p.System().Walk(func(name string, n *tree.Node) error {
		switch n.Type() {
		case tree.Symlink:
			fmt.Fprintf(&links, "symlink(%q, %q);\n", n.Target, "/system/"+name)
		case tree.Regular:
			method := zip.Deflate
			if strings.HasSuffix(name, ".apk") || strings.HasSuffix(name, ".jar") {
				method = zip.Store
			}
			return add("system/"+name, method, func(w io.Writer) error {
				_, err := io.Copy(w, io.NewSectionReader(n.Data, 0, n.Size()))
				return err
			})
		}
		return nil
	})
	if err == nil {
		err = add("boot.img", zip.Deflate, p.Boot)
	}
	if err == nil {
		err = add("META-INF/com/google/android/updater-script", zip.Deflate, raw([]byte(p.script(links.String()))))
	}
	return errors.Join(err, z.Close())
}

func (p Phone) script(links string) string {
	return `assert(getprop("ro.product.device") == "` + p.Board + `" || abort("This package is for ` + p.Board + `."));
ui_print("` + p.Model + `");
ifelse(is_mounted("/system"), unmount("/system"));
format("ext4", "EMMC", "/emmc@android", "0", "/system");
mount("ext4", "EMMC", "/emmc@android", "/system");
package_extract_dir("system", "/system");
` + links + `set_perm_recursive(0, 0, 0755, 0644, "/system");
set_perm_recursive(0, 2000, 0755, 0755, "/system/bin");
set_perm(0, 3003, 02750, "/system/bin/netcfg");
set_perm(0, 3004, 02755, "/system/bin/ping");
set_perm(0, 2000, 06750, "/system/bin/run-as");
set_perm_recursive(0, 2000, 0755, 0755, "/system/xbin");
set_perm(0, 2000, 0755, "/system/vendor", "/system/vendor/lib");
package_extract_file("boot.img", "/tmp/boot.img");
write_raw_image("/tmp/boot.img", "bootimg");
unmount("/system");
`
}

// Preloader is a loader that loads nothing: the head by which files of its kind
// are told, and the name of the board.
func (p Phone) Preloader() []byte {
	b := make([]byte, 16*kib)
	copy(b, "MMM\x01\x38\x00\x00\x00FILE_INFO")
	binary.LittleEndian.PutUint32(b[0x20:], uint32(len(b)))
	copy(b[0x200:], "MT6572 synthetic preloader of "+p.Board)
	copy(b[len(b)-0x100:], "MTK_BLOADER_INFO_v11")
	copy(b[len(b)-0x100+0x1b:], p.PreloaderName())
	return b
}

// LK is a second loader that names its panels.
func (p Phone) LK() []byte {
	var b bytes.Buffer
	for _, s := range p.Kernel.Panels {
		b.WriteString(s + "\x00")
	}
	b.WriteString("%s lcm=%1d-%s\x00platform/mediatek/mt6572/lk\x00" + p.Board + "\x00")
	return mtkPart("LK", b.Bytes())
}

// Logo is a logo partition without pictures.
func (p Phone) Logo() []byte {
	return mtkPart("LOGO", binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0), 8))
}

// mtkPart puts MediaTek's 512-byte header in front.
func mtkPart(name string, payload []byte) []byte {
	h := bytes.Repeat([]byte{0xff}, 512)
	binary.LittleEndian.PutUint32(h, 0x58881688)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(payload)))
	copy(h[8:40], append([]byte(name), make([]byte, 32)...))
	return append(h, payload...)
}
