package hfjobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
)

// labelLabel is the label of a scheduled job that stands for its spec's.
const labelLabel = "ml-intern-label"

// Schedule adds a job that the Hub starts by the clock: when is @daily and the
// like, or five fields as cron has them, in UTC. It runs as Submit would run
// it. Its runs are the Hub's own: there are no records of them here. If the
// spec's label has a scheduled job already, that is returned.
func (b *Backend) Schedule(ctx context.Context, spec job.Spec, when string) (hub.ScheduledJob, error) {
	d, err := b.draft(ctx, spec)
	if err != nil {
		return hub.ScheduledJob{}, fmt.Errorf("schedule job: %w", err)
	}
	id := job.NewID(time.Now())
	request := b.request(job.Record{ID: id}, d)
	if spec.Label != "" {
		sum := sha256.Sum256([]byte(spec.Label))
		request.Labels[labelLabel] = hex.EncodeToString(sum[:16])
		j, known, err := b.labeled(ctx, d.namespace, labelLabel, request.Labels[labelLabel])
		if err != nil || known {
			return j, err
		}
	}
	ask, stop := context.WithTimeout(ctx, sendLimit)
	defer stop()
	j, err := b.Hub.ScheduleJob(ask, d.namespace, hub.Schedule{When: when, Job: request})
	if err == nil {
		return j, nil
	}
	if sure, _ := certain(err); !sure && ctx.Err() == nil { // only the answer may be lost
		if j, known, look := b.labeled(ctx, d.namespace, labelID, id); look == nil && known {
			return j, nil
		}
	}
	return hub.ScheduledJob{}, b.plainly(err, d.namespace)
}

// labeled finds the scheduled job with a label.
func (b *Backend) labeled(ctx context.Context, namespace, key, value string) (j hub.ScheduledJob, known bool, err error) {
	ctx, stop := context.WithTimeout(ctx, askLimit)
	defer stop()
	all, err := b.Hub.ScheduledJobs(ctx, namespace)
	if err != nil {
		return j, false, b.plainly(err, namespace)
	}
	for _, j := range all {
		if j.Spec.Labels[key] == value {
			return j, true, nil
		}
	}
	return j, false, nil
}
