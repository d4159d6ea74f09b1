//go:build unix

package hfjobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/job"
	"ml-intern/internal/job/hfjobs"
)

const post = "/api/jobs/me"

// atServer counts the jobs that the server has started.
func atServer(t *testing.T, h *hubtest.Hub) int {
	t.Helper()
	n := 0
	for _, err := range h.Client.ListJobs(t.Context(), "me", hub.JobFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// A submission whose answer is lost is found at once, or later by its label,
// and is never sent twice.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]hubtest.Fault{
		"answer lost":                {{Method: "POST", Path: post, Lose: true}},
		"answer cut":                 {{Method: "POST", Path: post, CutAfter: 10}},
		"gateway gave up":            {{Method: "POST", Path: post, Lose: true}, {Method: "GET", Path: post, Status: 502, Times: 3}},
		"then the network is gone":   {{Method: "POST", Path: post, Lose: true}, {Method: "GET", Path: post, Lose: true, Times: -1}},
		"then the token is no more":  {{Method: "POST", Path: post, Lose: true}, {Method: "GET", Path: post, Status: 401, Times: -1}},
		"then the Hub has its limit": {{Method: "POST", Path: post, Lose: true}, {Method: "GET", Path: post, Status: 429, Header: map[string]string{"Retry-After": "900"}, Times: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, b := serve(t)
			for _, f := range faults {
				h.Break(f)
			}
			spec := shell(t, "echo once")
			spec.Label = "l"
			first, err := b.Submit(t.Context(), spec)
			if stays := faults[len(faults)-1].Times < 0; (err != nil) != stays {
				t.Errorf("submit: %v", err)
			}
			h.Mend()
			b = &hfjobs.Backend{Dir: b.Dir, Hub: b.Hub, Image: b.Image} // as after a restart
			found, err := b.Find(t.Context(), "l")
			if err != nil || found.Ref == "" || first.Ref != "" && found.Ref != first.Ref {
				t.Fatalf("found %+v, %v", found, err)
			}
			if again := submit(t, b, spec); again.ID != found.ID {
				t.Errorf("submitted again it is %s, not %s", again.ID, found.ID)
			}
			if s := wait(t, b, found.ID); s.State != job.Succeeded || text(t, b, s.ID) != "once\n" {
				t.Errorf("it is %+v", s)
			}
			if n := atServer(t, h); n != 1 {
				t.Errorf("the Hub has %d jobs", n)
			}
		})
	}
}

// What the Hub refuses is said in a sentence and leaves nothing behind.
func TestRefused(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		400: "400", 401: "log in again", 402: "no credit", 403: "job.write", 404: "404", 429: "fewer questions", 500: "500",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			h, b := serve(t)
			h.Break(hubtest.Fault{Method: "POST", Path: post, Status: status, Header: map[string]string{"Retry-After": "900"}, Times: -1})
			spec := shell(t, "true")
			spec.Label = "l"
			if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("submit: %+v, %v", s, err)
			}
			if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("there are %v, %v", all, err)
			}
			h.Mend()
			if s := wait(t, b, submit(t, b, spec).ID); s.State != job.Succeeded {
				t.Errorf("later it is %+v", s)
			}
			if n := atServer(t, h); n != 1 {
				t.Errorf("the Hub has %d jobs", n)
			}
		})
	}
}

// A Hub that is not there has not got the job.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	h, b := serve(t)
	if _, err := b.Offers(t.Context()); err != nil { // and remembers them
		t.Fatal(err)
	}
	b.Namespace = "me"
	b.Hub = &hub.Client{BaseURL: "http://127.0.0.1:1"}
	spec := shell(t, "true")
	spec.Label = "l"
	if s, err := b.Submit(t.Context(), spec); err == nil {
		t.Errorf("submit: %+v", s)
	}
	b.Hub = h.Client
	if s := submit(t, b, spec); s.Ref == "" {
		t.Errorf("submit: %+v", s)
	}
}

// A killer is a network on which our program dies when it sends a job: before
// the Hub has it, or after.
type killer struct{ after bool }

func (k killer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != "POST" {
		return http.DefaultTransport.RoundTrip(r)
	}
	if k.after {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
	}
	return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// agent is the program of TestKilled: it submits the spec in its arguments.
func agent(ctx context.Context, dir, url, when, spec string) error {
	var s job.Spec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return err
	}
	b := &hfjobs.Backend{Dir: dir, Image: "python:3.12", Hub: &hub.Client{BaseURL: url, HTTP: &http.Client{Transport: killer{when == "after"}}}}
	_, err := b.Submit(ctx, s)
	return err
}

