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
	var open []int // those that are not there, as far as is known
	for i, spec := range specs {
		if rec, err := b.records().Find(spec.Label); err == nil && sent(rec) {
			statuses[i] = b.known(ctx, rec)
			continue
		}
		open = append(open, i)
	}
	plans, err := b.planAll(ctx, specs, open)
	if err != nil {
		return statuses, err
	}
	began := time.Now()
	var parcels []parcel
	var places []int
	for _, i := range open {
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

// planAll plans the open jobs. It puts them in the order in which everyone takes
// their labels, so that none waits for another.
func (b *Backend) planAll(ctx context.Context, specs []job.Spec, open []int) (map[int]plan, error) {
	slices.SortStableFunc(open, func(x, y int) int { return cmp.Compare(specs[x].Label, specs[y].Label) })
	plans := map[int]plan{}
	for n, i := range open {
		spec, first := specs[i], specs[open[0]]
		if spec.Hardware != first.Hardware || spec.TimeLimit != first.TimeLimit ||
			spec.Retries != first.Retries || !slices.Equal(spec.Secrets, first.Secrets) {
			return nil, errors.New("the jobs of one array need the same hardware, time limit, retries and secrets")
		}
		if n > 0 && spec.Label != "" && spec.Label == specs[open[n-1]].Label {
			return nil, fmt.Errorf("two of the jobs have the label %q", spec.Label)
		}
		p, err := b.plan(ctx, spec)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			p.part = plans[open[0]].part // what is free may have changed
		}
		plans[i] = p
	}
	return plans, nil
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
