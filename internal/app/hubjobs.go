package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/job"
	"ml-intern/internal/llm/catalog"
)

// hubJobs shows the jobs of this machine to the Hub's Jobs API.
type hubJobs struct{ backend job.Backend }

var _ hubserver.Jobs = hubJobs{}

// hubJobsOf are the jobs of the configured backend, nil if it has none that
// can be shown.
func hubJobsOf(cfg *config.Config) hubserver.Jobs {
	backend, err := localJobs(cfg)
	if err != nil {
		return nil
	}
	return hubJobs{backend}
}

// List implements hubserver.Jobs.
func (h hubJobs) List(ctx context.Context) ([]hubserver.Job, error) {
	all, err := h.backend.List(ctx)
	errs := []error{err}
	out := make([]hubserver.Job, 0, len(all))
	for _, status := range all {
		j, err := h.job(ctx, status)
		errs = append(errs, err)
		out = append(out, j)
	}
	return out, errors.Join(errs...)
}

// Get implements hubserver.Jobs.
func (h hubJobs) Get(ctx context.Context, id string) (hubserver.Job, error) {
	status, err := h.backend.Status(ctx, id)
	if err != nil {
		return hubserver.Job{}, noHubJob(err)
	}
	return h.job(ctx, status)
}

// Cancel implements hubserver.Jobs.
func (h hubJobs) Cancel(ctx context.Context, id string) error {
	return noHubJob(h.backend.Cancel(ctx, id))
}

func noHubJob(err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return hubserver.ErrNoJob
	}
	return err
}

// job is a job as the Hub's API knows it. With an error it still tells how the
// job is.
func (h hubJobs) job(ctx context.Context, s job.Status) (hubserver.Job, error) {
	j := hubserver.Job{
		ID: s.ID, Name: s.Name, Stage: hubStage(s.State), Message: s.Reason,
		Created: s.Submitted, Started: s.Started, Finished: s.Finished,
	}
	spec, err := h.backend.Spec(ctx, s.ID)
	if err != nil {
		return j, err
	}
	j.Command, j.Args, j.Env, j.Timeout = spec.Command, spec.Args, spec.Env, spec.TimeLimit
	if spec.Script != "" {
		j.Command = []string{"python", spec.Script}
	}
	return j, nil
}

// hubStage is the stage that stands for a state. Finer ways to fail are told
// by the message.
func hubStage(s job.State) hub.JobStage {
	switch s {
	case job.Queued:
		return hub.JobScheduling
	case job.Running:
		return hub.JobRunning
	case job.Succeeded:
		return hub.JobCompleted
	case job.Canceled:
		return hub.JobCanceled
	case job.Failed, job.TimedOut, job.OutOfMemory, job.Preempted, job.Lost:
	}
	return hub.JobFailed
}

// Logs implements hubserver.Jobs. Only the last line that is there can be
// without its end.
func (h hubJobs) Logs(ctx context.Context, id string, from int64) iter.Seq2[hubserver.JobLine, error] {
	return func(yield func(hubserver.JobLine, error) bool) {
		var last *job.Line
		for line, err := range h.backend.Logs(ctx, id, from) {
			if err != nil {
				yield(hubserver.JobLine{}, noHubJob(err))
				return
			}
			if last != nil && !yield(hubserver.JobLine{Text: last.Text, Next: last.Next}, nil) {
				return
			}
			last = &line
		}
		if last != nil {
			yield(hubserver.JobLine{Text: last.Text, Next: last.Next, Partial: !h.ended(ctx, id, last.Next)}, nil)
		}
	}
}

// ended reports whether the byte before a cursor is a line's end: a log that
// is read from there begins with an empty line.
func (h hubJobs) ended(ctx context.Context, id string, next int64) bool {
	for line, err := range h.backend.Logs(ctx, id, next-1) {
		return err == nil && line.Text == "" && line.Next == next
	}
	return false
}

// hubRouter is the endpoint that /v1 of the Hub server leads to, with its key:
// the one that is named, or else the first local server that is configured.
func hubRouter(cfg *config.Config, named string) (*url.URL, string, error) {
	address, key := named, cfg.Getenv("LOCAL_LLM_API_KEY")
	for _, s := range catalog.Servers(cfg.Getenv) {
		if address == "" && s.Set || address == s.BaseURL {
			address, key = s.BaseURL, s.APIKey
			break
		}
	}
	if address == "" {
		return nil, "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, "", fmt.Errorf("%w: the router %q is not an http address", ErrUsage, address)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1"
	}
	return u, strings.TrimSpace(key), nil
}
