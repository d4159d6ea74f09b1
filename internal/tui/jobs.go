package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/app"
	"ml-intern/internal/tui/plot"
	"ml-intern/internal/tui/style"
)

// A jobLister knows the jobs. It may take a while.
type jobLister interface {
	Jobs() ([]app.JobView, error)
}

// jobsEvery is how often the panel of jobs looks again.
const jobsEvery = 3 * time.Second

// A jobsPanel lists jobs and plots the numbers of the one that is chosen.
type jobsPanel struct {
	jobs   []app.JobView
	err    error
	at     int
	metric int    // of the chosen job's series
	read   bool   // jobs are known
	sure   string // the job that the next x cancels
}

// jobsMsg is what the jobs were when they were read.
type jobsMsg struct {
	panel *jobsPanel
	jobs  []app.JobView
	err   error
}

// lookAt reads the jobs.
func (p *jobsPanel) lookAt(m *model, after time.Duration) tea.Cmd {
	lister, ok := m.talk.(jobLister)
	if !ok {
		return nil
	}
	ctx := m.ctx
	return func() tea.Msg {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return nil
		}
		jobs, err := lister.Jobs()
		return jobsMsg{p, jobs, err}
	}
}

// take shows the jobs as they are now, and looks again while it is open.
func (p *jobsPanel) take(m *model, msg jobsMsg) tea.Cmd {
	if m.panel != panel(p) {
		return nil
	}
	chosen := ""
	if p.at < len(p.jobs) {
		chosen = p.jobs[p.at].ID
	}
	p.jobs, p.err, p.read, p.at = msg.jobs, msg.err, true, 0
	for i, j := range p.jobs {
		if j.ID == chosen {
			p.at = i
		}
	}
	return p.lookAt(m, jobsEvery)
}

func (p *jobsPanel) key(m *model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	key := k.String()
	if key != "x" {
		p.sure = ""
	}
	switch key {
	case "esc", "q", "ctrl+c", "ctrl+o":
		return false, nil
	case "up", "k":
		p.at, p.metric = max(p.at-1, 0), 0
	case "down", "j":
		p.at, p.metric = min(p.at+1, max(len(p.jobs)-1, 0)), 0
	case "tab", "right", "m":
		p.metric++
	case "shift+tab", "left":
		p.metric--
	}
	if p.at >= len(p.jobs) {
		return true, nil
	}
	job := p.jobs[p.at]
	switch {
	case key == "l" || key == "enter":
		return false, m.command("/jobs logs " + job.ID)
	case key == "x" && job.Done:
	case key == "x" && p.sure == job.ID:
		p.sure = ""
		return true, tea.Batch(m.command("/jobs cancel "+job.ID), p.lookAt(m, 0))
	case key == "x":
		p.sure = job.ID
	}
	return true, nil
}

func (p *jobsPanel) lines(c *canvas, height int) ([]string, *place) {
	out := []string{c.heading("jobs", "↑↓ choose · Tab metric · l log · x cancel · Esc")}
	switch {
	case !p.read:
		return append(out, c.draw(muted("  looking…"))), nil
	case p.err != nil && len(p.jobs) == 0:
		return append(out, c.draw(bad("  "+cleanLine(p.err.Error())))), nil
	case len(p.jobs) == 0:
		return append(out, c.draw(muted("  there are no jobs"))), nil
	}
	rows := min(len(p.jobs), max(height/3, 2))
	first := min(max(p.at-rows/2, 0), len(p.jobs)-rows)
	for i := first; i < first+rows; i++ {
		out = append(out, c.jobLine(p.jobs[i], i == p.at))
	}
	if p.err != nil {
		out = append(out, c.draw(warn("  "+cleanLine(p.err.Error()))))
	}
	return append(out, p.chosen(c, height-len(out))...), nil
}

// jobLine is one job: its state, how far it is, its latest numbers, its cost.
func (c *canvas) jobLine(j app.JobView, chosen bool) string {
	lead, name := plain("  "), plain(cleanLine(firstNotEmpty(j.Name, j.ID)))
	if chosen {
		lead, name = accent("▸ "), bold(name)
	}
	mark := accent(c.spinner())
	switch {
	case j.State == "succeeded":
		mark = good("✓")
	case j.Done:
		mark = bad("✗")
	case j.State == "queued":
		mark = muted("◷")
	}
	state := strings.ReplaceAll(j.State, "_", " ")
	if j.Progress != "" && !j.Done {
		state += ", " + cleanLine(j.Progress)
	}
	line := style.Line{lead, mark, plain(" "), name, muted("  " + cleanLine(state))}
	for _, s := range j.Series[:min(len(j.Series), 1)] {
		if c.width >= 70 {
			line = append(line, muted("  "+cleanLine(s.Name)+" "), accent(plot.Spark(s.Values, 12)), plain(" "+plot.Number(s.Last)))
		}
	}
	cost := fmt.Sprintf("$%.2f", j.USD)
	if !j.Done && j.WorstUSD > 0 {
		cost += fmt.Sprintf(" of at most $%.2f", j.WorstUSD)
	}
	if c.width < 70 {
		cost = fmt.Sprintf("$%.2f", j.USD)
	}
	return c.sides(line, muted(span(time.Duration(j.Seconds*float64(time.Second)))+" · "+cost+" "))
}

// chosen is what there is of one job, with the plot of a metric.
func (p *jobsPanel) chosen(c *canvas, height int) []string {
	j := p.jobs[p.at]
	var out []string
	if p.sure == j.ID {
		out = append(out, c.draw(warn("  x again cancels "+cleanLine(firstNotEmpty(j.Name, j.ID)))))
	}
	facts := []string{j.ID, j.Backend}
	if j.URL != "" {
		facts = append(facts, j.URL)
	}
	out = append(out, c.draw(muted("  "+cleanLine(strings.Join(facts, " · ")))))
	if j.Reason != "" {
		for _, line := range limited(c.wrap(cleanLine(j.Reason), 4), 3) {
			out = append(out, c.draw(bad("  "+line)))
		}
	}
	n := len(j.Series)
	if n == 0 {
		return out
	}
	p.metric = (p.metric + n) % n
	s := j.Series[p.metric]
	points := make([]plot.Point, len(s.Values))
	for i := range s.Values {
		points[i] = plot.Point{X: s.Steps[i], Y: s.Values[i]}
	}
	title := cleanLine(s.Name)
	if n > 1 {
		title += fmt.Sprintf(" (%d of %d)", p.metric+1, n)
	}
	rows := min(height-len(out), 14)
	if rows < 4 {
		return out
	}
	for _, line := range plot.Braille(points, max(min(c.width-4, 100), 20), rows, plot.Options{Name: title, X: "step", Theme: c.theme}) {
		out = append(out, "  "+line)
	}
	return out
}
