package ray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"ml-intern/internal/job"
)

// attempt counts from 0.
func attempt(rec job.Record) int {
	n, _ := strconv.Atoi(rec.Kept[keptAttempt]) // "" is 0
	return n
}

// retry sends a job again whose node was taken away. If Ray cannot be reached
// now, whoever asks for the job next sends it.
func (b Backend) retry(ctx context.Context, rec *job.Record) error {
	next, err := again(*rec)
	if err != nil {
		return err
	}
	err = b.appendLog(ctx, rec.ID, func(file *os.File, size int64) error {
		if now, err := b.records().Get(rec.ID); err == nil && attempt(now) > attempt(*rec) { // somebody else was quicker
			next = now
			return nil
		}
		note := fmt.Sprintf("[its node was taken away; this is attempt %d]\n", attempt(next)+1)
		next.Kept[keptBase] = strconv.FormatInt(size+int64(len(note)), 10)
		next.Last.State = job.Queued
		_, err := file.WriteString(note)
		return errors.Join(err, b.records().Save(next))
	})
	if err == nil && next.Ref == "" {
		next, err = b.resend(ctx, next)
	}
	*rec = next
	return err
}

// resend gives Ray an attempt after the first.
func (b Backend) resend(ctx context.Context, rec job.Record) (job.Record, error) {
	after, refused, err := b.deliver(ctx, rec)
	if refused {
		return b.bury(rec, job.Preempted, "its node was taken away, and Ray does not take it again: "+err.Error())
	}
	return after, err
}

// again makes a job that lost its node ready for another attempt, with a name
// of its own at Ray. Two who do so at once send the same.
func again(rec job.Record) (job.Record, error) {
	var r request
	var config shimConfig
	err := json.Unmarshal([]byte(rec.Kept[keptRequest]), &r)
	if err == nil {
		err = json.Unmarshal([]byte(r.Metadata[metaConfig]), &config)
	}
	if err != nil {
		return rec, fmt.Errorf("read the request of job %s: %w", rec.ID, err)
	}
	config.Attempt++
	rec.Kept = with(rec.Kept, keptAttempt, strconv.Itoa(config.Attempt))
	rec.Kept[keptNode], rec.Kept[keptLog], rec.Ref = "", "", ""
	rec.Kept[keptRequest], err = address(r, config, rec)
	return rec, err
}
