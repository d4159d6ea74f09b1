package hub

import (
	"context"
	"fmt"
	"time"
)

// A ScheduledJob is a job that the Hub starts by the clock.
type ScheduledJob struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"createdAt"`
	Schedule    string    `json:"schedule"` // @hourly and the like, or five fields as cron has them
	Suspended   bool      `json:"suspend"`
	Concurrency bool      `json:"concurrency"` // a run may start while another goes on
	Status      struct {
		Last struct { // the last run; ID is "" if there was none
			ID string    `json:"id"`
			At time.Time `json:"at"`
		} `json:"lastJob"`
		Next time.Time `json:"nextJobRunAt"` // zero while it is suspended
	} `json:"status"`
	Spec struct {
		Image   string            `json:"dockerImage"`
		SpaceID string            `json:"spaceId"`
		Command []string          `json:"command"`
		Args    []string          `json:"arguments"`
		Env     map[string]string `json:"environment"`
		Flavor  string            `json:"flavor"`
		Labels  map[string]string `json:"labels"`
	} `json:"jobSpec"`
}

// A Schedule is what to start, and when.
type Schedule struct {
	When        string // @hourly and the like, or five fields as cron has them, in UTC
	Job         JobSpec
	Suspended   bool // begin so
	Concurrency bool // a run may start while another goes on
}

// ScheduleJob adds a job that is started by the clock. Like RunJob, a call that
// may have arrived is not repeated.
func (c *Client) ScheduleJob(ctx context.Context, namespace string, s Schedule) (ScheduledJob, error) {
	in := map[string]any{"jobSpec": s.Job, "schedule": s.When, "suspend": s.Suspended, "concurrency": s.Concurrency}
	var out ScheduledJob
	err := c.scheduleCall(ctx, "schedule job", call{method: "POST", once: true}, in, &out, namespace)
	return out, err
}

// ScheduledJobs lists the jobs that the clock starts.
func (c *Client) ScheduledJobs(ctx context.Context, namespace string) ([]ScheduledJob, error) {
	var out []ScheduledJob
	err := c.scheduleCall(ctx, "list scheduled jobs", call{method: "GET"}, nil, &out, namespace)
	return out, err
}

// GetScheduledJob tells how a scheduled job is.
func (c *Client) GetScheduledJob(ctx context.Context, namespace, id string) (ScheduledJob, error) {
	var out ScheduledJob
	err := c.scheduleCall(ctx, "look at scheduled job "+id, call{method: "GET"}, nil, &out, namespace, id)
	return out, err
}

// SuspendScheduledJob keeps a job from being started until it is resumed.
func (c *Client) SuspendScheduledJob(ctx context.Context, namespace, id string) error {
	return c.scheduleCall(ctx, "suspend scheduled job "+id, call{method: "POST"}, nil, nil, namespace, id, "suspend")
}

// ResumeScheduledJob lets a job be started again.
func (c *Client) ResumeScheduledJob(ctx context.Context, namespace, id string) error {
	return c.scheduleCall(ctx, "resume scheduled job "+id, call{method: "POST"}, nil, nil, namespace, id, "resume")
}

// RunScheduledJob starts a scheduled job now, besides its times.
func (c *Client) RunScheduledJob(ctx context.Context, namespace, id string) (Job, error) {
	var out Job
	err := c.scheduleCall(ctx, "run scheduled job "+id, call{method: "POST", once: true}, nil, &out, namespace, id, "run")
	return out, err
}

// DeleteScheduledJob ends a schedule. Its jobs that run go on.
func (c *Client) DeleteScheduledJob(ctx context.Context, namespace, id string) error {
	return c.scheduleCall(ctx, "delete scheduled job "+id, call{method: "DELETE"}, nil, nil, namespace, id)
}

func (c *Client) scheduleCall(ctx context.Context, do string, cl call, in, out any, namespace string, more ...string) error {
	path, err := c.namespacePath(ctx, "/api/scheduled-jobs", namespace, more...)
	if err == nil {
		cl.path = path
		_, err = c.api(ctx, cl, in, out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", do, err)
	}
	return nil
}
