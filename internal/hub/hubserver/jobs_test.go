package hubserver_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

func TestListJobs(t *testing.T) {
	t.Parallel()
	jobs := &jobList{}
	for i := range 30 {
		jobs.set(fmt.Sprint("j", i), func(j *listed) {
			j.Name = fmt.Sprint("n", i%2)
			if i%3 == 0 {
				j.Stage, j.Started = hub.JobRunning, time.Now()
			}
		})
	}
	s := newSite(t, hubserver.Options{Jobs: jobs})
	list := func(query string) (ids []string, next string) {
		t.Helper()
		a := s.do("GET", "/api/jobs/me"+query, "")
		var page []struct{ ID string }
		a.json(t, &page)
		for _, j := range page {
			ids = append(ids, j.ID)
		}
		return ids, strings.TrimSuffix(strings.TrimPrefix(a.header.Get("Link"), "<"), `>; rel="next"`)
	}
	for query, want := range map[string]int{
		"": 30, "?stage=RUNNING": 10, "?stage=RUNNING&stage=SCHEDULING": 30, "?stage=ERROR": 0, "?label=name%3Dn1": 15,
		"?label=name%3Dn1&stage=RUNNING": 5, "?label=name": 30, "?label=other": 0, "?label=name%3Dn1&label=name%3Dn0": 0,
	} {
		if ids, _ := list(query); len(ids) != want {
			t.Errorf("%q lists %d jobs, want %d", query, len(ids), want)
		}
		var n struct{ Count int }
		if s.do("GET", "/api/jobs/me/count"+query, "").json(t, &n); n.Count != want {
			t.Errorf("%q counts %d jobs, want %d", query, n.Count, want)
		}
	}
	first, next := list("?limit=20&stage=RUNNING&stage=SCHEDULING")
	if !strings.HasPrefix(next, s.url) || first[0] != "j29" {
		t.Fatalf("the first page is %q and leads to %q", first, next)
	}
	var rest []map[string]any
	if s.do("GET", next, "").json(t, &rest); len(rest) != 10 {
		t.Errorf("the second page has %d jobs", len(rest))
	}
	if a := s.do("GET", "/api/jobs/other", ""); a.body != "[]\n" {
		t.Errorf("the jobs of nobody: %s", a.body)
	}
}

func TestJobRefusals(t *testing.T) {
	t.Parallel()
	with, without := newSite(t, hubserver.Options{Jobs: someJobs()}), newSite(t, hubserver.Options{})
	auth := newSite(t, hubserver.Options{Jobs: someJobs(), Auth: true, Tokens: map[string]hubserver.Account{
		"hf_me": {Name: "me"}, "hf_look": {Name: "me", ReadOnly: true}, "hf_other": {Name: "other"},
	}})
	as := func(token string) site {
		s := auth
		s.token = token
		return s
	}
	for _, c := range []struct {
		site
		method, path, body string
		status             int
	}{
		{with, "POST", "/api/jobs/me", `{}`, 501},
		{with, "GET", "/api/jobs/me/none", "", 404},
		{with, "GET", "/api/jobs/me/none/logs", "", 404},
		{with, "POST", "/api/jobs/me/none/cancel", "", 404},
		{with, "GET", "/api/jobs/other/done", "", 404},
		{with, "GET", "/api/jobs/me/done/logs?tail=x", "", 400},
		{with, "GET", "/api/jobs/me/done/metrics", "", 406},
		{with, "GET", "/api/jobs/me/done/else", "", 404},
		{with, "PUT", "/api/jobs/me/done/labels", `{"labels":{"a b":"c"}}`, 400},
		{with, "PUT", "/api/jobs/me/done/labels", `{"labels":{"a":"` + strings.Repeat("x", 101) + `"}}`, 400},
		{with, "PUT", "/api/jobs/me/done/labels", `{}`, 400},
		{with, "GET", "/api/scheduled-jobs/me/x", "", 404},
		{without, "GET", "/api/jobs/me/done", "", 404},
		{auth, "GET", "/api/jobs/me", "", 401},
		{as("hf_other"), "GET", "/api/jobs/me", "", 403},
		{as("hf_other"), "GET", "/api/jobs/me/done/logs", "", 403},
		{as("hf_look"), "POST", "/api/jobs/me/open/cancel", "", 403},
	} {
		if a := c.do(c.method, c.path, c.body); a.status != c.status || a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s %s: %d %s; want %d", c.method, c.path, a.status, a.body, c.status)
		}
	}
	if a := as("hf_look").do("GET", "/api/jobs/me/open", ""); a.status != http.StatusOK {
		t.Errorf("a reader of the account does not see its job: %d", a.status)
	}
}

