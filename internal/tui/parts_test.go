package tui

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
	"ml-intern/internal/tui/style"
)

func TestPasteGoesToTheChat(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	text := strings.Repeat("0123456789abcdef\n", 1<<16) // 1 MB and more
	s.send(tea.PasteMsg{Content: text})
	s.golden("paste-80x24")
	s.press("enter")
	if len(s.said) != 1 || s.said[0] != "say "+strings.TrimSpace(text) {
		t.Errorf("the paste did not arrive whole: %d bytes", len(strings.Join(s.said, "")))
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state", "prompts.jsonl")
	s := newStage(t, 80, 24)
	s.m.hist.Path = file
	for _, text := range []string{"first", "second\nof two lines", "second\nof two lines"} {
		s.send(tea.PasteMsg{Content: text})
		s.press("enter")
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info, err)
	}
	s = newStage(t, 80, 24)
	s.m.hist.Path = file
	s.write("draft")
	s.press("up")
	if s.m.prompt.Text != "second\nof two lines" {
		t.Errorf("up shows %q", s.m.prompt.Text)
	}
	s.press("up", "up", "up")
	if s.m.prompt.Text != "first" {
		t.Errorf("up again shows %q", s.m.prompt.Text)
	}
	s.press("down", "down")
	if s.m.prompt.Text != "draft" {
		t.Errorf("down shows %q", s.m.prompt.Text)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "train.py"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, 80, 24)
	s.m.state.Dir = dir
	s.write("use @trn")
	s.press("tab")
	if s.m.prompt.Text != "use @train.py " {
		t.Errorf("prompt %q", s.m.prompt.Text)
	}
	s.event(session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Parts: []llm.Part{{Call: &llm.ToolCall{ID: "1", Name: "hub_repo_details", Args: `{"repo_id":"ada/churn-model"}`}}}}}}})
	s.write("with @churn")
	s.press("tab")
	if !strings.HasSuffix(s.m.prompt.Text, "with @ada/churn-model ") {
		t.Errorf("prompt %q", s.m.prompt.Text)
	}
}

// many is a session of n events.
func many(s *stage, n int) {
	for i := 0; i < n; i += 5 {
		id := fmt.Sprint(i)
		s.event(
			session.Event{Prompt: &session.Prompt{Text: "prompt " + id}},
			session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Parts: []llm.Part{
				{Text: "Answer **" + id + "** of some length, which wraps on a narrow screen.\n\n- a list\n- of `two`\n\n```python\nx = " + id + "\n```\n"},
				{Call: &llm.ToolCall{ID: id, Name: "bash", Args: `{"command":"echo ` + id + `"}`}},
			}}}}},
			session.Event{Started: &session.Started{CallID: id}},
			session.Event{Log: &session.Log{CallID: id, Line: id}},
			session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: strings.Repeat("a line of output\n", 50), Summary: "exit 0"}}},
		)
	}
}

// Scrolling from the end to the start by lines shows every line once, in order.
func TestScrollShowsEveryLine(t *testing.T) {
	t.Parallel()
	s := newStage(t, 60, 20)
	many(s, 100)
	var all []string
	for i := range s.m.rec.items {
		all = append(all, s.m.rec.part(&s.m.c, i, 0, 1<<20)...)
	}
	height := 9
	for up := range len(all) {
		got := s.m.rec.view(&s.m.c, height)
		end := len(all) - min(up, len(all)-height)
		if want := all[end-height : end]; !slices.Equal(got, want) {
			t.Fatalf("scrolled up by %d: %q, want %q", up, got, want)
		}
		s.m.rec.scroll(&s.m.c, -1, height)
	}
	s.m.rec.scroll(&s.m.c, 1<<20, height)
	if s.m.rec.away {
		t.Error("at the end it follows again")
	}
}

