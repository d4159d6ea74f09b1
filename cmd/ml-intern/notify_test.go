package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
