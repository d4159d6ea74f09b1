package notify_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ml-intern/internal/notify"
)

var update = flag.Bool("update", false, "write the golden files anew")

// body is the text of a message in Slack without the lines around it.
func body(text string) string {
	out := notify.SlackText(notify.Message{Severity: notify.Info, Title: "t", Text: text})
	return strings.TrimPrefix(strings.TrimPrefix(out, "[INFO] t"), "\n")
}

// Markdown is written as Slack writes it, and what is Slack's own stays.
func TestSlackMarkup(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"# Result\n**Done** with *details* and ~~old text~~.": "*Result*\n*Done* with _details_ and ~old text~.",
		"***both***":                       "*_both_*",
		"> quote <b> & c":                  "> quote &lt;b&gt; &amp; c",
		"[a](<https://x>)":                 "<https://x|a>",
		"[a](https://x?a=1&b=2)":           "<https://x?a=1&amp;b=2|a>",
		"![plot](https://x/p.png)":         "<https://x/p.png|plot>",
		"`**x** ~~y~~ [a](https://b)`":     "`**x** ~~y~~ [a](https://b)`",
		"```\n# no **bold**\n*a*\n```":     "```\n# no **bold**\n*a*\n```",
		"```\nnever **closed**":            "```\nnever **closed**",
		"a &lt; b &amp; c":                 "a &lt; b &amp; c",
		"1 < 2 && 3 > 2":                   "1 &lt; 2 &amp;&amp; 3 &gt; 2",
		"hi <@U123> in <#C1|general>":      "hi <@U123> in <#C1|general>",
		"see <https://x|here> <mailto:a>":  "see <https://x|here> <mailto:a>",
		"<!channel> <!here|x> <!everyone>": "&lt;!channel&gt; &lt;!here|x&gt; &lt;!everyone&gt;",
		"`<!channel>`":                     "`&lt;!channel&gt;`",
		"[<!channel>](https://x)":          "<https://x|&lt;!channel&gt;>",
		"[a|b>](https://x|y>)":             "<https://x%7Cy|a/b&gt;>",
		"[`code`](https://x)":              "<https://x|`code`>",
		"2 * 3 * 4":                        "2 * 3 * 4",
		"a*b*c":                            "a*b*c",
		"*a* *b*":                          "_a_ _b_",
		"snake_case_name and __init__.py":  "snake_case_name and __init__.py",
		"## **Bold** head ##":              "*Bold head*",
		"* item\n* **b**":                  "* item\n* *b*",
		"#hashtag":                         "#hashtag",
		"a\x010\x02b\x03":                  "a0b",
	} {
		if got := body(text); got != want {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
}

// The whole text of a message is what the channel sees.
func TestSlackText(t *testing.T) {
	t.Parallel()
	got := notify.SlackText(notify.Message{
		Severity: notify.Warning, Title: "Approval required", Text: "A *run* is waiting. See [details](https://example.com).", Session: "sess-1",
	})
	if want := "[WARNING] Approval required\nA _run_ is waiting. See <https://example.com|details>.\nsession_id: sess-1"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// However long a text becomes in Slack's markup, it is not longer than Slack
// takes, and says whose it is.
func TestSlackIsBounded(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"&", "<", "x", "é", "*a* ", "`a&b` ", "[a](https://x) "} {
		text := strings.Repeat(piece, 39_000/len([]rune(piece)))
		start := time.Now()
		out := notify.SlackText(notify.Message{Severity: notify.Info, Title: "t", Text: text, Session: "s1"})
		if n := utf8.RuneCountInString(out); n > 40_000 || n < 20_000 || !strings.HasSuffix(out, "\nsession_id: s1") || !utf8.ValidString(out) {
			t.Errorf("%q: %d letters, ends %q, in %v", piece, n, out[max(len(out)-40, 0):], time.Since(start))
		}
	}
}

func FuzzSlackText(f *testing.F) {
	for _, s := range []string{"**a** `b` [c](https://d)", "\x01\x02\x01999\x02", "> <!channel>", "```", "***", "![](a:b)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := notify.SlackText(notify.Message{Severity: notify.Info, Title: text, Text: text})
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\x01\x02\x03\x1b") {
			t.Errorf("%q", out)
		}
		for _, call := range []string{"<!channel", "<!here", "<!everyone", "<!subteam"} {
			if strings.Contains(out, call) {
				t.Errorf("%q calls %s", out, call)
			}
		}
	})
}

// golden compares a text with a file, which -update writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: got\n%s\nwant\n%s", file, got, want)
	}
}
