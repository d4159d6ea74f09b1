package chat_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
)

// put writes a file below the person's home.
func (r *room) put(text string, path ...string) {
	r.t.Helper()
	name := filepath.Join(append([]string{r.home}, path...)...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// A person lists skills and has one used by its name, with the skill's text for
// the model and their own words as the prompt; no skill takes the name of a
// command.
func TestSkills(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("1"), say("2"), say("3"))
	g := r.enter(chat.Options{})
	if text := g.must("/skills").Text; !strings.Contains(text, "There are no skills") {
		t.Error(text)
	}
	r.put("---\nname: tidy\ndescription: Tidies | things\n---\nPut things away.", "config", "skills", "tidy", "SKILL.md")
	r.put("---\nname: help\ndescription: takes a name\n---\nI am help now.", "config", "skills", "help", "SKILL.md")
	r.put("---\nname: mine\ndescription: takes another\n---\nI am mine now.", "config", "skills", "mine", "SKILL.md")
	r.put("---\nname: alone\ndescription: for people\ndisable-model-invocation: true\n---\nOnly you.", "config", "skills", "alone", "SKILL.md")
	r.put("my own words", "config", "commands", "mine.md")
	r.put("no skill", "config", "skills", "bad", "SKILL.md")
	if text := g.must("/skills").Text; !strings.Contains(text, `| tidy | on | `+filepath.Join(r.home, "config", "skills")+` | Tidies \| things |`) || !strings.Contains(text, "| bad | broken |") {
		t.Error(text)
	}
	var found []string
	for _, c := range g.Commands() {
		if c.Own != "" || c.Name == "/help" {
			found = append(found, c.Name+": "+c.Help)
		}
	}
	if want := []string{"/help: show commands", "/mine: my own words", "/alone: skill: for people", "/help: skill: takes a name", "/tidy: skill: Tidies | things"}; !slices.Equal(found, slices.Delete(want, 3, 4)) {
		t.Errorf("the commands are %q", found)
	}
	g.must("/tidy the desk")
	g.idle("answer:1")
	if told := r.told(0); !strings.Contains(told, "Use the skill tidy: the desk") || !strings.Contains(told, "Skill tidy, the person's own") || !strings.Contains(told, "Put things away.") || strings.Contains(told, "Only you") {
		t.Error(told)
	}
	if words := g.words(); !strings.Contains(words, "prompt:Use the skill tidy: the desk answer:1") {
		t.Error(words)
	}
	g.must("/skills help")
	g.idle("answer:2")
	if told := r.told(1); !strings.Contains(told, "Use the skill help.") || !strings.Contains(told, "I am help now.") {
		t.Error(told)
	}
	g.must("/alone")
	g.idle("answer:3")
	if told := r.told(2); !strings.Contains(told, "Only you.") {
		t.Error(told)
	}
	for line, want := range map[string]string{"/skills tidi": "did you mean tidy?", "/skills bad": "is not offered", "/tidi": "did you mean /tidy?"} {
		if _, err := g.do(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := g.do("/skills nothing-like-it"); !errors.Is(err, app.ErrUsage) {
		t.Error(err)
	}
}
