package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/series"
)

// mostRead is how many jobs' numbers are kept for the next question.
const mostRead = 32

// Metrics reads the numbers of jobs for whoever asks: from the output, the
// metrics files in the output folder, and Trackio. What it has read it keeps
// for the next question.
type Metrics struct {
	Backend job.Backend
	Getenv  func(name string) string // says where Trackio keeps its files; os.Getenv if nil

	// Dashboard is the address of a Trackio Space, and the token that may go
	// there. Without it dashboards are not asked.
	Dashboard func(space string) (url, token string)

	mu   sync.Mutex
	runs []*run // the one asked for last at the end
}

// A Reading is what there is of a job's numbers.
type Reading struct {
	Status   job.Status
	Set      *series.Set // not to be changed; the next Read does
	Progress string      // how far it is, in words; empty if nothing tells
	Missing  error       // what could not be read
}

// A run is the reader of one job.
type run struct {
	id        string
	spec      job.Spec
	set       series.Set
	output    output
	files     series.Files
	far       far
	trackio   []*series.Trackio
	dashboard *series.Dashboard
}

// Read reads a job's numbers on.
func (m *Metrics) Read(ctx context.Context, id string) (Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	status, err := m.Backend.Status(ctx, id)
	if err != nil {
		return Reading{}, fmt.Errorf("read metrics of job %s: %w", id, err)
	}
	m.forget(status)
	r, err := m.run(ctx, id)
	if err != nil {
		return Reading{}, fmt.Errorf("read metrics of job %s: %w", id, err)
	}
	missing := errors.Join(r.readOutput(ctx, m.Backend, status), r.readFiles(ctx, m.Backend, status), m.readTrackio(ctx, r, status), m.readDashboard(ctx, r, status))
	if ctx.Err() != nil {
		return Reading{}, context.Cause(ctx)
	}
	return Reading{Status: status, Set: &r.set, Progress: r.progress(), Missing: missing}, nil
}

// forget begins a job anew whose metrics files were read where it ran, and are
// here now: none is read twice.
func (m *Metrics) forget(status job.Status) {
	if _, err := os.Stat(status.OutputDir); err == nil && status.Done() {
		m.runs = slices.DeleteFunc(m.runs, func(r *run) bool { return r.id == status.ID && len(r.far.known) > 0 })
	}
}

// run is the reader of a job; the one that nobody asked for longest makes room.
func (m *Metrics) run(ctx context.Context, id string) (*run, error) {
	i := slices.IndexFunc(m.runs, func(r *run) bool { return r.id == id })
	if i >= 0 {
		r := m.runs[i]
		m.runs = append(slices.Delete(m.runs, i, i+1), r)
		return r, nil
	}
	spec, err := m.Backend.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &run{id: id, spec: spec}
	if len(m.runs) == mostRead {
		m.runs = slices.Delete(m.runs, 0, 1)
	}
	m.runs = append(m.runs, r)
	return r, nil
}

func (r *run) readOutput(ctx context.Context, b job.Backend, status job.Status) error {
	r.output.done = status.Done()
	for {
		_, err := r.output.read(ctx, b, r.id, r.output.cursor, func(text string) { r.output.log.Line(text, time.Time{}, r.set.Add) })
		if err != nil {
			return fmt.Errorf("read output: %w", err)
		}
		// A line that has no end yet is read when there is one, or the job is done.
		if !r.output.more && (r.output.held == 0 || !status.Done()) {
			return nil
		}
	}
}

func (r *run) readFiles(ctx context.Context, b job.Backend, status job.Status) error {
	if asked, err := r.far.read(ctx, b, status, r.set.Add); asked {
		return err
	}
	if r.files.Dir = status.OutputDir; r.files.Dir == "" {
		return nil
	}
	return r.files.Read(ctx, r.set.Add)
}

// readTrackio reads Trackio's databases: those in the output folder, and that
// of the project which the job was told. Others may write to that as well: the
// job's are those of its time.
func (m *Metrics) readTrackio(ctx context.Context, r *run, status job.Status) error {
	if r.trackio == nil {
		r.trackio = []*series.Trackio{}
		getenv := m.Getenv
		if getenv == nil {
			getenv = os.Getenv
		}
		dir := r.spec.Env["TRACKIO_DIR"]
		if dir != "" && !filepath.IsAbs(dir) {
			dir = filepath.Join(r.spec.Dir, dir)
		}
		if project := r.spec.Env["TRACKIO_PROJECT"]; project != "" {
			r.trackio = append(r.trackio, &series.Trackio{Path: series.TrackioPath(dir, project, getenv)})
		}
	}
	if status.OutputDir != "" {
		found, _ := filepath.Glob(filepath.Join(escape(status.OutputDir), "trackio", "*.db")) // the pattern is a good one
		for _, path := range found {
			if !slices.ContainsFunc(r.trackio, func(t *series.Trackio) bool { return t.Path == path }) {
				r.trackio = append(r.trackio, &series.Trackio{Path: path})
			}
		}
	}
	var errs []error
	for _, t := range r.trackio {
		errs = append(errs, t.Read(ctx, r.during(status)))
	}
	return errors.Join(errs...)
}

// escape is a path as a pattern that matches it alone.
func escape(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

// during takes the values of the job's time.
func (r *run) during(status job.Status) func(series.Sample) {
	return func(x series.Sample) {
		if within(x.Time, status) {
			r.set.Add(x)
		}
	}
}

// slack is how far the clocks of two machines may differ.
const slack = time.Minute

func within(at time.Time, s job.Status) bool {
	return at.IsZero() || !s.Started.IsZero() && at.After(s.Started.Add(-slack)) && (s.Finished.IsZero() || at.Before(s.Finished.Add(slack)))
}

// readDashboard reads the newest run of the job's time on its dashboard.
func (m *Metrics) readDashboard(ctx context.Context, r *run, status job.Status) error {
	space, project := r.spec.Env["TRACKIO_SPACE_ID"], r.spec.Env["TRACKIO_PROJECT"]
	if m.Dashboard == nil || space == "" || project == "" {
		return nil
	}
	if r.dashboard == nil {
		url, token := m.Dashboard(space)
		if url == "" {
			return nil
		}
		d := &series.Dashboard{URL: url, Token: token, Project: project}
		runs, err := d.Runs(ctx)
		if err != nil {
			return err
		}
		runs = slices.DeleteFunc(runs, func(x series.DashboardRun) bool { return !within(x.Created, status) })
		if len(runs) == 0 {
			return nil
		}
		d.Run = slices.MaxFunc(runs, func(x, y series.DashboardRun) int {
			return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.Name, y.Name))
		}).Name
		r.dashboard = d
	}
	return r.dashboard.Read(ctx, r.during(status))
}

// progress says how far the run is.
func (r *run) progress() string {
	p, ok := r.output.log.Progress()
	if !ok {
		return ""
	}
	text := fmt.Sprintf("%.0f %% (%s of %s)", 100*p.Fraction, series.Number(p.N), series.Number(p.Total))
	if p.Left > 0 {
		text += ", " + rough(p.Left) + " left by its own estimate"
	}
	return text
}

// String is the table, with what else is known, for a person or a model.
func (r Reading) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %s is %s", r.Status.ID, strings.ReplaceAll(string(r.Status.State), "_", " "))
	if r.Progress != "" {
		fmt.Fprintf(&b, ", at %s", r.Progress)
	}
	b.WriteString("\n" + r.Set.Table(0))
	if r.Missing != nil {
		fmt.Fprintf(&b, "not all could be read: %s\n", short(r.Missing))
	}
	return b.String()
}
