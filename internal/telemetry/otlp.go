package telemetry

import (
	"encoding/json"
	"strconv"
	"time"
)

// What follows is OTLP in its JSON form: ids in hex, long numbers as text.
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding

type wireAttr struct {
	Key   string    `json:"key"`
	Value wireValue `json:"value"`
}

// A wireValue has exactly one of its fields.
type wireValue struct {
	String *string    `json:"stringValue,omitempty"`
	Bool   *bool      `json:"boolValue,omitempty"`
	Int    *string    `json:"intValue,omitempty"`
	Double *float64   `json:"doubleValue,omitempty"`
	Array  *wireArray `json:"arrayValue,omitempty"`
}

type wireArray struct {
	Values []wireValue `json:"values"`
}

type wireSpan struct {
	TraceID  string      `json:"traceId"`
	SpanID   string      `json:"spanId"`
	ParentID string      `json:"parentSpanId,omitempty"`
	Flags    uint32      `json:"flags"`
	Name     string      `json:"name"`
	Kind     int         `json:"kind"`
	Begin    string      `json:"startTimeUnixNano"`
	End      string      `json:"endTimeUnixNano"`
	Attrs    []wireAttr  `json:"attributes,omitempty"`
	Events   []wireEvent `json:"events,omitempty"`
	Dropped  int         `json:"droppedEventsCount,omitempty"`
	Links    []wireLink  `json:"links,omitempty"`
	Status   wireStatus  `json:"status"`
}

type wireStatus struct {
	Code int `json:"code,omitempty"` // 2 for an error; what it says may be content, so it stays here
}

type wireEvent struct {
	Time  string     `json:"timeUnixNano"`
	Name  string     `json:"name"`
	Attrs []wireAttr `json:"attributes,omitempty"`
}

type wireLink struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	Flags   uint32 `json:"flags"`
}

type wireResource struct {
	Attrs []wireAttr `json:"attributes"`
}

type wireScope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// attrs writes attributes, every text without secrets.
func (o Options) attrs(all []attr) []wireAttr {
	out := make([]wireAttr, 0, len(all))
	for _, a := range all {
		out = append(out, wireAttr{a.key, o.value(a.value)})
	}
	return out
}

func (o Options) value(v any) (w wireValue) {
	text := func(s string) wireValue { s = o.text(s); return wireValue{String: &s} }
	switch v := v.(type) {
	case string:
		return text(v)
	case content:
		return text(string(v))
	case []message:
		s := o.messages(v) // of texts that are clean
		return wireValue{String: &s}
	case int:
		s := strconv.Itoa(v)
		w.Int = &s
	case float64:
		w.Double = &v
	case bool:
		w.Bool = &v
	case []string:
		w.Array = &wireArray{Values: []wireValue{}}
		for _, s := range v {
			w.Array.Values = append(w.Array.Values, text(s))
		}
	}
	return w
}

func (o Options) span(s *span) ([]byte, error) {
	w := wireSpan{
		TraceID: s.trace.String(), SpanID: s.id.String(), ParentID: s.parent.String(), Flags: flags(s.remote), Name: o.text(s.name), Kind: s.kind,
		Begin: nanos(s.begin), End: nanos(s.end), Attrs: o.attrs(s.attrs), Dropped: s.overflow,
	}
	for _, e := range s.events {
		w.Events = append(w.Events, wireEvent{nanos(e.at), e.name, o.attrs(e.attrs)})
	}
	for _, l := range s.links {
		w.Links = append(w.Links, wireLink{l.trace.String(), l.span.String(), flags(true)})
	}
	if s.failure != "" {
		w.Status.Code = 2
	}
	return json.Marshal(w)
}

// resource is what is said of this process.
func (r *Reader) resource() wireResource {
	all := []attr{{"service.name", r.opts.Service}, {"service.version", r.opts.Version}, {"service.instance.id", r.instance}}
	for _, key := range sortedKeys(r.opts.Resource) {
		if key != "service.name" {
			all = append(all, attr{key, r.opts.Resource[key]})
		}
	}
	return wireResource{r.opts.attrs(all)}
}

func (r *Reader) scope() wireScope { return wireScope{"ml-intern", r.opts.Version} }

// spans writes a request of spans that are written already.
func (r *Reader) spans(spans []json.RawMessage) ([]byte, error) {
	type scoped struct {
		Scope wireScope         `json:"scope"`
		Spans []json.RawMessage `json:"spans"`
	}
	type resourced struct {
		Resource wireResource `json:"resource"`
		Scoped   []scoped     `json:"scopeSpans"`
	}
	return json.Marshal(struct {
		Resourced []resourced `json:"resourceSpans"`
	}{[]resourced{{r.resource(), []scoped{{r.scope(), spans}}}}})
}

type wirePoint struct {
	Attrs   []wireAttr `json:"attributes"`
	Begin   string     `json:"startTimeUnixNano"`
	Time    string     `json:"timeUnixNano"`
	Double  *float64   `json:"asDouble,omitempty"` // of a sum
	Count   string     `json:"count,omitempty"`    // and below of a histogram
	Sum     *float64   `json:"sum,omitempty"`
	Min     *float64   `json:"min,omitempty"`
	Max     *float64   `json:"max,omitempty"`
	Buckets []string   `json:"bucketCounts,omitempty"`
	Bounds  []float64  `json:"explicitBounds,omitempty"`
}

type wireSeries struct {
	Points      []wirePoint `json:"dataPoints"`
	Temporality int         `json:"aggregationTemporality"` // 1 delta, 2 cumulative
	Monotonic   bool        `json:"isMonotonic,omitempty"`
}

type wireMetric struct {
	Name      string      `json:"name"`
	About     string      `json:"description,omitempty"`
	Unit      string      `json:"unit,omitempty"`
	Sum       *wireSeries `json:"sum,omitempty"`
	Histogram *wireSeries `json:"histogram,omitempty"`
}

// measures writes a request of metrics; the series are ordered by name.
func (r *Reader) measures(all []series, since, now time.Time) ([]byte, error) {
	temporality := 2
	if r.opts.Delta {
		temporality = 1
	}
	var list []wireMetric
	for _, s := range all {
		kind := instruments[s.name]
		if n := len(list); n == 0 || list[n-1].Name != s.name {
			list = append(list, wireMetric{Name: s.name, About: kind.about, Unit: kind.unit})
			to := &wireSeries{Temporality: temporality}
			if kind.bounds == nil {
				to.Monotonic = true
				list[n].Sum = to
			} else {
				list[n].Histogram = to
			}
		}
		m := &list[len(list)-1]
		p := wirePoint{Attrs: r.opts.attrs(s.attrs), Begin: nanos(since), Time: nanos(now)}
		if m.Sum != nil {
			p.Double = &s.sum
			m.Sum.Points = append(m.Sum.Points, p)
			continue
		}
		p.Count, p.Sum, p.Min, p.Max, p.Bounds = strconv.FormatUint(s.count, 10), &s.sum, &s.min, &s.max, kind.bounds
		for _, n := range s.buckets {
			p.Buckets = append(p.Buckets, strconv.FormatUint(n, 10))
		}
		m.Histogram.Points = append(m.Histogram.Points, p)
	}
	type scoped struct {
		Scope   wireScope    `json:"scope"`
		Metrics []wireMetric `json:"metrics"`
	}
	type resourced struct {
		Resource wireResource `json:"resource"`
		Scoped   []scoped     `json:"scopeMetrics"`
	}
	return json.Marshal(struct {
		Resourced []resourced `json:"resourceMetrics"`
	}{[]resourced{{r.resource(), []scoped{{r.scope(), list}}}}})
}
