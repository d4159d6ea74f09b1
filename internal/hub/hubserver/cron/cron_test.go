package cron_test

import (
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver/cron"
)

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schedule, after, want string }{
		{"@hourly", "2026-01-02T03:04:05Z", "2026-01-02T04:00:00Z"},
		{"@hourly", "2026-01-02T04:00:00Z", "2026-01-02T05:00:00Z"},
		{" @Daily ", "2026-12-31T03:04:05Z", "2027-01-01T00:00:00Z"},
		{"@weekly", "2026-01-02T03:04:05Z", "2026-01-04T00:00:00Z"},
		{"@monthly", "2026-01-02T03:04:05Z", "2026-02-01T00:00:00Z"},
		{"@yearly", "2026-01-02T03:04:05Z", "2027-01-01T00:00:00Z"},
		{"* * * * *", "2026-01-02T03:04:05+05:00", "2026-01-01T22:05:00Z"},
		{"*/15 9-17 * * mon-fri", "2026-01-02T17:46:00Z", "2026-01-05T09:00:00Z"},
		{"5/20 * * * *", "2026-01-02T03:26:00Z", "2026-01-02T03:45:00Z"},
		{"0 9 * * 7", "2026-01-02T03:04:05Z", "2026-01-04T09:00:00Z"},
		{"0 0 13 * 5", "2026-01-02T03:04:05Z", "2026-01-09T00:00:00Z"}, // a Friday, or a 13th
		{"0 0 13 * *", "2026-01-02T03:04:05Z", "2026-01-13T00:00:00Z"},
		{"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"59 23 31 DEC *", "2026-01-02T03:04:05Z", "2026-12-31T23:59:00Z"},
		{"0 0 30 2 *", "2026-01-02T03:04:05Z", "0001-01-01T00:00:00Z"},
		{"1,2,40-42 * * * *", "2026-01-02T03:02:00Z", "2026-01-02T03:40:00Z"},
	} {
		s, err := cron.Parse(c.schedule)
		if err != nil {
			t.Error(err)
			continue
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(after).Format(time.RFC3339); got != c.want {
			t.Errorf("%q after %s is %s, want %s", c.schedule, c.after, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "@never", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
		"*/0 * * * *", "*/x * * * *", "5-1 * * * *", "1- * * * *", "-1 * * * *", ", * * * *", "+1 * * * * x",
	} {
		if s, err := cron.Parse(text); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("*/15 9-17 1,2 jan-MAR 5")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := cron.Parse(text)
		if err != nil {
			return
		}
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if next := s.Next(now); !next.IsZero() && !next.After(now) {
			t.Errorf("%q after %s is %s", text, now, next)
		}
	})
}
