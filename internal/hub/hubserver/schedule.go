package hubserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub/hubserver/cron"
)

// schedules is the kind of document that keeps a namespace's scheduled jobs,
// by id.
const schedules = "scheduled-jobs"

const (
	maxSchedules = 100
	clockEvery   = 10 * time.Second
	tooLate      = 10 * time.Minute // after its time a job that was missed is not started
)

// A scheduledJob is a job that the clock starts.
type scheduledJob struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created"`
	When        string    `json:"schedule"`
	Suspended   bool      `json:"suspended,omitempty"`
	Concurrency bool      `json:"concurrency,omitempty"`
	Spec        jobSpec   `json:"spec"`
	Endpoint    string    `json:"endpoint"` // of this server, as who scheduled the job knew it
	Next        time.Time `json:"next"`
	Last        string    `json:"last,omitempty"` // job
	LastAt      time.Time `json:"last_at,omitzero"`
}

// set gives the job a schedule, from now on.
func (j *scheduledJob) set(when string, now time.Time) error {
	s, err := cron.Parse(when)
	if err != nil {
		return badRequest(err.Error())
	}
	j.When, j.Next = when, s.Next(now)
	if j.Next.IsZero() {
		return badRequest(fmt.Sprintf("the schedule %.100q names a day that never comes", when))
	}
	return nil
}

// scheduledJobs serves what is under /api/scheduled-jobs.
func (s *Server) scheduledJobs(x *exchange, method string, seg []string) error {
	if len(seg) == 0 || len(seg) > 3 {
		return noRoute(x)
	}
	if err := s.mayUseJobs(x, seg[0]); err != nil {
		return err
	}
	if method != http.MethodGet && method != http.MethodHead && method != http.MethodDelete {
		if err := s.mayRunJobs(x); err != nil {
			return err
		}
	}
	switch {
	case len(seg) == 1 && method == http.MethodPost:
		return s.scheduleJob(x, seg[0])
	case len(seg) == 1 && method == http.MethodGet:
		return s.listScheduled(x, seg[0])
	case len(seg) == 1:
		return noRoute(x)
	}
	action := method + " "
	if len(seg) == 3 {
		action += seg[2]
	}
	switch action {
	case "GET ":
		j, err := s.scheduled(seg[0], seg[1])
		if err != nil {
			return err
		}
		return s.ok(x, describeScheduled(j, seg[0]))
	case "POST run":
		return s.runScheduled(x, seg[0], seg[1])
	}
	return s.changeScheduled(x, action, seg[0], seg[1])
}

func noScheduled() error {
	return refuse(http.StatusNotFound, "JobNotFound", "Scheduled job not found")
}

func (s *Server) scheduled(owner, id string) (scheduledJob, error) {
	all := map[string]scheduledJob{}
	if err := s.store.Document(schedules, owner, &all); err != nil {
		return scheduledJob{}, err
	}
	j, ok := all[id]
	if !ok {
		return j, noScheduled()
	}
	return j, nil
}

func (s *Server) scheduleJob(x *exchange, owner string) error {
	var in struct {
		Spec        jobSpec `json:"jobSpec"`
		When        string  `json:"schedule"`
		Suspended   bool    `json:"suspend"`
		Concurrency bool    `json:"concurrency"`
	}
	if err := decode(x, &in); err != nil {
		return err
	}
	if err := in.Spec.check(); err != nil {
		return err
	}
	if len(in.Spec.Secrets) > 0 {
		return badRequest("this server keeps no secrets, so a job that it starts later cannot have any: " +
			strings.Join(slices.Sorted(maps.Keys(in.Spec.Secrets)), ", "))
	}
	j := scheduledJob{
		ID: strings.ToLower(rand.Text()), Created: time.Now().UTC(), Suspended: in.Suspended, Concurrency: in.Concurrency,
		Spec: in.Spec, Endpoint: x.base(),
	}
	if err := j.set(in.When, j.Created); err != nil {
		return err
	}
	ctx, cancel := x.detached()
	defer cancel()
	all := map[string]scheduledJob{}
	err := s.store.UpdateDocument(ctx, schedules, owner, &all, func() error {
		if len(all) >= maxSchedules {
			return badRequest(fmt.Sprintf("%s has %d scheduled jobs, and there can be no more", owner, maxSchedules))
		}
		all[j.ID] = j
		return nil
	})
	if err != nil {
		return err
	}
	return s.ok(x, describeScheduled(j, owner))
}

// listScheduled lists a namespace's scheduled jobs, newest first.
func (s *Server) listScheduled(x *exchange, owner string) error {
	all := map[string]scheduledJob{}
	if err := s.store.Document(schedules, owner, &all); err != nil {
		return err
	}
	wanted := values(x.URL.Query(), "label")
	found := []map[string]any{}
	for _, j := range slices.SortedFunc(maps.Values(all), func(a, b scheduledJob) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	}) {
		if hasLabels(j.Spec.Labels, wanted) {
			found = append(found, describeScheduled(j, owner))
		}
	}
	return s.ok(x, found)
}

