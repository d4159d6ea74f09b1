// Package cron reads the schedules of jobs: five fields as cron has them, or a
// word such as @hourly.
//
// Its one rule: time is UTC, so that no hour comes twice and none is missing.
// It owns nothing and starts nothing.
package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Schedule is a set of minutes.
type Schedule struct {
	minute, hour, day, month, weekday uint64 // a bit for each number

	// With both a day and a weekday that are not *, either is enough.
	either bool
}

var words = map[string]string{
	"@annually": "0 0 1 1 *", "@yearly": "0 0 1 1 *", "@monthly": "0 0 1 * *",
	"@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// A field is what one of the five may hold.
type field struct {
	name        string
	first, last int
	names       []string // of the numbers, from first on
}

var fields = [5]field{
	{name: "minute", last: 59},
	{name: "hour", last: 23},
	{name: "day", first: 1, last: 31},
	{name: "month", first: 1, last: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "weekday", last: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// Parse reads a schedule.
func Parse(text string) (Schedule, error) {
	text = strings.TrimSpace(text)
	if word, ok := words[strings.ToLower(text)]; ok {
		text = word
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return Schedule{}, fmt.Errorf("read schedule %.100q: want @hourly, @daily, @weekly, @monthly, @yearly, or the five fields of cron", text)
	}
	var sets [5]uint64
	for i, part := range parts {
		set, err := fields[i].parse(part)
		if err != nil {
			return Schedule{}, fmt.Errorf("read schedule %.100q: %w", text, err)
		}
		sets[i] = set
	}
	s := Schedule{minute: sets[0], hour: sets[1], day: sets[2], month: sets[3], weekday: sets[4]}
	if has(s.weekday, 7) {
		s.weekday |= 1 // Sunday, too
	}
	s.either = !strings.HasPrefix(parts[2], "*") && !strings.HasPrefix(parts[4], "*")
	return s, nil
}

// parse reads a list of numbers, spans, and steps.
func (f field) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(strings.ToLower(text), ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, fmt.Errorf("the %s %q has no step that is a number", f.name, part)
			}
		}
		from, to := f.first, f.last
		if span != "*" {
			a, b, ranged := strings.Cut(span, "-")
			if from, err = f.number(a); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if to, err = f.number(b); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
		}
		if from > to {
			return 0, fmt.Errorf("the %s %q goes backwards", f.name, part)
		}
		for n := from; n <= to; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f field) number(text string) (int, error) {
	for i, name := range f.names {
		if text == name {
			return f.first + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.first || n > f.last {
		return 0, fmt.Errorf("the %s %q is not a number from %d to %d", f.name, text, f.first, f.last)
	}
	return n, nil
}

func has(set uint64, n int) bool { return set>>n&1 == 1 }

// horizon is how far away the next time may be: from one 29 February to the
// next are up to eight years.
const horizon = 9 * 366

// Next is the first minute of the schedule after a time; zero if there is none.
func (s Schedule) Next(after time.Time) time.Time {
	t := after.UTC().Truncate(time.Minute).Add(time.Minute)
	end := t.AddDate(0, 0, horizon)
	for t.Before(end) {
		switch {
		case !has(s.month, int(t.Month())) || !s.onDay(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !has(s.hour, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !has(s.minute, t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

func (s Schedule) onDay(t time.Time) bool {
	day, weekday := has(s.day, t.Day()), has(s.weekday, int(t.Weekday()))
	if s.either {
		return day || weekday
	}
	return day && weekday
}
