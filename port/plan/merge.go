package plan

import (
	"bytes"
	"regexp"
	"strings"

	"mtkport/ramdisk/initrc"
	"mtkport/ramdisk/prop"
)

// MergeBuildProp makes the build.prop of the result: the base side's file with
// every key that a rule gives to the other side set to that side's value.
// Comments, order and each line's own ending stay. A key that the named side
// lacks is left as it is: nothing is invented and nothing lost.
func MergeBuildProp(donor, target []byte, rules *Rules, style Style) []byte {
	from, onto, side := prop.Parse(target), prop.Parse(donor), Target
	if style == Look {
		from, onto, side = onto, from, Donor
	}
	for _, key := range from.Keys() {
		r := rules.Prop(key)
		if r == nil || r.Take(style) != side {
			continue
		}
		v, _ := from.Get(key)
		onto.Set(key, v)
	}
	return onto.Bytes()
}

// classPaths are the exports that name the framework's jars.
var classPaths = []string{"BOOTCLASSPATH", "BOOTCLASSPATH_EX", "SYSTEMSERVERCLASSPATH"}

// MergeBootClassPath gives an init file of the target the class paths of the
// donor's init files, in every place where they occur, and leaves every other
// byte. buildType is the result's ro.build.type: MediaTek's init files export
// the path once for each type, and the donor's of that type counts.
func MergeBootClassPath(target []byte, donor [][]byte, buildType string) []byte {
	out := target
	for _, key := range classPaths {
		if v := classPath(donor, key, buildType); v != "" {
			out, _ = initrc.SetExport(out, key, v)
		}
	}
	return out
}

func classPath(files [][]byte, key, buildType string) string {
	first := ""
	for _, b := range files {
		for _, r := range initrc.Parse(b).Commands("export") {
			if len(r.Args) < 3 || r.Args[1] != key {
				continue
			}
			if buildType != "" && strings.HasSuffix(r.Trigger, "ro.build.type="+buildType) {
				return r.Args[2]
			}
			if first == "" {
				first = r.Args[2]
			}
		}
	}
	return first
}

// ClassPath is the donor's BOOTCLASSPATH as its init files give it, or "".
func ClassPath(files [][]byte, buildType string) string {
	return classPath(files, "BOOTCLASSPATH", buildType)
}

// The top-level entries of a permissions file that are told apart by name.
var permEntry = regexp.MustCompile(`(?s)<(permission|assign-permission|library|feature|group)\b[^>]*?\b(?:name|gid)="([^"]*)"[^>]*?(?:/>|>.*?</(?:permission|assign-permission|library|feature|group)>)`)

var xmlComment = regexp.MustCompile(`(?s)<!--.*?-->`)

// MergePermissions makes the union of two permission files (etc/permissions):
// the donor's as it is, and before its end the entries that only the target
// has. A file without </permissions> is left alone.
func MergePermissions(donor, target []byte) []byte {
	end := bytes.LastIndex(donor, []byte("</permissions>"))
	if end < 0 {
		return donor
	}
	has := map[string]bool{}
	for _, m := range permEntry.FindAllSubmatch(xmlComment.ReplaceAll(donor, nil), -1) {
		has[permKey(m)] = true
	}
	var add bytes.Buffer
	for _, m := range permEntry.FindAllSubmatch(xmlComment.ReplaceAll(target, nil), -1) {
		if !has[permKey(m)] {
			has[permKey(m)] = true
			add.WriteString("    ")
			add.Write(m[0])
			add.WriteByte('\n')
		}
	}
	if add.Len() == 0 {
		return donor
	}
	out := append([]byte{}, donor[:end]...)
	out = append(out, add.Bytes()...)
	return append(out, donor[end:]...)
}

// permKey tells entries apart. The same permission may be assigned to several
// users, so an assignment counts whole.
func permKey(m [][]byte) string {
	if string(m[1]) == "assign-permission" {
		return string(m[0])
	}
	return string(m[1]) + " " + string(m[2])
}
