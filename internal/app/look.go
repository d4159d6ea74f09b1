package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/checkpoint"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/session"
)

// A FileDiff is how a file differs from what it was.
type FileDiff = checkpoint.FileDiff

// Diff says what a session did to the files of its workspace, as far as its
// checkpoints tell: what others did is not in it.
func (a *App) Diff(ctx context.Context, s *session.Session) ([]FileDiff, error) {
	points := slices.DeleteFunc(slices.Clone(s.Events()), func(ev session.Event) bool { return ev.Checkpointed == nil })
	if len(points) == 0 {
		return nil, nil
	}
	store, err := a.checkpoints(ctx, s.Opened().Dir)
	if err != nil {
		return nil, err
	}
	history, err := historyOf(points)
	if err != nil {
		return nil, err
	}
	first := slices.IndexFunc(history, func(p checkpoint.Point) bool { return store.Has(s.ID, p.ID) })
	if first < 0 {
		return nil, errors.New("the checkpoints of this session were removed to make room for newer ones")
	}
	plan, err := store.Plan(ctx, history[first:])
	if err != nil {
		return nil, err
	}
	return plan.Diff(ctx)
}

// A JobView is a job as a panel shows it.
type JobView struct {
	ID, Name, Backend, State string
	Mine                     bool // this session began it
	Done                     bool
	Reason                   string // why it did not succeed
	Submitted                time.Time
	Seconds                  float64
	USD, WorstUSD            float64
	Progress                 string // how far it is, in words; "" if nothing tells
	Series                   []JobSeries
	URL                      string
}

// A JobSeries is one metric of a job.
type JobSeries struct {
	Name   string
	Steps  []float64
	Values []float64 // as many
	Last   float64   // may be NaN or infinite
	N, Bad int       // values in all, and those of them that are NaN or infinite
}

// A JobWatch reads jobs again and again; each reads on where it was. It belongs
// to one goroutine at a time.
type JobWatch struct {
	app     *App
	metrics *watch.Metrics
}

// WatchJobs reads the jobs of this account and machine for a panel.
func (a *App) WatchJobs() *JobWatch {
	return &JobWatch{a, &watch.Metrics{Backend: a.jobs, Getenv: a.cfg.Getenv, Dashboard: a.dashboard}}
}

// maxRead is of how many jobs the numbers are read.
const maxRead = 8

// Read lists the jobs, those of the session and those that run first. With an
// error it still lists those that could be found.
func (w *JobWatch) Read(ctx context.Context, sessionID string) ([]JobView, error) {
	jobs, err := w.app.jobs.List(ctx)
	var views []JobView
	for _, j := range jobs {
		if !j.Removed.IsZero() {
			continue
		}
		views = append(views, JobView{
			ID: j.ID, Name: j.Name, Backend: j.Backend, State: string(j.State), Reason: j.Reason, Done: j.Done(),
			Mine: sessionID != "" && strings.HasPrefix(j.Label, sessionID+"/"), Submitted: j.Submitted,
			Seconds: j.Seconds(), USD: j.Cost(), WorstUSD: j.Worst(), URL: j.URL,
		})
	}
	slices.SortStableFunc(views, func(a, b JobView) int { return rank(a) - rank(b) })
	for i := range views[:min(len(views), maxRead)] {
		if v := &views[i]; v.Mine || !v.Done {
			w.numbers(ctx, v)
		}
	}
	return views, err
}

func rank(v JobView) int {
	switch {
	case v.Mine && !v.Done:
		return 0
	case v.Mine:
		return 1
	case !v.Done:
		return 2
	}
	return 3
}

// numbers reads what a job says of itself. What cannot be read is not there.
func (w *JobWatch) numbers(ctx context.Context, v *JobView) {
	reading, err := w.metrics.Read(ctx, v.ID)
	if err != nil || reading.Set == nil {
		return
	}
	v.Progress = reading.Progress
	for _, s := range reading.Set.All() {
		if s.N < 2 {
			continue
		}
		view := JobSeries{Name: s.Name, Last: s.Last.Value, N: s.N, Bad: s.Bad}
		for _, p := range s.Points() {
			view.Steps, view.Values = append(view.Steps, p.Step), append(view.Values, p.Value)
		}
		v.Series = append(v.Series, view)
	}
}

// CancelJob stops a job, and says how it stands then.
func (a *App) CancelJob(ctx context.Context, id string) (string, error) {
	if err := a.jobs.Cancel(ctx, id); err != nil {
		return "", fmt.Errorf("cancel job %s: %w", id, err)
	}
	status, err := a.jobs.Status(ctx, id)
	if err != nil {
		return "", fmt.Errorf("job %s: %w", id, err)
	}
	return string(status.State), nil
}

// JobLog is the end of a job's log.
func (a *App) JobLog(ctx context.Context, id string, lines int) ([]string, error) {
	if _, err := a.jobs.Status(ctx, id); err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	redact := a.redactor()
	var all []string
	for line, err := range a.jobs.Logs(ctx, id, 0) {
		if err != nil {
			return all, fmt.Errorf("read log of job %s: %w", id, err)
		}
		if all = append(all, redact.Text(line.Text)); len(all) > 2*lines {
			all = slices.Delete(all, 0, len(all)-lines)
		}
	}
	return all[max(len(all)-lines, 0):], nil
}

// A ToolLine is a tool as a list shows it.
type ToolLine struct {
	Name   string
	Effect string
	Help   string // its first sentence
}

// Tools lists the tools of the session's model.
func (c *Conversation) Tools() []ToolLine {
	var all []ToolLine
	for _, spec := range c.Agent.Tools.Specs() {
		line := ToolLine{Name: spec.Name}
		if t, ok := c.Agent.Tools.Tool(spec.Name); ok {
			line.Effect = string(t.Spec().Effect)
		}
		line.Help, _, _ = strings.Cut(strings.Join(strings.Fields(spec.Description), " "), ". ")
		all = append(all, line)
	}
	return all
}
