package web_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver/web"
)

var place = web.Markdown{Repo: "/me/x", Rev: "main", Folder: "docs"}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"# A *title*":                            `<h1 id="a-title">A <em>title</em></h1>`,
		"[a](../train.py)":                       `<p><a href="/me/x/blob/main/train.py" rel="nofollow noopener noreferrer">a</a></p>`,
		"[a](/train.py#L3)":                      `<p><a href="/me/x/blob/main/train.py#L3" rel="nofollow noopener noreferrer">a</a></p>`,
		"[a](../../../../etc/passwd)":            `<p><a href="/me/x/blob/main/etc/passwd" rel="nofollow noopener noreferrer">a</a></p>`,
		"[a](#b)":                                `<p><a href="#b" rel="nofollow noopener noreferrer">a</a></p>`,
		"[a](javascript:alert(1))":               `<p>a</p>`,
		"[a](JaVaScRiPt&#58;x)":                  `<p><a href="/me/x/blob/main/docs/JaVaScRiPt&amp;#58%3Bx" rel="nofollow noopener noreferrer">a</a></p>`,
		"[a](data:text/html,x)":                  `<p>a</p>`,
		"[a](//evil.example/x)":                  `<p><a href="https://evil.example/x" rel="nofollow noopener noreferrer">a</a></p>`,
		`[a](/\evil.example)`:                    `<p><a href="/me/x/blob/main/%5Cevil.example" rel="nofollow noopener noreferrer">a</a></p>`,
		"![a](fig.png)":                          `<p><img src="/me/x/resolve/main/docs/fig.png" alt="a"></p>`,
		"![a](https://example.com/a.png)":        `<p><a href="https://example.com/a.png" class="picture" rel="nofollow noopener noreferrer">a</a></p>`,
		"[![b](https://e.com/b.svg)](x.md)":      `<p><a href="/me/x/blob/main/docs/x.md" rel="nofollow noopener noreferrer">b</a></p>`,
		"![a](javascript:x)":                     `<p>a</p>`,
		"<script>alert(1)</script>":              ``,
		"<div onclick=x>some <b>words</b></div>": `<p>some words</p>`,
		"one<br>two <img src=x onerror=y>":       `<p>one<br>two </p>`,
		"<javascript:alert(1)>":                  `<p>javascript:alert(1)</p>`,
		"https://example.com":                    `<p><a href="https://example.com">https://example.com</a></p>`,
	} {
		got := strings.TrimSpace(string(place.HTML([]byte(source))))
		got = strings.ReplaceAll(got, `rel="nofollow noopener noreferrer" class="picture"`, `class="picture" rel="nofollow noopener noreferrer"`)
		if got != want {
			t.Errorf("%s\n is %s\nwant %s", source, got, want)
		}
	}
}

// What is made of a card has known tags only, no attribute that runs anything,
// and addresses that begin as they must.
func checkSafe(t *testing.T, source, out string) {
	t.Helper()
	for _, tag := range regexp.MustCompile(`<[^>]*>`).FindAllString(out, -1) {
		if !regexp.MustCompile(`^</?(p|h[1-6]|a|em|strong|code|pre|ul|ol|li|blockquote|table|thead|tbody|tr|th|td|hr|br|img|del|input)[\s/>]`).MatchString(tag) {
			t.Errorf("%q makes the tag %s", source, tag)
		}
		if regexp.MustCompile(`(?i)\s(on\w+|style|srcset|formaction)\s*=`).MatchString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(tag, `""`)) {
			t.Errorf("%q makes %s", source, tag)
		}
		for _, m := range regexp.MustCompile(`(href|src)="([^"]*)"`).FindAllStringSubmatch(tag, -1) {
			if !regexp.MustCompile(`^(https?://|/me/x/|#|mailto:)`).MatchString(m[2]) {
				t.Errorf("%q leads to %s", source, m[2])
			}
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{
		"# a\n<script>x</script>\n[a](b \"c\")", "![x](<a b>)\n", "| a |\n|---|\n| <b> |", "<a@b.c> <ftp://x>", "www.example.com a@b.cc",
		"[x]: javascript:alert(1)\n[x] ![x]", "- [ ] a\n> b\n```js\"onclick\nc\n```", "[a](\x01javascript:x)", "<svg/onload=x>", "`<b>`",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		checkSafe(t, source, string(place.HTML([]byte(source))))
	})
}

