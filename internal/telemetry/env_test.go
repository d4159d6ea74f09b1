package telemetry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/telemetry"
)

func fromEnv(vars map[string]string) (telemetry.Options, []string) {
	return telemetry.FromEnv(func(name string) string { return vars[name] })
}

func TestTargets(t *testing.T) {
	t.Parallel()
	const base, traces, metrics = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	for _, test := range []struct {
		vars            map[string]string
		traces, metrics string
		told            string
	}{
		{nil, "", "", ""},
		{map[string]string{base: "http://h:4318"}, "http://h:4318/v1/traces", "http://h:4318/v1/metrics", ""},
		{map[string]string{base: " http://h:4318/otlp/ "}, "http://h:4318/otlp/v1/traces", "http://h:4318/otlp/v1/metrics", ""},
		{map[string]string{traces: "https://h/in"}, "https://h/in", "", ""},
		{map[string]string{base: "http://h", metrics: "http://m/x"}, "http://h/v1/traces", "http://m/x", ""},
		{map[string]string{base: "http://h", "OTEL_TRACES_EXPORTER": "none"}, "", "http://h/v1/metrics", ""},
		{map[string]string{base: "http://h", "OTEL_METRICS_EXPORTER": "prometheus"}, "http://h/v1/traces", "", "OTEL_METRICS_EXPORTER"},
		{map[string]string{base: "http://h", "OTEL_SDK_DISABLED": "True"}, "", "", ""},
		{map[string]string{base: "http://h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "", "", "usually 4318"},
		{map[string]string{base: "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, "http://h/v1/traces", "", "grpc"},
		{map[string]string{base: "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier pigeon"}, "", "", "carrier pigeon"},
		{map[string]string{base: "localhost:4318"}, "", "", "no address"},
		{map[string]string{base: "http://"}, "", "", "no address"},
		{map[string]string{base: "http://user:secret@h:x"}, "", "", "no address"},
	} {
		o, told := fromEnv(test.vars)
		if o.Traces.URL != test.traces || o.Metrics.URL != test.metrics || (test.told == "") != (len(told) == 0) || !strings.Contains(strings.Join(told, ""), test.told) {
			t.Errorf("%v: %q %q, told %q", test.vars, o.Traces.URL, o.Metrics.URL, told)
		}
		if strings.Contains(strings.Join(told, ""), "secret") || len(told) > 1 {
			t.Errorf("%v: told %q", test.vars, told)
		}
	}
}

// A wrong value is told in one line, and what is usual is taken.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_TIMEOUT": "soon", "OTEL_EXPORTER_OTLP_COMPRESSION": "zip", "OTEL_EXPORTER_OTLP_HEADERS": "a b=secret", "OTEL_RESOURCE_ATTRIBUTES": "secret",
		"OTEL_TRACES_SAMPLER": "dice", "OTEL_BSP_SCHEDULE_DELAY": "-1", "OTEL_BSP_MAX_QUEUE_SIZE": "0", "OTEL_METRIC_EXPORT_INTERVAL": "1e9", "TRACEPARENT": "00-0-0-0",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cold", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "x",
	} {
		o, told := fromEnv(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", name: value})
		if len(told) != 1 || !strings.Contains(told[0], name) || strings.Contains(told[0], "secret") || !o.On() || o.Traces.Timeout != 10*time.Second {
			t.Errorf("%s=%s: %q, on %v", name, value, told, o.On())
		}
	}
	if _, told := fromEnv(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "7"}); len(told) != 1 {
		t.Errorf("told %q", told)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	o, _ := fromEnv(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:pass-word@h/in/0123456789abcdefghij/a-long-word-without-numbers?api_key=in-query&x=y", "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20tok,x-honeycomb-team=abcdef0123456789abcd,x-scope-orgid=production",
	})
	got := o.Secrets()
	for _, want := range []string{"Bearer tok", "tok", "abcdef0123456789abcd", "pass-word", "0123456789abcdefghij", "in-query"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if slices.Contains(got, "production") || slices.Contains(got, "a-long-word-without-numbers") {
		t.Error("a plain name is no secret")
	}
	if place := o.Traces.Place(); place != "http://h/in/…/a-long-word-without-numbers/v1/traces" {
		t.Error(place)
	}
}

// Which sessions are sent, and to which parent, is the same in every process.
func TestSampling(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sampler, share, parent string
		sent                   bool
	}{
		{"", "", "-01", true},
		{"", "", "-00", false},
		{"always_on", "", "-00", true},
		{"parentbased_always_off", "", "-01", true},
		{"parentbased_traceidratio", "0", "-01", true},
		{"parentbased_traceidratio", "1", "-00", false},
		{"traceidratio", "0", "-01", false},
		{"traceidratio", "1", "-01", true},
		{"traceidratio", "", "-01", true},
		{"always_off", "", "-01", false},
	} {
		c := collect(t)
		r := c.reader(t, map[string]string{"OTEL_TRACES_SAMPLER": test.sampler, "OTEL_TRACES_SAMPLER_ARG": test.share, "OTEL_METRICS_EXPORTER": "none"})
		events := story()
		for i := range events {
			if o := events[i].event.Opened; o != nil {
				o.Trace = o.Trace[:len(o.Trace)-3] + test.parent
			}
		}
		tell(t, r, &memory{}, events)
		r.Close()
		if sent := len(c.Spans()) > 0; sent != test.sent {
			t.Errorf("%+v: sent %v", test, sent)
		}
	}
}

// Who goes on with a session under another parent is linked from its turns.
func TestAnotherParent(t *testing.T) {
	t.Parallel()
	c := collect(t)
	const other = "00-11111111111111111111111111111111-2222222222222222-01"
	r := c.reader(t, map[string]string{"TRACEPARENT": other})
	if r.Parent() != other {
		t.Error(r.Parent())
	}
	tell(t, r, &memory{}, story())
	r.Close()
	if got := strings.Count(c.Shown(), "link 11111111111111111111111111111111 2222222222222222"); got != 2 {
		t.Errorf("%d links", got)
	}
}

func FuzzFromEnv(f *testing.F) {
	f.Add("http://h", "a=b,c=%20", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "5")
	f.Add("https://[::1]:4318/x?y#z", "=,=,%zz=1", "ff-", "-1")
	f.Fuzz(func(t *testing.T, address, pairs, parent, number string) {
		o, told := fromEnv(map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_HEADERS": pairs, "OTEL_RESOURCE_ATTRIBUTES": pairs, "TRACEPARENT": parent,
			"OTEL_EXPORTER_OTLP_TIMEOUT": number, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": number,
		})
		if o.Traces.Timeout < 0 || len(told) > 10 {
			t.Errorf("%v, %q", o.Traces.Timeout, told)
		}
		if r := telemetry.New(o, told); o.On() && r == nil {
			t.Error("no reader")
		}
	})
}
