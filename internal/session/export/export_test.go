package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/session/export"
	"ml-intern/internal/tool"
)

var update = flag.Bool("update", false, "write the golden files")

// log is a store with one log.
type log []session.Event

func (l log) Load(context.Context, string, int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for i, ev := range l {
			ev.Seq, ev.Time = int64(i+1), time.Date(2026, 11, 27, 12, 0, i, 0, time.UTC)
			if !yield(ev, nil) {
				return
			}
		}
	}
}

func (log) Append(context.Context, string, ...session.Event) error { return nil }
func (log) List(context.Context) ([]session.Summary, error)        { return nil, nil }
func (log) Delete(context.Context, string) error                   { return nil }
func (log) Lease(context.Context, string) (func() error, error)    { return nil, nil }

func opened(t testing.TB, id string, events ...session.Event) *session.Session {
	t.Helper()
	s, err := session.Open(t.Context(), append(log{{Opened: &session.Opened{ID: id, Dir: "/w/<b>", Model: "openai/m", Hub: "local"}}}, events...), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func reply(parts ...llm.Part) session.Event {
	return session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}}}}
}

// nasty is what wants to leave its place.
const nasty = "</pre><script>alert(1)</script>\n```\n# no heading\n\"'&{{.}}"

func source(t testing.TB) export.Source {
	prompt := func(text string) session.Event { return session.Event{Prompt: &session.Prompt{Text: text}} }
	result := func(id, text string, o tool.Output) session.Event {
		o.Text = text
		return session.Event{Result: &session.Result{CallID: id, Output: o}}
	}
	return export.Source{
		Title:  "Rows & <i>columns</i>",
		Redact: func(s string) string { return strings.ReplaceAll(s, "hunter2", "[redacted]") },
		Session: opened(t, "s1",
			prompt("count the rows\n\n"+nasty+" hunter2"),
			session.Event{Prompt: &session.Prompt{Text: "and see @plot.png", Pictures: []*llm.Image{
				{Name: "plot.png <hunter2>", MediaType: "image/png", Width: 640, Height: 480, Data: []byte("plot")},
				{Name: "lost.png", MediaType: "image/png", Width: 3, Height: 2, Bytes: 34000, SHA256: "ab"},
				{Name: "page.html", MediaType: "text/html", Data: []byte("<script>")},
			}}},
			session.Event{Note: &session.Note{Guard: "plan", Text: "note " + nasty}},
			reply(llm.Part{Reasoning: "I think " + nasty, Proof: &llm.Proof{Kind: "k", Data: "hunter2"}}, llm.Part{Text: "I look."},
				llm.Part{Call: &llm.ToolCall{ID: "c1", Name: "bash", Args: `{"command":"wc -l hunter2 <x>"}`}},
				llm.Part{Call: &llm.ToolCall{ID: "c2", Name: "read", Args: `{"path": "</script>`}}),
			session.Event{Decided: &session.Decided{CallID: "c1", Verdict: "allow", By: "person", Args: `{"command":"wc -l hunter2 </pre>"}`}},
			session.Event{Decided: &session.Decided{CallID: "c2", Verdict: "deny", By: "person", Reason: "no <hr>"}},
			result("c1", nasty+" hunter2", tool.Output{Summary: "42 <rows>", Artifacts: []tool.Artifact{{Kind: "model", URL: "https://hub/me/x", Path: "a`b"}}, Image: &llm.Image{MediaType: "image/png", Data: []byte("png")}}),
			result("c2", "denied", tool.Output{IsError: true, Image: &llm.Image{MediaType: "text/html", Data: []byte("<script>")}}),
			session.Event{Prompt: &session.Prompt{Text: "only the first hundred " + nasty, Steer: true, Context: "$ wc -l\n" + nasty + " hunter2"}},
			session.Event{Notice: &session.Notice{Kind: "x", Text: "a _notice_ " + nasty}},
			reply(llm.Part{Text: "There are **42** rows.\n\n| a | b |\n|---|---|\n| 1 | <b>2</b> |\n\n[good](https://x.example/?a=1&b=2) [bad](javascript:alert(1)) [near](./a.csv) ![far](https://x.example/p.png) <script>alert(1)</script>\n\n```python\nprint('<hi>')\n```\n"}),
			session.Event{Failed: &session.Failed{Reason: "error", Text: nasty}},
		),
		Children: []*session.Session{opened(t, "s1-sub", prompt("read the papers"), reply(llm.Part{Text: "Three."}))},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, format := range export.Formats() {
		var out bytes.Buffer
		if err := export.Write(&out, format, source(t)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "session."+format)
		if *update {
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s differs; look at it with -update\n%s", file, out.Bytes())
		}
	}
}

// A page runs nothing, loads nothing, and holds no secret.
func TestPageIsHarmless(t *testing.T) {
	t.Parallel()
	checkPage(t, source(t))
}

func checkPage(t *testing.T, src export.Source) {
	t.Helper()
	var out bytes.Buffer
	if err := export.Write(&out, export.HTML, src); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("the page holds the secret")
	}
	doc, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "iframe", "object", "embed", "form", "input", "button", "link", "base", "svg", "style":
			if n.Data == "style" && n.Parent.Data == "head" || n.Data == "input" {
				continue // a box of a list of tasks
			}
			t.Errorf("the page has <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s> runs something", n.Data, a.Key)
			case a.Key == "src" && !strings.HasPrefix(a.Val, "data:image/png;base64,"):
				t.Errorf("<%s src=%q> loads something", n.Data, a.Val)
			case a.Key == "href" && !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "http://") && !strings.HasPrefix(a.Val, "#"):
				t.Errorf("a link leads to %q", a.Val)
			}
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add(nasty)
	f.Add("[x](javascript:alert(1)) ![y](http://z) <img src=x onerror=alert(1)>")
	f.Fuzz(func(t *testing.T, text string) {
		src := source(t)
		src.Session = opened(t, "s", session.Event{Prompt: &session.Prompt{Text: text}}, reply(llm.Part{Text: text}, llm.Part{Call: &llm.ToolCall{ID: text, Name: text, Args: text}}))
		src.Title = text
		checkPage(t, src)
	})
}

// The events stay events, without secrets; data that is no text stays as it is.
func TestEvents(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	src := source(t)
	if err := export.Write(&out, export.JSONL, src); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(out.String()) {
		var ev session.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		if n++; ev.Seq != int64(n) {
			t.Errorf("event %d is at %d", ev.Seq, n)
		}
	}
	if n != len(src.Session.Events()) {
		t.Errorf("%d lines for %d events", n, len(src.Session.Events()))
	}
	if strings.Count(out.String(), "hunter2") != 1 { // in the proof
		t.Error("the events hold the secret")
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	if err := export.Write(&bytes.Buffer{}, "pdf", source(t)); err == nil || !strings.Contains(err.Error(), "md, html, jsonl") {
		t.Errorf("got %v", err)
	}
}
