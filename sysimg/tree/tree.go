// Package tree is a file system tree as the phone sees it, whatever held it:
// names, Linux modes, owners, times, extended attributes, links, device
// numbers and contents. The containers (ext4, ubifs, yaffs2, tar, zip, a
// folder) read into it and are written from it.
//
// A [Node] is what an inode is: its names live in the directories that hold it.
// Hard links are one *Node under several names. Contents are [Content]: read
// lazily from the image they lie in, never loaded as a whole.
package tree

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// Linux st_mode bits (include/uapi/linux/stat.h).
const (
	TypeMask = 0o170000
	Socket   = 0o140000
	Symlink  = 0o120000
	Regular  = 0o100000
	BlockDev = 0o060000
	Dir      = 0o040000
	CharDev  = 0o020000
	FIFO     = 0o010000
)

// Content is the data of a regular file. Reads past Size return io.EOF.
type Content interface {
	io.ReaderAt
	Size() int64 // bytes
}

// Range is a run of bytes of a content.
type Range struct{ Off, Len int64 }

// Sparse is a content that knows its holes.
type Sparse interface {
	Content
	// Data lists, in order and without overlap, the ranges that hold data; the
	// rest reads as zeros.
	Data() []Range
}

// Node is one inode.
type Node struct {
	Mode         uint32            // Linux st_mode: type and permission bits
	UID, GID     uint32            // owner
	MTime        time.Time         // UTC
	Xattrs       map[string][]byte // raw values by full name ("security.selinux"); nil for none
	Target       string            // of a symlink
	Major, Minor uint32            // of a device node
	Data         Content           // of a regular file; nil means empty

	children map[string]*Node
}

// Type returns the type bits of the mode.
func (n *Node) Type() uint32 { return n.Mode & TypeMask }

// IsDir reports whether n is a directory.
func (n *Node) IsDir() bool { return n.Type() == Dir }

// Size is the length in bytes of a regular file or of a symlink's target.
func (n *Node) Size() int64 {
	switch {
	case n.Type() == Symlink:
		return int64(len(n.Target))
	case n.Data == nil:
		return 0
	}
	return n.Data.Size()
}

// Names returns the names in a directory, bytewise sorted.
func (n *Node) Names() []string { return slices.Sorted(maps.Keys(n.children)) }

// Child returns the node under name, or nil.
func (n *Node) Child(name string) *Node { return n.children[name] }

// SetChild puts c under name, replacing what was there. A nil c removes the
// name. The name must be valid (see [CheckName]).
func (n *Node) SetChild(name string, c *Node) {
	if c == nil {
		delete(n.children, name)
		return
	}
	if n.children == nil {
		n.children = make(map[string]*Node)
	}
	n.children[name] = c
}

// Clone copies the node without its children. Xattrs are copied, Data shared.
func (n *Node) Clone() *Node {
	c := *n
	c.Xattrs = maps.Clone(n.Xattrs)
	c.children = nil
	return &c
}

// NewDir returns an empty directory with the given permission bits.
func NewDir(perm uint32) *Node { return &Node{Mode: Dir | perm&0o7777} }

// CheckName reports whether name can stand in a directory: not empty, not "."
// or "..", no slash, no NUL, at most 255 bytes.
func CheckName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("name %q: want 1 to 255 bytes without slash or NUL, neither dot nor dot-dot", name)
	}
	return nil
}

// Tree is a whole file system.
type Tree struct{ Root *Node }

