package synth

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"mtkport/sysimg/labels"
	"mtkport/sysimg/tree"
)

// When the synthetic ROMs were made.
var buildTime = time.Date(2013, 10, 23, 5, 30, 2, 0, time.UTC)

// lib is a library by what it is and needs.
type lib struct {
	path    string
	needs   string // names without lib and .so, blank-separated
	defines string
	uses    string
	own     bool // board or maker specific: its bytes differ between phones
}

var libs = []lib{
	{"lib/libc.so", "", "malloc free memcpy strlen open close ioctl", "", false},
	{"lib/libm.so", "c", "sin cos", "", false},
	{"lib/liblog.so", "c", "__android_log_print __xlog_buf_printf", "malloc", false},
	{"lib/libcutils.so", "c log", "property_get property_set", "__android_log_print", false},
	{"lib/libutils.so", "c log cutils", "_ZN7android7RefBaseC2Ev", "property_get", false},
	{"lib/libbinder.so", "c utils", "_ZN7android6ParcelC1Ev", "_ZN7android7RefBaseC2Ev", false},
	{"lib/libhardware.so", "c log cutils", "hw_get_module", "property_get", false},
	{"lib/libui.so", "utils hardware", "_ZN7android13GraphicBufferC1Ev", "hw_get_module", true},
	{"lib/libgui.so", "ui binder dpframework", "_ZN7android7SurfaceC1Ev", "dp_blit", true},
	{"lib/libEGL.so", "log ui", "eglInitialize", "", false},
	{"lib/libdvm.so", "c log", "JNI_CreateJavaVM", "", true},
	{"lib/libandroid_runtime.so", "dvm binder gui", "", "JNI_CreateJavaVM", true},
	{"lib/libmedia.so", "binder utils", "media_start", "", true},
	{"lib/libstagefright.so", "media", "sf_open", "media_start", true},
	{"lib/libsurfaceflinger.so", "gui EGL hardware", "", "eglInitialize hw_get_module", true},
	{"lib/libaudioflinger.so", "media", "", "media_start", true},
	{"lib/libskia.so", "c dpframework", "sk_draw", "dp_blit", true},
	{"lib/libicuuc.so", "c", "u_strlen", "", false},
	{"lib/libMali.so", "c log ui", "mali_open", "ioctl", true},
	{"lib/egl/libEGL_mali.so", "Mali", "eglGetProc", "mali_open", true},
	{"lib/egl/libGLESv2_mali.so", "Mali", "glDraw", "mali_open", true},
	{"lib/libion.so", "c", "ion_open", "ioctl", true},
	{"lib/libm4u.so", "c", "m4u_alloc", "ioctl", true},
	{"lib/libdpframework.so", "ion m4u", "dp_blit", "ion_open m4u_alloc", true},
	{"lib/libaed.so", "c", "aee_notify", "", true},
	{"lib/libcameracustom.so", "c", "", "", true},
	{"lib/libcamdrv.so", "cameracustom aed", "cam_power", "pSensorDrive_getDefaultData aee_notify", true},
	{"lib/libcamalgo.so", "cameracustom", "cam_tune", "pSensorDrive_getDefaultData", true},
	{"lib/libfeatureio.so", "camalgo", "", "cam_tune", true},
	{"lib/libcam.client.so", "camdrv ion", "", "cam_power ion_open", true},
	{"lib/libcamera_client.so", "binder", "_ZN7android16CameraParametersC1Ev", "", true},
	{"lib/libcameraservice.so", "camera_client media", "", "_ZN7android16CameraParametersC1Ev", true},
	{"lib/libaudio.primary.default.so", "audiocustparam blisrc nvram", "audio_open", "audio_gain", true},
	{"lib/libaudiocustparam.so", "nvram", "audio_gain", "nvram_read", true},
	{"lib/libblisrc.so", "c", "src_open", "", true},
	{"lib/libnvram.so", "custom_nvram", "nvram_read", "nvram_layout", true},
	{"lib/libcustom_nvram.so", "c", "nvram_layout", "", true},
	{"lib/librilmtk.so", "c cutils", "ril_start", "", true},
	{"lib/mtk-ril.so", "rilmtk", "RIL_Init", "ril_start", true},
	{"lib/libMtkOmxVdec.so", "stagefright vcodecdrv", "", "sf_open", true},
	{"lib/libvcodecdrv.so", "c", "vcodec_open", "ioctl", true},
	{"lib/libbluetoothdrv.so", "c", "bt_enable", "", true},
	{"lib/hw/gralloc.mt6572.so", "Mali ion", "", "mali_open ion_open", true},
	{"lib/hw/hwcomposer.mt6572.so", "m4u dpframework aed", "", "dp_blit", true},
	{"lib/hw/camera.default.so", "cam.client camdrv", "", "cam_power", true},
	{"lib/hw/sensors.default.so", "c log", "", "open", true},
	{"lib/hw/lights.default.so", "c log", "", "open", true},
	{"lib/hw/gps.default.so", "c log", "", "open", true},
	{"lib/hw/audio.primary.default.so", "c", "", "", true},
	{"vendor/lib/libwvm.so", "c", "", "", true},
}

