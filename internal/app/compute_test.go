//go:build unix

package app

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/job"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// testApp is a program with a home of its own.
func testApp(t *testing.T, env ...string) *App {
	t.Helper()
	home := t.TempDir()
	cfg, err := config.Load(append([]string{"ML_INTERN_HOME=" + home, "HOME=" + home, "PATH=" + os.Getenv("PATH")}, env...), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Model = BuiltinModel
	a, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// A copy does not finish what the original is about to finish.
func TestForkWhileACallRuns(t *testing.T) {
	t.Parallel()
	a := testApp(t)
	dir := t.TempDir()
	s, err := session.New(t.Context(), a.store, session.Opened{ID: "20261126-200000-aaaa", Dir: dir, Model: BuiltinModel, Hub: LocalHub}, "train")
	if err != nil {
		t.Fatal(err)
	}
	call := func(id string) llm.Part {
		return llm.Part{Call: &llm.ToolCall{ID: id, Name: "job_submit", Args: `{"name":"x"}`}}
	}
	reply := session.Reply{}
	reply.Message = llm.Message{Role: llm.Assistant, Parts: []llm.Part{call("begun"), call("fresh")}}
	if err := s.RecordAll(t.Context(), []session.Event{{Reply: &reply}, {Started: &session.Started{CallID: "begun", WorstUSD: 4}}}); err != nil {
		t.Fatal(err)
	}
	c, err := a.Fork(t.Context(), s.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if p := c.Session.Pending(); len(p) != 1 || p[0].ID != "fresh" || p[0].Started {
		t.Errorf("pending in the copy: %+v", p)
	}
	last := c.Session.Events()[len(c.Session.Events())-1].Result
	if last == nil || !last.IsError || !strings.HasPrefix(last.Text, "interrupted: this session is a copy") {
		t.Errorf("the copy ends with %+v", last)
	}
	if usd := c.Session.Bill().Cost.USD; usd != 0 {
		t.Errorf("the copy pays $%v for what the original began", usd)
	}
	if now, err := session.Open(t.Context(), a.store, s.ID); err != nil || len(now.Pending()) != 2 {
		t.Errorf("the original was changed: %+v, %v", now, err)
	}
}

func TestWhoPaysOnTheHub(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		pays bool
	}{
		"nobody":              {[]string{"HF_ENDPOINT=http://127.0.0.1:1"}, false},
		"an account":          {[]string{"HF_ENDPOINT=http://127.0.0.1:1", "HF_TOKEN=hf_x"}, true},
		"an account, offline": {[]string{"HF_ENDPOINT=http://127.0.0.1:1", "HF_TOKEN=hf_x", "HF_HUB_OFFLINE=1"}, false},
	} {
		a := testApp(t, c.env...)
		if got := slices.Contains(a.jobs.Names(), hubCompute); got != c.pays {
			t.Errorf("%s: jobs on the Hub: %v", name, got)
		}
		set, err := a.computesOf(t.Context())
		if err != nil || slices.Contains(set.Names(), hubCompute) != c.pays {
			t.Errorf("%s: in a session: %v", name, err)
		}
	}
}

// office answers for jobs; one that it does not know it looks for without end.
type office struct {
	job.Backend
	jobs []job.Status
	err  error
}

func (o office) Status(ctx context.Context, id string) (job.Status, error) {
	for _, s := range o.jobs {
		if s.ID == id {
			return s, nil
		}
	}
	<-ctx.Done()
	return job.Status{}, ctx.Err()
}

func (o office) Find(context.Context, string) (job.Status, error) {
	return job.Status{}, job.ErrNotFound
}

func (o office) List(context.Context) ([]job.Status, error) { return o.jobs, o.err }

func TestCharges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := time.Now()
		ask := charges(office{jobs: []job.Status{
			{ID: "done", State: job.Failed, USDPerHour: 2, TimeLimit: 5 * time.Hour, Started: end.Add(-time.Hour), Finished: end},
			{ID: "lost", State: job.Lost, USDPerHour: 2, TimeLimit: 5 * time.Hour, Started: end},
			{ID: "runs", State: job.Running, USDPerHour: 2, Started: end},
		}})
		var open []tool.Charge
		for _, id := range []string{"lost", "runs", "done", "", "hangs", "hangs too"} {
			open = append(open, tool.Charge{Label: "s/" + id, Job: id, USD: 10})
		}
		all := ask(t.Context(), open)
		want := []tool.Charge{{Label: "s/done", Job: "done", USD: 2, Final: true}, {Label: "s/", Final: true}} // that was never sent
		if !slices.Equal(all, want) {
			t.Errorf("%+v", all)
		}
		if took := time.Since(end); took > 10*time.Second {
			t.Errorf("asking took %v", took)
		}
	})
}

func TestRunningJobsOfThoseThatAnswer(t *testing.T) {
	t.Parallel()
	a := &App{jobs: &job.Set{}}
	a.jobs.Add("up", office{jobs: []job.Status{{ID: "j1", Label: "s/1", State: job.Running}, {ID: "j2", Label: "s/2", State: job.Failed}}})
	a.jobs.Add("down", office{err: errors.New("no route")})
	ids, err := a.RunningJobs(t.Context(), "s")
	if !slices.Equal(ids, []string{"j1"}) || err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("%v, %v", ids, err)
	}
}

// files has jobs by their labels, and may not be there to be asked.
type files struct {
	job.Backend
	jobs map[string]job.Status
	away string // a label
}

func (f files) Find(_ context.Context, label string) (job.Status, error) {
	if s, ok := f.jobs[label]; ok {
		return s, nil
	}
	if label == f.away {
		return job.Status{}, errors.New("no route")
	}
	return job.Status{}, job.ErrNotFound
}

// A call of which nobody knows what it sent may have sent a sweep: what is found
// of it is charged, and what cannot be asked for keeps the whole open.
func TestChargesOfASweep(t *testing.T) {
	t.Parallel()
	at := time.Unix(0, 0)
	sent := files{jobs: map[string]job.Status{
		"s/x#0":  {ID: "j0", State: job.Running, USDPerHour: 2, TimeLimit: time.Hour},
		"s/x#63": {ID: "j63", State: job.Failed, USDPerHour: 2, TimeLimit: time.Hour, Started: at, Finished: at.Add(30 * time.Minute)},
	}}
	open := []tool.Charge{{Label: "s/x", USD: 128}}
	want := []tool.Charge{{Label: "s/x#0", Job: "j0", USD: 2}, {Label: "s/x#63", Job: "j63", USD: 1, Final: true}, {Label: "s/x", Final: true}}
	if got := charges(sent)(t.Context(), open); !slices.Equal(got, want) {
		t.Errorf("charged %+v", got)
	}
	sent.away = "s/x#9"
	if got := charges(sent)(t.Context(), open); len(got) != 0 {
		t.Errorf("with one that cannot be asked for: %+v", got)
	}
}
