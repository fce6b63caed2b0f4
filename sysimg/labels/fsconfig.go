package labels

import (
	"encoding/binary"
	"strings"
)

// Android user and group ids (android_filesystem_config.h).
const (
	root      = 0
	system    = 1000
	radio     = 1001
	bluetooth = 1002
	audio     = 1005
	dhcp      = 1014
	mediaRW   = 1023
	shell     = 2000
	cacheGID  = 2001
	inet      = 3003
	netRaw    = 3004
	misc      = 9998
	app       = 10000
)

// Linux capability numbers.
const (
	capSetgid = 6
	capSetuid = 7
)

// Owner is what Android's build gives a path.
type Owner struct {
	UID, GID uint32
	Perm     uint32 // permission bits, set-id bits included
	Caps     uint64 // permitted capabilities, a bit each; 0 for none
}

// Xattr returns the value of security.capability, nil when there are none:
// revision 2, effective, 20 bytes little-endian.
func (o Owner) Xattr() []byte {
	if o.Caps == 0 {
		return nil
	}
	b := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	for _, w := range []uint32{uint32(o.Caps), 0, uint32(o.Caps >> 32), 0} { // permitted, inheritable, twice
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

type rule struct {
	perm     uint32
	uid, gid uint32
	path     string // a trailing * matches any rest
	minSDK   int    // 0: always
	maxSDK   int    // 0: no end
	caps     uint64
}

// The first match counts. A folder's rule matches every path that begins with
// it, as in Android's own code.
var dirRules = []rule{
	{perm: 0o770, uid: system, gid: cacheGID, path: "cache"},
	{perm: 0o771, uid: system, gid: system, path: "data/app"},
	{perm: 0o771, uid: system, gid: system, path: "data/app-private"},
	{perm: 0o771, uid: system, gid: system, path: "data/dalvik-cache"},
	{perm: 0o771, uid: system, gid: system, path: "data/data"},
	{perm: 0o771, uid: shell, gid: shell, path: "data/local/tmp"},
	{perm: 0o771, uid: shell, gid: shell, path: "data/local"},
	{perm: 0o1771, uid: system, gid: misc, path: "data/misc"},
	{perm: 0o775, uid: mediaRW, gid: mediaRW, path: "data/media"},
	{perm: 0o771, uid: system, gid: system, path: "data"},
	{perm: 0o750, uid: root, gid: shell, path: "sbin"},
	{perm: 0o755, uid: root, gid: shell, path: "system/bin"},
	{perm: 0o755, uid: root, gid: shell, path: "system/vendor"},
	{perm: 0o755, uid: root, gid: shell, path: "system/xbin"},
	{perm: 0o755, uid: root, gid: root, path: "system/etc/ppp"},
	{perm: 0o777, uid: root, gid: root, path: "sdcard"},
	{perm: 0o755, uid: root, gid: root, path: ""},
}

var fileRules = []rule{
	{perm: 0o750, uid: root, gid: root, path: "system/etc/partition_permission.sh"}, // MediaTek
	{perm: 0o440, uid: root, gid: shell, path: "system/etc/init.goldfish.rc"},
	{perm: 0o550, uid: root, gid: shell, path: "system/etc/init.goldfish.sh"},
	{perm: 0o440, uid: root, gid: shell, path: "system/etc/init.trout.rc"},
	{perm: 0o550, uid: root, gid: shell, path: "system/etc/init.ril"},
	{perm: 0o550, uid: root, gid: shell, path: "system/etc/init.testmenu"},
	{perm: 0o550, uid: dhcp, gid: shell, path: "system/etc/dhcpcd/dhcpcd-run-hooks"},
	{perm: 0o550, uid: dhcp, gid: shell, path: "system/etc/wide-dhcpv6/dhcp6c.script"}, // MediaTek
	{perm: 0o440, uid: bluetooth, gid: bluetooth, path: "system/etc/dbus.conf", maxSDK: 18},
	{perm: 0o444, uid: radio, gid: audio, path: "system/etc/AudioPara4.csv"},
	{perm: 0o555, uid: root, gid: root, path: "system/etc/ppp/*"},
	{perm: 0o555, uid: root, gid: root, path: "system/etc/rc.*"},
	{perm: 0o644, uid: system, gid: system, path: "data/app/*"},
	{perm: 0o644, uid: mediaRW, gid: mediaRW, path: "data/media/*"},
	{perm: 0o644, uid: system, gid: system, path: "data/app-private/*"},
	{perm: 0o644, uid: app, gid: app, path: "data/data/*"},
	{perm: 0o2755, uid: root, gid: netRaw, path: "system/bin/ping", maxSDK: 18},
	{perm: 0o755, uid: root, gid: root, path: "system/bin/ping", minSDK: 19},
	{perm: 0o2750, uid: root, gid: inet, path: "system/bin/netcfg"},
	{perm: 0o6755, uid: root, gid: root, path: "system/xbin/su"},
	{perm: 0o6755, uid: root, gid: root, path: "system/xbin/librank"},
	{perm: 0o6755, uid: root, gid: root, path: "system/xbin/procrank"},
	{perm: 0o6755, uid: root, gid: root, path: "system/xbin/procmem"},
	{perm: 0o6755, uid: root, gid: root, path: "system/xbin/tcpdump"},
	{perm: 0o4770, uid: root, gid: radio, path: "system/bin/pppd-ril"},
	{perm: 0o6750, uid: root, gid: shell, path: "system/bin/run-as", maxSDK: 17},
	{perm: 0o750, uid: root, gid: shell, path: "system/bin/run-as", minSDK: 18, caps: 1<<capSetuid | 1<<capSetgid},
	{perm: 0o750, uid: root, gid: shell, path: "system/bin/uncrypt"},
	{perm: 0o755, uid: root, gid: shell, path: "system/bin/*"},
	{perm: 0o755, uid: root, gid: root, path: "system/lib/valgrind/*"},
	{perm: 0o755, uid: root, gid: shell, path: "system/xbin/*"},
	{perm: 0o755, uid: root, gid: shell, path: "system/vendor/bin/*"},
	{perm: 0o750, uid: root, gid: shell, path: "sbin/*"},
	{perm: 0o755, uid: root, gid: root, path: "bin/*"},
	{perm: 0o750, uid: root, gid: shell, path: "init*"},
	{perm: 0o750, uid: root, gid: shell, path: "charger*"},
	{perm: 0o640, uid: root, gid: shell, path: "fstab.*"},
	{perm: 0o644, uid: root, gid: root, path: "*"},
}

// FSConfig returns owner and mode that Android of API level sdk (17 is 4.2, 19
// is 4.4) gives a path of the whole phone ("system/bin/vold", leading slash or
// not). Symlinks get 0777 and the folder's owner from their maker; this is for
// folders and files.
func FSConfig(path string, dir bool, sdk int) Owner {
	path = strings.Trim(path, "/")
	rules := fileRules
	if dir {
		rules = dirRules
	}
	for _, r := range rules {
		if r.covers(path, dir) && sdk >= r.minSDK && (r.maxSDK == 0 || sdk <= r.maxSDK) {
			return Owner{UID: r.uid, GID: r.gid, Perm: r.perm, Caps: r.caps}
		}
	}
	return Owner{Perm: 0o644}
}

func (r rule) covers(path string, dir bool) bool {
	if prefix, ok := strings.CutSuffix(r.path, "*"); ok || dir {
		return strings.HasPrefix(path, prefix)
	}
	return r.path == path
}
