package hub_test

import (
	"context"
	"errors"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// oneJob is a machine on which every job is the same.
type oneJob struct{ hubserver.Jobs }

func (oneJob) Start(_ context.Context, r hubserver.JobRequest) (hubserver.Job, error) {
	return hubserver.Job{JobFacts: r.JobFacts, ID: "j1", Stage: hub.JobRunning}, nil
}

func (oneJob) Get(context.Context, string) (hubserver.Job, error) {
	return hubserver.Job{JobFacts: hubserver.JobFacts{Owner: "me"}, ID: "j1", Command: []string{"true"}, Stage: hub.JobCompleted}, nil
}

func (oneJob) List(context.Context) ([]hubserver.Job, error) { return nil, nil }
func (oneJob) Cancel(context.Context, string) error          { return nil }

func (oneJob) Machine(context.Context) (hubserver.Machine, error) {
	return hubserver.Machine{CPUs: 1}, nil
}

func goldenJobs() []golden {
	labels := map[string]string{"name": "n", "k": "v"}
	spec := hub.JobSpec{
		Image: "python:3.12", Command: []string{"python", "-c", "x"}, Env: map[string]string{"AB": "c"}, Secrets: map[string]string{"HF_TOKEN": "s"},
		Timeout: 2 * time.Hour, Attempts: 2, Labels: labels,
	}
	plain := hub.JobSpec{Image: "python:3.12", Command: []string{"true"}, Labels: map[string]string{"name": "n"}}
	return []golden{
		ask("run-job", func(ctx context.Context, c *hub.Client) error {
			_, err := c.RunJob(ctx, "me", spec)
			return err
		}),
		ask("jobs", func(ctx context.Context, c *hub.Client) error {
			for _, err := range c.ListJobs(ctx, "me", hub.JobFilter{Stages: []hub.JobStage{hub.JobRunning}, Labels: map[string]string{"k": "v"}}) {
				if err != nil {
					return err
				}
			}
			_, err1 := c.GetJob(ctx, "me", "j1")
			_, err2 := c.LabelJob(ctx, "me", "j1", labels)
			_, err3 := c.DuplicateJob(ctx, "me", "j1")
			_, err4 := c.CancelJob(ctx, "me", "j1")
			_, err5 := c.JobHardware(ctx)
			return errors.Join(err1, err2, err3, err4, err5)
		}),
		ask("schedule", func(ctx context.Context, c *hub.Client) error {
			j, err := c.ScheduleJob(ctx, "me", hub.Schedule{When: "@daily", Job: plain, Suspended: true, Concurrency: true})
			if err != nil {
				return err
			}
			_, err1 := c.ScheduledJobs(ctx, "me")
			_, err2 := c.GetScheduledJob(ctx, "me", j.ID)
			err3 := c.ResumeScheduledJob(ctx, "me", j.ID)
			_, err4 := c.RunScheduledJob(ctx, "me", j.ID)
			err5 := c.SuspendScheduledJob(ctx, "me", j.ID)
			return errors.Join(err1, err2, err3, err4, err5, c.DeleteScheduledJob(ctx, "me", j.ID))
		}),
	}
}
