package tools_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
	"ml-intern/internal/job/preflight"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// cloud is a backend that costs money. It runs nothing.
type cloud struct {
	job.Backend
	usd     float64
	unknown bool
	jobs    map[string]job.Status // by label
	specs   []job.Spec
	failing error // what Submit says, after it has accepted the job if accepts
	accepts bool
	sends   int // calls of Submit

	away      bool // nothing can be looked up
	priceless bool // nor what it offers
}

var errAway = errors.New("no route to host")

func (c *cloud) Cancel(context.Context, string) error { return nil }

func (c *cloud) Status(_ context.Context, id string) (job.Status, error) {
	for _, s := range c.jobs {
		if s.ID == id {
			return s, nil
		}
	}
	return job.Status{}, job.ErrNotFound
}

func (c *cloud) Offers(context.Context) ([]job.Offer, error) {
	if c.priceless {
		return nil, errAway
	}
	return []job.Offer{{Flavor: "a10g", CPUs: 4, GPUs: 1, GPU: "A10G", GPUMemoryMB: 24 << 10, USDPerHour: c.usd, PriceUnknown: c.unknown, DefaultLimitS: 1800, FreeGPUs: -1, FreeCPUs: -1, Queued: -1}}, nil
}

func (c *cloud) Find(_ context.Context, label string) (job.Status, error) {
	if c.away {
		return job.Status{}, errAway
	}
	if s, ok := c.jobs[label]; ok {
		return s, nil
	}
	return job.Status{}, job.ErrNotFound
}

func (c *cloud) Submit(_ context.Context, spec job.Spec) (job.Status, error) {
	c.sends++
	if s, ok := c.jobs[spec.Label]; ok {
		return s, nil
	}
	if c.failing != nil && !c.accepts {
		return job.Status{}, c.failing
	}
	c.specs = append(c.specs, spec)
	s := job.Status{ID: fmt.Sprint("j", len(c.specs)), Label: spec.Label, State: job.Queued, TimeLimit: spec.TimeLimit, USDPerHour: c.usd}
	if c.jobs == nil {
		c.jobs = make(map[string]job.Status)
	}
	c.jobs[spec.Label] = s
	if c.failing != nil {
		return job.Status{}, c.failing
	}
	return s, nil
}

func quoted(t *testing.T, set *job.Set) func(job.Spec) (job.Quote, error) {
	t.Helper()
	return func(spec job.Spec) (job.Quote, error) { return set.Quote(t.Context(), spec) }
}

const onCloud = `{"name":"n","script":"t.py","backend":"cloud","gpus":1,"time_limit_s":7200,"secrets":["HF_TOKEN"]}`

func submitTool(t *testing.T, c job.Backend) *tool.Router {
	t.Helper()
	set := &job.Set{}
	set.Add("local", &cloud{})
	set.Add("cloud", c)
	router, err := tool.NewRouter(tools.JobSubmit(set, quoted(t, set), unchecked{}, "", t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// A job that costs money says so before, is sent only if so much is set aside,
// and stays on the bill at its worst.
func TestSubmitCostsMoney(t *testing.T) {
	t.Parallel()
	c := &cloud{usd: 2}
	router := submitTool(t, c)
	i := router.Impact(llm.ToolCall{Name: "job_submit", Args: onCloud})
	if i.Effect != tool.Spends || i.CostUSD != 4 || !strings.Contains(i.Outside, "a10g of cloud for 2h0m0s, $4.00 at most") || !strings.Contains(i.Outside, "given HF_TOKEN") {
		t.Errorf("judged as %+v", i)
	}
	send := func(label string, worst float64) tool.Output {
		return router.Run(t.Context(), "job_submit", tool.Call{ID: "s/" + label, Args: onCloud, WorstUSD: worst, Log: func(string) {}})
	}
	if out := send("poor", 3); !out.IsError || !strings.Contains(out.Text, "$3.00 are set aside") || len(c.specs) != 0 {
		t.Errorf("with too little set aside: %+v", out)
	}
	out := send("rich", 4)
	if out.IsError || len(out.Charges) != 1 || out.Charges[0] != (tool.Charge{Label: "s/rich", Job: "j1", USD: 4}) {
		t.Errorf("got %+v", out)
	}
	if again := send("rich", 4); again.IsError || len(c.specs) != 1 || c.specs[0].TimeLimit != 2*time.Hour {
		t.Errorf("sent %d times, the last as %+v", len(c.specs), c.specs)
	}
	if i := router.Impact(llm.ToolCall{Name: "job_submit", Args: `{"name":"n","script":"t.py","backend":"nowhere"}`}); i.CostUSD != 0 || i.Effect != tool.Executes || !strings.Contains(i.Outside, "may run t.py beyond this machine") {
		t.Errorf("an impossible job is judged as %+v", i)
	}
	public := strings.Replace(onCloud, "{", `{"waivers":{"public":"she wants a page"},`, 1)
	if i := router.Impact(llm.ToolCall{Name: "job_submit", Args: public}); !i.Public || !strings.Contains(i.Outside, "she wants a page") {
		t.Errorf("a job that shows something to everybody is judged as %+v", i)
	}
}

func TestSubmitOfUnknownPrice(t *testing.T) {
	t.Parallel()
	c := &cloud{unknown: true}
	out := submitTool(t, c).Run(t.Context(), "job_submit", tool.Call{ID: "x", Args: onCloud, Log: func(string) {}})
	if !out.IsError || !strings.Contains(out.Text, "usd_per_hour") || len(c.specs) != 0 {
		t.Errorf("got %+v, sent %d", out, len(c.specs))
	}
}

// A lost answer leaves a job on the bill, a refusal does not, and what can be
// looked up nowhere counts at its worst.
func TestSubmitFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		accepts, away bool
		charges       []tool.Charge
		says          string
	}{
		"refused":           {false, false, nil, "connection reset"},
		"lost":              {true, false, []tool.Charge{{Label: "s/x", USD: 4}}, "known as j1"},
		"lost and then out": {true, true, []tool.Charge{{Label: "s/x", USD: 4}}, "is unknown"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // it would be sent again
			defer cancel()
			c := &cloud{usd: 2, failing: errors.New("connection reset"), accepts: tt.accepts, away: tt.away}
			out := submitTool(t, c).Run(ctx, "job_submit", tool.Call{ID: "s/x", Args: onCloud, WorstUSD: 4, Log: func(string) {}})
			if !out.IsError || !strings.Contains(out.Text, tt.says) || !slices.Equal(out.Charges, tt.charges) {
				t.Errorf("%s: %+v", name, out)
			}
		})
	}
}

