package tools_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// clock is a Scheduler that remembers what it was told.
type clock struct{ did []string }

func (c *clock) Schedule(_ context.Context, spec job.Spec, when string) (hub.ScheduledJob, error) {
	c.did = append(c.did, fmt.Sprintf("create %s on %s %s for %s", spec.Script, spec.Backend, when, spec.TimeLimit))
	return hub.ScheduledJob{ID: "s1"}, nil
}

func (c *clock) Scheduled(context.Context) ([]hub.ScheduledJob, error) {
	return []hub.ScheduledJob{{ID: "s1", Schedule: "@daily", Suspended: true}}, nil
}

func (c *clock) note(text string) error                        { c.did = append(c.did, text); return nil }
func (c *clock) Suspend(_ context.Context, id string) error    { return c.note("suspend " + id) }
func (c *clock) Resume(_ context.Context, id string) error     { return c.note("resume " + id) }
func (c *clock) Unschedule(_ context.Context, id string) error { return c.note("delete " + id) }
func (c *clock) RunNow(_ context.Context, id string) (hub.Job, error) {
	return hub.Job{ID: "j1"}, c.note("run " + id)
}

func TestJobSchedule(t *testing.T) {
	t.Parallel()
	set := &job.Set{}
	set.Add("hf", &cloud{usd: 2})
	c := &clock{}
	router, err := tool.NewRouter(tools.JobSchedule(c, "hf", quoted(t, set), unchecked{}, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args, text string // of the answer
		impact     tool.Impact
	}{
		{
			`{"operation":"create","when":"@daily","job":{"name":"n","script":"t.py","backend":"local","secrets":["HF_TOKEN"]}}`, "runs t.py @daily: each time a10g of hf for 30m0s, $1.00 at most",
			tool.Impact{Effect: tool.Spends, Recurring: true, Outside: "it runs t.py @daily until somebody deletes it, with HF_TOKEN: each time a10g of hf for 30m0s, $1.00 at most", Object: "a10g of hf for 30m0s, $1.00 at most"},
		},
		{`{"operation":"list"}`, "s1: @daily, suspended", tool.Impact{Effect: tool.Reads}},
		{`{"operation":"suspend","id":"s1"}`, "is suspended", tool.Impact{Effect: tool.Executes, Outside: "it suspends the scheduled job s1"}},
		{`{"operation":"resume","id":"s1"}`, "is resumed", tool.Impact{Effect: tool.Spends, Recurring: true, Outside: "it starts the scheduled job s1"}},
		{`{"operation":"run","id":"s1"}`, "job j1", tool.Impact{Effect: tool.Spends, Recurring: true, Outside: "it starts the scheduled job s1"}},
		{`{"operation":"delete","id":"s1"}`, "is deleted", tool.Impact{Effect: tool.Executes, Deletes: true, Outside: "it deletes the scheduled job s1"}},
		{`{"operation":"delete"}`, "needs the id", tool.Impact{Effect: tool.Executes, Deletes: true, Outside: "it deletes the scheduled job "}},
		{`{"operation":"pause","id":"s1"}`, "there is no operation", tool.Impact{Effect: tool.Spends, Recurring: true, Outside: "it starts the scheduled job s1"}},
		{`{"operation":"create","when":"@daily"}`, "each time", tool.Impact{Effect: tool.Spends, Recurring: true, Outside: "it runs  @daily until somebody deletes it: each time a10g of hf for 30m0s, $1.00 at most", Object: "a10g of hf for 30m0s, $1.00 at most"}},
	} {
		if got := router.Impact(llm.ToolCall{Name: "job_schedule", Args: tt.args}); !cmp.Equal(got, tt.impact, cmpopts.IgnoreFields(tool.Impact{}, "Hosts", "Argv", "Secrets")) {
			t.Errorf("%s is judged as %+v", tt.args, got)
		}
		out := router.Run(t.Context(), "job_schedule", tool.Call{ID: "x", Args: tt.args, Log: func(string) {}})
		if !strings.Contains(out.Text, tt.text) {
			t.Errorf("%s: %s", tt.args, out.Text)
		}
	}
	want := "create t.py on hf @daily for 30m0s, suspend s1, resume s1, run s1, delete s1, create  on hf @daily for 30m0s"
	if got := strings.Join(c.did, ", "); got != want {
		t.Errorf("the Hub was told %s", got)
	}
}
