package telemetry_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"ml-intern/internal/session"
)

// What a collector may do, and what the person is told: one line at most, and
// no event waits.
func TestBadCollectors(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := collect(t)
	other.Misbehave = func(http.ResponseWriter, *http.Request) bool { elsewhere.Add(1); return false }
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "told by "+planted, code)
			return true
		}
	}
	onlyTraces := func(then func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/v1/traces" && then(w, r) }
	}
	for name, test := range map[string]struct {
		misbehave func(http.ResponseWriter, *http.Request) bool
		want      []string // of the lines that are told, in order; "" ends them
	}{
		"bad request":  {status(400), []string{"send spans to http://", "it answers 400", "13 spans are lost"}},
		"unauthorized": {status(401), []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		"not found":    {status(404), []string{"look at the path"}},
		"no JSON":      {status(415), []string{"it takes no JSON"}},
		"internal":     {status(500), []string{"it answers 500"}},
		"always busy":  {onlyTraces(status(503)), []string{"it answers 503"}},
		"busy for long": {onlyTraces(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}), []string{"it answers 429"}},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.URL+"/v1/traces", http.StatusTemporaryRedirect)
			return true
		}, []string{"sends us elsewhere"}},
		"reset": {func(w http.ResponseWriter, _ *http.Request) bool {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
			return true
		}, []string{"send spans"}},
		"huge answer": {func(w http.ResponseWriter, r *http.Request) bool {
			block := strings.Repeat("x", 1<<20)
			for range 1 << 20 { // a terabyte, if anybody would read it
				if _, err := io.WriteString(w, block); err != nil {
					return true
				}
			}
			return true
		}, nil},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) bool {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(conn, "\x00\x00\x12\x04\x00\x00\x00\x00\x00")
				conn.Close()
			}
			return true
		}, []string{"usually 4318"}},
		"partly": {func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old `+planted+`"}}`)
			return true
		}, []string{"refused 3 spans", "too old [redacted]"}},
		"lies":        {func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, `{"partialSuccess":[`); return true }, nil},
		"works again": {failTwice(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := collect(t)
			c.Misbehave = test.misbehave
			r := c.reader(t, map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "30000"})
			tell(t, r, &memory{}, story())
			r.Close()
			told := strings.Join(r.Problems(), "\n")
			if (told == "") != (len(test.want) == 0) || strings.Contains(told, planted) || strings.Contains(told, "\n") && name != "partly" {
				t.Errorf("told %q", told)
			}
			for _, part := range test.want {
				if !strings.Contains(told, part) {
					t.Errorf("no %q in %q", part, told)
				}
			}
			if name == "works again" && len(c.Spans()) != 13 {
				t.Errorf("%d spans, told %q", len(c.Spans()), told)
			}
		})
	}
	if elsewhere.Load() > 0 {
		t.Error("the redirect was followed")
	}
}

// failTwice is busy for two requests.
func failTwice() func(http.ResponseWriter, *http.Request) bool {
	var n atomic.Int32
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if n.Add(1) > 2 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
}

