package synth

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"mtkport/bootimg"
	"mtkport/ramdisk"
)

// Ramdisk is the phone's ramdisk, as mkbootfs and minigzip make it.
func (p Phone) Ramdisk() ([]byte, error) {
	a := ramdisk.New(ramdisk.Gzip)
	for _, d := range []string{"data", "dev", "proc", "sbin", "sys", "system"} {
		if err := a.Mkdir(d); err != nil {
			return nil, err
		}
	}
	files := map[string]string{
		"default.prop": "#\n# ADDITIONAL_DEFAULT_PROPERTIES\n#\nro.secure=1\nro.debuggable=0\nro.mount.fs=EXT4\npersist.sys.usb.config=mass_storage\n",
		"fstab":        "/emmc@android /system ext4 ro,noatime wait\n/emmc@cache /cache ext4 noatime,nosuid,nodev wait\n/emmc@usrdata /data ext4 noatime,nosuid,nodev wait,encryptable=footer\n",
		"init.rc":      p.initRC(), "init.modem.rc": modemRC, "init.project.rc": p.projectRC(), "init.usb.rc": "on boot\n    setprop sys.usb.config mass_storage\n",
		"ueventd.rc": "/dev/null 0666 root root\n/dev/mali 0666 system graphics\n/dev/kd_camera_hw 0660 system camera\n/dev/gt9xx 0660 system system\n",
	}
	for name, text := range files {
		if err := a.Put(name, []byte(text)); err != nil {
			return nil, err
		}
	}
	for name, o := range map[string]Object{"init": {Program: true, Texts: []string{p.Board, "fs_property:ro.mount.fs"}}, "sbin/adbd": {Program: true, Texts: []string{"adbd"}}, "sbin/meta_tst": {Program: true, Texts: []string{"meta"}}} {
		if err := a.Put(name, o.ELF()); err != nil {
			return nil, err
		}
		if err := a.Chmod(name, 0o750); err != nil {
			return nil, err
		}
	}
	if err := a.Symlink("../init", "sbin/ueventd"); err != nil {
		return nil, err
	}
	return a.Bytes()
}

func (p Phone) initRC() string {
	var b strings.Builder
	b.WriteString("import /init.usb.rc\nimport /init.modem.rc\nimport /init.project.rc\n\non early-init\n    start ueventd\n\n")
	for _, t := range []string{"user", "userdebug", "eng"} {
		jars := p.BootClassPath()
		if t == "eng" {
			jars += ":/system/framework/emma.jar"
		}
		fmt.Fprintf(&b, "on early_property:ro.build.type=%s\n    export BOOTCLASSPATH %s\n\n", t, jars)
	}
	b.WriteString("on init\n    export PATH /sbin:/vendor/bin:/system/sbin:/system/bin:/system/xbin\n    export LD_LIBRARY_PATH /vendor/lib:/system/lib\n\n" +
		"on fs_property:ro.mount.fs=EXT4\n    mount ext4 /emmc@android /system ro\n    mount ext4 /emmc@usrdata /data nosuid nodev\n    mount ext4 /emmc@cache /cache nosuid nodev\n\n" +
		"on post-fs\n    insmod /system/lib/modules/ccci_plat.ko\n    insmod /system/lib/modules/ccci.ko\n    insmod /system/lib/modules/mtk_stp_wmt.ko\n    insmod /system/lib/modules/mtk_wmt_wifi.ko\n\n")
	for _, s := range []string{"servicemanager", "vold", "netd", "debuggerd", "surfaceflinger", "installd", "nvram_daemon"} {
		fmt.Fprintf(&b, "service %s /system/bin/%s\n    class main\n\n", s, s)
	}
	b.WriteString("service zygote /system/bin/app_process -Xzygote /system/bin --zygote --start-system-server\n    class main\n    socket zygote stream 660 root system\n\n" +
		"service media /system/bin/mediaserver\n    class main\n    user media\n\nservice bootanim /system/bin/bootanimation\n    class main\n    oneshot\n\n" +
		"service 6620_launcher /system/bin/6620_launcher -p /system/etc/firmware/\n    class core\n\nservice mnld /system/xbin/mnld\n    class main\n    disabled\n")
	return b.String()
}

const modemRC = "service ccci_mdinit /system/bin/ccci_mdinit\n    class core\n    oneshot\n\nservice muxd /system/bin/gsm0710muxd -s /dev/ttyC0\n    class core\n    disabled\n\nservice ril-daemon /system/bin/rild\n    class core\n    disabled\n"

func (p Phone) projectRC() string {
	var b strings.Builder
	for _, d := range p.Daemons {
		fmt.Fprintf(&b, "service %s /system/bin/%s\n    class main\n    oneshot\n\n", d, d)
	}
	return b.String()
}

// Boot writes boot.img.
func (p Phone) Boot(w io.Writer) error { return p.image(w, "ROOTFS") }

// Recovery writes recovery.img: the same kernel, the part header of a recovery.
func (p Phone) Recovery(w io.Writer) error { return p.image(w, "RECOVERY") }

func (p Phone) image(w io.Writer, ramdiskPart string) error {
	z, err := p.Kernel.ZImage()
	if err != nil {
		return err
	}
	rd, err := p.Ramdisk()
	if err != nil {
		return err
	}
	spec := bootimg.Spec{Sections: map[bootimg.Kind]bootimg.Payload{
		bootimg.Kernel:  {R: bytes.NewReader(z), Size: int64(len(z)), Part: "KERNEL"},
		bootimg.Ramdisk: {R: bytes.NewReader(rd), Size: int64(len(rd)), Part: ramdiskPart},
	}}
	spec.Header.PageSize = 2048
	spec.Header.StockAddresses()
	return bootimg.Build(w, spec)
}
