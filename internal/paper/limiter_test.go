package paper

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		began := time.Now()
		for range 3 {
			if err := l.turn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("three turns took %v", took)
		}
		// Of many at once, those whose turn is far are told at once.
		results := make(chan error, 20)
		for range 20 {
			go func() { results <- l.turn(t.Context()) }()
		}
		busy := 0
		for range 20 {
			if err := <-results; errors.Is(err, errBusy) {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if busy != 12 {
			t.Errorf("%d were turned away, want 12", busy)
		}
		l.refused(30 * time.Second)
		began = time.Now()
		if err := l.turn(t.Context()); !errors.Is(err, errBusy) || time.Since(began) != 0 {
			t.Errorf("after a refusal: %v", err)
		}
		time.Sleep(31 * time.Second)
		if err := l.turn(t.Context()); err != nil {
			t.Errorf("later: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.turn(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

func FuzzAtom(f *testing.F) {
	f.Add([]byte(`<feed><totalResults>1</totalResults><entry><id>http://arxiv.org/abs/2401.00001v1</id><title>T</title><author><name>A</name></author></entry></feed>`))
	f.Add([]byte(`<feed><entry><id>http://arxiv.org/api/errors#x</id><summary>incorrect id format</summary></entry></feed>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		papers, total, err := ParseAtom(text)
		if err != nil && (papers != nil || total != 0) || total < 0 {
			t.Fatal(papers, total, err)
		}
		for _, p := range papers {
			if _, err := ParseID(p.ID); err != nil || p.Title == "" {
				t.Fatalf("%+v", p)
			}
		}
	})
}
