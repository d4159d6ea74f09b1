package web_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/web"
)

func says(text string) func(int) (llmtest.Turn, bool) {
	return func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: text}, true }
}

// A session that nobody uses is closed, and the next prompt opens it again as it
// was left. One that somebody looks at, or that asks, stays.
func TestIdle(t *testing.T) {
	t.Parallel()
	p := open(t, web.Options{IdleAfter: 50 * time.Millisecond}, func(n int) (llmtest.Turn, bool) {
		if n == 0 {
			return llmtest.Turn{Calls: []llmtest.TurnCall{{ID: "bash01", Name: "bash", Args: `{"command": "ls"}`}}}, true
		}
		return llmtest.Turn{Text: "done"}, true
	})
	asks := p.begin("ask", "strict")
	p.until(asks, "asking", func(e entry) bool { return e.Live != nil && e.Live.Asks == 1 })
	seen := p.begin("be seen", "auto")
	res := p.stream(t.Context(), seen)
	defer res.Body.Close()
	left := p.begin("be left", "auto")
	p.until(left, "closed", closed)
	again := p.begin("be left too", "auto") // the time that the others had, once more
	p.until(again, "closed", closed)
	for _, id := range []string{asks, seen} {
		p.until(id, "open", func(e entry) bool { return e.Live != nil })
	}
	p.ask("POST", "/api/sessions/"+left+"/prompts", map[string]string{"text": "more"}, http.StatusAccepted, nil)
	for late := time.Now().Add(time.Minute); len(p.model.Seen()) < 5 && time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
	}
	stay := p.stream(t.Context(), left)
	defer stay.Body.Close()
	p.ask("PATCH", "/api/sessions/"+left, map[string]string{"effort": "low"}, http.StatusOK, nil)
	p.until(left, "as it was left", func(e entry) bool { return answered(e) && e.State.Mode == "auto" })
	if kept, err := os.ReadDir(p.home + "/state/serve/open"); err != nil || len(kept) != 3 {
		t.Errorf("what is written down as open: %v %v", kept, err)
	}
}

// Streams that come and go leave nothing behind, in the server and in the system.
func TestStreamsLeaveNothing(t *testing.T) {
	p := open(t, web.Options{}, says("done"))
	id := p.begin("hi", "")
	p.until(id, "answered", answered)
	files := func() int {
		entries, _ := os.ReadDir("/proc/self/fd") // 0 where there is none
		return len(entries)
	}
	p.client.CloseIdleConnections()
	goroutines, open := runtime.NumGoroutine(), files()
	for range 4 {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				res, err := p.client.Do(p.request("GET", "/api/sessions/"+id+"/events", nil).WithContext(ctx))
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				for lines := bufio.NewScanner(res.Body); lines.Scan() && lines.Text() != "event: caught_up"; {
				}
			})
		}
		wg.Wait()
	}
	p.client.CloseIdleConnections()
	// The store keeps some connections, and SQLite the files of as many as there were at once.
	settles(t, "goroutines", goroutines+100, runtime.NumGoroutine)
	settles(t, "files", open+100, files)
}

// More streams than there may be are refused, and those that are open go on.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	p := open(t, web.Options{}, says("done"))
	id := p.begin("hi", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 256 {
		defer p.stream(ctx, id).Body.Close()
	}
	p.ask("GET", "/api/sessions/"+id+"/events", nil, http.StatusTooManyRequests, nil)
	p.ask("GET", "/api/sessions/"+id, nil, http.StatusOK, nil)
}

// The server ends at once although streams are open, and tells them so.
func TestEndsUnderStreams(t *testing.T) {
	t.Parallel()
	p := open(t, web.Options{}, says("done"))
	id := p.begin("hi", "")
	res := p.stream(t.Context(), id)
	defer res.Body.Close()
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, res.Body)
		done <- err
	}()
	p.stop()
	if err := <-done; err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	if !p.said("go on with: ml-intern --resume " + id) {
		t.Error("it does not say how to go on")
	}
}

