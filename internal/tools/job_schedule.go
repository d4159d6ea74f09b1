package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// A Scheduler keeps jobs that a Hub starts by the clock.
type Scheduler interface {
	Schedule(ctx context.Context, spec job.Spec, when string) (hub.ScheduledJob, error)
	Scheduled(ctx context.Context) ([]hub.ScheduledJob, error)
	Suspend(ctx context.Context, id string) error
	Resume(ctx context.Context, id string) error
	RunNow(ctx context.Context, id string) (hub.Job, error)
	Unschedule(ctx context.Context, id string) error
}

type scheduleInput struct {
	Operation string         `json:"operation" jsonschema:"create, list, suspend, resume, run or delete"`
	When      string         `json:"when,omitempty" jsonschema:"create: @daily and the like, or five cron fields in UTC"`
	Job       map[string]any `json:"job,omitempty" jsonschema:"create: arguments of job_submit"`
	ID        string         `json:"id,omitempty" jsonschema:"for the other operations"`
}

// spec is the job to be scheduled on the named backend.
func (in scheduleInput) spec(backend, dir, label string) (jobInput, job.Spec, error) {
	var j jobInput
	text, err := json.Marshal(in.Job)
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err != nil {
		return j, job.Spec{}, fmt.Errorf("job needs the arguments of job_submit: %w", err)
	}
	j.Backend = backend
	return j, j.spec(dir, label), nil
}

// JobSchedule keeps jobs that the Hub starts by the clock, on the backend of
// that name. What they cost is the Hub's bill, not the session's.
func JobSchedule(s Scheduler, backend string, quote func(job.Spec) (job.Quote, error), c checker, dir string) tool.Tool {
	sp := spec("job_schedule", tool.Spends)
	sp.Impact = impact(tool.Spends, func(in scheduleInput, i *tool.Impact) {
		switch in.Operation {
		case "list":
			i.Effect = tool.Reads
		case "suspend":
			i.Effect, i.Outside = tool.Executes, "it suspends the scheduled job "+in.ID
		case "delete":
			i.Effect, i.Outside, i.Deletes = tool.Executes, "it deletes the scheduled job "+in.ID, true
		case "create":
			i.Recurring = true
			i.Outside, i.Object = in.prospect(quote, backend, dir)
			i.Hosts = []string{backend}
			if j, _, err := in.spec(backend, dir, ""); err == nil {
				i.Argv, i.Secrets = j.argv(), j.Secrets
			}
		default: // what a run costs is on nobody's account here
			i.Recurring, i.Outside = true, "it starts the scheduled job "+in.ID
		}
	})
	sp.Show = showing(func(_ context.Context, in scheduleInput) string {
		j, _, err := in.spec(backend, dir, "")
		if in.Operation != "create" || err != nil {
			return ""
		}
		return j.show(dir)
	})
	return tool.New(sp, func(ctx context.Context, in scheduleInput, call tool.Call) (tool.Output, error) {
		switch in.Operation {
		case "create":
			return schedule(ctx, s, backend, quote, c, dir, in, call)
		case "list":
			return listScheduled(ctx, s)
		}
		if in.ID == "" {
			return badArgs("%s needs the id of a scheduled job", in.Operation), nil
		}
		var err error
		done := in.Operation + "d"
		switch in.Operation {
		case "suspend":
			done, err = "suspended", s.Suspend(ctx, in.ID)
		case "resume":
			err = s.Resume(ctx, in.ID)
		case "delete":
			err = s.Unschedule(ctx, in.ID)
		case "run":
			var j hub.Job
			j, err = s.RunNow(ctx, in.ID)
			done = "started as the Hub's job " + j.ID
		default:
			return badArgs("there is no operation %q; there are create, list, suspend, resume, run and delete", in.Operation), nil
		}
		if err != nil {
			return tool.Output{}, err
		}
		text := fmt.Sprintf("scheduled job %s is %s", in.ID, done)
		return tool.Output{Text: text, Summary: text}, nil
	})
}

// prospect says what a scheduled job will do, and what it runs on.
func (in scheduleInput) prospect(quote func(job.Spec) (job.Quote, error), backend, dir string) (outside, object string) {
	j, spec, err := in.spec(backend, dir, "")
	if err != nil {
		return "it starts a job again and again, " + in.When, ""
	}
	outside = fmt.Sprintf("it runs %s %s until somebody deletes it", j.program(), in.When)
	if len(j.Secrets) > 0 {
		outside += ", with " + strings.Join(j.Secrets, ", ")
	}
	if why, public := j.public(); public {
		outside += ", and may show its metrics to everybody, because: " + why
	}
	q, err := quote(spec)
	if err != nil {
		return outside + "; its price is not known", ""
	}
	return outside + ": each time " + q.String(), q.String()
}

func schedule(ctx context.Context, s Scheduler, backend string, quote func(job.Spec) (job.Quote, error), c checker, dir string, in scheduleInput, call tool.Call) (tool.Output, error) {
	j, spec, err := in.spec(backend, dir, call.ID)
	if err != nil {
		return badArgs("%v", err), nil
	}
	q, err := quote(spec)
	if err != nil {
		return tool.Output{}, err
	}
	spec = q.Bind(spec)
	report, err := c.Check(ctx, []job.Spec{spec}, q, j.Waivers)
	if err != nil {
		return tool.Output{}, err
	}
	if n := len(report.Blocking()); n > 0 {
		return refused(report, n), nil
	}
	scheduled, err := s.Schedule(ctx, spec, in.When)
	if err != nil {
		return tool.Output{}, err
	}
	text := fmt.Sprintf("scheduled job %s runs %s %s: each time %s. The Hub bills it; it is not on this session's bill.", scheduled.ID, j.program(), in.When, q)
	return tool.Output{
		Text: text, Summary: fmt.Sprintf("%s is scheduled %s as %s", j.Name, in.When, scheduled.ID),
		Facts: []tool.Fact{{Kind: jobFacts, Name: scheduled.ID, Text: text}},
	}, nil
}

func listScheduled(ctx context.Context, s Scheduler) (tool.Output, error) {
	all, err := s.Scheduled(ctx)
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	for _, j := range all {
		state := ""
		if j.Suspended {
			state = ", suspended"
		}
		fmt.Fprintf(&b, "%s: %s%s\n", j.ID, j.Schedule, state)
	}
	if len(all) == 0 {
		b.WriteString("no job is scheduled")
	}
	return tool.Output{Text: fromOutside("the Hub's list of scheduled jobs", b.String()), Summary: fmt.Sprintf("%d scheduled jobs", len(all))}, nil
}
