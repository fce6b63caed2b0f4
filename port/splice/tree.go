package splice

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/rom"
	"mtkport/ramdisk/prop"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

// origin says where one file of the result came from.
type origin struct {
	decision *plan.Decision
	node     *tree.Node // in the result
}

// builder makes the result's tree.
type builder struct {
	in      *Input
	out     *tree.Tree
	clones  map[*tree.Node]*tree.Node // hard links stay links
	origins []origin
	labels  bool // the base is a labelled system
}

const lostFound = "lost+found"

func buildTree(in *Input) (*builder, error) {
	b := &builder{in: in, clones: map[*tree.Node]*tree.Node{}}
	base := b.side(in.Plan.Base())
	if base == nil {
		return nil, &mtkport.Error{File: in.name(in.Plan.Base()), Off: mtkport.NoOffset, Field: "system", Found: "none",
			Want: fmt.Sprintf("the %s's system image or folder", in.Plan.Base()), Err: mtkport.ErrFormat}
	}
	b.labels = sysimg.Label(base.Root) != ""
	b.out = &tree.Tree{Root: base.Root.Clone()}
	if err := b.emptyFolders(base); err != nil {
		return nil, err
	}
	for i := range in.Plan.Decisions {
		d := &in.Plan.Decisions[i]
		rel, ok := strings.CutPrefix(d.Path, "system/")
		if !ok || d.Take == plan.Drop || strings.HasPrefix(rel, lostFound+"/") {
			continue
		}
		n, err := b.node(d, rel)
		if err != nil {
			return nil, mtkport.InFile(err, d.Path)
		}
		if err := b.place(rel, n); err != nil {
			return nil, err
		}
		b.origins = append(b.origins, origin{d, n})
	}
	return b, nil
}

func (b *builder) side(t plan.Take) *tree.Tree {
	if t == plan.Donor {
		return b.in.Donor.System
	}
	return b.in.Target.System
}

// emptyFolders keeps the folders in which the base has nothing.
func (b *builder) emptyFolders(base *tree.Tree) error {
	return base.Walk(func(p string, n *tree.Node) error {
		if !n.IsDir() || len(n.Names()) > 0 || p == "." || p == lostFound {
			return nil
		}
		return b.folder(p)
	})
}

// folder makes a folder of the result with all above it, each like the base's
// or, where the base has none, the other side's.
func (b *builder) folder(p string) error {
	done := ""
	for _, name := range strings.Split(p, "/") {
		done = path.Join(done, name)
		if n, err := b.out.Lookup(done); err == nil {
			if !n.IsDir() {
				return b.conflict(done)
			}
			continue
		}
		var like *tree.Node
		for _, t := range []plan.Take{b.in.Plan.Base(), plan.Donor, plan.Target} {
			if s := b.side(t); s != nil && like == nil {
				if n, err := s.Lookup(done); err == nil && n.IsDir() {
					like = n.Clone()
				}
			}
		}
		if like == nil {
			like = tree.NewDir(0o755)
		}
		if err := b.place(done, like); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) conflict(p string) error {
	return &mtkport.Error{File: "system/" + p, Off: mtkport.NoOffset, Found: "a file or link on one side, a folder on the other", Want: "one of them",
		Err: mtkport.ErrRefused, Hint: "write the plan with `mtkport plan`, drop one of the two in it, and give it back with --plan"}
}

func (b *builder) place(p string, n *tree.Node) error {
	if dir := path.Dir(p); dir != "." {
		if err := b.folder(dir); err != nil {
			return err
		}
	}
	if old, err := b.out.Lookup(p); err == nil && old.IsDir() != n.IsDir() {
		return b.conflict(p)
	}
	if b.labels && sysimg.Label(n) == "" {
		dir, _ := b.out.Lookup(path.Dir(p))
		if v, ok := dir.Xattrs[sysimg.SELinux]; ok {
			if n.Xattrs == nil {
				n.Xattrs = map[string][]byte{}
			}
			n.Xattrs[sysimg.SELinux] = v
		}
	}
	return b.out.Put(p, n)
}

// node is the result's node for a decision.
func (b *builder) node(d *plan.Decision, rel string) (*tree.Node, error) {
	if d.Take == plan.Merge && d.Merge != plan.MergeByHand {
		return b.merge(d, rel)
	}
	from := d.Take
	if from == plan.Merge {
		from = b.in.Plan.Base()
	}
	n, err := b.side(from).Lookup(rel)
	if err != nil {
		return nil, err
	}
	if c := b.clones[n]; c != nil {
		return c, nil
	}
	c := n.Clone()
	b.clones[n] = c
	return c, nil
}

func (b *builder) merge(d *plan.Decision, rel string) (*tree.Node, error) {
	var text [2][]byte
	for i, t := range []plan.Take{plan.Donor, plan.Target} {
		n, err := b.side(t).Lookup(rel)
		if err != nil {
			return nil, err
		}
		if text[i], err = readText(n); err != nil {
			return nil, err
		}
	}
	base, err := b.side(b.in.Plan.Base()).Lookup(rel)
	if err != nil {
		return nil, err
	}
	c := base.Clone()
	switch d.Merge {
	case plan.MergeProps:
		c.Data = tree.Bytes(plan.MergeBuildProp(text[0], text[1], b.in.Rules, b.in.Plan.Style))
	case plan.MergePerms:
		c.Data = tree.Bytes(plan.MergePermissions(text[0], text[1]))
	default:
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "merge", Found: d.Merge, Want: "a way to merge a file of the system", Err: mtkport.ErrUnsupported}
	}
	return c, nil
}

// maxText bounds a text that is merged.
const maxText = 4 << 20

func readText(n *tree.Node) ([]byte, error) {
	if n.Type() != tree.Regular || n.Size() > maxText {
		return nil, &mtkport.Error{Off: mtkport.NoOffset, Field: "size", Found: fmt.Sprintf("%d bytes", n.Size()), Want: fmt.Sprintf("a text of at most %d", maxText), Err: mtkport.ErrDamaged}
	}
	b := make([]byte, n.Size())
	if n.Data == nil {
		return b, nil
	}
	if _, err := n.Data.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// buildType is ro.build.type of the result's system.
func (b *builder) buildType() string {
	n, err := b.out.Lookup("build.prop")
	if err != nil {
		return ""
	}
	text, err := readText(n)
	if err != nil {
		return ""
	}
	v, _ := prop.Parse(text).Get("ro.build.type")
	return v
}

// ramdiskTexts are the init files of a ROM's ramdisk that may export class paths.
func ramdiskTexts(r *rom.ROM) ([][]byte, error) {
	if r.Boot == nil {
		return nil, nil
	}
	a, err := r.Ramdisk()
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, name := range []string{"init.environ.rc", "init.rc"} {
		b, err := a.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}