func TestKilled(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			h, b := serve(t)
			spec := shell(t, "echo once")
			spec.Label = "l"
			data, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "agent", b.Dir, h.URL, when, string(data))
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != -1 {
				t.Fatalf("the agent was not killed: %v\n%s", err, out)
			}
			if when == "before" {
				afterKilledBefore(t, b, spec)
			}
			s := submit(t, b, spec)
			if s = wait(t, b, s.ID); s.State != job.Succeeded || text(t, b, s.ID) != "once\n" {
				t.Errorf("it is %+v", s)
			}
			if n := atServer(t, h); n != 1 {
				t.Errorf("the Hub has %d jobs", n)
			}
		})
	}
}

// afterKilledBefore checks that a job which may be on its way is not sent
// again, and lets the time pass after which it cannot be.
func afterKilledBefore(t *testing.T, b *hfjobs.Backend, spec job.Spec) {
	if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "submit again in") {
		t.Errorf("submitted at once it is %+v, %v", s, err)
	}
	s, err := b.Find(t.Context(), "l")
	if err != nil || s.State != job.Queued {
		t.Errorf("it is %+v, %v", s, err)
	}
	backdate(t, b, s.ID)
	if s, err := b.Find(t.Context(), "l"); err != nil || s.State != job.Failed || !strings.Contains(s.Reason, "never got it") {
		t.Errorf("later it is %+v, %v", s, err)
	}
}

// backdate lets a record say that its job was sent an hour ago.
func backdate(t *testing.T, b *hfjobs.Backend, id string) {
	t.Helper()
	records := job.Records{Dir: filepath.Join(b.Dir, "jobs")}
	rec, err := records.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	rec.Submitted = rec.Submitted.Add(-time.Hour)
	if rec.Kept["sent"] != "" {
		rec.Kept["sent"] = rec.Submitted.Format(time.RFC3339Nano)
	}
	if err := records.Save(rec); err != nil {
		t.Fatal(err)
	}
}

// A job that may be on its way is canceled when it turns up, or not sent at all.
func TestCancelUnanswered(t *testing.T) {
	t.Parallel()
	for name, arrives := range map[string]bool{"it arrived": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, b := serve(t)
			if arrives {
				h.Break(hubtest.Fault{Method: "POST", Path: post, Lose: true})
			} else {
				h.Break(hubtest.Fault{Method: "POST", Path: post, Status: 504})
			}
			h.Break(hubtest.Fault{Method: "GET", Path: post, Status: 403, Times: -1})
			spec := shell(t, "sleep 300")
			spec.Label = "l"
			if s, err := b.Submit(t.Context(), spec); err == nil {
				t.Fatalf("submit: %+v", s)
			}
			all, err := b.List(t.Context())
			if err == nil || len(all) != 1 {
				t.Fatalf("there are %v, %v", all, err)
			}
			id := all[0].ID
			if err := b.Cancel(t.Context(), id); err == nil {
				t.Error("canceled without the Hub")
			}
			h.Mend()
			if !arrives {
				backdate(t, b, id)
			}
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // no call of Cancel is needed any more
				s, err := b.Find(t.Context(), "l")
				if err != nil {
					t.Fatal(err)
				}
				if s.State == job.Canceled {
					break
				}
			}
			if s := submit(t, b, spec); s.State != job.Canceled || s.ID != id {
				t.Errorf("it is %+v", s)
			}
		})
	}
}

// However often the log breaks off, it comes whole, each line once, and with
// the same cursors.
func TestLogCut(t *testing.T) {
	t.Parallel()
	h, b := serve(t)
	s := submit(t, b, shell(t, `for i in 0 1 2 3 4 5 6 7 8 9; do echo same; echo "line $i"; echo; sleep 0.5; done; exit 7`))
	for n := range 4 {
		h.Break(hubtest.Fault{Method: "GET", Path: "/logs", After: n, CutAfter: int64(300 * n)})
	}
	lines := map[int64]string{}
	var cursor int64
	broken := 0
	for end := time.Now().Add(time.Minute); (broken == 0 || len(lines) < 5) && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for line, err := range b.Logs(t.Context(), s.ID, cursor) {
			if err != nil {
				broken++
				break
			}
			cursor = line.Next
			lines[cursor] = line.Text
		}
	}
	if broken == 0 || len(lines) < 5 {
		t.Errorf("%d times the log broke off, %d lines came", broken, len(lines))
	}
	h.Mend()
	if s = wait(t, b, s.ID); s.State != job.Failed || s.ExitCode != 7 {
		t.Errorf("it is %+v", s)
	}
	want := ""
	for i := range 10 {
		want += fmt.Sprintf("same\nline %d\n\n", i)
	}
	if got := text(t, b, s.ID); got != want {
		t.Errorf("the log is %q", got)
	}
	for line := range b.Logs(t.Context(), s.ID, 0) {
		if before, ok := lines[line.Next]; ok && before != line.Text {
			t.Errorf("at %d was %q, now there is %q", line.Next, before, line.Text)
		}
	}
}

