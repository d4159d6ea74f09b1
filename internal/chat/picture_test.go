//go:build unix

package chat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
)

// seeing makes the room's model one that takes pictures, and puts some there.
func (r *room) seeing() {
	r.t.Helper()
	config := filepath.Join(r.home, "config", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("models:\n  openai/test: {images: true}\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.write("plot.png", string(llmtest.PNG(640, 480)))
	r.write("torn.png", string(llmtest.PNG(640, 480)[:60]))
}

// copying puts a program on the PATH that has a picture in the clipboard.
func copying(t *testing.T, data []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "copied"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in --list-types) echo image/png;; *) exec /bin/cat '%s/copied';; esac\n", dir)
	if err := os.WriteFile(filepath.Join(dir, "wl-paste"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func sizes(n int, r *room) int { return strings.Count(r.told(n), "data:image/png;base64,") }

// A prompt brings the pictures that it names, as they are when it is said, also
// if it waits; what cannot be had is said, and the prompt goes without it.
func TestPictures(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	r := newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		if n == 0 {
			<-ended
		}
		return llmtest.Turn{Text: fmt.Sprint("answer ", n)}, true
	})
	r.seeing()
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	g.Say("look at @plot.png and @torn.png")
	g.asked(r, 1)
	g.Say("again @plot.png")
	if err := os.Remove(filepath.Join(r.dir, "plot.png")); err != nil {
		t.Fatal(err)
	}
	g.Steer("and this @plot.png") // it is gone
	close(ended)
	said := []string{"not sent as a picture: torn.png: read the picture: ", "not sent as a picture: plot.png: there is no such file"}
	g.until("the last answer", func(chat.Update) bool {
		story := g.story()
		return strings.Contains(g.words(), "prompt:again @plot.png answer:") && strings.Contains(story, said[0]) && strings.Contains(story, said[1])
	})
	n := len(r.server.Seen())
	if sizes(0, r) != 1 || sizes(n-1, r) != 2 {
		t.Errorf("%d and %d pictures; %s", sizes(0, r), sizes(n-1, r), g.story())
	}
}

// The picture in the clipboard goes into the prompt that names it, and into that
// only; taken back with the conversation, it is still there.
func TestCopied(t *testing.T) {
	copying(t, llmtest.PNG(320, 200))
	r := newRoom(t, llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"}, llmtest.Turn{Text: "three"}, llmtest.Turn{Text: "four"})
	r.seeing()
	g, err := r.tryEnter(r.config("WAYLAND_DISPLAY=wayland-0"), chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.phase(chat.Idle)
	mention, err := g.Copied()
	if err != nil || mention != "@clipboard-1.png" {
		t.Fatalf("got %q, %v", mention, err)
	}
	if got := g.must("/paste"); got.Insert != "@clipboard-2.png " || !strings.Contains(got.Text, "picture clipboard-2.png 320×200, ") {
		t.Errorf("/paste brought %+v", got)
	}
	g.say("nothing of it")
	g.say("what is " + mention + "?")
	if sizes(0, r) != 0 || sizes(1, r) != 1 || !strings.Contains(r.told(1), "[picture clipboard-1.png, 320×200]") {
		t.Errorf("%d and %d pictures", sizes(0, r), sizes(1, r))
	}
	at := int64(0)
	for _, ev := range g.log {
		if ev.Prompt != nil && len(ev.Prompt.Pictures) > 0 {
			at = ev.Seq - 1
		}
	}
	g.close()
	// Another process goes on: the picture is in the log alone.
	g, err = r.tryEnter(r.config(), chat.Options{Continue: true})
	if err != nil {
		t.Fatal(err)
	}
	g.phase(chat.Idle)
	got := g.must(fmt.Sprintf("/rewind %d conversation", at))
	g.say(got.Fill)
	if sizes(2, r) != 1 {
		t.Errorf("%d pictures after going back", sizes(2, r))
	}
}

// A name is one picture of a session, also when another process goes on and
// copies; and what is taken back is the picture of that session.
func TestCopiesOfOneName(t *testing.T) {
	copying(t, llmtest.PNG(320, 200))
	r := newRoom(t, llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"}, llmtest.Turn{Text: "three"})
	r.seeing()
	enter := func(opts chat.Options) *guest {
		t.Helper()
		g, err := r.tryEnter(r.config("WAYLAND_DISPLAY=wayland-0"), opts)
		if err != nil {
			t.Fatal(err)
		}
		g.phase(chat.Idle)
		return g
	}
	copied := func(g *guest, want string) {
		t.Helper()
		if got, err := g.Copied(); err != nil || got != want {
			t.Fatalf("got %q, %v; want %s", got, err, want)
		}
	}
	g := enter(chat.Options{})
	copied(g, "@clipboard-1.png")
	g.say("what is @clipboard-1.png?")
	at := int64(0)
	for _, ev := range g.log {
		if ev.Prompt != nil {
			at = ev.Seq - 1
		}
	}
	first := g.state.Session
	g.close()
	copying(t, llmtest.PNG(50, 40))
	g = enter(chat.Options{Continue: true})
	copied(g, "@clipboard-2.png")
	g.close()

	g = enter(chat.Options{}) // another session has a first copy of its own
	copied(g, "@clipboard-1.png")
	g.say("and @clipboard-1.png?")
	g.must("/resume " + first)
	got := g.must(fmt.Sprintf("/rewind %d conversation", at))
	g.say(got.Fill)
	if told := r.told(2); !strings.Contains(told, "[picture clipboard-1.png, 320×200]") || strings.Contains(told, "50×40") {
		t.Errorf("told %s", told[:min(len(told), 300)])
	}
}

// Without a way to a clipboard it is said what to do.
func TestNothingCopied(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	if _, err := g.do("/paste"); err == nil || !strings.Contains(err.Error(), "save the picture and write @") {
		t.Errorf("got %v", err)
	}
}