// A submission that was cut short is finished: what was sent is found, what may
// have been sent is sent under its label, what can be looked up nowhere counts.
func TestSubmitAgain(t *testing.T) {
	t.Parallel()
	known := func(s job.Status) map[string]job.Status {
		s.ID, s.Label, s.TimeLimit, s.USDPerHour = "j7", "s/x", 2*time.Hour, 2
		return map[string]job.Status{"s/x": s}
	}
	for name, tt := range map[string]struct {
		c       *cloud
		charges []tool.Charge
		sends   int
		error   bool
	}{
		"never begun":   {&cloud{usd: 2}, []tool.Charge{{Label: "s/x", Job: "j1", USD: 4}}, 1, false},
		"running":       {&cloud{usd: 2, jobs: known(job.Status{State: job.Running, Ref: "far"})}, []tool.Charge{{Label: "s/x", Job: "j7", USD: 4}}, 0, false},
		"maybe sent":    {&cloud{usd: 2, jobs: known(job.Status{State: job.Queued})}, []tool.Charge{{Label: "s/x", Job: "j7", USD: 4}}, 1, false},
		"over":          {&cloud{usd: 2, jobs: known(job.Status{State: job.Succeeded, Started: time.Unix(0, 0), Finished: time.Unix(900, 0)})}, []tool.Charge{{Label: "s/x", Job: "j7", USD: 0.5, Final: true}}, 0, false},
		"no price now":  {&cloud{usd: 2, priceless: true, jobs: known(job.Status{State: job.Running, Ref: "far"})}, []tool.Charge{{Label: "s/x", Job: "j7", USD: 4}}, 0, false},
		"out of reach":  {&cloud{usd: 2, away: true}, []tool.Charge{{Label: "s/x", USD: 4}}, 0, true},
		"all is silent": {&cloud{usd: 2, away: true, priceless: true}, []tool.Charge{{Label: "s/x", USD: 4}}, 0, true},
	} {
		out := submitTool(t, tt.c).Run(t.Context(), "job_submit", tool.Call{ID: "s/x", Args: onCloud, WorstUSD: 4, Again: true, Log: func(string) {}})
		if out.IsError != tt.error || !slices.Equal(out.Charges, tt.charges) || tt.c.sends != tt.sends {
			t.Errorf("%s: sent %d times, %+v", name, tt.c.sends, out)
		}
		if strings.Contains(out.Text, " of  for") {
			t.Errorf("%s: %s", name, out.Text)
		}
	}
}

// A session pays for its own jobs only.
func TestOnlyOwnJobsAreCharged(t *testing.T) {
	t.Parallel()
	over := job.Status{ID: "j7", State: job.Canceled, Started: time.Unix(0, 0), Finished: time.Unix(3600, 0), USDPerHour: 40}
	for label, want := range map[string]int{"s/1": 1, "other/1": 0, "": 0} {
		over.Label = label
		c := &cloud{jobs: map[string]job.Status{label: over}}
		if out := call(t, tools.JobCancel(c), args{"job": "j7"}); len(out.Charges) != want {
			t.Errorf("label %q: %+v", label, out.Charges)
		}
	}
}

func setOf(b job.Backend) *job.Set {
	set := &job.Set{}
	set.Add("local", b)
	return set
}

// unchecked lets every job pass.
type unchecked struct{}

func (unchecked) Check(context.Context, []job.Spec, job.Quote, map[string]string) (preflight.Report, error) {
	return preflight.Report{}, nil
}
func (unchecked) Submitted(job.Spec, string) {}

// A job of this machine is asked about when it may do what a command may not.
func TestSubmitHere(t *testing.T) {
	t.Parallel()
	for beyond, want := range map[string]string{"": "", "nothing confines": "it runs t.py as a job, which nothing confines"} {
		set := setOf(local.Backend{Dir: t.TempDir(), UV: "/nonexistent/uv"})
		router, err := tool.NewRouter(tools.JobSubmit(set, quoted(t, set), unchecked{}, beyond, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		i := router.Impact(llm.ToolCall{Name: "job_submit", Args: `{"name":"n","script":"t.py"}`})
		if i.Effect != tool.Executes || i.Outside != want {
			t.Errorf("%q is judged as %+v", beyond, i)
		}
	}
}
