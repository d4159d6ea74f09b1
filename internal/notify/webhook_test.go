package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/notify"
)

// A receiver is the other side of a webhook. It verifies what it gets as the
// Standard Webhooks tell receivers to.
type receiver struct {
	*httptest.Server
	secret string

	mu     sync.Mutex
	got    []notify.Message
	ids    []string
	bad    []string
	answer func(w http.ResponseWriter, n int) // of the n-th request, from 1; nil takes it
}

func newReceiver(t *testing.T, secret string) *receiver {
	t.Helper()
	r := &receiver{secret: secret}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	id, stamp := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	key := []byte(r.secret)
	if coded, ok := strings.CutPrefix(r.secret, "whsec_"); ok {
		key, _ = base64.StdEncoding.DecodeString(coded)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	var m notify.Message
	switch {
	case err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute:
		r.bad = append(r.bad, "timestamp "+stamp)
	case !hmac.Equal([]byte(want), []byte(req.Header.Get("webhook-signature"))):
		r.bad = append(r.bad, "signature "+req.Header.Get("webhook-signature"))
	case json.Unmarshal(body, &m) != nil || m.ID != id:
		r.bad = append(r.bad, "body "+string(body))
	}
	r.got, r.ids = append(r.got, m), append(r.ids, id)
	n, answer := len(r.got), r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, n)
	}
}

func (r *receiver) seen(t *testing.T) []notify.Message {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bad := range r.bad {
		t.Errorf("not verified: %s", bad)
	}
	return append([]notify.Message(nil), r.got...)
}

func message() notify.Message {
	return notify.Message{ID: "msg_1", Event: notify.TurnComplete, Severity: notify.Success, Title: "Turn complete", Text: "done", Time: time.Now().UTC()}
}

// A receiver can verify what it gets, with both forms of a secret.
func TestWebhookIsSigned(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567")), "plain-secret-of-mine"} {
		r := newReceiver(t, secret)
		if err := (notify.Webhook{URL: r.URL, Secret: secret}).Send(t.Context(), message()); err != nil {
			t.Error(err)
		}
		if got := r.seen(t); len(got) != 1 || got[0].Text != "done" {
			t.Errorf("%v", got)
		}
	}
	// the example of the specification of the Standard Webhooks
	key, err := notify.SigningKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := notify.Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A redirect is not followed, wherever it leads, and nobody there is told.
func TestWebhookFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	inner := newReceiver(t, "x")
	for _, to := range []string{inner.URL, "http://169.254.169.254/latest/meta-data", "http://[::1]/", "/elsewhere", "ftp://x", "http://%zz/"} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			r := newReceiver(t, "0123456789abcdef")
			r.answer = func(w http.ResponseWriter, _ int) {
				w.Header().Set("Location", to)
				w.WriteHeader(code)
			}
			err := (notify.Webhook{URL: r.URL, Secret: "0123456789abcdef"}).Send(t.Context(), message())
			if err == nil || !strings.Contains(err.Error(), "not followed") {
				t.Errorf("%d to %q: %v", code, to, err)
			}
			if n := len(r.seen(t)); n != 1 {
				t.Errorf("%d to %q: %d requests", code, to, n)
			}
		}
	}
	if got := inner.seen(t); len(got) != 0 {
		t.Errorf("the redirect was followed: %v", got)
	}
}

// Answers that are too long, or cut, cost nothing; what the status says counts.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, int)
		ok     bool
		again  bool
	}{
		"nothing":     {func(w http.ResponseWriter, _ int) { w.WriteHeader(204) }, true, false},
		"huge":        {func(w http.ResponseWriter, _ int) { _, _ = io.CopyN(w, endless{}, 50<<20) }, true, false},
		"gone":        {func(w http.ResponseWriter, _ int) { w.WriteHeader(410) }, false, false},
		"not found":   {func(w http.ResponseWriter, _ int) { w.WriteHeader(404) }, false, false},
		"too many":    {func(w http.ResponseWriter, _ int) { w.Header().Set("Retry-After", "3"); w.WriteHeader(429) }, false, true},
		"broken":      {func(w http.ResponseWriter, _ int) { w.WriteHeader(503) }, false, true},
		"not allowed": {func(w http.ResponseWriter, _ int) { w.WriteHeader(401) }, false, false},
		"cut": {func(w http.ResponseWriter, _ int) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_ = c.Close()
		}, false, true},
	} {
		r := newReceiver(t, "0123456789abcdef")
		r.answer = c.answer
		err := (notify.Webhook{URL: r.URL, Secret: "0123456789abcdef"}).Send(t.Context(), message())
		f, _ := err.(*notify.Failure)
		if (err == nil) != c.ok || err != nil && (f == nil || f.Again != c.again) {
			t.Errorf("%s: %v, again %v", name, err, f != nil && f.Again)
		}
		if name == "too many" && f.After != 3*time.Second {
			t.Errorf("%s: %v", name, f.After)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// Slack's own answers: what is final is not tried again.
func TestSlackAnswers(t *testing.T) {
	t.Parallel()
	for answer, c := range map[string]struct{ ok, again bool }{
		`{"ok":true,"ts":"1.2"}`:                {true, false},
		`{"ok":false,"error":"not_in_channel"}`: {false, false},
		`{"ok":false,"error":"ratelimited"}`:    {false, true},
		`<html>`:                                {false, true},
		``:                                      {false, true},
	} {
		var got map[string]any
		var auth string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			auth = r.URL.Path + " " + r.Header.Get("Authorization")
			_ = json.NewDecoder(r.Body).Decode(&got)
			_, _ = io.WriteString(w, answer)
		}))
		err := (notify.Slack{URL: s.URL + "/", Token: "xoxb-1", Channel: "C1", Username: "u", Icon: ":i:"}).Send(t.Context(), message())
		s.Close()
		f, _ := err.(*notify.Failure)
		if (err == nil) != c.ok || err != nil && f.Again != c.again {
			t.Errorf("%s: %v", answer, err)
		}
		if auth != "/chat.postMessage Bearer xoxb-1" || got["channel"] != "C1" || got["mrkdwn"] != true || got["unfurl_links"] != false || got["username"] != "u" || got["icon_emoji"] != ":i:" ||
			!strings.HasPrefix(got["text"].(string), "[SUCCESS] Turn complete\ndone") {
			t.Errorf("%s %v", auth, got)
		}
	}
}
