package app

import (
	"context"

	"ml-intern/internal/hub"
	"ml-intern/internal/job/hfjobs"
	"ml-intern/internal/tools"
)

// schedules are the scheduled jobs of a backend's namespace.
type schedules struct {
	*hfjobs.Backend
}

var _ tools.Scheduler = schedules{}

// Scheduled implements tools.Scheduler.
func (s schedules) Scheduled(ctx context.Context) ([]hub.ScheduledJob, error) {
	return s.Hub.ScheduledJobs(ctx, s.Namespace)
}

// Suspend implements tools.Scheduler.
func (s schedules) Suspend(ctx context.Context, id string) error {
	return s.Hub.SuspendScheduledJob(ctx, s.Namespace, id)
}

// Resume implements tools.Scheduler.
func (s schedules) Resume(ctx context.Context, id string) error {
	return s.Hub.ResumeScheduledJob(ctx, s.Namespace, id)
}

// RunNow implements tools.Scheduler.
func (s schedules) RunNow(ctx context.Context, id string) (hub.Job, error) {
	return s.Hub.RunScheduledJob(ctx, s.Namespace, id)
}

// Unschedule implements tools.Scheduler.
func (s schedules) Unschedule(ctx context.Context, id string) error {
	return s.Hub.DeleteScheduledJob(ctx, s.Namespace, id)
}
