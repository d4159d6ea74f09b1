package web

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/chat"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

func newRoom(log func(string)) *room {
	return &room{id: "x", log: log, readers: make(map[*reader]bool), begun: make(chan struct{})}
}

// A reader that does not read loses its queue, by number and by size; nobody waits
// for it, and the others have all.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 1 << 20} {
		r := newRoom(func(string) {})
		slow, _ := r.join()
		quick, _ := r.join()
		had := 0
		for range 2000 {
			r.tell(thing{kind: "notice", data: make([]byte, size)})
			all, ok := r.take(quick)
			if !ok {
				t.Fatal("the quick one lost something")
			}
			had += len(all)
		}
		if all, ok := r.take(slow); ok || len(all) > 0 || had != 2000 {
			t.Errorf("the slow one has %d (%v), the quick one %d", len(all), ok, had)
		}
	}
}

// An update that cannot be shown is one that is not shown: the next is.
func TestPanic(t *testing.T) {
	t.Parallel()
	var said []string
	r := newRoom(func(line string) { said = append(said, line) })
	rd, _ := r.join()
	broken := session.Event{Seq: 1, Settled: &session.Settled{Cost: ledger.Amount{USD: math.NaN()}}} // which JSON has no number for
	r.show(chat.Update{Event: &broken})
	r.show(chat.Update{State: &chat.State{Phase: chat.Working, Spent: ledger.Amount{USD: math.Inf(1)}}})
	r.show(chat.Update{Event: &session.Event{Seq: 2, Renamed: &session.Renamed{Title: "x"}}})
	all, ok := r.take(rd)
	if len(said) != 2 || !strings.Contains(said[0], "could not be shown") || !ok || len(all) != 1 || all[0].seq != 2 {
		t.Errorf("%q %v %v", said, all, ok)
	}
}

// Pieces of a reply that follow closely are told as one, the first at once, and
// never past something else.
func TestJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(func(string) {})
		rd, _ := r.join()
		time.Sleep(time.Second)
		chunk := func(c llm.Chunk) { r.show(chat.Update{Event: &session.Event{Chunk: &c}}) }
		chunk(llm.Chunk{Text: "a"}) // at once
		chunk(llm.Chunk{Text: "b"})
		chunk(llm.Chunk{Text: "c"})
		chunk(llm.Chunk{Reasoning: "d"})
		chunk(llm.Chunk{Text: "e"})
		r.show(chat.Update{Event: &session.Event{Log: &session.Log{CallID: "x", Line: "f"}}})
		if all, _ := r.take(rd); len(all) != 1 {
			t.Fatalf("%d things are told at once", len(all))
		}
		<-r.texts.due()
		r.flush()
		var told []string
		all, _ := r.take(rd)
		for _, one := range all {
			var ev session.Event
			if err := json.Unmarshal(one.data, &ev); err != nil {
				t.Fatal(err)
			}
			if ev.Log != nil {
				told = append(told, ev.Log.Line)
				continue
			}
			told = append(told, ev.Chunk.Text+ev.Chunk.Reasoning)
		}
		if got := strings.Join(told, " "); got != "bc d e f" {
			t.Error(got)
		}
		if r.sofar != (partial{reasoning: "d", text: "abce"}) {
			t.Errorf("%+v", r.sofar)
		}
		chunk(llm.Chunk{Text: "g"})
		r.show(chat.Update{Event: &session.Event{Seq: 1, Reply: &session.Reply{}}})
		if all, _ := r.take(rd); len(all) != 2 || all[1].seq != 1 || r.sofar != (partial{}) {
			t.Errorf("%v", all)
		}
		for range 1000 {
			r.show(chat.Update{Event: &session.Event{Log: &session.Log{CallID: "x", Line: "f"}}})
		}
		r.flush()
		if all, _ := r.take(rd); len(all) > maxLines+1 {
			t.Errorf("%d lines are told at once", len(all))
		}
	})
}
