package telemetry

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"ml-intern/internal/lazyregexp"
)

// Options say where telemetry goes and what is in it. The zero Options send
// nothing.
type Options struct {
	Traces, Metrics Target

	Service  string            // the name under which this program is known
	Resource map[string]string // what else is said of it
	Content  bool              // what was said is sent too
	MaxText  int               // bytes of one text of it
	Parent   string            // the traceparent of who started this program, "" for none
	Delta    bool              // metrics say what was added since, not the sum

	sampler     sampler
	spanDelay   time.Duration // between two requests with spans
	metricDelay time.Duration // and with metrics
	queue       int           // spans that wait at most
	batch       int           // spans of one request

	Patience time.Duration // of Close with a collector that has not failed; 5 s if 0

	// Version of the program, and what takes secrets out of a text; nil for none.
	Version string
	Redact  func(text string) string
}

// A Target is where one kind of telemetry goes. The zero Target is nowhere.
type Target struct {
	URL     string
	Headers http.Header // may hold secrets
	Gzip    bool
	Timeout time.Duration // of one request

	certificate, clientCertificate, clientKey string // files
}

// On reports whether anything is sent anywhere.
func (o Options) On() bool { return o.Traces.URL != "" || o.Metrics.URL != "" }

// Secrets are what no log and no model may see: the values of the headers, but
// those that are plainly a name.
func (o Options) Secrets() []string {
	var all []string
	for _, t := range []Target{o.Traces, o.Metrics} {
		for name, values := range t.Headers {
			for _, v := range values {
				if !keyName.MatchString(name) && (len(v) < 16 || !strings.ContainsAny(v, "0123456789")) {
					continue
				}
				all = append(all, v)
				if _, bare, found := strings.Cut(v, " "); found { // Bearer TOKEN
					all = append(all, strings.TrimSpace(bare))
				}
			}
		}
		all = append(all, addressSecrets(t.URL)...)
	}
	return all
}

// addressSecrets are the parts of an address that may be a key.
func addressSecrets(address string) (all []string) {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	if password, ok := u.User.Password(); ok {
		all = append(all, password)
	}
	for name, values := range u.Query() {
		if keyName.MatchString(name) {
			all = append(all, values...)
		}
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if mayBeKey(part) {
			all = append(all, part)
		}
	}
	return all
}

// mayBeKey reports whether a part of a path may be a key.
func mayBeKey(part string) bool { return len(part) >= 20 && strings.ContainsAny(part, "0123456789") }

// keyName matches the names of headers that hold keys.
var keyName = lazyregexp.New(`(?i)auth|key|token|secret|password|cookie|credential`)

// FromEnv reads the variables of OpenTelemetry. As its specification has it, a
// wrong value is told and passed over; it never stops the program.
func FromEnv(getenv func(string) string) (Options, []string) {
	e := &env{getenv: func(name string) string { return strings.TrimSpace(getenv(name)) }}
	if strings.EqualFold(e.getenv("OTEL_SDK_DISABLED"), "true") {
		return Options{}, nil
	}
	o := Options{Traces: e.target("TRACES", "/v1/traces"), Metrics: e.target("METRICS", "/v1/metrics")}
	if !o.On() {
		return Options{}, e.problems
	}
	o.Resource = e.pairs("OTEL_RESOURCE_ATTRIBUTES")
	o.Service = cmp.Or(e.getenv("OTEL_SERVICE_NAME"), o.Resource["service.name"], "ml-intern")
	o.Content = strings.EqualFold(e.getenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"), "true")
	o.MaxText = e.number(cmp.Or(e.set("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"), "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), defaultText)
	if parent := e.getenv("TRACEPARENT"); parent != "" {
		if _, ok := parseParent(parent); ok {
			o.Parent = parent
		} else {
			e.say("TRACEPARENT is none of W3C trace context: these spans have no parent")
		}
	}
	switch preference := e.getenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"); strings.ToLower(preference) {
	case "", "cumulative":
	case "delta", "lowmemory":
		o.Delta = true
	default:
		e.say("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is cumulative or delta, not %q", preference)
	}
	o.sampler = e.sampler()
	o.spanDelay = e.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second)
	o.metricDelay = e.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", time.Minute)
	o.queue = e.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)
	o.batch = min(e.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512), o.queue)
	return o, e.problems
}

// defaultText is how much of one text is sent, in bytes, if nothing is said.
const defaultText = 32 << 10

// env reads variables and gathers what is wrong with them.
type env struct {
	getenv   func(string) string
	problems []string
}

// say notes a problem. A value that may be secret is no part of it.
func (e *env) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(e.problems, text) { // both kinds of telemetry may have it
		e.problems = append(e.problems, text)
	}
}

