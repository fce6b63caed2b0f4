package rom

import (
	"encoding/binary"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"mtkport"
	"mtkport/sysimg/tree"
)

// Recovery's updater gives every file it extracts this time
// (bootable/recovery/updater/install.c: 2008-08-01 00:00 PDT).
var extractTime = time.Unix(1217592000, 0).UTC()

// Modes that recovery gives to what it extracts before a script sets others.
const (
	extractDirMode  = 0o755
	extractFileMode = 0o644
)

// updater carries out what an updater-script does to /system, on a tree. What it
// cannot know (properties, mounts, checks) is unknown, and a branch that hangs on
// something unknown is not taken but noted.
type updater struct {
	sys   *tree.Tree
	entry func(name string) (tree.Content, bool)                            // a file of the package
	walk  func(dir string, fn func(rel string, c tree.Content) error) error // files below a folder of the package
	tmp   map[string]string                                                 // path on the phone → package entry, outside /system
	raw   map[string]string                                                 // partition → package entry
	perms bool                                                              // the script set some owner or mode
	notes []mtkport.Finding
	name  string // of the script, for findings
}

// value is what an expression yields; not known for what only a phone knows.
type value struct {
	text  string
	known bool
}

func known(s string) value { return value{s, true} }

func (v value) truth() bool { return v.text != "" }

func (u *updater) note(line int, code string, format string, a ...any) {
	u.notes = append(u.notes, mtkport.Finding{
		Code: code, Severity: mtkport.Note, Subject: u.name, Text: fmt.Sprintf(format, a...),
		Evidence: []mtkport.Evidence{{File: u.name, Value: fmt.Sprintf("line %d", line)}},
	})
}

func (u *updater) eval(e expr) (value, error) {
	switch e.kind {
	case "str":
		return known(e.text), nil
	case ";":
		v := known("")
		for _, a := range e.args {
			var err error
			if v, err = u.eval(a); err != nil {
				return v, err
			}
		}
		return v, nil
	case "if":
		return u.branch(e)
	case "call":
		return u.call(e)
	}
	return u.operator(e)
}

func (u *updater) operator(e expr) (value, error) {
	a, err := u.eval(e.args[0])
	if err != nil {
		return a, err
	}
	switch e.kind {
	case "!":
		return value{map[bool]string{true: "t"}[!a.truth()], a.known}, nil
	case "||", "&&":
		if !a.known { // the right side may abort or not: it is not ours to run
			u.skipped(e.args[1])
			return value{}, nil
		}
		if a.truth() == (e.kind == "||") {
			return a, nil
		}
		return u.eval(e.args[1])
	}
	b, err := u.eval(e.args[1])
	if err != nil || !a.known || !b.known {
		return value{}, err
	}
	switch e.kind {
	case "+":
		return known(a.text + b.text), nil
	case "==":
		return known(map[bool]string{true: "t"}[a.text == b.text]), nil
	}
	return known(map[bool]string{true: "t"}[a.text != b.text]), nil
}

// branch is `if` and ifelse(): args are condition, then, else.
func (u *updater) branch(e expr) (value, error) {
	if len(e.args) < 2 {
		return value{}, nil
	}
	c, err := u.eval(e.args[0])
	if err != nil {
		return c, err
	}
	if !c.known {
		for _, a := range e.args[1:] {
			u.skipped(a)
		}
		return value{}, nil
	}
	if c.truth() {
		return u.eval(e.args[1])
	}
	if len(e.args) > 2 {
		return u.eval(e.args[2])
	}
	return known(""), nil
}

// skipped notes what a branch that is not taken would have done to /system.
func (u *updater) skipped(e expr) {
	if e.kind == "call" {
		if _, ok := systemCalls[e.text]; ok {
			u.note(e.line, "script-branch", "%s hangs on a condition that only the phone knows; it is left out", e.text)
			return
		}
	}
	for _, a := range e.args {
		u.skipped(a)
	}
}

// The functions that change /system or say what goes into a partition.
var systemCalls map[string]func(*updater, int, []value) (value, error)

func init() {
	systemCalls = map[string]func(*updater, int, []value) (value, error){
		"package_extract_dir": (*updater).extractDir, "package_extract_file": (*updater).extractFile,
		"symlink": (*updater).symlink, "delete": (*updater).remove, "delete_recursive": (*updater).remove,
		"rename": (*updater).rename, "format": (*updater).format, "run_program": (*updater).run,
		"set_perm": (*updater).setPerm, "set_perm_recursive": (*updater).setPermRecursive,
		"set_metadata": (*updater).setMetadata, "set_metadata_recursive": (*updater).setMetadata,
		"write_raw_image": (*updater).writeRaw,
	}
}

