package ext4

import (
	"fmt"
	"slices"
	"strings"

	"mtkport"
	"mtkport/sysimg/tree"
)

// census is the tree in the order in which it is written: inodes in path order.
type census struct {
	list  []*member
	of    map[*tree.Node]*member
	lost  *member // the lost+found that the tree lacks, or nil
	bytes int64   // of all contents, rounded up to 4 KiB
}

// member is one inode to be.
type member struct {
	path   string // its first
	n      *tree.Node
	ino    uint32
	parent *member
	links  int
}

// lostFound is what make_ext4fs makes.
func lostFound() *tree.Node { return tree.NewDir(0o700) }

// survey numbers the inodes: root 2, lost+found 11, the rest from 12 in path order.
func survey(t *tree.Tree) (*census, error) {
	c := &census{of: map[*tree.Node]*member{}}
	dirs := map[string]*member{}
	next := uint32(inoFirst + 1)
	lost := t.Root.Child("lost+found")
	switch {
	case lost == nil:
		lost = lostFound()
	case !lost.IsDir():
		return nil, &mtkport.Error{File: "lost+found", Off: mtkport.NoOffset, Found: "a file", Want: "a directory, or none", Err: mtkport.ErrUnsupported}
	}
	err := t.Walk(func(path string, n *tree.Node) error {
		parent := dirs[dirOf(path)]
		if m := c.of[n]; m != nil {
			if n.IsDir() {
				return &mtkport.Error{File: path, Off: mtkport.NoOffset, Found: "a directory under two names", Want: "one", Err: mtkport.ErrUnsupported}
			}
			m.links++
			return nil
		}
		m := &member{path: path, n: n, parent: parent, links: 1}
		if err := m.check(); err != nil {
			return err
		}
		switch {
		case path == ".":
			m.ino, m.parent = inoRoot, m
		case n == lost:
			m.ino = inoFirst
		default:
			m.ino = next
			next++
		}
		c.add(m)
		if n.IsDir() {
			dirs[path] = m
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	root := c.of[t.Root]
	if c.of[lost] == nil && t.Root.Child("lost+found") == nil {
		c.insertLost(&member{path: "lost+found", n: lost, ino: inoFirst, parent: root, links: 1})
	}
	for _, m := range c.list {
		if m.n.IsDir() {
			m.links++ // its own "."
			m.parent.links++
		}
	}
	root.links -= 1 // counted as its own parent, and named by nobody
	return c, nil
}

// insertLost puts a lost+found that the tree lacks where its path belongs, so
// that the image is the same when it is read and written again.
func (c *census) insertLost(m *member) {
	at := len(c.list)
	for i, o := range c.list {
		if top, _, _ := strings.Cut(o.path, "/"); top != "." && top > m.path {
			at = i
			break
		}
	}
	c.add(m)
	c.list = slices.Insert(c.list[:len(c.list)-1], at, m)
	c.lost = m
}

func dirOf(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "."
}

func (c *census) add(m *member) {
	c.list = append(c.list, m)
	c.of[m.n] = m
	c.bytes += 512
	if m.n.Type() == tree.Regular {
		for _, r := range tree.DataRanges(m.n.Data) {
			c.bytes += ceil(r.Len, 4096) * 4096
		}
	}
}

// check refuses what ext4 cannot hold.
func (m *member) check() error {
	bad := func(field string, found, want any) error {
		return &mtkport.Error{File: m.path, Off: mtkport.NoOffset, Field: field, Found: fmt.Sprint(found), Want: fmt.Sprint(want), Err: mtkport.ErrUnsupported}
	}
	switch n := m.n; n.Type() {
	case tree.Regular:
		if n.Size() > maxFile {
			return bad("size", n.Size(), fmt.Sprintf("at most %d", int64(maxFile)))
		}
	case tree.Symlink:
		if len(n.Target) == 0 || len(n.Target) > 4095 {
			return bad("link target", len(n.Target), "1 to 4095 bytes")
		}
	case tree.CharDev, tree.BlockDev:
		if n.Major > 0xFFF || n.Minor > 0xFFFFF {
			return bad("device", fmt.Sprintf("%d:%d", n.Major, n.Minor), "at most 4095:1048575")
		}
	case tree.Dir, tree.FIFO, tree.Socket:
	default:
		return bad("mode", fmt.Sprintf("0%o", n.Mode), "a known type")
	}
	if m.links > 65000 {
		return bad("links", m.links, "at most 65000")
	}
	return nil
}

// inodes is the highest inode number: the reserved ten, root among them, then
// lost+found and the rest.
func (c *census) inodes() int64 { return int64(len(c.list)) + inoFirst - 2 }
