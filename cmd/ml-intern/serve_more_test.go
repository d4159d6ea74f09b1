//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
)

// gated is a model whose answers come when they are let go, in order.
func gated(t *testing.T, turns ...llmtest.Turn) (*llmtest.Server, chan<- bool) {
	t.Helper()
	gate := make(chan bool, len(turns))
	s := llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		select {
		case <-gate:
		case <-t.Context().Done():
		}
		if n >= len(turns) {
			return llmtest.Turn{}, false
		}
		return turns[n], true
	})
	t.Cleanup(s.Close)
	return s, gate
}

// A reader that comes back gets what it missed, each event once, wherever it was cut
// off; one that does not read holds nobody up.
func TestServeReaders(t *testing.T) {
	t.Parallel()
	var turns []llmtest.Turn
	for i := range 12 {
		turns = append(turns, llmtest.Turn{Text: "step " + strconv.Itoa(i), Chunk: 3, PaceMS: 1, Calls: []llmtest.TurnCall{makes(fmt.Sprintf("bash%02d", i), "bash", map[string]any{"command": fmt.Sprintf("seq %d", 100+i)})}})
	}
	turns = append(turns, llmtest.Turn{Text: "the end", Chunk: 1, PaceMS: 1})
	model := plays(t, turns...)
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	id := s.begin("count")

	var d net.Dialer
	deaf, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	fmt.Fprintf(deaf, "GET /api/sessions/%s/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", id, strings.TrimPrefix(s.url, "http://"), s.key)

	steady := s.follow(id, 0)
	last := int64(0)
	for cut := 0; ; cut++ {
		tale := s.follow(id, last)
		before := last
		i := tale.until("a saved event", 0, func(m message) bool { return m.id != "" })
		last, _ = strconv.ParseInt(tale.at(i).id, 10, 64)
		tale.end()
		tale.whole(before)
		tale.mu.Lock()
		over := false
		for _, m := range tale.seen {
			if m.id != "" {
				last, _ = strconv.ParseInt(m.id, 10, 64)
				over = over || m.event().Reply != nil && m.event().Reply.Message.Text() == "the end"
			}
		}
		tale.mu.Unlock()
		if over {
			break
		}
	}
	steady.answer("the end")
	steady.until("end", 0, func(m message) bool { return m.kind == "ended" })
	steady.whole(0)

	r := s.request("GET", "/api/sessions/"+id+"/events?after=1", nil) // as browsers come back: the header counts
	r.Header.Set("Last-Event-ID", strconv.FormatInt(last, 10))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := s.client.Do(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 100)
	n, err := io.ReadAtLeast(res.Body, first, 40)
	for _, line := range strings.Split(string(first[:n]), "\n") {
		if at, ok := strings.CutPrefix(line, "id: "); ok && at <= strconv.FormatInt(last, 10) && len(at) <= len(strconv.FormatInt(last, 10)) {
			t.Errorf("it begins with event %s after %d (%v)", at, last, err)
		}
	}
}

// A page that is opened in the middle of a reply has it from its beginning.
func TestServeJoinsMidReply(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), plays(t, llmtest.Turn{Text: "one two three four", Chunk: 4, StallAfter: 3, Ping: true}).URL)
	id := s.begin("go")
	text := func(tale *tale) string {
		all := ""
		for _, m := range tale.seen {
			if c := m.event().Chunk; c != nil {
				all += c.Text
			}
		}
		return all
	}
	early := s.follow(id, 0)
	early.until("text", 0, func(message) bool { return len(text(early)) >= 8 })
	late := s.follow(id, 0)
	late.until("text", 0, func(message) bool { return strings.HasPrefix(text(late), "one two ") })
	s.ask("POST", "/api/sessions/"+id+"/stop", nil, http.StatusAccepted, nil)
	late.until("the stop", 0, func(m message) bool { return m.event().Failed != nil })
	late.whole(0)
}

// A session that a terminal has is read and not touched: what it saves is seen.
func TestServeBesideATerminal(t *testing.T) {
	t.Parallel()
	model, gate := gated(t, llmtest.Turn{Text: "first"}, llmtest.Turn{Text: "second"}, llmtest.Turn{Text: "third"})
	gate <- true
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	id := s.begin("one")
	tale := s.follow(id, 0)
	tale.answer("first")
	_ = s.end(os.Interrupt)
	run := exec.CommandContext(t.Context(), program(t), "run", "--resume", id, "--hub", "local", "two")
	run.Dir, run.Env = s.dir, s.cmd.Env
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	s = serves(t, s.home, s.dir, model.URL)
	tale = s.follow(id, 0)
	tale.until("the terminal's prompt", 0, func(m message) bool { return m.event().Prompt != nil && m.event().Prompt.Text == "two" })
	at := "/api/sessions/" + id
	s.refuses(s.request("POST", at+"/prompts", map[string]string{"text": "x"}), http.StatusConflict, "fork")
	s.refuses(s.request("POST", at+"/continue", nil), http.StatusConflict, "in use")
	s.refuses(s.request("PATCH", at, `{"title": "x"}`), http.StatusConflict, "in use")
	s.refuses(s.request("DELETE", at, nil), http.StatusConflict, "in use")
	s.refuses(s.request("POST", at+"/stop", nil), http.StatusConflict, "not open here")
	gate <- true
	if err := run.Wait(); err != nil {
		t.Fatal(err)
	}
	tale.answer("second")
	gate <- true
	s.ask("POST", at+"/prompts", map[string]string{"text": "three"}, http.StatusAccepted, nil)
	tale.answer("third")
	tale.whole(0)
}

