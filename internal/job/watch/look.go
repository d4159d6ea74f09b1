package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/job"
	"ml-intern/internal/job/report"
	"ml-intern/internal/job/series"
)

const (
	firstRead = 1 << 20 // bytes before the end of a log, where reading begins at the latest

	// A job's output and files are read every few seconds, a young job's more
	// often; and not before so many times what it took last time.
	readEvery  = 5 * time.Second
	readShare  = 50
	readSeldom = 5 * time.Minute
	gaugeEvery = time.Minute
	longestGap = time.Hour
)

// A watched is a job and what is known of it.
type watched struct {
	id    string
	page  *page
	spec  job.Spec
	known bool // the spec is

	status   job.Status
	lastLine string
	failing  time.Time // since when its status cannot be had; zero if it can
	failure  error

	output   output
	begun    bool // its output was looked at
	files    *series.Files
	far      far
	numbers  numbers
	logDue   time.Time
	filesDue time.Time
	gaugeDue time.Time

	alive time.Time     // when it last showed that it is
	gap   time.Duration // the longest silence that ended
	ran   time.Duration // how long it had run at looked, by its status
	since time.Time     // our clock at that time: it does not jump
	late  time.Time     // since when it seems to be

	trouble  time.Time // when its output named what ends most jobs
	troubled report.Cause
	sentence string
	idle     []time.Time // since when each of its GPUs is; zero if it is not
}

// title is the job for people.
func (j *watched) title() string {
	if j.status.Name == "" {
		return "job " + j.id
	}
	return j.status.Name + " (" + j.id + ")"
}

// say puts down an event of the job.
func (j *watched) say(kind Kind, text, detail string) bool {
	return j.page.say(Event{Job: j.id, Kind: kind, Text: text, Detail: detail, Status: j.status})
}

// answered takes a status. A job's running time is the status's at first, and
// goes on by our clock.
func (j *watched) answered(s job.Status) {
	j.status = s
	if !j.failing.IsZero() {
		j.failing, j.alive = time.Time{}, time.Now() // nobody knows what it did meanwhile
	}
	j.page.over(Unreachable)
	if s.State == job.Running && j.since.IsZero() {
		j.ran, j.since = time.Duration(max(s.Seconds(), 0)*float64(time.Second)), time.Now()
	}
}

// running is how long the job has run.
func (j *watched) running() time.Duration { return j.ran + time.Since(j.since) }

// look looks at a job that runs, as far as it is due.
func (g *group) look(ctx context.Context, j *watched) (found bool) {
	now := time.Now()
	if j.alive.IsZero() {
		j.alive = now
	}
	fresh := false
	if !now.Before(j.logDue) {
		grew, err := j.readLog(ctx, g.w.Backend)
		if ctx.Err() != nil {
			return false
		}
		fresh = grew || err != nil // that it cannot be read does not make the job silent
		j.logDue = j.due(now)
	}
	if began := time.Now(); !began.Before(j.filesDue) {
		fresh = j.readFiles(ctx, g.w.Backend) || fresh
		j.filesDue = j.due(began)
		if j.far.known != nil {
			j.filesDue = j.filesDue.Add(farEvery)
		}
	}
	if fresh {
		j.gap = min(max(j.gap, time.Since(j.alive)), longestGap)
		j.alive = time.Now()
		j.page.over(Silent)
	}
	found = j.judge(g.limits)
	if !now.Before(j.gaugeDue) {
		found = g.gauge(ctx, j) || found
		j.gaugeDue = time.Now().Add(gaugeEvery)
	}
	return found
}

// due is when to read again what was read from began until now.
func (j *watched) due(began time.Time) time.Time {
	usual := min(max(j.running()/10, readEvery/5), readEvery)
	return time.Now().Add(min(max(usual, readShare*time.Since(began)), readSeldom))
}

// readLog reads the output on.
func (j *watched) readLog(ctx context.Context, b job.Backend) (grew bool, err error) {
	from := j.output.cursor
	if !j.begun {
		from, j.output.cursor, j.output.held = -firstRead, j.page.Cursor, j.page.Held
	}
	grew, err = j.output.read(ctx, b, j.id, from, j.line)
	if err == nil {
		j.begun = true
	}
	j.page.Cursor, j.page.Held = j.output.cursor, j.output.held
	if text := j.output.last; text != "" {
		j.lastLine = text
	}
	return grew, err
}

// line reads a line that is complete.
func (j *watched) line(text string) {
	j.output.log.Line(text, time.Time{}, j.numbers.add)
	if cause, sentence, ok := report.Line(text); ok {
		switch cause {
		case report.GPUMemory, report.HostMemory, report.DiskFull:
			j.trouble, j.troubled, j.sentence = time.Now(), cause, sentence
		}
	}
}

