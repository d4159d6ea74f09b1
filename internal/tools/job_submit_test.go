package tools_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
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
}

func (c *cloud) Offers(context.Context) ([]job.Offer, error) {
	return []job.Offer{{Flavor: "a10g", CPUs: 4, GPUs: 1, GPU: "A10G", GPUMemoryMB: 24 << 10, USDPerHour: c.usd, PriceUnknown: c.unknown, DefaultLimitS: 1800, FreeGPUs: -1, FreeCPUs: -1, Queued: -1}}, nil
}

func (c *cloud) Find(_ context.Context, label string) (job.Status, error) {
	if s, ok := c.jobs[label]; ok {
		return s, nil
	}
	return job.Status{}, job.ErrNotFound
}

func (c *cloud) Submit(_ context.Context, spec job.Spec) (job.Status, error) {
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

const onCloud = `{"name":"n","script":"t.py","backend":"cloud","gpus":1,"time_limit_s":7200,"secrets":["HF_TOKEN"]}`

func submitTool(t *testing.T, c *cloud) *tool.Router {
	t.Helper()
	set := &job.Set{}
	set.Add("local", &cloud{})
	set.Add("cloud", c)
	router, err := tool.NewRouter(tools.JobSubmit(set, unchecked{}, t.TempDir()))
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
		return router.Run(t.Context(), "job_submit", tool.Call{ID: label, Args: onCloud, WorstUSD: worst, Log: func(string) {}})
	}
	if out := send("poor", 3); !out.IsError || !strings.Contains(out.Text, "$3.00 are set aside") || len(c.specs) != 0 {
		t.Errorf("with too little set aside: %+v", out)
	}
	out := send("rich", 4)
	if out.IsError || len(out.Charges) != 1 || out.Charges[0] != (tool.Charge{Job: "j1", USD: 4}) {
		t.Errorf("got %+v", out)
	}
	if again := send("rich", 4); again.IsError || len(c.specs) != 1 || c.specs[0].TimeLimit != 2*time.Hour {
		t.Errorf("sent %d times, the last as %+v", len(c.specs), c.specs)
	}
	if i := router.Impact(llm.ToolCall{Name: "job_submit", Args: `{"name":"n","script":"t.py","backend":"nowhere"}`}); i.CostUSD != 0 || i.Effect != tool.Executes {
		t.Errorf("an impossible job is judged as %+v", i)
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

// A lost answer leaves a job on the bill, a refusal does not.
func TestSubmitFails(t *testing.T) {
	t.Parallel()
	for _, accepts := range []bool{false, true} {
		c := &cloud{usd: 1, failing: errors.New("connection reset"), accepts: accepts}
		out := submitTool(t, c).Run(t.Context(), "job_submit", tool.Call{ID: "x", Args: onCloud, WorstUSD: 2, Log: func(string) {}})
		if !out.IsError || !strings.Contains(out.Text, "connection reset") {
			t.Errorf("got %+v", out)
		}
		if accepts && (len(out.Charges) != 1 || out.Charges[0].USD != 2 || !strings.Contains(out.Text, "j1")) || !accepts && out.Charges != nil {
			t.Errorf("accepted %v: %+v", accepts, out)
		}
	}
}