// A session that cannot begin leaves nothing and says why.
func TestCannotBegin(t *testing.T) {
	t.Parallel()
	p := open(t, web.Options{MaxSessions: 1}, says("done"))
	for range 3 { // each would take the only place
		var no struct{ Error struct{ Message string } }
		p.ask("POST", "/api/sessions", map[string]string{"prompt": "x", "model": "anthropic/claude-opus-4-5"}, http.StatusUnprocessableEntity, &no)
		if !strings.Contains(no.Error.Message, "ANTHROPIC_API_KEY") {
			t.Error(no.Error.Message)
		}
	}
	var list struct{ Sessions []any }
	p.ask("GET", "/api/sessions", nil, http.StatusOK, &list)
	if len(list.Sessions) != 0 {
		t.Errorf("%v", list.Sessions)
	}
	p.begin("y", "")
}

// A session that waits and that another process has is taken up when that gives it
// back.
func TestTakesUpLater(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`\\"job\\":\\"([^"\\]+)\\"`)
	var p *place
	made := make(chan struct{})
	p = open(t, web.Options{}, func(n int) (llmtest.Turn, bool) {
		<-made
		switch n {
		case 0:
			return llmtest.Turn{Calls: []llmtest.TurnCall{{ID: "submit1", Name: "job_submit", Args: `{"name": "x", "command": ["sleep", "600"], "waivers": {"results": "a test"}}`}}}, true
		case 1:
			if found := id.FindStringSubmatch(string(p.model.Seen()[1].Body)); found != nil {
				return llmtest.Turn{Calls: []llmtest.TurnCall{{ID: "wait1", Name: "job_wait", Args: `{"jobs": ["` + found[1] + `"]}`}}}, true
			}
		}
		return llmtest.Turn{Text: "done"}, true
	})
	close(made)
	waiting := func(e entry) bool { return e.Live != nil && e.Live.Phase == "waiting" }
	waits := p.begin("train", "auto")
	p.until(waits, "waiting", waiting)
	p.stop()
	cfg, err := p.config("")
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	other, err := a.Resume(t.Context(), waits, "")
	if err != nil {
		t.Fatal(err)
	}
	p.serve(web.Options{TryAgain: 20 * time.Millisecond})
	for late := time.Now().Add(time.Minute); !p.said("cannot be taken up yet"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it does not say that another process has the session")
		}
	}
	p.until(waits, "closed", closed)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	p.until(waits, "waiting", waiting)
	p.ask("DELETE", "/api/sessions/"+waits, nil, http.StatusConflict, nil)
	jobs, err := a.WatchJobs().Read(t.Context(), waits)
	if err != nil || len(jobs) != 1 || !jobs[0].Mine {
		t.Fatalf("%v %+v", err, jobs)
	}
	var list struct {
		Jobs []struct {
			ID, State string
			Mine      bool
		}
	}
	if p.ask("GET", "/api/sessions/"+waits+"/jobs", nil, http.StatusOK, &list); len(list.Jobs) != 1 || !list.Jobs[0].Mine || list.Jobs[0].State != "running" {
		t.Errorf("%+v", list)
	}
	if len(p.model.Seen()) != 2 {
		t.Errorf("the model was asked %d times meanwhile", len(p.model.Seen()))
	}
	if _, err := a.CancelJob(t.Context(), jobs[0].ID); err != nil {
		t.Error(err)
	}
	p.until(waits, "answered", answered)
}

// A server forgets what was open and need not be taken up, and leaves alone what
// another server of the same person has open, which may wait for a job later.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	p := open(t, web.Options{}, says("done"))
	id := p.begin("hello", "auto")
	p.until(id, "answered", answered)
	file := func(id string) string { return p.home + "/state/serve/open/" + id + ".json" }
	last := "zzz" // is looked at after the other
	if err := os.WriteFile(file(last), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	gone := func(id string) bool { _, err := os.Stat(file(id)); return err != nil }
	second := &place{T: t, home: p.home, dir: p.dir, model: p.model, client: &http.Client{Transport: &http.Transport{}}}
	second.serve(web.Options{TryAgain: 10 * time.Millisecond})
	until := func(what, id string) {
		t.Helper()
		for late := time.Now().Add(time.Minute); !gone(id); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatal(what)
			}
		}
	}
	until("it forgets nothing", last)
	if gone(id) {
		t.Error("the second has forgotten what the first has open")
	}
	p.stop()
	until("it does not forget what nobody has open", id)
}
