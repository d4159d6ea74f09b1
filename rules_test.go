// Package mlintern holds the tests of the rules that all packages follow: who
// may import whom, what must have a comment, and what the documents may name.
package mlintern

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tracked lists the files of the repository that git knows or would add.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil { // an archive without git
		var files []string
		err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, filepath.ToSlash(file))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	var files []string
	for file := range strings.Lines(string(out)) {
		file = strings.TrimSpace(file)
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, file := range tracked(t) {
		if strings.HasSuffix(file, ".go") {
			files = append(files, file)
		}
	}
	return files
}

// parsed returns every Go file of the program, tests left out.
func parsed(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") || strings.Contains(file, "testdata/") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[file] = f
	}
	return files
}

func TestPackagesHaveComments(t *testing.T) {
	documented := map[string]bool{}
	for file, f := range parsed(t) {
		dir := path.Dir(file)
		documented[dir] = documented[dir] || f.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestExportedNamesHaveComments(t *testing.T) {
	for file, f := range parsed(t) {
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil && !obvious(d.Name.Name) {
					t.Errorf("%s: %s has no comment", file, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					ts, ok := spec.(*ast.TypeSpec)
					if ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: type %s has no comment", file, ts.Name.Name)
					}
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// obvious names say by the standard library's contract what they do.
func obvious(name string) bool {
	return slices.Contains([]string{"Error", "Unwrap", "String", "Is", "ServeHTTP"}, name)
}

func TestForbiddenNames(t *testing.T) {
	forbidden := []string{"util", "utils", "common", "types", "base", "core", "service", "manager", "helpers", "models", "shared"}
	for file, f := range parsed(t) {
		if slices.Contains(forbidden, f.Name.Name) {
			t.Errorf("%s: no package is named %s", file, f.Name.Name)
		}
	}
}

func TestNoInitAndNoMutableState(t *testing.T) {
	for file, f := range parsed(t) {
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Name.Name == "init" && d.Recv == nil {
				t.Errorf("%s has an init function", file)
			}
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				checkVar(t, file, spec.(*ast.ValueSpec), d.Doc)
			}
		}
	}
}

// checkVar allows package-level variables that nothing changes: errors,
// embedded files, compiled patterns, interface checks, and tables in lower
// case, which reviewers watch.
func checkVar(t *testing.T, file string, spec *ast.ValueSpec, doc *ast.CommentGroup) {
	for i, name := range spec.Names {
		if name.Name == "_" || strings.HasPrefix(name.Name, "Err") || strings.HasPrefix(name.Name, "err") {
			continue
		}
		if strings.Contains(commentsOf(doc)+commentsOf(spec.Doc), "go:embed") {
			continue
		}
		if name.IsExported() {
			t.Errorf("%s: exported variable %s can be changed from outside", file, name.Name)
		}
		if len(spec.Values) <= i {
			t.Errorf("%s: variable %s has no value at start, so something must change it", file, name.Name)
		}
	}
}

func commentsOf(g *ast.CommentGroup) string {
	var b strings.Builder
	if g == nil {
		return ""
	}
	for _, c := range g.List {
		b.WriteString(c.Text)
	}
	return b.String()
}

// context.Background belongs to main alone.
func TestContextComesFromMain(t *testing.T) {
	for file := range parsed(t) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if path.Base(file) != "main.go" && bytes.Contains(src, []byte("context.Background()")) {
			t.Errorf("%s uses context.Background; take a ctx", file)
		}
	}
}

func TestSizes(t *testing.T) {
	for file := range parsed(t) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := fset.File(f.Pos()).LineCount(); n > 500 {
			t.Errorf("%s has %d lines, more than 500", file, n)
		}
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1; n > 80 {
				t.Errorf("%s: function %s has %d lines, more than 80", file, d.Name.Name, n)
			}
		}
	}
}

// Every tool is described to the model by a file of its own.
func TestToolTexts(t *testing.T) {
	var src []byte
	for _, file := range goFiles(t) {
		if strings.HasPrefix(file, "internal/tools/") {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			src = append(src, text...)
		}
	}
	for _, file := range tracked(t) {
		if name, ok := strings.CutPrefix(file, "internal/tools/text/"); ok {
			name = strings.TrimSuffix(name, ".md")
			if !bytes.Contains(src, []byte(`spec("`+name+`"`)) {
				t.Errorf("%s describes a tool that does not exist", file)
			}
		}
	}
}

var (
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	pathLike  = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+/?$`)
	identLike = regexp.MustCompile(`^([a-z]+)\.([A-Z][A-Za-z0-9]*)(\(\))?$`)
	fileLike  = regexp.MustCompile(`^[A-Za-z0-9_-]+\.(go|md|sh|yml|yaml)$`)
)

// Every path and identifier that the documents name exists.
func TestNamesInDocsExist(t *testing.T) {
	files := tracked(t)
	declared := declarations(t)
	for _, doc := range files {
		if !strings.HasSuffix(doc, ".md") || strings.Contains(doc, "testdata/") || strings.HasPrefix(doc, "internal/") {
			continue
		}
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeSpan.FindAllStringSubmatch(string(text), -1) {
			name := m[1]
			switch {
			case pathLike.MatchString(name) && ours(name):
				if _, err := os.Stat(strings.TrimSuffix(name, "/")); err != nil {
					t.Errorf("%s names %s, which does not exist", doc, name)
				}
			case fileLike.MatchString(name) && strings.HasSuffix(name, ".go"):
				if !slices.ContainsFunc(files, func(f string) bool { return path.Base(f) == name }) {
					t.Errorf("%s names the file %s, which does not exist", doc, name)
				}
			case identLike.MatchString(name):
				id := identLike.FindStringSubmatch(name)
				if names, ok := declared[id[1]]; ok && !names[id[2]] {
					t.Errorf("%s names %s, which does not exist", doc, name)
				}
			}
		}
	}
}

// ours reports whether the path is meant to be in this repository.
func ours(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"cmd", "internal", "docs", "changelog", "bench", "scripts", ".ci"}, first)
}

// declarations lists the top-level names of each package, by package name.
func declarations(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for _, f := range parsed(t) {
		names := all[f.Name.Name]
		if names == nil {
			names = map[string]bool{}
			all[f.Name.Name] = names
		}
		for name := range f.Scope.Objects { //nolint:staticcheck // a list of names is all that is wanted
			names[name] = true
		}
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok {
				names[d.Name.Name] = true
			}
		}
	}
	return all
}

func TestAgentsGuideIsShort(t *testing.T) {
	text, err := os.ReadFile("AGENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n > 80 {
		t.Errorf("AGENTS.md has %d lines, more than 80", n)
	}
}
