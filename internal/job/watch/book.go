package watch

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ml-intern/internal/durable"
)

// A book is what was said, and what has to be said again until it is heard.
type book struct {
	Jobs map[string]*page `json:"jobs"`

	saved []byte // what the file holds
}

// A page is the book's of one job.
type page struct {
	Cursor  int64            `json:"cursor,omitempty"` // of its output, behind what was read
	Held    int64            `json:"held,omitempty"`   // and behind a line that may go on
	Said    map[Kind]*saying `json:"said,omitempty"`
	Pending []Event          `json:"pending,omitempty"`
	Ended   bool             `json:"ended,omitempty"` // and that was heard
}

// A saying is a condition. While it holds it is said once.
type saying struct {
	Times int  `json:"times"`
	Holds bool `json:"holds,omitempty"`
}

const (
	mostTimes = 3    // a condition that comes and goes is said no more often
	mostEnded = 2000 // jobs that have ended are remembered
)

func loadBook(path string) (*book, error) {
	b := &book{Jobs: map[string]*page{}}
	if path == "" {
		return b, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if b.Jobs == nil {
		b.Jobs = map[string]*page{}
	}
	for id, p := range b.Jobs {
		if p == nil {
			delete(b.Jobs, id)
		}
	}
	b.saved = data
	return b, nil
}

// save writes the file, whole or not at all, if anything has changed.
func (b *book) save(path string) error {
	if path == "" {
		return nil
	}
	b.forget()
	data, err := json.Marshal(b)
	if err == nil && string(data) != string(b.saved) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = durable.Replace(path, data)
		}
	}
	if err != nil {
		return fmt.Errorf("write down what was said of jobs: %w", err)
	}
	b.saved = data
	return nil
}

// forget drops the oldest of too many jobs that have ended. Ids begin with the
// time.
func (b *book) forget() {
	if len(b.Jobs) <= mostEnded {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(b.Jobs)) {
		if len(b.Jobs) > mostEnded && b.Jobs[id].Ended {
			delete(b.Jobs, id)
		}
	}
}

func (b *book) page(id string) *page {
	if b.Jobs[id] == nil {
		b.Jobs[id] = &page{}
	}
	return b.Jobs[id]
}

// pending are the events of the jobs that nobody has heard, oldest first.
func (b *book) pending(ids []string) []Event {
	var events []Event
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if p := b.Jobs[id]; p != nil {
			events = append(events, p.Pending...)
		}
	}
	slices.SortStableFunc(events, func(x, y Event) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
	return events
}

func (b *book) heard(e Event) {
	p := b.page(e.Job)
	p.Pending = slices.DeleteFunc(p.Pending, func(x Event) bool { return x.ID == e.ID })
	if e.Final() {
		*p = page{Ended: true, Pending: p.Pending}
	}
}

// begins reports whether a condition that holds has to be said.
func (p *page) begins(kind Kind) bool {
	s := p.Said[kind]
	return s == nil || !s.Holds && s.Times < mostTimes
}

// say puts down an event, if its condition was not said since it holds.
func (p *page) say(e Event) bool {
	if !p.begins(e.Kind) {
		return false
	}
	if p.Said == nil {
		p.Said = map[Kind]*saying{}
	}
	s := p.Said[e.Kind]
	if s == nil {
		s = &saying{}
		p.Said[e.Kind] = s
	}
	s.Times++
	s.Holds = true
	e.ID = fmt.Sprintf("%s/%s/%d", e.Job, e.Kind, s.Times)
	e.At = time.Now().UTC().Round(0)
	p.Pending = append(p.Pending, e)
	return true
}

// quietly puts down that a condition was said together with another job's.
func (p *page) quietly(kind Kind) {
	before := len(p.Pending)
	p.say(Event{Kind: kind})
	p.Pending = p.Pending[:before]
}

// over says that a condition does not hold any more.
func (p *page) over(kind Kind) {
	if s := p.Said[kind]; s != nil {
		s.Holds = false
	}
}
