package rom

import (
	"mtkport/sysimg/labels"
	"mtkport/sysimg/tree"
)

// fsConfig gives every node the owner and mode that Android's build would. It is
// for trees that lost them: a folder on a disk, a package whose script sets none.
func fsConfig(t *tree.Tree, sdk int) {
	_ = t.Walk(func(p string, n *tree.Node) error {
		if n.Type() == tree.Symlink {
			n.Mode, n.UID, n.GID = tree.Symlink|0o777, 0, 0
			return nil
		}
		full := "system"
		if p != "." {
			full += "/" + p
		}
		o := labels.FSConfig(full, n.IsDir(), sdk)
		n.UID, n.GID, n.Mode = o.UID, o.GID, n.Type()|o.Perm
		if x := o.Xattr(); x != nil {
			setXattr(n, "security.capability", x)
		}
		return nil
	})
}
