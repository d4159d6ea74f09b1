package lazyregexp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/lazyregexp"
)

func TestSameAsRegexp(t *testing.T) {
	r := lazyregexp.New(`(\w)(\d)?`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got := r.ReplaceAllString("a1 b", "$2$1"); got != "1a b" {
				t.Errorf("replaced: %q", got)
			}
		})
	}
	wg.Wait()
	if got := r.FindAllStringSubmatch("a1 b", -1); len(got) != 2 || got[0][2] != "1" || got[1][2] != "" {
		t.Errorf("found %q", got)
	}
	if r.String() != `(\w)(\d)?` {
		t.Errorf("is %s", r)
	}
}

func TestBadExpression(t *testing.T) {
	r := lazyregexp.New(`(`)
	defer func() {
		if recover() == nil {
			t.Error("a bad expression was used")
		}
	}()
	r.MatchString("x")
}

// TestAllCompile does at once what the program puts off: it compiles every
// expression that is written in our packages. Each is a constant of its
// package, so that it needs no code at the start, and none is a
// regexp.MustCompile of a package's variable, which does.
func TestAllCompile(t *testing.T) {
	packages := map[string][]*ast.File{}
	set := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.'):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, files := range packages {
		known := constants(files)
		for _, file := range files {
			for _, call := range calls(file, "lazyregexp", "New") {
				seen++
				expr, ok := known.text(call.Args[0])
				if !ok {
					t.Errorf("%s: the expression is no constant of the package", set.Position(call.Pos()))
				} else if _, err := regexp.Compile(expr); err != nil {
					t.Errorf("%s: %v", set.Position(call.Pos()), err)
				}
			}
			for _, d := range file.Decls {
				if g, ok := d.(*ast.GenDecl); ok {
					for _, call := range calls(g, "regexp", "MustCompile") {
						t.Errorf("%s: is compiled at every start of the program: use lazyregexp", set.Position(call.Pos()))
					}
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d expressions were found", seen)
	}
}

// calls are the calls of a package's function, outside of function literals.
func calls(in ast.Node, pkg, name string) (all []*ast.CallExpr) {
	ast.Inspect(in, func(n ast.Node) bool {
		if _, ok := n.(*ast.FuncLit); ok {
			return false
		}
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == name {
				if x, ok := f.X.(*ast.Ident); ok && x.Name == pkg {
					all = append(all, call)
				}
			}
		}
		return true
	})
	return all
}

// known are the constants of a package by name.
type known map[string]ast.Expr

func constants(files []*ast.File) known {
	all := known{}
	for _, file := range files {
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					spec := s.(*ast.ValueSpec)
					for i, value := range spec.Values {
						all[spec.Names[i].Name] = value
					}
				}
			}
		}
	}
	return all
}

func (k known) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.Ident:
		value, ok := k[e.Name]
		if !ok {
			return "", false
		}
		return k.text(value)
	case *ast.BinaryExpr:
		x, ok := k.text(e.X)
		y, also := k.text(e.Y)
		return x + y, ok && also
	}
	return "", false
}
