package sqlite_test

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
)

// A talk is a session with one prompt and its answer.
type talk struct {
	id, parent, dir, model, prompt, answer string
	artifacts                              []tool.Artifact
}

func (k talk) events(at time.Time) []session.Event {
	evs := []session.Event{
		{Opened: &session.Opened{ID: k.id, Parent: k.parent, Dir: k.dir, Model: k.model}},
		{Prompt: &session.Prompt{Text: k.prompt}},
		{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "secret plan"}, {Call: &llm.ToolCall{ID: "c", Name: "bash", Args: "{}"}}}}}}},
		{Result: &session.Result{CallID: "c", Output: tool.Output{Text: "hidden output", Artifacts: k.artifacts}}},
		{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Reasoning: "thoughts"}, {Text: k.answer}}}}}},
	}
	for i := range evs {
		evs[i].Seq, evs[i].Time = int64(i+1), at
	}
	return evs
}

func talks() []talk {
	return []talk{
		{"a1", "", "/w/churn", "anthropic/claude", "predict churn of customers", "AUC is 0.91", []tool.Artifact{{Kind: "model", URL: "https://hub/me/churn-model"}, {Kind: "file", Path: "/w/churn/out.csv"}}},
		{"a2", "", "/w/churn/deep", "openai/gpt", "tune DistilBERT 100%", "Größe is fine, 日本語も", nil},
		{"b1", "", "/w/churning", "OpenAI/GPT", "count_rows of a table", "42 rows", nil},
		{"b1-sub", "b1", "/w/churning", "openai/mini", "read papers about quantization", "found three", nil},
	}
}

func checkFound(t *testing.T, s *sqlite.Store) {
	t.Helper()
	for _, tt := range []struct {
		q    session.Query
		want string
	}{
		{session.Query{}, "b1 a2 a1"},
		{session.Query{Text: "churn"}, "a1"},
		{session.Query{Text: "CHURN customers"}, "a1"},
		{session.Query{Text: "churn rows"}, ""},
		{session.Query{Text: "bert"}, "a2"}, // within a word
		{session.Query{Text: "0.91"}, "a1"},
		{session.Query{Text: "42"}, "b1"}, // shorter than what is in the index
		{session.Query{Text: "100%"}, "a2"},
		{session.Query{Text: "0%"}, "a2"},
		{session.Query{Text: "t_r"}, "b1"}, // a sign of LIKE is only itself
		{session.Query{Text: "本語も"}, "a2"},
		{session.Query{Text: "größe"}, "a2"},
		{session.Query{Text: `"'; DROP`}, ""},
		{session.Query{Text: "hidden"}, ""}, // results and what the model says on the way are not searched
		{session.Query{Text: "plan"}, ""},
		{session.Query{Text: "thoughts"}, ""},
		{session.Query{Text: "quantization"}, "b1"}, // a sub-agent's is its parent's
		{session.Query{Dir: "/w/churn"}, "a2 a1"},
		{session.Query{Dir: "/w/churn/deep"}, "a2"},
		{session.Query{Dir: "/"}, "b1 a2 a1"},
		{session.Query{Model: "gpt"}, "b1 a2"},
		{session.Query{Model: "gpt", Dir: "/w/churn"}, "a2"},
		{session.Query{Artifact: "churn-model"}, "a1"},
		{session.Query{Artifact: "OUT.csv"}, "a1"},
		{session.Query{Artifact: "customers"}, ""},
		{session.Query{Limit: 2}, "b1 a2"},
	} {
		found, err := s.Find(t.Context(), tt.q)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, sum := range found.Sessions {
			ids = append(ids, sum.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%+v found %q, want %q", tt.q, got, tt.want)
		}
		if all := len(ids); tt.q.Limit == 0 && found.All != all || tt.q.Limit == 2 && found.All != 3 {
			t.Errorf("%+v says that there are %d", tt.q, found.All)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path)
	for i, k := range talks() {
		if err := s.Append(t.Context(), k.id, k.events(time.Unix(int64(i), 0))...); err != nil {
			t.Fatal(err)
		}
	}
	checkFound(t, s)
	renamed := session.Event{Seq: 6, Time: time.Unix(1000, 0), Renamed: &session.Renamed{Title: "Loyalty study"}}
	if err := s.Append(t.Context(), "a1", renamed); err != nil {
		t.Fatal(err)
	}
	checkFound(t, s) // a new name does not make it the latest
	found, err := s.Find(t.Context(), session.Query{Text: "loyal"})
	if err != nil || len(found.Sessions) != 1 || found.Sessions[0].Title != "Loyalty study" || found.Sessions[0].State != "answered" {
		t.Errorf("found %+v, %v", found, err)
	}
	if err := s.Delete(t.Context(), "a1"); err != nil {
		t.Fatal(err)
	}
	if found, err = s.Find(t.Context(), session.Query{Text: "customers"}); err != nil || len(found.Sessions) != 0 {
		t.Errorf("what was removed is found: %+v, %v", found, err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var left int
	if err := db.QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM texts WHERE session = 'a1') + (SELECT count(*) FROM words WHERE words MATCH '\"customers\"')").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d texts of what was removed are left, %v", left, err)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "s.db"))
	for i, k := range talks() {
		if err := s.Append(t.Context(), k.id, k.events(time.Unix(int64(i), 0))...); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string]string{"": "b1 a2 a1", "a": "a2 a1", "a1": "a1!", "b1": "b1!", "b1-sub": "b1-sub!", "b1-": "", "x": "", "a_": "", "a%": ""} {
		ids, whole, err := s.IDs(t.Context(), prefix)
		got := strings.Join(ids, " ")
		if whole {
			got += "!"
		}
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", prefix, got, err, want)
		}
	}
}