// No card takes the server long.
func TestMarkdownIsQuick(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{
		"[", "![", "*a_", "`", "``a`", "<", "<a ", "> ", "- ", "1. ", "&", "|", "| a ", "~~", "[a](", "[a][", "](", "\\", "<!--", "#", "\t", "*", "**a ", "_a", "[^a]", "http://a", "a@b", "a\n\n", "[a]: b\n", "- a\n ", "- a and more words in the item\n ", "![a](b)[", "1) ", "x\n[", "*a_\n\n", strings.Repeat("[a](", 400) + "\n\n", strings.Repeat("*a_", 600) + "\n\n",
	} {
		source := strings.Repeat(piece, (256<<10)/len(piece))
		begin := time.Now()
		out := place.HTML([]byte(source))
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%q takes %v", piece, took)
		}
		if len(out) > 64<<20 {
			t.Errorf("%q makes %d bytes", piece, len(out))
		}
	}
}

// Every line of a table becomes as wide as its head: a small one can be gigabytes.
func TestWideTable(t *testing.T) {
	t.Parallel()
	table := func(columns, lines int) string {
		return string(place.HTML([]byte(strings.Repeat("|a", columns) + "|\n" + strings.Repeat("|-", columns) + "|\n" + strings.Repeat("|b\n", lines))))
	}
	if out := table(800, 3000); len(out) > 1<<20 || strings.Contains(out, "<table") {
		t.Errorf("it makes %d bytes", len(out))
	}
	if out := table(10, 100); strings.Count(out, "<td") != 1000 {
		t.Errorf("a common table is %.200s", out)
	}
}

// A diff applied to the old text is the new one.
func TestDiff(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := func() []string {
			out := make([]string, r.IntN(40))
			for i := range out {
				out[i] = fmt.Sprint(r.IntN(6))
			}
			return out
		}
		a := text()
		b := append([]string(nil), a...)
		if seed%2 == 0 {
			b = text()
		}
		for range r.IntN(5) {
			if len(b) > 0 {
				b[r.IntN(len(b))] = "changed"
			}
		}
		join := func(l []string) []byte {
			if len(l) == 0 {
				return nil
			}
			return []byte(strings.Join(l, "\n") + "\n")
		}
		hunks, added, removed, note := web.Diff(join(a), join(b))
		if note != "" {
			t.Fatal(note)
		}
		var got []string
		at, plus, minus := 0, 0, 0
		for _, h := range hunks {
			for _, l := range h.Lines {
				for l.Old > at+1 {
					got = append(got, a[at])
					at++
				}
				switch l.Sign {
				case "+":
					if got = append(got, l.Text); l.New != len(got) {
						t.Fatalf("seed %d: line %d has the number %d", seed, len(got), l.New)
					}
					plus++
				case "-":
					at++
					minus++
				default:
					got = append(got, a[at])
					at++
				}
			}
		}
		got = append(got, a[at:]...)
		if strings.Join(got, "\n") != strings.Join(b, "\n") || plus != added || minus != removed {
			t.Fatalf("seed %d: %v to %v gives %v, %d added, %d removed", seed, a, b, got, added, removed)
		}
	}
	if _, _, _, note := web.Diff([]byte("a\x00"), nil); note != "not text" {
		t.Error(note)
	}
}

func TestThreads(t *testing.T) {
	t.Parallel()
	m, err := web.NewMaker()
	if err != nil {
		t.Fatal(err)
	}
	one := web.Thread{
		Number: 3, URL: "/me/x/discussions/3", Title: "<b>title", Author: "you", Status: "open", Pull: true,
		Events: []web.Event{{Author: "you", Comment: true, Text: place.HTML([]byte("**hi**"))}, {Author: "me", What: "closed this"}},
	}
	for _, view := range []web.View{web.Threads{Threads: []web.Thread{one}}, web.Threads{}, one} {
		w := httptest.NewRecorder()
		repo := &web.Repo{Owner: "me", Name: "x", Type: "model", Path: "/me/x", Tabs: []web.Tab{{Name: "Discussions", URL: "/me/x/discussions", Count: "1"}}}
		err := m.Write(w, httptest.NewRequest("GET", "/", nil), 200, web.Frame{Title: "t", Repo: repo, Tab: "Discussions", View: view})
		if err != nil || !strings.Contains(w.Body.String(), `aria-current="page"`) || strings.Contains(w.Body.String(), "<b>title") {
			t.Errorf("%T: %v\n%s", view, err, w.Body)
		}
	}
}
