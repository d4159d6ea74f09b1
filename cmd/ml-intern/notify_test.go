package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ml-intern/internal/llm/llmtest"
)

// A receiver is Slack and the other side of a webhook, on loopback. It verifies
// the signatures as a receiver would.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // "slack TEXT", or "EVENT ID TEXT" of a webhook
	answers  []int    // of the next requests, in order; then 200
	slow     time.Duration
	moved    string // where the next requests are sent to
}

const hookSecret = "hook-secret-0123456789"

func newReceiver() *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var m struct{ ID, Event, Title, Text string }
	_ = json.Unmarshal(body, &m)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	stamp := req.Header.Get("webhook-timestamp")
	mac.Write([]byte(req.Header.Get("webhook-id") + "." + stamp + "." + string(body)))
	at, _ := strconv.ParseInt(stamp, 10, 64)
	what := m.Event + " " + m.ID + " " + m.Title + "\n" + m.Text
	switch {
	case strings.HasSuffix(req.URL.Path, "/chat.postMessage"):
		what = "slack " + m.Text + " by " + req.Header.Get("Authorization")
	case "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) != req.Header.Get("webhook-signature") || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute || m.ID != req.Header.Get("webhook-id"):
		what = "forged " + what
	}
	r.mu.Lock()
	r.requests = append(r.requests, what)
	code := 200
	if len(r.answers) > 0 {
		code, r.answers = r.answers[0], r.answers[1:]
	}
	if code/100 == 3 {
		w.Header().Set("Location", r.moved)
	}
	slow := r.slow
	r.mu.Unlock()
	time.Sleep(slow)
	w.WriteHeader(code)
	_, _ = io.WriteString(w, `{"ok":true,"ts":"1.1"}`)
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

type receiverKey struct{}

// receive starts a receiver, or gives a new list to the one that is there: HOOK is
// its address. Numbers are its next answers; a redirect leads inward.
func receive(ts *testscript.TestScript, neg bool, args []string) {
	r, ok := ts.Value(receiverKey{}).(*receiver)
	if neg || !ok {
		ts.Fatalf("usage: receive [STATUS…]")
	}
	if r.Server == nil {
		r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
		ts.Defer(r.Close)
		ts.Setenv("HOOK", r.URL)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.answers, r.moved = nil, nil, "http://169.254.169.254/latest/meta-data"
	for _, arg := range args {
		code, err := strconv.Atoi(arg)
		ts.Check(err)
		r.answers = append(r.answers, code)
	}
}

// told N [TEXT…] checks how many requests the receiver got, and that they hold
// the texts; ! told TEXT… that they hold none.
func wasTold(ts *testscript.TestScript, neg bool, args []string) {
	seen := ts.Value(receiverKey{}).(*receiver).seen()
	all := strings.Join(seen, "\n====\n")
	if !neg {
		if fmt.Sprint(len(seen)) != args[0] {
			ts.Fatalf("%d requests, want %s:\n%s", len(seen), args[0], all)
		}
		args = args[1:]
	}
	for _, text := range args {
		if strings.Contains(all, text) == neg {
			ts.Fatalf("the receiver was told %q: %v\n%s", text, neg, all)
		}
	}
}

// Killed at whatever moment, a session with a job that goes on tells each event
// once, and none is told twice.
func TestNotifiedOnce(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("jobs do not run here")
	}
	exe := program(t)
	for round := range 4 {
		r := newReceiver()
		r.slow = 100 * time.Millisecond
		t.Cleanup(r.Close)
		l := newLab(t, exe, map[string]string{
			"w/s.py":                  "print('it is trained')\n",
			"home/config/config.yaml": "notify: {destinations: {hook: {type: webhook, url: '" + r.URL + "', secret: " + hookSecret + "}}}\n",
		})
		var s *llmtest.Server
		made := make(chan struct{})
		s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
			<-made
			before := toldTo(t, s.Seen()[n].Body)
			var turn llmtest.Turn
			switch {
			case before["wait001"] != "":
				return llmtest.Turn{Text: "done"}, true
			case before["submit000"] != "":
				turn = l.onJob("job_wait")(told{"job_submit": before["submit000"]})
				turn.Calls[0].ID = "wait001"
			default:
				turn = do("job_submit", args{"name": "x", "script": "s.py", "waivers": args{"results": "a test"}})(nil)
				turn.Calls[0].ID = "submit000"
			}
			return turn, true
		})
		close(made)
		t.Cleanup(s.Close)
		l.env = []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x"}
		ended, cut := false, 0
		how := []string{"--model", "openai/test", "--approve", "auto", "--quiet", "train it"}
		for ; !ended; cut++ {
			after := rand.N(time.Duration(1+cut) * 400 * time.Millisecond)
			ended, _ = l.killed(nil, after, how...)
			if out, err := l.command("sessions", "ls", "--output", "json").Output(); err == nil && strings.Contains(string(out), `"id"`) {
				how = []string{"--continue", "--approve", "auto", "--quiet"}
			}
		}
		times, kinds := map[string]int{}, map[string]int{}
		for _, what := range r.seen() {
			words := strings.Fields(what)
			kinds[words[0]]++
			times[words[1]]++
		}
		for id, n := range times {
			if n != 1 {
				t.Errorf("round %d: %s was told %d times", round, id, n)
			}
		}
		lost, err := l.command("notify", "--output", "json").Output()
		doubt := strings.Count(string(lost), "it may have arrived")
		if kinds["forged"] > 0 || err != nil || kinds["turn_complete"]+kinds["job_finished"]+doubt < 2 || kinds["turn_complete"] > 1 || kinds["job_finished"] > 1 {
			t.Errorf("round %d, killed %d times: told %v; lost %s (%v)", round, cut-1, kinds, lost, err)
		}
	}
}

// What hangs costs the end of a run a bounded time, and the answer nothing.
func TestNotifyHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hang.Close()
	defer close(release)
	l := newLab(t, program(t), map[string]string{
		"home/config/config.yaml": "notify: {destinations: {hook: {type: webhook, url: '" + hang.URL + "', secret: " + hookSecret + "}}}\n",
	})
	s := llmtest.NewServer(llmtest.Turn{Text: "the answer"})
	defer s.Close()
	l.env = []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x"}
	c := l.command("--model", "openai/test", "go")
	var errs strings.Builder
	c.Stderr = &errs
	start := time.Now()
	out, err := c.Output()
	if took := time.Since(start); err != nil || strings.TrimSpace(string(out)) != "the answer" || took > 5*time.Minute {
		t.Errorf("after %v: %v %q", took, err, out)
	}
	if !strings.Contains(errs.String(), "hook") {
		t.Errorf("it said %q", errs.String())
	}
	if _, err := os.Stat(filepath.Join(l.dir, "home", "state", "notify")); errors.Is(err, os.ErrNotExist) {
		t.Error("nothing was written down")
	}
}
