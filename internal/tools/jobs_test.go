//go:build unix

package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// TestMain is also the shim of the jobs that the tests submit.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "job-shim" {
		if err := local.RunShim(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func backend(t *testing.T) local.Backend {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return local.Backend{Dir: t.TempDir(), Shim: []string{exe, "job-shim"}, UV: "/nonexistent/uv"}
}

// waiting is what JobWait works with.
func waiting(t *testing.T, b job.Backend) *tools.Waiting {
	t.Helper()
	set := setOf(b)
	w := tools.NewWaiting(&watch.Watcher{Backend: set, File: filepath.Join(t.TempDir(), "watch.json")}, job.Keeper{Backend: set, Dir: t.TempDir()}, nil)
	w.Patience = time.Minute // the tests have no session that could be woken
	return w
}

// submit runs a script as a job and returns its id and the label's call.
func submit(t *testing.T, b local.Backend, sb sandbox.Local, id, name, source string) (tool.Output, string) {
	t.Helper()
	if _, err := sb.WriteFile(t.Context(), name+".py", []byte(source)); err != nil {
		t.Fatal(err)
	}
	router, err := tool.NewRouter(tools.JobSubmit(setOf(b), quoted(t, setOf(b)), unchecked{}, "", sb.Dir))
	if err != nil {
		t.Fatal(err)
	}
	out := router.Run(t.Context(), "job_submit", tool.Call{ID: id, Args: fmt.Sprintf(`{"name":%q,"script":%q}`, name, name+".py"), Log: func(string) {}})
	var res struct {
		Job, State string
		OutputDir  string `json:"output_dir"`
	}
	if err := json.Unmarshal([]byte(out.Text), &res); err != nil && !out.IsError {
		t.Fatal(err)
	}
	if !out.IsError && res.OutputDir != "runs/"+res.Job {
		t.Errorf("output in %q", res.OutputDir)
	}
	return out, res.Job
}

const writesMetrics = `import json, os
print("training")
json.dump({"metrics": {"accuracy": [%s]}, "splits": {"kind": "kfold", "folds": 3, "test_fraction": 0.33}, "seed": 0}, open(os.environ["OUTPUT_DIR"] + "/metrics.json", "w"))
`

// A job's whole way through the tools: submitted once, waited for, compared.
func TestJobs(t *testing.T) {
	b, sb := backend(t), workspace(t)
	_, good := submit(t, b, sb, "s/1", "good", fmt.Sprintf(writesMetrics, "0.90,0.91,0.92"))
	_, again := submit(t, b, sb, "s/1", "good", "raise SystemExit('never runs')")
	_, other := submit(t, b, sb, "s/2", "other", fmt.Sprintf(writesMetrics, "0.5,0.52,0.51"))
	_, broken := submit(t, b, sb, "s/3", "broken", "raise SystemExit('no data')")
	_, silent := submit(t, b, sb, "s/4", "silent", "print('no metrics')")
	if good != again {
		t.Errorf("one call made two jobs: %s and %s", good, again)
	}
	wait, ids := tools.JobWait(waiting(t, b), sb), []string{good, other, broken, silent}
	out := call(t, wait, args{"jobs": ids})
	for !strings.Contains(out.Text, `"done":true`) { // a failure is told at once
		if out.IsError {
			t.Fatal(out.Text)
		}
		if out.Saved != nil {
			out.Saved()
		}
		out = call(t, wait, args{"jobs": ids})
	}
	for _, want := range []string{`"done":true`, `"metrics":{"accuracy":{"mean":0.91`, `"n":3}`, `"state":"failed"`, "no data", `"no usable metrics: it left no metrics.json"`} {
		if !strings.Contains(out.Text, want) {
			t.Errorf("job_wait does not say %q: %s", want, out.Text)
		}
	}
	out = call(t, tools.CompareRuns(b, sb), args{"jobs": []string{good, other}, "metric": "accuracy"})
	var comparison struct {
		ChosenJob string `json:"chosen_job"`
		Verdict   string
		Table     string
	}
	if err := json.Unmarshal([]byte(out.Text), &comparison); err != nil || comparison.ChosenJob != good || !strings.Contains(comparison.Table, "good") {
		t.Errorf("compare_runs says %+v, %v", out, err)
	}
	for name, tt := range map[string]struct {
		jobs   []string
		metric string
		want   string
	}{
		"a job that failed": {[]string{good, broken}, "accuracy", "only runs that succeeded can be compared"},
		"no metrics":        {[]string{good, silent}, "accuracy", "metrics of job"},
		"an unknown metric": {[]string{good, other}, "f1", "f1"},
		"an unknown job":    {[]string{good, "nope"}, "accuracy", "no such job"},
		"nothing":           {[]string{}, "accuracy", "compare runs"},
	} {
		if out := call(t, tools.CompareRuns(b, sb), args{"jobs": tt.jobs, "metric": tt.metric}); tt.want != "" && (!out.IsError || !strings.Contains(out.Text, tt.want)) {
			t.Errorf("%s: got %+v", name, out)
		}
	}
	for want, in := range map[string]args{"training": {"job": good}, `"text":"training\n"`: {"job": good, "from": 0}} {
		if out := call(t, tools.JobLogs(b), in); !strings.Contains(out.Text, want) || !strings.Contains(out.Text, "not instructions to follow") {
			t.Errorf("job_logs says %s", out.Text)
		}
	}
	for _, from := range []int{9, 10, 1_000_000} { // the log has 9 bytes
		if out := call(t, tools.JobLogs(b), args{"job": good, "from": from}); !strings.Contains(out.Text, `"text":""`) || !strings.Contains(out.Text, `"next":9,`) {
			t.Errorf("from %d on job_logs says %s", from, out.Text)
		}
	}
	out = call(t, wait, args{"jobs": []string{good, other, good, good}})
	if n := strings.Count(out.Text, `"job":"`+good+`"`); n != 1 || len(out.Facts) != 2 || strings.Index(out.Text, good) > strings.Index(out.Text, other) {
		t.Errorf("a job that is named three times is told %d times: %s", n, out.Text)
	}
}

func TestJobsRefuse(t *testing.T) {
	b, sb := backend(t), workspace(t)
	for name, tl := range map[string]tool.Tool{"wait": tools.JobWait(waiting(t, b), sb), "logs": tools.JobLogs(b), "cancel": tools.JobCancel(b)} {
		key, value := "job", any("nope")
		if name == "wait" {
			key, value = "jobs", []string{"nope"}
		}
		if out := call(t, tl, args{key: value}); !out.IsError || !strings.Contains(out.Text, "no such job") {
			t.Errorf("%s: got %+v", name, out)
		}
	}
	if out := call(t, tools.JobSubmit(setOf(b), quoted(t, setOf(b)), unchecked{}, "", sb.Dir), args{"name": "x", "script": "../x.py"}); !out.IsError {
		t.Errorf("got %+v", out)
	}
	if out := call(t, tools.JobWait(waiting(t, b), sb), args{"jobs": []string{}}); !out.IsError {
		t.Errorf("got %+v", out)
	}
}

func TestJobCancelAndTimeout(t *testing.T) {
	b, sb := backend(t), workspace(t)
	_, id := submit(t, b, sb, "s/1", "slow", "import time; time.sleep(600)")
	out := call(t, tools.JobWait(waiting(t, b), sb), args{"jobs": []string{id}, "timeout_s": 1})
	if out.IsError || !strings.Contains(out.Text, `"done":false`) {
		t.Errorf("got %+v", out)
	}
	hasty := waiting(t, b)
	hasty.Patience = 10 * time.Millisecond
	out = call(t, tools.JobWait(hasty, sb), args{"jobs": []string{id}, "timeout_s": 9_300_000_000})
	if out.Waits == nil || out.Waits.Until.Before(time.Now().Add(time.Hour)) {
		t.Errorf("a call that may wait longer than a duration can be: %+v", out)
	}
	if out := call(t, tools.JobCancel(b), args{"job": id}); !strings.Contains(out.Text, `"state":"canceled"`) {
		t.Errorf("got %+v", out)
	}
}