// What comes while the person reads above does not move what they read.
func TestReadingAboveStays(t *testing.T) {
	t.Parallel()
	s := newStage(t, 60, 20)
	many(s, 100)
	s.screen()
	s.press("pgup", "pgup")
	before := s.screen()
	many(s, 50)
	after := s.screen()
	top := func(text string) string { return strings.Join(strings.Split(text, "\n")[:8], "\n") }
	if top(before) != top(after) {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	s.send(tea.WindowSizeMsg{Width: 41, Height: 12})
	s.screen()
	s.press("end")
	if !strings.Contains(s.screen(), "echo 45") {
		t.Errorf("End shows\n%s", s.screen())
	}
}

// Nothing from outside reaches the terminal but letters, whatever it is, and no
// line is wider than the screen.
func FuzzOutside(f *testing.F) {
	for _, text := range []string{"\x1b]0;title\x07", "\x1b[2J\x1b[H", "a\rb\n\u202eright", "\x9b31m", "| a | b |\n|---|---|\n| \x1b[1m | \u009d0;x\u009c |", "```\n\x1bc\n```", "👩‍👩‍👧 漢字 \u0301", "\xff\xfe"} {
		f.Add(text, uint8(40))
	}
	f.Fuzz(drawsOutside)
}

// The same for text made of nasty pieces.
func TestOutside(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"\x1b", "[", "]0;", "\x07", "\x9b", "2J", "\r", "\n", "\t", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\x00", "\xff", "\u0301", "漢", "👩", "🏴", "\U000e0067", "|", "---",
		"```", "# ", "- ", "> ", "*", "`", "http://x\x1b\\/", "](", "<b>", "&#27;", "&#x9b;", "a", "word ", "\u2028", "\u0085", "--- a\n+++ b\n@@ -1 +1 @@\n", "{\"", "\\u001b",
	}
	for range 400 {
		var b strings.Builder
		for range rand.IntN(30) {
			b.WriteString(pieces[rand.IntN(len(pieces))])
		}
		drawsOutside(t, b.String(), uint8(rand.IntN(256)))
	}
}

func drawsOutside(t *testing.T, text string, width uint8) {
	now := time.Now()
	m := newModel(t.Context(), func() time.Time { return now })
	m.c.theme = style.Theme{} // without any codes of its own
	m.c.width, m.height = 40+int(width)%260, 200
	call := func(id, name, args string) llm.Part {
		return llm.Part{Call: &llm.ToolCall{ID: id, Name: name, Args: args}}
	}
	quoted := fmt.Sprintf(`{"command":%q,"path":%q,"old":"x","new":%q}`, text, text, text)
	for _, ev := range []session.Event{
		{Prompt: &session.Prompt{Text: text}},
		{Chunk: &llm.Chunk{Reasoning: text}},
		{Chunk: &llm.Chunk{Text: text}},
		{Chunk: &llm.Chunk{Notice: text}},
		{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Parts: []llm.Part{{Reasoning: text}, {Text: text}, call("1", text, text), call("2", "edit", quoted), call("3", "bash", quoted)}}}}},
		{Started: &session.Started{CallID: "1"}},
		{Log: &session.Log{CallID: "1", Line: text}},
		{Waiting: &session.Waiting{CallID: "2", Waiting: tool.Waiting{Jobs: []string{text}}}},
		{Result: &session.Result{CallID: "3", Output: tool.Output{Text: text, Summary: text, IsError: true, Plan: []tool.PlanItem{{Text: text, Status: "doing"}}}, Full: text}},
		{Note: &session.Note{Text: text}},
		{Notice: &session.Notice{Text: text}},
		{Failed: &session.Failed{Text: text}},
		{Compact: &session.Compact{Summary: text}},
	} {
		m.rec.event(ev)
	}
	m.rec.ran(chat.Ran{ID: 1, Command: text, Line: text, Out: true})
	m.prompt.Paste(text)
	m.state = chat.State{Phase: chat.Waiting, Title: text, Model: text, Queue: []string{text}, Steers: []string{text}, Waits: []string{text}, Hub: text}
	for range 2 {
		lines, _ := m.screen()
		for _, line := range append(lines, m.windowTitle()) {
			for _, r := range line {
				if unicode.IsControl(r) || r == 0x202e || r == 0x2028 {
					t.Fatalf("%U is in %q", r, line)
				}
			}
			if w := cells(line); w > m.c.width && line != m.windowTitle() {
				t.Fatalf("%d cells of %d: %q", w, m.c.width, line)
			}
		}
		for _, it := range m.rec.items {
			it.open = true
			it.changed()
		}
	}
}