// While the collector hangs, events are saved all the same; what has no room is
// dropped, counted and told once.
func TestHangingCollector(t *testing.T) {
	t.Parallel()
	c := collect(t)
	hang, came := make(chan struct{}), make(chan struct{}, 100)
	c.Misbehave = func(_ http.ResponseWriter, r *http.Request) bool {
		came <- struct{}{}
		select {
		case <-hang:
		case <-r.Context().Done():
			return true
		}
		return false
	}
	r := c.reader(t, map[string]string{"OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "10"})
	kept := &memory{}
	tell(t, r, kept, story())
	<-came
	for range 20 { // none of which could be taken before the first
		tell(t, r, kept, story())
	}
	close(hang)
	r.Close()
	told := r.Problems()
	if len(told) != 1 || !strings.Contains(told[0], "spans did not reach the collector") {
		t.Errorf("told %q", told)
	}
	r.Close() // once more does nothing
	if again := r.Problems(); len(again) > 0 {
		t.Errorf("told again %q", again)
	}
}

// A collector that is not there ends with the program, at once.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	c := collect(t)
	r := c.reader(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": address})
	tell(t, r, &memory{}, story())
	r.Close()
	told := strings.Join(r.Problems(), "\n")
	if strings.Count(told, "send spans to "+address) != 1 || !strings.Contains(told, "refused") || strings.Contains(told, "\n") {
		t.Errorf("told %q", told)
	}
}

func TestNothingToSend(t *testing.T) {
	t.Parallel()
	c := collect(t)
	for _, vars := range []map[string]string{
		{"OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
		{"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
		{"OTEL_TRACES_SAMPLER": "always_off", "OTEL_METRICS_EXPORTER": "none"},
	} {
		r := c.reader(t, vars)
		tell(t, r, &memory{}, story())
		r.Rest(parentID)
		r.Close()
		if told := r.Problems(); len(told) > 0 {
			t.Errorf("told %q", told)
		}
	}
	if len(c.Raw()) > 0 {
		t.Errorf("sent %q", c.Raw())
	}
}

func TestHeadersAndGzip(t *testing.T) {
	t.Parallel()
	c := collect(t)
	r := c.reader(t, map[string]string{
		"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20abc%2C1, x-team = a", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_METRICS_EXPORTER": "none",
		"OTEL_SERVICE_NAME": "lab", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=other,city=K%C3%B6ln",
	})
	tell(t, r, &memory{}, story())
	r.Close()
	got := c.Headers()
	if len(got) != 1 || got[0].Get("Authorization") != "Bearer abc,1" || got[0].Get("X-Team") != "a" || got[0].Get("Content-Encoding") != "gzip" {
		t.Errorf("headers %v", got)
	}
	for _, part := range []string{`"service.name","value":{"stringValue":"lab"}`, `"deployment.environment.name","value":{"stringValue":"test"}`, `"city","value":{"stringValue":"Köln"}`} {
		if !strings.Contains(c.Raw()[0], part) {
			t.Errorf("no %s in %.600s", part, c.Raw()[0])
		}
	}
}

// Spans that do not fit one request go in several. Of the forty jobs of one
// label the first alone is one.
func TestManySpans(t *testing.T) {
	t.Parallel()
	c := collect(t)
	r := c.reader(t, map[string]string{"OTEL_BSP_MAX_QUEUE_SIZE": "100000", "OTEL_METRICS_EXPORTER": "none", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"})
	kept := &memory{}
	for i := range 40 {
		events := story()
		for j := range events {
			if p := events[j].event.Prompt; p != nil {
				p.Text = strings.Repeat("long ", 20_000)
			}
			events[j].event.Seq += int64(i * len(events))
			if events[j].session == parentID {
				events[j].event.Opened = nil
			}
		}
		tell(t, r, kept, keep(events))
	}
	r.Close()
	if told := r.Problems(); len(told) > 0 || len(c.Spans()) != 481 {
		t.Errorf("%d spans, told %q", len(c.Spans()), told)
	}
	if n := len(c.Raw()); n < 2 {
		t.Errorf("%d requests", n)
	}
	for _, body := range c.Raw() {
		if len(body) > 4<<20 {
			t.Errorf("a request of %d bytes", len(body))
		}
	}
}

// keep leaves out events that are empty.
func keep(all []logged) (some []logged) {
	for _, e := range all {
		if (e.event != session.Event{Seq: e.event.Seq, Time: e.event.Time}) {
			some = append(some, e)
		}
	}
	return some
}

func TestNilReader(t *testing.T) {
	t.Parallel()
	r := collect(t).reader(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
	if r != nil {
		t.Fatal("a reader for nothing")
	}
	store := &memory{}
	if r.Store(store) != session.Store(store) || r.Parent() != "" {
		t.Error("it is in the way")
	}
	r.Rest("x")
	r.Close()
}