// A database of the first schema keeps all it has, and is searched like a new one.
func TestOldSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	old := []string{
		`CREATE TABLE events (session TEXT NOT NULL, seq INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (session, seq)) WITHOUT ROWID;
		CREATE TABLE sessions (id TEXT PRIMARY KEY, updated INTEGER NOT NULL, summary TEXT NOT NULL) WITHOUT ROWID;`,
		"PRAGMA user_version = 1",
	}
	quote := func(v any) string {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return "'" + strings.ReplaceAll(string(line), "'", "''") + "'"
	}
	for i, k := range talks() {
		var sum session.Summary
		for _, ev := range k.events(time.Unix(int64(i), 0).UTC()) {
			old = append(old, fmt.Sprintf("INSERT INTO events VALUES ('%s', %d, %s)", k.id, ev.Seq, quote(ev)))
			sum.Add(ev)
		}
		old = append(old, fmt.Sprintf("INSERT INTO sessions VALUES ('%s', %d, %s)", k.id, sum.Updated.UnixNano(), quote(sum)))
	}
	old = append(old, "INSERT INTO events VALUES ('broken', 1, '{\"seq\":1,\"time\":\"x\",\"prompt\":{')") // is not met by those who look elsewhere
	raw(t, path, old...)
	s := open(t, path)
	checkFound(t, s)
	for i, k := range talks() {
		var got []session.Event
		for ev, err := range s.Load(t.Context(), k.id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ev)
		}
		want := k.events(time.Unix(int64(i), 0).UTC())
		if !slices.EqualFunc(got, want, func(a, b session.Event) bool { return quote(a) == quote(b) }) {
			t.Errorf("the log of %s has changed", k.id)
		}
	}
}

// BenchmarkFind looks among 10,000 sessions, each with a prompt and an answer
// of some length. BENCH_STORE names a folder that does not exist, where they are
// kept, to try the whole program on them.
func BenchmarkFind(b *testing.B) {
	s := open(b, filepath.Join(cmp.Or(os.Getenv("BENCH_STORE"), b.TempDir()), "sessions.db"))
	words := strings.Fields("data model train loss curve table column frame batch layer token split score metric class label")
	for i := range 10_000 {
		var text strings.Builder
		for j := range 300 {
			fmt.Fprintf(&text, "%s%d ", words[(i*7+j*13)%len(words)], (i*31+j*17)%997)
		}
		k := talk{id: fmt.Sprintf("s%05d", i), dir: fmt.Sprintf("/home/me/project-%d", i%50), model: []string{"anthropic/claude", "openai/gpt"}[i%2], prompt: "train it, number " + fmt.Sprint(i), answer: text.String()}
		if i%20 == 0 {
			k.artifacts = []tool.Artifact{{Kind: "model", URL: fmt.Sprintf("https://hub/me/model-%d", i)}}
		}
		if err := s.Append(b.Context(), k.id, k.events(time.Unix(int64(i), 0))...); err != nil {
			b.Fatal(err)
		}
	}
	for _, bb := range []struct {
		name string
		q    session.Query
		n    int
	}{
		{"latest", session.Query{Limit: 100}, 100},
		{"all", session.Query{}, 10_000},
		{"text", session.Query{Text: "number 4242", Limit: 100}, 1},
		{"common", session.Query{Text: "loss12 model", Limit: 100}, 100},
		{"short", session.Query{Text: "it", Limit: 100}, 100},
		{"dir", session.Query{Dir: "/home/me/project-7", Limit: 100}, 100},
		{"model", session.Query{Model: "claude", Limit: 100}, 100},
		{"artifact", session.Query{Artifact: "model-9980", Limit: 100}, 1},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if found, err := s.Find(b.Context(), bb.q); err != nil || len(found.Sessions) != bb.n {
					b.Fatal(len(found.Sessions), err)
				}
			}
		})
	}
}
