package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what the model may say in one session.
const (
	maxSaid  = 20
	saidSpan = time.Hour
)

// toolPatience is how long a tool waits for who wants to be left alone.
const toolPatience = 15 * time.Second

// A Word is what the model wants to have said.
type Word struct {
	CallID   string
	To       []string // names; all that it may send to if there are none
	Severity string   // Info if empty
	Title    string
	Text     string
}

// An Outcome is what became of a message at one destination.
type Outcome struct {
	Name string
	Err  error
}

// Tell sends what the model says, to all at once. It is refused as a whole if
// one of them is not for the model, or too much was said lately.
func (f *Follower) Tell(ctx context.Context, w Word) ([]Outcome, error) {
	to, err := f.agents(w.To)
	if err != nil {
		return nil, err
	}
	if err := f.count(); err != nil {
		return nil, err
	}
	m := Message{
		ID: saidID(f.id, w.CallID), Event: Said, Severity: w.Severity, Title: w.Title, Text: w.Text,
		Session: f.id, Time: time.Now().UTC(),
	}
	f.mu.Lock()
	if f.digest != nil {
		m.Model, m.Dir = f.digest.model, f.digest.dir
	}
	redact := f.redact
	f.mu.Unlock()
	if m.Severity == "" {
		m.Severity = Info
	}
	if strings.TrimSpace(m.Title) == "" {
		m.Title = "A message of the agent"
	}
	m = m.tidy(redact)
	all := make([]Outcome, len(to))
	var wg sync.WaitGroup
	for i, d := range to {
		wg.Go(func() { all[i] = Outcome{d.Name, Try(ctx, d, m)} })
	}
	wg.Wait()
	return all, nil
}

// Try sends one message to a destination, now.
func Try(ctx context.Context, d Destination, m Message) error {
	nothing := func() error { return nil }
	return deliver(ctx, d.To, m, toolPatience, nothing, nothing)
}

// Test is the message with which a person tries a destination.
func Test(now time.Time) Message {
	return Message{
		ID: fmt.Sprintf("msg_test_%d", now.UnixNano()), Event: Tried, Severity: Info, Title: "Test of a notification",
		Text: "If you can read this, **notifications** of ml-intern arrive here.", Time: now.UTC(),
	}
}

// agents are the destinations of those names, if all are for the model.
func (f *Follower) agents(names []string) ([]Destination, error) {
	may := f.AgentNames()
	if len(names) == 0 {
		names = may
	}
	var to []Destination
	for _, name := range names {
		name = strings.TrimSpace(name)
		if !slices.Contains(may, name) {
			return nil, fmt.Errorf("%q is no destination that you may send to, so nothing was sent; there are %s", shorten(name, 60), strings.Join(may, ", "))
		}
		if !slices.ContainsFunc(to, func(d Destination) bool { return d.Name == name }) {
			to = append(to, f.opts.Destinations[slices.IndexFunc(f.opts.Destinations, func(d Destination) bool { return d.Name == name })])
		}
	}
	return to, nil
}

// count notes that something is said, unless it was too often lately.
func (f *Follower) count() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.load()
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	r.Said = slices.DeleteFunc(r.Said, func(at time.Time) bool { return now.Sub(at) >= saidSpan })
	if len(r.Said) >= maxSaid {
		return fmt.Errorf("%d messages were sent in the last hour, which is the limit; nothing was sent: go on with the work", maxSaid)
	}
	r.Said = append(r.Said, now)
	if err := r.save(); err != nil {
		return errors.Join(errRecord, err)
	}
	return nil
}
