package tools

import (
	"context"
	"fmt"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/job/report"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/tool"
)

// JobLogs shows what a job printed: in short, or from a cursor on.
func JobLogs(backend job.Backend) tool.Tool {
	type input struct {
		Job  string `json:"job"`
		From *int64 `json:"from,omitempty"`
	}
	return tool.New(spec("job_logs", tool.Reads), func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		status, err := backend.Status(ctx, in.Job)
		if err != nil {
			return tool.Output{}, fmt.Errorf("job %s: %w", in.Job, err)
		}
		if in.From != nil {
			return readOn(ctx, backend, status, *in.From)
		}
		view, err := report.Read(backend.Logs(ctx, in.Job, 0), 0)
		if err != nil {
			return tool.Output{}, fmt.Errorf("read log of job %s: %w", in.Job, err)
		}
		return object(logResult{Is: printed, Text: view.String(), Next: view.Next, Lines: view.Lines, State: status.State},
			fmt.Sprintf("log of %s, %d lines", in.Job, view.Lines))
	})
}

type logResult struct {
	Is    string    `json:"is"`
	Text  string    `json:"text"`
	Lines int       `json:"lines,omitempty"` // there are, when some of them are shown
	Next  int64     `json:"next"`
	More  bool      `json:"more,omitempty"`
	State job.State `json:"state"`
}

// maxLogText is how much of a log is read at once, in bytes.
const maxLogText = 20_000

func readOn(ctx context.Context, backend job.Backend, status job.Status, from int64) (tool.Output, error) {
	res := logResult{Is: printed, Next: from, State: status.State}
	var text strings.Builder
	for line, err := range backend.Logs(ctx, status.ID, from) {
		if err != nil {
			return tool.Output{}, fmt.Errorf("read log of job %s: %w", status.ID, err)
		}
		if text.Len() > 0 && text.Len()+len(line.Text) > maxLogText {
			res.More = true
			break
		}
		text.WriteString(line.Text + "\n")
		res.Next = line.Next
	}
	if text.Len() == 0 {
		var err error
		if res.Next, err = cursorWithin(ctx, backend, status.ID, from); err != nil {
			return tool.Output{}, err
		}
	}
	res.Text = text.String()
	return object(res, fmt.Sprintf("%d bytes of the log of %s", text.Len(), status.ID))
}

// cursorWithin is a cursor from which nothing could be read, or the log's end if
// it is behind that.
func cursorWithin(ctx context.Context, backend job.Backend, id string, from int64) (int64, error) {
	end := int64(0)
	for line, err := range backend.Logs(ctx, id, -1) {
		if err != nil {
			return 0, fmt.Errorf("read log of job %s: %w", id, err)
		}
		end = line.Next
	}
	return min(max(from, 0), end), nil
}

// measurer is the part of watch.Metrics that JobMetrics uses.
type measurer interface {
	Read(ctx context.Context, id string) (watch.Reading, error)
}

// JobMetrics shows what a job has measured so far. Of a job that has measured
// something, progressed is told.
func JobMetrics(m measurer, progressed func(id string)) tool.Tool {
	type input struct {
		Job string `json:"job"`
	}
	return tool.New(spec("job_metrics", tool.Reads), func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		r, err := m.Read(ctx, in.Job)
		if err != nil {
			return tool.Output{}, fmt.Errorf("metrics of job %s: %w", in.Job, err)
		}
		if progressed != nil && len(r.Set.All()) > 0 {
			progressed(in.Job)
		}
		return tool.Output{Text: fromOutside("the log and the files of job "+in.Job, r.String()), Summary: "metrics of job " + in.Job}, nil
	})
}