// Labels are kept over a restart and replace the name that a job began with.
func TestJobLabelsAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, hubserver.Options{Dir: dir, Jobs: someJobs()})
	if a := s.do("PUT", "/api/jobs/me/done/labels", `{"labels":{"k":"v"}}`); a.status != http.StatusOK || !strings.Contains(a.body, `"labels":{"k":"v"}`) {
		t.Errorf("label: %d %s", a.status, a.body)
	}
	s = newSite(t, hubserver.Options{Dir: dir, Jobs: someJobs()})
	if a := s.do("GET", "/api/jobs/me/done", ""); !strings.Contains(a.body, `"labels":{"k":"v"}`) {
		t.Errorf("after a restart: %s", a.body)
	}
}

// A log stays open while the job waits for its start, says now and then that
// the server is there, and ends with the job.
func TestJobLogLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jobs := &jobList{}
		jobs.set("j", func(*listed) {})
		c := direct(t, hubserver.Options{Jobs: jobs})
		go func() {
			time.Sleep(10 * time.Minute)
			jobs.set("j", func(j *listed) { j.Stage, j.Started = hub.JobRunning, time.Now() })
			for i := range 3 {
				time.Sleep(5 * time.Minute)
				jobs.print("j", fmt.Sprint(i))
			}
			jobs.print("j", "last")
			jobs.set("j", func(j *listed) { j.Stage, j.Finished = hub.JobCompleted, time.Now() })
		}()
		began := time.Now()
		var got []string
		var last time.Time
		for line, err := range c.JobLogs(t.Context(), "me", "j", hub.LogOptions{Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if !line.Time.After(last) {
				t.Errorf("%q has the time %s, not after %s", line.Text, line.Time, last)
			}
			got, last = append(got, line.Text), line.Time
		}
		if !slices.Equal(got, []string{"0", "1", "2", "last"}) {
			t.Errorf("the log is %q", got)
		}
		if took := time.Since(began).Round(time.Minute); took != 25*time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// The stream itself, byte by byte.
func TestJobLogStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jobs := someJobs()
		server, c := directServer(t, hubserver.Options{Jobs: jobs})
		get := func(path string) string {
			req, err := http.NewRequestWithContext(t.Context(), "GET", c.BaseURL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
				t.Errorf("%s is %s", path, kind)
			}
			text, err := io.ReadAll(resp.Body)
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		text := get("/api/jobs/me/done/logs")
		if !strings.HasPrefix(text, `data: {"data":"===== Job started at 2000-01-01 00:00:00 =====","timestamp":"2000-01-01T00:00:00.000000000Z"}`+"\n\n"+
			`data: {"data":"one","timestamp":"2000-01-01T00:00:00.000000004Z"}`+"\n\n") {
			t.Errorf("the log is %q", text)
		}
		if again := get("/api/jobs/me/done/logs"); again != text {
			t.Errorf("the log is %q the second time", again)
		}
		for tail, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 4, 4: 4} {
			if n := strings.Count(get(fmt.Sprint("/api/jobs/me/done/logs?tail=", tail)), "data: "); n != want {
				t.Errorf("%d events with tail=%d, want %d", n, tail, want)
			}
		}
		if text := get("/api/jobs/me/done/events"); strings.Count(text, "data: ") != 3 || !strings.Contains(text, "COMPLETED") {
			t.Errorf("the events are %q", text)
		}
		for _, path := range []string{"logs", "metrics", "events"} { // they end when the server does
			time.AfterFunc(5*time.Minute, server.EndStreams)
			if text := get("/api/jobs/me/open/" + path); path == "logs" && strings.Count(text, ": keep-alive") < 9 {
				t.Errorf("%s sends %q in 5 minutes", path, text)
			}
		}
	})
}

// A line waits for its end, so that it is one line at each reading.
func TestPartialLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		jobs := &jobList{}
		jobs.set("j", func(j *listed) {
			j.Stage, j.Started = hub.JobRunning, time.Now()
			j.lines = []hubserver.JobLine{{Text: "10%", Next: 3, Partial: true}}
		})
		c := direct(t, hubserver.Options{Jobs: jobs})
		go func() {
			time.Sleep(time.Minute)
			jobs.set("j", func(j *listed) {
				j.lines = []hubserver.JobLine{{Text: "10% 20%", Next: 8}, {Text: "x", Next: 9, Partial: true}}
			})
			time.Sleep(time.Minute)
			jobs.set("j", func(j *listed) { j.Stage = hub.JobFailed })
		}()
		var got []string
		for line, err := range c.JobLogs(t.Context(), "me", "j", hub.LogOptions{Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, line.Text)
		}
		if !slices.Equal(got, []string{"10% 20%", "x"}) {
			t.Errorf("the log is %q", got)
		}
	})
}

// directServer is a server without a network, and a client of it, for a test
// in which time is not real.
func directServer(t *testing.T, opts hubserver.Options) (*hubserver.Server, *hub.Client) {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := hubserver.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, hubtest.Direct(s)
}

func direct(t *testing.T, opts hubserver.Options) *hub.Client {
	t.Helper()
	_, c := directServer(t, opts)
	return c
}
