package plan

import (
	"path"
	"strings"
)

// The folders that stand in a system image and never in a stock ramdisk's root:
// lists often leave the leading system/ out.
var systemTops = map[string]bool{
	"app": true, "priv-app": true, "bin": true, "xbin": true, "lib": true, "lib64": true, "etc": true,
	"framework": true, "fonts": true, "media": true, "usr": true, "tts": true, "vendor": true, "build.prop": true,
}

// Names that stand for parts of a boot image or for whole partitions.
var bootNames = map[string]bool{
	"boot": true, "kernel": true, "zImage": true, "boot.img": true, "dt.img": true, "recovery.img": true,
	"bootimg.cfg": true, "partition": true, "data": true, "protect_f": true, "protect_s": true, "ramdisk": true,
	"logo.bin": true, "logo": true, "logo.img": true, "lk.bin": true, "lk": true, "uboot.bin": true, "uboot": true,
	"MBR": true, "EBR1": true, "EBR2": true, "secro.img": true, "preloader.bin": true,
}

// Canonical brings a path of a person's list into the form that rules match:
// system/…, ramdisk/…, boot/…. It takes a leading / or ./ away, reads a path that
// begins like a system image's (lib/, app/, …) as one, and any other as a
// ramdisk's. A path that climbs out ("../x") is read as if / were above it.
func Canonical(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+strings.TrimSpace(p)), "/")
	top, rest, _ := strings.Cut(p, "/")
	switch {
	case top == "boot" && strings.HasPrefix(rest, "ramdisk/"):
		return rest
	case top == "boot" && strings.HasPrefix(rest, "ram_disk/"), top == "root" && rest != "":
		return "ramdisk/" + strings.TrimPrefix(rest, "ram_disk/")
	case top == "system" || bootNames[top]:
		return p
	case strings.HasPrefix(top, "preloader"):
		return p
	case top == "data" || p == "":
		return p
	case systemTops[top]:
		return "system/" + p
	}
	return "ramdisk/" + p
}

// Explanation is what the rules say of one path.
type Explanation struct {
	Path    string `json:"path"`    // as it was given
	Take    Take   `json:"take"`    // target, donor, merge or drop
	Rule    string `json:"rule"`    // id
	Why     string `json:"why"`     // the rule's reason
	Symptom string `json:"symptom"` // what a user sees when it is done otherwise
}

// Explain says what the rules say of a path in a style, without looking at any
// ROM.
func (r *Rules) Explain(path string, s Style) Explanation {
	x := r.Find(Canonical(path))
	if x == nil {
		return Explanation{Path: path, Take: base(s), Why: "no rule is about it: the side the port starts from"}
	}
	return Explanation{Path: path, Take: x.Take(s).Side(), Rule: x.ID, Why: x.Why, Symptom: x.Symptom}
}

// base is the side that a port of a style starts from.
func base(s Style) Take {
	if s == Look {
		return Target
	}
	return Donor
}
