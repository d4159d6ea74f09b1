package diff

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/tui/style"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	source := read(t, "testdata/changes.diff")
	for _, width := range []int{40, 80, 200} {
		golden(t, fmt.Sprintf("testdata/changes.%d.txt", width), Lines(source, width, style.Theme{}))
	}
	golden(t, "testdata/changes.styles.txt", Lines(source, 80, style.Tags()))
	if added, removed := Stat(source); added != 8 || removed != 6 {
		t.Errorf("+%d -%d", added, removed)
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

func TestBroken(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"":                                   "",
		"no diff":                            "no diff",
		"--- only one":                       "--- only one",
		"@@ -1,9 +1,9 @@\n-a":                "  ⋯|  1 - a",
		"@@ -1 +1 @@\n-a\n+b\nafter":         "  ⋯|  1 - a|  1 + b|after",
		"@@ -99999999999999999999 +1 @@\n+a": "  ⋯|  1 + a",
		"@@ -1 +1 @@\n-\x1b[2J\n+\u202eb":    "  ⋯|  1 - ␛[2J|  1 + ‹U+202E›b",
		"@@ -1,2 +1,1 @@\n-a\n\n":            "  ⋯|  1 - a|  1",
	} {
		if got := strings.Join(Lines(source, 80, style.Theme{}), "|"); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

var own = regexp.MustCompile("\x1b\\[[0-9;]*m")

func FuzzLines(f *testing.F) {
	source, err := os.ReadFile("testdata/changes.diff")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(source), uint8(60))
	f.Add("@@ -1 +1 @@\n-a b c\n+a b d", uint8(0))
	f.Fuzz(func(t *testing.T, source string, width uint8) {
		for _, l := range Lines(source, int(width), style.Dark()) {
			text := own.ReplaceAllString(l, "")
			if n := style.Width(text); n > max(int(width), 20) {
				t.Errorf("%q is %d wide, may be %d", text, n, width)
			}
			if strings.ContainsAny(text, "\x1b\r\n\t\u202e") {
				t.Errorf("controls in %q", l)
			}
		}
	})
}
