package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/report"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/tool"
)

// jobReport is one job as the model reads it.
type jobReport struct {
	Job       string                `json:"job"`
	Name      string                `json:"name"`
	State     job.State             `json:"state"`
	ExitCode  int                   `json:"exit_code"`
	Seconds   float64               `json:"seconds"`
	CostUSD   float64               `json:"cost_usd,omitempty"`
	OutputDir string                `json:"output_dir"`
	Files     int                   `json:"files,omitempty"`   // in OutputDir
	AtRisk    string                `json:"at_risk,omitempty"` // why its results may be lost
	Reason    string                `json:"reason,omitempty"`
	Why       string                `json:"why,omitempty"` // it failed, and what can be done
	Metrics   map[string]metricMean `json:"metrics,omitempty"`
	LogIs     string                `json:"log_is"`
	LogTail   string                `json:"log_tail"`
}

type metricMean struct {
	Mean float64 `json:"mean"`
	N    int     `json:"n"`
}

// jobEvent is something that a watcher noticed of a job that runs.
type jobEvent struct {
	Job  string     `json:"job"`
	Kind watch.Kind `json:"kind"`
	Text string     `json:"text"`
}

// A Waiting is how calls of JobWait wait, and whoever wakes their session.
type Waiting struct {
	Watcher *watch.Watcher
	Keeper  job.Keeper

	// Progressed is told of each job that succeeded.
	Progressed func(id string)

	// Patience is how long a call blocks before it lets the turn end.
	Patience time.Duration

	one chan struct{} // one waits at a time, and then the others
}

// NewWaiting returns a Waiting of the usual patience: what takes no longer is
// not worth the end of a turn.
func NewWaiting(w *watch.Watcher, k job.Keeper, progressed func(id string)) *Waiting {
	return &Waiting{Watcher: w, Keeper: k, Progressed: progressed, Patience: 2 * time.Second, one: make(chan struct{}, 1)}
}

// Wake returns when one of the jobs has failed or something is odd with it, when
// all have ended, or at the latest at until, if that is not zero.
func (w *Waiting) Wake(ctx context.Context, ids []string, until time.Time, log func(string)) error {
	_, err := w.await(ctx, ids, until, log)
	return err
}

// JobWait waits for the end of jobs, or for something odd with one of them. It
// costs no model calls: what takes longer than its patience ends the turn.
func JobWait(w *Waiting, sb files) tool.Tool {
	type input struct {
		Jobs     []string `json:"jobs"`
		TimeoutS int      `json:"timeout_s,omitempty"`
	}
	type result struct {
		Jobs   []jobReport `json:"jobs"`
		Events []jobEvent  `json:"events,omitempty"` // why the waiting ended before the jobs
		Done   bool        `json:"done"`
	}
	return tool.New(spec("job_wait", tool.Reads), func(ctx context.Context, in input, call tool.Call) (tool.Output, error) {
		if len(in.Jobs) == 0 {
			return tool.Output{}, errors.New("name at least one job")
		}
		in.Jobs = distinct(in.Jobs)
		for _, id := range in.Jobs {
			if _, err := w.Keeper.Spec(ctx, id); errors.Is(err, job.ErrNotFound) {
				return tool.Output{}, fmt.Errorf("job %s: %w", id, err)
			}
		}
		until := latest(call.Since, in.TimeoutS)
		events, over, err := w.look(ctx, in.Jobs, until, call.Log)
		if err != nil {
			return tool.Output{}, err
		}
		if !over {
			return tool.Output{Waits: &tool.Waiting{Jobs: in.Jobs, Until: until}}, nil
		}
		res := result{Done: true}
		var out tool.Output
		var states []string
		for _, e := range events {
			if !e.Final() {
				res.Events = append(res.Events, jobEvent{e.Job, e.Kind, e.Text})
				out.News = append(out.News, tool.JobNews{ID: e.ID, Job: e.Job, Kind: tool.NewsWarning, Text: e.Text})
				states = append(states, e.Text)
			}
		}
		for _, id := range in.Jobs {
			status, away := w.Keeper.Status(ctx, id)
			if away != nil && status.ID == "" {
				return tool.Output{}, fmt.Errorf("job %s: %w", id, away)
			}
			report, err := w.report(ctx, sb, status, len(in.Jobs))
			if err != nil {
				return tool.Output{}, err
			}
			if away != nil {
				report.Reason = "nobody answers, so this is how it was last: " + away.Error()
			}
			res.Jobs = append(res.Jobs, report)
			res.Done = res.Done && status.Done()
			states = append(states, fmt.Sprintf("%s %s in %.1f s", report.Name, report.State, report.Seconds))
			out.Facts = append(out.Facts, report.fact())
			out.News = append(out.News, report.news()...)
			out.Charges = append(out.Charges, finals(call.ID, status)...)
		}
		said, err := object(res, strings.Join(states, ", "))
		out.Text, out.Summary = said.Text, said.Summary
		out.Saved = func() { _ = w.Watcher.Heard(events...) } // else they are said again
		return out, err
	})
}