// programs are path and needs.
var programs = map[string]string{
	"bin/app_process": "android_runtime binder", "bin/surfaceflinger": "surfaceflinger binder", "bin/mediaserver": "audioflinger cameraservice media",
	"bin/servicemanager": "binder", "bin/vold": "cutils", "bin/netd": "cutils", "bin/installd": "cutils", "bin/toolbox": "c", "bin/mksh": "c",
	"bin/rild": "rilmtk", "bin/ccci_mdinit": "c", "bin/gsm0710muxd": "c", "bin/nvram_daemon": "nvram custom_nvram", "bin/6620_launcher": "c",
	"bin/netcfg": "c", "bin/ping": "c", "bin/run-as": "c", "bin/debuggerd": "c", "bin/bootanimation": "gui", "bin/wpa_supplicant": "cutils", "bin/msensord": "c", "xbin/mnld": "c", "xbin/libmnlp_mt6572": "c",
}

var modules = []string{"ccci", "ccci_plat", "devapc", "mtk_stp_wmt", "mtk_stp_bt", "mtk_stp_gps", "mtk_wmt_wifi", "wlan_mt6582"}

// build puts files into a tree.
type build struct {
	p Phone
	t *tree.Tree
}

// System is the phone's system image as a tree, with owners and modes as
// Android's build gives them.
func (p Phone) System() *tree.Tree {
	b := build{p, tree.New()}
	b.native()
	b.java()
	b.board()
	b.text("build.prop", p.BuildProp())
	b.owners()
	return b.t
}

func (b build) put(name string, data []byte) {
	b.dir(path.Dir(name))
	_ = b.t.Put(name, &tree.Node{Mode: tree.Regular | 0o644, MTime: buildTime, Data: tree.Bytes(data)})
}

func (b build) dir(name string) {
	if name == "." {
		return
	}
	_ = b.t.MkdirAll(name, tree.NewDir(0o755))
}

func (b build) text(name, s string) { b.put(name, []byte(s)) }

func (b build) link(target string, names ...string) {
	for _, n := range names {
		b.dir(path.Dir(n))
		_ = b.t.Put(n, &tree.Node{Mode: tree.Symlink | 0o777, MTime: buildTime, Target: target})
	}
}

func needs(list string) []string {
	var out []string
	for _, n := range strings.Fields(list) {
		out = append(out, "lib"+n+".so")
	}
	return out
}

func (b build) native() {
	for _, l := range libs {
		o := Object{Name: path.Base(l.path), Needs: needs(l.needs), Defines: strings.Fields(l.defines), Uses: strings.Fields(l.uses)}
		if l.own {
			o.Texts = []string{b.p.Board, b.p.Kernel.Date}
		}
		if l.path == "lib/libcameracustom.so" {
			b.cameraCustom(&o)
		}
		b.put(l.path, o.ELF())
	}
	for name, n := range programs {
		b.put(name, Object{Program: true, Needs: needs(n), Texts: []string{b.p.Board}}.ELF())
	}
	b.put("bin/linker", Object{Texts: []string{"the synthetic linker"}}.ELF())
	for _, d := range b.p.Daemons {
		b.put("bin/"+d, Object{Program: true, Needs: needs("c"), Texts: []string{b.p.Board}}.ELF())
	}
	for _, m := range modules {
		b.put("lib/modules/"+m+".ko", Module(m, b.p.Kernel.Vermagic(), b.p.Board+" "+b.p.Kernel.Date, "printk", "kmalloc", "mtk_wcn_stp_send_data"))
	}
	b.link("wlan_mt6582.ko", "lib/modules/wlan.ko")
	b.link("toolbox", "bin/cat", "bin/chmod", "bin/insmod", "bin/ls", "bin/mount", "bin/setprop", "bin/start", "bin/stop")
	b.link("mksh", "bin/sh")
}

// cameraCustom gives the library the phone's sensor list.
func (b build) cameraCustom(o *Object) {
	o.Defines = []string{"pSensorDrive_getDefaultData"}
	var list []byte
	for _, c := range b.p.Kernel.Cameras {
		list = binary.LittleEndian.AppendUint32(list, c.ID)
		list = append(append(list, c.Name...), make([]byte, 32-len(c.Name)+4)...)
		o.Texts = append(o.Texts, "SENSOR_DRVNAME_"+strings.ToUpper(c.Name))
	}
	o.Tables = map[string][]byte{"SensorList": append(list, make([]byte, 40)...)}
}

