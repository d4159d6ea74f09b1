package tools

import (
	"context"
	"fmt"

	"ml-intern/internal/tool"
)

// Plan keeps the model's plan in the log, where people see it.
func Plan() tool.Tool {
	type item struct {
		Text   string `json:"text"`
		Status string `json:"status" jsonschema:"pending, doing, done or dropped"`
	}
	type input struct {
		Items []item `json:"items"`
	}
	return tool.New(spec("plan", tool.Reads), func(_ context.Context, in input, _ tool.Call) (tool.Output, error) {
		out := tool.Output{Plan: []tool.PlanItem{}}
		done := 0
		for i, it := range in.Items {
			switch it.Status {
			case "done":
				done++
			case "pending", "doing", "dropped":
			default:
				return tool.Output{}, fmt.Errorf("item %d has the status %q; it must be pending, doing, done or dropped", i+1, it.Status)
			}
			out.Plan = append(out.Plan, tool.PlanItem(it))
		}
		out.Text = fmt.Sprintf("plan saved: %d of %d done", done, len(in.Items))
		out.Summary = out.Text
		return out, nil
	})
}