// A server that is ended in mid-turn loses nothing that was saved, and says how to
// go on.
func TestServeEndsInMidTurn(t *testing.T) {
	t.Parallel()
	model := plays(t, calls(makes("bash01", "bash", map[string]any{"command": "echo kept > a.txt; sleep 600"})), llmtest.Turn{Text: "it is over"})
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	id := s.begin("work")
	tale := s.follow(id, 0)
	tale.until("the call", 0, func(m message) bool { return m.event().Started != nil })
	if err := s.end(syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if !strings.Contains(s.said.String(), "go on with: ml-intern --resume "+id) {
		t.Errorf("it said %s", s.said)
	}
	s = serves(t, s.home, s.dir, model.URL)
	again := s.follow(id, 0)
	again.until("caught up", 0, func(m message) bool { return m.kind == "caught_up" })
	again.until("the stop", 0, func(m message) bool { return m.event().Failed != nil && m.event().Failed.Reason == "interrupted" })
	again.whole(0)
	tale.whole(0)
	s.ask("POST", "/api/sessions/"+id+"/continue", nil, http.StatusAccepted, nil)
	again.answer("it is over")
	again.whole(0)
}

// Sessions are named, set, copied, exported and removed for good.
func TestServeKeepsSessions(t *testing.T) {
	t.Parallel()
	model := plays(t, calls(makes("bash01", "bash", map[string]any{"command": "echo <b>x</b>"})), llmtest.Turn{Text: "first"}, llmtest.Turn{Text: "second"})
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	id := s.begin("one", "mode", "auto", "effort", "high")
	at := "/api/sessions/" + id
	tale := s.follow(id, 0)
	tale.phase(tale.answer("first"), "idle")
	var out struct {
		State chat.State
		ID    string
		Title string
		Live  any
	}
	s.ask("GET", at, nil, http.StatusOK, &out)
	if out.State.Mode != "auto" || out.State.Effort != "high" || out.Title != "one" {
		t.Errorf("%+v", out)
	}
	s.ask("PATCH", at, `{"title": "Another name", "mode": "plan", "effort": "low"}`, http.StatusOK, &out)
	if out.State.Title != "Another name" || out.State.Mode != "plan" || out.State.Effort != "low" {
		t.Errorf("%+v", out)
	}
	s.ask("POST", at+"/prompts", map[string]string{"text": "/cost"}, http.StatusOK, nil)
	s.ask("POST", at+"/prompts", map[string]string{"text": "/approve"}, http.StatusOK, nil)
	s.ask("GET", at+"/jobs", nil, http.StatusOK, nil)
	s.ask("GET", at+"/agents/nobody/events", nil, http.StatusOK, nil)
	s.ask("POST", at+"/unqueue", nil, http.StatusOK, nil)
	for _, format := range []string{"md", "html", "jsonl"} {
		res, text := s.send(s.request("GET", at+"/export?format="+format, nil))
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment;") || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") || !strings.Contains(text, "first") {
			t.Errorf("%s: %s %v %s", format, res.Status, res.Header, text)
		}
	}
	s.ask("POST", at+"/fork", `{"at": 2}`, http.StatusCreated, &out)
	fork := out.ID
	s.ask("GET", "/api/sessions/"+fork, nil, http.StatusOK, &out)
	if out.Live != nil {
		t.Errorf("a copy is open: %+v", out)
	}
	s.ask("PATCH", "/api/sessions/"+fork, `{"title": "A copy"}`, http.StatusOK, nil)
	s.ask("POST", "/api/sessions/"+fork+"/continue", nil, http.StatusAccepted, nil)
	s.follow(fork, 0).answer("second")
	s.ask("DELETE", at, nil, http.StatusNoContent, nil)
	s.refuses(s.request("GET", at, nil), http.StatusNotFound, "no session")
	<-tale.done // it is not told that there is nothing any more, but not left waiting
	var list struct {
		Sessions []struct{ ID, Title string }
		Next     *string
	}
	s.ask("GET", "/api/sessions", nil, http.StatusOK, &list)
	if len(list.Sessions) != 1 || list.Sessions[0].ID != fork || list.Sessions[0].Title != "A copy" {
		t.Errorf("%+v", list)
	}
}