// New returns a tree with an empty root directory, mode 0755.
func New() *Tree { return &Tree{Root: NewDir(0o755)} }

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// Lookup returns the node at a slash-separated path; leading and trailing
// slashes do not count, "" and "." are the root. Symlinks are not followed. The
// error wraps fs.ErrNotExist.
func (t *Tree) Lookup(path string) (*Node, error) {
	n := t.Root
	for _, name := range split(path) {
		if name == "." {
			continue
		}
		if n = n.Child(name); n == nil {
			return nil, &fs.PathError{Op: "lookup", Path: path, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// Resolve is Lookup that follows symlinks, the last one too. Absolute targets
// start at the root after stripping mount, the path under which the phone sees
// this tree ("/system", or "" for none). Links out of the tree do not exist.
func (t *Tree) Resolve(path, mount string) (*Node, error) {
	missing := func() (*Node, error) {
		return nil, &fs.PathError{Op: "resolve", Path: path, Err: fs.ErrNotExist}
	}
	todo, stack := split(path), []*Node{t.Root}
	for hops := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case ".":
			continue
		case "..":
			if len(stack) == 1 {
				return missing()
			}
			stack = stack[:len(stack)-1]
			continue
		}
		c := stack[len(stack)-1].Child(name)
		if c == nil {
			return missing()
		}
		if c.Type() != Symlink {
			stack = append(stack, c)
			continue
		}
		if hops++; hops > 40 {
			return missing()
		}
		target := c.Target
		if strings.HasPrefix(target, "/") {
			if mount != "" && target != mount && !strings.HasPrefix(target, strings.TrimSuffix(mount, "/")+"/") {
				return missing()
			}
			target, stack = strings.TrimPrefix(target, mount), stack[:1]
		}
		todo = append(split(target), todo...)
	}
	return stack[len(stack)-1], nil
}

// Put places n at path. The parent directory must exist.
func (t *Tree) Put(path string, n *Node) error {
	parts := split(path)
	if len(parts) == 0 {
		return &fs.PathError{Op: "put", Path: path, Err: fs.ErrInvalid}
	}
	dir, err := t.Lookup(strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return err
	}
	if !dir.IsDir() {
		return &fs.PathError{Op: "put", Path: path, Err: fmt.Errorf("parent is not a directory: %w", fs.ErrInvalid)}
	}
	name := parts[len(parts)-1]
	if err := CheckName(name); err != nil {
		return &fs.PathError{Op: "put", Path: path, Err: err}
	}
	dir.SetChild(name, n)
	return nil
}

// MkdirAll makes sure that path is a directory; each missing one becomes a
// clone of like.
func (t *Tree) MkdirAll(path string, like *Node) error {
	n := t.Root
	for _, name := range split(path) {
		if err := CheckName(name); err != nil {
			return &fs.PathError{Op: "mkdir", Path: path, Err: err}
		}
		c := n.Child(name)
		if c == nil {
			c = like.Clone()
			n.SetChild(name, c)
		}
		if !c.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
		}
		n = c
	}
	return nil
}

// Remove drops the name at path with all below it.
func (t *Tree) Remove(path string) error {
	parts := split(path)
	if len(parts) == 0 {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrInvalid}
	}
	dir, err := t.Lookup(strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return err
	}
	name := parts[len(parts)-1]
	if dir.Child(name) == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	dir.SetChild(name, nil)
	return nil
}

// Walk calls fn for every node, parents before children, names bytewise sorted,
// the root first with path ".". fs.SkipDir from fn skips a directory's children,
// fs.SkipAll ends the walk. It does not recurse on the stack.
func (t *Tree) Walk(fn func(path string, n *Node) error) error {
	type item struct {
		path string
		n    *Node
	}
	stack := []item{{".", t.Root}}
	for len(stack) > 0 {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch err := fn(it.path, it.n); err {
		case nil:
		case fs.SkipDir:
			continue
		case fs.SkipAll:
			return nil
		default:
			return err
		}
		names := it.n.Names()
		for i := len(names) - 1; i >= 0; i-- {
			p := names[i]
			if it.path != "." {
				p = it.path + "/" + p
			}
			stack = append(stack, item{p, it.n.Child(names[i])})
		}
	}
	return nil
}

// Links returns for each non-directory node with more than one name its paths,
// sorted; the first is where a writer should put the contents.
func (t *Tree) Links() map[*Node][]string {
	all := map[*Node][]string{}
	_ = t.Walk(func(path string, n *Node) error {
		if !n.IsDir() {
			all[n] = append(all[n], path)
		}
		return nil
	})
	for n, paths := range all {
		if len(paths) < 2 {
			delete(all, n)
			continue
		}
		sort.Strings(paths)
	}
	return all
}

// Bytes returns b as a content. b must not change afterwards.
func Bytes(b []byte) Content { return bytesContent(b) }

type bytesContent []byte

func (b bytesContent) Size() int64 { return int64(len(b)) }

func (b bytesContent) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Section returns size bytes of r at off as a content.
func Section(r io.ReaderAt, off, size int64) Content { return io.NewSectionReader(r, off, size) }

// Bytes is the sum of all contents, each hard-linked file once, holes left out.
func (t *Tree) Bytes() int64 {
	var sum int64
	seen := map[*Node]bool{}
	_ = t.Walk(func(_ string, n *Node) error {
		if n.Data == nil || seen[n] {
			return nil
		}
		seen[n] = true
		for _, r := range DataRanges(n.Data) {
			sum += r.Len
		}
		return nil
	})
	return sum
}