// What somebody who was killed has written of a log comes again.
func TestLogCopyKilled(t *testing.T) {
	t.Parallel()
	_, b := serve(t)
	gate := filepath.Join(t.TempDir(), "gate")
	s := submit(t, b, shell(t, "echo one; until [ -e '"+gate+"' ]; do sleep 0.05; done; echo two"))
	for text(t, b, s.ID) == "" {
		time.Sleep(20 * time.Millisecond)
	}
	file, err := os.OpenFile(filepath.Join(b.Dir, "logs", s.ID+".log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("half a li"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got := text(t, b, s.ID); got != "one\n" {
		t.Errorf("meanwhile it is %q", got)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, b, s.ID)
	if got := text(t, b, s.ID); got != "one\ntwo\n" {
		t.Errorf("the log is %q", got)
	}
}

// The log was read last at a time that is yet to come: it is read on all the same.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	_, b := serve(t)
	gate := filepath.Join(t.TempDir(), "gate")
	s := submit(t, b, shell(t, "echo one; until [ -e '"+gate+"' ]; do sleep 0.05; done; echo two; sleep 300"))
	for text(t, b, s.ID) == "" {
		time.Sleep(20 * time.Millisecond)
	}
	file := filepath.Join(b.Dir, "logs", s.ID+".json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ahead := regexp.MustCompile(`"read_at":"[^"]*"`).ReplaceAllString(string(data), `"read_at":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)+`"`)
	if err := os.WriteFile(file, []byte(ahead), 0o600); err != nil || ahead == string(data) {
		t.Fatal(err, ahead)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); text(t, b, s.ID) != "one\ntwo\n"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the log stays %q", text(t, b, s.ID))
		}
	}
	if err := b.Cancel(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
}

// A server that was restarted, and a copy of our program that knows only what
// is on disk, have all of a job.
func TestServerRestarted(t *testing.T) {
	t.Parallel()
	opts := hubserver.Options{Dir: t.TempDir(), Jobs: machine(t), RunJobs: true}
	h := hubtest.StartWith(t, opts)
	b := &hfjobs.Backend{Dir: filepath.Join(t.TempDir(), "hfjobs"), Hub: h.Client, Image: "python:3.12"}
	spec := shell(t, "echo one; sleep 1; echo two")
	spec.Label = "l"
	s := submit(t, b, spec)
	for !strings.HasPrefix(text(t, b, s.ID), "one\n") { // on a slow machine the first that is seen may be all
		time.Sleep(20 * time.Millisecond)
	}
	b = &hfjobs.Backend{Dir: b.Dir, Hub: hubtest.StartWith(t, opts).Client, Image: b.Image}
	if again := submit(t, b, spec); again.ID != s.ID || again.Ref != s.Ref {
		t.Errorf("after the restart it is %+v", again)
	}
	if s = wait(t, b, s.ID); s.State != job.Succeeded || text(t, b, s.ID) != "one\ntwo\n" {
		t.Errorf("it is %+v, its log %q", s, text(t, b, s.ID))
	}
	h.Requests()
	if all, err := b.List(t.Context()); err != nil || len(all) != 1 || len(h.Requests()) != 0 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// Many jobs are asked for together.
func TestListAsksOnce(t *testing.T) {
	t.Parallel()
	h, b := serve(t)
	var ids []string
	for range 15 {
		ids = append(ids, submit(t, b, shell(t, "sleep 300")).ID)
	}
	h.Requests()
	all, err := b.List(t.Context())
	if asked := h.Requests(); err != nil || len(all) != 15 || len(asked) != 1 {
		t.Errorf("%d jobs with %d questions, %v", len(all), len(asked), err)
	}
	slices.Reverse(ids)
	for _, id := range ids {
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// Of a job that runs for hours the Hub is not asked every second.
func TestAsksSeldom(t *testing.T) {
	t.Parallel()
	h, b := serve(t)
	s := submit(t, b, shell(t, "sleep 300"))
	for s.State != job.Running {
		s, _ = b.Status(t.Context(), s.ID)
		time.Sleep(20 * time.Millisecond)
	}
	h.Requests()
	for range 50 {
		if s, err := b.Status(t.Context(), s.ID); err != nil || s.State != job.Running {
			t.Fatalf("it is %+v, %v", s, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	young := len(h.Requests())
	records := job.Records{Dir: filepath.Join(b.Dir, "jobs")}
	rec, err := records.Get(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.Last.Started = rec.Last.Started.Add(-time.Hour)
	if err := records.Save(rec); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if s, err := b.Status(t.Context(), s.ID); err != nil || s.State != job.Running {
			t.Fatalf("it is %+v, %v", s, err)
		}
	}
	if old := len(h.Requests()); young < 10 || old > 1 {
		t.Errorf("it was asked %d times when the job was young, %d times when it was old", young, old)
	}
	if err := b.Cancel(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if s, err := b.Status(t.Context(), s.ID); err != nil || s.State != job.Canceled {
		t.Errorf("it is %+v, %v", s, err)
	}
}
