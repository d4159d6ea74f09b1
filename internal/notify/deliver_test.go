package notify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/notify"
)

// tries is a Sender that answers each try in turn, and notes when it came.
type tries struct {
	start   time.Time
	at      []time.Duration
	ids     []string
	answers []error
}

func (s *tries) Send(_ context.Context, m notify.Message) error {
	s.at, s.ids = append(s.at, time.Since(s.start)), append(s.ids, m.ID)
	if len(s.answers) == 0 {
		return nil
	}
	err := s.answers[0]
	s.answers = s.answers[1:]
	return err
}

// What may pass is tried again after 1, 2 and 4 seconds, or when the other side
// says; what will not pass is not.
func TestTries(t *testing.T) {
	t.Parallel()
	busy := &notify.Failure{Text: "busy", Again: true}
	asks := &notify.Failure{Text: "busy", Again: true, After: 9 * time.Second}
	for name, c := range map[string]struct {
		answers []error
		at      []time.Duration
		err     string
	}{
		"at once":              {nil, []time.Duration{0}, ""},
		"the second time":      {[]error{busy}, []time.Duration{0, 1}, ""},
		"the last time":        {[]error{busy, errors.New("reset"), busy}, []time.Duration{0, 1, 3, 7}, ""},
		"never":                {[]error{busy, busy, busy, busy}, []time.Duration{0, 1, 3, 7}, "busy, 4 times"},
		"when it says":         {[]error{asks}, []time.Duration{0, 9}, ""},
		"not in so long":       {[]error{&notify.Failure{Text: "busy", Again: true, After: time.Hour}}, []time.Duration{0}, "wants to be left alone for 1h0m0s"},
		"refused":              {[]error{&notify.Failure{Text: "no such channel"}}, []time.Duration{0}, "no such channel"},
		"it may have arrived":  {[]error{&notify.Failure{Text: "gone", Again: true, Doubt: true}}, []time.Duration{0}, "it may have arrived"},
		"no answer in time":    {[]error{context.DeadlineExceeded}, []time.Duration{0, 1}, ""},
		"a less patient pause": {[]error{&notify.Failure{Text: "busy", Again: true, After: time.Millisecond}}, []time.Duration{0, 1}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &tries{start: time.Now(), answers: c.answers}
			err := notify.Try(t.Context(), notify.Destination{To: s}, notify.Message{ID: "m1"})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			ok := len(s.at) == len(c.at)
			for i := range s.at {
				ok = ok && s.at[i] == c.at[i]*time.Second && s.ids[i] == "m1"
			}
			if !ok {
				t.Errorf("%s: tried at %v, want %v s", name, s.at, c.at)
			}
		})
	}
}
