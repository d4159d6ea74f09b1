package hfjobs_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/job/hfjobs"
)

// A paper is a Hub on paper: it answers what a test has written.
type paper struct {
	mu   sync.Mutex
	job  string // what it says of every job
	log  []string
	sent map[string]any // what it was sent last
}

func (p *paper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.URL.Path == "/api/whoami-v2":
		io.WriteString(w, `{"name": "me"}`)
	case r.URL.Path == "/api/jobs/hardware":
		io.WriteString(w, hardware)
	case strings.HasSuffix(r.URL.Path, "/logs"):
		for i, line := range p.log {
			fmt.Fprintf(w, "data: {\"data\":%q,\"timestamp\":\"2026-01-02T03:04:%02dZ\"}\n\n", line, i)
		}
	case r.Method == "POST":
		if json.NewDecoder(r.Body).Decode(&p.sent) == nil && p.job == "" {
			io.WriteString(w, `{"id": "j1", "createdAt": "2026-01-02T03:00:00Z", "status": {"stage": "SCHEDULING"}}`)
			return
		}
		fallthrough
	case p.job == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		io.WriteString(w, p.job)
	}
}

// now says how all jobs are from now on.
func (p *paper) now(job string, log ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job, p.log = job, log
}

const hardware = `[
 {"name": "a10g-largex2", "prettyName": "2x Nvidia A10G - large", "cpu": "24 vCPU", "ram": "92 GB", "ephemeralStorage": "1000 GB",
  "accelerator": {"type": "gpu", "model": "A10G", "quantity": "2", "vram": "48 GB", "manufacturer": "Nvidia"}, "unitCostMicroUSD": 50000, "unitCostUSD": 0.05, "unitLabel": "minute"},
 {"name": "inf2x6", "prettyName": "Inferentia 2", "cpu": "96 vCPU", "ram": "384 GB",
  "accelerator": {"type": "neuron", "model": "Inf2", "quantity": "6", "vram": "192 GB", "manufacturer": "AWS"}, "unitCostMicroUSD": 1000, "unitCostUSD": 0.001, "unitLabel": "minute"},
 {"name": "odd", "prettyName": "Odd", "cpu": "1 vCPU", "ram": "N/A", "accelerator": null, "unitCostMicroUSD": 5, "unitCostUSD": 0.000005, "unitLabel": "fortnight"},
 {"name": "cpu-basic", "prettyName": "CPU Basic", "cpu": "2 vCPU", "ram": "16 GB", "accelerator": null, "unitCostMicroUSD": 167, "unitCostUSD": 0.000167, "unitLabel": "minute"},
 {"name": "t4-small", "prettyName": "Nvidia T4 - small", "cpu": "4 vCPU", "ram": "15 GB",
  "accelerator": {"type": "gpu", "model": "T4", "quantity": "1", "vram": "16 GB", "manufacturer": "Nvidia"}, "unitCostMicroUSD": 6667, "unitCostUSD": 0.006667, "unitLabel": "minute"}]`

func onPaper(t *testing.T) (*paper, *hfjobs.Backend) {
	t.Helper()
	p := &paper{}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, &hfjobs.Backend{Dir: filepath.Join(t.TempDir(), "hfjobs"), Hub: &hub.Client{BaseURL: server.URL}}
}

func command(t *testing.T) job.Spec {
	t.Helper()
	return job.Spec{Dir: t.TempDir(), Command: []string{"true"}, TimeLimit: 10 * time.Minute}
}

