package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
)

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// reply is an event of about the size that a model's step has.
func reply(seq int64) session.Event {
	return session.Event{Seq: seq, Time: time.Now().UTC(), Reply: &llm.Reply{
		Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: strings.Repeat("some text ", 50)}}},
		End:     llm.End{Reason: llm.EndStop},
	}}
}

// BenchmarkStart opens a store that exists and saves one event, as every run
// of the program does.
func BenchmarkStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "s.db")
	var seq int64
	for b.Loop() {
		s := open(b, path)
		seq++
		if err := s.Append(b.Context(), "a", reply(seq)); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkFirstStart makes the store too.
func BenchmarkFirstStart(b *testing.B) {
	for b.Loop() {
		s := open(b, filepath.Join(b.TempDir(), "s.db"))
		if err := s.Append(b.Context(), "a", reply(1)); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkAppend saves one event of about 600 bytes, durably.
func BenchmarkAppend(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s.db"))
	defer s.Close()
	var seq int64
	for b.Loop() {
		seq++
		if err := s.Append(b.Context(), "a", reply(seq)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad reads a session of 10,000 events, 6 MB.
func BenchmarkLoad(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s.db"))
	defer s.Close()
	var events []session.Event
	for i := range 10_000 {
		events = append(events, reply(int64(i)+1))
	}
	if err := s.Append(b.Context(), "a", events...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		for _, err := range s.Load(b.Context(), "a", 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
}
