package compare

import (
	"slices"
	"strings"

	"mtkport"
)

// Code is one kind of finding.
type Code struct {
	Code     string           `json:"code"`
	Severity mtkport.Severity `json:"severity"` // usual one; a style of port may make it lighter
	Text     string           `json:"text"`     // what it means
	Symptom  string           `json:"symptom,omitempty"`
	Fix      string           `json:"fix,omitempty"`
}

// Codes lists every code that Compare can give, sorted.
func Codes() []Code {
	out := slices.Clone(codes)
	slices.SortFunc(out, func(a, b Code) int { return strings.Compare(a.Code, b.Code) })
	return out
}

func codeOf(code string) Code {
	for _, k := range codes {
		if k.Code == code {
			return k
		}
	}
	return Code{Code: code, Severity: mtkport.Risk}
}

const (
	note    = mtkport.Note
	risk    = mtkport.Risk
	blocker = mtkport.Blocker
)

// settledByLook are the risks that a port in style look does not run: it starts
// from the target's system, and the donor's native code and framework stay behind.
var settledByLook = []string{
	"camera-files", "audio-files", "key-layout", "display-files", "firmware-files", "module-files", "radio-files", "wireless-files",
	"nvram-files", "storage-files", "hardware-files", "camera-library-sensor", "gpu-interface", "gpu-library", "donor-modules-refused",
	"kernel-release", "kernel-vermagic", "branch-mismatch", "bsp-sdk-mismatch", "modem-generation", "ril-library", "sim-count", "selinux", "mount-fs", "mount-notation",
	"service-target-only", "proximity-calibration", "bootclasspath-missing", "bootclasspath-added",
}