// What the Hub says of a job is understood, whatever it leaves out.
func TestStates(t *testing.T) {
	t.Parallel()
	const ran = `"createdAt": "2026-01-02T03:00:00Z", "startedAt": "2026-01-02T03:00:10Z", "finishedAt": "2026-01-02T03:02:10Z"`
	const long = `"createdAt": "2026-01-02T03:00:00Z", "startedAt": "2026-01-02T03:00:10Z", "finishedAt": "2026-01-02T03:10:10Z"`
	const waited = `"createdAt": "2026-01-02T03:00:00Z", "finishedAt": "2026-01-02T03:02:10Z"`
	for name, c := range map[string]struct {
		times, status string
		last          string // of its log, ID for the job's
		state         job.State
		code          int
		reason        string
		seconds       float64
	}{
		"waits":                  {times: `"createdAt": "2026-01-02T03:00:00Z"`, status: `"stage": "SCHEDULING"`, state: job.Queued, code: -1},
		"waits, says why":        {times: `"createdAt": "2026-01-02T03:00:00Z"`, status: `"stage": "SCHEDULING", "message": "no GPU is free"`, state: job.Queued, code: -1},
		"succeeded":              {times: ran, status: `"stage": "COMPLETED", "message": null`, state: job.Succeeded, seconds: 120},
		"only durations":         {times: `"createdAt": "2026-01-02T03:00:00Z", "durations": {"schedulingSecs": 5, "runningSecs": 60, "totalSecs": 65}`, status: `"stage": "COMPLETED"`, state: job.Succeeded, seconds: 60},
		"failed":                 {times: ran, status: `"stage": "ERROR"`, last: "===== Job ID ended with exit code 3 =====", state: job.Failed, code: 3, reason: "exit code 3", seconds: 120},
		"failed, by the message": {times: ran, status: `"stage": "ERROR", "message": "Job failed with exit code: 2. Reason: Error"`, state: job.Failed, code: 2, reason: "exit code 2", seconds: 120},
		"failed, nobody knows":   {times: ran, status: `"stage": "ERROR"`, state: job.Failed, code: -1, reason: "the Hub ended it", seconds: 120},
		"of another job":         {times: ran, status: `"stage": "ERROR", "message": "odd"`, last: "===== Job X ended with exit code 3 =====", state: job.Failed, code: -1, reason: "odd", seconds: 120},
		"out of memory":          {times: ran, status: `"stage": "ERROR"`, last: "===== Job ID ended with exit code 137 for lack of memory =====", state: job.OutOfMemory, code: 137, reason: "memory", seconds: 120},
		"out of memory, said":    {times: ran, status: `"stage": "ERROR", "message": "Job failed with exit code: 137. Reason: OOMKilled"`, state: job.OutOfMemory, code: 137, reason: "cpu-basic", seconds: 120},
		"its own memory error":   {times: ran, status: `"stage": "ERROR", "message": "out of memory"`, last: "===== Job ID ended with exit code 1 =====", state: job.Failed, code: 1, reason: "exit code 1", seconds: 120},
		"killed":                 {times: ran, status: `"stage": "ERROR"`, last: "===== Job ID ended with exit code 139 =====", state: job.Failed, code: 139, reason: "signal 11", seconds: 120},
		"time is over":           {times: long, status: `"stage": "ERROR"`, state: job.TimedOut, code: -1, reason: "10m0s", seconds: 600},
		"time is over, said":     {times: ran, status: `"stage": "ERROR", "message": "Job timeout"`, state: job.TimedOut, code: -1, reason: "10m0s", seconds: 120},
		"time is over, TERM":     {times: long, status: `"stage": "ERROR"`, last: "===== Job ID ended with exit code 143 =====", state: job.TimedOut, code: 143, reason: "10m0s", seconds: 600},
		"failed at the end":      {times: long, status: `"stage": "ERROR"`, last: "===== Job ID ended with exit code 1 =====", state: job.Failed, code: 1, reason: "exit code 1", seconds: 600},
		"not started":            {times: waited, status: `"stage": "ERROR", "message": "image not found"`, state: job.Failed, code: -1, reason: "image not found"},
		"canceled":               {times: ran, status: `"stage": "CANCELED"`, state: job.Canceled, code: -1, reason: "canceled on the Hub", seconds: 120},
		"no credit":              {times: ran, status: `"stage": "CANCELED", "cancelReason": "NO_CREDITS"`, state: job.Canceled, code: -1, reason: "me has no credit left; add some at http", seconds: 120},
		"no subscription":        {times: ran, status: `"stage": "CANCELED", "cancelReason": "NO_SUBSCRIPTION"`, state: job.Canceled, code: -1, reason: "subscription", seconds: 120},
		"another reason":         {times: ran, status: `"stage": "CANCELED", "cancelReason": "SOLAR_FLARE", "message": "see\u001b[31m\nbelow"`, state: job.Canceled, code: -1, reason: "SOLAR_FLARE", seconds: 120},
		"deleted":                {times: ran, status: `"stage": "DELETED", "message": "by an admin"`, state: job.Lost, code: -1, reason: "deleted on the Hub: by an admin", seconds: 120},
		"deleted when done":      {times: ran, status: `"stage": "DELETED"`, last: "===== Job ID ended with exit code 0 =====", state: job.Succeeded, seconds: 120},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, b := onPaper(t)
			s, err := b.Submit(t.Context(), command(t))
			if err != nil {
				t.Fatal(err)
			}
			p.now(fmt.Sprintf(`{"id": "j1", %s, "status": {%s}}`, c.times, c.status), "===== Job started at now =====", "text", "", strings.ReplaceAll(c.last, "ID", s.ID))
			s, err = b.Status(t.Context(), s.ID)
			if err != nil || s.State != c.state || s.ExitCode != c.code || !strings.Contains(s.Reason, c.reason) || (c.reason == "") != (s.Reason == "") || s.Seconds() != c.seconds {
				t.Errorf("it is %+v, %v, after %g s", s, err, s.Seconds())
			}
			if strings.ContainsAny(s.Reason, "\n\x1b") {
				t.Errorf("the reason is %q", s.Reason)
			}
		})
	}
}

