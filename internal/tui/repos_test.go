package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// rested lets all pauses pass.
func (s *stage) rested() {
	all := s.pauses
	s.pauses = nil
	for _, msg := range all {
		s.send(msg)
	}
}

func hubStage(t *testing.T, list ...app.Repository) *stage {
	s := newStage(t, 80, 24)
	s.hub = func(context.Context, string) ([]app.Repository, error) { return list, nil }
	s.send(filesMsg{[]string{"src/", "src/openai.py"}})
	s.m.walked = true
	return s
}

// The Hub is asked once, when the person pauses, and what the session named
// stands before its answer.
func TestHubNames(t *testing.T) {
	t.Parallel()
	s := hubStage(t, app.Repository{Name: "openai/gpt-oss-20b", Kinds: []string{"model"}}, app.Repository{Name: "openai/gpt-oss-120b", Kinds: []string{"model"}},
		app.Repository{Name: "openai/gsm8k", Kinds: []string{"dataset", "space"}}, app.Repository{Name: "openai/g\x1b[2J", Kinds: []string{"model"}})
	s.event(session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Parts: []llm.Part{
		{Call: &llm.ToolCall{ID: "p", Name: "inspect_dataset", Args: `{"dataset":"openai/gsm8k"}`}},
	}}}}})
	s.write("ask @openai/g")
	s.wantSaid()
	s.rested()
	s.wantSaid("hub openai/g")
	s.golden("hub-names-80x24")
	if got := s.m.menu.found[0].ID; got != "@openai/gsm8k" || len(s.m.menu.found) != 3 {
		t.Errorf("first of %d is %s", len(s.m.menu.found), got)
	}
	s.write("p")
	if len(s.m.menu.found) != 2 { // of the shorter beginning
		t.Errorf("offered %v", s.m.menu.found)
	}
	s.press("backspace")
	s.rested()
	s.wantSaid("hub openai/g") // it is known
	s.pass(time.Second)
	s.press("down", "enter")
	if !strings.HasPrefix(s.m.prompt.Text, "ask @openai/gpt-oss-") {
		t.Errorf("took %q", s.m.prompt.Text)
	}
}

// Folders of the workspace, and words that name no owner, are not told to the Hub;
// nor is anything before the files are known.
func TestHubIsNotAsked(t *testing.T) {
	t.Parallel()
	s := hubStage(t)
	for _, word := range []string{"@", "@openai", "@src/op", "@../x", "mail ada@openai/x", "@a/b/c", "/model openai/g"} {
		s.m.prompt.Set("")
		s.write(word)
		s.m.prompt.Set("") // no pause counts that another word followed
		s.write("x")
		s.rested()
	}
	s.wantSaid()
	s = newStage(t, 80, 24)
	s.m.walked = true
	s.write("@openai/g")
	s.rested()
	s.wantSaid()
}

// A folder that .gitignore names is in no list, and is not told to the Hub either.
func TestHubIsNotToldOfIgnoredFolders(t *testing.T) {
	t.Parallel()
	s := hubStage(t)
	s.m.state.Dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(s.m.state.Dir, "client-secret"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("@client-secret/na")
	s.rested()
	s.wantSaid()
	s.m.prompt.Set("")
	s.write("@client/na")
	s.rested()
	s.wantSaid("hub client/na")
}

// What comes late is for the word that is there; a Hub that fails is left alone
// for a while; a question that is not wanted any more is ended.
func TestHubIsLate(t *testing.T) {
	t.Parallel()
	s := hubStage(t)
	var asked context.Context
	s.hub = func(ctx context.Context, _ string) ([]app.Repository, error) {
		asked = ctx
		return nil, errors.New("no network")
	}
	s.write("@lab/x")
	s.rested()
	s.press("backspace")
	s.write("x")
	s.rested()
	if n := len(slices.DeleteFunc(s.said, func(line string) bool { return line != "hub lab/x" })); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	s.pass(askAgain)
	s.press("backspace")
	s.write("x")
	s.rested()
	if n := len(slices.DeleteFunc(slices.Clone(s.said), func(line string) bool { return line != "hub lab/x" })); n != 2 {
		t.Errorf("after a while it was asked %d times", n)
	}
	if asked.Err() == nil {
		t.Error("the question has no end")
	}

	s = hubStage(t)
	s.write("@lab/y")
	ask := s.m.hub.ask(s.m, "lab/y") // the Hub hangs
	s.write(" and more")
	if msg := ask(); s.m.hub.take(s.clock, msg.(hubNamesMsg)) || s.m.menu.open() {
		t.Error("an answer counts that nobody waits for")
	}
}

// Enter just after the list opened by itself sends what was typed.
func TestHubDecidesNothing(t *testing.T) {
	t.Parallel()
	s := hubStage(t, app.Repository{Name: "lab/tiny-2", Kinds: []string{"model"}})
	s.write("look at @lab/tiny")
	s.rested()
	s.press("enter")
	s.wantSaid("hub lab/tiny", "say look at @lab/tiny")
}

// However many names there are and however much is asked, what is kept is bounded.
func TestHubNamesAreBounded(t *testing.T) {
	t.Parallel()
	var list []app.Repository
	for i := range 1000 {
		list = append(list, app.Repository{Name: fmt.Sprintf("lab/m%d", i), Kinds: []string{"model"}})
	}
	s := hubStage(t, list...)
	for i := range 3 * mostAnswers {
		s.m.prompt.Set("")
		s.write(fmt.Sprintf("@lab/m%d", i))
		s.rested()
	}
	if h := &s.m.hub; len(h.answers) != mostAnswers || len(h.order) != mostAnswers || len(s.m.menu.found) > 200 {
		t.Errorf("%d answers, %d names", len(h.answers), len(s.m.menu.found))
	}
}
