package hubserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// A job is started as it was asked for, seen by its namespace alone, and found
// by its labels; nobody can read its secrets.
func TestStartJob(t *testing.T) {
	t.Parallel()
	jobs := &jobList{}
	s := newSite(t, hubserver.Options{Jobs: jobs, RunJobs: true})
	a := s.do("POST", "/api/jobs/me", `{"dockerImage":"python:3.12","command":["python","-c","x"],"arguments":["a"],"environment":{"A":"b"},
		"secrets":{"HF_TOKEN":"hunter2"},"flavor":"cpu-basic","timeoutSeconds":90,"labels":{"k":"v","name":"n"}}`)
	var got struct {
		ID, DockerImage, Flavor string
		Secrets                 []string
		Labels                  map[string]string
		Timeout                 int
	}
	a.json(t, &got)
	if got.ID == "" || got.DockerImage != "python:3.12" || got.Flavor != "cpu-basic" || got.Timeout != 90 || got.Labels["k"] != "v" || len(got.Secrets) != 1 {
		t.Errorf("started %s", a.body)
	}
	j, err := jobs.Get(t.Context(), got.ID)
	if err != nil || j.Env["A"] != "b" || j.Env["HF_ENDPOINT"] != s.url || j.Owner != "me" {
		t.Errorf("it is %+v, %v", j, err)
	}
	for _, path := range []string{"/api/jobs/me?label=k%3Dv", "/api/jobs/me/" + got.ID} {
		if a := s.do("GET", path, ""); !strings.Contains(a.body, got.ID) || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if a := s.do("POST", "/api/jobs/me/"+got.ID+"/duplicate", ""); a.status != http.StatusConflict || !strings.Contains(a.body, "HF_TOKEN") {
		t.Errorf("a job with secrets was started again: %d %s", a.status, a.body)
	}
	var twin struct {
		ID, Flavor string
		Timeout    int
		Initiator  struct{ Type, ID string }
	}
	plain := s.do("POST", "/api/jobs/me", `{"dockerImage":"ghcr.io/astral-sh/uv:python3.12-bookworm","command":["true"],"flavor":"local"}`)
	plain.json(t, &got)
	s.do("POST", "/api/jobs/me/"+got.ID+"/duplicate", "").json(t, &twin)
	if twin.ID == got.ID || twin.Flavor != "local" || twin.Timeout != 1800 || twin.Initiator.Type != "duplicated-job" || twin.Initiator.ID != got.ID {
		t.Errorf("the second run is %+v", twin)
	}
}

func TestJobsThatCannotRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{Jobs: &jobList{}, RunJobs: true})
	const good = `"dockerImage":"python:3.12","command":["true"],"flavor":"cpu-basic"`
	for body, want := range map[string]string{
		`{"dockerImage":"ubuntu","command":["true"],"flavor":"cpu-basic"}`:      "cannot pull an image",
		`{"spaceId":"a/b","command":["true"],"flavor":"cpu-basic"}`:             "Space",
		`{"dockerImage":"python:3.12","flavor":"cpu-basic"}`:                    "want a command",
		`{"dockerImage":"python:3.12","command":["bad"],"flavor":"cpu-basic"}`:  "no such program",
		`{"dockerImage":"python:3.12","command":["true"],"flavor":"a10g-huge"}`: "no flavor",
		`{` + good + `,"volumes":[{"type":"bucket"}]}`:                          "volumes",
		`{` + good + `,"timeoutSeconds":-1}`:                                    "timeout",
		`{` + good + `,"attempts":99}`:                                          "attempts",
		`{` + good + `,"arch":"sparc"}`:                                         "sparc",
		`{` + good + `,"environment":{"A B":"c"}}`:                              "name of a variable",
		`{` + good + `,"secrets":{"A=B":"c"}}`:                                  "name of a variable",
		`{` + good + `,"labels":{"a b":"c"}}`:                                   "labels",
		`{` + good:                                                              "JSON",
	} {
		if a := s.do("POST", "/api/jobs/me", body); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
		if strings.HasSuffix(body, "}") {
			if a := s.do("POST", "/api/scheduled-jobs/me", `{"schedule":"@hourly","jobSpec":`+body+`}`); a.status != 400 && want != "no such program" {
				t.Errorf("scheduled %s: %d %s", body, a.status, a.body)
			}
		}
	}
	keyed := newSite(t, hubserver.Options{Jobs: &jobList{}, RunJobs: true, JobKey: "k"})
	if a := keyed.do("POST", "/api/jobs/me", `{`+good+`}`); a.status != http.StatusForbidden {
		t.Errorf("without the key: %d %s", a.status, a.body)
	}
	keyed.token = "k"
	if a := keyed.do("POST", "/api/jobs/me", `{`+good+`}`); a.status != http.StatusOK {
		t.Errorf("with the key: %d %s", a.status, a.body)
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, hubserver.Options{Dir: dir, Jobs: &jobList{}, RunJobs: true})
	const spec = `{"dockerImage":"python:3.12","command":["true"],"flavor":"cpu-basic","labels":{"k":"v"}`
	for body, want := range map[string]string{
		`{"schedule":"often","jobSpec":` + spec + `}}`:                            "@hourly",
		`{"schedule":"0 0 30 2 *","jobSpec":` + spec + `}}`:                       "never comes",
		`{"schedule":"@daily","jobSpec":` + spec + `,"secrets":{"A":"hunter2"}}}`: "keeps no secrets",
	} {
		if a := s.do("POST", "/api/scheduled-jobs/me", body); a.status != 400 || !strings.Contains(a.body, want) || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	var j struct {
		ID, Schedule string
		Suspend      bool
		Status       struct {
			LastJob      *struct{ ID string }
			NextJobRunAt *time.Time
		}
		JobSpec struct{ Labels map[string]string }
	}
	s.do("POST", "/api/scheduled-jobs/me", `{"schedule":"@daily","suspend":true,"jobSpec":`+spec+`}}`).json(t, &j)
	if j.ID == "" || !j.Suspend || j.Status.NextJobRunAt != nil {
		t.Errorf("scheduled %+v", j)
	}
	at := "/api/scheduled-jobs/me/" + j.ID
	if s.do("POST", at+"/resume", "").json(t, &j); j.Suspend || j.Status.NextJobRunAt == nil {
		t.Errorf("resumed %+v", j)
	}
	if s.do("POST", at+"/schedule", `{"schedule":"@hourly"}`).json(t, &j); j.Schedule != "@hourly" {
		t.Errorf("changed %+v", j)
	}
	if s.do("PUT", at+"/labels", `{"labels":{"a":"b"}}`).json(t, &j); j.JobSpec.Labels["a"] != "b" {
		t.Errorf("labeled %+v", j)
	}
	var run struct{ ID string }
	s.do("POST", at+"/run", "").json(t, &run)
	if a := s.do("POST", at+"/run", ""); a.status != http.StatusConflict {
		t.Errorf("two runs at a time: %d %s", a.status, a.body)
	}
	s = newSite(t, hubserver.Options{Dir: dir, Jobs: &jobList{}, RunJobs: true})
	if s.do("GET", at, "").json(t, &j); j.Status.LastJob == nil || j.Status.LastJob.ID != run.ID {
		t.Errorf("after a restart it is %+v", j)
	}
	for path, status := range map[string]int{at + "x": 404, at + "/nope": 404, "/api/scheduled-jobs/other/" + j.ID: 404} {
		if a := s.do("POST", path+"/suspend", ""); a.status != status {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := s.do("DELETE", at, ""); a.status != http.StatusOK {
		t.Errorf("delete: %d", a.status)
	}
	if a := s.do("GET", "/api/scheduled-jobs/me", ""); a.body != "[]\n" {
		t.Errorf("there is %s", a.body)
	}
	off := newSite(t, hubserver.Options{Jobs: &jobList{}})
	if a := off.do("POST", "/api/scheduled-jobs/me", `{"schedule":"@daily","jobSpec":`+spec+`}}`); a.status != http.StatusNotImplemented {
		t.Errorf("where no jobs run: %d", a.status)
	}
}

// The clock starts each run once, none while it is suspended, and not two at a
// time unless that is wanted.
func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jobs := &jobList{}
		dir := t.TempDir()
		server, c := directServer(t, hubserver.Options{Dir: dir, Jobs: jobs, RunJobs: true})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() { server.Tend(ctx); close(ended) }()
		count := func() (n int) {
			for _, err := range c.ListJobs(t.Context(), "me", hub.JobFilter{}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			return n
		}
		want := func(n int, what string) {
			t.Helper()
			if got := count(); got != n {
				t.Errorf("%s there are %d jobs, want %d", what, got, n)
			}
		}
		spec := hub.JobSpec{Image: "python:3.12", Command: []string{"true"}}
		j, err := c.ScheduleJob(t.Context(), "me", hub.Schedule{When: "30 * * * *", Job: spec})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Minute)
		want(0, "before its time")
		time.Sleep(2 * time.Minute)
		want(1, "at its time")
		time.Sleep(time.Hour)
		want(1, "while the first goes on")
		finish := func() {
			for i := range count() {
				jobs.set(fmt.Sprint("s", i), func(j *listed) { j.Stage, j.Finished = hub.JobCompleted, time.Now() })
			}
		}
		finish()
		if now, err := c.RunScheduledJob(t.Context(), "me", j.ID); err != nil || now.ID != "s1" {
			t.Errorf("run now: %+v, %v", now, err)
		}
		if _, err := c.RunScheduledJob(t.Context(), "me", j.ID); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("run two at a time: %v", err)
		}
		finish()
		time.Sleep(time.Hour)
		want(3, "an hour later")
		finish()
		if err := c.SuspendScheduledJob(t.Context(), "me", j.ID); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Hour)
		want(3, "while it is suspended")
		if err := c.ResumeScheduledJob(t.Context(), "me", j.ID); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		want(4, "when it is resumed")
		finish()
		if got, err := c.GetScheduledJob(t.Context(), "me", j.ID); err != nil || got.Status.Last.ID != "s3" || got.Status.Last.At.IsZero() || !got.Status.Next.After(time.Now()) {
			t.Errorf("it is %+v, %v", got, err)
		}
		stop() // a server that was away for long does not make up for it
		<-ended
		time.Sleep(5 * time.Hour)
		ctx, stop = context.WithCancel(t.Context())
		ended = make(chan bool)
		go func() { server.Tend(ctx); close(ended) }()
		time.Sleep(time.Minute)
		want(4, "after a pause")
		if err := c.DeleteScheduledJob(t.Context(), "me", j.ID); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Hour)
		want(4, "when it is deleted")
		if all, err := c.ScheduledJobs(t.Context(), "me"); err != nil || len(all) != 0 {
			t.Errorf("there are %v, %v", all, err)
		}
		stop()
		<-ended
	})
}
