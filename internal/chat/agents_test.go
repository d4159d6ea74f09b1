package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// reads names what a sub-agent's session has, read to its end.
func (g *guest) reads(id string) string {
	g.t.Helper()
	var all []string
	for after := int64(0); ; {
		events, err := g.SubAgent(id, after)
		if err != nil {
			g.t.Fatal(err)
		}
		if len(events) == 0 {
			return strings.Join(all, " ")
		}
		for _, ev := range events {
			if w := word(ev); w != "" {
				all = append(all, w)
			}
			if ev.Seq != after+1 {
				g.t.Errorf("event %d comes after %d", ev.Seq, after)
			}
			after = ev.Seq
		}
	}
}

// What a sub-agent does is read from its session, while it works and afterwards,
// also by another process, and from a copy of the session.
func TestSubAgents(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	call := func(name, args string) llmtest.Turn {
		return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: name, Args: args}}}
	}
	r := newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		switch n {
		case 0:
			return call("research", `{"task":"what does notes.txt say?"}`), true
		case 1:
			return call("read", `{"path":"notes.txt"}`), true
		case 2:
			<-goOn
			return call("report", `{"answer":"Three.","findings":[{"claim":"three epochs","source":"notes.txt","quote":"3 epochs"}]}`), true
		}
		return llmtest.Turn{Text: fmt.Sprint("answer ", n)}, true
	})
	r.write("notes.txt", "It trains for 3 epochs.")
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	g.Say("find out")
	g.asked(r, 3)
	started := ""
	for _, ev := range g.log {
		if ev.Started != nil {
			started = ev.Started.CallID
		}
	}
	if started == "" {
		t.Fatalf("no call has started: %s", g.story())
	}
	id := g.SubAgentID(started)
	if got, want := g.reads(id), "prompt:what does notes.txt say? calls result"; got != want {
		t.Errorf("at work it has %q, want %q", got, want)
	}
	list := g.must("/agents")
	if list.Pick == nil || len(list.Pick.Items) != 1 || list.Pick.Items[0].ID != id || list.Pick.Items[0].Title != "what does notes.txt say?" || !strings.Contains(list.Pick.Items[0].Detail, "at work") {
		t.Errorf("listed as %+v", list.Pick)
	}
	close(goOn)
	g.until("the answer", func(chat.Update) bool { return strings.Contains(g.words(), "answer:answer ") })
	g.phase(chat.Idle)
	whole := g.reads(id)
	if !strings.HasPrefix(whole, "prompt:what does notes.txt say? calls result calls result answer:") {
		t.Errorf("afterwards it has %q", whole)
	}
	if got := g.must("/agents " + id); got.SubAgent != id {
		t.Errorf("/agents ID brought %+v", got)
	}
	for _, bad := range []string{"nobody", g.state.Session} {
		if _, err := g.do("/agents " + bad); err == nil || !strings.Contains(err.Error(), "/agents lists them") {
			t.Errorf("/agents %s: %v", bad, err)
		}
	}
	g.close()
	g = r.enter(chat.Options{Continue: true, Fork: true})
	g.phase(chat.Idle)
	if got := g.reads(id); got != whole {
		t.Errorf("read from the copy it has %q", got)
	}
	if list := g.must("/agents"); list.Pick == nil || list.Pick.Items[0].ID != id || !strings.Contains(list.Pick.Items[0].Detail, "3 model calls") {
		t.Errorf("in the copy listed as %+v", list.Pick)
	}
}

func TestNoSubAgents(t *testing.T) {
	t.Parallel()
	r := newRoom(t, llmtest.Turn{Text: "hello"})
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	g.say("hi")
	if got := g.must("/agents"); got.Pick != nil || !strings.Contains(got.Text, "no sub-agents") {
		t.Errorf("got %+v", got)
	}
	if events, err := g.SubAgent(session.ChildID(g.state.Session, "x"), 0); err != nil || len(events) > 0 {
		t.Errorf("one that has not begun has %v, %v", events, err)
	}
}
