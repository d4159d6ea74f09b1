package watch

import (
	"context"
	"errors"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/series"
)

// farEvery is how often the metrics files of a job on another machine are asked
// for: that takes a question.
const farEvery = 20 * time.Second

// A far is the metrics files of a job that runs on another machine.
type far struct {
	files series.Files
	known map[string]job.Mark
	none  bool // the backend cannot tell, or the files are here
}

// read reads on. It is not asked where it cannot be: ok says so.
func (f *far) read(ctx context.Context, b job.Backend, status job.Status, add func(series.Sample)) (ok bool, err error) {
	asked, can := b.(job.Peeker)
	if f.none || !can || status.PID > 0 || status.State != job.Running {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	pieces, err := asked.Peek(ctx, status.ID, f.known)
	if errors.Is(err, errors.ErrUnsupported) {
		f.none = true
		return false, nil
	}
	if f.known == nil {
		f.known = map[string]job.Mark{}
	}
	for _, p := range pieces {
		f.files.Feed(p.Name, p.Anew, p.Data, add)
		f.known[p.Name] = p.Mark
	}
	return true, err
}
