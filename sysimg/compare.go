package sysimg

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mtkport/sysimg/tree"
)

// Change is one difference between two trees.
type Change struct {
	Path string `json:"path"`
	Kind string `json:"kind"` // added, removed, or what differs: type, content, mode, owner, label, xattrs, target, device, mtime, links
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	Note string `json:"note,omitempty"` // what a closer look at the contents says
}

// Times says whether [Diff] compares modification times.
type Times bool

// Diff lists the differences from a to b in path order. Contents are compared
// byte for byte. An empty lost+found that only one of them has is no difference:
// ext4 always has one.
func Diff(ctx context.Context, a, b *tree.Tree, times Times) ([]Change, error) {
	old, now := paths(a), paths(b)
	d := differ{ctx: ctx, times: times, oldLinks: a.Links(), newLinks: b.Links(), same: map[[2]*tree.Node]string{}}
	for _, p := range slices.Sorted(maps.Keys(union(old, now))) {
		if err := d.path(p, old[p], now[p]); err != nil {
			return nil, err
		}
	}
	return d.out, ctx.Err()
}

func paths(t *tree.Tree) map[string]*tree.Node {
	m := map[string]*tree.Node{}
	_ = t.Walk(func(p string, n *tree.Node) error { m[p] = n; return nil })
	return m
}

func union(a, b map[string]*tree.Node) map[string]bool {
	m := make(map[string]bool, len(a))
	for p := range a {
		m[p] = true
	}
	for p := range b {
		m[p] = true
	}
	return m
}

type differ struct {
	ctx                context.Context
	times              Times
	out                []Change
	oldLinks, newLinks map[*tree.Node][]string
	same               map[[2]*tree.Node]string // contents already compared: "" or what differs
}

func (d *differ) add(p, kind string, old, now any) {
	d.out = append(d.out, Change{Path: p, Kind: kind, Old: fmt.Sprint(old), New: fmt.Sprint(now)})
}

func (d *differ) path(p string, x, y *tree.Node) error {
	switch {
	case x == nil:
		if !bareLostFound(p, y) {
			d.out = append(d.out, Change{Path: p, Kind: "added", New: describe(y)})
		}
		return d.ctx.Err()
	case y == nil:
		if !bareLostFound(p, x) {
			d.out = append(d.out, Change{Path: p, Kind: "removed", Old: describe(x)})
		}
		return d.ctx.Err()
	case x == y:
		return d.ctx.Err()
	case x.Type() != y.Type():
		d.add(p, "type", TypeName(x), TypeName(y))
		return d.ctx.Err()
	}
	d.metadata(p, x, y)
	if x.Type() == tree.Regular {
		return d.content(p, x, y)
	}
	return d.ctx.Err()
}

func bareLostFound(p string, n *tree.Node) bool {
	return p == "lost+found" && n.IsDir() && len(n.Names()) == 0
}

func describe(n *tree.Node) string {
	s := fmt.Sprintf("%s %04o %d:%d", TypeName(n), n.Mode&0o7777, n.UID, n.GID)
	switch n.Type() {
	case tree.Regular:
		s += fmt.Sprintf(" %d bytes", n.Size())
	case tree.Symlink:
		s += " -> " + n.Target
	}
	return s
}

// SELinux is the attribute that holds the label.
const SELinux = "security.selinux"

// Label is a node's SELinux label without the NUL, or "".
func Label(n *tree.Node) string { return strings.TrimRight(string(n.Xattrs[SELinux]), "\x00") }

func (d *differ) metadata(p string, x, y *tree.Node) {
	if x.Mode != y.Mode {
		d.add(p, "mode", fmt.Sprintf("%04o", x.Mode&0o7777), fmt.Sprintf("%04o", y.Mode&0o7777))
	}
	if x.UID != y.UID || x.GID != y.GID {
		d.add(p, "owner", fmt.Sprintf("%d:%d", x.UID, x.GID), fmt.Sprintf("%d:%d", y.UID, y.GID))
	}
	if !bytes.Equal(x.Xattrs[SELinux], y.Xattrs[SELinux]) {
		d.add(p, "label", Label(x), Label(y))
	}
	if xs, ys := otherXattrs(x), otherXattrs(y); xs != ys {
		d.add(p, "xattrs", xs, ys)
	}
	if x.Target != y.Target {
		d.add(p, "target", x.Target, y.Target)
	}
	if x.Major != y.Major || x.Minor != y.Minor {
		d.add(p, "device", fmt.Sprintf("%d:%d", x.Major, x.Minor), fmt.Sprintf("%d:%d", y.Major, y.Minor))
	}
	if bool(d.times) && !x.MTime.Equal(y.MTime) {
		d.add(p, "mtime", x.MTime.Format("2006-01-02 15:04:05.999999999"), y.MTime.Format("2006-01-02 15:04:05.999999999"))
	}
	if xl, yl := strings.Join(d.oldLinks[x], " "), strings.Join(d.newLinks[y], " "); xl != yl && (xl == "" || yl == "" || strings.HasPrefix(xl, p) || strings.HasPrefix(yl, p)) {
		d.add(p, "links", xl, yl)
	}
}

func otherXattrs(n *tree.Node) string {
	var out []string
	for k, v := range n.Xattrs {
		if k != SELinux {
			out = append(out, fmt.Sprintf("%s=%q", k, v))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// content compares two files once, however many names they have.
func (d *differ) content(p string, x, y *tree.Node) error {
	key := [2]*tree.Node{x, y}
	note, known := d.same[key]
	if !known {
		same, err := SameContent(x.Data, y.Data)
		switch {
		case err != nil:
			note = "unreadable: " + err.Error()
		case !same:
			note = "differs"
			if s := elfNote(x.Data, y.Data); s != "" {
				note = s
			}
		}
		d.same[key] = note
	}
	if note != "" {
		c := Change{Path: p, Kind: "content", Old: fmt.Sprintf("%d bytes", x.Size()), New: fmt.Sprintf("%d bytes", y.Size())}
		if note != "differs" {
			c.Note = note
		}
		d.out = append(d.out, c)
	}
	return d.ctx.Err()
}