// The functions by which a package patches what is on the phone: what results
// cannot be known without that phone's files.
var patchCalls = map[string]string{
	"apply_patch": "an incremental package", "apply_patch_check": "an incremental package", "apply_patch_space": "an incremental package",
	"block_image_update": "a block package (system.new.dat)", "block_image_verify": "a block package (system.new.dat)",
	"range_sha1": "a block package (system.new.dat)",
}

func (u *updater) call(e expr) (value, error) {
	if e.text == "ifelse" {
		return u.branch(e)
	}
	if kind, ok := patchCalls[e.text]; ok {
		return value{}, &mtkport.Error{File: u.name, Off: mtkport.NoOffset, Field: fmt.Sprintf("line %d", e.line), Found: e.text + ": " + kind,
			Want: "a full package with a system folder", Err: mtkport.ErrUnsupported, Hint: "use the full firmware of that version, or a dump of the system partition"}
	}
	args := make([]value, len(e.args))
	for i, a := range e.args {
		v, err := u.eval(a)
		if err != nil {
			return v, err
		}
		args[i] = v
	}
	if fn := systemCalls[e.text]; fn != nil {
		recursive := strings.HasSuffix(e.text, "_recursive")
		if recursive && e.text == "set_metadata_recursive" {
			return u.metadata(e.line, args, true)
		}
		return fn(u, e.line, args)
	}
	switch e.text {
	case "concat":
		return concat(args), nil
	case "assert", "mount", "unmount", "ui_print", "show_progress", "set_progress", "stdout", "sleep":
		if len(args) > 0 {
			return args[len(args)-1], nil
		}
		return known("t"), nil
	}
	return value{}, nil // getprop, is_mounted, sha1_check, …: only the phone knows
}

func concat(args []value) value {
	out := known("")
	for _, a := range args {
		if !a.known {
			return value{}
		}
		out.text += a.text
	}
	return out
}

// onSystem returns the path inside the system image of a path on the phone.
func onSystem(p string) (string, bool) {
	p = path.Clean("/" + p)
	if p == "/system" {
		return ".", true
	}
	return strings.CutPrefix(p, "/system/")
}

// text returns the arguments as text; ok is false when one is unknown.
func text(args []value, least int) ([]string, bool) {
	out := make([]string, len(args))
	for i, a := range args {
		if !a.known {
			return nil, false
		}
		out[i] = a.text
	}
	return out, len(out) >= least
}

func (u *updater) extractDir(line int, args []value) (value, error) {
	a, ok := text(args, 2)
	if !ok {
		u.note(line, "script-unknown", "package_extract_dir with an unknown argument; it is left out")
		return value{}, nil
	}
	dest, ok := onSystem(a[1])
	if !ok {
		if path.Clean("/"+a[1]) == "/" { // a package that holds system/ at its root, or whole trees
			return known("t"), u.walk(path.Join(a[0], "system"), func(rel string, c tree.Content) error { return u.put(rel, c) })
		}
		return known("t"), nil
	}
	return known("t"), u.walk(a[0], func(rel string, c tree.Content) error { return u.put(path.Join(dest, rel), c) })
}

func (u *updater) extractFile(line int, args []value) (value, error) {
	a, ok := text(args, 1)
	if !ok {
		u.note(line, "script-unknown", "package_extract_file with an unknown argument; it is left out")
		return value{}, nil
	}
	c, found := u.entry(a[0])
	if !found {
		u.note(line, "script-missing", "%s is not in the package", a[0])
		return known(""), nil
	}
	if len(a) == 1 { // the contents as a value: for write_raw_image
		return known("\x00entry:" + a[0]), nil
	}
	if dest, ok := onSystem(a[1]); ok {
		return known("t"), u.put(dest, c)
	}
	u.tmp[path.Clean(a[1])] = a[0]
	if part := partitionOf(a[1]); part != "" {
		u.raw[part] = a[0]
	}
	return known("t"), nil
}

// partitionOf is the partition that a device path names: /dev/bootimg, or the
// last word of /dev/block/…/by-name/boot. A number says nothing.
func partitionOf(dev string) string {
	base := path.Base(dev)
	if !strings.HasPrefix(dev, "/dev/") || strings.HasPrefix(base, "mmcblk") || strings.HasPrefix(base, "mtd") {
		return ""
	}
	return base
}

