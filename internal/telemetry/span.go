package telemetry

import (
	"time"

	"ml-intern/internal/llm"
)

// The kinds of spans, as the protocol numbers them.
const (
	kindInternal = 1
	kindClient   = 3
)

// A span is one thing that took time. It is open until it is sent.
type span struct {
	trace    traceID
	id       spanID
	parent   spanID
	remote   bool // the parent is in another program
	name     string
	kind     int
	begin    time.Time
	end      time.Time
	attrs    []attr
	events   []event
	links    []parent
	failure  string // error.type, "" if it went well
	overflow int    // events that had no room
}

// An attr is a name and a string, int, float64, bool, []string, or what the
// person asked to have sent: content or messages.
type attr struct {
	key   string
	value any
}

// An event is a moment of a span.
type event struct {
	at    time.Time
	name  string
	attrs []attr
}

// maxEvents of one span, as OpenTelemetry has it.
const maxEvents = 128

func (s *span) add(attrs ...attr) { s.attrs = append(s.attrs, attrs...) }

func (s *span) happened(at time.Time, name string, attrs ...attr) {
	if len(s.events) >= maxEvents {
		s.overflow++
		return
	}
	s.events = append(s.events, event{at, "ml_intern." + name, attrs})
}

// count adds to a number that is an attribute.
func (s *span) count(key string, n int) {
	if n == 0 {
		return
	}
	for i := range s.attrs {
		if s.attrs[i].key == key {
			s.attrs[i].value = s.attrs[i].value.(int) + n
			return
		}
	}
	s.add(attr{key, n})
}

func (s *span) usage(u llm.Usage) {
	s.count("gen_ai.usage.input_tokens", u.Input)
	s.count("gen_ai.usage.output_tokens", u.Output)
	s.count("gen_ai.usage.cache_read.input_tokens", u.CacheRead)
	s.count("gen_ai.usage.cache_creation.input_tokens", u.CacheWrite)
}

func (s *span) seconds() float64 { return s.end.Sub(s.begin).Seconds() }
