package tools_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

const swept = `{"name":"n","script":"t.py","args":["--epochs","1"],"backend":"cloud","gpus":1,"time_limit_s":3600,` +
	`"sweep":[{"LR":"1e-4"},{"--lr":"3e-4","--fast":""},{"LR":"1e-3","SEED":"2"}]}`

// picky is a cloud that refuses jobs of one name, and forgets none.
type picky struct {
	cloud
	bad string
}

func (p *picky) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	if spec.Name == p.bad {
		return job.Status{}, errors.New("refused")
	}
	return p.cloud.Submit(ctx, spec)
}

// A limit that no duration can hold is none, and does not become a short one.
func TestEndlessLimit(t *testing.T) {
	t.Parallel()
	router := submitTool(t, &cloud{})
	args := `{"name":"n","command":["true"],"time_limit_s":18446744074,"sweep":[{"A":"1"}]}`
	out := router.Run(t.Context(), "job_submit", tool.Call{ID: "s/x", Args: args, Log: func(string) {}})
	if !out.IsError || !strings.Contains(out.Text, "at most 365 days") {
		t.Errorf("got %+v", out)
	}
}

// A sweep is judged by the sum, and each of its jobs has a label, a name and a
// charge of its own.
func TestSweep(t *testing.T) {
	t.Parallel()
	c := &cloud{usd: 2}
	router := submitTool(t, c)
	if i := router.Impact(llm.ToolCall{Name: "job_submit", Args: swept}); i.CostUSD != 6 || !strings.Contains(i.Outside, "3 jobs, each on a10g of cloud for 1h0m0s, $6.00 at most") {
		t.Errorf("judged as %+v", i)
	}
	run := func(label string, worst float64, again bool) tool.Output {
		return router.Run(t.Context(), "job_submit", tool.Call{ID: "s/" + label, Args: swept, WorstUSD: worst, Again: again, Log: func(string) {}})
	}
	if out := run("poor", 5, false); !out.IsError || !strings.Contains(out.Text, "may cost $6.00, and $5.00 are set aside") || c.sends != 0 {
		t.Errorf("with too little set aside: %+v", out)
	}
	out := run("x", 6, false)
	if out.IsError || len(c.specs) != 3 || len(out.Facts) != 3 || len(out.Artifacts) != 3 {
		t.Fatalf("got %+v", out)
	}
	for i, want := range []string{"[--epochs 1] map[LR:1e-4] n LR=1e-4", "[--epochs 1 --fast --lr 3e-4] map[] n fast= lr=3e-4", "[--epochs 1] map[LR:1e-3 SEED:2] n LR=1e-3 SEED=2"} {
		spec, id := c.specs[i], fmt.Sprint("j", i+1)
		if got := fmt.Sprint(spec.Args, " ", spec.Env, " ", spec.Name); got != want || spec.Label != fmt.Sprint("s/x#", i) || spec.TimeLimit != time.Hour {
			t.Errorf("job %d is %s %s, want %s", i, spec.Label, got, want)
		}
		if out.Charges[i] != (tool.Charge{Label: spec.Label, Job: id, USD: 2}) || !strings.Contains(out.Text, `"job":"`+id+`","name":"`+spec.Name+`"`) {
			t.Errorf("job %d: %+v in %s", i, out.Charges[i], out.Text)
		}
		if spec.Pin != (job.Pin{Flavor: "a10g", USDPerHour: 2}) {
			t.Errorf("job %d is not bound to its price: %+v", i, spec.Pin)
		}
	}
	if again := run("x", 6, true); again.IsError || len(c.specs) != 3 || len(again.Charges) != 3 {
		t.Errorf("again: %d were sent, %+v", len(c.specs), again)
	}
	if out := router.Run(t.Context(), "job_submit", tool.Call{ID: "s/y", Args: `{"name":"n","script":"t.py","sweep":[` + strings.Repeat(`{"A":"1"},`, 64) + `{"A":"2"}]}`, Log: func(string) {}}); !out.BadArgs || !strings.Contains(out.Text, "at most 64 jobs, not 65") {
		t.Errorf("65 jobs: %+v", out)
	}
}

// Of a sweep that is sent in part only, what was sent is said and paid, and the
// same call goes on with the rest.
func TestSweepInPart(t *testing.T) {
	t.Parallel()
	c := &picky{cloud: cloud{usd: 2}, bad: "n fast= lr=3e-4"}
	router := submitTool(t, c)
	run := func(again bool) tool.Output {
		return router.Run(t.Context(), "job_submit", tool.Call{ID: "s/x", Args: swept, WorstUSD: 6, Again: again, Log: func(string) {}})
	}
	out := run(false)
	for _, want := range []string{"refused", "Accepted: j1 (n LR=1e-4).", "Not sent; send a sweep of these only: (n fast= lr=3e-4), (n LR=1e-3 SEED=2)."} {
		if !out.IsError || !strings.Contains(out.Text, want) {
			t.Errorf("%q is not said: %+v", want, out)
		}
	}
	if len(out.Charges) != 1 || out.Charges[0] != (tool.Charge{Label: "s/x#0", Job: "j1", USD: 2}) {
		t.Errorf("charges %+v", out.Charges)
	}
	c.bad = ""
	if out := run(true); out.IsError || len(out.Charges) != 3 || len(c.specs) != 3 {
		t.Errorf("again: %d were sent, %+v", len(c.specs), out)
	}
}

// A sweep of which nobody can say what arrived counts in full.
func TestSweepOutOfReach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // it would be sent again
		defer cancel()
		c := &cloud{usd: 2, failing: errors.New("connection reset"), accepts: true, away: true}
		out := submitTool(t, c).Run(ctx, "job_submit", tool.Call{ID: "s/x", Args: swept, WorstUSD: 6, Log: func(string) {}})
		if !out.IsError || len(out.Charges) != 3 || out.Charges[2] != (tool.Charge{Label: "s/x#2", USD: 2}) || !strings.Contains(out.Text, "Unknown whether accepted") {
			t.Errorf("got %+v", out)
		}
	})
}

// A price that rises between the quote and the sending is not paid.
func TestPriceRises(t *testing.T) {
	t.Parallel()
	c := &riser{cloud: cloud{usd: 2}}
	out := submitTool(t, c).Run(t.Context(), "job_submit", tool.Call{ID: "s/x", Args: onCloud, WorstUSD: 4, Log: func(string) {}})
	if !out.IsError || !strings.Contains(out.Text, "that were quoted, but 8.00") || len(c.specs) != 0 || out.Charges != nil {
		t.Errorf("got %+v, sent %d", out, len(c.specs))
	}
}

// riser is a cloud that is four times as dear when a job comes as when it was
// quoted.
type riser struct{ cloud }

func (r *riser) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	r.usd *= 4
	offers, _ := r.Offers(ctx)
	if _, err := job.Choose(offers, spec); err != nil {
		return job.Status{}, err
	}
	return r.cloud.Submit(ctx, spec)
}

// A name is for people: it is one line that does nothing to their terminal.
func TestNamesAreOneLine(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	args := `{"name":"a\n\u001b[31mb","command":["true"],"backend":"cloud","time_limit_s":3600,"sweep":[{"X":"1\n2"}]}`
	out := submitTool(t, c).Run(t.Context(), "job_submit", tool.Call{ID: "s/x", Args: args, Log: func(string) {}})
	if len(c.specs) != 1 || c.specs[0].Name != "a  [31mb X=1 2" || c.specs[0].Env["X"] != "1\n2" {
		t.Errorf("got %+v, sent %+v", out, c.specs)
	}
}
