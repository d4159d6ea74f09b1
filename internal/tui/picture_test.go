package tui

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// copying is a stage with something in the clipboard.
type copying struct {
	*stage
	err error
}

func (c *copying) Copied() (string, error) { return "@clipboard-1.png", c.err }

// What is pasted of a picture becomes a mention of it, if it can be one, and is
// never sent by itself.
func TestPastedPictures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a plot.png"), llmtest.PNG(4, 3), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, 80, 24)
	s.m.state.Dir = dir
	s.write("why does ")
	s.send(tea.PasteMsg{Content: "'" + filepath.Join(dir, "a plot.png") + "' "})
	s.write("go up?")
	if want := `why does @"a plot.png" go up?`; s.m.prompt.Text != want {
		t.Errorf("the prompt is %q, want %q", s.m.prompt.Text, want)
	}
	s.send(tea.PasteMsg{Content: string(llmtest.PNG(4, 3))})
	s.send(tea.PasteMsg{Content: "\uFFFDPNG\r\n\x1a\n"})
	if !strings.HasSuffix(s.m.prompt.Text, "go up?") || !strings.Contains(s.screen(), "the data of a file and no text") {
		t.Errorf("the prompt is %q\n%s", s.m.prompt.Text, s.screen())
	}
	s.send(tea.PasteMsg{Content: filepath.Join(dir, "none.png")})
	if !strings.HasSuffix(s.m.prompt.Text, "go up?"+filepath.Join(dir, "none.png")) || len(s.said) > 0 {
		t.Errorf("the prompt is %q, said %q", s.m.prompt.Text, s.said)
	}
}

// Ctrl+V, and a paste of nothing, which some terminals make of a picture, bring
// the picture in the clipboard; /paste too.
func TestCopiedPicture(t *testing.T) {
	t.Parallel()
	c := &copying{stage: newStage(t, 80, 24)}
	c.m.talk = c
	c.write("see ")
	c.press("ctrl+v")
	c.send(tea.PasteMsg{})
	if want := "see @clipboard-1.png @clipboard-1.png "; c.m.prompt.Text != want {
		t.Errorf("the prompt is %q, want %q", c.m.prompt.Text, want)
	}
	c.err = errors.New("no program reads the clipboard: install xclip")
	c.press("ctrl+v")
	if !strings.Contains(c.screen(), "install xclip") {
		t.Errorf("said\n%s", c.screen())
	}
	c.m.prompt.Set("")
	c.brought = chat.Result{Text: "`@clipboard-2.png` is the picture", Insert: "@clipboard-2.png "}
	c.write("/paste")
	c.press("enter")
	if c.m.prompt.Text != "@clipboard-2.png " {
		t.Errorf("the prompt is %q", c.m.prompt.Text)
	}
}

func TestPictureScreen(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		name          string
		width, height int
	}{{"picture-80x24", 80, 24}, {"picture-40x12", 40, 12}} {
		s := newStage(t, size.width, size.height)
		s.event(
			session.Event{Prompt: &session.Prompt{Text: `why does @"runs/second try/loss.png" go up, and not @old.jpg?`, Pictures: []*llm.Image{
				{Name: "runs/second try/loss.png", MediaType: "image/png", Width: 1568, Height: 1045, Bytes: 34_200},
				{Name: "old\x1b[2J.jpg", MediaType: "image/jpeg", Width: 640, Height: 480, Bytes: 1_048_000},
			}}},
			session.Event{Notice: &session.Notice{Kind: "pictures", Text: "ollama/qwen takes no pictures: it reads the name of runs/second try/loss.png, old.jpg and sees nothing of it"}},
			session.Event{Cleared: &session.Cleared{Pictures: 3}},
		)
		s.golden(size.name)
	}
}

// A picture that is put behind a word is no part of it, which would be no mention.
func TestPictureBehindAWord(t *testing.T) {
	t.Parallel()
	c := &copying{stage: newStage(t, 80, 24)}
	c.m.talk = c
	c.write("what is this:")
	c.press("ctrl+v")
	c.write("and")
	c.press("ctrl+j", "ctrl+v")
	if want := "what is this: @clipboard-1.png and\n@clipboard-1.png "; c.m.prompt.Text != want {
		t.Errorf("the prompt is %q, want %q", c.m.prompt.Text, want)
	}
}

// A name with blanks is completed so that it is found.
func TestCompleteNamesWithBlanks(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.m.walked = true
	s.send(filesMsg{[]string{"my runs/", "my runs/a plot.png", "b.png"}})
	s.write("why @plot")
	s.press("tab")
	if want := `why @"my runs/a plot.png" `; s.m.prompt.Text != want {
		t.Errorf("the prompt is %q, want %q", s.m.prompt.Text, want)
	}
}