// BenchmarkScroll10000 scrolls a session of 10,000 events by a line and draws
// the screen: a frame must take less than 16 ms.
func BenchmarkScroll10000(b *testing.B) {
	s := newStage(&testing.T{}, 200, 50)
	many(s, 10_000)
	s.screenOnly()
	b.ResetTimer()
	for i := range b.N {
		by := -1
		if i/20_000%2 == 1 {
			by = 1
		}
		s.m.rec.scroll(&s.m.c, by, s.m.seen)
		s.screenOnly()
	}
}

// BenchmarkStream draws the screen for each of the pieces of a long reply.
func BenchmarkStream(b *testing.B) {
	s := newStage(&testing.T{}, 120, 50)
	s.state(chat.State{Phase: chat.Working})
	for i := range b.N {
		text := "some words of a reply, "
		if i%10 == 9 {
			text += "\n\n"
		}
		s.event(session.Event{Chunk: &llm.Chunk{Text: text}})
		s.screenOnly()
	}
}

func (s *stage) screenOnly() { _, _ = s.m.screen() }

// A session of 10,000 events, read from its end to its start, takes little
// memory: only what is near the screen is kept as it was drawn.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newStage(t, 200, 50)
	many(s, 10_000)
	for range 2000 {
		s.m.rec.scroll(&s.m.c, -20, s.m.seen)
		s.screenOnly()
	}
	if s.m.rec.top != 0 {
		t.Errorf("it scrolled to item %d only", s.m.rec.top)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 30<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	} else {
		t.Logf("the heap grew by %.1f MB", float64(grown)/(1<<20))
	}
	runtime.KeepAlive(s)
}

func TestHomed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ dir, home, want string }{
		{"/home/ada/churn", "/home/ada", "~/churn"},
		{"/home/ada", "/home/ada/", "~"},
		{"/home/adam/x", "/home/ada", "/home/adam/x"},
		{"/srv", "", "/srv"},
		{"/srv", "/", "/srv"},
	} {
		if got := homed(tt.dir, tt.home); got != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.dir, tt.home, got, tt.want)
		}
	}
}

// What panics beside the loop becomes the end of the screen, not of the program.
func TestObeyHoldsPanics(t *testing.T) {
	t.Parallel()
	actions := make(chan func() tea.Msg, 2)
	actions <- func() tea.Msg { panic("nobody thought of it") }
	actions <- func() tea.Msg { return unqueuedMsg{"later"} }
	close(actions)
	var got []tea.Msg
	obey(actions, func(msg tea.Msg) { got = append(got, msg) })
	if len(got) != 2 {
		t.Fatalf("it sent %v", got)
	}
	if msg, ok := got[0].(brokenMsg); !ok || !strings.Contains(msg.err.Error(), "nobody thought of it") {
		t.Errorf("it sent %v", got[0])
	}
}

// What is nested in arguments is read as lines, and text in it cannot pass for
// fields.
func TestOutline(t *testing.T) {
	t.Parallel()
	card := `{"limits":"Only as good as its rows.\n- one\nprivate: true","score":0.10,"runs":[{"name":"a <b>","seed":18446744073709551615},{"name":"b","seed":2}]}`
	want := "limits: |\n    Only as good as its rows.\n    - one\n    private: true\nruns:\n  - {\"name\":\"a <b>\",\"seed\":18446744073709551615}\n  - {\"name\":\"b\",\"seed\":2}\nscore: 0.10"
	if got := outline([]byte(card)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := outline([]byte(`{"a":1}`)); got != `{"a":1}` {
		t.Errorf("short: %s", got)
	}
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	if got := outline([]byte(deep)); len(got) > 2*len(deep) {
		t.Errorf("%d bytes of %d", len(got), len(deep))
	}
}

func TestSummaryRepeatsNoCommand(t *testing.T) {
	t.Parallel()
	line := "uv --version || echo none; python3 --version"
	for summary, want := range map[string]string{
		"exit 0, 0.1 s: uv --version || echo…": "exit 0, 0.1 s",
		"exit 1, 0.1 s: no such file…":         "exit 1, 0.1 s: no such file…",
	} {
		if got := withoutEcho(summary, "bash", line); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
