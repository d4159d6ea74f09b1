package markdown

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/tui/style"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no texts", err)
	}
	for _, file := range files {
		source := read(t, file)
		for _, width := range []int{40, 80, 200} {
			golden(t, fmt.Sprintf("%s.%d.txt", strings.TrimSuffix(file, ".md"), width), Render(source, width, style.Theme{Links: true}))
		}
		golden(t, strings.TrimSuffix(file, ".md")+".styles.txt", Render(source, 80, style.Tags()))
		plain := style.Tags()
		plain.Links = false
		if lines := Render(source, 80, plain); !slices.Equal(lines, Render(source, 80, style.Tags())) {
			golden(t, strings.TrimSuffix(file, ".md")+".nolinks.txt", lines)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func golden(t *testing.T, file string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, file), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// A text that arrives in pieces looks in the end like one that was there from
// the start, wherever it was cut.
func TestStreamsLikeTheWhole(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source := strings.ReplaceAll(read(t, file), "[the docs][d]", "the docs")
		for _, size := range []int{1, 7, 100} {
			want := Render(source, 60, style.Tags())
			r := New(60, style.Tags())
			for chunk := range slices.Chunk([]byte(source), size) {
				r.Write(string(chunk))
				r.Lines()
			}
			if diff := cmp.Diff(want, r.Lines()); diff != "" {
				t.Errorf("%s in chunks of %d:\n%s", file, size, diff)
			}
			r.Resize(90)
			if diff := cmp.Diff(Render(source, 90, style.Tags()), r.Lines()); diff != "" {
				t.Errorf("%s with another width:\n%s", file, diff)
			}
		}
	}
}

// While it arrives, what is above the open block stays as it is.
func TestFinishedLinesStay(t *testing.T) {
	t.Parallel()
	source := read(t, "testdata/report.md")
	r := New(60, style.Theme{})
	var fixed []string
	for _, c := range source {
		r.Write(string(c))
		lines := r.Lines()
		if len(lines) < len(fixed) || !slices.Equal(fixed, lines[:len(fixed)]) {
			t.Fatalf("lines changed that were finished:\n%s", cmp.Diff(fixed, lines[:min(len(fixed), len(lines))]))
		}
		fixed = slices.Clone(lines[:r.fixed])
	}
}

func TestOpenBlocks(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"42":                      "42",
		"-":                       "•",
		"text\n-":                 "text|-",
		"text\n- a":               "text|• a",
		"text\n``":                "text|``",
		"text\n```py":             "text|",
		"text\n```py\nx = 1":      "text||  x = 1",
		"# Head":                  "Head",
		"| a | b |":               "| a | b |",
		"| a | b |\n|--":          "| a | b |||--",
		"| a | b |\n|--|--|":      "a │ b",
		"1. a\n2. b":              "1. a|2. b",
		"1. a\n1. b\n\n   c":      "1. a|2. b||   c",
		"3) a\n3) b":              "3) a|4) b",
		"":                        "",
		"\n\n\n":                  "",
		"a\r\nb\r\n\r\nc":         "a|b||c",
		"[x]: https://x.org\n\na": "a",
	} {
		if got := strings.Join(Render(source, 40, style.Theme{}), "|"); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

var own = regexp.MustCompile("\x1b\\[[0-9;]*m|\x1b]8;;[!-~]*\x1b\\\\")

func check(t *testing.T, lines []string, width int) {
	t.Helper()
	for _, l := range lines {
		text := own.ReplaceAllString(l, "")
		if strings.ContainsFunc(text, func(r rune) bool {
			return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
		}) {
			t.Errorf("controls in %q", l)
		}
		if n := style.Width(text); n > width {
			t.Errorf("%q is %d wide, may be %d", text, n, width)
		}
	}
}

func FuzzRender(f *testing.F) {
	files, err := filepath.Glob("testdata/*.md")
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source), uint8(40+i), uint8(i))
	}
	f.Add("- > 1. - > * a", uint8(0), uint8(1))
	f.Fuzz(func(t *testing.T, source string, width, size uint8) {
		w := 40 + int(width)
		whole := Render(source, w, style.Dark())
		check(t, whole, w)
		r := New(w, style.Dark())
		for chunk := range slices.Chunk([]byte(source), 1+int(size)) {
			r.Write(string(chunk))
			if len(source) < 300 {
				check(t, r.Lines(), w)
			}
		}
		if diff := cmp.Diff(strings.Join(whole, "\n"), strings.Join(r.Lines(), "\n")); diff != "" && !refPattern.MatchString(strings.ReplaceAll(source, "\n", " ")) && len(r.split.refs) == 0 {
			t.Errorf("in chunks of %d:\n%s", 1+int(size), diff)
		}
	})
}

