package sqlite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
)

// reply is an event of about the size that a model's step has.
func reply(seq int64) session.Event {
	return session.Event{Seq: seq, Time: time.Now().UTC(), Reply: &session.Reply{Reply: llm.Reply{
		Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: strings.Repeat("some text ", 50)}}},
		End:     llm.End{Reason: llm.EndStop},
	}}}
}

// BenchmarkStart opens a store that exists and saves one event, as every run
// of the program does.
func BenchmarkStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "s.db")
	var seq int64
	for b.Loop() {
		s, err := sqlite.Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
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
		s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "s.db"))
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Append(b.Context(), "a", reply(1)); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkAppend saves one event of about 600 bytes, durably.
func BenchmarkAppend(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s.db"))
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

// BenchmarkAppendCrowd saves one event in each of many sessions at once, as a
// server does.
func BenchmarkAppendCrowd(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s.db"))
	var ids atomic.Int64
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		id := fmt.Sprint("s", ids.Add(1))
		var seq int64
		for pb.Next() {
			seq++
			if err := s.Append(b.Context(), id, reply(seq)); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkList lists 10,000 sessions.
func BenchmarkList(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s.db"))
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			for i := range 100 {
				if err := s.Append(b.Context(), fmt.Sprintf("s%d-%d", w, i), reply(1)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for b.Loop() {
		if list, err := s.List(b.Context()); err != nil || len(list) != 10_000 {
			b.Fatal(len(list), err)
		}
	}
}