// readFiles reads the metrics files in the job's output folder, on this machine
// or where it runs.
func (j *watched) readFiles(ctx context.Context, b job.Backend) (grew bool) {
	add := func(x series.Sample) {
		grew = true
		j.numbers.add(x)
	}
	first := j.far.known == nil
	if asked, err := j.far.read(ctx, b, j.status, add); asked {
		return grew && !first || err != nil // what was there before is no sign of life
	}
	if j.status.OutputDir == "" {
		return false
	}
	first = j.files == nil
	if first {
		j.files = &series.Files{Dir: j.status.OutputDir}
	}
	err := j.files.Read(ctx, add)
	return grew && !first || err != nil
}

// judge says what the output and the metrics tell.
func (j *watched) judge(l Limits) (found bool) {
	progress, _ := j.output.log.Progress()
	for _, f := range j.numbers.found(progress.Fraction) {
		if f.over {
			j.page.over(f.kind)
			continue
		}
		found = j.say(f.kind, j.title()+": "+f.text, "") || found
	}
	if quiet, limit := time.Since(j.alive), max(l.Silent, 4*j.gap); quiet >= limit {
		found = j.say(Silent, fmt.Sprintf("%s has shown no sign of life for %s: no output, no metrics%s", j.title(), rough(quiet), j.lastWords()), "") || found
	}
	if !j.trouble.IsZero() && time.Since(j.trouble) >= l.Trouble {
		kind := OutOfMemory
		if j.troubled == report.DiskFull {
			kind = DiskLow
		}
		found = j.say(kind, fmt.Sprintf("%s: %s; it still runs", j.title(), j.sentence), "") || found
		j.trouble = time.Time{}
	}
	return j.judgePace() || found
}

func (j *watched) lastWords() string {
	if j.lastLine == "" {
		return "; it has printed nothing so far"
	}
	return fmt.Sprintf("; its last line was %q", cut(j.lastLine, 120))
}

const (
	lateAfter  = time.Minute // a pace that says so for so long
	lateShare  = 1.02        // of the limit
	timelyIn   = 0.95
	leastSteps = 5
)

// judgePace says if the job will not be done at its limit.
func (j *watched) judgePace() bool {
	limit := j.status.TimeLimit
	p, ok := j.output.log.Progress()
	if limit <= 0 || !ok || p.Fraction <= 0 || p.Fraction >= 1 || p.N < leastSteps && p.Fraction < 0.1 {
		return false
	}
	ran := j.running()
	left := p.Left
	if left <= 0 {
		left = time.Duration(min(float64(ran)*(1-p.Fraction)/p.Fraction, math.MaxInt64/4))
	}
	switch need := float64(ran + left); {
	case need < timelyIn*float64(limit):
		j.late = time.Time{}
		j.page.over(Late)
		return false
	case need < lateShare*float64(limit):
		return false
	case j.late.IsZero():
		j.late = time.Now()
		return false
	case time.Since(j.late) < lateAfter:
		return false
	}
	room := max(limit-ran, 0)
	reach := p.Fraction + (1-p.Fraction)*float64(room)/float64(left)
	return j.say(Late, fmt.Sprintf("%s is at %.0f %% (%s of %s) after %s and needs %s more at this pace; its limit of %s leaves %s, so that it will be stopped at about %.0f %%",
		j.title(), 100*p.Fraction, series.Number(p.N), series.Number(p.Total), rough(ran), rough(left), rough(limit), rough(room), 100*reach), "")
}

// explain says in a sentence how the job ended, and if it failed why.
func (j *watched) explain(ctx context.Context, b job.Backend) (text, detail string) {
	s := j.status
	text = fmt.Sprintf("%s %s after %s", j.title(), strings.ReplaceAll(string(s.State), "_", " "), rough(time.Duration(s.Seconds()*float64(time.Second))))
	if s.State == job.Succeeded {
		return text, ""
	}
	callCtx, cancel := context.WithTimeout(ctx, 2*callLimit)
	defer cancel()
	view, err := report.Read(b.Logs(callCtx, j.id, 0), 0)
	e, ok := report.Explain(s, j.spec, view)
	if !ok {
		return text, ""
	}
	detail = e.String()
	if err != nil && !errors.Is(err, context.Canceled) {
		detail += fmt.Sprintf("its output could not be read whole: %s\n", short(err))
	}
	return text + ": " + e.Sentence, detail
}

// short is an error in few words.
func short(err error) string {
	if err == nil {
		return "no reason given"
	}
	return cut(strings.ReplaceAll(err.Error(), "\n", " "), 160)
}

// cut shortens a text to so many bytes, and leaves its characters whole.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}

// rough is a duration for people.
func rough(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}
