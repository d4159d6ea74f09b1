package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	firstPoll   = 10 * time.Millisecond
	slowestPoll = time.Second
	tailBytes   = 4 << 10

	// A backend across a network may fail now and then while a job runs for a
	// day; so many failures in a row end the waiting.
	toleratedErrors = 5
)

// Progress is what Wait reports of a job that is not done.
type Progress struct {
	Status   Status
	LastLine string // of its output
}

// String is the progress in a few words: "forest 12 s", "forest queued".
func (p Progress) String() string {
	name := p.Status.Name
	if name == "" {
		name = p.Status.ID
	}
	if p.Status.State == Running {
		return fmt.Sprintf("%s %.0f s", name, p.Status.Seconds())
	}
	return name + " " + string(p.Status.State)
}

// Summary is the progress of several jobs in one line, with the last output of
// the first that runs.
func Summary(open []Progress) string {
	var words []string
	last := ""
	for _, p := range open {
		words = append(words, p.String())
		if last == "" {
			last = p.LastLine
		}
	}
	text := strings.Join(words, ", ")
	if last != "" {
		text += " | " + last
	}
	return text
}

// Wait returns when all the jobs are done, with their statuses in the order of
// ids. About once a second it reports those that are not. When ctx ends or
// the backend fails it returns what it knows with the error; the jobs go on.
func Wait(ctx context.Context, b Backend, ids []string, report func([]Progress)) ([]Status, error) {
	statuses := make([]Status, len(ids))
	var reported time.Time
	failures := 0
	for poll := firstPoll; ; poll = min(poll*3/2, slowestPoll) {
		err := refresh(ctx, b, ids, statuses)
		if err == nil {
			failures = 0
		} else if failures++; ctx.Err() != nil || errors.Is(err, ErrNotFound) || failures >= toleratedErrors {
			return statuses, err
		}
		if err == nil && !slices.ContainsFunc(statuses, pending) {
			return statuses, nil
		}
		if reported.IsZero() {
			reported = time.Now() // most jobs of a test are done before a report is due
		} else if report != nil && time.Since(reported) >= slowestPoll-poll/2 {
			reportPending(ctx, b, statuses, report)
			reported = time.Now()
		}
		select {
		case <-ctx.Done():
			return statuses, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

func pending(s Status) bool { return !s.Done() }

// refresh asks again for every status that is not final.
func refresh(ctx context.Context, b Backend, ids []string, statuses []Status) error {
	for i, id := range ids {
		if statuses[i].ID != "" && statuses[i].Done() {
			continue
		}
		s, err := b.Status(ctx, id)
		if err != nil {
			return fmt.Errorf("ask for job %s: %w", id, err)
		}
		statuses[i] = s
	}
	return nil
}

// reportPending reports the jobs that are not done, all at once.
func reportPending(ctx context.Context, b Backend, statuses []Status, report func([]Progress)) {
	var open []Progress
	for _, s := range statuses {
		if s.ID != "" && pending(s) {
			open = append(open, Progress{Status: s, LastLine: LastLine(ctx, b, s.ID)})
		}
	}
	report(open)
}

// LastLine is the last line of a job's output that is not blank, "" if there
// is none or it cannot be read.
func LastLine(ctx context.Context, b Backend, id string) string {
	last := ""
	for line, err := range b.Logs(ctx, id, -tailBytes) {
		if err != nil {
			break
		}
		if text := strings.TrimSpace(line.Text); text != "" {
			last = text
		}
	}
	return last
}