// A folder that a page names may be somebody else's: what it brings approves nothing.
func TestServeFolderApprovesNothing(t *testing.T) {
	t.Parallel()
	s := serves(t, t.TempDir(), t.TempDir(), plays(t, llmtest.Turn{Text: "hello"}).URL)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".ml-intern"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ml-intern", "config.yaml"), []byte("approve: auto\nmax_cost: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var entry struct{ State struct{ Mode, Dir string } }
	s.ask("GET", "/api/sessions/"+s.begin("hi", "dir", dir), nil, http.StatusOK, &entry)
	if entry.State.Mode != "ask" || entry.State.Dir != dir {
		t.Errorf("it works as %+v", entry.State)
	}
}

// A list has pages, and sessions are open only as many as may be.
func TestServeManySessions(t *testing.T) {
	t.Parallel()
	model := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: "it is over"}, true })
	t.Cleanup(model.Close)
	s := serves(t, t.TempDir(), t.TempDir(), model.URL, "--max-sessions", "3")
	ids := map[string]bool{}
	for range 3 {
		ids[s.begin("one")] = true
	}
	s.refuses(s.request("POST", "/api/sessions", `{"prompt": "one too many"}`), http.StatusTooManyRequests, "--max-sessions")
	cursor := ""
	for page := range 3 {
		var list struct {
			Sessions []struct{ ID string }
			Next     *string
		}
		s.ask("GET", "/api/sessions?limit=1&cursor="+cursor, nil, http.StatusOK, &list)
		if len(list.Sessions) != 1 || !ids[list.Sessions[0].ID] || (list.Next == nil) != (page == 2) {
			t.Fatalf("page %d: %+v", page, list)
		}
		delete(ids, list.Sessions[0].ID)
		if list.Next != nil {
			cursor = *list.Next
		}
	}
}

// A question is judged again with other arguments before it is answered, and
// what the policy refuses does not answer it.
func TestServePreview(t *testing.T) {
	t.Parallel()
	model := plays(t, calls(makes("bash01", "bash", map[string]any{"command": "echo one"}), makes("bash02", "bash", map[string]any{"command": "echo two"})), llmtest.Turn{Text: "it is over"})
	home := t.TempDir()
	if err := os.MkdirAll(home+"/config", 0o700); err != nil {
		t.Fatal(err)
	}
	writeText(t, home+"/config/config.yaml", "rules:\n  - {verdict: deny, command: rm -rf}\n")
	s := serves(t, home, t.TempDir(), model.URL)
	id := s.begin("go", "mode", "strict")
	at := "/api/sessions/" + id + "/answers"
	tale := s.follow(id, 0)
	i := tale.until("question", 0, func(m message) bool { return m.kind == "ask" })
	var ask struct {
		ID       int
		Requests []struct {
			CallID   string `json:"call_id"`
			Args     map[string]string
			Remember string
		}
	}
	if err := json.Unmarshal([]byte(tale.at(i).data), &ask); err != nil || len(ask.Requests) != 2 {
		t.Fatalf("%v %s", err, tale.at(i).data)
	}
	preview := func(command string, status int) string {
		return s.ask("POST", at+"/preview", map[string]any{"ask": ask.ID, "call_id": "bash01", "args": map[string]string{"command": command}}, status, nil)
	}
	if text := preview("echo three", http.StatusOK); !strings.Contains(text, "echo three") {
		t.Error(text)
	}
	preview("rm -rf x", http.StatusUnprocessableEntity)
	yes := func(call string, more ...any) map[string]any {
		d := map[string]any{"call_id": call, "verdict": "allow"}
		for i := 0; i < len(more); i += 2 {
			d[more[i].(string)] = more[i+1]
		}
		return d
	}
	answer := func(status int, words string, decisions ...any) {
		t.Helper()
		if text := s.ask("POST", at, map[string]any{"ask": ask.ID, "decisions": decisions}, status, nil); !strings.Contains(text, words) {
			t.Errorf("%s, not %s", text, words)
		}
	}
	answer(400, "missing: bash02", yes("bash01"))
	answer(400, "twice", yes("bash01"), yes("bash01"))
	answer(400, "nobody", yes("bash01"), yes("bash02"), yes("nobody"))
	answer(400, "did you mean allow", yes("bash01", "verdict", "alow"), yes("bash02"))
	answer(400, "session or always", yes("bash01", "for", "ever"), yes("bash02"))
	answer(400, "a no is", yes("bash01", "verdict", "deny", "for", "always"), yes("bash02"))
	answer(422, "", yes("bash01", "args", map[string]any{"command": "rm -rf x"}), yes("bash02"))
	answer(422, "", yes("bash01", "args", "no json"), yes("bash02"))
	answer(204, "", yes("bash01", "args", `{"command": "echo three"}`), yes("bash02", "verdict", "deny", "reason", "not two"))
	tale.answer("it is over")
	told := toldTo(t, model.Seen()[1].Body)
	if !strings.Contains(told["bash01"], "three") || !strings.Contains(told["bash02"], "not two") {
		t.Errorf("%v", told)
	}
}
