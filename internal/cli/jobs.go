package cli

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/job"
)

// ListJobs prints the jobs of this machine, latest first.
func ListJobs(ctx context.Context, cfg *config.Config, std Streams) error {
	return withJobs(ctx, cfg, func(a *app.App) error {
		jobs, err := a.Jobs().List(ctx) // with an error, what the other backends have
		if err != nil && len(jobs) > 0 {
			fmt.Fprintln(std.Err, "not all backends could be asked:", err)
			err = nil
		}
		if err != nil {
			return err
		}
		if cfg.Output == "json" {
			return printList(std.Out, jobs)
		}
		jobs = slices.DeleteFunc(jobs, func(j job.Status) bool { return !j.Removed.IsZero() })
		if len(jobs) == 0 {
			fmt.Fprintln(std.Err, "no jobs yet")
			return nil
		}
		w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tBACKEND\tSTATE\tSUBMITTED\tSECONDS\tUSD\tOUTPUT")
		for _, j := range jobs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f\t%.2f\t%s\n", j.ID, printable(j.Name), j.Backend, j.State, j.Submitted.Local().Format(time.DateTime), j.Seconds(), j.Cost(), j.OutputDir)
		}
		return w.Flush()
	})
}

// ListBackends prints where jobs can run.
func ListBackends(ctx context.Context, cfg *config.Config, std Streams) error {
	return withJobs(ctx, cfg, func(a *app.App) error {
		offers, err := a.Jobs().Offers(ctx)
		if err != nil && len(offers) > 0 {
			fmt.Fprintln(std.Err, "not all backends could be asked:", err)
			err = nil
		}
		if err != nil {
			return err
		}
		if cfg.Output == "json" {
			return printList(std.Out, offers)
		}
		_, err = fmt.Fprintln(std.Out, job.Table(offers))
		return err
	})
}

// JobLogs prints the log of a job as it is now.
func JobLogs(ctx context.Context, cfg *config.Config, id string, std Streams) error {
	return withJobs(ctx, cfg, func(a *app.App) error {
		if _, err := a.Jobs().Status(ctx, id); err != nil {
			return a.JobError(ctx, id, fmt.Errorf("job %s: %w", id, err))
		}
		redact := a.Redact()
		for line, err := range a.Jobs().Logs(ctx, id, 0) {
			if err != nil {
				return fmt.Errorf("read log of job %s: %w", id, err)
			}
			if cfg.Output == "json" {
				err = printJSON(std.Out, logLine{redact(line.Text), line.Next})
			} else {
				_, err = fmt.Fprintln(std.Out, redact(line.Text))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// A logLine is a line of a job's output in JSON, which is a line itself.
type logLine struct {
	Text string `json:"text"`
	Next int64  `json:"next"` // the cursor behind it
}

// An ended is a job that is over, in JSON.
type ended struct {
	job.Status
	Files  []job.File `json:"files"` // in its output folder
	AtRisk string     `json:"at_risk,omitempty"`
}

// WaitJob blocks until a job has ended and its results are here. It fails
// unless the job succeeded and left what it was to leave.
func WaitJob(ctx context.Context, cfg *config.Config, id string, std Streams) error {
	return withJobs(ctx, cfg, func(a *app.App) error {
		status, receipt, err := a.WaitJob(ctx, id, func(line string) { fmt.Fprintln(std.Err, line) })
		if err != nil {
			return a.JobError(ctx, id, err)
		}
		if cfg.Output == "json" {
			err = printJSON(std.Out, ended{status, append([]job.File{}, receipt.Files...), receipt.AtRisk})
		} else {
			_, err = fmt.Fprintf(std.Out, "%s %s exit %d in %.1f s, %d files in %s\n", id, status.State, status.ExitCode, status.Seconds(), len(receipt.Files), status.OutputDir)
		}
		if err != nil {
			return err
		}
		if receipt.AtRisk != "" {
			return fmt.Errorf("results of job %s are at risk: %s", id, receipt.AtRisk)
		}
		return failed(status.ID, string(status.State), status.Reason)
	})
}

// CancelJob stops a job.
func CancelJob(ctx context.Context, cfg *config.Config, id string, std Streams) error {
	return withJobs(ctx, cfg, func(a *app.App) error {
		if err := a.Jobs().Cancel(ctx, id); err != nil {
			return a.JobError(ctx, id, fmt.Errorf("cancel job %s: %w", id, err))
		}
		status, err := a.Jobs().Status(ctx, id)
		if err != nil {
			return fmt.Errorf("job %s: %w", id, err)
		}
		if cfg.Output == "json" {
			return printJSON(std.Out, status)
		}
		_, err = fmt.Fprintf(std.Out, "%s %s\n", id, status.State)
		return err
	})
}

// failed is the error of a job that did not succeed.
func failed(id, state, reason string) error {
	if state == "succeeded" {
		return nil
	}
	return fmt.Errorf("job %s is %s: %s", id, state, reason)
}