// codes is the table of findings. Codes are stable: scripts read them.
var codes = []Code{
	{"part-missing", note, "a part that the comparison would look into is not in this ROM", "", "compare full ROMs where you can get them"},
	{"part-unreadable", risk, "a part of this ROM could not be looked into", "unknown: what that part would show is not compared", "check where the file comes from; a damaged download is the usual cause"},

	{"storage-mismatch", blocker, "donor and target live on different storage", "nothing is mounted: the phone stays on its logo", "look for a donor made for the target's storage"},
	{"nand-geometry", blocker, "donor and target have NAND chips of different geometry", "the system is not mounted: the phone stays on its logo", "look for a donor with the same page and block size; an image written for another geometry cannot be read"},
	{"system-too-big", blocker, "the donor's files need more room than the target's system partition has", "the image cannot be written, or the next partition is damaged", "drop apps in the plan (mtkport plan), or look for a smaller donor"},
	{"image-larger", risk, "an image of the donor is larger than the target's partition, though what must cross fits", "flashed as it is, it does not fit or damages the next partition", "do not flash the donor's image: the port writes one of the target's size"},
	{"partition-size", note, "a partition differs in size", "", "the target's layout is kept (rule rd.fstab)"},
	{"partition-donor-only", note, "the donor's layout has a partition that the target lacks", "", "nothing may be mounted from it (rule rd.fstab)"},
	{"mount-partition-missing", risk, "an init file mounts a partition that the target does not have", "the phone waits at its logo, or apps are missing", "keep the target's fstab and init files (rules rd.fstab, rd.rc.hw)"},
	{"mount-notation", risk, "donor and target name the devices of their mounts in different ways", "nothing is mounted: boot loop into recovery", "keep the target's init and fstab (rules rd.init, rd.fstab)"},
	{"mount-fs", risk, "donor and target mount different file systems", "nothing is mounted: the phone starts over at its logo", "keep the target's default.prop (rule rd.fs)"},

	{"platform-mismatch", blocker, "the donor was made for another chip", "the phone does not start, or camera, sound and modem stay dead", "look for a donor of the same chip"},
	{"soc-mismatch", blocker, "the kernels were built for different chips", "the phone does not start", "look for a donor of the same chip"},
	{"soc-claim", risk, "build.prop claims another chip than the kernel was built for", "the ROM is not what it says it is", "believe the kernel; look for the true firmware of this phone"},
	{"board-mixed", risk, "the parts of one ROM name different boards", "it may be a mixture of two phones' firmware: screen, touch or camera dead", "look for one whole firmware of this phone; the preloader's name is the truest"},
	{"android-mismatch", blocker, "donor and target are different Android versions: the target's drivers were not made for the donor's framework", "boot loop, or camera, sound and video dead", "look for a donor of the target's version, for firmware of the donor's version made for this phone, or port with --style look"},
	{"branch-mismatch", risk, "donor and target come from different MediaTek branches: driver files and framework may not link", "camera, video or display services restarting", "take whole groups from one side, as mtkport plan does"},
	{"release-mismatch", note, "donor and target come from different MediaTek releases of one branch", "", "mostly harmless; suspect it first when a media service restarts"},
	{"bsp-sdk-mismatch", risk, "donor and target have different MediaTek interface versions", "MediaTek's own apps and the phone app crash", "take framework and MediaTek's apps from one side (rule fw.mtk)"},
	{"abi-mismatch", blocker, "the donor's programs are for another processor", "the phone does not start", "look for a donor of the same ABI"},

	{"kernel-release", risk, "the donor's system was made for another kernel version than the target's", "no picture, no modem or no wifi; the donor's modules are refused", "the target's kernel stays (rule boot.kernel) with its modules (rule ko.all); look for a donor of this kernel version if drivers fail"},
	{"kernel-build", note, "the kernels are different builds of one version", "", "modules are not checked by symbol versions: keep kernel and modules of one build together (rules boot.kernel, ko.all)"},
	{"kernel-vermagic", risk, "the kernels ask different version magic of modules", "wifi, Bluetooth, FM, GPS or modem do not turn on", "take every module from the kernel's side (rule ko.all)"},
	{"kernel-config", note, "the kernels differ in their configuration", "", "mtkport kernel diff lists the options"},
	{"modules-refused", risk, "the kernel that the result runs refuses modules of its own side", "wifi, Bluetooth, FM, GPS or modem do not turn on", "use kernel and modules of one firmware (rules boot.kernel, ko.all)"},
	{"donor-modules-refused", risk, "the kernel that the result runs refuses the donor's modules", "wifi, Bluetooth, FM, GPS or modem do not turn on if they stay", "delete the donor's modules and take the target's (rule ko.all)"},
	{"insmod-missing", risk, "an init file loads a module that the result will not have", "what the module drives stays dead: wifi, modem, rotation", "take the target's lib/modules with its links (rules ko.all, ko.link)"},
	{"insmod-nowhere", note, "an init file loads a module that its own ROM does not have: it fails harmlessly there too", "", ""},

	{"panel-missing", risk, "a panel of the target is not in the donor's kernel", "white or black screen if the donor's boot.img is flashed", "the port keeps the target's kernel (rule boot.kernel)"},
	{"panel-lk-kernel", risk, "lk names a panel that the kernel of the same phone does not drive", "the logo shows, then white or black screen on phones with that panel", "use lk and kernel of one firmware; leave lk alone"},
	{"panel-order", note, "lk and kernel list their panels in different order", "", "lk hands the panel over by name and number: leave lk alone (rule boot.kernel)"},
	{"screen-resolution", risk, "the panels of donor and target have different resolutions", "cropped or tiny boot animation, apps and wallpapers of the wrong size", "keep the target's density and boot animation names (rules look of build.prop, media.anim)"},
	{"screen-density", note, "donor and target differ in screen density", "tiny or huge icons and text", "keep the target's ro.sf.lcd_density"},
	{"screen-density-panel", note, "the density does not fit the target's panel", "tiny or huge icons and text", "set ro.sf.lcd_density to what the panel's class has"},
	{"camera-sensor-missing", risk, "an image sensor of the target is not in the donor's kernel", "can't connect to camera if the donor's boot.img is flashed", "the port keeps the target's kernel (rule boot.kernel)"},
	{"camera-library-sensor", risk, "the donor's camera library does not know an image sensor of the target's kernel", "can't connect to camera, 2 megapixels only, front picture mirrored", "take lib/libcameracustom.so from the target (rule cam.custom)"},
	{"camera-own-library", note, "kernel and camera library of one side do not know the same image sensors", "a phone with that sensor cannot connect to its camera", "use kernel and libcameracustom.so of one firmware (rules boot.kernel, cam.custom)"},
	{"driver-missing", risk, "a driver of the target is not in the donor's kernel", "what it drives stays dead if the donor's boot.img is flashed", "the port keeps the target's kernel (rule boot.kernel)"},
	{"driver-donor-only", note, "the donor's kernel has drivers that the target's lacks", "", "the donor's hardware, not this phone's: nothing to do"},

	{"modem-generation", risk, "donor and target have modems of different kinds", "SIM seen and no signal, or no IMEI shown", "take modem image, mddb and etc/firmware from the target (rule fw.modem)"},
	{"modem-database", note, "modem image and mddb of one side name different builds", "modem logs cannot be read", "take both from one firmware (rule fw.modem)"},
	{"ril-library", risk, "donor and target start different radio interface libraries", "no SIM, emergency calls only", "keep RIL, phone apps and their keys of one side (rules ril.lib, tel.java)"},
	{"radio-settings", note, "radio keys of build.prop differ", "data or flight mode behave oddly", "take these keys from the target (build.prop rules)"},
	{"sim-count", risk, "donor and target differ in the number of SIM cards", "a phantom SIM slot, or one SIM missing", "keep the target's SIM keys in build.prop"},
	{"selinux", risk, "the donor expects SELinux and the target's kernel has none, or the other way round", "services are denied what they need, or init stops", "keep ramdisk and kernel of the target together (rules rd.se, rd.init)"},

	{"service-target-only", risk, "the target's init files start programs that only the target has", "what they serve stays dead: keys, serial number, sensors", "take them from the target (rule rd.svc)"},
	{"service-donor-only", note, "the donor's init files start services that the target's do not name", "a feature of the donor's ROM is missing", "add the service to the target's init.rc if its program comes from the donor (rule rd.rc.main)"},
	{"service-nowhere", note, "init files name programs that neither side has: usual, init goes on without", "", ""},
	{"proximity-calibration", risk, "the target calibrates its proximity sensor with a program that the donor lacks", "screen stays black in or after a call, or does not go dark at the ear", "take the program from the target, whose init files start it (rules rd.svc, sens.calib)"},
	{"proximity-driver", note, "the kernels have different light and proximity sensors", "screen stays black in or after a call if the donor's boot.img is flashed", "the port keeps the target's kernel (rule boot.kernel)"},

	{"storage-list", risk, "the list of SD cards and internal storage does not fit the target", "SD card missing, or a second card that is not there", "take vold.fstab and init.ssd.rc from the target and correct them to its cards (rules vold, rd.rc.hw); res/xml/storage_list.xml in framework-res.apk must name the same (rule fw.res)"},
	{"bootclasspath-missing", risk, "BOOTCLASSPATH names a jar that the donor's framework does not have", "boot loop at the animation", "give the target's init files the donor's BOOTCLASSPATH (rule rd.bcp)"},
	{"bootclasspath-added", risk, "the donor's BOOTCLASSPATH has jars that the target's lacks", "boot loop at the animation: classes are not found", "give the target's init files the donor's BOOTCLASSPATH (rule rd.bcp)"},

	{"gpu-interface", risk, "the kernels' GPU drivers have different interface versions", "no picture, or everything slow: the graphics library is refused", "take the graphics libraries from the target as a group (rules gpu.mali, gpu.hal)"},
	{"gpu-library", risk, "the graphics libraries are different releases", "no picture, or everything slow, if library and kernel do not belong together", "take the graphics libraries from the target as a group (rules gpu.mali, gpu.hal)"},
	{"gpu-unproven", note, "no file shows whether the donor's graphics library fits the target's kernel", "no picture, or everything slow, if it does not", "keep the target's graphics libraries at hand (rules gpu.mali, gpu.hal)"},
	{"device-door", risk, "programs of the donor open a device that the target's kernel and modules do not name", "what they drive stays dead", "take these files from the target"},

	{"camera-files", risk, "camera files differ", "", ""},
	{"audio-files", risk, "audio files differ", "", ""},
	{"key-layout", risk, "key layouts differ", "", ""},
	{"display-files", risk, "display and graphics files differ", "", ""},
	{"firmware-files", risk, "firmware files differ", "", ""},
	{"module-files", risk, "kernel modules differ", "", ""},
	{"radio-files", risk, "radio files differ", "", ""},
	{"wireless-files", risk, "wifi, Bluetooth, GPS or FM files differ", "", ""},
	{"nvram-files", risk, "files that read calibration differ", "", ""},
	{"storage-files", risk, "files that say which storage the phone has differ", "", ""},
	{"hardware-files", risk, "other hardware files differ", "", ""},
}
