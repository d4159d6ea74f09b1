package llmtest_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"ml-intern/internal/llm/llmtest"
)

// request is the least that a provider takes.
const request = `{"model":"m","messages":[{"role":"user","content":"go"}]}`

func post(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// Serve plays a script to the outside until it is stopped.
func TestServe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- llmtest.Serve(ctx, l, strings.NewReader(`[{"calls": [{"name": "ls", "args": "{}"}]}, {"status": 503, "body": "busy", "retry_after": "1"}, {"text": "done"}]`))
	}()
	url := "http://" + l.Addr().String()
	for _, want := range []struct {
		status int
		text   string
	}{{200, `"tool_calls"`}, {503, "busy"}, {200, `"content":"done"`}, {418, "no turn 4"}} {
		if status, body := post(t, url); status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("got %d %s, want %d and %s", status, body, want.status, want.text)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestScriptsThatAreWrong(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		`[{"txet": "x"}]`: "txet",
		`{"text": "x"}`:   "cannot unmarshal",
		`[{"text": "x"}`:  "EOF",
		``:                "EOF",
	} {
		if _, err := llmtest.ReadScript(strings.NewReader(script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", script, err, want)
		}
	}
}

// The server keeps what was asked, and when.
func TestSeen(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "a"}, llmtest.Turn{Text: "b", DelayMS: 10})
	defer s.Close()
	for range 2 {
		post(t, strings.TrimSuffix(s.URL, "/v1"))
	}
	seen, own := s.Seen(), s.OwnTimes()
	if len(seen) != 2 || string(seen[0].Body) != request || len(own) != 1 {
		t.Fatalf("seen %+v, own %v", seen, own)
	}
	if seen[1].Arrived.Before(seen[0].Arrived) || seen[0].Sent.Before(seen[0].Arrived) {
		t.Errorf("times %+v", seen)
	}
}
