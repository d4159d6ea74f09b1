package agent_test

import (
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

func picturePrompt(n int) session.Prompt {
	name := fmt.Sprintf("plot-%d.png", n)
	return session.Prompt{Text: "look at @" + name, Pictures: []*llm.Image{{Name: name, MediaType: "image/png", Width: 1500, Height: 1000, Data: []byte{byte(n)}}}}
}

func seen(req llm.Request) (n int) {
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			if p.Image != nil {
				n++
			}
		}
	}
	return n
}

// Pictures count in the window, and old ones make room: a line says that they
// were there. No summary is needed for that.
func TestOldPicturesMakeRoom(t *testing.T) {
	t.Parallel()
	most := 0
	model := &llmtest.Script{Window: 32_000, Images: true, Next: func(_ int, req llm.Request) llmtest.Reply {
		most = max(most, seen(req))
		return llmtest.Say("I see")
	}}
	a := newAgent(t, model)
	s := begin(t, openStore(t, t.TempDir()))
	for n := range 60 {
		for _, err := range a.RunPrompt(t.Context(), s, picturePrompt(n)) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if all := kinds(s); most < 8 || most > 18 || !strings.Contains(all, "cleared") || strings.Contains(all, "compact") {
		t.Errorf("%d pictures at most; %s", most, all)
	}
	text := ""
	for _, m := range s.Messages() {
		text += m.Text() + "\n"
	}
	if !strings.Contains(text, "look at @plot-0.png\n[picture plot-0.png, 1500×1000][it was left out to save space]") || strings.Count(text, "[picture plot-") != 60 {
		t.Errorf("what is left: %.3000s", text)
	}
}

// The person is told before each answer of a model that takes no pictures.
func TestBlindModel(t *testing.T) {
	t.Parallel()
	a := newAgent(t, &llmtest.Script{ID: "blind", Next: func(int, llm.Request) llmtest.Reply { return llmtest.Say("words only") }})
	s := begin(t, openStore(t, t.TempDir()))
	for n := range 2 {
		told := 0
		for ev, err := range a.RunPrompt(t.Context(), s, picturePrompt(n)) {
			switch {
			case err != nil:
				t.Fatal(err)
			case ev.Reply != nil && told != 1:
				t.Errorf("told %d times before the answer", told)
			case ev.Notice != nil && strings.Contains(ev.Notice.Text, fmt.Sprintf("blind takes no pictures: it reads the name of plot-%d.png", n)):
				told++
			}
		}
	}
	a.Models = []llm.Model{&llmtest.Script{ID: "sees", Images: true, Replies: []llmtest.Reply{llmtest.Say("a curve")}}}
	for ev, err := range a.RunPrompt(t.Context(), s, session.Prompt{Text: "and you?"}) {
		if err != nil || ev.Notice != nil {
			t.Errorf("told %+v, %v", ev.Notice, err)
		}
	}
	if got := seen(llm.Request{Messages: s.Messages()}); got != 2 {
		t.Errorf("the next model sees %d pictures", got)
	}
}

// Secrets are taken out of the names of pictures.
func TestPictureNamesAreRedacted(t *testing.T) {
	t.Parallel()
	a := newAgent(t, &llmtest.Script{Images: true, Replies: []llmtest.Reply{llmtest.Say("ok"), llmtest.Say("ok")}})
	a.Redact = func(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") }
	s := begin(t, openStore(t, t.TempDir()))
	prompt := session.Prompt{Text: "@hunter2.png", Pictures: []*llm.Image{{Name: "hunter2.png", MediaType: "image/png", Data: []byte("x")}}}
	if err := runPrompt(t, a, s, prompt); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(s.Messages()[len(s.Messages())-2].Text()); strings.Contains(text, "hunter2") || prompt.Pictures[0].Name != "hunter2.png" {
		t.Errorf("got %q, and the caller's is %s", text, prompt.Pictures[0])
	}
}

func runPrompt(t *testing.T, a *agent.Agent, s *session.Session, prompt session.Prompt) (last error) {
	t.Helper()
	for _, err := range a.RunPrompt(t.Context(), s, prompt) {
		if err != nil {
			last = err
		}
	}
	return last
}
