// Package sessiontest is the suite that every session.Store passes. It knows
// a store only by its interface.
package sessiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// Run tests the stores that open returns, each of them empty and new.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for name, test := range map[string]func(*testing.T, session.Store){
		"Order":             order,
		"AllOrNone":         allOrNone,
		"Conflict":          conflict,
		"ManySessions":      manySessions,
		"OneSessionManyPut": race,
		"AppendWhileLoad":   appendWhileLoad,
		"List":              list,
		"States":            states,
		"Delete":            remove,
		"Lease":             lease,
		"RoundTrip":         roundTrip,
		"Pictures":          pictures,
		"Canceled":          canceled,
		"StrangeIDs":        strangeIDs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)

// note is an event of little meaning, one second after the one before it.
func note(seq int64) session.Event {
	return session.Event{Seq: seq, Time: epoch.Add(time.Duration(seq) * time.Second), Note: &session.Note{Guard: "test", Text: fmt.Sprint("note ", seq)}}
}

func begin(id, prompt string) []session.Event {
	return []session.Event{
		{Seq: 1, Time: epoch, Opened: &session.Opened{ID: id, Dir: "/home/me/" + id, Model: "test/m", Hub: "local", Version: "1"}},
		{Seq: 2, Time: epoch.Add(time.Second), Prompt: &session.Prompt{Text: prompt}},
	}
}