// changeScheduled does what changes no more than the schedule.
func (s *Server) changeScheduled(x *exchange, action, owner, id string) error {
	var in struct {
		When   string            `json:"schedule"`
		Labels map[string]string `json:"labels"`
	}
	if action == "POST schedule" || action == "PUT labels" {
		if err := decode(x, &in); err != nil {
			return err
		}
	}
	ctx, cancel := x.detached()
	defer cancel()
	all := map[string]scheduledJob{}
	var j scheduledJob
	err := s.store.UpdateDocument(ctx, schedules, owner, &all, func() error {
		var ok bool
		if j, ok = all[id]; !ok {
			return noScheduled()
		}
		var err error
		switch action {
		case "POST suspend":
			j.Suspended = true
		case "POST resume":
			j.Suspended = false
			err = j.set(j.When, time.Now())
		case "POST schedule":
			err = j.set(in.When, time.Now())
		case "PUT labels":
			j.Spec.Labels, err = in.Labels, checkLabels(in.Labels)
		case "DELETE ":
			delete(all, id)
			return nil
		default:
			return noRoute(x)
		}
		all[id] = j
		return err
	})
	if err != nil {
		return err
	}
	return s.ok(x, describeScheduled(j, owner))
}

// runScheduled starts a scheduled job now, besides its times.
func (s *Server) runScheduled(x *exchange, owner, id string) error {
	j, err := s.scheduled(owner, id)
	if err != nil {
		return err
	}
	ctx, cancel := x.detached()
	defer cancel()
	started, err := s.startScheduled(ctx, owner, j, "")
	if errors.Is(err, errStillRuns) {
		return refuse(http.StatusConflict, "Conflict", "a run of the scheduled job goes on, and it may not have two at a time")
	}
	if err != nil {
		return startRefusal(err)
	}
	return s.ok(x, describeJob(started, owner, started.Labels))
}

var errStillRuns = errors.New("the last run goes on")

// startScheduled starts a run, one for each key, and notes it.
func (s *Server) startScheduled(ctx context.Context, owner string, j scheduledJob, key string) (Job, error) {
	jobs := s.jobsOf(owner)
	if !j.Concurrency {
		all, err := jobs.List(ctx)
		if err != nil {
			return Job{}, err
		}
		if slices.ContainsFunc(all, func(run Job) bool { return run.Origin == j.ID && !run.Stage.Done() }) {
			return Job{}, errStillRuns
		}
	}
	r := j.Spec.request(owner, j.Endpoint)
	r.Initiator, r.Origin, r.Key = "scheduled-job", j.ID, key
	started, err := jobs.Start(ctx, r)
	if err != nil {
		return Job{}, err
	}
	all := map[string]scheduledJob{}
	return started, s.store.UpdateDocument(ctx, schedules, owner, &all, func() error {
		if kept, ok := all[j.ID]; ok {
			kept.Last, kept.LastAt = started.ID, started.Created
			all[j.ID] = kept
		}
		return nil
	})
}

// keepTime starts the jobs whose time has come, until ctx ends.
func (s *Server) keepTime(ctx context.Context) {
	if !s.opts.RunJobs || s.opts.Jobs == nil {
		return
	}
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		owners, err := s.store.Documents(schedules)
		for _, owner := range owners {
			err = errors.Join(err, s.startDue(ctx, owner, time.Now()))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("hub server could not start a scheduled job", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// startDue starts the jobs of a namespace whose time has come. The next time
// is noted when the run is there; a run that was started already, by a server
// that was killed before it noted that, is not started again.
func (s *Server) startDue(ctx context.Context, owner string, now time.Time) error {
	all := map[string]scheduledJob{}
	err := s.store.Document(schedules, owner, &all)
	for id, j := range all {
		if j.Suspended || j.Next.IsZero() || now.Before(j.Next) {
			continue
		}
		due := j.Next
		if now.Sub(due) < tooLate {
			_, started := s.startScheduled(ctx, owner, j, id+" "+due.Format(time.RFC3339))
			if started != nil && !errors.Is(started, errStillRuns) {
				err = errors.Join(err, fmt.Errorf("scheduled job %s of %s: %w", id, owner, started))
			}
		}
		current := map[string]scheduledJob{}
		err = errors.Join(err, s.store.UpdateDocument(ctx, schedules, owner, &current, func() error {
			kept, ok := current[id]
			if !ok || !kept.Next.Equal(due) {
				return nil
			}
			err := kept.set(kept.When, now)
			current[id] = kept
			return err
		}))
	}
	return err
}

// describeScheduled is a scheduled job as the Hub writes it.
func describeScheduled(j scheduledJob, owner string) map[string]any {
	account := map[string]any{"id": accountID(owner), "name": owner, "type": "user", "avatarUrl": ""}
	spec := map[string]any{
		"dockerImage": j.Spec.Image, "command": orEmpty(j.Spec.Command), "arguments": orEmpty(j.Spec.Args), "environment": j.Spec.Env,
		"secrets": []string{}, "flavor": j.Spec.Flavor, "labels": j.Spec.Labels, "timeout": int(j.Spec.timeout() / time.Second),
	}
	if j.Spec.Env == nil {
		spec["environment"] = map[string]string{}
	}
	if j.Spec.Labels == nil {
		spec["labels"] = map[string]string{}
	}
	if j.Spec.Attempts > 1 {
		spec["retry"] = j.Spec.Attempts - 1
	}
	status := map[string]any{"lastJob": nil, "nextJobRunAt": nil}
	if j.Last != "" {
		status["lastJob"] = map[string]any{"id": j.Last, "at": stamp(j.LastAt)}
	}
	if !j.Suspended {
		status["nextJobRunAt"] = stamp(j.Next)
	}
	return map[string]any{
		"type": "scheduled-job", "id": j.ID, "createdAt": stamp(j.Created), "schedule": j.When, "suspend": j.Suspended, "concurrency": j.Concurrency,
		"status": status, "owner": account, "initiator": map[string]any{"type": "user", "id": accountID(owner), "name": owner}, "jobSpec": spec,
	}
}
