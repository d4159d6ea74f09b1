package style

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"plain":         {"a\tb\nc", "a\tb\nc"},
		"ends of lines": {"a\r\nb\rc\u2028d", "a\nb\nc\nd"},
		"colours":       {"\x1b[1;31mred\x1b[0m\x1b[K", "red"},
		"cursor":        {"\x1b[2J\x1b[Hx", "␛[2J␛[Hx"},
		"title":         {"\x1b]0;owned\x07", "␛]0;owned␇"},
		"clipboard":     {"\x1b]52;c;eA==\x1b\\", "␛]52;c;eA==␛\\"},
		"eight bits":    {"\u009b31m", "‹U+009B›31m"},
		"bidi":          {"\u202egpj.exe", "‹U+202E›gpj.exe"},
		"isolates":      {"\u2066x\u2069", "‹U+2066›x‹U+2069›"},
		"marks":         {"a\u200eb\u200bc\ufeffd", "abcd"},
		"no UTF-8":      {"a\xffb", "a\ufffdb"},
		"nul":           {"\x00\x7f", "␀␡"},
		"letters":       {"日本 é 👨‍👩‍👧 ☁️", "日本 é 👨‍👩‍👧 ☁️"},
		"flag":          {"🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"},
		"hidden tags":   {"hi\U000e0067", "hi‹U+E0067›"},
		"Persian":       {"می\u200cخواهم", "می\u200cخواهم"},
	} {
		if got := Clean(c[0]); got != c[1] {
			t.Errorf("%s: %q, want %q", name, got, c[1])
		}
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "abc": 3, "日本": 4, "👨‍👩‍👧": 2, "🇩🇪": 2, "👍🏽": 2, "e\u0301": 1, "☁️": 2, "한국": 4, "ﬁ": 1, "…": 1, "─": 1, "⣿": 1,
	} {
		if got := Width(text); got != want {
			t.Errorf("%q is %d cells wide, want %d", text, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		width int
		want  string
	}{
		"words":        {"one two three", 7, "one two|three"},
		"exact":        {"one two", 7, "one two"},
		"long word":    {"a abcdefghij b", 4, "a ab|cdef|ghij|b"},
		"word half":    {"a abcdefghij", 8, "a abcdef|ghij"},
		"lines":        {"a\n\nb", 9, "a||b"},
		"indented":     {"  a b", 3, "  a|b"},
		"CJK":          {"日本語の文。終", 8, "日本語の|文。終"},
		"closing sign": {"日本語の。", 8, "日本語|の。"},
		"mixed":        {"ab日本cd", 4, "ab日|本cd"},
		"emoji":        {"👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 4, "👨‍👩‍👧👨‍👩‍👧|👨‍👩‍👧"},
		"marks":        {"e\u0301e\u0301e\u0301", 2, "e\u0301e\u0301|e\u0301"},
		"empty":        {"", 4, ""},
		"gap":          {"a      b", 4, "a|b"},
	} {
		var lines []string
		for _, l := range Wrap([]Span{{Text: c.text}}, c.width) {
			lines = append(lines, l.Plain())
		}
		if got := strings.Join(lines, "|"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestWrapKeepsStyles(t *testing.T) {
	t.Parallel()
	spans := []Span{Of(Text, "a b"), {Text: "old", Style: Style{Attr: Bold}}, Of(Code, " c\u0301"), Of(Link, "\u0301d")}
	got := Tags().Lines(Wrap(spans, 4))
	want := []string{"a", "b⟨b⟩old⟨/⟩", "⟨code⟩c\u0301\u0301⟨/⟩⟨link⟩d⟨/⟩"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestThemes(t *testing.T) {
	t.Parallel()
	l := Line{{Text: "see", Style: Style{Role: Link, Attr: Bold, Link: "https://x.org"}}, Of(Text, " it  ")}
	for name, c := range map[string]struct {
		theme Theme
		want  string
	}{
		"zero": {Theme{}, "see it"},
		"mono": {Mono(), "\x1b[1msee\x1b[m it"},
		"dark": {Dark(), "\x1b]8;;https://x.org\x1b\\\x1b[1;38;2;124;196;224msee\x1b[m\x1b]8;;\x1b\\ it"},
		"tags": {Tags(), "⟨link,b,to:https://x.org⟩see⟨/⟩ it"},
	} {
		if got := c.theme.Line(l); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := Dark().Line(Line{{Text: "x", Style: Style{Link: "javascript:alert(1)"}}, {Text: "y", Style: Style{Link: "https://a\x07b"}}}); got != "xy" {
		t.Errorf("a hyperlink to no address of the web: %q", got)
	}
}

func TestPadAndTruncate(t *testing.T) {
	t.Parallel()
	l := Line{Of(Text, "日本語")}
	for want, got := range map[string]Line{
		"日本語  ": Pad(l, 8, -1), "  日本語": Pad(l, 8, 1), " 日本語 ": Pad(l, 8, 0), "日…": Truncate(l, 4), "日本語": Truncate(l, 6), "…": Truncate(l, 1),
	} {
		if got.Plain() != want {
			t.Errorf("%q, want %q", got.Plain(), want)
		}
	}
}

// control is what no text may bring to the terminal.
func control(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	})
}

var own = regexp.MustCompile("\x1b\\[[0-9;]*m|\x1b]8;;[!-~]*\x1b\\\\")

func FuzzLine(f *testing.F) {
	f.Add("\x1b[2J\u202e", "a\nb\t\x9b")
	f.Add("https://x.org/\x1b\\", "☁")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, theme := range []Theme{{}, Mono(), Dark(), Light(), Tags()} {
			got := theme.Line(Line{{Text: a, Style: Style{Role: Good, Link: b}}, {Text: b, Style: Style{Attr: Bold | Reverse, Link: "https://" + a}}})
			if rest := own.ReplaceAllString(got, ""); control(rest) {
				t.Errorf("controls in %q", got)
			}
		}
	})
}

func FuzzWrap(f *testing.F) {
	f.Add("one two three", "日本語 👨‍👩‍👧 e\u0301", uint8(7))
	f.Add("☁", "\ufe0f", uint8(1))
	f.Add(" \n\n ", "\x1b[31m\r", uint8(0))
	f.Fuzz(func(t *testing.T, a, b string, width uint8) {
		spans := []Span{Of(Text, a), Of(Code, b), Of(Text, a)}
		var words strings.Builder
		for _, l := range Wrap(spans, int(width)) {
			if n := Width(strings.TrimRight(l.Plain(), " ")); n > max(int(width), 2) {
				t.Errorf("%q is %d wide, may be %d", l.Plain(), n, width)
			}
			words.WriteString(l.Plain())
		}
		if got, want := letters(words.String()), letters(Clean(a)+Clean(b)+Clean(a)); got != want {
			t.Errorf("%q became %q", want, got)
		}
		var cut strings.Builder
		for _, l := range Cut(Line{Of(Text, Clean(a)), Of(Code, Clean(b))}, int(width)) {
			cut.WriteString(l.Plain())
		}
		if want := spaced(a) + spaced(b); spaced(cut.String()) != want {
			t.Errorf("%q was cut to %q", want, cut.String())
		}
	})
}

func letters(s string) string { return strings.Join(strings.Fields(s), "") }

func BenchmarkWrap(b *testing.B) {
	text := []Span{Of(Text, strings.Repeat("The quick brown fox jumps over the lazy dog. ", 20))}
	b.SetBytes(int64(len(text[0].Text)))
	for b.Loop() {
		Wrap(text, 80)
	}
}
