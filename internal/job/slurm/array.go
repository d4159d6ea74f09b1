package slurm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// What the record of an array's task keeps: the id that the array's name has,
// and the task's number in it.
const (
	keptArray = "array"
	keptTask  = "task"
)

// head is the id in the name of a job in Slurm.
func head(rec job.Record) string { return cmp.Or(rec.Kept[keptArray], rec.ID) }

// rows are those of a job.
func (s snapshot) rows(rec job.Record) []row {
	task := rec.Kept[keptTask]
	if task == "" {
		return s.queue[rec.ID]
	}
	return slices.DeleteFunc(slices.Clone(s.queue[head(rec)]), func(r row) bool { return !strings.HasSuffix(r.ref, "_"+task) })
}

// arrayBatch is what Slurm runs for an array: each task's own batch script, with
// its folder, which is beside the array's.
func arrayBatch(parcels []parcel) string {
	ids := make([]string, len(parcels))
	for i, p := range parcels {
		ids[i] = p.rec.ID
	}
	return "#!/bin/bash\nmli_ids=(" + quoteAll(ids) + ")\n" +
		`mli_folder=${1%/*}/${mli_ids[SLURM_ARRAY_TASK_ID]}` + "\n" +
		`exec bash "$mli_folder/` + batchFile + `" "$mli_folder"` + "\n"
}

// SubmitAll submits the jobs of a sweep as one array. They may differ in all
// but what Slurm is asked for: hardware, time limit, retries and secrets. Like
// Submit it may be called again; jobs whose labels are known are left alone. It
// returns the statuses in the order of specs; after an error, those of the jobs
// that are there.
func (b *Backend) SubmitAll(ctx context.Context, specs []job.Spec) ([]job.Status, error) {
	statuses, err := b.submitAll(ctx, specs)
	if err != nil {
		return statuses, fmt.Errorf("submit jobs: %w", err)
	}
	return statuses, nil
}

func (b *Backend) submitAll(ctx context.Context, specs []job.Spec) ([]job.Status, error) {
	statuses := make([]job.Status, len(specs))
	plans := make([]plan, len(specs))
	for i, spec := range specs {
		if first := specs[0]; spec.Hardware != first.Hardware || spec.TimeLimit != first.TimeLimit ||
			spec.Retries != first.Retries || !slices.Equal(spec.Secrets, first.Secrets) {
			return statuses, errors.New("the jobs of one array need the same hardware, time limit, retries and secrets")
		}
		var err error
		if plans[i], err = b.plan(ctx, spec); err != nil {
			return statuses, err
		}
		plans[i].part = plans[0].part // what is free may have changed
	}
	// All take their labels in the same order, so that none waits for another.
	order := make([]int, len(specs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(specs[x].Label, specs[y].Label) })
	began := time.Now()
	var parcels []parcel
	var places []int
	for n, i := range order {
		if n > 0 && specs[i].Label != "" && specs[i].Label == specs[order[n-1]].Label {
			return statuses, fmt.Errorf("two of the jobs have the label %q", specs[i].Label)
		}
		rec, done, err := b.records().Begin(ctx, specs[i])
		if err != nil {
			return statuses, err
		}
		defer done()
		if there, err := b.there(ctx, &rec, began); err != nil {
			return statuses, err
		} else if there {
			statuses[i] = rec.Last
			continue
		}
		parcels = append(parcels, parcel{plans[i].on(rec, specs[i]), plans[i]})
		places = append(places, i)
	}
	if len(parcels) == 0 {
		return statuses, nil
	}
	sentNow, err := b.send(ctx, parcels)
	for n, i := range places {
		statuses[i] = sentNow[n]
	}
	return statuses, err
}

// there reports whether a job needs no sending, and brings its record up to
// date: one whose Submit was cut off before a time is looked for.
func (b *Backend) there(ctx context.Context, rec *job.Record, began time.Time) (bool, error) {
	if sent(*rec) {
		rec.Last = b.known(ctx, *rec)
		return true, nil
	}
	if !rec.Submitted.Before(began) {
		return false, nil
	}
	found, err := b.found(ctx, rec)
	if found {
		err = b.records().Save(*rec)
	}
	return found, err
}
