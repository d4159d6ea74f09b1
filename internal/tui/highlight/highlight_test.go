package highlight

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/tui/style"
)

var update = flag.Bool("update", false, "write the golden file")

func TestGolden(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/code.txt")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(string(source), "== "), "\n== ") {
		lang, code, _ := strings.Cut(part, "\n")
		b.WriteString("== " + lang + "\n" + strings.Join(Lines(lang, code, style.Tags()), "\n") + "\n")
	}
	const file = "testdata/styles.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"a/train.py": "py", "Dockerfile": "dockerfile", "x.Dockerfile": "dockerfile", "k.cu": "cu", ".env.local": "ini", "x.tsx": "tsx", "README": "", "x.unknown": "", "a.YAML": "yaml",
	} {
		if got := Language(file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	for _, name := range []string{"Python", "{.python}", "py title=x", "C++", "sh"} {
		if !New(name).Known() {
			t.Errorf("%q is not known", name)
		}
	}
}

func languages() []string {
	return []string{"python", "go", "bash", "json", "yaml", "toml", "ts", "cuda", "rust", "sql", "dockerfile", "ini", "html", "diff", "none"}
}

func FuzzScanner(f *testing.F) {
	source, err := os.ReadFile("testdata/code.txt")
	if err != nil {
		f.Fatal(err)
	}
	for part := range strings.SplitSeq(string(source), "\n== ") {
		f.Add(part)
	}
	f.Add("'\"`\"\"\"\\")
	f.Fuzz(func(t *testing.T, code string) {
		for _, lang := range languages() {
			s := New(lang)
			for line := range strings.SplitSeq(code, "\n") {
				if got := s.Line(line).Plain(); got != line {
					t.Fatalf("%s: %q became %q", lang, line, got)
				}
			}
		}
	})
}

// Long lines of any sign cost time by their length: a scanner that looks
// around at every byte would not end here.
func TestLinear(t *testing.T) {
	t.Parallel()
	for _, lang := range languages() {
		for _, s := range []string{"a", "'", `"`, "\\", "<", "{", "$", "${", "[", "/*", "a:", "a,", "- ", "\"a\":", "r'", "1", "-", " ", "\"a", "{a"} {
			New(lang).Line(strings.Repeat(s, 200_000/len(s)))
		}
	}
}

func BenchmarkLines(b *testing.B) {
	source, err := os.ReadFile("testdata/code.txt")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		Lines("python", string(source), style.Theme{})
	}
}
