package rom

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"strings"

	"mtkport"
	"mtkport/sysimg"
	"mtkport/sysimg/tree"
)

func (r *ROM) findSystem(ctx context.Context, raw map[string]string) error {
	names := r.imageNames("system", systemNames, raw["android"], raw["system"], raw["ANDROID"])
	if r.Form == "image" && r.Boot == nil {
		names = append(names, r.src.list()...)
	}
	for _, n := range names {
		f, err := r.file(n)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		m, err := openSystem(f)
		if errors.Is(err, mtkport.ErrFormat) {
			continue
		}
		if err != nil {
			return mtkport.InFile(err, path.Join(r.Path, n))
		}
		r.System, r.SystemImage, r.SystemFile, r.SystemKind = m.Tree, m, f, m.Format
		return ctx.Err()
	}
	if err := r.extractedFolder(); err != nil || r.System != nil {
		return err
	}
	return r.systemFolder()
}

// extractedFolder takes a system that `system extract` laid out: owners, modes and
// what else a disk cannot keep come from its side file.
func (r *ROM) extractedFolder() error {
	if r.Form != "folder" {
		return nil
	}
	for _, n := range r.src.list() {
		if path.Base(n) != sysimg.SideName || strings.Count(n, "/") > 2 {
			continue
		}
		m, err := sysimg.OpenFolder(filepath.Join(r.Path, filepath.FromSlash(path.Dir(n))), sysimg.Defaults{Mount: "system", SDK: r.sdk()})
		if err != nil {
			return mtkport.InFile(err, path.Join(r.Path, n))
		}
		r.System, r.SystemKind, r.extracted = m.Tree, "extracted folder", m
		return nil
	}
	return nil
}

// systemFolder takes the nearest folder that looks like a system's root.
func (r *ROM) systemFolder() error {
	dir, ok := r.findSystemFolder()
	if !ok {
		return nil
	}
	prefix := ""
	if dir != "." {
		prefix = dir + "/"
	}
	t := tree.New()
	for _, n := range r.src.list() {
		rel, below := strings.CutPrefix(n, prefix)
		if !below || path.Base(rel) == ".gitignore" {
			continue
		}
		node := &tree.Node{Mode: tree.Regular | 0o644, MTime: extractTime}
		if target, ok := r.src.link(n); ok {
			node.Mode, node.Target = tree.Symlink|0o777, target
		} else if node.Data, ok = r.src.entry(n); !ok {
			continue
		}
		like := tree.NewDir(0o755)
		like.MTime = extractTime
		err := t.MkdirAll(parent(rel), like)
		if err == nil {
			err = t.Put(rel, node)
		}
		if err != nil {
			return &mtkport.Error{File: path.Join(r.Path, n), Off: mtkport.NoOffset, Found: err.Error(), Want: "a path that can be made", Err: mtkport.ErrDamaged}
		}
	}
	t.Root.MTime = extractTime
	r.System, r.SystemKind = t, "folder"
	fsConfig(t, r.sdk())
	r.Notes = append(r.Notes, mtkport.Finding{Code: "owners-default", Severity: mtkport.Note, Subject: dir,
		Text: "a folder keeps no owners and modes of a phone; Android's own defaults are taken"})
	return nil
}

// findSystemFolder looks for a folder named system, else for the root itself,
// that holds what every system does.
func (r *ROM) findSystemFolder() (string, bool) {
	score := map[string]int{}
	for _, n := range r.src.list() {
		parts := strings.Split(n, "/")
		for i := 1; i < len(parts) && i <= 4; i++ {
			dir, child := strings.Join(parts[:i-1], "/"), parts[i-1]
			if dir == "" {
				dir = "."
			}
			if !strings.EqualFold(path.Base(dir), "system") && dir != "." {
				continue
			}
			switch child {
			case "lib", "etc", "bin", "framework", "app", "xbin", "usr":
				score[dir+"\x00"+child] = 1
			}
		}
	}
	best, bestDepth := "", 1<<30
	count := map[string]int{}
	for k := range score {
		dir, _, _ := strings.Cut(k, "\x00")
		count[dir]++
	}
	for dir, n := range count {
		depth := strings.Count(dir, "/")
		if dir == "." {
			depth = 100 // a folder named system is the better sign
		}
		if n >= 2 && (depth < bestDepth || depth == bestDepth && dir < best) {
			best, bestDepth = dir, depth
		}
	}
	return best, best != ""
}