// set is the name if the variable is set, else "".
func (e *env) set(name string) string {
	if e.getenv(name) == "" {
		return ""
	}
	return name
}

// of names the variable that counts for a kind of telemetry: its own, else the
// one for all.
func (e *env) of(kind, what string) string {
	return cmp.Or(e.set("OTEL_EXPORTER_OTLP_"+kind+"_"+what), "OTEL_EXPORTER_OTLP_"+what)
}

// target is where a kind of telemetry goes, the zero Target if nobody said so
// or what they said cannot be done.
func (e *env) target(kind, path string) Target {
	name := e.of(kind, "ENDPOINT")
	address := e.getenv(name)
	if address == "" {
		return Target{}
	}
	switch exporter := e.getenv("OTEL_" + kind + "_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return Target{}
	default:
		e.say("OTEL_%s_EXPORTER is otlp or none here, not %q: nothing of it is sent", kind, exporter)
		return Target{}
	}
	switch protocol := e.getenv(e.of(kind, "PROTOCOL")); protocol {
	case "", "http/json", "http/protobuf": // who takes one over HTTP takes the other at the same address
	case "grpc":
		e.say("%s=grpc is not spoken here, so nothing is sent: set it to http/json, and the address to the collector's port for HTTP, usually 4318", e.of(kind, "PROTOCOL"))
		return Target{}
	default:
		e.say("%s is http/json here, not %q: nothing is sent", e.of(kind, "PROTOCOL"), protocol)
		return Target{}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		e.say("%s is no address such as http://localhost:4318: nothing is sent", name)
		return Target{}
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u.Path = strings.TrimRight(u.Path, "/") + path
	}
	t := Target{
		URL: u.String(), Headers: make(http.Header), Timeout: e.milliseconds(e.of(kind, "TIMEOUT"), 10*time.Second),
		certificate: e.getenv(e.of(kind, "CERTIFICATE")), clientCertificate: e.getenv(e.of(kind, "CLIENT_CERTIFICATE")), clientKey: e.getenv(e.of(kind, "CLIENT_KEY")),
	}
	headers := e.of(kind, "HEADERS")
	for key, value := range e.pairs(headers) {
		if !httpguts.ValidHeaderFieldName(key) || !httpguts.ValidHeaderFieldValue(value) {
			e.say("%s has something that is no header: it is left out", headers)
			continue
		}
		t.Headers.Set(key, value)
	}
	switch compression := e.getenv(e.of(kind, "COMPRESSION")); compression {
	case "", "none":
	case "gzip":
		t.Gzip = true
	default:
		e.say("%s is gzip or none, not %q: nothing is compressed", e.of(kind, "COMPRESSION"), compression)
	}
	return t
}

// pairs reads key=value,key=value, with escapes as in an address.
func (e *env) pairs(name string) map[string]string {
	all := make(map[string]string)
	for pair := range strings.SplitSeq(e.getenv(name), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, valueErr := url.PathUnescape(strings.TrimSpace(value))
		if !found || key == "" || keyErr != nil || valueErr != nil {
			e.say("%s has a part that is not key=value: it is left out", name)
			continue
		}
		all[key] = value
	}
	return all
}

// number reads a positive number.
func (e *env) number(name string, usual int) int {
	text := e.getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > math.MaxInt32 {
		e.say("%s is a positive number, not %q: %d is taken", name, text, usual)
		return usual
	}
	return n
}

func (e *env) milliseconds(name string, usual time.Duration) time.Duration {
	return time.Duration(e.number(name, int(usual/time.Millisecond))) * time.Millisecond
}

// A sampler says which traces are sent. The zero sampler sends all whose parent
// is sent.
type sampler struct {
	alone bool    // whatever the parent's is
	less  float64 // the share of traces that is not sent
}

func (e *env) sampler() (s sampler) {
	name := e.getenv("OTEL_TRACES_SAMPLER")
	kind, parent := strings.CutPrefix(name, "parentbased_")
	s.alone = name != "" && !parent
	switch kind {
	case "", "always_on":
	case "always_off":
		s.less = 1
	case "traceidratio":
		text := e.getenv("OTEL_TRACES_SAMPLER_ARG")
		share, err := strconv.ParseFloat(text, 64)
		if text != "" && (err != nil || !(share >= 0 && share <= 1)) {
			e.say("OTEL_TRACES_SAMPLER_ARG is a share from 0 to 1, not %q: all traces are sent", text)
		} else if text != "" {
			s.less = 1 - share
		}
	default:
		e.say("OTEL_TRACES_SAMPLER is always_on, always_off, traceidratio or one of these after parentbased_, not %q: all traces are sent", name)
		s.alone = false
	}
	return s
}
