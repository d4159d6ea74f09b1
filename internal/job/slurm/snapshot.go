package slurm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A snapshot is all that is known at one time of the jobs that are not done.
type snapshot struct {
	queue     queue
	queueErr  error // Slurm could not be asked; what jobs have noted counts all the same
	histories map[string]history
}

const (
	// pollEvery is how old a snapshot may be: one serves all jobs.
	pollEvery = time.Second

	historyMark = "ml-intern: squeue said"
)

// snapshot returns what is known, at most a second old and asked for after a
// time. It has all jobs that were ever asked for and were not done.
func (b *Backend) snapshot(ctx context.Context, after time.Time, ids ...string) (snapshot, error) {
	if b.live.add(b.unfinished, ids...) {
		after = time.Now()
	}
	return b.polled.get(ctx, pollEvery, after, func(ctx context.Context) (snapshot, error) {
		files := ""
		for _, id := range b.live.list() {
			files += " " + id + "/" + historyFile
		}
		out, err := b.run(ctx, b.squeue()+" 2>&1\necho \""+historyMark+" $?\"\n"+
			"cd "+quote(b.root()+"/"+jobsDir)+" 2>/dev/null && grep -H ''"+files+" /dev/null 2>/dev/null\n:")
		if err != nil {
			return snapshot{}, err
		}
		return parseSnapshot(out)
	})
}

func parseSnapshot(out string) (snapshot, error) {
	said, rest, ok := strings.Cut("\n"+out, "\n"+historyMark+" ")
	code, notes, _ := strings.Cut(rest, "\n")
	if !ok {
		return snapshot{}, fmt.Errorf("ask squeue: %w", errNoAnswer)
	}
	s := snapshot{queue: parseQueue(said), histories: parseHistories(notes)}
	if code != "0" {
		s.queueErr = fmt.Errorf("ask squeue: %s", complained(clip(said, 300), code))
	}
	return s, nil
}

// unfinished lists the jobs that are not known to be done.
func (b *Backend) unfinished() []string {
	records, _ := b.records().All() // who asks for one that cannot be read is told
	var ids []string
	for _, rec := range records {
		if !rec.Last.Done() {
			ids = append(ids, rec.ID)
		}
	}
	return ids
}

// live are the jobs that are not done, as far as this process has seen.
type live struct {
	mu  sync.Mutex
	ids map[string]bool
}

// add adds jobs, the first time also those that are there already, and reports
// whether one is new.
func (l *live) add(there func() []string, ids ...string) (isNew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil {
		l.ids = map[string]bool{}
		ids = append(there(), ids...)
	}
	for _, id := range ids {
		isNew = isNew || !l.ids[id]
		l.ids[id] = true
	}
	return isNew
}

func (l *live) remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ids, id)
}

func (l *live) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.ids))
}