// A stage that is new counts as running; a job that the Hub does not show is
// lost until it shows it.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	p, b := onPaper(t)
	s, err := b.Submit(t.Context(), command(t))
	if err != nil || s.State != job.Queued || s.Ref != "j1" || !strings.HasSuffix(s.URL, "/jobs/me/j1") || s.TimeLimit != 10*time.Minute || s.OutputDir != "" {
		t.Fatalf("submit: %+v, %v", s, err)
	}
	for _, c := range []struct {
		job  string
		want job.State
	}{
		{`{"id": "j1", "status": {"stage": "UPDATING"}}`, job.Running},
		{"", job.Lost},
		{`{"id": "j1", "status": {"stage": "RUNNING"}}`, job.Running},
		{`{"id": "j1", "status": {"stage": "COMPLETED"}}`, job.Succeeded},
		{"", job.Succeeded},
	} {
		p.now(c.job)
		if s, err := b.Status(t.Context(), s.ID); err != nil || s.State != c.want || s.Started.IsZero() {
			t.Errorf("it is %+v, %v; want %s", s, err, c.want)
		}
	}
}

// What is sent says all that the job needs, and never leaves the limit to the
// Hub.
func TestRequest(t *testing.T) {
	t.Parallel()
	p, b := onPaper(t)
	b.Secret = func(name string) (string, bool) { return "v-" + name, name == "HF_TOKEN" }
	spec := command(t)
	spec.TimeLimit, spec.Name, spec.Image = 0, "my forest, 2", "hf.co/spaces/me/app"
	spec.Env, spec.Secrets = map[string]string{"MODE": "fast"}, []string{"HF_TOKEN"}
	spec.Hardware = job.Hardware{GPUs: 1, GPUMemoryMB: 20 << 10}
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(p.sent)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"flavor":"a10g-largex2"`, `"timeoutSeconds":3600`, `"spaceId":"me/app"`, `"secrets":{"HF_TOKEN":"v-HF_TOKEN"}`, `"MODE":"fast"`,
		`"name":"my-forest-2"`, `"ml-intern-job":"` + s.ID + `"`,
	} {
		if !strings.Contains(string(sent), want) {
			t.Errorf("the request lacks %s: %s", want, sent)
		}
	}
	if strings.Count(string(sent), "v-HF_TOKEN") != 1 || strings.Contains(string(sent), "attempts") {
		t.Errorf("the request is %s", sent)
	}
	if s.USDPerHour != 3 || s.TimeLimit != time.Hour || s.Worst() != 3 || s.Hardware != "a10g-largex2: 2 A10G of 24 GB, 24 CPUs, 92 GB of memory" {
		t.Errorf("it is %+v", s)
	}
}

func TestOffers(t *testing.T) {
	t.Parallel()
	_, b := onPaper(t)
	all, err := b.Offers(t.Context())
	if err != nil || len(all) != 5 {
		t.Fatalf("offers %+v, %v", all, err)
	}
	var names []string
	for _, o := range all {
		names = append(names, o.Flavor)
	}
	if got := strings.Join(names, " "); got != "cpu-basic inf2x6 t4-small a10g-largex2 odd" {
		t.Errorf("they are %s", got)
	}
	if o := all[3]; o.GPUs != 2 || o.GPUMemoryMB != 24<<10 || o.USDPerHour != 3 || !o.Ephemeral || o.DefaultLimitS != 3600 || o.FreeGPUs != -1 {
		t.Errorf("an offer is %+v", o)
	}
	if o := all[1]; o.GPUs != 0 || !strings.Contains(o.Note, "6 Inf2") {
		t.Errorf("what runs no CUDA is %+v", o)
	}
	if o := all[4]; !o.PriceUnknown || o.USDPerHour != 0 {
		t.Errorf("without a price it is %+v", o)
	}
	for want, need := range map[string]job.Hardware{
		`no hardware "h100": it has cpu-basic, inf2x6`: {Flavor: "h100"}, "no hardware here fits": {GPU: "H100"}, "4096": {CPUs: 4096},
	} {
		spec := command(t)
		spec.Hardware = need
		if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %+v, %v", need, s, err)
		}
	}
}
