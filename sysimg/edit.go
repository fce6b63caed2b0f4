package sysimg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"mtkport"
	"mtkport/sysimg/ext4"
	"mtkport/sysimg/tree"
)

// Edited says how [Edit] wrote an image.
type Edited struct {
	InPlace bool   // what was not changed is the original's own bytes
	Changed int64  // then: how many bytes at most are others
	Why     string // else: why the image was written anew
}

// Edit writes m with its tree as it is now, in the container it is in. In ext4,
// only what must change does; where that cannot be (metadata checksums, other
// containers), the tree is written anew with the image's layout. Either way the
// result is opened again before it is written and compared with the tree.
func Edit(ctx context.Context, w Output, m *Image, opt Options) (*Edited, error) {
	opt.Like, opt.To = m, m.Format
	if m.fs == nil {
		return &Edited{Why: "it is no ext4 image"}, Write(ctx, w, m.Tree, opt)
	}
	p, err := m.fs.Patch(m.Tree)
	switch {
	case errors.Is(err, mtkport.ErrUnsupported):
		return &Edited{Why: err.Error()}, Write(ctx, w, m.Tree, opt)
	case err != nil:
		return nil, err
	}
	if err := selfCheck(ctx, p, m.Tree); err != nil {
		return nil, err
	}
	return &Edited{InPlace: true, Changed: p.Changed()}, WriteRaw(ctx, w, p, p.Size(), opt)
}

// selfCheck reads the patched image as any reader would.
func selfCheck(ctx context.Context, p *ext4.Patch, t *tree.Tree) error {
	f, err := ext4.Open(p, p.Size())
	if err != nil {
		return fmt.Errorf("the edited image does not open: %w", err)
	}
	found, err := f.Check()
	if err != nil {
		return err
	}
	for _, x := range append(f.Problems(), found...) {
		if x.Severity > mtkport.Note {
			return fmt.Errorf("the edited image is not sound: %s: %s", x.Subject, x.Text)
		}
	}
	return sameTree(ctx, t, f.Tree())
}

// sameTree compares names, metadata and the contents that are not the same
// bytes anyway.
func sameTree(ctx context.Context, want, got *tree.Tree) error {
	a, b := paths(want), paths(got)
	for p, x := range a {
		y := b[p]
		if y == nil {
			return fmt.Errorf("the edited image lacks %s", p)
		}
		if x.Mode != y.Mode || x.UID != y.UID || x.GID != y.GID || x.Target != y.Target || x.Size() != y.Size() || !maps.EqualFunc(x.Xattrs, y.Xattrs, bytes.Equal) {
			return fmt.Errorf("the edited image has another %s", p)
		}
		if x.Data == nil || y.Data == nil {
			continue
		}
		if _, stays := x.Data.(tree.Placed); stays {
			continue // its blocks were not touched
		}
		if same, err := SameContent(x.Data, y.Data); err != nil || !same {
			return errors.Join(err, fmt.Errorf("the edited image has other contents in %s", p))
		}
	}
	if len(b) != len(a) {
		return fmt.Errorf("the edited image has %d names, want %d", len(b), len(a))
	}
	return ctx.Err()
}

// Give sets owner, mode and label of a new node as Android's own build would for
// its path in the tree.
func (d Defaults) Give(t *tree.Tree, p string, n *tree.Node) {
	if d.SDK == 0 {
		d.SDK = 19
	}
	parent, err := t.Lookup(parentOf(p))
	if err != nil {
		parent = nil
	}
	d.give(n, p, parent)
}

func parentOf(p string) string {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return p[:i]
		}
	}
	return "."
}