func put(t *testing.T, s session.Store, id string, events ...session.Event) {
	t.Helper()
	if err := s.Append(t.Context(), id, events...); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s session.Store, id string, after int64) []session.Event {
	t.Helper()
	var all []session.Event
	for ev, err := range s.Load(t.Context(), id, after) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

// wantSeqs fails unless the session holds the events from..to.
func wantSeqs(t *testing.T, s session.Store, id string, from, to int64) {
	t.Helper()
	var got []int64
	for _, ev := range load(t, s, id, from-1) {
		got = append(got, ev.Seq)
	}
	var want []int64
	for seq := from; seq <= to; seq++ {
		want = append(want, seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("session %s after %d holds %v, want %v", id, from-1, got, want)
	}
}

func order(t *testing.T, s session.Store) {
	wantSeqs(t, s, "nobody", 1, 0)
	put(t, s, "a")
	wantSeqs(t, s, "a", 1, 0)
	for seq := int64(1); seq <= 1200; {
		events := []session.Event{note(seq)}
		for seq++; seq%100 != 1; seq++ {
			events = append(events, note(seq))
		}
		put(t, s, "a", events...)
	}
	put(t, s, "ab", note(1)) // an id that begins like another
	wantSeqs(t, s, "a", 1, 1200)
	wantSeqs(t, s, "a", 1100, 1200)
	wantSeqs(t, s, "a", 1201, 1200)
	wantSeqs(t, s, "a", 5000, 0)
	wantSeqs(t, s, "ab", 1, 1)
	n := 0
	for range s.Load(t.Context(), "a", 0) {
		if n++; n == 3 {
			break // a caller that stops early harms nobody
		}
	}
	put(t, s, "a", note(1201))
}

func wantConflict(t *testing.T, s session.Store, id string, events ...session.Event) {
	t.Helper()
	if err := s.Append(t.Context(), id, events...); !errors.Is(err, session.ErrConflict) {
		t.Errorf("append of %d gave %v, want ErrConflict", events[0].Seq, err)
	}
}

func allOrNone(t *testing.T, s session.Store) {
	put(t, s, "a", note(1), note(2), note(3))
	wantConflict(t, s, "a", note(4), note(5), note(2))
	wantConflict(t, s, "a", note(4), note(4))
	wantSeqs(t, s, "a", 1, 3)
	if l, err := s.List(t.Context()); err != nil || len(l) != 1 || l[0].Events != 3 {
		t.Errorf("list %+v, %v", l, err)
	}
	put(t, s, "a", note(4))
	wantSeqs(t, s, "a", 1, 4)
}

func conflict(t *testing.T, s session.Store) {
	put(t, s, "a", note(1), note(2))
	wantConflict(t, s, "a", note(2))
	wantConflict(t, s, "a", note(1))
	wantConflict(t, s, "new", note(2)) // a log has no holes
	wantConflict(t, s, "new", note(0))
	wantSeqs(t, s, "a", 1, 2)
	wantSeqs(t, s, "new", 1, 0)
	if l, err := s.List(t.Context()); err != nil || len(l) != 1 {
		t.Errorf("a refused event made a session: %+v, %v", l, err)
	}
}

func manySessions(t *testing.T, s session.Store) {
	const writers, events = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for seq := range int64(events) {
				if err := s.Append(t.Context(), fmt.Sprint("s", w), note(seq+1)); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		wantSeqs(t, s, fmt.Sprint("s", w), 1, events)
	}
}

// race lets several writers fight for every number: each goes to one of them,
// and who is told that it was saved finds it.
func race(t *testing.T, s session.Store) {
	const writers, events = 8, 20
	var mu sync.Mutex
	won := map[int64]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for seq := int64(1); seq <= events; seq++ {
				ev := note(seq)
				ev.Note.Text = fmt.Sprintf("writer %d, event %d", w, seq)
				err := s.Append(t.Context(), "a", ev)
				switch {
				case err == nil:
					mu.Lock()
					if other, taken := won[seq]; taken {
						t.Errorf("event %d was saved for %q and %q", seq, other, ev.Note.Text)
					}
					won[seq] = ev.Note.Text
					mu.Unlock()
				case !errors.Is(err, session.ErrConflict):
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	wantSeqs(t, s, "a", 1, events)
	for _, ev := range load(t, s, "a", 0) {
		if won[ev.Seq] != ev.Note.Text {
			t.Errorf("event %d is %q, but %q was told that it is saved", ev.Seq, ev.Note.Text, won[ev.Seq])
		}
	}
}

// appendWhileLoad writes from within the loop over the log: the loop sees what
// was there when it began, and perhaps more.
func appendWhileLoad(t *testing.T, s session.Store) {
	var events []session.Event
	for seq := range int64(1000) {
		events = append(events, note(seq+1))
	}
	put(t, s, "a", events...)
	next := int64(1001)
	var last int64
	for ev, err := range s.Load(t.Context(), "a", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Seq != last+1 {
			t.Fatalf("event %d came after %d", ev.Seq, last)
		}
		last = ev.Seq
		if ev.Seq%100 == 0 && ev.Seq <= 1000 {
			put(t, s, "a", note(next))
			put(t, s, "b", note(next-1000))
			next++
		}
	}
	if last < 1000 {
		t.Errorf("the loop ended at %d", last)
	}
	wantSeqs(t, s, "a", 1, 1010)
	wantSeqs(t, s, "b", 1, 10)
}

func list(t *testing.T, s session.Store) {
	if l, err := s.List(t.Context()); err != nil || len(l) != 0 {
		t.Errorf("an empty store lists %+v, %v", l, err)
	}
	for i, id := range []string{"one", "two", "three"} {
		events := begin(id, "prompt of "+id+"\nand more")
		for j := range events {
			events[j].Time = events[j].Time.Add(time.Duration(i) * time.Hour)
		}
		put(t, s, id, events...)
	}
	late := note(3)
	late.Time = epoch.Add(24 * time.Hour)
	put(t, s, "one", late)
	l, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, sum := range l {
		ids = append(ids, sum.ID)
	}
	if !slices.Equal(ids, []string{"one", "three", "two"}) {
		t.Fatalf("list %v, want the latest first", ids)
	}
	want := session.Summary{ID: "one", Dir: "/home/me/one", Title: "prompt of one", Model: "test/m", Created: epoch, Updated: late.Time, State: "unfinished", Events: 3}
	if l[0] != want {
		t.Errorf("summary\n%+v, want\n%+v", l[0], want)
	}
}

func states(t *testing.T, s session.Store) {
	at := func(seq int64, ev session.Event) session.Event {
		ev.Seq, ev.Time = seq, epoch.Add(time.Duration(seq)*time.Minute)
		return ev
	}
	answer := session.Event{Reply: reply(llm.EndStop, llm.Part{Text: "hi"})}
	calls := session.Event{Reply: reply(llm.EndCalls, llm.Part{Call: &llm.ToolCall{ID: "1", Name: "f", Args: "{}"}})}
	put(t, s, "a", begin("a", "go")...)
	for i, tt := range []struct {
		ev    session.Event
		state string
		steps int
	}{
		{calls, "unfinished", 1},
		{session.Event{Failed: &session.Failed{Reason: "model", Text: "gone"}}, "failed: model", 1},
		{answer, "answered", 2},
		{session.Event{Prompt: &session.Prompt{Text: "more"}}, "unfinished", 2},
	} {
		put(t, s, "a", at(int64(i)+3, tt.ev))
		l, err := s.List(t.Context())
		if err != nil || len(l) != 1 || l[0].State != tt.state || l[0].Steps != tt.steps || l[0].Title != "go" {
			t.Errorf("after event %d: %+v, %v; want %q and %d steps", i+3, l, err, tt.state, tt.steps)
		}
	}
}

func remove(t *testing.T, s session.Store) {
	put(t, s, "a", begin("a", "go")...)
	put(t, s, "b", begin("b", "stay")...)
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	wantSeqs(t, s, "a", 1, 0)
	wantSeqs(t, s, "b", 1, 2)
	if l, err := s.List(t.Context()); err != nil || len(l) != 1 || l[0].ID != "b" {
		t.Errorf("list %+v, %v", l, err)
	}
	for _, id := range []string{"a", "never"} {
		if err := s.Delete(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("delete of %s gave %v, want ErrNotFound", id, err)
		}
	}
	put(t, s, "a", note(1)) // the name is free again
	wantSeqs(t, s, "a", 1, 1)
}

func lease(t *testing.T, s session.Store) {
	take := func(id string) func() error {
		t.Helper()
		release, err := s.Lease(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	busy := func(id string) {
		t.Helper()
		if _, err := s.Lease(t.Context(), id); !errors.Is(err, session.ErrBusy) {
			t.Errorf("a second lease gave %v, want ErrBusy", err)
		}
	}
	first := take("a")
	other := take("b")
	busy("a")
	busy("a") // being refused frees nothing
	if err := first(); err != nil {
		t.Fatal(err)
	}
	second := take("a")
	if err := first(); err != nil { // again: must not free the second lease
		t.Errorf("releasing twice: %v", err)
	}
	busy("a")
	busy("b")
	if err := errors.Join(second(), other()); err != nil {
		t.Error(err)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	var won []func() error
	for range 16 {
		wg.Go(func() {
			release, err := s.Lease(t.Context(), "c")
			if err != nil && !errors.Is(err, session.ErrBusy) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, release)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 16 got the lease", len(won))
	}
	if err := won[0](); err != nil {
		t.Error(err)
	}
}

// reply is a reply of these parts.
func reply(reason string, parts ...llm.Part) *session.Reply {
	return &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}, End: llm.End{Reason: reason}}}
}

// everyKind is one event of each saved kind, with texts that stores trip over.
func everyKind() []session.Event {
	odd := "a\x00b \u2028 \U0001F9EA e\u0301 \ufeff \"quoted\" 'it''s' <tag> & \\u0041 \r\n\t\x7f \u202e ?1 :x"
	events := []session.Event{
		{Opened: &session.Opened{ID: "a", Dir: "/w " + odd, Model: odd, Hub: "local", Version: "1"}},
		{Prompt: &session.Prompt{Text: odd}},
		{Note: &session.Note{Guard: "g", Text: odd}},
		{Notice: &session.Notice{Kind: "k", Text: odd}},
		{Reserved: &session.Reserved{For: session.ForStep, Model: odd, Worst: ledger.Amount{USD: 1e-9, Tokens: 3}}},
		{Settled: &session.Settled{For: session.ForSummary, Model: odd, Usage: llm.Usage{Output: 1}, Cost: ledger.Amount{USD: 1e9}}},
		{Switched: &session.Switched{From: odd, To: "b", Reason: odd}},
		{Reply: &session.Reply{Reply: llm.Reply{
			Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{
				{Reasoning: odd, Proof: &llm.Proof{Kind: "k", Data: odd}},
				{Text: odd},
				{Call: &llm.ToolCall{ID: odd, Name: "f", Args: "{not json " + odd}},
				{Image: &llm.Image{MediaType: "image/png", Data: []byte("\x89PNG\x00\xff")}},
			}},
			End: llm.End{Reason: llm.EndCalls, Dropped: []string{odd}, Usage: llm.Usage{Input: 1 << 40, Output: 2, CacheRead: 3, CacheWrite: 4, Estimated: true}},
		}, Model: odd, Cost: ledger.Amount{USD: 0.5}}},
		{Reply: reply(llm.EndStop)},
		{Asked: &session.Asked{CallIDs: []string{odd, ""}, Reason: odd}},
		{Waiting: &session.Waiting{CallID: odd, Waiting: tool.Waiting{Jobs: []string{odd}, Until: time.Unix(1e9, 5).UTC()}}},
		{Decided: &session.Decided{CallID: "1", Verdict: "deny", By: "person", Reason: odd}},
		{Started: &session.Started{CallID: "1", Again: true}},
		{Result: &session.Result{CallID: "1", Output: tool.Output{
			Text: odd, IsError: true, Summary: odd,
			Artifacts: []tool.Artifact{{Kind: "model", URL: odd, Path: odd, SHA256: "x"}},
			Plan:      []tool.PlanItem{{Text: odd, Status: "doing"}},
			Facts:     []tool.Fact{{Kind: odd, Name: odd, Text: odd}},
			CostUSD:   1e-9,
		}, Full: odd, Seconds: 0.1}},
		{Result: &session.Result{CallID: "2", Output: tool.Output{Text: strings.Repeat("5 MB of text… ", 5<<20/16)}}},
		{Checkpointed: &session.Checkpointed{
			When: session.AfterTurn, ID: odd, Target: odd, Files: 1, Bytes: 1 << 40, Large: 2, Unheld: 3, LeftOut: map[string]int{odd: 4}, Seconds: 0.1,
		}},
		{Cleared: &session.Cleared{Results: []session.ClearedResult{{CallID: odd, Text: odd}}}},
		{Compact: &session.Compact{
			State: odd, Summary: odd, Decisions: []string{odd}, Questions: []string{odd}, Keep: 7, Longest: 8, Refused: 9,
			Model: odd, Usage: llm.Usage{Input: 1}, Cost: ledger.Amount{Tokens: 1},
		}},
		{Failed: &session.Failed{Reason: "cost", Text: odd}},
	}
	for i := range events {
		events[i].Seq, events[i].Time = int64(i)+1, epoch.Add(time.Duration(i))
	}
	return events
}

func roundTrip(t *testing.T, s session.Store) {
	events := everyKind()
	put(t, s, "a", events[:4]...)
	for _, ev := range events[4:] {
		put(t, s, "a", ev)
	}
	got := load(t, s, "a", 0)
	if len(got) != len(events) {
		t.Fatalf("%d events came back of %d", len(got), len(events))
	}
	for i := range events {
		if want := encode(t, events[i]); encode(t, got[i]) != want {
			t.Errorf("event %d came back as\n%.300s, want\n%.300s", i+1, encode(t, got[i]), want)
		}
	}
}

func encode(t *testing.T, ev session.Event) string {
	t.Helper()
	text, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func canceled(t *testing.T, s session.Store) {
	put(t, s, "a", note(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCanceled := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s gave %v, want context.Canceled", what, err)
		}
	}
	wantCanceled("append", s.Append(ctx, "a", note(2)))
	wantCanceled("delete", s.Delete(ctx, "a"))
	_, err := s.List(ctx)
	wantCanceled("list", err)
	_, err = s.Lease(ctx, "a")
	wantCanceled("lease", err)
	err = nil
	for _, e := range s.Load(ctx, "a", 0) {
		err = e
	}
	wantCanceled("load", err)
	wantSeqs(t, s, "a", 1, 1)
	put(t, s, "a", note(2)) // the store works on
}

func strangeIDs(t *testing.T, s session.Store) {
	for _, id := range []string{"", ".", "..", "../up", "a/b", `a\b`, "/abs", "a\x00b", "-flag", "a b", "ü", "a.lock", strings.Repeat("x", 300)} {
		if err := s.Append(t.Context(), id, note(1)); err == nil {
			t.Errorf("%q was taken for an id", id)
		}
		if release, err := s.Lease(t.Context(), id); err == nil {
			t.Errorf("%q was leased", id)
			_ = release()
		}
	}
	for _, id := range []string{"a", "A-1_b", "20260102-030405-abcdef", "0"} {
		put(t, s, id, note(1))
	}
}