// The splitter loses nothing but the signs of fences.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a\n```x\nb\n```\nc", "- a\n\n  b\n\nc\n| d | e |\n|---|---|\n|f|g|\nh", "> a\n- b\n# c\n***\n$$\nd\n$$\n<!-- e\n\n-->"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > limit/2 {
			return
		}
		r := New(80, style.Theme{})
		r.Write(source + "\n")
		r.split.finish()
		var all strings.Builder
		for _, p := range r.split.done {
			all.WriteString(p.text)
		}
		letters := func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) || r == '`' || r == '~' {
					return -1
				}
				return r
			}, s)
		}
		if got, want := letters(all.String()), letters(style.Clean(source)); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}

// reply is a text of about n bytes as models write them.
func reply(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "## Part %d\n\nThe **loss** fell from `%d` to [a value](https://example.org/%d) that is *good enough*; the next run uses a smaller rate.\n"+
			"It should be ready in an hour, and costs two dollars at most.\n\n1. First do this\n2. Then that, with a longer line that explains why it is needed\n   - and a point below\n\n"+
			"```python\nfor step in range(%d):\n    loss = model(batch[\"x\"]).loss  # forward\n    loss.backward()\n```\n\n| run | loss | note |\n|:--|--:|---|\n| a | 0.%d | fine |\n| b | 0.5 | worse |\n\n", i, i, i, i, i)
	}
	return b.String()
}

// Fifty thousand chunks cost as much each at the end as at the start. The
// bounds are counts, not times: they hold on a busy machine too.
func TestStreamIsLinear(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"reply":     reply(40_000),
		"code":      "```python\n" + strings.Repeat("x = f(1)  # one\n", 3000),
		"paragraph": strings.Repeat("word ", 10_000),
		"lines":     strings.Repeat("a line of words\n", 3000),
		"item":      "- " + strings.Repeat("a line of words\n  ", 3000),
		"table":     "| a | b |\n|---|---|\n" + strings.Repeat("| cell | another cell |\n", 2000),
		"quote":     strings.Repeat("> words in a quote\n", 2500),
		"letter":    strings.Repeat("x", 40_000),
		"formula":   "$$\n" + strings.Repeat("x^2 + \n", 5_000),
	} {
		r := New(80, style.Dark())
		for chunk := range slices.Chunk([]byte(source), 64) {
			r.Write(string(chunk))
			r.Lines()
			if open := len(r.split.open.text) + len(r.partial); open > 2*limit+64 {
				t.Fatalf("%s: the open piece has %d bytes", name, open)
			}
		}
		if left := len(r.lines) - r.fixed; left > 1200 {
			t.Errorf("%s: the open piece has %d lines", name, left)
		}
		check(t, r.Lines(), 80)
	}
}

// Texts that make parsers of Markdown slow do not stop the screen.
func TestHostileIsBounded(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"[", "![", "*a ", "_a_", "`", "<", "&", "[a](", "> ", "- ", "1. ", "|", "~~a", "**a *", "[](", "<a ", "\\", "a@", "http://", "www.", "[a]: b\n", "]("} {
		start := time.Now()
		check(t, Render(strings.Repeat(s, 20_000/len(s)), 80, style.Dark()), 80)
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%q takes %v", s, d)
		} else {
			t.Logf("%q takes %v", s, d)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	source := reply(800_000)
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		r := New(100, style.Dark())
		for chunk := range slices.Chunk([]byte(source), len(source)/50_000) {
			r.Write(string(chunk))
			r.Lines()
		}
	}
}

func BenchmarkRender(b *testing.B) {
	source := reply(100_000)
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		Render(source, 100, style.Dark())
	}
}

func BenchmarkShort(b *testing.B) {
	for b.Loop() {
		Render("Done: the **loss** is `0.41`.", 100, style.Dark())
	}
}
