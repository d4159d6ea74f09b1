// Package telemetrytest is a collector on loopback: it keeps what is sent to it
// by OTLP in JSON, or does what a test wants of it.
package telemetrytest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An Object is one of JSON.
type Object = map[string]any

// A Collector takes what is sent to it.
type Collector struct {
	URL string

	// Misbehave answers a request in the collector's place, unless it returns
	// false. Set it before the first request.
	Misbehave func(w http.ResponseWriter, r *http.Request) (done bool)

	mu      sync.Mutex
	raw     []string
	headers []http.Header
	spans   []Object
	metrics []Object
}

// Start starts a collector, which ends with the test.
func Start(t *testing.T) *Collector {
	c := &Collector{}
	server := httptest.NewServer(c)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	c.URL = server.URL
	return c
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return // it was cut off
	}
	if c.Misbehave != nil && c.Misbehave(w, r) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw, c.headers = append(c.raw, string(data)), append(c.headers, r.Header)
	var got Object
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(data, &got) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/v1/traces":
		c.spans = append(c.spans, Inner(got, "resourceSpans", "scopeSpans", "spans")...)
	case "/v1/metrics":
		c.metrics = append(c.metrics, Inner(got, "resourceMetrics", "scopeMetrics", "metrics")...)
	default:
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, "{}")
}

// Inner are the objects of lists in lists of objects.
func Inner(from Object, path ...string) []Object {
	all := []Object{from}
	for _, key := range path {
		var next []Object
		for _, o := range all {
			next = append(next, Objects(o[key])...)
		}
		all = next
	}
	return all
}

// Objects are those of a list.
func Objects(v any) (all []Object) {
	list, _ := v.([]any)
	for _, one := range list {
		if o, ok := one.(Object); ok {
			all = append(all, o)
		}
	}
	return all
}

// Raw returns every body, unpacked.
func (c *Collector) Raw() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.raw)
}

// Headers returns those of every request that was taken.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Metrics returns all metrics in the order that they came in.
func (c *Collector) Metrics() []Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.metrics)
}

// Spans returns all spans in order of their begin.
func (c *Collector) Spans() []Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := slices.Clone(c.spans)
	slices.SortStableFunc(spans, func(a, b Object) int {
		return strings.Compare(fmt.Sprint(a["startTimeUnixNano"], a["spanId"]), fmt.Sprint(b["startTimeUnixNano"], b["spanId"]))
	})
	return spans
}

// Attrs are the attributes of a span, an event or a point, with what they hold.
func Attrs(of Object) map[string]any {
	all := make(map[string]any)
	for _, a := range Objects(of["attributes"]) {
		value, _ := a["value"].(Object)
		for _, v := range value {
			all[fmt.Sprint(a["key"])] = v
		}
	}
	return all
}

// Shown writes the spans as lines of text, in order of their begin.
func (c *Collector) Shown() string {
	var b strings.Builder
	for _, s := range c.Spans() {
		fmt.Fprintf(&b, "%s\n  trace %s span %s parent %v kind %v flags %v\n  %s to %s status %v\n", s["name"], s["traceId"], s["spanId"], s["parentSpanId"], s["kind"], s["flags"],
			clock(s["startTimeUnixNano"]), clock(s["endTimeUnixNano"]), s["status"])
		ShowAttrs(&b, "  ", s)
		for _, e := range Objects(s["events"]) {
			fmt.Fprintf(&b, "  at %s %s\n", clock(e["timeUnixNano"]), e["name"])
			ShowAttrs(&b, "    ", e)
		}
		for _, l := range Objects(s["links"]) {
			fmt.Fprintf(&b, "  link %s %s\n", l["traceId"], l["spanId"])
		}
	}
	return b.String()
}

// ShowAttrs writes the attributes of a span, an event or a point, a line each.
func ShowAttrs(b *strings.Builder, indent string, of Object) {
	for _, a := range Objects(of["attributes"]) {
		value, _ := json.Marshal(a["value"])
		fmt.Fprintf(b, "%s%s = %s\n", indent, a["key"], value)
	}
}

func clock(nanos any) string {
	var n int64
	if _, err := fmt.Sscan(fmt.Sprint(nanos), &n); err != nil {
		return "?"
	}
	return time.Unix(0, n).UTC().Format("15:04:05.000")
}