func (u *updater) writeRaw(_ int, args []value) (value, error) {
	a, ok := text(args, 2)
	if !ok {
		return value{}, nil
	}
	from, isEntry := strings.CutPrefix(a[0], "\x00entry:")
	if !isEntry {
		from = u.tmp[path.Clean(a[0])]
	}
	if from != "" {
		u.raw[path.Base(a[1])] = from
	}
	return known("t"), nil
}

// put extracts one file as recovery does: missing folders are made, what was
// there gives way.
func (u *updater) put(dest string, c tree.Content) error {
	dir := tree.NewDir(extractDirMode)
	dir.MTime = extractTime
	if err := u.sys.MkdirAll(parent(dest), dir); err != nil {
		return u.clash(dest, err)
	}
	if c == nil && dest == "." {
		return nil
	}
	if c == nil {
		return u.clash(dest, u.sys.MkdirAll(dest, dir))
	}
	return u.clash(dest, u.sys.Put(dest, &tree.Node{Mode: tree.Regular | extractFileMode, MTime: extractTime, Data: c}))
}

func (u *updater) clash(dest string, err error) error {
	if err == nil {
		return nil
	}
	return &mtkport.Error{File: u.name, Off: mtkport.NoOffset, Field: "system/" + dest, Found: err.Error(), Want: "a path that can be made", Err: mtkport.ErrDamaged}
}

func (u *updater) symlink(line int, args []value) (value, error) {
	a, ok := text(args, 2)
	if !ok {
		u.note(line, "script-unknown", "symlink with an unknown argument; it is left out")
		return value{}, nil
	}
	for _, l := range a[1:] {
		dest, ok := onSystem(l)
		if !ok || dest == "." {
			continue
		}
		dir := tree.NewDir(extractDirMode)
		dir.MTime = extractTime
		if err := u.sys.MkdirAll(parent(dest), dir); err != nil {
			return value{}, u.clash(dest, err)
		}
		if err := u.sys.Put(dest, &tree.Node{Mode: tree.Symlink | 0o777, MTime: extractTime, Target: a[0]}); err != nil {
			return value{}, u.clash(dest, err)
		}
	}
	return known("t"), nil
}

func (u *updater) remove(_ int, args []value) (value, error) {
	for _, a := range args {
		if dest, ok := onSystem(a.text); ok && a.known && dest != "." {
			_ = u.sys.Remove(dest) // recovery does not mind what is not there
		}
	}
	return known("t"), nil
}

func (u *updater) rename(line int, args []value) (value, error) {
	a, ok := text(args, 2)
	if !ok {
		return value{}, nil
	}
	from, ok1 := onSystem(a[0])
	to, ok2 := onSystem(a[1])
	if !ok1 || !ok2 || from == "." || to == "." || strings.HasPrefix(to+"/", from+"/") {
		return known("t"), nil
	}
	n, err := u.sys.Lookup(from)
	if err != nil {
		u.note(line, "script-missing", "%s is not there to be renamed", a[0])
		return known(""), nil
	}
	if err := u.sys.Remove(from); err != nil {
		return value{}, u.clash(from, err)
	}
	return known("t"), u.clash(to, u.sys.Put(to, n))
}

func (u *updater) format(_ int, args []value) (value, error) {
	for _, a := range args {
		if a.text == "/system" || a.text == "/emmc@android" {
			u.sys.Root = tree.NewDir(extractDirMode)
			u.sys.Root.MTime = extractTime
		}
	}
	return known("t"), nil
}

// run knows one program, mkdir; others are noted.
func (u *updater) run(line int, args []value) (value, error) {
	a, ok := text(args, 1)
	if ok && len(a) > 1 && path.Base(a[0]) == "busybox" {
		a = a[1:]
	}
	if ok && path.Base(a[0]) == "mkdir" {
		for _, d := range a[1:] {
			if dest, ok := onSystem(d); ok {
				if err := u.put(dest, nil); err != nil {
					return value{}, err
				}
			}
		}
		return known("0"), nil
	}
	u.note(line, "script-program", "runs a program, %s, that is not run here", strings.Join(a, " "))
	return value{}, nil
}

// number reads what C's strtoul(s, 0, 0) does. A mode such as 6755 without the
// leading 0 cannot be meant as decimal, it has too many bits.
func (u *updater) number(line int, s string, mode bool) uint32 {
	v, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		u.note(line, "script-number", "%q is no number; read as 0", s)
		return 0
	}
	if mode && v > 0o7777 {
		if o, err := strconv.ParseUint(s, 8, 32); err == nil && o <= 0o7777 {
			u.note(line, "script-mode", "mode %s is written without its leading 0; taken as 0%s", s, s)
			return uint32(o)
		}
		return uint32(v) & 0o7777
	}
	return uint32(v)
}

