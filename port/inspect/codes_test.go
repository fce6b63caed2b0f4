package inspect_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mtkport/port/inspect"
)

// Every code that the package's sources give a finding is in the table, and
// every code of the table is given by some source.
func TestCodesAreGiven(t *testing.T) {
	given := givenCodes(t)
	var listed []string
	for _, c := range inspect.Codes() {
		listed = append(listed, c.Code)
		if !slices.Contains(given, c.Code) {
			t.Errorf("%s is in the table, and no source gives it", c.Code)
		}
	}
	for _, code := range given {
		if !slices.Contains(listed, code) {
			t.Errorf("a source gives %s, which is not in the table", code)
		}
	}
}

// givenCodes reads the package's sources: the Code of each finding, the code
// that codeFinding is called with, and for each Question of a claim its code.
func givenCodes(t *testing.T) (codes []string) {
	add := func(prefix string, e ast.Expr) {
		if s, ok := literal(e); ok {
			codes = append(codes, prefix+s)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
					add("", n.Value)
				} else if ok && key.Name == "Question" {
					add("claim-", n.Value)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "codeFinding" {
					add("", n.Args[0])
				}
			}
			return true
		})
	}
	return codes
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