// distinct are the ids in their order, each once.
func distinct(ids []string) []string {
	var all []string
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// latest is when a call that began then has waited long enough; zero for never.
func latest(since time.Time, s int) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	if since.IsZero() {
		since = time.Now()
	}
	return since.Add(seconds(s))
}

// seconds is a duration that a model names, as long as there are any.
func seconds(n int) time.Duration {
	return min(time.Duration(n), math.MaxInt64/time.Second) * time.Second
}

// look waits for as long as it has patience. It is over when there is something
// to tell, when all jobs have ended, or when the call has waited long enough.
func (w *Waiting) look(ctx context.Context, ids []string, until time.Time, log func(string)) (events []watch.Event, over bool, err error) {
	soon := time.Now().Add(w.Patience)
	if !until.IsZero() && until.Before(soon) {
		events, err = w.await(ctx, ids, until, log)
		return events, true, err
	}
	events, err = w.await(ctx, ids, soon, log)
	return events, slices.ContainsFunc(events, notable) || time.Now().Before(soon), err
}

// notable reports whether the model should see an event before all has ended.
func notable(e watch.Event) bool { return !e.Final() || e.Status.State != job.Succeeded }

// await returns when all the jobs have ended, at until if that is not zero, or
// when something happened that the model should see before that.
func (w *Waiting) await(ctx context.Context, ids []string, until time.Time, log func(string)) ([]watch.Event, error) {
	select {
	case w.one <- struct{}{}:
		defer func() { <-w.one }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	limited := ctx
	if !until.IsZero() {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	w.Watcher.Report = func(open []job.Progress) { log(job.Summary(open)) }
	var all []watch.Event
	for {
		events, err := w.Watcher.Wait(limited, ids)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case limited.Err() != nil:
			return append(all, events...), nil
		case err != nil:
			return nil, err
		}
		all = append(all, events...)
		for _, e := range events {
			if notable(e) {
				return all, nil
			}
			log(e.Text)
		}
		if len(events) == 0 {
			return all, nil // all have ended
		}
		// That a job succeeded is told with the rest.
		if err := w.Watcher.Heard(events...); err != nil {
			return nil, err
		}
	}
}

// report says how a job is. Results of one that is over are brought home.
func (w *Waiting) report(ctx context.Context, sb files, status job.Status, jobs int) (jobReport, error) {
	r := jobReport{
		Job: status.ID, Name: status.Name, State: status.State, ExitCode: status.ExitCode, Reason: status.Reason,
		CostUSD: status.Cost(), LogIs: printed, Seconds: math.Round(status.Seconds()*10) / 10, OutputDir: outputDir(sb, status),
	}
	if status.Done() {
		receipt, err := w.Keeper.Secure(ctx, status.ID)
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		r.Files, r.AtRisk = len(receipt.Files), receipt.AtRisk
		if err != nil {
			r.AtRisk = err.Error()
		}
	}
	if status.State == job.Succeeded && w.Progressed != nil {
		w.Progressed(status.ID)
	}
	if status.Done() && status.State != job.Succeeded {
		r.Why = w.why(ctx, status)
	}
	var err error
	if r.LogTail, err = logTail(ctx, w.Keeper, status.ID, jobs); err != nil {
		r.LogTail = err.Error()
	}
	metrics, err := readMetrics(ctx, sb, status)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("it left no metrics.json") // in few words: a sweep may have many such
	}
	if err != nil && status.State == job.Succeeded {
		r.Reason = strings.TrimSpace(r.Reason + " no usable metrics: " + err.Error())
	}
	if len(metrics.Values) > 0 {
		r.Metrics = make(map[string]metricMean)
	}
	for name, values := range metrics.Values {
		r.Metrics[name] = metricMean{mean(values), len(values)}
	}
	return r, nil
}

// why explains a failure from the job's output.
func (w *Waiting) why(ctx context.Context, status job.Status) string {
	spec, err := w.Keeper.Spec(ctx, status.ID)
	if err != nil {
		return ""
	}
	view, _ := report.Read(w.Keeper.Logs(ctx, status.ID, 0), 0) // what could be read explains something
	if e, ok := report.Explain(status, spec, view); ok {
		return e.String()
	}
	return ""
}
