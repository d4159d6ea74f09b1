package tools

import (
	"context"
	"fmt"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/job/report"
	"ml-intern/internal/job/series"
	"ml-intern/internal/tool"
)

// JobLogs shows what a job printed: in short, or from a cursor on.
func JobLogs(backend job.Backend) tool.Tool {
	type input struct {
		Job  string `json:"job" jsonschema:"id of the job"`
		From *int64 `json:"from,omitempty" jsonschema:"cursor from which to read on; without it beginning, errors and end are shown"`
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
		text := fmt.Sprintf("job %s is %s; %s. %d lines; read on from %d.\n%s", in.Job, status.State, printed, view.Lines, view.Next, view)
		return tool.Output{Text: text, Summary: fmt.Sprintf("log of %s, %d lines", in.Job, view.Lines)}, nil
	})
}

// maxLogText is how much of a log is read at once, in bytes.
const maxLogText = 20_000

func readOn(ctx context.Context, backend job.Backend, status job.Status, from int64) (tool.Output, error) {
	type result struct {
		Is    string    `json:"is"`
		Text  string    `json:"text"`
		Next  int64     `json:"next"`
		More  bool      `json:"more"`
		State job.State `json:"state"`
	}
	res := result{Is: printed, Next: from, State: status.State}
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
	res.Text = text.String()
	return object(res, fmt.Sprintf("%d bytes of the log of %s", text.Len(), status.ID))
}

const (
	metricLines = 30
	sparkWidth  = 40
)

// JobMetrics shows what a job has measured so far: from its output, its metrics
// files, and Trackio's database.
func JobMetrics(backend job.Backend, progressed func(id string)) tool.Tool {
	type input struct {
		Job    string `json:"job" jsonschema:"id of the job"`
		Metric string `json:"metric,omitempty" jsonschema:"one of them, drawn over its steps"`
	}
	return tool.New(spec("job_metrics", tool.Reads), func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		status, err := backend.Status(ctx, in.Job)
		if err != nil {
			return tool.Output{}, fmt.Errorf("job %s: %w", in.Job, err)
		}
		var set series.Set
		log, err := readSeries(ctx, backend, status, &set)
		if err != nil {
			return tool.Output{}, err
		}
		if len(set.All()) == 0 {
			return tool.Output{Text: fmt.Sprintf("job %s is %s and has measured nothing yet that can be read from its log or from files in %s", in.Job, status.State, status.OutputDir), Summary: "no metrics of " + in.Job}, nil
		}
		if progressed != nil {
			progressed(status.ID)
		}
		head := fmt.Sprintf("job %s is %s after %.0f s", in.Job, status.State, status.Seconds())
		if p, ok := log.Progress(); ok && !status.Done() {
			head += fmt.Sprintf("; %.0f %% of %s", 100*p.Fraction, p.Name)
			if p.Left > 0 {
				head += fmt.Sprintf(", %s left by its own estimate", p.Left.Round(1e9))
			}
		}
		body := set.Table(metricLines)
		if in.Metric != "" {
			s := set.Get(in.Metric)
			if s == nil {
				return tool.Output{}, fmt.Errorf("job %s has no metric %q; it has:\n%s", in.Job, in.Metric, body)
			}
			body = drawn(s)
		}
		return tool.Output{Text: head + "\n" + body, Summary: fmt.Sprintf("%d metrics of %s", len(set.All()), in.Job)}, nil
	})
}

// readSeries fills the set from all that the job left.
func readSeries(ctx context.Context, backend job.Backend, status job.Status, set *series.Set) (*series.Log, error) {
	log := &series.Log{}
	for line, err := range backend.Logs(ctx, status.ID, 0) {
		if err != nil {
			return log, fmt.Errorf("read log of job %s: %w", status.ID, err)
		}
		log.Line(line.Text, status.Started, set.Add)
	}
	files := series.Files{Dir: status.OutputDir}
	if err := files.Read(ctx, set.Add); err != nil {
		return log, fmt.Errorf("read metrics of job %s: %w", status.ID, err)
	}
	return log, nil
}

// drawn is one series: its numbers, a line, and some of its points.
func drawn(s *series.Series) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d values, first %s, last %s, %s\n%s\n", s.Name, s.N, series.Number(s.First.Value), series.Number(s.Last.Value), s.Trend(), s.Sparkline(sparkWidth))
	if best, way, ok := s.Best(); ok {
		fmt.Fprintf(&b, "best %s at %s %s (%s is better)\n", series.Number(best.Value), s.Axis, series.Number(best.Step), way)
	}
	points := s.Points()
	for i := 0; i < len(points); i += max(1, len(points)/metricLines) {
		fmt.Fprintf(&b, "%s %s: %s\n", s.Axis, series.Number(points[i].Step), series.Number(points[i].Value))
	}
	return b.String()
}
