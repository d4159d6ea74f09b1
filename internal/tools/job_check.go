package tools

import (
	"context"
	"fmt"

	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// A pricer is the part of a desk that says what a job costs.
type pricer interface {
	Quote(ctx context.Context, spec job.Spec) (job.Quote, error)
}

// JobCheck says what JobSubmit would find, and sends nothing. Models of ours
// submit and correct; it is for other agents.
func JobCheck(p pricer, c checker, dir string) tool.Tool {
	return tool.New(spec("job_check", tool.Reads), func(ctx context.Context, in jobInput, call tool.Call) (tool.Output, error) {
		specs := in.specs(dir, call.ID)
		q, err := p.Quote(ctx, specs[0])
		if err != nil {
			return tool.Output{}, fmt.Errorf("%s could not be sent: %w", in.Name, err)
		}
		q.Jobs = len(specs)
		report, err := c.Check(ctx, specs, q, in.Waivers)
		if err != nil {
			return tool.Output{}, err
		}
		verdict := "It would be sent."
		n := len(report.Blocking())
		if n > 0 {
			verdict = fmt.Sprintf("It would not be sent: findings in the way: %d.", n)
		}
		return tool.Output{Text: fmt.Sprintf("%s Nothing was started. It would run on %s.\n%s", verdict, q, report), Summary: fmt.Sprintf("check of %s: %d findings in the way", in.Name, n)}, nil
	})
}