func (u *updater) setPerm(line int, args []value) (value, error) {
	a, ok := text(args, 4)
	if !ok {
		return value{}, nil
	}
	p := perm{uid: u.number(line, a[0], false), gid: u.number(line, a[1], false), mode: u.number(line, a[2], true), fmode: true, owner: true}
	for _, f := range a[3:] {
		u.apply(line, f, p, false)
	}
	return known(""), nil
}

func (u *updater) setPermRecursive(line int, args []value) (value, error) {
	a, ok := text(args, 5)
	if !ok {
		return value{}, nil
	}
	p := perm{uid: u.number(line, a[0], false), gid: u.number(line, a[1], false), owner: true,
		dirMode: u.number(line, a[2], true), dmode: true, mode: u.number(line, a[3], true), fmode: true}
	for _, f := range a[4:] {
		u.apply(line, f, p, true)
	}
	return known(""), nil
}

func (u *updater) setMetadata(line int, args []value) (value, error) {
	return u.metadata(line, args, false)
}

// metadata is set_metadata(PATH, KEY, VALUE, …) and its recursive sister.
func (u *updater) metadata(line int, args []value, recursive bool) (value, error) {
	a, ok := text(args, 3)
	if !ok {
		return value{}, nil
	}
	var p perm
	for i := 1; i+1 < len(a); i += 2 {
		switch k, v := a[i], a[i+1]; k {
		case "uid":
			p.uid, p.owner = u.number(line, v, false), true
		case "gid":
			p.gid, p.owner = u.number(line, v, false), true
		case "mode", "fmode":
			p.mode, p.fmode = u.number(line, v, true), true
			if k == "mode" {
				p.dirMode, p.dmode = p.mode, true
			}
		case "dmode":
			p.dirMode, p.dmode = u.number(line, v, true), true
		case "capabilities":
			c, err := strconv.ParseUint(v, 0, 64)
			p.caps, p.hasCaps = c, err == nil
		case "selabel":
			p.label = v
		default:
			u.note(line, "script-metadata", "unknown key %q", k)
		}
	}
	u.apply(line, a[0], p, recursive)
	return known(""), nil
}

// perm is what one call sets.
type perm struct {
	uid, gid      uint32
	mode, dirMode uint32
	caps          uint64
	label         string
	owner, fmode  bool
	dmode         bool
	hasCaps       bool
}

func (u *updater) apply(line int, name string, p perm, recursive bool) {
	dest, ok := onSystem(name)
	if !ok {
		return
	}
	n, err := u.sys.Resolve(dest, "/system")
	if recursive {
		n, err = u.sys.Lookup(dest)
	}
	if err != nil {
		u.note(line, "script-missing", "%s is not there to get owner and mode", name)
		return
	}
	u.perms = true
	if !recursive {
		p.set(n, true)
		return
	}
	sub := &tree.Tree{Root: n}
	_ = sub.Walk(func(_ string, n *tree.Node) error { p.set(n, false); return nil })
}

// set gives p to a node. Symlinks keep owner and mode, as recovery leaves them,
// but get the label. Single says that the call named this very path.
func (p perm) set(n *tree.Node, single bool) {
	if p.label != "" {
		setXattr(n, "security.selinux", append([]byte(p.label), 0))
	}
	if n.Type() == tree.Symlink {
		return
	}
	if p.owner {
		n.UID, n.GID = p.uid, p.gid
	}
	switch {
	case n.IsDir() && p.dmode:
		n.Mode = n.Type() | p.dirMode
	case (!n.IsDir() || single && !p.dmode) && p.fmode:
		n.Mode = n.Type() | p.mode
	}
	if p.hasCaps && n.Type() == tree.Regular {
		if p.caps == 0 {
			delete(n.Xattrs, "security.capability")
		} else {
			setXattr(n, "security.capability", capability(p.caps))
		}
	}
}

func setXattr(n *tree.Node, name string, val []byte) {
	if n.Xattrs == nil {
		n.Xattrs = map[string][]byte{}
	}
	n.Xattrs[name] = val
}

// capability is the value of security.capability, revision 2, effective
// (include/uapi/linux/capability.h).
func capability(c uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	for _, w := range []uint32{uint32(c), 0, uint32(c >> 32), 0} {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}
