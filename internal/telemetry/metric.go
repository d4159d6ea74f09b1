package telemetry

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// An instrument is what one metric measures. Those with bounds are histograms,
// the others sums that only grow.
type instrument struct {
	unit, about string
	bounds      []float64
}

var (
	seconds      = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	agentSeconds = []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6}
	tokens       = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
)

// instruments has the metrics of the conventions, with their bounds, and ours.
var instruments = map[string]instrument{
	"gen_ai.client.token.usage":        {"{token}", "Number of input and output tokens used.", tokens},
	"gen_ai.client.operation.duration": {"s", "GenAI operation duration.", seconds},
	"gen_ai.execute_tool.duration":     {"s", "The duration of a single tool execution.", seconds},
	"gen_ai.invoke_agent.duration":     {"s", "The end-to-end duration of a single agent invocation.", agentSeconds},
	"ml_intern.cost":                   {"{USD}", "Money that was spent and settled, in US dollars.", nil},
	"ml_intern.jobs":                   {"{job}", "Jobs that were submitted.", nil},
}

// A series is one metric with one set of attributes.
type series struct {
	name    string
	attrs   []attr
	count   uint64
	sum     float64
	min     float64
	max     float64
	buckets []uint64
}

// maxSeries bounds what is kept; the rest is counted under no attributes.
const maxSeries = 1000

// metrics adds up what happened in this process.
type metrics struct {
	mu    sync.Mutex
	since time.Time // of what is in the series
	all   map[string]*series
	fresh bool // something was added since they were read
	delta bool
}

func (m *metrics) add(name string, value float64, attrs []attr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = make(map[string]*series)
	}
	if m.since.IsZero() {
		m.since = time.Now()
	}
	slices.SortFunc(attrs, func(a, b attr) int { return strings.Compare(a.key, b.key) })
	key := seriesKey(name, attrs)
	if m.all[key] == nil && len(m.all) >= maxSeries {
		key, attrs = name, nil
	}
	s := m.all[key]
	if s == nil {
		s = &series{name: name, attrs: attrs, min: value, max: value}
		if bounds := instruments[name].bounds; bounds != nil {
			s.buckets = make([]uint64, len(bounds)+1)
		}
		m.all[key] = s
	}
	s.count++
	s.sum += value
	s.min, s.max = min(s.min, value), max(s.max, value)
	if s.buckets != nil {
		at, _ := slices.BinarySearch(instruments[name].bounds, value) // a bound belongs to the bucket below it
		s.buckets[at]++
	}
	m.fresh = true
}

// seriesKey names a series. Attributes of metrics are strings.
func seriesKey(name string, attrs []attr) string {
	var b strings.Builder
	b.WriteString(name)
	for _, a := range attrs {
		text, _ := a.value.(string)
		b.WriteByte(0)
		b.WriteString(a.key)
		b.WriteByte(0)
		b.WriteString(text)
	}
	return b.String()
}

// take returns what there is to send, ordered, and since when; nothing if
// nothing was added.
func (m *metrics) take() (all []series, since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fresh {
		return nil, m.since
	}
	for _, s := range m.all {
		one := *s
		one.buckets = slices.Clone(s.buckets)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b series) int {
		return strings.Compare(seriesKey(a.name, a.attrs), seriesKey(b.name, b.attrs))
	})
	since, m.fresh = m.since, false
	if m.delta {
		m.all, m.since = nil, time.Now()
	}
	return all, since
}