func (b build) java() {
	for i, j := range append(append([]string{}, commonJars...), b.p.Jars...) {
		b.put("framework/"+j+".jar", archive(b.p.Board, uint64(i), 24<<10))
	}
	b.put("framework/framework-res.apk", archive(b.p.Board, 90, 160<<10))
	apps := []string{"Phone", "Contacts", "Mms", "Settings", "SystemUI", "Launcher2", "Calculator", "Camera", "FMRadio", "MtkBt", "EngineerMode"}
	for i, a := range append(apps, b.p.Apps...) {
		b.put("app/"+a+".apk", archive(b.p.Board, 100+uint64(i), 60<<10))
	}
	for i, s := range []string{"alarms/Dawn", "notifications/Drop", "ringtones/" + strings.Fields(b.p.Model)[0]} {
		b.put("media/audio/"+s+".ogg", noise(b.p.Board, 200+uint64(i), 12<<10))
	}
	b.put("media/bootanimation.zip", archive(b.p.Board, 300, 40<<10))
	b.put("fonts/DroidSans.ttf", noise("common", 1, 80<<10))
	b.put("usr/icu/icudt48l.dat", noise("common", 2, 200<<10))
}

// archive is a jar or apk: a zip with a dex file.
func archive(seed string, n uint64, size int) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range []struct {
		name string
		data []byte
	}{{"META-INF/MANIFEST.MF", []byte("Manifest-Version: 1.0\r\n\r\n")}, {"classes.dex", append([]byte("dex\n035\x00"), noise(seed, n, size)...)}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store, Modified: buildTime})
		if err == nil {
			_, _ = w.Write(f.data) // a bytes.Buffer does not fail
		}
	}
	_ = z.Close()
	return out.Bytes()
}

// noise is bytes that depend on the seeds alone.
func noise(seed string, n uint64, size int) []byte {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(seed) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	r := rand.New(rand.NewPCG(h, n))
	b := make([]byte, (size+7)&^7)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:size]
}

func (b build) board() {
	p := b.p
	b.put("etc/firmware/modem_1_wg_n.img", noise(p.Board, 400, 256<<10))
	b.put("etc/firmware/WMT_SOC.cfg", []byte("coex_wmt_ant_mode=1\nboard="+p.Board+"\n"))
	b.put("etc/firmware/WIFI_RAM_CODE_MT6582", noise(p.Board, 401, 32<<10))
	b.put("etc/firmware/mt6572_82_patch_e1_0_hdr.bin", noise("common", 402, 16<<10))
	b.put("etc/mddb/BPLGUInfoCustomAppSrcP_MT6572_S00_"+strings.ToUpper(p.Board)+"_1_wg_n", noise(p.Board, 403, 8<<10))
	b.text("etc/vold.fstab", "dev_mount sdcard /storage/sdcard0 auto /devices/platform/goldfish_mmc.0 /devices/platform/mtk-msdc.1/mmc_host\n")
	b.text("etc/permissions/platform.xml", "<?xml version=\"1.0\"?>\n<permissions>\n    <permission name=\"android.permission.INTERNET\">\n        <group gid=\"inet\" />\n    </permission>\n    <assign-permission name=\"android.permission.DUMP\" uid=\"shell\" />\n"+
		fmt.Sprintf("    <library name=\"com.%s.ui\" file=\"/system/framework/framework.jar\" />\n</permissions>\n", strings.ToLower(p.Maker)))
	for _, f := range []string{"camera", "sensor.accelerometer", "touchscreen.multitouch", "wifi"} {
		b.text("etc/permissions/android.hardware."+f+".xml", "<permissions>\n    <feature name=\"android.hardware."+f+"\" />\n</permissions>\n")
	}
	b.text("etc/audio_policy.conf", "audio_hw_modules {\n  primary {\n  }\n}\n# "+p.Board+"\n")
	b.text("etc/media_codecs.xml", "<MediaCodecs>\n    <Decoders>\n        <MediaCodec name=\"OMX.MTK.VIDEO.DECODER.AVC\" type=\"video/avc\" />\n    </Decoders>\n</MediaCodecs>\n")
	b.text("etc/wifi/wpa_supplicant.conf", "ctrl_interface=wlan0\nupdate_config=1\n")
	b.text("etc/apns-conf.xml", "<apns version=\"7\">\n</apns>\n")
	b.text("etc/hosts", "127.0.0.1 localhost\n")
	b.text("lib/egl/egl.cfg", "0 0 android\n0 1 mali\n")
	b.text("usr/keylayout/mtk-kpd.kl", fmt.Sprintf("key 115 VOLUME_UP\nkey 114 VOLUME_DOWN\nkey %d BACK\nkey 116 POWER WAKE\n", p.BackKey))
	b.text("usr/keylayout/Generic.kl", "key 1 ESCAPE\nkey 2 1\n")
	b.text("usr/keychars/Generic.kcm", "type FULL\n")
	b.put("recovery-from-boot.p", noise(p.Board, 404, 4<<10))
}

// owners gives what Android's build would, and one time.
func (b build) owners() {
	_ = b.t.Walk(func(name string, n *tree.Node) error {
		n.MTime = buildTime
		if n.Type() == tree.Symlink {
			return nil
		}
		full := "system"
		if name != "." {
			full += "/" + name
		}
		o := labels.FSConfig(full, n.IsDir(), 17)
		n.UID, n.GID, n.Mode = o.UID, o.GID, n.Type()|o.Perm
		return nil
	})
}
