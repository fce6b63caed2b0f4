package mtkport_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the plan of the house: which rooms a room may import, by path
// prefix. Every room may import the root package and rooms below its own.
var mayImport = map[string][]string{
	"bootimg":       nil,
	"ramdisk":       nil,
	"sysimg":        nil,
	"profiles":      nil,
	"port":          {"profiles", "sysimg", "ramdisk", "bootimg"},
	"port/flash":    {"profiles", "sysimg/sparse"}, // images may be sparse
	"cmd":           {"port", "profiles", "sysimg", "ramdisk", "bootimg"},
	"sysimg/sparse": {"sysimg/tree"},
	"sysimg/ext4":   {"sysimg/tree"},
	"sysimg/ubifs":  {"sysimg/tree"},
	"sysimg/yaffs2": {"sysimg/tree"},
	"sysimg/fat":    {"sysimg/tree"},
	"sysimg/labels": {"sysimg/tree"},
	"sysimg/tree":   nil,
}

// room returns the longest key of mayImport that holds the package.
func room(pkg string) string {
	for p := pkg; p != "."; p = path.Dir(p) {
		if _, ok := mayImport[p]; ok {
			return p
		}
	}
	return ""
}

func within(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

type source struct {
	pkg  string // folder below the module root, slash-separated, "." for the root
	name string
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the module that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(filepath.Dir(p)), filepath.ToSlash(p), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestArrows: imports point only as the house is drawn.
func TestArrows(t *testing.T) {
	for _, s := range sources(t) {
		for _, imp := range s.file.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			to, ours := strings.CutPrefix(p, "mtkport/")
			if !ours || to == s.pkg {
				continue
			}
			from := room(s.pkg)
			if within(to, from) || slices.ContainsFunc(mayImport[from], func(r string) bool { return within(to, r) }) {
				continue
			}
			t.Errorf("%s imports %s: %s may import only %v and what lies below it", s.name, p, from, mayImport[from])
		}
	}
}

// TestTestHelp: only tests import the packages that help tests, so no program
// depends on files that only its makers have.
func TestTestHelp(t *testing.T) {
	for _, s := range sources(t) {
		for _, imp := range s.file.Imports {
			if p, _ := strconv.Unquote(imp.Path.Value); within(p, "mtkport/testdata") || p == "mtkport/sysimg/tree/treetest" {
				t.Errorf("%s imports %s", s.name, p)
			}
		}
	}
}

// TestOneYAMLReader: the YAML library panics on some documents, so only ParseYAML
// reads with it.
func TestOneYAMLReader(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || s.name == "yaml.go" {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if ok && id.Name == "yaml" && (strings.HasPrefix(sel.Sel.Name, "Unmarshal") || sel.Sel.Name == "NewDecoder") {
				t.Errorf("%s: yaml.%s: call mtkport.ParseYAML", s.fset.Position(n.Pos()), sel.Sel.Name)
			}
			return true
		})
	}
}

// TestFindingsAreDocumented: every code of a finding is in the document of the
// JSON forms, for those who write programs around them.
func TestFindingsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("cmd/mtkport/docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(node ast.Node) bool {
			kv, ok := node.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, isName := kv.Key.(*ast.Ident)
			val, isText := kv.Value.(*ast.BasicLit)
			if !isName || !isText || key.Name != "Code" || val.Kind != token.STRING {
				return true
			}
			n++
			if code, _ := strconv.Unquote(val.Value); !strings.Contains(string(doc), "`"+code+"`") {
				t.Errorf("%s: %s is not in docs/json.md", s.fset.Position(val.Pos()), code)
			}
			return true
		})
	}
	if n < 30 {
		t.Errorf("only %d codes were found", n)
	}
}

// TestRoomsAreSilent: packages are libraries. They print nothing, log nothing,
// and never end the program.
func TestRoomsAreSilent(t *testing.T) {
	forbidden := map[string]bool{"fmt.Print": true, "fmt.Println": true, "fmt.Printf": true, "os.Exit": true, "os.Stdout": true, "os.Stderr": true}
	for _, s := range sources(t) {
		if within(s.pkg, "cmd") {
			continue
		}
		for _, imp := range s.file.Imports {
			if p, _ := strconv.Unquote(imp.Path.Value); p == "log" || p == "log/slog" {
				t.Errorf("%s imports %s", s.name, p)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && forbidden[x.Name+"."+sel.Sel.Name] {
				t.Errorf("%s: %s.%s in a library", s.fset.Position(n.Pos()), x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// TestDocumented: every package and every exported name says what it is.
func TestDocumented(t *testing.T) {
	documented := map[string]bool{}
	pkgs := map[string]string{}
	for _, s := range sources(t) {
		pkgs[s.pkg] = s.name
		if s.file.Doc != nil {
			documented[s.pkg] = true
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no comment", s.fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				undocumented(t, s, d)
			}
		}
	}
	for pkg, name := range pkgs {
		if !documented[pkg] {
			t.Errorf("package %s (%s) has no package comment", pkg, name)
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	x := d.Recv.List[0].Type
	if s, ok := x.(*ast.StarExpr); ok {
		x = s.X
	}
	if i, ok := x.(*ast.IndexExpr); ok {
		x = i.X
	}
	id, ok := x.(*ast.Ident)
	return ok && id.IsExported()
}

func undocumented(t *testing.T, s source, d *ast.GenDecl) {
	for _, sp := range d.Specs {
		switch sp := sp.(type) {
		case *ast.TypeSpec:
			if sp.Name.IsExported() && d.Doc == nil && sp.Doc == nil && sp.Comment == nil {
				t.Errorf("%s: type %s has no comment", s.fset.Position(sp.Pos()), sp.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range sp.Names {
				if n.IsExported() && d.Doc == nil && sp.Doc == nil && sp.Comment == nil {
					t.Errorf("%s: %s has no comment", s.fset.Position(n.Pos()), n.Name)
				}
			}
		}
	}
}

// TestParsersAreFuzzed: a room that reads a format has a fuzz target.
func TestParsersAreFuzzed(t *testing.T) {
	parsers := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && slices.Contains([]string{"Open", "Parse", "OpenPart", "Decode"}, f.Name.Name) && takesBytes(f) && !within(s.pkg, "cmd") {
				parsers[s.pkg] = true
			}
		}
	}
	for pkg := range parsers {
		tests, err := filepath.Glob(filepath.Join(filepath.FromSlash(pkg), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tests, hasFuzz) {
			t.Errorf("%s reads a format and has no fuzz target", pkg)
		}
	}
}

// takesBytes: a parser reads bytes; an Open of a port or a path does not.
func takesBytes(f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		switch x := p.Type.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := x.X.(*ast.Ident); ok && pkg.Name == "io" {
				return true
			}
		case *ast.ArrayType:
			if el, ok := x.Elt.(*ast.Ident); ok && el.Name == "byte" {
				return true
			}
		}
	}
	return false
}

func hasFuzz(name string) bool {
	b, err := os.ReadFile(name)
	return err == nil && strings.Contains(string(b), "\nfunc Fuzz")
}

// TestTopLevel: the folders of the design card, and no other.
func TestTopLevel(t *testing.T) {
	want := []string{"bootimg", "cmd", "port", "profiles", "ramdisk", "sysimg", "testdata"}
	ents, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ents {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(want, e.Name()) {
			t.Errorf("folder %s at the top: everything finds its home below %v", e.Name(), want)
		}
	}
}
