package ssh

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// absent is the state of a job that the machine does not know.
const absent job.State = "absent"

// A sight is what the machine said of a job.
type sight struct {
	state        job.State
	code         int
	began, ended time.Time // by its clock
	sha, gpus    string
	why          string
	skew         time.Duration // how far its clock is behind this one
}

const (
	// smallSkew is how far two clocks may be apart and count as the same.
	smallSkew = 3 * time.Second

	fresh     = 200 * time.Millisecond // how old an answer may be
	watchTime = 5 * time.Second        // for so long a question about one job asks for those asked for before
	perLook   = 200                    // jobs of one question
)

// A board has the last answers about jobs, so that who watches many asks once.
type board struct {
	turn  chan struct{} // full while somebody asks or reads
	asked map[string]time.Time
	seen  map[string]sight
	at    time.Time
}

// lock takes the board, unless ctx ends before it can.
func (d *board) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case d.turn <- struct{}{}:
		return func() { <-d.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// forget makes the next question a new one.
func (d *board) forget(ctx context.Context) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	d.at = time.Time{}
	return nil
}

// ask returns how a job is. It asks for all that were asked for lately.
func (b *Backend) ask(ctx context.Context, id string) (sight, error) {
	d := b.state().board
	unlock, err := d.lock(ctx)
	if err != nil {
		return sight{}, err
	}
	defer unlock()
	if s, ok := d.seen[id]; ok && time.Since(d.at) < fresh {
		d.asked[id] = time.Now()
		return s, nil
	}
	d.asked[id] = time.Now()
	var ids []string
	for other, at := range d.asked {
		if time.Since(at) > watchTime {
			delete(d.asked, other)
			continue
		}
		ids = append(ids, other)
	}
	seen, err := b.look(ctx, ids)
	if err != nil {
		return sight{}, err
	}
	d.seen, d.at = seen, time.Now()
	for other, s := range seen {
		if s.state != job.Queued && s.state != job.Running {
			delete(d.asked, other)
		}
	}
	s, ok := seen[id]
	if !ok {
		return sight{}, fmt.Errorf("%s said nothing of the job", b.Host)
	}
	return s, nil
}

// look asks the machine for jobs.
func (b *Backend) look(ctx context.Context, ids []string) (map[string]sight, error) {
	all := map[string]sight{}
	for len(ids) > 0 {
		some := ids[:min(len(ids), perLook)]
		ids = ids[len(some):]
		began := time.Now()
		text, err := b.call(ctx, nil, append([]string{"look"}, some...)...)
		if err != nil {
			return all, err
		}
		seen, err := readSights(text, began)
		if err != nil {
			return all, fmt.Errorf("ask %s for jobs: %w", b.Host, err)
		}
		maps.Copy(all, seen)
	}
	return all, nil
}

// readSights reads what the shim says of jobs: its time, and a line for each.
func readSights(text string, now time.Time) (map[string]sight, error) {
	first, rest, _ := strings.Cut(text, "\n")
	far, err := readTime(first)
	if err != nil {
		return nil, err
	}
	skew := now.Sub(far).Round(time.Second)
	if skew.Abs() <= smallSkew {
		skew = 0
	}
	seen := map[string]sight{}
	for line := range strings.Lines(rest) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) == 2 && job.State(fields[1]) == absent {
			seen[fields[0]] = sight{state: absent}
			continue
		}
		s, err := readSight(fields, skew)
		if err != nil {
			return nil, err
		}
		seen[fields[0]] = s
	}
	return seen, nil
}

func readSight(fields []string, skew time.Duration) (sight, error) {
	if len(fields) != 8 {
		return sight{}, fmt.Errorf("its answer %.100q cannot be read", fields)
	}
	s := sight{state: job.State(fields[1]), sha: fields[5], gpus: fields[6], why: strings.TrimSpace(fields[7]), skew: skew}
	var err error
	if s.code, err = strconv.Atoi(fields[2]); err != nil {
		return sight{}, fmt.Errorf("its answer %.100q cannot be read", fields)
	}
	if fields[3] != "" {
		s.began, err = readTime(fields[3])
	}
	if fields[4] != "" && err == nil {
		s.ended, err = readTime(fields[4])
	}
	return s, err
}

// readTime reads seconds since 1970, with or without a fraction.
func readTime(text string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(strings.TrimSpace(text), ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	var nsec int64
	if err == nil && fraction != "" {
		nsec, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("its time %.40q cannot be read", text)
	}
	return time.Unix(sec, nsec).UTC(), nil
}
