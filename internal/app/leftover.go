package app

import (
	"context"
	"fmt"
	"time"

	"ml-intern/internal/job"
)

// A Leftover is what a job has left where it ran, or an environment that no job
// uses any more.
type Leftover struct {
	Kind    string    `json:"kind"` // "job" or "environment"
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Backend string    `json:"backend"`
	State   string    `json:"state,omitempty"`
	Since   time.Time `json:"since"`          // its end; when a job was given it last
	Bytes   int64     `json:"bytes"`          // -1 if unknown
	Keep    string    `json:"keep,omitempty"` // why it may not be removed
	AtRisk  bool      `json:"at_risk,omitempty"`
	Removed bool      `json:"removed"`

	unused time.Duration
}

const environmentKind = "environment"

// LeftoversOf is what these jobs have left.
func (a *App) LeftoversOf(ctx context.Context, ids []string) ([]Leftover, error) {
	all := make([]Leftover, len(ids))
	for i, id := range ids {
		status, err := a.jobs.Status(ctx, id)
		if err != nil {
			return nil, a.JobError(ctx, id, fmt.Errorf("job %s: %w", id, err))
		}
		all[i] = a.leftover(ctx, status)
	}
	return all, nil
}

// OldLeftovers is what jobs have left that are over for so long, and the
// environments that no job was given for so long. With an error it is what could
// be seen.
func (a *App) OldLeftovers(ctx context.Context, age time.Duration) ([]Leftover, error) {
	statuses, err := a.jobs.List(ctx)
	var all []Leftover
	for _, s := range statuses {
		if s.Done() && s.Removed.IsZero() && time.Since(s.Finished) >= age && time.Since(s.Submitted) >= age {
			all = append(all, a.leftover(ctx, s))
		}
	}
	unused, envErr := a.here.UnusedEnvironments(ctx, age)
	for _, e := range unused {
		all = append(all, Leftover{Kind: environmentKind, ID: e.Name, Backend: "local", Since: e.Used, Bytes: e.Bytes, unused: age})
	}
	if err == nil {
		err = envErr
	}
	return all, err
}

// leftover looks whether what a job has left is of no more use.
func (a *App) leftover(ctx context.Context, s job.Status) Leftover {
	l := Leftover{Kind: "job", ID: s.ID, Name: s.Name, Backend: s.Backend, State: string(s.State), Since: s.Finished, Bytes: -1}
	switch {
	case !s.Done():
		l.Keep = fmt.Sprintf("it is %s: cancel it first", s.State)
		return l
	case !s.Removed.IsZero():
		l.Keep, l.Removed, l.Bytes = "it was removed", true, 0
		return l
	}
	receipt, err := a.keeper().Secure(ctx, s.ID)
	if err != nil && receipt.Job == "" { // else the results are safe, and the disk too full to note that
		l.Keep, l.AtRisk = err.Error(), true
	} else if receipt.AtRisk != "" {
		l.Keep, l.AtRisk = "its results are at risk: "+receipt.AtRisk, true
	}
	if bytes, err := a.jobs.Leftover(ctx, s.ID); err == nil {
		l.Bytes = bytes
	}
	return l
}

// RemoveLeftover removes it.
func (a *App) RemoveLeftover(ctx context.Context, l Leftover) error {
	if l.Kind == environmentKind {
		return a.here.RemoveEnvironment(ctx, l.ID, l.unused)
	}
	return a.jobs.Remove(ctx, l.ID)
}
